/** Random machines: nodes and zones, distances, settings and costs. */
import * as fc from 'fast-check';
import type {
  MachineCompaction,
  MachineConfig,
  MachineCosts,
  MachineNodeConfig,
  ZoneIndex,
} from '../machine';

const BLOCK = 1024;
const PAGEBLOCK = 512;

interface Shape {
  cpus: number;
  /** Blocks behind the node's last zone that may come while the machine runs. */
  spareBlocks: number;
  zones: { index: ZoneIndex; pages: number; gap: 'none' | 'block' | 'odd'; odd: number }[];
}

const ZONE_MIXES: readonly (readonly ZoneIndex[])[] = [
  [2],
  [2],
  [2],
  [1, 2],
  [1, 2],
  [0, 1, 2],
  [2, 3],
  [0, 1, 2, 3],
  [3],
  [1],
  [],
];

/** Mostly small zones, which soon cross their marks; the larger ones have pcp batches above 1. */
const zonePages = fc.oneof(
  { weight: 2, arbitrary: fc.integer({ min: 64, max: 600 }) },
  { weight: 10, arbitrary: fc.integer({ min: 600, max: 3000 }) },
  { weight: 4, arbitrary: fc.integer({ min: 2048, max: 6000 }) },
  { weight: 4, arbitrary: fc.constantFrom(1024, 2048, 3072, 4096) },
  { weight: 2, arbitrary: fc.integer({ min: 12288, max: 18000 }) },
);

const shape: fc.Arbitrary<Shape> = fc.constantFrom(...ZONE_MIXES).chain((mix) =>
  fc.record({
    cpus: fc.oneof(
      { weight: 4, arbitrary: fc.integer({ min: 1, max: 3 }) },
      { weight: 1, arbitrary: fc.constant(0) },
    ),
    spareBlocks: fc.constantFrom(0, 0, 1, 2, 3),
    zones: fc.tuple(
      ...mix.map((index) =>
        fc.record({
          index: fc.constant(index),
          pages: zonePages,
          gap: fc.constantFrom('none' as const, 'block' as const, 'odd' as const),
          odd: fc.integer({ min: 1, max: BLOCK - 1 }),
        }),
      ),
    ),
  }),
);

function roundUp(value: number, multiple: number): number {
  return Math.ceil(value / multiple) * multiple;
}

/** Lays the zones out one after the other; two zones never share a pageblock, and two nodes no block. */
function layOut(shapes: readonly Shape[]): MachineNodeConfig[] {
  let cpu = 0;
  let end = BLOCK;
  return shapes.map(({ cpus, spareBlocks, zones: given }) => {
    end = roundUp(end, BLOCK);
    const zones = given.map(({ index, pages, gap, odd }) => {
      const startPfn =
        gap === 'none'
          ? roundUp(end, PAGEBLOCK)
          : roundUp(end, BLOCK) + (gap === 'odd' ? odd : BLOCK);
      end = startPfn + pages;
      return { index, startPfn, pages };
    });
    const firstPfn = zones[0]?.startPfn ?? end;
    const startPfn = firstPfn - (firstPfn % BLOCK);
    end = roundUp(end, BLOCK) + spareBlocks * BLOCK;
    return {
      cpus: Array.from({ length: cpus }, () => cpu++),
      zones,
      hotplug: { startPfn, blocks: (end - startPfn) / BLOCK },
    };
  });
}

const nodes = fc
  .array(shape, { minLength: 1, maxLength: 4 })
  .filter(
    (shapes) =>
      shapes.some((node) => node.cpus > 0) && shapes.some((node) => node.zones.length > 0),
  )
  .map(layOut);

function symmetric(size: number, values: readonly number[]): number[][] {
  return Array.from({ length: size }, (_, i) =>
    Array.from({ length: size }, (__, j) =>
      i === j ? 10 : (values[Math.min(i, j) * 4 + Math.max(i, j)] ?? 20),
    ),
  );
}

const costs: fc.Arbitrary<MachineCosts> = fc.record({
  faultNs: fc.integer({ min: 100, max: 5000 }),
  remoteFaultNs: fc.integer({ min: 0, max: 2000 }),
  scanNs: fc.integer({ min: 0, max: 3000 }),
  rmapNs: fc.integer({ min: 0, max: 3000 }),
  stealNs: fc.integer({ min: 0, max: 3000 }),
  reclaimRoundNs: fc.integer({ min: 1, max: 300_000 }),
  pageoutNs: fc.integer({ min: 0, max: 20_000 }),
  swapWriteNs: fc.integer({ min: 0, max: 400_000 }),
  swapWritePageNs: fc.integer({ min: 0, max: 4000 }),
  swapRequestPages: fc.constantFrom(1, 7, 33, 127, 254),
  kswapdWakeNs: fc.integer({ min: 0, max: 500_000 }),
  hugetlbPageNs: fc.integer({ min: 0, max: 50_000 }),
  hugeFaultNs: fc.integer({ min: 0, max: 200_000 }),
  freeNs: fc.integer({ min: 0, max: 5000 }),
});

/** Three of four kernels are built with compaction. */
const compaction: fc.Arbitrary<MachineCompaction | undefined> = fc.option(
  fc.record({
    compactScanNs: fc.integer({ min: 0, max: 300 }),
    migrateNs: fc.integer({ min: 0, max: 8000 }),
    firstCompactCheckNs: fc.integer({ min: 1, max: 512_000_000 }),
  }),
  { nil: undefined, freq: 3 },
);

export const lowmemReserveRatio = fc.constantFrom<number[][]>(
  [256, 256, 32, 0],
  [256, 256, 32, 0],
  [8, 8, 8, 0],
  [2, 3, 4, 0],
  [0, 0, 0, 0],
);
export const boostFactor = fc.constantFrom(15000, 15000, 15000, 0, 40000, 100);
export const reclaimMode = fc.constantFrom(0, 0, 0, 1, 1, 2, 3, 4, 5, 7);
export const scaleFactor = fc.constantFrom(10, 10, 50, 200, 600);
export const swappiness = fc.constantFrom(60, 60, 0, 1, 100, 200);
export const proactiveness = fc.constantFrom(20, 20, 20, 0, 50, 90, 100);
export const minUnmappedRatio = fc.constantFrom(1, 1, 0, 5, 40);

/** Writes min_free_kbytes as a share of the machine, in thousandths. */
export function minFreeKbytes(totalPages: number): fc.Arbitrary<number> {
  return fc
    .constantFrom(2, 5, 10, 20, 40, 80)
    .map((share) => Math.floor((totalPages * share * 4) / 1000));
}

export function pagesOf(all: readonly MachineNodeConfig[]): number {
  return all.reduce((total, node) => total + node.zones.reduce((sum, z) => sum + z.pages, 0), 0);
}

export const config: fc.Arbitrary<MachineConfig> = nodes.chain((all) =>
  fc.record({
    nodes: fc.constant(all),
    distances: fc
      .array(fc.constantFrom(20, 20, 20, 21, 30, 31), { minLength: 16, maxLength: 16 })
      .map((values) => symmetric(all.length, values)),
    sysctl: fc.record({
      min_free_kbytes: minFreeKbytes(pagesOf(all)),
      watermark_scale_factor: scaleFactor,
      watermark_boost_factor: boostFactor,
      lowmem_reserve_ratio: lowmemReserveRatio,
      zone_reclaim_mode: reclaimMode,
      min_unmapped_ratio: minUnmappedRatio,
      swappiness,
      compaction_proactiveness: proactiveness,
      compact_unevictable_allowed: fc.constantFrom(1, 1, 0),
    }),
    compaction,
    swapPages: fc.constantFrom(0, 0, 40, 400, 4000),
    costs,
  }),
);
