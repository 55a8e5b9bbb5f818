/** A zone by itself, for tests of what happens inside one. */
import { MAX_ORDER, NR_MIGRATE_TYPES } from '../src/buddy';
import { Buddy } from '../src/buddy';
import { stealBlocks } from '../src/fallback';
import { fixedPcp, Pcp } from '../src/pcp-rule';
import type { NodeState, Zone } from '../src/zone';

/** A Normal zone of 16 MiB, all free in its largest blocks, with one CPU. */
export function makeZone(values: Partial<Zone> = {}): Zone {
  const pages = 4096;
  const buddy = new Buddy(0, pages);
  for (let frame = 0; frame < pages; frame += 1024) buddy.add(frame, 10, 1, true);
  return {
    node: { id: 0, position: 0, zones: [] } as unknown as NodeState,
    name: 'Normal',
    index: 2,
    startPfn: 0,
    spanned: pages,
    managed: pages,
    present: pages,
    usedPageblocks: pages / 512,
    memmapPages: 0,
    isolatedFreePages: 0,
    buddy,
    freeDrift: 0,
    statThreshold: 0,
    percpuDriftMark: 0,
    boost: 0,
    min: 100,
    low: 125,
    high: 150,
    protection: [0, 0, 0, 0, 0],
    pcpBatch: 31,
    pcpHigh: 124,
    pcpHighMax: 124,
    pcpRule: fixedPcp,
    blockRule: stealBlocks,
    pcps: [new Pcp()],
    lruPages: [0, 0, 0, 0, 0],
    kernelPages: 0,
    otherPages: 0,
    reclaimActive: false,
    belowHigh: true,
    boostedWatermark: false,
    hugetlbBlocks: new Set(),
    giganticFrames: new Set(),
    reservedHighatomic: 0,
    ...values,
  };
}

/** Every list of a zone in order, and what its counters say. */
export function pictureOf(zone: Zone): unknown {
  return {
    free: zone.buddy.freePages,
    types: [...zone.buddy.types],
    lists: Array.from({ length: MAX_ORDER }, (_, order) =>
      Array.from({ length: NR_MIGRATE_TYPES }, (__, type) => zone.buddy.list(order, type)),
    ),
    pcps: zone.pcps.map((pcp) => [
      pcp.pages,
      pcp.freeFactor,
      pcp.lists.map((list) => list.frames()),
    ]),
  };
}
