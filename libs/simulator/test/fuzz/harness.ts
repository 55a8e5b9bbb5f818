import * as fc from 'fast-check';
import type { Machine, MachineConfig } from '../machine';
import { referenceMachine } from '../reference';
import { fuzzCase } from './arbitrary';
import type { FuzzCase } from './arbitrary';
import { runMachines } from './compare';
import type { Difference, Observer } from './compare';
import { Coverage } from './coverage';
import { minimize } from './minimize';

const MINIMIZE_ATTEMPTS = 400;

/** A machine under test: the simulator, or a mutated reference. */
export type MakeMachine = (config: MachineConfig) => Machine;

/** A comparison that goes on over many machines. */
export interface FuzzRun {
  machines: number;
  coverage: Coverage;
  /** Of the reference's answers and states; the same seed gives the same hash. */
  hash: number;
  difference: Difference | null;
}

export function newRun(): FuzzRun {
  return { machines: 0, coverage: new Coverage(), hash: 0x811c9dc5, difference: null };
}

/** The scalars at the front of a tape: times, counters, free pages and marks. */
const HASHED_WORDS = 64;

/**
 * Runs operations on the machine under test and on the reference, and compares the whole state after each.
 * @param run what is done is added to it
 * @returns the first difference, null if there is none
 */
export function runBoth(
  make: MakeMachine,
  { config, ops }: FuzzCase,
  run: FuzzRun = newRun(),
): Difference | null {
  const reference = referenceMachine(config);
  const observe: Observer = (op, done, state) => {
    run.coverage.addOp(op, done);
    run.hash = state.hash(run.hash ^ done, Math.min(state.length, HASHED_WORDS));
  };
  run.machines++;
  run.difference = runMachines(config, ops, make(config), reference, observe);
  run.coverage.addMachine(config);
  run.coverage.addEvents(reference.events);
  return run.difference;
}

/**
 * Random machines of one seed, one after the other, until one differs; that one's operations are then reduced.
 * @param run is added to
 * @param goOn is asked before each machine
 */
export function fuzz(
  make: MakeMachine,
  seed: number,
  machines: number,
  opsPerMachine: number,
  run: FuzzRun,
  goOn: () => boolean = () => true,
): void {
  const property = fc.property(
    fuzzCase(1, opsPerMachine),
    (given) => !goOn() || runBoth(make, given, run) === null,
  );
  // Shrinking is our own: it can use that everything after the first difference does not matter.
  fc.check(property, { seed, numRuns: machines, endOnFailure: true });
  if (run.difference !== null) {
    const { config } = run.difference;
    run.difference = minimize(
      run.difference,
      (ops) => runBoth(make, { config, ops: [...ops] }),
      MINIMIZE_ATTEMPTS,
    );
  }
}
