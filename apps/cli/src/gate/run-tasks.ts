/** Replays of a plan's hosts, in as many threads as there are CPUs where that is worth it. */
import { availableParallelism } from 'node:os';
import { replayTask, type HostTask, type TaskOutcome } from '@zonewise/plan';

/** Below that the threads' start takes longer than they save. */
const TASKS_FOR_THREADS = 8;

/**
 * @param onDone after each task; `done` of them are over
 * @returns outcomes in the order of the tasks, the same whichever thread they ran in
 */
export async function runTasks(
  tasks: HostTask[],
  onDone: (done: number) => void,
  threads = availableParallelism(),
): Promise<TaskOutcome[]> {
  if (threads < 2 || tasks.length < TASKS_FOR_THREADS) {
    return tasks.map((task, i) => {
      const outcome = replayTask(task);
      onDone(i + 1);
      return outcome;
    });
  }
  // Loaded where it is needed: most plans are judged without.
  const { runInThreads } = await import('./task-pool');
  return runInThreads(tasks, onDone, threads);
}
