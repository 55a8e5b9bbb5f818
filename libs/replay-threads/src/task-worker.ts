/** Entry of a worker thread: one host of a plan at a time. */
import { replayTask, type HostTask, type TaskOutcome } from '@zonewise/plan';

export default function work(task: HostTask): TaskOutcome {
  return replayTask(task);
}
