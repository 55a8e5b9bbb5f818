/** A thread that compares one problem after the other, as the main thread hands them out. */
import { parentPort } from 'node:worker_threads';
import { compare } from './compare';
import { problem } from './problems';

export interface Task {
  seed: number;
  number: number;
}

parentPort?.on('message', ({ seed, number }: Task) => {
  parentPort?.postMessage({ number, result: compare(problem(seed, number), number) });
});
