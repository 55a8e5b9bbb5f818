import {
  BeforeApplicationShutdown,
  Inject,
  Injectable,
  Logger,
  OnApplicationBootstrap,
} from '@nestjs/common';
import { Presence } from '../database/presence';
import { WORK_LIMITS, WorkLimits } from '../work/work-pool';
import { JobEvents } from './job-events';
import { JobRunner } from './job-runner';
import { JobStanding, JobStore } from './job-store';

type Seen = Pick<JobStanding, 'state' | 'progress'>;

/**
 * Looks at regular intervals what other processes that serve the same database did: tells whoever waits here for
 * a job that runs there, and takes up what an ended process left. With SQLite there is no other process.
 */
@Injectable()
export class JobWatch implements OnApplicationBootstrap, BeforeApplicationShutdown {
  private readonly logger = new Logger('JobWatch');
  private readonly seen = new Map<string, Seen>();
  private timer: NodeJS.Timeout | undefined;
  private looking: Promise<void> = Promise.resolve();
  private isStopping = false;

  constructor(
    private readonly presence: Presence,
    private readonly store: JobStore,
    private readonly runner: JobRunner,
    private readonly events: JobEvents,
    @Inject(WORK_LIMITS) private readonly limits: WorkLimits,
  ) {}

  onApplicationBootstrap(): void {
    if (this.presence.isShared) this.lookLater();
  }

  async beforeApplicationShutdown(): Promise<void> {
    this.isStopping = true;
    clearTimeout(this.timer);
    await this.looking;
    // Only now: what is put back while the process stops is still its own.
    await this.runner.stop();
    await this.presence.close();
  }

  private lookLater(): void {
    if (this.isStopping) return;
    this.timer = setTimeout(() => {
      this.looking = this.look()
        .catch((error: unknown) => {
          this.logger.warn(`the database was not looked at: ${String(error)}`);
        })
        .finally(() => {
          this.lookLater();
        });
    }, this.limits.pollMs).unref();
  }

  private async look(): Promise<void> {
    if (!(await this.presence.keep())) {
      this.logger.warn('the session in the database was lost; its jobs are given up');
      this.runner.abortAll();
    }
    await this.runner.recover();
    await this.runner.catchUp();
    await this.tell();
  }

  private async tell(): Promise<void> {
    const waitedFor = this.events.jobIds.filter((jobId) => !this.runner.runs(jobId));
    const standing = await this.store.statesOf(waitedFor);
    const byId = new Map(standing.map((job) => [job.id, job]));
    for (const jobId of waitedFor) {
      const job = byId.get(jobId);
      const before = this.seen.get(jobId);
      if (job === undefined) this.events.publish(jobId, { type: 'gone' });
      else if (job.state !== (before?.state ?? 'queued')) {
        this.events.publish(jobId, { type: 'state', state: job.state });
      } else if (job.state === 'running' && job.progress > (before?.progress ?? 0)) {
        const { progress, message } = job;
        this.events.publish(jobId, { type: 'progress', progress, message });
      }
    }
    this.seen.clear();
    for (const { id, state, progress } of standing) this.seen.set(id, { state, progress });
  }
}
