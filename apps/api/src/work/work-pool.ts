import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { MessageChannel } from 'node:worker_threads';
import { BeforeApplicationShutdown, Inject, Injectable } from '@nestjs/common';
import { Piscina } from 'piscina';
import { SETTINGS, Settings } from '../config/settings';
import { ProblemException } from '../http/problem';
import type { WorkKind, WorkMessage, WorkOutcome, WorkProgress, WorkTask } from './tasks';
import { isBuilt, threadEntry } from './thread-entry';

/** Bounds of the work that one process takes on. */
export interface WorkLimits {
  /** Jobs and plan checks that may wait for a thread. */
  maxWaiting: number;
  jobMs: number;
  planMs: number;
  /** How often a process looks what others that serve the same database have done, and left. */
  pollMs: number;
  /** Heap of a worker thread; a replay that needs more fails instead of starving the process. */
  workerHeapMib: number;
}

/** Dependency injection token of {@link WorkLimits}. */
export const WORK_LIMITS = Symbol('WORK_LIMITS');
export const DEFAULT_WORK_LIMITS: WorkLimits = {
  maxWaiting: 100,
  jobMs: 15 * 60 * 1000,
  planMs: 60 * 1000,
  pollMs: 1000,
  workerHeapMib: 2048,
};

/** Seconds after which a refused caller may try again. */
export const RETRY_AFTER_SECONDS = 5;

/** The caller took the task back, or the process is stopping. */
export class WorkAborted extends Error {}
/** The task ran longer than its limit. */
export class WorkTimeout extends Error {}

export interface RunOptions {
  signal: AbortSignal;
  limitMs: number;
  onProgress?: (progress: WorkProgress) => void;
}

/** @returns the 503 that answers work beyond the bounds */
export function queueFull(): ProblemException {
  return new ProblemException(
    'queue-full',
    `As much work is waiting as this process takes on; try again in ${RETRY_AFTER_SECONDS} seconds.`,
    { headers: { 'Retry-After': String(RETRY_AFTER_SECONDS) } },
  );
}

/** Worker threads for everything that computes: the event loop only carries messages. */
@Injectable()
export class WorkPool implements BeforeApplicationShutdown {
  readonly threads: number;
  private readonly replayThreads: number;
  private readonly pool: Piscina<WorkMessage, WorkOutcome>;

  constructor(
    @Inject(SETTINGS) settings: Settings,
    @Inject(WORK_LIMITS) private readonly limits: WorkLimits,
  ) {
    this.threads = settings.workers ?? Math.max(1, availableParallelism() - 1);
    this.replayThreads = settings.workers ?? availableParallelism();
    const entry = threadEntry(join(__dirname, 'worker'));
    this.pool = new Piscina<WorkMessage, WorkOutcome>({
      ...entry,
      // One thread is kept: it has its modules, and its hot functions are compiled from the task before. From the sources
      // a thread takes seconds to start, so there it waits for work.
      minThreads: isBuilt(entry) ? 1 : 0,
      maxThreads: this.threads,
      idleTimeout: 60_000,
      maxQueue: limits.maxWaiting,
      concurrentTasksPerWorker: 1,
      resourceLimits: { maxOldGenerationSizeMb: limits.workerHeapMib },
    });
  }

  /**
   * Runs a task in a thread of its own; ending it early ends the thread.
   * @throws WorkAborted after `signal`
   * @throws WorkTimeout after `limitMs`, waiting for a thread included
   * @throws ProblemException queue-full (503)
   */
  async run<K extends WorkKind>(
    task: WorkTask & { kind: K },
    { signal, limitMs, onProgress }: RunOptions,
  ): Promise<WorkOutcome<K>> {
    if (this.pool.queueSize >= this.limits.maxWaiting) throw queueFull();
    const { port1, port2 } = new MessageChannel();
    if (onProgress !== undefined) port1.on('message', onProgress);
    const limit = new AbortController();
    const timer = setTimeout(() => {
      limit.abort();
    }, limitMs);
    try {
      const outcome = await this.pool.run(
        { task, port: port2, threads: this.replayThreads },
        { transferList: [port2], signal: AbortSignal.any([signal, limit.signal]) },
      );
      return outcome as WorkOutcome<K>;
    } catch (error) {
      if (signal.aborted) throw new WorkAborted('The task was taken back.');
      if (limit.signal.aborted) throw new WorkTimeout(`The task took longer than ${limitMs} ms.`);
      throw error;
    } finally {
      clearTimeout(timer);
      port1.close();
    }
  }

  async beforeApplicationShutdown(): Promise<void> {
    await this.pool.destroy();
  }
}
