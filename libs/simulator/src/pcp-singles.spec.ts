import fc from 'fast-check';
import { makeZone, pictureOf } from '../test/zone';
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE } from './buddy';
import { drainPages, freeToPcp } from './pcp';
import { Pcp } from './pcp-rule';
import { singlesPcp, takeTurns } from './pcp-singles';
import { rmqueue } from './rmqueue';
import type { Zone } from './zone';

/** Lists as a zone of 187 MiB has them: batches of 7, six of them. */
function singlesZone(values: Partial<Zone> = {}): Zone {
  return makeZone({ pcpRule: singlesPcp, pcpBatch: 7, pcpHigh: 42, ...values });
}

const request = (order: number) => ({
  ...{ cpu: 0, order, type: MIGRATE_MOVABLE, flags: 0, boostFactor: 0 },
  neededPages: 0,
});

/** Pages that each list would give, turn by turn, as [type, pages]. */
function turns(unmovable: number, movable: number, reclaimable: number, pages: number): unknown {
  const pcp = new Pcp();
  [unmovable, movable, reclaimable].forEach((count, type) => {
    if (count > 0) pcp.lists[type]!.pushHead({ frame: type * 1000, count, step: 1, type });
    pcp.pages += count;
  });
  const taken: [number, number][] = [];
  takeTurns(pcp, pages, (index, due) => {
    pcp.lists[index]!.takeTail(due, () => undefined);
    taken.push([index, due]);
  });
  return taken;
}

describe('per-CPU lists of single pages', () => {
  it('hold six batches and give one when the last of them comes, with or without a kswapd at work', () => {
    for (const reclaimActive of [false, true]) {
      const zone = singlesZone({ reclaimActive });
      const run = zone.buddy.take(0, MIGRATE_MOVABLE, 100)!;
      freeToPcp(zone, 0, 0, run.frame, 41, 1);
      expect(zone.pcps[0]!.pages).toBe(41);
      freeToPcp(zone, 0, 0, run.frame + 41, 1, 1);
      expect(zone.pcps[0]!.pages).toBe(42 - 7);
      // Seven more fill them again, and again one batch leaves.
      freeToPcp(zone, 0, 0, run.frame + 42, 7, 1);
      expect(zone.pcps[0]!.pages).toBe(42 - 7);
    }
  });

  it('pass every page on where six batches are none', () => {
    const zone = singlesZone({ pcpBatch: 1, pcpHigh: 0 });
    const free = zone.buddy.freePages;
    const run = zone.buddy.take(0, MIGRATE_MOVABLE, 10)!;
    freeToPcp(zone, 0, 0, run.frame, 10, 1);
    expect([zone.pcps[0]!.pages, zone.buddy.freePages]).toEqual([0, free]);
  });

  it('are refilled by a batch', () => {
    const zone = singlesZone();
    const free = zone.buddy.freePages;
    rmqueue(zone, request(0), 1);
    expect([zone.pcps[0]!.pages, free - zone.buddy.freePages]).toEqual([6, 7]);
  });

  it.each([1, 3, 9])('never see a block of order %i', (order) => {
    const zone = singlesZone();
    const free = zone.buddy.freePages;
    const [run] = rmqueue(zone, request(order), 1);
    expect([run!.count, zone.pcps[0]!.pages, free - zone.buddy.freePages]).toEqual([
      ...[1, 0],
      2 ** order,
    ]);
    freeToPcp(zone, 0, order, run!.frame, 1, 1);
    expect([zone.pcps[0]!.pages, zone.buddy.freePages]).toEqual([0, free]);
  });

  it('give from Movable first, then in turn, and more at once where empty lists were passed', () => {
    // Movable, Reclaimable, Unmovable: one page each, round and round.
    expect(turns(9, 9, 9, 5)).toEqual([
      [MIGRATE_MOVABLE, 1],
      [MIGRATE_RECLAIMABLE, 1],
      [MIGRATE_UNMOVABLE, 1],
      [MIGRATE_MOVABLE, 1],
      [MIGRATE_RECLAIMABLE, 1],
    ]);
    // Reclaimable is empty: Unmovable gives two, because two lists were looked at.
    expect(turns(9, 9, 0, 6)).toEqual([
      [MIGRATE_MOVABLE, 1],
      [MIGRATE_UNMOVABLE, 2],
      [MIGRATE_MOVABLE, 1],
      [MIGRATE_UNMOVABLE, 2],
    ]);
    // Three looks in a row say that no other list has a page: it gives all that is left.
    expect(turns(0, 9, 0, 7)).toEqual([
      [MIGRATE_MOVABLE, 1],
      [MIGRATE_MOVABLE, 6],
    ]);
  });

  it('give no more than they have', () => {
    const zone = singlesZone();
    const run = zone.buddy.take(0, MIGRATE_MOVABLE, 20)!;
    freeToPcp(zone, 0, 0, run.frame, 20, 1);
    drainPages(zone, zone.pcps[0]!, 63, 0);
    expect([zone.pcps[0]!.pages, zone.pcps[0]!.lists[MIGRATE_MOVABLE]!.count]).toEqual([0, 0]);
  });

  it('freeing many at once equals freeing one by one, to the order of every list', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1500 }),
        fc.integer({ min: 1, max: 63 }),
        fc.integer({ min: 0, max: 8 }),
        fc.constantFrom<1 | -1>(1, -1),
        (pages, pcpBatch, batches, step) => {
          const sizes = { pcpBatch, pcpHigh: pcpBatch * batches };
          const [bulk, single] = [singlesZone(sizes), singlesZone(sizes)];
          for (const zone of [bulk, single]) {
            for (let left = pages; left > 0;)
              left -= zone.buddy.take(0, MIGRATE_MOVABLE, left)!.count;
          }
          const first = step === 1 ? 0 : pages - 1;
          freeToPcp(bulk, 0, 0, first, pages, step);
          for (let i = 0; i < pages; i += 1) freeToPcp(single, 0, 0, first + i * step, 1, 1);
          expect(pictureOf(bulk)).toEqual(pictureOf(single));
        },
      ),
      { numRuns: 40 },
    );
  });
});
