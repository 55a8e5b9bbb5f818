import { Inject, Injectable, Logger, OnApplicationBootstrap } from '@nestjs/common';
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
import { type Claim, JobStore } from './job-store';
import type { Job, JobKind } from './job.entity';

/** Progress reaches the database at most this often; listeners hear all of it. */
const PROGRESS_WRITE_MS = 1000;

interface ActiveJob {
  /** null until the database gave the job to this process. */
  claim: Claim | null;
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
 * decides what a job's state is and which process runs it; this class only acts on it.
 */
@Injectable()
export class JobRunner implements OnApplicationBootstrap {
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
    await this.recover();
    this.waiting.push(...(await this.store.queued()));
    this.pump();
  }

  /** Queues what ended processes left running. */
  async recover(): Promise<void> {
    const left = await this.store.recover(problemOfExhaustion());
    if (left > 0) this.logger.log(`${left} jobs of a process that has ended are taken up`);
  }

  /**
   * Makes up for what other processes did: forgets waiting jobs that they took, ends work that is no longer this
   * process's, and where a thread is idle takes the oldest that waits, whoever accepted it.
   */
  async catchUp(): Promise<void> {
    // What begins while the rows are read is not held against them.
    const working = [...this.active].filter(([, { claim }]) => claim !== null);
    const waiting = [...this.waiting];
    const ids = [...waiting, ...working.map(([jobId]) => jobId)];
    const standing = new Map((await this.store.statesOf(ids)).map((job) => [job.id, job]));
    for (const [jobId, { abort, claim }] of working) {
      const job = standing.get(jobId);
      const isOurs = job?.state === 'running' && job.processNumber === claim?.processNumber;
      if (!isOurs) abort.abort();
    }
    for (const jobId of waiting) if (standing.get(jobId)?.state !== 'queued') this.forget(jobId);
    const idle = this.pool.threads - this.active.size - this.waiting.length;
    if (idle <= 0 || this.stopping) return;
    const queued = await this.store.queued(this.pool.threads);
    const known = new Set([...this.waiting, ...this.active.keys()]);
    this.waiting.push(...queued.filter((jobId) => !known.has(jobId)));
    this.pump();
  }

  /** Ends all work: the others have taken this process for ended. */
  abortAll(): void {
    for (const { abort } of this.active.values()) abort.abort();
  }

  /** Whether the job's work is under way in this process. */
  runs(jobId: string): boolean {
    return this.active.has(jobId);
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
    this.forget(jobId);
    this.active.get(jobId)?.abort.abort();
  }

  private forget(jobId: string): void {
    const position = this.waiting.indexOf(jobId);
    if (position >= 0) this.waiting.splice(position, 1);
  }

  /** Ends the work and puts its jobs back. */
  async stop(): Promise<void> {
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
        claim: null,
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
      const { claim } = active;
      if (claim === null) return;
      await this.fail(claim, problemOfCrash()).catch((second: unknown) => {
        // The row stays `running`; the next start of the process takes it up again.
        this.logger.error(second);
      });
    } finally {
      this.active.delete(jobId);
      this.pump();
    }
  }

  private async run(jobId: string, active: ActiveJob): Promise<void> {
    const claim = await this.store.start(jobId);
    if (claim === null) return;
    active.claim = claim;
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
          this.onProgress(claim, active, progress);
        },
      });
      await this.end(claim, job, request, outcome);
    } catch (error) {
      if (error instanceof WorkAborted) await this.onAbort(claim);
      else if (error instanceof WorkTimeout) {
        await this.fail(claim, problemOfTimeout(this.limits.jobMs));
      } else throw error;
    }
  }

  private async end(
    claim: Claim,
    job: Job,
    request: JobRequests[JobKind],
    outcome: WorkOutcome,
  ): Promise<void> {
    if (!outcome.ok) {
      if (outcome.error.kind === 'internal') {
        this.logger.error(`job ${job.id}: ${outcome.error.code}: ${outcome.error.message}`);
      }
      await this.fail(claim, problemOfWork(outcome.error, job.kind));
      return;
    }
    // The worker answers in the shape of the task's kind, which is the job's.
    const results = this.kinds.resultsOf(job.kind) as {
      store: (...given: unknown[]) => Promise<string>;
    };
    const stored = await this.store.succeed(claim, (manager) =>
      results.store(manager, job, request, outcome.value),
    );
    if (stored) this.events.publish(job.id, { type: 'state', state: 'succeeded' });
    else await this.onAbort(claim);
  }

  private async fail(claim: Claim, problem: Problem): Promise<void> {
    if (await this.store.fail(claim, problem)) {
      this.events.publish(claim.jobId, { type: 'state', state: 'failed' });
    }
  }

  /** The work ended early: the process stops, the job was cancelled or taken by another, or its host was deleted. */
  private async onAbort(claim: Claim): Promise<void> {
    const { jobId } = claim;
    if (this.stopping) await this.store.release(claim);
    else if ((await this.store.find(jobId)) === null) this.events.publish(jobId, { type: 'gone' });
  }

  private onProgress(claim: Claim, active: ActiveJob, { fraction, message }: WorkProgress): void {
    const { jobId } = claim;
    if (fraction <= active.progress || active.abort.signal.aborted) return;
    active.progress = fraction;
    active.message = message;
    this.events.publish(jobId, { type: 'progress', progress: fraction, message });
    const now = performance.now();
    if (active.writing || now - active.writtenAt < PROGRESS_WRITE_MS) return;
    active.writing = true;
    active.writtenAt = now;
    this.store
      .progress(claim, fraction, message)
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
