import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Transactions } from '../database/transactions';
import type { Problem } from '../http/problem';
import type { JobRequests } from './job-kinds';
import { Job, type JobKind, JobState } from './job.entity';

/** Starts of a job, after which a crash is taken for its own fault. */
export const MAX_ATTEMPTS = 3;

const now = (): string => new Date().toISOString();

/**
 * The job state machine in the database: queued -> running -> succeeded | failed, and cancelled from
 * queued or running. Every step names the state that it leaves, so that of two that race one wins.
 */
@Injectable()
export class JobStore {
  constructor(private readonly transactions: Transactions) {}

  find(id: string): Promise<Job | null> {
    return this.transactions.read((manager) => manager.findOneBy(Job, { id }));
  }

  async requestOf(id: string): Promise<JobRequests[JobKind] | null> {
    const job = await this.transactions.read((manager) =>
      manager.findOne(Job, { where: { id }, select: { id: true, request: true } }),
    );
    return job?.request ?? null;
  }

  /** @returns whether it was queued and is now this process's to run */
  start(id: string): Promise<boolean> {
    return this.transactions.run(async (manager) => {
      const result = await manager
        .createQueryBuilder()
        .update(Job)
        .set({
          state: 'running',
          attempts: () => 'attempts + 1',
          startedAt: now(),
          updatedAt: now(),
        })
        .where({ id, state: 'queued' })
        .execute();
      return result.affected === 1;
    });
  }

  /** @returns whether it is still running; a job that is not must not go on */
  progress(id: string, progress: number, message: string): Promise<boolean> {
    return this.transactions.run((manager) =>
      this.move(manager, id, ['running'], { progress, message }),
    );
  }

  /**
   * Stores the result and ends the job, both or neither.
   * @returns whether it was still running
   */
  succeed(id: string, store: (manager: EntityManager) => Promise<string>): Promise<boolean> {
    return this.transactions.run(async (manager) => {
      const end = { state: 'succeeded' as const, progress: 1, message: null, finishedAt: now() };
      if (!(await this.move(manager, id, ['running'], end))) return false;
      const resultId = await store(manager);
      await manager.update(Job, { id }, { resultId });
      return true;
    });
  }

  fail(id: string, error: Problem): Promise<boolean> {
    return this.transactions.run((manager) =>
      this.move(manager, id, ['running'], { state: 'failed', error, finishedAt: now() }),
    );
  }

  /** @returns whether it had not ended before */
  cancel(id: string): Promise<boolean> {
    return this.transactions.run((manager) =>
      this.move(manager, id, ['queued', 'running'], { state: 'cancelled', finishedAt: now() }),
    );
  }

  /** Puts a running job back without counting the attempt: the process was asked to stop. */
  release(id: string): Promise<void> {
    return this.transactions.run(async (manager) => {
      await manager
        .createQueryBuilder()
        .update(Job)
        .set({ state: 'queued', progress: 0, attempts: () => 'attempts - 1', updatedAt: now() })
        .where({ id, state: 'running' })
        .execute();
    });
  }

  /**
   * Takes up what an earlier process left: running jobs are queued again, those that were begun
   * {@link MAX_ATTEMPTS} times fail.
   * @returns the queued jobs, oldest first
   */
  recover(exhausted: Problem): Promise<string[]> {
    return this.transactions.run(async (manager) => {
      const left = await manager.find(Job, {
        where: [{ state: 'running' }, { state: 'queued' }],
        order: { createdAt: 'ASC', id: 'ASC' },
      });
      const again: string[] = [];
      for (const { id, state, attempts } of left) {
        if (state === 'running' && attempts >= MAX_ATTEMPTS) {
          const end = { state: 'failed' as const, error: exhausted, finishedAt: now() };
          await this.move(manager, id, ['running'], end);
          continue;
        }
        const back = { state: 'queued' as const, progress: 0, message: null };
        if (state === 'running') await this.move(manager, id, ['running'], back);
        again.push(id);
      }
      return again;
    });
  }

  private async move(
    manager: EntityManager,
    id: string,
    leaving: JobState[],
    change: Partial<Pick<Job, 'state' | 'progress' | 'message' | 'error' | 'finishedAt'>>,
  ): Promise<boolean> {
    const result = await manager
      .createQueryBuilder()
      .update(Job)
      .set({ ...change, updatedAt: now() })
      .where('id = :id AND state IN (:...leaving)', { id, leaving })
      .execute();
    return result.affected === 1;
  }
}
