import type { HostModel } from '@zonewise/simulator';
import { printedState } from './build-state';
import { printBuddyinfo, printPagetypeinfo } from './free-lists';
import { printMeminfo, printNodeMeminfo } from './meminfo';
import { printNumastat, printNumastatMeminfo } from './numastat';
import type { CarriedCounts, PrintableSnapshot, PrintedState } from './printed-state';
import { printSarB } from './sar';
import { printVmstat } from './vmstat';
import { printZoneinfo } from './zoneinfo';

/**
 * Texts of a host at one moment of a replay. `node-meminfo` is the meminfo of all nodes, one after the
 * other; `numastat-m` is `numastat -m`; `sar-b` is `sar -B` from the start of the replay to the moment.
 */
export const STATE_FILES = [
  'zoneinfo',
  'buddyinfo',
  'pagetypeinfo',
  'vmstat',
  'meminfo',
  'node-meminfo',
  'numastat',
  'numastat-m',
  'sar-b',
] as const;
export type StateFile = (typeof STATE_FILES)[number];

/** A replay as far as it is printed: the state before the first step and the states after each step. */
export interface PrintedReplay {
  host: HostModel;
  initial: PrintableSnapshot;
  steps: readonly { snapshot: PrintableSnapshot }[];
  carried?: CarriedCounts;
}

const PRINTERS: Record<Exclude<StateFile, 'sar-b'>, (state: PrintedState) => string> = {
  zoneinfo: printZoneinfo,
  buddyinfo: printBuddyinfo,
  pagetypeinfo: printPagetypeinfo,
  vmstat: printVmstat,
  meminfo: printMeminfo,
  'node-meminfo': (state) => state.nodes.map((node) => printNodeMeminfo(node, state)).join(''),
  numastat: printNumastat,
  'numastat-m': printNumastatMeminfo,
};

export function isStateFile(name: string): name is StateFile {
  return (STATE_FILES as readonly string[]).includes(name);
}

/**
 * Prints a text of the host after a step, by the rule of {@link printedState}.
 * @param steps how many steps have been done: 0 is the state before the first one
 * @throws RangeError if the replay has fewer steps
 */
export function printStateFile(name: StateFile, replayed: PrintedReplay, steps: number): string {
  const { host, initial, carried } = replayed;
  const snapshot = steps === 0 ? initial : replayed.steps[steps - 1]?.snapshot;
  if (snapshot === undefined) {
    const message = `step ${steps} does not exist: the replay has steps 0 to ${replayed.steps.length}`;
    throw new RangeError(message);
  }
  const state = printedState({ host, snapshot, carried });
  if (name !== 'sar-b') return PRINTERS[name](state);
  const after = replayed.steps.slice(0, steps).map((step) => step.snapshot);
  return printSarB(host, state.onlineCpus.length, initial, after);
}
