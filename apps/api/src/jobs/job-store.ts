import { Injectable } from '@nestjs/common';
import { type EntityManager, In, IsNull } from 'typeorm';
import type { QueryDeepPartialEntity } from 'typeorm/query-builder/QueryPartialEntity';
import { Presence } from '../database/presence';
import { Transactions } from '../database/transactions';
import type { Problem } from '../http/problem';
import type { JobRequests } from './job-kinds';
import { Job, type JobKind } from './job.entity';

/** Starts of a job, after which a crash is taken for its own fault. */
export const MAX_ATTEMPTS = 3;

const now = (): string => new Date().toISOString();

/** What the row says of a job's course. */
export type JobStanding = Pick<Job, 'id' | 'state' | 'progress' | 'message' | 'processNumber'>;

/** A job that a process has taken. What it writes holds only as long as the job is still its own. */
export interface Claim {
  jobId: string;
  processNumber: number;
}

/**
 * The job state machine in the database: queued -> running -> succeeded | failed, and cancelled from
 * queued or running. Every step names the state that it leaves, and from `running` also the process that it
 * leaves, so that of two that race one wins.
 */
@Injectable()
export class JobStore {
  constructor(
    private readonly transactions: Transactions,
    private readonly presence: Presence,
  ) {}

  find(id: string): Promise<Job | null> {
    return this.transactions.read((manager) => manager.findOneBy(Job, { id }));
  }

  async requestOf(id: string): Promise<JobRequests[JobKind] | null> {
    const job = await this.transactions.read((manager) =>
      manager.findOne(Job, { where: { id }, select: { id: true, request: true } }),
    );
    return job?.request ?? null;
  }

  /** @returns null when it is not queued (any more): of several processes one takes it */
  start(id: string): Promise<Claim | null> {
    const { number: processNumber } = this.presence;
    return this.transactions.run(async (manager) => {
      const result = await manager
        .createQueryBuilder()
        .update(Job)
        .set({
          state: 'running',
          processNumber,
          attempts: () => 'attempts + 1',
          startedAt: now(),
          updatedAt: now(),
        })
        .where({ id, state: 'queued' })
        .execute();
      return result.affected === 1 ? { jobId: id, processNumber } : null;
    });
  }

  /** @returns whether it is still running; a job that is not must not go on */
  progress(claim: Claim, progress: number, message: string): Promise<boolean> {
    return this.transactions.run((manager) => this.leave(manager, claim, { progress, message }));
  }

  /**
   * Stores the result and ends the job, both or neither.
   * @returns whether it was still running
   */
  succeed(claim: Claim, store: (manager: EntityManager) => Promise<string>): Promise<boolean> {
    return this.transactions.run(async (manager) => {
      const end = { state: 'succeeded' as const, progress: 1, message: null, finishedAt: now() };
      if (!(await this.leave(manager, claim, end))) return false;
      const resultId = await store(manager);
      await manager.update(Job, { id: claim.jobId }, { resultId });
      return true;
    });
  }

  fail(claim: Claim, error: Problem): Promise<boolean> {
    const end = { state: 'failed' as const, error, finishedAt: now() };
    return this.transactions.run((manager) => this.leave(manager, claim, end));
  }

  /** @returns whether it had not ended before */
  cancel(id: string): Promise<boolean> {
    return this.transactions.run(async (manager) => {
      const result = await manager
        .createQueryBuilder()
        .update(Job)
        .set({ state: 'cancelled', finishedAt: now(), updatedAt: now() })
        .where('id = :id AND state IN (:...leaving)', { id, leaving: ['queued', 'running'] })
        .execute();
      return result.affected === 1;
    });
  }

  /** Puts a running job back without counting the attempt: the process was asked to stop. */
  async release(claim: Claim): Promise<void> {
    const back = { state: 'queued' as const, progress: 0, attempts: () => 'attempts - 1' };
    await this.transactions.run((manager) => this.leave(manager, claim, back));
  }

  /**
   * Takes up what processes left that have ended: running jobs are queued again, those that were begun
   * {@link MAX_ATTEMPTS} times fail.
   * @returns how many were queued again or failed
   */
  async recover(exhausted: Problem): Promise<number> {
    const running = await this.transactions.read((manager) =>
      manager.find(Job, {
        where: { state: 'running' },
        select: { id: true, attempts: true, processNumber: true },
      }),
    );
    if (running.length === 0) return 0;
    const hasEnded = await this.presence.ended();
    const left = running.filter(({ processNumber }) => hasEnded(processNumber));
    let taken = 0;
    for (const { id: jobId, attempts, processNumber } of left) {
      const change =
        attempts >= MAX_ATTEMPTS
          ? { state: 'failed' as const, error: exhausted, finishedAt: now() }
          : { state: 'queued' as const, progress: 0, message: null };
      const isMoved = await this.transactions.run((manager) =>
        this.leave(manager, { jobId, processNumber }, change),
      );
      if (isMoved) taken += 1;
    }
    return taken;
  }

  /** Jobs that nobody has taken, oldest first. */
  async queued(limit?: number): Promise<string[]> {
    const jobs = await this.transactions.read((manager) =>
      manager.find(Job, {
        where: { state: 'queued' },
        order: { createdAt: 'ASC', id: 'ASC' },
        select: { id: true },
        take: limit,
      }),
    );
    return jobs.map(({ id }) => id);
  }

  /** What stands about jobs now; those that are gone are not among them. */
  async statesOf(ids: string[]): Promise<JobStanding[]> {
    if (ids.length === 0) return [];
    return this.transactions.read((manager) =>
      manager.find(Job, {
        where: { id: In(ids) },
        select: { id: true, state: true, progress: true, message: true, processNumber: true },
      }),
    );
  }

  /** Moves a running job on if it is still of the process of the claim. */
  private async leave(
    manager: EntityManager,
    { jobId, processNumber }: { jobId: string; processNumber: number | null },
    change: Omit<QueryDeepPartialEntity<Job>, 'host'>,
  ): Promise<boolean> {
    const owner = processNumber === null ? IsNull() : processNumber;
    const result = await manager
      .createQueryBuilder()
      .update(Job)
      .set({ ...change, updatedAt: now() })
      .where({ id: jobId, state: 'running', processNumber: owner })
      .execute();
    return result.affected === 1;
  }
}
