import {
  BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  OnApplicationBootstrap,
} from '@nestjs/common';
import type { Problem } from '../http/problem';
import type { WorkOutcome, WorkProgress, WorkTask } from '../work/tasks';
import {
  queueFull,
  WORK_LIMITS,
  WorkAborted,
  WorkLimits,
  WorkPool,
  WorkTimeout,
} from '../work/work-pool';
import { JobEvents } from './job-events';
import { JobKinds, type JobRequest, type JobRequests } from './job-kinds';
import {
  problemOfCrash,
  problemOfExhaustion,
  problemOfTimeout,
  problemOfWork,
} from './job-problems';
import { JobStore } from './job-store';
import type { Job, JobKind } from './job.entity';

/** Progress reaches the database at most this often; listeners hear all of it. */
const PROGRESS_WRITE_MS = 1000;

interface ActiveJob {
  abort: AbortController;
  progress: number;
  message: string | null;
  writtenAt: number;
  writing: boolean;
  done: Promise<void>;
}

/** The row's request has the shape of its kind. */
function taskOf({ kind }: Job, request: JobRequests[JobKind]): WorkTask {
  if (kind === 'plan') return { kind, ...(request as JobRequests['plan']) };
  if (kind === 'headroom') return { kind, ...(request as JobRequests['headroom']) };
  if (kind === 'placement') return { kind, ...(request as JobRequests['placement']) };
  const { simulation, documents } = request as JobRequest;
  return kind === 'simulation'
    ? { kind, request: simulation }
    : { kind, request: simulation, documents };
}

/**
 * Runs jobs in the worker threads, oldest first, as many at a time as there are threads. The database
 * decides what a job's state is; this class only acts on it.
 */
@Injectable()
export class JobRunner implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('Jobs');
  private readonly waiting: string[] = [];
  private readonly active = new Map<string, ActiveJob>();
  /** Jobs that are being stored and will wait. */
  private arriving = 0;
  private stopping = false;

  constructor(
    private readonly store: JobStore,
    private readonly kinds: JobKinds,
    private readonly events: JobEvents,
    private readonly pool: WorkPool,
    @Inject(WORK_LIMITS) private readonly limits: WorkLimits,
  ) {}

  async onApplicationBootstrap(): Promise<void> {
    const left = await this.store.recover(problemOfExhaustion());
    if (left.length > 0) this.logger.log(`${left.length} jobs of an earlier process are run`);
    this.waiting.push(...left);
    this.pump();
  }

  /**
   * Keeps room for a job while `write` stores it: many that are stored at once share the same bounds.
   * @throws ProblemException queue-full (503) when no more jobs may wait
   */
  async withRoom<T>(write: () => Promise<T>): Promise<T> {
    const taken = this.waiting.length + this.arriving;
    if (this.stopping || taken >= this.limits.maxWaiting) throw queueFull();
    this.arriving += 1;
    try {
      return await write();
    } finally {
      this.arriving -= 1;
    }
  }

  enqueue(jobId: string): void {
    this.waiting.push(jobId);
    this.pump();
  }

  /** The latest progress of a job that runs here. */
  progressOf(jobId: string): { progress: number; message: string | null } | null {
    const active = this.active.get(jobId);
    return active === undefined ? null : { progress: active.progress, message: active.message };
  }

  /** Ends a job's work, after the database said that it is cancelled. */
  abort(jobId: string): void {
    const position = this.waiting.indexOf(jobId);
    if (position >= 0) this.waiting.splice(position, 1);
    this.active.get(jobId)?.abort.abort();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.stopping = true;
    this.waiting.length = 0;
    this.events.stop();
    const running = [...this.active];
    for (const [, { abort }] of running) abort.abort();
    await Promise.all(running.map(([, { done }]) => done));
  }

  private pump(): void {
    while (!this.stopping && this.active.size < this.pool.threads) {
      const jobId = this.waiting.shift();
      if (jobId === undefined) return;
      const active: ActiveJob = {
        abort: new AbortController(),
        progress: 0,
        message: null,
        writtenAt: 0,
        writing: false,
        done: Promise.resolve(),
      };
      this.active.set(jobId, active);
      active.done = this.runToEnd(jobId, active);
    }
  }

  private async runToEnd(jobId: string, active: ActiveJob): Promise<void> {
    try {
      await this.run(jobId, active);
    } catch (error) {
      this.logger.error(error);
      await this.fail(jobId, problemOfCrash()).catch((second: unknown) => {
        // The row stays `running`; the next start of the process takes it up again.
        this.logger.error(second);
      });
    } finally {
      this.active.delete(jobId);
      this.pump();
    }
  }

  private async run(jobId: string, active: ActiveJob): Promise<void> {
    if (!(await this.store.start(jobId))) return;
    this.events.publish(jobId, { type: 'state', state: 'running' });
    const [job, request] = [await this.store.find(jobId), await this.store.requestOf(jobId)];
    if (job === null || request === null) {
      this.events.publish(jobId, { type: 'gone' });
      return;
    }
    try {
      const outcome = await this.pool.run(taskOf(job, request), {
        signal: active.abort.signal,
        limitMs: this.limits.jobMs,
        onProgress: (progress) => {
          this.onProgress(jobId, active, progress);
        },
      });
      await this.end(job, request, outcome);
    } catch (error) {
      if (error instanceof WorkAborted) await this.onAbort(jobId);
      else if (error instanceof WorkTimeout) {
        await this.fail(jobId, problemOfTimeout(this.limits.jobMs));
      } else throw error;
    }
  }

  private async end(job: Job, request: JobRequests[JobKind], outcome: WorkOutcome): Promise<void> {
    if (!outcome.ok) {
      if (outcome.error.kind === 'internal') {
        this.logger.error(`job ${job.id}: ${outcome.error.code}: ${outcome.error.message}`);
      }
      await this.fail(job.id, problemOfWork(outcome.error, job.kind));
      return;
    }
    // The worker answers in the shape of the task's kind, which is the job's.
    const results = this.kinds.resultsOf(job.kind) as {
      store: (...given: unknown[]) => Promise<string>;
    };
    const stored = await this.store.succeed(job.id, (manager) =>
      results.store(manager, job, request, outcome.value),
    );
    if (stored) this.events.publish(job.id, { type: 'state', state: 'succeeded' });
    else await this.onAbort(job.id);
  }

  private async fail(jobId: string, problem: Problem): Promise<void> {
    if (await this.store.fail(jobId, problem)) {
      this.events.publish(jobId, { type: 'state', state: 'failed' });
    }
  }

  /** The work ended early: the process stops, the job was cancelled, or its host was deleted. */
  private async onAbort(jobId: string): Promise<void> {
    if (this.stopping) await this.store.release(jobId);
    else if ((await this.store.find(jobId)) === null) this.events.publish(jobId, { type: 'gone' });
  }

  private onProgress(jobId: string, active: ActiveJob, { fraction, message }: WorkProgress): void {
    if (fraction <= active.progress || active.abort.signal.aborted) return;
    active.progress = fraction;
    active.message = message;
    this.events.publish(jobId, { type: 'progress', progress: fraction, message });
    const now = performance.now();
    if (active.writing || now - active.writtenAt < PROGRESS_WRITE_MS) return;
    active.writing = true;
    active.writtenAt = now;
    this.store
      .progress(jobId, fraction, message)
      .then((running) => {
        if (!running) active.abort.abort();
      })
      .catch((error: unknown) => {
        this.logger.warn(`progress of job ${jobId} was not written: ${String(error)}`);
      })
      .finally(() => {
        active.writing = false;
      });
  }
}
