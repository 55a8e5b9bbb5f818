import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import { isForeignKeyViolation, Transactions } from '../database/transactions';
import { Page, PageQuery, pageOf } from '../http/cursor';
import { ProblemException } from '../http/problem';
import { IdempotencyKeys } from '../work/idempotency-keys';
import { JobEvents } from './job-events';
import type { JobOf, JobRequests } from './job-kinds';
import { accepted } from './job.dto';
import { JobRunner } from './job-runner';
import { JobStore } from './job-store';
import { isFinal, Job, JobKind, JobState } from './job.entity';

/** A job that is not there (any more). */
export const jobNotFound = (id: string): ProblemException =>
  new ProblemException('job-not-found', `No job has the id ${id}.`, { path: 'jobId' });

/** Accepts jobs, finds them, waits for them and takes them back. */
@Injectable()
export class JobsService {
  constructor(
    private readonly transactions: Transactions,
    private readonly store: JobStore,
    private readonly runner: JobRunner,
    private readonly events: JobEvents,
    private readonly keys: IdempotencyKeys,
  ) {}

  /**
   * Writes the job down, and with it that the request's Idempotency-Key has one; then starts it. When this resolves
   * the job survives a crash.
   * @throws ProblemException queue-full (503), host-not-found (404), idempotency-key-in-use (409)
   */
  async submit<K extends JobKind>(
    kind: K,
    hostId: JobOf<K>['hostId'],
    request: JobRequests[K],
  ): Promise<Job> {
    const now = new Date().toISOString();
    const job: Job = {
      id: randomUUID(),
      kind,
      hostId,
      state: 'queued',
      progress: 0,
      message: null,
      request,
      resultId: null,
      error: null,
      attempts: 0,
      processNumber: null,
      createdAt: now,
      updatedAt: now,
      startedAt: null,
      finishedAt: null,
    };
    try {
      await this.runner.withRoom(() =>
        this.transactions.run(async (manager) => {
          await manager.insert(Job, job);
          await this.keys.record(manager, () => accepted(job));
        }),
      );
    } catch (error) {
      if (!isForeignKeyViolation(error)) throw error;
      const detail = `No host has the id ${String(hostId)}.`;
      throw new ProblemException('host-not-found', detail, { path: 'hostId' });
    }
    this.runner.enqueue(job.id);
    return job;
  }

  /** @throws ProblemException job-not-found (404) */
  async get(id: string): Promise<Job> {
    const job = await this.store.find(id);
    if (job === null) throw jobNotFound(id);
    const live = job.state === 'running' ? this.runner.progressOf(id) : null;
    return live === null ? job : { ...job, ...live };
  }

  list(page: PageQuery, filter: { hostId?: string; state?: JobState }): Promise<Page<Job>> {
    return this.transactions.read((manager) => {
      const query = manager.createQueryBuilder(Job, 'job');
      if (filter.hostId !== undefined) query.andWhere({ hostId: filter.hostId });
      if (filter.state !== undefined) query.andWhere({ state: filter.state });
      return pageOf(query, page);
    });
  }

  /** @throws ProblemException job-not-found (404), job-final (409) */
  async cancel(id: string): Promise<Job> {
    if (await this.store.cancel(id)) {
      this.runner.abort(id);
      this.events.publish(id, { type: 'state', state: 'cancelled' });
      return this.get(id);
    }
    const { state } = await this.get(id);
    throw new ProblemException('job-final', `The job is already ${state}; nothing was cancelled.`, {
      path: 'jobId',
    });
  }

  /**
   * Waits for the job's end.
   * @returns the job as it then is: not final when the time ran out, `signal` fired or the process stops
   */
  async waitForEnd(id: string, seconds: number, signal: AbortSignal): Promise<Job> {
    let unsubscribe = (): void => undefined;
    let timer: NodeJS.Timeout | undefined;
    // Listening begins before the state is read, so that an end in between is not missed.
    const ended = new Promise<void>((resolve) => {
      unsubscribe = this.events.subscribe(id, (event) => {
        if (event.type !== 'progress' && !(event.type === 'state' && !isFinal(event.state))) {
          resolve();
        }
      });
      timer = setTimeout(resolve, seconds * 1000);
      signal.addEventListener('abort', () => {
        resolve();
      });
    });
    try {
      const job = await this.get(id);
      if (isFinal(job.state)) return job;
      await ended;
      return await this.get(id);
    } finally {
      clearTimeout(timer);
      unsubscribe();
    }
  }
}
