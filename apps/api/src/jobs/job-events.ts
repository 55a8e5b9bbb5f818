import { Injectable } from '@nestjs/common';
import type { JobState } from './job.entity';

/** What changed about a job. `gone`: it was deleted with its host. `stopping`: the process ends. */
export type JobEvent =
  | { type: 'progress'; progress: number; message: string | null }
  | { type: 'state'; state: JobState }
  | { type: 'gone' }
  | { type: 'stopping' };

type Listener = (event: JobEvent) => void;

/** Tells whoever waits in this process; nothing is kept, the row in the database is the truth. */
@Injectable()
export class JobEvents {
  private readonly listeners = new Map<string, Set<Listener>>();
  private stopped = false;

  /** @returns how to stop listening */
  subscribe(jobId: string, listener: Listener): () => void {
    if (this.stopped) {
      listener({ type: 'stopping' });
      return () => undefined;
    }
    const listeners = this.listeners.get(jobId) ?? new Set();
    listeners.add(listener);
    this.listeners.set(jobId, listeners);
    return () => {
      listeners.delete(listener);
      if (listeners.size === 0 && this.listeners.get(jobId) === listeners) {
        this.listeners.delete(jobId);
      }
    };
  }

  publish(jobId: string, event: JobEvent): void {
    for (const listener of [...(this.listeners.get(jobId) ?? [])]) listener(event);
  }

  /** Jobs that somebody waits for. */
  get jobIds(): string[] {
    return [...this.listeners.keys()];
  }

  /** Number of open subscriptions, for tests and for seeing a leak. */
  get size(): number {
    return [...this.listeners.values()].reduce((sum, listeners) => sum + listeners.size, 0);
  }

  /** Sends everybody away. */
  stop(): void {
    this.stopped = true;
    for (const jobId of [...this.listeners.keys()]) this.publish(jobId, { type: 'stopping' });
    this.listeners.clear();
  }
}
