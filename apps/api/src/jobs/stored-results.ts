import { randomUUID } from 'node:crypto';
import { Injectable } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Transactions } from '../database/transactions';
import { ProblemException } from '../http/problem';
import type { ProblemCode } from '../http/problem-codes';
import type { WorkOutputs } from '../work/tasks';
import { JobResult } from './job-result.entity';
import type { Job } from './job.entity';

type StoredKind = 'plan' | 'headroom' | 'placement';

const WORDS: Record<StoredKind, { code: ProblemCode; name: string }> = {
  plan: { code: 'verdict-not-found', name: 'verdict' },
  headroom: { code: 'headroom-not-found', name: 'headroom' },
  placement: { code: 'placement-not-found', name: 'placement' },
};

/** Answers of jobs that are about no stored host, kept as the workers gave them. */
@Injectable()
export class StoredResults {
  constructor(private readonly transactions: Transactions) {}

  /** @returns the id under which `get` has it */
  async store(manager: EntityManager, { id: jobId, kind }: Job, content: unknown): Promise<string> {
    const id = randomUUID();
    const createdAt = new Date().toISOString();
    await manager.insert(JobResult, { id, jobId, kind, content: content as object, createdAt });
    return id;
  }

  /** @throws ProblemException 404, in the words of the kind */
  async get<K extends StoredKind>(kind: K, id: string): Promise<WorkOutputs[K]> {
    const found = await this.transactions.read((manager) =>
      manager.findOneBy(JobResult, { id, kind }),
    );
    if (found === null) throw notFound(kind, id);
    return found.content as WorkOutputs[K];
  }

  /** @throws ProblemException 404, in the words of the kind */
  async remove(kind: StoredKind, id: string): Promise<void> {
    const isRemoved = await this.transactions.run(async (manager) => {
      const { affected } = await manager.delete(JobResult, { id, kind });
      return affected === 1;
    });
    if (!isRemoved) throw notFound(kind, id);
  }
}

function notFound(kind: StoredKind, id: string): ProblemException {
  const { code, name } = WORDS[kind];
  return new ProblemException(code, `No ${name} has the id ${id}.`, { path: `${name}Id` });
}
