/** Hands problems to worker threads, one per processor, and collects their results in order. */
import { createHash } from 'node:crypto';
import { readFileSync, readdirSync } from 'node:fs';
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
  /** Of the program that made the results. */
  sources: string;
  results: ProblemResult[];
  summary: Summary & { resultHash: string };
}

/** The tolerances that do not depend on the host: those of kills, swap, stall and remote cost. */
export function toleranceOf(seed: number): Tolerance {
  return tolerances(problem(seed, 0).request.host);
}

/** Simulator, advisor and bench decide the figures. */
const SOURCES = ['../../simulator/src', '../src', '.'].map((folder) => join(__dirname, folder));
let knownSources: string | undefined;

/** Two programs with the same hash give the same figures. Read once: what runs is what was there at the start. */
export function sourcesHash(): string {
  knownSources ??= hashOf(SOURCES);
  return knownSources;
}

function hashOf(folders: string[]): string {
  const hash = createHash('sha256');
  for (const folder of folders) {
    const names = readdirSync(folder, { recursive: true, encoding: 'utf8' });
    for (const name of names.filter(isSource).sort()) {
      hash.update(`${name}\0`).update(readFileSync(join(folder, name)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

function isSource(name: string): boolean {
  return name.endsWith('.ts') && !name.endsWith('.spec.ts');
}

/** Summary and a hash over all figures: two runs of the same seed have the same one. */
export function report(seed: number, results: ProblemResult[]): Report {
  const resultHash = createHash('sha256')
    .update(JSON.stringify(results))
    .digest('hex')
    .slice(0, 16);
  return {
    sources: sourcesHash(),
    results,
    summary: { ...summarise(seed, results, toleranceOf(seed)), resultHash },
  };
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
