import { extfragIndex, unusableIndex } from './fragmentation-index';

/** Free blocks by order of two zones of one host, whose debugfs files were read at the same time. */
const DMA = [0, 1, 1, 1, 1, 1, 1, 1, 0, 1, 2];
const DMA32 = [429, 394, 420, 406, 392, 361, 319, 255, 170, 138, 201];
const orders = Array.from({ length: 11 }, (_, order) => order);

describe('unusable_index', () => {
  it('is what debugfs printed for these blocks', () => {
    expect(orders.map((order) => unusableIndex(DMA, order))).toEqual([
      0, 0, 0, 0.002, 0.004, 0.01, 0.022, 0.044, 0.09, 0.09, 0.272,
    ]);
    expect(orders.map((order) => unusableIndex(DMA32, order))).toEqual([
      0, 0.001, 0.003, 0.007, 0.015, 0.031, 0.06, 0.111, 0.194, 0.303, 0.481,
    ]);
  });

  it('is 1 where nothing is free', () => {
    expect(unusableIndex([], 0)).toBe(1);
  });
});

describe('extfrag_index', () => {
  it('is -1 where a block is free, as debugfs printed for every order', () => {
    expect(orders.every((order) => extfragIndex(DMA, order) === -1)).toBe(true);
  });

  it('lies nearer to 1 the more scattered the free pages are', () => {
    // 13 of 16 pages free in blocks of at most 4: 1 - (1 + 13 / 8) / 5 blocks.
    expect(extfragIndex([1, 2, 2], 3)).toBe(0.475);
    expect(extfragIndex([13], 3)).toBe(0.799);
    // One block of half the size: memory is short, not scattered.
    expect(extfragIndex([0, 0, 1], 3)).toBe(-0.5);
    expect(extfragIndex([], 3)).toBe(0);
  });
});
