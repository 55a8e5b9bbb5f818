/** Hands problems to worker threads, one per processor, and collects their results in order. */
import { createHash } from 'node:crypto';
import { availableParallelism } from 'node:os';
import { join } from 'node:path';
import { Worker } from 'node:worker_threads';
import { tolerances } from '../src/objective';
import { summarise, type ProblemResult, type Summary, type Tolerance } from './judge';
import { problem } from './problems';
import type { Task } from './worker';

/** A replay leaves many short-lived objects behind; with room for them they are seldom looked through. */
const YOUNG_MIB = 64;

export interface Report {
  results: ProblemResult[];
  summary: Summary & { resultHash: string };
}

/** The tolerances that do not depend on the host: those of kills, swap, stall and remote cost. */
export function toleranceOf(seed: number): Tolerance {
  return tolerances(problem(seed, 0).request.host);
}

/** Summary and a hash over all figures: two runs of the same seed have the same one. */
export function report(seed: number, results: ProblemResult[]): Report {
  const resultHash = createHash('sha256')
    .update(JSON.stringify(results))
    .digest('hex')
    .slice(0, 16);
  return { results, summary: { ...summarise(seed, results, toleranceOf(seed)), resultHash } };
}

/**
 * @param numbers problems to compare
 * @param onResult called with each result as it comes, not in order
 * @returns results in the order of `numbers`
 * @throws the first error of a thread, with the problem's number in front
 */
export async function runProblems(
  seed: number,
  numbers: number[],
  onResult: (result: ProblemResult) => void,
): Promise<ProblemResult[]> {
  const waiting = [...numbers];
  const results = new Map<number, ProblemResult>();
  const threads = Array.from({ length: Math.min(availableParallelism(), numbers.length) }, () =>
    work(seed, waiting, (number, result) => {
      results.set(number, result);
      onResult(result);
    }),
  );
  await Promise.all(threads);
  return numbers.flatMap((number) => results.get(number) ?? []);
}

/** One thread, until nothing waits any more. */
function work(
  seed: number,
  waiting: number[],
  done: (number: number, result: ProblemResult) => void,
): Promise<void> {
  const worker = new Worker(join(__dirname, 'worker.ts'), {
    execArgv: ['-r', '@swc-node/register'],
    resourceLimits: { maxYoungGenerationSizeMb: YOUNG_MIB },
  });
  return new Promise((resolve, reject) => {
    let current: number | undefined;
    const next = (): void => {
      current = waiting.shift();
      if (current !== undefined) worker.postMessage({ seed, number: current } satisfies Task);
      else void worker.terminate().then(() => resolve());
    };
    worker.on('message', ({ number, result }: { number: number; result: ProblemResult }) => {
      done(number, result);
      next();
    });
    worker.on('error', (error) => {
      reject(
        new Error(`problem ${current ?? '?'} of seed ${seed}: ${error.message}`, { cause: error }),
      );
    });
    next();
  });
}
