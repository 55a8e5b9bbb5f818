import { makeZone } from '../test/zone';
import {
  Buddy,
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
} from './buddy';
import {
  reserveHighatomicPageblock,
  unreserveHighatomicPageblock,
  type BlockSearch,
} from './fallback';
import { claimBlocks } from './fallback-claim';
import { ALLOC_KSWAPD, ALLOC_NOFRAGMENT, neededPages } from './watermark';
import type { Zone } from './zone';

/** Eight pageblocks in use, by type; `free` says which blocks are free: frame and order. */
function zoneWith(types: number[], free: [frame: number, order: number][], firstFrame = 0): Zone {
  const buddy = new Buddy(0, 4096, firstFrame, true);
  buddy.types.set(types);
  for (const [frame, order] of free) buddy.add(frame, order, buddy.typeOf(frame), true);
  return makeZone({ buddy, blockRule: claimBlocks, high: 150 });
}

function search(order: number, type: number, flags = ALLOC_KSWAPD): BlockSearch {
  return { order, type, flags, boostFactor: 15000, stealing: false };
}

describe('claiming a pageblock or stealing from it', () => {
  it('a kernel page claims the pageblock of the largest free block if half of it is free or not movable', () => {
    const zone = zoneWith(
      [1, 1, 1, 1, 1, 1, 1, 1],
      [
        [512, 6],
        [1024, 5],
      ],
    );
    zone.buddy.lruPages.fill(300);
    zone.buddy.lruPages[1] = 256;
    expect(claimBlocks.take(zone, search(0, MIGRATE_UNMOVABLE), 1)).toEqual({
      frame: 512,
      count: 1,
    });
    expect([...zone.buddy.types.subarray(0, 3)]).toEqual([1, 0, 1]);
    // The rest of the claimed block waits on the new type's lists.
    expect(zone.buddy.freePagesByType[MIGRATE_UNMOVABLE]).toBe(63);
    expect([zone.boost, zone.boostedWatermark]).toEqual([512, true]);
  });

  it('else it goes on to smaller blocks, boosts for each, and steals the smallest in the end', () => {
    const zone = zoneWith(
      [1, 1, 1, 1, 1, 1, 1, 1],
      [
        [512, 6],
        [1024, 5],
      ],
    );
    zone.high = 2000;
    zone.buddy.lruPages.fill(257);
    expect(claimBlocks.take(zone, search(0, MIGRATE_UNMOVABLE), 8)).toEqual({
      frame: 1024,
      count: 8,
    });
    expect([...zone.buddy.types]).toEqual([1, 1, 1, 1, 1, 1, 1, 1]);
    // What is left of the stolen block stays Movable.
    expect([zone.buddy.freePagesByType, zone.boost]).toEqual([[0, 64 + 24, 0, 0, 0], 1024]);
  });

  it('a movable page claims no block below order 4, and a search that stole goes on stealing', () => {
    const zone = zoneWith(
      [2, 0, 1, 1, 1, 1, 1, 1],
      [
        [0, 3],
        [512, 0],
        [513 + 7, 3],
      ],
    );
    const movable = search(0, MIGRATE_MOVABLE);
    expect(claimBlocks.take(zone, movable, 1)).toEqual({ frame: 512, count: 1 });
    expect([movable.stealing, zone.boost]).toEqual([true, 0]);
    zone.buddy.add(1024, 0, MIGRATE_MOVABLE, true);
    expect(claimBlocks.take(zone, movable, 4)).toEqual({ frame: 0, count: 4 });
    expect(claimBlocks.take(zone, search(0, MIGRATE_MOVABLE), 4)).toEqual({
      frame: 1024,
      count: 1,
    });
  });

  it('a movable page claims a block of order 4 and more if half of the pageblock is free or movable', () => {
    const zone = zoneWith([0, 1, 1, 1, 1, 1, 1, 1], [[16, 4]]);
    zone.buddy.lruPages[0] = 240;
    expect(claimBlocks.take(zone, search(0, MIGRATE_MOVABLE), 1)).toEqual({ frame: 16, count: 1 });
    expect(zone.buddy.typeOf(0)).toBe(MIGRATE_MOVABLE);
  });

  it('takes whole pageblocks without a boost, also where nothing may be fragmented', () => {
    const zone = zoneWith(
      [1, 1, 1, 1, 1, 1, 1, 1],
      [
        [0, 5],
        [1024, 10],
      ],
    );
    const careful = search(0, MIGRATE_RECLAIMABLE, ALLOC_KSWAPD | ALLOC_NOFRAGMENT);
    expect(claimBlocks.take(zone, careful, 1)).toEqual({ frame: 1024, count: 1 });
    expect([...zone.buddy.types.subarray(2, 5)]).toEqual([2, 2, 1]);
    expect(zone.boost).toBe(0);
    const rest = zoneWith([1, 1, 1, 1, 1, 1, 1, 1], [[0, 5]]);
    expect(claimBlocks.take(rest, careful, 1)).toBeUndefined();
  });

  it('leaves a pageblock that the zone has only a part of, after the boost', () => {
    const zone = zoneWith([1, 1, 1, 1, 1, 1, 1, 1], [[64, 6]], 1);
    expect(claimBlocks.take(zone, search(6, MIGRATE_UNMOVABLE), 1)).toEqual({
      frame: 64,
      count: 1,
    });
    expect([zone.buddy.typeOf(64), zone.boost]).toEqual([MIGRATE_MOVABLE, 512]);
  });

  it('pageblocks that merge take the type of the one freed last', () => {
    const zone = zoneWith([0, 1, 1, 1, 1, 1, 1, 1], [[0, 9]]);
    zone.buddy.free(512, 9, MIGRATE_MOVABLE);
    expect([...zone.buddy.types.subarray(0, 2)]).toEqual([1, 1]);
    expect(zone.buddy.list(10, MIGRATE_MOVABLE)).toEqual([0]);
  });
});

describe('the HighAtomic reserve', () => {
  it('is none where one percent is less than a pageblock, and counts in whole pageblocks', () => {
    expect(
      [51199, 51200, 60000, 102401].map((managed) => claimBlocks.mostReservedPages(managed)),
    ).toEqual([0, 512, 1024, 1024]);
  });

  it('takes its free pages off what others may count on, not those in use', () => {
    const zone = zoneWith([1, 1, 1, 1, 1, 1, 1, 1], [[512, 6]]);
    zone.managed = 100_000;
    reserveHighatomicPageblock(zone, 600);
    expect([zone.buddy.typeOf(512), zone.reservedHighatomic]).toEqual([MIGRATE_HIGHATOMIC, 512]);
    expect(neededPages(zone, 150)).toBe(150 + 64);
    expect(unreserveHighatomicPageblock([zone], MIGRATE_MOVABLE, true)).toBe(true);
    expect([neededPages(zone, 150), zone.buddy.typeOf(512)]).toEqual([150, MIGRATE_MOVABLE]);
  });
});
