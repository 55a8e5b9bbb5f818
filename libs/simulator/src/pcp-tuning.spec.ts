import fc from 'fast-check';
import { makeZone, pictureOf } from '../test/zone';
import { MIGRATE_MOVABLE, MIGRATE_UNMOVABLE } from './buddy';
import { claimBlocks } from './fallback-claim';
import { freeToPcp } from './pcp';
import { Pcp } from './pcp-rule';
import { decayPcpHigh, tunedPcp } from './pcp-tuning';
import type { Zone } from './zone';

function tunedZone(values: Partial<Zone> = {}): Zone {
  const zone = makeZone({
    pcpRule: tunedPcp,
    blockRule: claimBlocks,
    belowHigh: false,
    pcpBatch: 63,
    pcpHigh: 722,
    pcpHighMax: 24050,
    ...values,
  });
  zone.pcps[0]!.high = zone.pcpHigh;
  return zone;
}

/** What decides about the next request or page. */
function tuningOf(zone: Zone): unknown {
  const { high, allocFactor, freeCount, freedHighOrder } = zone.pcps[0]!;
  return { high, allocFactor, freeCount, freedHighOrder, belowHigh: zone.belowHigh };
}

describe('per-CPU lists that tune themselves', () => {
  it('ask for twice as much with each refill, up to 32 batches, and may hold as much more', () => {
    const zone = tunedZone();
    const pcp = zone.pcps[0]!;
    const refills = Array.from({ length: 7 }, () => [
      tunedPcp.refillBlocks(zone, pcp, 0),
      pcp.high,
    ]);
    expect(refills).toEqual([
      [63, 785],
      [126, 911],
      [252, 1163],
      [504, 1667],
      [1008, 2675],
      [2016, 4691],
      [2016, 6707],
    ]);
  });

  it('grow no further below the high mark, and ask for no more than they may hold', () => {
    const zone = tunedZone({ belowHigh: true });
    const pcp = zone.pcps[0]!;
    pcp.allocFactor = 5;
    // 722 less a batch, with nothing on the lists.
    expect([tunedPcp.refillBlocks(zone, pcp, 0), pcp.high]).toEqual([659, 722]);
    pcp.pages = 700;
    expect(tunedPcp.refillBlocks(zone, pcp, 0)).toBe(63);
    expect(tunedPcp.refillBlocks(zone, pcp, 3)).toBe(7);
  });

  it('foresee whole refills as they come, and leave the one that is too large untouched', () => {
    const zone = tunedZone();
    const pcp = zone.pcps[0]!;
    expect(tunedPcp.quietRefillPages(zone, pcp, 1000, 400)).toBe(63 + 126);
    expect([pcp.high, pcp.allocFactor]).toEqual([911, 2]);
    expect(tunedPcp.quietRefillPages(zone, pcp, 300, 5000)).toBe(252 + 504);
  });

  // Lists of an idle CPU as a kernel printed them, look after look: count and high.
  it.each([
    [722, 986, 13155, [11511, 10073], 986],
    [133, 1822, 1946, [1703, 1491], 1491],
    [1443, 2508, 10518, [9204, 8054], 2508],
  ])(
    'come down by an eighth with each look (least %i, holding %i)',
    (least, pages, high, then, left) => {
      const zone = tunedZone({ pcpHigh: least });
      const pcp = zone.pcps[0]!;
      Object.assign(pcp, { pages, high });
      const seen = then.map(() => {
        pcp.pages -= decayPcpHigh(zone, pcp);
        return pcp.high;
      });
      expect([seen, pcp.pages]).toEqual([then, left]);
    },
  );

  it('come down to the least, and at once to what they hold less 32 batches', () => {
    const zone = tunedZone();
    const pcp = zone.pcps[0]!;
    Object.assign(pcp, { pages: 4000, high: 730 });
    expect([decayPcpHigh(zone, pcp), pcp.high]).toEqual([2016, 1984]);
    Object.assign(pcp, { pages: 0, high: 730 });
    expect([decayPcpHigh(zone, pcp), pcp.high]).toEqual([0, 722]);
  });

  it('are cut by as many pages as came, and grow when more came than they may hold', () => {
    const zone = tunedZone();
    const pcp = zone.pcps[0]!;
    Object.assign(pcp, { pages: 721, freeCount: 1500 });
    pcp.pages += 1;
    // 1501 pages came one after the other: all but a batch leaves, and next time 1564 pages find room.
    expect(tunedPcp.noteFreed(zone, pcp, 0, 1)).toBe(722 - 63);
    expect([pcp.high, pcp.freeCount]).toEqual([1564, 1501]);
  });

  it('shrink with each page that is freed below the high mark, or while kswapd works', () => {
    for (const values of [{ belowHigh: true }, { reclaimActive: true }]) {
      const zone = tunedZone(values);
      const pcp = zone.pcps[0]!;
      Object.assign(pcp, { pages: 3, high: 1000 });
      expect(tunedPcp.noteFreed(zone, pcp, 0, 3)).toBe(0);
      expect(pcp.high).toBe(1000 - 3 * 63);
    }
  });

  it('give up small blocks when they come in a row', () => {
    const zone = tunedZone();
    const pcp = zone.pcps[0]!;
    Object.assign(pcp, { pages: 200, high: 3000, freeCount: 100 });
    expect(tunedPcp.noteFreed(zone, pcp, 1, 1)).toBe(0);
    expect(tunedPcp.noteFreed(zone, pcp, 1, 1)).toBe(200);
    expect(pcp.high).toBe(3000 - 2016);
  });

  it('freeing many at once equals freeing one by one, to the order of every list', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 2, max: 63 }),
        fc.integer({ min: 4, max: 40 }),
        fc.integer({ min: 0, max: 2000 }),
        fc.constantFrom<1 | -1>(1, -1),
        fc.constantFrom<Partial<Zone>>(
          {},
          { belowHigh: true, high: 1000 },
          { reclaimActive: true },
        ),
        (pages, pcpBatch, highBatches, above, step, values) => {
          const marks = { pcpBatch, pcpHigh: pcpBatch * highBatches, ...values };
          const [bulk, single] = [tunedZone(marks), tunedZone(marks)];
          for (const zone of [bulk, single]) {
            zone.pcps[0]!.high += above;
            zone.buddy.types[1] = MIGRATE_UNMOVABLE;
            for (let left = pages; left > 0;)
              left -= zone.buddy.take(0, MIGRATE_MOVABLE, left)!.count;
          }
          const first = step === 1 ? 0 : pages - 1;
          freeToPcp(bulk, 0, 0, first, pages, step);
          for (let i = 0; i < pages; i += 1) freeToPcp(single, 0, 0, first + i * step, 1, 1);
          expect(pictureOf(bulk)).toEqual(pictureOf(single));
          expect(tuningOf(bulk)).toEqual(tuningOf(single));
        },
      ),
    );
  });

  it('a page joins the list of the type that its pageblock has when it leaves', () => {
    const zone = tunedZone({ pcps: [new Pcp()] });
    zone.pcps[0]!.high = 722;
    const run = zone.buddy.take(0, MIGRATE_MOVABLE, 512)!;
    freeToPcp(zone, 0, 0, run.frame, 10, 1);
    zone.buddy.types[run.frame >>> 9] = MIGRATE_UNMOVABLE;
    freeToPcp(zone, 0, 0, run.frame + 10, 502, 1);
    freeToPcp(zone, 0, 9, 512, 1, 1);
    expect(zone.buddy.freePagesByType[MIGRATE_UNMOVABLE]).toBeGreaterThan(10);
  });
});
