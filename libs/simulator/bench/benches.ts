/** The measurements: the simulator, and the page-by-page reference on the same operations. */
import type { Machine, MachineConfig, MachineOp } from '../test/machine';
import { productionMachine } from '../test/production-machine';
import { referenceMachine } from '../test/reference';
import {
  emptyPool,
  fillCache,
  compactAll,
  compactingZone,
  fillHoles,
  fillZone,
  freeEveryOther,
  freeRandomHalf,
  freeZone,
  growPool,
  GUESTS,
  oneZone,
  PAGES_PER_GIB,
  planMachine,
  planOps,
  touchPool,
  twoNodes,
} from './machines';
import {
  best,
  bytesOf,
  eventCounts,
  largestFootprints,
  pictureHash,
  productionHash,
  timed,
  type Footprints,
  type Took,
} from './measure';

/** One line of the report. */
export interface Result {
  name: string;
  params: Record<string, string | number>;
  /** CPU time of the simulator. */
  ms: number;
  wallMs: number;
  /** Of the simulator, per request served or page freed. */
  nsPerPage: number;
  /** How many times as long the reference takes per page, or the start from a new host; null where it did not run. */
  referenceRatio: number | null;
  referenceNsPerPage: number | null;
  /** Free lists and runs, the largest after any operation; null where they were not counted. */
  bytesPerGib: number | null;
  /** The free lists' part of it. */
  freeListBytesPerGib: number | null;
  /** Largest while no page had ever been freed. */
  uniformBytesPerGib: number | null;
  footprints: Footprints | null;
  stateHash: string;
  /** Of the reference after the same operations, null where it did not run them. */
  referenceHash: string | null;
}

export interface Bench {
  name: string;
  /** Lets the compiler see the hot paths; its times are thrown away. */
  warmUp(): void;
  run(): Result[];
}

/** Operations that are timed together. */
export interface Phase {
  name: string;
  ops: MachineOp[];
}

type Memory = Pick<
  Result,
  'bytesPerGib' | 'freeListBytesPerGib' | 'uniformBytesPerGib' | 'footprints'
>;

export const NOT_COUNTED: Memory = {
  bytesPerGib: null,
  freeListBytesPerGib: null,
  uniformBytesPerGib: null,
  footprints: null,
};

function counted(footprints: Footprints, gib: number): Memory {
  const { largest, uniform } = footprints;
  return {
    bytesPerGib: bytesOf(largest) / gib,
    freeListBytesPerGib: largest.buddyBytes / gib,
    uniformBytesPerGib: uniform && bytesOf(uniform) / gib,
    footprints,
  };
}

export const nsPerPage = ({ cpuMs, pages }: Took): number => (cpuMs * 1e6) / Math.max(pages, 1);

/** Runs phases on new machines, some tries each. @returns the best try of each phase, and the last state's hash */
function runPhases(
  make: (config: MachineConfig) => Machine,
  config: MachineConfig,
  phases: readonly Phase[],
  tries: number,
): { took: Took[]; hash: string } {
  const all: Took[][] = phases.map(() => []);
  let hash = '';
  for (let round = 0; round < tries; round += 1) {
    const machine = make(config);
    phases.forEach(({ ops }, i) => all[i]!.push(timed(machine, ops)));
    if (round === tries - 1) hash = pictureHash(machine.picture());
  }
  return { took: all.map(best), hash };
}

/** Both machines on the same phases; `only` limits what is reported, not what runs. */
export function comparePhases(
  config: MachineConfig,
  phases: readonly Phase[],
  params: Result['params'],
  tries: { production: number; reference: number },
): Result[] {
  const production = runPhases(productionMachine, config, phases, tries.production);
  const reference = runPhases((given) => referenceMachine(given), config, phases, tries.reference);
  return phases.map(({ name }, i): Result => {
    const took = production.took[i]!;
    const referenceNsPerPage = nsPerPage(reference.took[i]!);
    return {
      name,
      params: { ...params, pages: took.pages },
      ms: took.cpuMs,
      wallMs: took.wallMs,
      nsPerPage: nsPerPage(took),
      referenceRatio: referenceNsPerPage / nsPerPage(took),
      referenceNsPerPage,
      ...NOT_COUNTED,
      stateHash: production.hash,
      referenceHash: reference.hash,
    };
  });
}

/** Small zones, filled and emptied often enough for the compiler. */
function warmZone(): void {
  const pages = PAGES_PER_GIB / 16;
  for (const free of [freeEveryOther, freeRandomHalf]) {
    const phases = [fillZone, free, fillHoles, freeZone].map((ops) => ({
      name: 'warm-up',
      ops: ops(pages),
    }));
    comparePhases(oneZone(pages), phases, {}, { production: 20, reference: 20 });
  }
}

/** A zone filled and emptied. */
export function zoneBench(gib: number, tries = { production: 20, reference: 3 }): Bench {
  const pages = gib * PAGES_PER_GIB;
  const phases = [
    { name: 'fill-zone', ops: fillZone(pages) },
    { name: 'free-zone', ops: freeZone(pages) },
  ];
  return {
    name: 'zone',
    warmUp: () => void warmZone(),
    run: () => comparePhases(oneZone(pages), phases, { zoneGib: gib }, tries),
  };
}

/** Memory in its smallest pieces: every other page free, and a random half of all pages. */
export function worstCase(gib: number, tries = { production: 20, reference: 3 }): Bench {
  const pages = gib * PAGES_PER_GIB;
  const config = oneZone(pages);
  const patterns = [
    { name: 'every other page', free: freeEveryOther(pages) },
    { name: 'random half', free: freeRandomHalf(pages) },
  ];
  return {
    name: 'worst-case',
    warmUp: () => void warmZone(),
    run: () =>
      patterns.flatMap(({ name, free }) => {
        const phases = [
          { name: `worst-case, ${name}: fill`, ops: fillZone(pages) },
          { name: `worst-case, ${name}: free`, ops: free },
          { name: `worst-case, ${name}: fill the holes`, ops: fillHoles(pages) },
        ];
        const results = comparePhases(config, phases, { zoneGib: gib }, tries);
        const machine = productionMachine(config);
        return results.map((result, i) => {
          return { ...result, ...counted(largestFootprints(machine, phases[i]!.ops), gib) };
        });
      }),
  };
}

/** A pool of huge pages that grows into page cache, is used, and is given back; counts are huge pages but the first. */
export function hugetlbPool(gib: number, tries = { production: 10, reference: 2 }): Bench {
  const phasesOf = (pages: number): Phase[] => [
    { name: 'hugetlb-pool: fill cache', ops: fillCache(pages) },
    { name: 'hugetlb-pool: grow', ops: growPool(pages) },
    { name: 'hugetlb-pool: touch', ops: touchPool(pages) },
    { name: 'hugetlb-pool: end and shrink', ops: emptyPool() },
  ];
  const compare = (totalGib: number, rounds: typeof tries): Result[] => {
    const pages = totalGib * PAGES_PER_GIB;
    return comparePhases(twoNodes(pages), phasesOf(pages), { totalGib }, rounds);
  };
  return {
    name: 'hugetlb-pool',
    warmUp: () => void compare(0.25, { production: 10, reference: 3 }),
    run: () => compare(gib, tries),
  };
}

/** A zone full of scattered pages, of which every second one was freed at random, is compacted whole; per page moved. */
export function compactBench(gib: number, tries = { production: 5, reference: 2 }): Bench {
  const compare = (pages: number): Result[] => {
    const phases = [
      { name: 'fill', ops: [...fillZone(pages), ...freeRandomHalf(pages)] },
      { name: 'compact-zone', ops: compactAll() },
    ];
    const params = { zoneGib: pages / PAGES_PER_GIB };
    return comparePhases(compactingZone(pages), phases, params, tries).slice(1);
  };
  return {
    name: 'compact-zone',
    warmUp: () => void compare(PAGES_PER_GIB / 16),
    run: () => compare(gib * PAGES_PER_GIB),
  };
}

/** The plan on both machines. */
export function comparePlan(gib: number, tries = { production: 20, reference: 1 }): Result {
  const pages = gib * PAGES_PER_GIB;
  const phases = [{ name: `plan-${sizeName(gib)}`, ops: planOps(pages) }];
  const params = { nodes: 8, guests: GUESTS, totalGib: gib };
  return comparePhases(planMachine(pages), phases, params, tries)[0]!;
}

/** The plan on the simulator alone. */
export function planAlone(gib: number, tries = 3): Result {
  const pages = gib * PAGES_PER_GIB;
  const config = planMachine(pages);
  const ops = planOps(pages);
  const rounds: Took[] = [];
  for (let round = 0; round < tries; round += 1) rounds.push(timed(productionMachine(config), ops));
  const took = best(rounds);
  const machine = productionMachine(config);
  const memory = counted(largestFootprints(machine, ops), gib);
  return {
    name: `plan-${sizeName(gib)}`,
    params: {
      nodes: 8,
      guests: GUESTS,
      totalGib: gib,
      pages: took.pages,
      ...eventCounts(machine),
    },
    ms: took.cpuMs,
    wallMs: took.wallMs,
    nsPerPage: nsPerPage(took),
    referenceRatio: null,
    referenceNsPerPage: null,
    ...memory,
    stateHash: productionHash(machine),
    referenceHash: null,
  };
}

/** The plan at several sizes; the reference runs the smallest, and its time per page is held against all. */
export function planBench(referenceGib: number, gibs: readonly number[]): Bench {
  return {
    name: 'plan',
    warmUp: () => void comparePlan(1),
    run: () => {
      const small = comparePlan(referenceGib);
      const { referenceNsPerPage } = small;
      const rest = gibs.map((gib): Result => {
        const result = planAlone(gib);
        return {
          ...result,
          params: { ...result.params, referenceGib },
          referenceNsPerPage,
          referenceRatio: referenceNsPerPage! / result.nsPerPage,
        };
      });
      return [small, ...rest];
    },
  };
}

function sizeName(gib: number): string {
  return gib >= 1024 && gib % 1024 === 0 ? `${gib / 1024}TiB` : `${gib}GiB`;
}

/** What `npm run bench` runs of the core. */
export const CORE_BENCHES: readonly Bench[] = [
  zoneBench(4),
  planBench(16, [64, 256, 1024, 4096, 24_576]),
  worstCase(1),
  hugetlbPool(8),
  compactBench(1),
];
