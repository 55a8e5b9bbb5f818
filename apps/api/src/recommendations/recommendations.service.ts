import { randomUUID } from 'node:crypto';
import { Injectable, OnModuleInit } from '@nestjs/common';
import type { EntityManager, QueryDeepPartialEntity } from 'typeorm';
import { AdvisorInputError, checkAdvisable } from '@zonewise/advisor';
import type { AdviceRequest, Risk } from '@zonewise/advisor';
import { Domain } from '../database/entities/domain.entity';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import { Host } from '../database/entities/host.entity';
import { Transactions } from '../database/transactions';
import { Page, pageOf } from '../http/cursor';
import { demandIfMatch } from '../http/etag';
import { ProblemException } from '../http/problem';
import { JobKinds, JobOf, JobRequest, JobResults, ResultBasis } from '../jobs/job-kinds';
import { JobRequestBuilder, ReplayAsk } from '../jobs/job-request.builder';
import type { Job } from '../jobs/job.entity';
import { JobsService } from '../jobs/jobs.service';
import type { AdviceFile, RecommendationOutput } from '../work/tasks';
import { driftRisks } from './drift';
import type { RecommendationQuery } from './recommendation.dto';
import {
  EXCLUDING_STATES,
  NEXT_STATES,
  Recommendation,
  RecommendationState,
} from './recommendation.entity';

const notFound = (id: string): ProblemException =>
  new ProblemException('recommendation-not-found', `No recommendation has the id ${id}.`, {
    path: 'recommendationId',
  });

export interface Drift {
  /** The snapshot that the advice rests on; null where an earlier release computed it. */
  taken: HostSnapshot | null;
  latest: HostSnapshot;
  /** Domains that are not any more what the advice was computed for. */
  changedDomains: string[];
}

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

  /** @throws ProblemException advice-not-possible (422), and as {@link JobRequestBuilder.build} and {@link JobsService.submit} */
  async submit(hostId: string, ask: ReplayAsk): Promise<Job> {
    const request = await this.requests.build(hostId, ask);
    requireAdvisable(request.simulation);
    return this.jobs.submit('recommendation', hostId, request);
  }

  async store(
    manager: EntityManager,
    job: JobOf<'recommendation'>,
    { basis }: JobRequest,
    { advice, alternatives }: RecommendationOutput,
  ): Promise<string> {
    const now = new Date().toISOString();
    const xorGroupId = alternatives.length > 0 ? randomUUID() : null;
    const drift = await this.driftOf(manager, job.hostId, basis, now);
    const rows = [advice, ...alternatives].map(
      ({ content: computed, files }, i): Recommendation => {
        const id = randomUUID();
        const { evidence } = computed;
        const content = {
          ...computed,
          evidence: { ...evidence, risks: [...evidence.risks, ...drift] },
        };
        return {
          ...{ id, hostId: job.hostId, jobId: job.id, xorGroupId },
          name: `hosts/${job.hostId}/recommendations/${id}`,
          ...{ basis, content, files, state: 'ACTIVE', stateMetadata: {}, version: 1 },
          // A millisecond apart: lists go by time, and the best comes first.
          createdAt: new Date(Date.parse(now) + i).toISOString(),
          ...{ lastRefreshTime: now, updatedAt: now },
        };
      },
    );
    for (const row of rows) {
      await manager.insert(Recommendation, row as QueryDeepPartialEntity<Recommendation>);
    }
    return rows[0]!.id;
  }

  private async driftOf(
    manager: EntityManager,
    hostId: string,
    { snapshot }: ResultBasis,
    now: string,
  ): Promise<Risk[]> {
    if (snapshot === undefined) return [];
    const at = (number: number): Promise<HostSnapshot | null> =>
      manager.findOne(HostSnapshot, { where: { hostId, number } });
    const taken = await at(snapshot.number);
    return taken === null ? [] : driftRisks(taken, await at(snapshot.number - 1), now);
  }

  /**
   * What changed on the host since the snapshot that a recommendation rests on.
   * @throws ProblemException recommendation-not-found (404)
   */
  drift(id: string): Promise<Drift> {
    return this.transactions.read(async (manager) => {
      const { hostId, basis } = await this.find(manager, id);
      const latest = await manager.findOneOrFail(HostSnapshot, {
        where: { hostId },
        order: { number: 'DESC' },
      });
      const number = basis.snapshot?.number;
      const taken =
        number === undefined
          ? null
          : await manager.findOne(HostSnapshot, { where: { hostId, number } });
      const domains = await manager.find(Domain, {
        select: { id: true, name: true, version: true },
        where: { hostId },
      });
      const changed = basis.domains.filter(
        ({ name, version }) => domains.find((one) => one.name === name)?.version !== version,
      );
      return { taken, latest, changedDomains: changed.map(({ name }) => name) };
    });
  }

  /** With its files. @throws ProblemException recommendation-not-found (404) */
  get(id: string): Promise<Recommendation> {
    return this.transactions.read((manager) => this.find(manager, id));
  }

  /** A page of a host's recommendations, with their files' names. */
  list(
    hostId: string,
    { state, xorGroupId, ...page }: RecommendationQuery,
  ): Promise<Page<Recommendation>> {
    return this.transactions.read(async (manager) => {
      if (!(await manager.existsBy(Host, { id: hostId }))) {
        const detail = `No host has the id ${hostId}.`;
        throw new ProblemException('host-not-found', detail, { path: 'hostId' });
      }
      const query = manager
        .createQueryBuilder(Recommendation, 'recommendation')
        .addSelect('recommendation.files')
        .where({
          hostId,
          ...(state === undefined ? {} : { state }),
          ...(xorGroupId === undefined ? {} : { xorGroupId }),
        });
      return pageOf(query, page);
    });
  }

  /**
   * @throws ProblemException recommendation-not-found (404), if-match-required (428), stale-etag (412),
   *   invalid-state-transition, alternative-claimed (409)
   */
  changeState(
    id: string,
    { state, stateMetadata }: StateChange,
    ifMatch: string | undefined,
  ): Promise<Recommendation> {
    return this.transactions.run(async (manager) => {
      const group = state === 'CLAIMED' ? await this.lockGroup(manager, id) : [];
      const stored = await this.find(manager, id, this.transactions.rowLock);
      demandIfMatch(ifMatch, stored.version);
      this.requireTransition(stored.state, state);
      requireUnclaimed(group, id);
      return this.moveTo(manager, stored, state, stateMetadata);
    });
  }

  /** Writes the state and nothing else: content, evidence and files never change. The caller holds the row. */
  async moveTo(
    manager: EntityManager,
    stored: Recommendation,
    state: RecommendationState,
    stateMetadata = stored.stateMetadata,
  ): Promise<Recommendation> {
    const updatedAt = new Date().toISOString();
    const change = { state, stateMetadata, version: stored.version + 1, updatedAt };
    await manager.update(Recommendation, { id: stored.id }, change);
    return { ...stored, ...change };
  }

  /**
   * The recommendations that exclude each other with this one, itself among them, locked in one order: two claims
   * at the same time cannot cross.
   */
  private async lockGroup(manager: EntityManager, id: string): Promise<Recommendation[]> {
    const { xorGroupId } = await this.find(manager, id);
    if (xorGroupId === null) return [];
    return manager.find(Recommendation, {
      where: { xorGroupId },
      select: { id: true, state: true },
      order: { id: 'ASC' },
      ...this.transactions.rowLock,
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

  /** @throws ProblemException recommendation-not-found (404) */
  async find(
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

/** Codes of requests that are well-formed, but that no advice can answer. */
const NOT_POSSIBLE: readonly string[] = [
  'no-guests',
  'no-nodes',
  'kernel-not-modelled',
  'contradictory-constraints',
];

/** @throws ProblemException advice-not-possible, invalid-simulation-request (422) */
function requireAdvisable(request: AdviceRequest): void {
  try {
    checkAdvisable(request);
  } catch (error) {
    if (!(error instanceof AdvisorInputError)) throw error;
    const { code, path, message } = error;
    const impossible = NOT_POSSIBLE.includes(code);
    throw new ProblemException(
      impossible ? 'advice-not-possible' : 'invalid-simulation-request',
      message,
      { errors: [{ code, path, message }] },
    );
  }
}

/** @throws ProblemException alternative-claimed (409) */
function requireUnclaimed(group: Recommendation[], id: string): void {
  const other = group.find((one) => one.id !== id && EXCLUDING_STATES.includes(one.state));
  if (other === undefined) return;
  throw new ProblemException(
    'alternative-claimed',
    `${other.id} of the same group is ${other.state}; it and this recommendation exclude each other.`,
    { path: 'state' },
  );
}
