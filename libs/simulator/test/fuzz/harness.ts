import * as fc from 'fast-check';
import type { Machine, MachineConfig, MachineOp, MachinePicture } from '../machine';
import { referenceMachine } from '../reference';
import { fuzzCase } from './arbitrary';
import { runMachines } from './compare';
import type { Difference, Observer } from './compare';
import { cover } from './coverage';
import type { Coverage } from './coverage';
import { minimize } from './minimize';

const MINIMIZE_ATTEMPTS = 400;

/** A machine under test: the simulator, or a mutated reference. */
export type MakeMachine = (config: MachineConfig) => Machine;

/**
 * Runs operations on the machine under test and on the reference, and compares the whole picture after each.
 * @returns the first difference, null if there is none
 */
export function runBoth(
  make: MakeMachine,
  config: MachineConfig,
  ops: readonly MachineOp[],
  observe?: Observer,
): Difference | null {
  return runMachines(config, ops, make(config), referenceMachine(config), observe);
}

/** A 32-bit hash of text, the same everywhere. FNV-1a. */
export function hashText(text: string, start = 0x811c9dc5): number {
  let hash = start;
  for (let i = 0; i < text.length; i++) {
    hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193) >>> 0;
  }
  return hash;
}

/** What a picture comes down to, cheaply: times, counters and free pages. */
function summary(picture: MachinePicture): string {
  return JSON.stringify([
    picture.timeNs,
    picture.vmstat,
    picture.zones.map((zone) => [zone.free, zone.boost, zone.pcps.map((pcp) => pcp.count)]),
  ]);
}

export interface FuzzRun {
  machines: number;
  coverage: Coverage;
  /** Of the reference's answers and pictures; the same seed gives the same hash. */
  hash: number;
  difference: Difference | null;
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
  const observer = (): Observer => {
    let before: MachinePicture | null = null;
    return (op, done, picture) => {
      cover(run.coverage, op, done, before ?? picture, picture);
      before = picture;
      run.hash = hashText(`${done} ${summary(picture)}`, run.hash);
    };
  };
  const property = fc.property(fuzzCase(1, opsPerMachine), ({ config, ops }) => {
    if (!goOn()) {
      return true;
    }
    run.machines++;
    run.difference = runBoth(make, config, ops, observer());
    return run.difference === null;
  });
  // Shrinking is our own: it can use that everything after the first difference does not matter.
  fc.check(property, { seed, numRuns: machines, endOnFailure: true });
  if (run.difference !== null) {
    const { config } = run.difference;
    run.difference = minimize(
      run.difference,
      (ops) => runBoth(make, config, ops),
      MINIMIZE_ATTEMPTS,
    );
  }
}
