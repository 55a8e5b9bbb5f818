import { randomUUID } from 'node:crypto';
import { Injectable, OnModuleInit } from '@nestjs/common';
import type { EntityManager, QueryDeepPartialEntity } from 'typeorm';
import { Host } from '../database/entities/host.entity';
import { Transactions } from '../database/transactions';
import { Page, PageQuery, pageOf } from '../http/cursor';
import { requireIfMatch } from '../http/etag';
import { ProblemException } from '../http/problem';
import { JobKinds, type JobOf, JobRequest, JobResults } from '../jobs/job-kinds';
import { JobRequestBuilder, ReplayAsk } from '../jobs/job-request.builder';
import type { Job } from '../jobs/job.entity';
import { JobsService } from '../jobs/jobs.service';
import type { AdviceFile, RecommendationOutput } from '../work/tasks';
import { NEXT_STATES, Recommendation, RecommendationState } from './recommendation.entity';

const notFound = (id: string): ProblemException =>
  new ProblemException('recommendation-not-found', `No recommendation has the id ${id}.`, {
    path: 'recommendationId',
  });

export interface StateChange {
  state: RecommendationState;
  stateMetadata?: Record<string, string>;
}

@Injectable()
export class RecommendationsService implements OnModuleInit, JobResults<'recommendation'> {
  constructor(
    private readonly transactions: Transactions,
    private readonly kinds: JobKinds,
    private readonly requests: JobRequestBuilder,
    private readonly jobs: JobsService,
  ) {}

  onModuleInit(): void {
    this.kinds.register('recommendation', this);
  }

  /** @throws ProblemException as {@link JobRequestBuilder.build} and {@link JobsService.submit} */
  async submit(hostId: string, ask: ReplayAsk): Promise<Job> {
    return this.jobs.submit('recommendation', hostId, await this.requests.build(hostId, ask));
  }

  async store(
    manager: EntityManager,
    job: JobOf<'recommendation'>,
    { basis }: JobRequest,
    { content, files }: RecommendationOutput,
  ): Promise<string> {
    const id = randomUUID();
    const now = new Date().toISOString();
    const row: Recommendation = {
      id,
      hostId: job.hostId,
      jobId: job.id,
      name: `hosts/${job.hostId}/recommendations/${id}`,
      basis,
      content,
      files,
      state: 'ACTIVE',
      stateMetadata: {},
      version: 1,
      lastRefreshTime: now,
      createdAt: now,
      updatedAt: now,
    };
    await manager.insert(Recommendation, row as QueryDeepPartialEntity<Recommendation>);
    return id;
  }

  /** With its files. @throws ProblemException recommendation-not-found (404) */
  get(id: string): Promise<Recommendation> {
    return this.transactions.read((manager) => this.find(manager, id));
  }

  /** A page of a host's recommendations, with their files' names. */
  list(hostId: string, page: PageQuery): Promise<Page<Recommendation>> {
    return this.transactions.read(async (manager) => {
      if (!(await manager.existsBy(Host, { id: hostId }))) {
        const detail = `No host has the id ${hostId}.`;
        throw new ProblemException('host-not-found', detail, { path: 'hostId' });
      }
      const query = manager.createQueryBuilder(Recommendation, 'recommendation');
      return pageOf(query.addSelect('recommendation.files').where({ hostId }), page);
    });
  }

  /** @throws ProblemException recommendation-not-found (404), stale-etag (412), invalid-state-transition (409) */
  changeState(
    id: string,
    { state, stateMetadata }: StateChange,
    ifMatch: string | undefined,
  ): Promise<Recommendation> {
    return this.transactions.run(async (manager) => {
      const stored = await this.find(manager, id, this.transactions.rowLock);
      requireIfMatch(ifMatch, stored.version);
      this.requireTransition(stored.state, state);
      const change = {
        state,
        stateMetadata: stateMetadata ?? stored.stateMetadata,
        version: stored.version + 1,
        updatedAt: new Date().toISOString(),
      };
      await manager.update(Recommendation, { id }, change);
      return { ...stored, ...change };
    });
  }

  /** @throws ProblemException recommendation-not-found, file-not-found (404) */
  async file(id: string, name: string): Promise<AdviceFile> {
    const { files } = await this.get(id);
    const file = files.find((each) => each.name === name);
    if (file !== undefined) return file;
    const names = files.map((each) => each.name).join(', ') || 'none, nothing is to be changed';
    throw new ProblemException('file-not-found', `The files of this recommendation: ${names}.`, {
      path: 'name',
    });
  }

  private requireTransition(from: RecommendationState, to: RecommendationState): void {
    if (NEXT_STATES[from].includes(to)) return;
    const next = NEXT_STATES[from].join(' or ') || 'nothing';
    throw new ProblemException(
      'invalid-state-transition',
      `The recommendation is ${from}; ${next} may follow, not ${to}.`,
      { path: 'state' },
    );
  }

  private async find(
    manager: EntityManager,
    id: string,
    options: Transactions['rowLock'] = {},
  ): Promise<Recommendation> {
    const query = manager
      .createQueryBuilder(Recommendation, 'recommendation')
      .addSelect('recommendation.files')
      .where({ id });
    if (options.lock !== undefined) query.setLock(options.lock.mode);
    const stored = await query.getOne();
    if (stored === null) throw notFound(id);
    return stored;
  }
}
