/** Work that asks for replays as it goes on, whoever makes them: in place one by one, or in threads. */
import type { ReplayControl } from '@zonewise/simulator';
import { replayTask, type HostTask, type TaskOutcome } from './judge-host';

/** Replays that do not depend on each other. */
export interface Batch {
  tasks: HostTask[];
  /** By task, the host that it is the replay of; of several that are alike, the first. */
  hosts: string[];
}

/**
 * Yields batches and is given the outcomes in the order of the tasks. Nothing of its result depends on where or in
 * which order they were made.
 */
export type Replaying<T> = Generator<Batch, T, TaskOutcome[]>;

/** Before each replay of a batch that is made in place, after each that is made in threads; `done` of `hosts` are behind. */
export type OnHost = (name: string, done: number, hosts: number) => void;

/** @throws ReplayCancelled when `control` says stop */
export function inPlace<T>(work: Replaying<T>, onHost?: OnHost, control?: ReplayControl): T {
  let step = work.next();
  while (step.done !== true) {
    const { tasks, hosts } = step.value;
    const outcomes = tasks.map((task, i) => {
      onHost?.(hosts[i] ?? '', i, tasks.length);
      return replayTask(task, control);
    });
    step = work.next(outcomes);
  }
  return step.value;
}

/**
 * @param run makes the replays of a batch, in any order, and says after each how many are done
 * @throws what `run` throws; the work ends there
 */
export async function inThreads<T>(
  work: Replaying<T>,
  run: (tasks: HostTask[], onDone: (done: number) => void) => Promise<TaskOutcome[]>,
  onHost?: OnHost,
): Promise<T> {
  let step = work.next();
  while (step.done !== true) {
    const { tasks, hosts } = step.value;
    const onDone = (done: number): void => {
      onHost?.(hosts[Math.min(done, hosts.length - 1)] ?? '', done, hosts.length);
    };
    step = work.next(tasks.length === 0 ? [] : await run(tasks, onDone));
  }
  return step.value;
}
