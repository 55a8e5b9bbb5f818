/** Threads that replay hosts. */
import { join } from 'node:path';
import type { HostTask, TaskOutcome } from '@zonewise/plan';
import { Piscina } from 'piscina';

/** A replay leaves many short-lived objects behind; with room for them they are seldom looked through. */
const YOUNG_MIB = 64;
/** A replay that needs more fails instead of starving the process. */
const OLD_MIB = 2048;

export class TaskPool {
  private readonly pool: Piscina<HostTask, TaskOutcome>;

  constructor(threads: number) {
    this.pool = new Piscina<HostTask, TaskOutcome>({
      ...workerEntry(),
      minThreads: threads,
      maxThreads: threads,
      resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB, maxOldGenerationSizeMb: OLD_MIB },
    });
  }

  /** @returns outcomes in the order of the tasks */
  run(tasks: HostTask[], onDone: (done: number) => void): Promise<TaskOutcome[]> {
    let done = 0;
    return Promise.all(
      tasks.map(async (task) => {
        const outcome = await this.pool.run(task);
        done += 1;
        onDone(done);
        return outcome;
      }),
    );
  }

  close(): Promise<void> {
    return this.pool.destroy();
  }
}

/** Compiled, or the source where this file runs from source. */
function workerEntry(): { filename: string; execArgv: string[] } {
  return __filename.endsWith('.ts')
    ? { filename: join(__dirname, 'task-worker.ts'), execArgv: ['-r', '@swc-node/register'] }
    : { filename: join(__dirname, 'task-worker.js'), execArgv: [] };
}
