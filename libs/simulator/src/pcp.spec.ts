import fc from 'fast-check';
import { makeZone, pictureOf } from '../test/zone';
import { MIGRATE_MOVABLE } from './buddy';
import { freeToPcp, pcpBatch, pcpHigh } from './pcp';

describe('per-CPU lists', () => {
  it.each([
    [3840, 1],
    [36918, 7],
    [192403, 63],
    [262144, 63],
    [64 * 262144, 63],
  ])('a zone of %i pages refills by %i', (managed, batch) => {
    expect(pcpBatch(managed)).toBe(batch);
  });

  it("holds the low mark shared among the node's CPUs, at least four batches", () => {
    const zone = {
      managedPages: 192403,
      lowPages: 722,
      batchPages: 63,
      onlineCpus: 2,
      percpuPagelistHighFraction: 0,
    };
    expect(pcpHigh({ ...zone, nodeCpus: 1 })).toBe(722);
    expect(pcpHigh({ ...zone, nodeCpus: 3 })).toBe(252);
    expect(pcpHigh({ ...zone, nodeCpus: 0 })).toBe(361);
    expect(pcpHigh({ ...zone, nodeCpus: 1, percpuPagelistHighFraction: 8 })).toBe(24050);
  });

  it('frees more at a time while nothing is allocated', () => {
    const zone = makeZone({ pcpBatch: 63, pcpHigh: 722 });
    const run = zone.buddy.take(0, MIGRATE_MOVABLE, 785)!;
    freeToPcp(zone, 0, 0, run.frame, 721, 1);
    expect(zone.pcps[0]!.pages).toBe(721);
    freeToPcp(zone, 0, 0, run.frame + 721, 1, 1);
    expect([zone.pcps[0]!.pages, zone.pcps[0]!.freeFactor]).toEqual([722 - 63, 1]);
    freeToPcp(zone, 0, 0, run.frame + 722, 63, 1);
    expect([zone.pcps[0]!.pages, zone.pcps[0]!.freeFactor]).toEqual([722 - 126, 2]);
  });

  it('freeing many at once equals freeing one by one, to the order of every list', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 3000 }),
        fc.integer({ min: 2, max: 63 }),
        fc.integer({ min: 4, max: 40 }),
        fc.constantFrom<1 | -1>(1, -1),
        (pages, pcpBatch, highBatches, step) => {
          const marks = { pcpBatch, pcpHigh: pcpBatch * highBatches };
          const [bulk, single] = [makeZone(marks), makeZone(marks)];
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
    );
  });
});
