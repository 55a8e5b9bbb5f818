/** Times in the process's own CPU time, so that other work on the machine does not count; hashes; bytes. */
import { createHash, type Hash } from 'node:crypto';
import { stateHash } from '../src/state-hash';
import type { Machine, MachineOp, MachinePicture } from '../test/machine';
import type { ProductionMachine } from '../test/production-machine';
import { normalized } from '../test/fuzz/compare';

/**
 * Bytes of one run of LRU pages without its places: 19 fields and 3 words of header, 8 bytes each, and its entry
 * in its owner's set with that entry's share of the set's buckets.
 */
export const BYTES_PER_RUN = 22 * 8 + 32;
/** Bytes of one run on a per-CPU list: four numbers, in an array that grows by half. */
export const BYTES_PER_PCP_RUN = 4 * 8 * 1.5;

export interface Took {
  cpuMs: number;
  wallMs: number;
  /** Requests served and blocks freed. */
  pages: number;
}

/** Runs operations one after the other, and says what they took. */
export function timed(machine: Machine, ops: readonly MachineOp[]): Took {
  let pages = 0;
  const startWall = process.hrtime.bigint();
  const start = process.cpuUsage();
  for (const op of ops) pages += machine.run(op).done;
  const { user, system } = process.cpuUsage(start);
  const wallMs = Number(process.hrtime.bigint() - startWall) / 1e6;
  return { cpuMs: (user + system) / 1000, wallMs, pages };
}

/** The shortest of some tries: what the work takes when nothing disturbs it. */
export function best(tries: readonly Took[]): Took {
  return tries.reduce((least, next) => (next.cpuMs < least.cpuMs ? next : least));
}

/** Adds a value to a hash; objects by ascending key. */
function addValue(hash: Hash, value: unknown): void {
  if (Array.isArray(value)) {
    hash.update(`[${value.length}`);
    if (value.every((item) => typeof item === 'number')) hash.update(Float64Array.from(value));
    else for (const item of value as unknown[]) addValue(hash, item);
  } else if (typeof value === 'object' && value !== null) {
    for (const [key, item] of Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1))) {
      hash.update(`.${key}`);
      addValue(hash, item);
    }
  } else {
    hash.update(`${typeof value} ${String(value)};`);
  }
}

/** sha256 of a picture, the first 16 digits: equal for machines that did the same. */
export function pictureHash(picture: MachinePicture): string {
  const hash = createHash('sha256');
  addValue(hash, normalized(picture));
  return hash.digest('hex').slice(0, 16);
}

/** Of the simulator's state, where a picture would name too many pages. */
export function productionHash(machine: ProductionMachine): string {
  return stateHash(machine.k).slice(0, 16);
}

export interface Footprint {
  /** Free lists and pageblock tables (Buddy.bytes) of all zones. */
  buddyBytes: number;
  /** Runs on LRU lists. */
  runs: number;
  /** Places of those that are scattered. */
  placesBytes: number;
  /** Counts of pages by 2 MiB block, of owners that have them. */
  blockCountBytes: number;
  /** Runs on per-CPU lists. */
  pcpRuns: number;
}

export function footprint({ k }: ProductionMachine): Footprint {
  const sum = (values: number[]): number => values.reduce((total, value) => total + value, 0);
  const lists = k.nodes.flatMap((node) => node.lists);
  const runs = lists.flatMap((list) => list.runs());
  return {
    buddyBytes: sum(k.zones.map((zone) => zone.buddy.bytes)),
    runs: runs.length,
    placesBytes: sum(runs.map(({ places }) => places?.bytes ?? 0)),
    blockCountBytes: sum(
      k.hostMappings.map(({ present, swapped }) => (present?.bytes ?? 0) + (swapped?.bytes ?? 0)),
    ),
    pcpRuns: sum(
      k.zones.flatMap(({ pcps }) =>
        pcps
          .filter((pcp) => pcp.pages > 0)
          .flatMap(({ lists }) => lists.map((list) => list.pieceCount)),
      ),
    ),
  };
}

export function bytesOf(footprint: Footprint): number {
  const { buddyBytes, runs, placesBytes, blockCountBytes, pcpRuns } = footprint;
  return (
    buddyBytes + runs * BYTES_PER_RUN + placesBytes + blockCountBytes + pcpRuns * BYTES_PER_PCP_RUN
  );
}

/** What operations took in memory. */
export interface Footprints {
  /** Largest after any operation. */
  largest: Footprint;
  /** Largest while no page had ever been freed: the blocks are as the boot left them. Null: one was before. */
  uniform: Footprint | null;
}

/** Runs operations untimed, and counts after each. */
export function largestFootprints(
  machine: ProductionMachine,
  ops: readonly MachineOp[],
): Footprints {
  const untouched = (): boolean => machine.k.vmstat.get('pgfree') === 0;
  let largest = footprint(machine);
  let uniform = untouched() ? largest : null;
  for (const op of ops) {
    machine.run(op);
    const now = footprint(machine);
    if (bytesOf(now) > bytesOf(largest)) largest = now;
    if (untouched()) uniform = largest;
  }
  return { largest, uniform };
}

/** Counters that say how much happened: what runs may grow with, besides extents. */
export function eventCounts({ k }: ProductionMachine): Record<string, number> {
  const count = (name: string): number => k.vmstat.get(name);
  return {
    reclaimedPages: count('pgsteal_direct') + count('pgsteal_kswapd'),
    missedPages: count('numa_miss'),
    freedPages: count('pgfree'),
  };
}
