import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Transactions } from '../database/transactions';
import type { WorkOutputs } from '../work/tasks';
import { JobResult } from './job-result.entity';
import type { Job, JobKind } from './job.entity';

/** Answers of jobs that are about no stored host, kept as the workers gave them. */
@Injectable()
export class StoredResults {
  constructor(private readonly transactions: Transactions) {}

  /** @returns the id under which `find` has it */
  async store(manager: EntityManager, { id: jobId, kind }: Job, content: unknown): Promise<string> {
    const id = randomUUID();
    const createdAt = new Date().toISOString();
    await manager.insert(JobResult, { id, jobId, kind, content: content as object, createdAt });
    return id;
  }

  async find<K extends JobKind>(kind: K, id: string): Promise<WorkOutputs[K] | null> {
    const found = await this.transactions.read((manager) =>
      manager.findOneBy(JobResult, { id, kind }),
    );
    return found === null ? null : (found.content as WorkOutputs[K]);
  }

  /** @returns whether it was there */
  remove(kind: JobKind, id: string): Promise<boolean> {
    return this.transactions.run(async (manager) => {
      const { affected } = await manager.delete(JobResult, { id, kind });
      return affected === 1;
    });
  }
}
