/** Entry of a worker thread: one task at a time, progress over the task's own port. */
import { runTask } from './run-task';
import type { WorkMessage, WorkOutcome, WorkProgress } from './tasks';

export default async function work({ task, port, threads }: WorkMessage): Promise<WorkOutcome> {
  try {
    const report = (progress: WorkProgress): void => {
      port.postMessage(progress);
    };
    return await runTask(task, report, threads);
  } finally {
    port.close();
  }
}
