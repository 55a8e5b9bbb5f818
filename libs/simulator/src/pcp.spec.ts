import fc from 'fast-check';
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
    const pcp = { pages: 721, hugePages: 0, freeFactor: 0 };
    expect(freeToPcp(pcp, 1, 722, 63)).toBe(63);
    expect(pcp.freeFactor).toBe(1);
    expect(freeToPcp(pcp, 63, 722, 63)).toBe(126);
  });

  it('loses no page, and equals freeing one by one', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 0, max: 5000 }),
        fc.integer({ min: 1, max: 63 }),
        fc.integer({ min: 4, max: 40 }),
        (pages, batch, highBatches) => {
          const high = batch * highBatches;
          const bulk = { pages: 0, hugePages: 0, freeFactor: 0 };
          const single = { pages: 0, hugePages: 0, freeFactor: 0 };
          const drained = freeToPcp(bulk, pages, high, batch);
          let drainedSingly = 0;
          for (let i = 0; i < pages; i += 1) drainedSingly += freeToPcp(single, 1, high, batch);
          expect(drained + bulk.pages).toBe(pages);
          expect({ drained, bulk }).toEqual({ drained: drainedSingly, bulk: single });
        },
      ),
    );
  });
});
