import { join } from 'node:path';
import { BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import type { Collection } from '@zonewise/host-facts';
import { Piscina } from 'piscina';
import { ProblemException } from '../http/problem';
import { threadEntry } from '../work/thread-entry';
import { queueFull } from '../work/work-pool';
import { ARCHIVE_LIMITS, type ArchiveLimits } from './archive';
import type { ArchiveOutcome, ArchiveTask } from './archive-thread';

export interface ReaderLimits extends ArchiveLimits {
  /** How long an archive may take, waiting for those before it included. */
  timeMs: number;
  /** Archives that may wait. */
  maxWaiting: number;
}

/** Dependency injection token of {@link ReaderLimits}. */
export const READER_LIMITS = Symbol('READER_LIMITS');
export const DEFAULT_READER_LIMITS: ReaderLimits = {
  ...ARCHIVE_LIMITS,
  timeMs: 60_000,
  maxWaiting: 8,
};

/**
 * Reads archives in a thread of its own, one after the other: unpacking half a gigabyte takes seconds in which
 * nobody else would be answered, and a thread can be ended.
 */
@Injectable()
export class ArchiveReader implements BeforeApplicationShutdown {
  private readonly pool: Piscina<ArchiveTask, ArchiveOutcome>;

  constructor(@Inject(READER_LIMITS) private readonly limits: ReaderLimits) {
    this.pool = new Piscina<ArchiveTask, ArchiveOutcome>({
      ...threadEntry(join(__dirname, 'archive-thread')),
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: 10_000,
      maxQueue: limits.maxWaiting,
    });
  }

  /** @throws ProblemException malformed-archive, queue-full (503) */
  async read(body: Buffer): Promise<Collection> {
    if (this.pool.queueSize >= this.limits.maxWaiting) throw queueFull();
    const signal = AbortSignal.timeout(this.limits.timeMs);
    const outcome = await this.outcomeOf(body, signal);
    if (outcome.ok) return outcome.collection;
    throw new ProblemException('malformed-archive', `The archive is refused: ${outcome.reason}.`, {
      path: 'archive',
    });
  }

  private async outcomeOf(body: Buffer, signal: AbortSignal): Promise<ArchiveOutcome> {
    const { timeMs, ...limits } = this.limits;
    try {
      return await this.pool.run({ body, limits }, { signal });
    } catch (error) {
      if (signal.aborted) return { ok: false, reason: `it takes longer than ${timeMs} ms to read` };
      throw error;
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.pool.destroy();
  }
}
