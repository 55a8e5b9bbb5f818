/** Threads that replay the hosts of a plan. */
import { join } from 'node:path';
import type { HostTask, TaskOutcome } from '@zonewise/plan';
import { Piscina } from 'piscina';

/** A replay leaves many short-lived objects behind; with room for them they are seldom looked through. */
const YOUNG_MIB = 64;

/** @returns outcomes in the order of the tasks */
export async function runInThreads(
  tasks: HostTask[],
  onDone: (done: number) => void,
  threads: number,
): Promise<TaskOutcome[]> {
  const pool = new Piscina<HostTask, TaskOutcome>({
    ...workerEntry(),
    minThreads: threads,
    maxThreads: threads,
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
  });
  let done = 0;
  try {
    return await Promise.all(
      tasks.map(async (task) => {
        const outcome = await pool.run(task);
        done += 1;
        onDone(done);
        return outcome;
      }),
    );
  } finally {
    await pool.destroy();
  }
}

/** Compiled, or the source where this file runs from source. */
function workerEntry(): { filename: string; execArgv: string[] } {
  return __filename.endsWith('.ts')
    ? { filename: join(__dirname, 'task-worker.ts'), execArgv: ['-r', '@swc-node/register'] }
    : { filename: join(__dirname, 'task-worker.js'), execArgv: [] };
}
