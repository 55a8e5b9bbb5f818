/** Replays of hosts, in as many threads as there are CPUs where that is worth it. */
import { availableParallelism } from 'node:os';
import { replayTask, type HostTask, type TaskOutcome } from '@zonewise/plan';
import type { TaskPool } from './task-pool';

/** Below that the threads' start takes longer than they save. */
const TASKS_FOR_THREADS = 8;

export interface ReplayThreads {
  /**
   * @param onDone after each task; `done` of them are over
   * @returns outcomes in the order of the tasks, the same whichever thread they ran in
   */
  run: (tasks: HostTask[], onDone: (done: number) => void) => Promise<TaskOutcome[]>;
  /** Ends the threads, and what they work on. */
  close: () => Promise<void>;
}

/** Threads that are started with the first tasks that are worth it and live until they are closed. */
export function replayThreads(threads = availableParallelism()): ReplayThreads {
  let pool: TaskPool | undefined;
  return {
    run: async (tasks, onDone) => {
      if (threads < 2 || tasks.length < TASKS_FOR_THREADS) {
        return tasks.map((task, i) => {
          const outcome = replayTask(task);
          onDone(i + 1);
          return outcome;
        });
      }
      // Loaded where it is needed: most plans are judged without.
      const { TaskPool: Pool } = await import('./task-pool');
      pool ??= new Pool(threads);
      return pool.run(tasks, onDone);
    },
    close: async () => pool?.close(),
  };
}
