/** Entry of a worker thread: one task at a time, progress over the task's own port. */
import { runTask } from './run-task';
import type { WorkMessage, WorkOutcome } from './tasks';

export default function work({ task, port }: WorkMessage): WorkOutcome {
  try {
    return runTask(task, (progress) => {
      port.postMessage(progress);
    });
  } finally {
    port.close();
  }
}
