import { kernelProfiles } from './profile';
import { checkWatermark, type CheckedZone } from './watermark-check';

const OLD = kernelProfiles['2.6.32'];
const zone = (part: Partial<CheckedZone>): CheckedZone => ({
  freePages: 0,
  freeBlocks: [],
  highatomicPages: 0,
  minPages: 0,
  lowPages: 0,
  highPages: 0,
  reservePages: 0,
  ...part,
});

/** Zones of a 96 GiB server under 2.6.32 when an order-1 GFP_ATOMIC request of class Normal failed. */
const DMA = zone({
  freePages: 15796 / 4,
  freeBlocks: [1, 2, 0, 1, 2, 0, 1, 0, 1, 1, 3],
  minPages: 1,
  lowPages: 1,
  highPages: 1,
  reservePages: 96891,
});
const DMA32 = zone({
  freePages: 380032 / 4,
  freeBlocks: [130, 65, 75, 72, 95, 22, 10, 7, 4, 2, 86],
  minPages: 200,
  lowPages: 250,
  highPages: 300,
  reservePages: 94940,
});
const NORMAL = zone({
  freePages: 56552 / 4,
  freeBlocks: [12544, 68, 0, 0, 0, 0, 0, 0, 0, 0, 1],
  minPages: 9758,
  lowPages: 12197,
  highPages: 14637,
});

const first = { order: 1, mark: 'low', kind: 'atomic' } as const;
const second = { order: 1, mark: 'min', kind: 'atomic' } as const;

describe('the check before 4.4, on a recorded failure of an atomic order-1 request (W8)', () => {
  it('refuses DMA32 at low: 95007 against 250 + 94940', () => {
    expect(checkWatermark(DMA32, first, OLD)).toMatchObject({
      allowed: false,
      refusedBy: 'free-pages',
      steps: [{ freePages: 95007, markPages: 250, reservePages: 94940, neededPages: 95190 }],
    });
  });

  it('refuses DMA32 at the atomic min by 9 pages', () => {
    expect(checkWatermark(DMA32, second, OLD)).toMatchObject({
      allowed: false,
      refusedBy: 'free-pages',
      missingPages: 9,
      steps: [{ markPages: 75, neededPages: 95015 }],
      explanation: ['free pages: 95007 not above 75 + 94940 = 95015: refused'],
    });
  });

  it('refuses DMA for its reserve', () => {
    expect(checkWatermark(DMA, second, OLD)).toMatchObject({ refusedBy: 'free-pages' });
    expect(checkWatermark(DMA, second, OLD).steps[0]!.freePages).toBe(3948);
  });

  it('refuses Normal for want of pairs, at low and at the atomic min, though it has pages enough', () => {
    expect(checkWatermark(NORMAL, first, OLD)).toMatchObject({
      allowed: false,
      refusedBy: 'larger-blocks',
      steps: [
        { freePages: 14137, neededPages: 12197, passes: true },
        { order: 1, freePages: 1593, neededPages: 6098, passes: false },
      ],
    });
    expect(checkWatermark(NORMAL, second, OLD).steps).toMatchObject([
      { freePages: 14137, neededPages: 3660, passes: true },
      { freePages: 1593, neededPages: 1830, passes: false },
    ]);
  });

  it('is what later kernels do without: a free pair is enough for them', () => {
    for (const name of ['4.18', '5.10', '6.1.y', '6.18'] as const) {
      expect(checkWatermark(NORMAL, second, kernelProfiles[name]).allowed).toBe(true);
    }
    expect(checkWatermark(NORMAL, second, kernelProfiles['3.10']).allowed).toBe(false);
  });
});

describe('the check at any age', () => {
  it('keeps DMA from requests of class Normal: 1355 free against 3 + 2004 (W6)', () => {
    const dma = zone({
      freePages: 1355,
      minPages: 3,
      lowPages: 3,
      highPages: 4,
      reservePages: 2004,
    });
    const result = checkWatermark(dma, { order: 0, mark: 'low', kind: 'normal' }, OLD);
    expect(result).toMatchObject({ allowed: false, missingPages: 653 });
    expect(result.steps[0]!.neededPages).toBe(2007);
    const own = { ...dma, reservePages: 0 };
    expect(checkWatermark(own, { order: 0, mark: 'low', kind: 'normal' }, OLD).allowed).toBe(true);
  });

  it('asks for strictly more than the mark', () => {
    const at = (freePages: number) =>
      checkWatermark(
        zone({ freePages, minPages: 100 }),
        { order: 0, mark: 'min', kind: 'normal' },
        kernelProfiles['6.1.y'],
      ).allowed;
    expect([at(100), at(101)]).toEqual([false, true]);
  });

  it('asks for a block of the order where pages alone would do', () => {
    const scattered = zone({ freePages: 5000, freeBlocks: [5000], minPages: 100 });
    const result = checkWatermark(
      scattered,
      { order: 2, mark: 'min', kind: 'normal' },
      kernelProfiles['6.1.y'],
    );
    expect(result).toMatchObject({ allowed: false, refusedBy: 'larger-blocks', missingPages: 0 });
    expect(result.explanation).toHaveLength(2);
  });

  it('lends the HighAtomic reserve to those whose right it is in that kernel', () => {
    const reserved = zone({
      freePages: 1000,
      freeBlocks: [0, 500],
      minPages: 900,
      highatomicPages: 600,
    });
    const allowed = (kind: 'normal' | 'high' | 'atomic', name: '5.10' | '6.1.y') =>
      checkWatermark(reserved, { order: 1, mark: 'min', kind }, kernelProfiles[name]).allowed;
    expect(allowed('normal', '6.1.y')).toBe(false);
    expect(allowed('atomic', '5.10')).toBe(true);
    expect(allowed('high', '5.10')).toBe(false);
    expect(allowed('high', '6.1.y')).toBe(true);
  });
});
