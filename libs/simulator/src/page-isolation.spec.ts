import { makeZone } from '../test/zone';
import { MIGRATE_MOVABLE, MIGRATE_UNMOVABLE } from './buddy';
import { firstUsedFrame, startIsolatePageRange, undoIsolatePageRange } from './page-isolation';
import type { NodeState, Zone } from './zone';

/** 4096 free pages in blocks of order 10, no LRU pages. */
function freeZone(): Zone {
  return makeZone({ node: { lists: [], groupLruvecs: [] } as unknown as NodeState });
}

const all = (zone: Zone) => ({ zone, from: 0, to: 4096, cpu: 0 });

describe('a range of pageblocks', () => {
  it('is not free for anybody while it is isolated, and Movable afterwards', () => {
    const zone = freeZone();
    zone.buddy.types.fill(MIGRATE_UNMOVABLE, 2, 4);
    expect(startIsolatePageRange(all(zone))).toBe(-1);
    expect([zone.buddy.freePages, zone.buddy.hasBlock(0, true)]).toEqual([0, false]);
    expect(firstUsedFrame(all(zone))).toBe(-1);
    undoIsolatePageRange(all(zone));
    expect(zone.buddy.freePages).toBe(4096);
    expect(zone.buddy.list(10, MIGRATE_MOVABLE)).toEqual([0, 1024, 2048, 3072]);
    expect([...zone.buddy.types]).toEqual(new Array(8).fill(MIGRATE_MOVABLE));
  });

  it('is given back as Movable memory where a page in it cannot be moved', () => {
    const zone = freeZone();
    zone.buddy.types[0] = MIGRATE_UNMOVABLE;
    zone.buddy.types[7] = MIGRATE_UNMOVABLE;
    zone.buddy.remove(1024, 10);
    for (let order = 0; order < 10; order += 1) {
      zone.buddy.add(1024 + 2 ** order, order, MIGRATE_MOVABLE, true);
    }
    const before = zone.buddy.freePages;
    expect(startIsolatePageRange(all(zone))).toBe(1024);
    expect(zone.buddy.freePages).toBe(before);
    expect([...zone.buddy.types]).toEqual(new Array(8).fill(MIGRATE_MOVABLE));
    expect(firstUsedFrame(all(zone))).toBe(1024);
  });

  it('merges with the free half beside it when it is freed while that is isolated', () => {
    const zone = freeZone();
    expect(startIsolatePageRange(all(zone))).toBe(-1);
    // Both halves are free on their own, as when the last page of each came back.
    for (const frame of [0, 512]) {
      if (frame === 0) zone.buddy.remove(0, 10);
      zone.buddy.add(frame, 9, 4, true);
    }
    undoIsolatePageRange(all(zone));
    expect(zone.buddy.list(9, MIGRATE_MOVABLE)).toEqual([]);
    expect(zone.buddy.list(10, MIGRATE_MOVABLE).sort((a, b) => a - b)).toEqual([
      0, 1024, 2048, 3072,
    ]);
  });
});
