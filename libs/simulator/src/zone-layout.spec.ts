import {
  countsOf,
  expectSound,
  freeBlocks,
  freePages,
  pagesIn,
  strays,
  typeCounts,
} from '../test/sound-layout';
import { layOutZone, type ZoneLayoutInput } from './zone-layout';

const UNMOVABLE = 0;
const MOVABLE = 1;
const RECLAIMABLE = 2;

const dma: ZoneLayoutInput = {
  startPfn: 1,
  spannedPages: 4095,
  managedPages: 3840,
  freeBlocks: freeBlocks({
    [UNMOVABLE]: [0, 0, 0, 0, 0, 0, 1, 1],
    [MOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 3],
  }),
  pageblocks: [1, 7, 0, 0],
  lruPages: 0,
  hugeLruPages: 0,
  pcpPages: 0,
};
const dma32: ZoneLayoutInput = {
  startPfn: 4096,
  spannedPages: 1044480,
  managedPages: 36918,
  freeBlocks: freeBlocks({
    [UNMOVABLE]: [0, 0, 0, 0, 0, 0, 1, 1, 1, 1, 0],
    [MOVABLE]: [4, 2, 4, 4, 2, 3, 4, 1, 2, 2, 31],
  }),
  pageblocks: [2, 118, 0, 0],
  lruPages: 0,
  hugeLruPages: 0,
  pcpPages: 2046,
};
const normal: ZoneLayoutInput = {
  startPfn: 1048576,
  spannedPages: 196608,
  managedPages: 192403,
  freeBlocks: freeBlocks({
    [UNMOVABLE]: [0, 0, 1, 1, 0, 1, 0, 0, 1, 1, 0],
    [MOVABLE]: [1, 1, 1, 1, 1, 0, 0, 0, 0, 1, 181],
    [RECLAIMABLE]: [1, 1, 0, 0, 0, 1, 0, 1, 0, 1, 0],
  }),
  pageblocks: [17, 365, 2, 0],
  lruPages: 902,
  hugeLruPages: 0,
  pcpPages: 723,
};

describe('recorded states of a freshly booted kernel', () => {
  it.each([
    ['DMA', dma],
    ['DMA32', dma32],
    ['Normal', normal],
  ])('keeps every count of zone %s', (_, input) => {
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.notes).toEqual([]);
    expect(countsOf(layout)).toEqual(input.freeBlocks);
    expect(pagesIn(layout.lru)).toBe(input.lruPages);
    expect(pagesIn(layout.pcp)).toBe(input.pcpPages);
    expect(strays(layout)).toBe(0);
    expect(
      typeCounts(
        layout,
        0,
        input.pageblocks!.reduce((a, b) => a + b),
      ),
    ).toEqual(input.pageblocks);
  });

  it('finds the only place for DMA: small blocks in the pageblock cut by pfn 0, order 9 after it', () => {
    const { basePfn, free } = layOutZone(dma);
    expect(basePfn).toBe(0);
    expect(free.filter((block) => block.order >= 9)).toEqual([
      { frame: 512, order: 9, type: MOVABLE },
      { frame: 1024, order: 10, type: MOVABLE },
      { frame: 2048, order: 10, type: MOVABLE },
      { frame: 3072, order: 10, type: MOVABLE },
    ]);
  });

  it('leaves the hole of DMA32 behind the 120 pageblocks that the kernel counted', () => {
    const layout = layOutZone(dma32);
    const last = Math.max(...layout.free.map((block) => block.frame + 2 ** block.order));
    expect(last).toBe(120 * 512);
    expect(typeCounts(layout, 120, 2040)).toEqual([0, 1920, 0, 0]);
  });

  it("as boot leaves it: locked pages at the end, the kernel's free blocks below Movable's, whose small ones stand just below its big ones", () => {
    const input = { ...normal, boot: { lockedPages: 900 } };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.notes).toEqual([]);
    expect(countsOf(layout)).toEqual(input.freeBlocks);
    expect(layout.locked).toEqual([{ frame: 196608 - 900, pages: 900 }]);
    expect(pagesIn(layout.lru)).toBe(2);
    const framesOf = (type: number, orders: number[]): number[] =>
      layout.free
        .filter((block) => block.type === type && orders.includes(block.order))
        .map((block) => block.frame);
    const small = framesOf(MOVABLE, [0, 1, 2, 3, 4, 5, 6, 7, 8]);
    const big = framesOf(MOVABLE, [9, 10]);
    const kernel = [UNMOVABLE, RECLAIMABLE].flatMap((type) => framesOf(type, [8, 9]));
    expect(Math.max(...kernel)).toBeLessThan(Math.min(...small));
    expect(layout.lru[0]!.frame).toBeLessThan(Math.min(...small));
    expect(Math.min(...big) - Math.max(...small)).toBeLessThanOrEqual(512);
    expect(Math.max(...big) + 1024).toBe(196608 - 1024);
  });

  it('puts LRU pages beside small free Movable blocks, before the free blocks of order 9 and 10, which end the zone', () => {
    const { free, lru, pageblockTypes } = layOutZone(normal);
    for (const { frame, pages } of lru) {
      expect(pageblockTypes[Math.floor(frame / 512)]).toBe(MOVABLE);
      expect(pageblockTypes[Math.floor((frame + pages - 1) / 512)]).toBe(MOVABLE);
    }
    const whole = free.filter((block) => block.order >= 9).map((block) => block.frame);
    expect(lru[0]!.frame + lru[0]!.pages).toBeLessThanOrEqual(Math.min(...whole));
    expect(free.filter((block) => block.order === 10).map((block) => block.frame)).toEqual(
      Array.from({ length: 181 }, (_, i) => 196608 - (181 - i) * 1024),
    );
  });
});

describe('where boot leaves pages that the allocator was never given', () => {
  const late = { ...normal, reserved: { image: undefined, late: true } };

  it('has the memmap at the end of a node, of type Unmovable, and the kernel at its start', () => {
    const layout = layOutZone(late);
    expectSound(late, layout);
    expect(countsOf(layout)).toEqual(late.freeBlocks);
    // 196,608 pages less 192,403 are eight pageblocks and a part.
    expect(layout.reservedFrom).toBe(196608 - 8 * 512);
    const types = [...layout.pageblockTypes];
    expect(types.slice(-8)).toEqual(new Array(8).fill(UNMOVABLE));
    // The first claim of Unmovable pages, that of Reclaimable ones, the other Unmovable ones, pages of users.
    expect(types.slice(0, 4)).toEqual([UNMOVABLE, UNMOVABLE, RECLAIMABLE, RECLAIMABLE]);
    // A pageblock of users lies among these, so that the free block of order 9 has its buddy beside it.
    expect(types.slice(4, 12).filter((type) => type === UNMOVABLE)).toHaveLength(7);
    expect(types.slice(12, -8)).toEqual(new Array(364).fill(MOVABLE));
  });

  it('counts them as Movable in a zone that was initialised at once', () => {
    const layout = layOutZone({ ...late, reserved: { image: undefined, late: false } });
    expect([...layout.pageblockTypes].slice(-8)).toEqual(new Array(8).fill(MOVABLE));
  });

  it('lays per-CPU pages into what came free of the kernel image', () => {
    const image = { pages: 9216, freed: [{ frame: 3586, pages: 510 }] };
    const input = { ...dma32, reserved: { image, late: false } };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.pcp[0]).toEqual({ frame: 3586, pages: 510 });
    expect(pagesIn(layout.pcp)).toBe(2046);
    const first = Math.min(...layout.free.map(({ frame }) => frame));
    expect(first).toBeGreaterThanOrEqual(9216);
    // 61,440 pages less 36,918; the image keeps 8,706 of them.
    expect(layout.reservedFrom).toBe((120 - 30) * 512);
  });
});

describe('what the texts leave open', () => {
  const empty: ZoneLayoutInput = {
    startPfn: 0,
    spannedPages: 0,
    managedPages: 0,
    freeBlocks: freeBlocks({}),
    lruPages: 0,
    hugeLruPages: 0,
    pcpPages: 0,
  };

  it('accepts a zone without pages', () => {
    expect(layOutZone(empty)).toEqual({
      basePfn: 0,
      pageblockTypes: new Uint8Array(0),
      free: [],
      lru: [],
      locked: [],
      huge: [],
      pcp: [],
      reservedFrom: 0,
      notes: [],
    });
  });

  it('makes Movable every pageblock without a free block of another type if they are not counted', () => {
    const input = {
      ...empty,
      spannedPages: 8192,
      managedPages: 8192,
      freeBlocks: freeBlocks({ [UNMOVABLE]: [1, 0, 0, 0, 0, 0, 0, 0, 0, 1, 1] }),
    };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(strays(layout)).toBe(0);
    expect(typeCounts(layout, 0, 16)).toEqual([4, 12, 0, 0]);
  });

  it('lends Movable pageblocks to lists whose own type has none', () => {
    const input = {
      ...empty,
      spannedPages: 2048,
      managedPages: 2048,
      freeBlocks: freeBlocks({ [UNMOVABLE]: [3] }),
      pageblocks: [0, 4, 0, 0],
    };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(countsOf(layout)).toEqual(input.freeBlocks);
    expect(layout.notes).toEqual([]);
    expect(typeCounts(layout, 0, 4)).toEqual([0, 4, 0, 0]);
  });

  it('keeps LRU pages away from small free blocks while kernel pages suffice', () => {
    const input = {
      ...empty,
      spannedPages: 4096,
      managedPages: 4096,
      freeBlocks: freeBlocks({ [MOVABLE]: [100] }),
      lruPages: 4096 - 512,
    };
    // 100 single pages fill a pageblock's 512 pages to less than half: 412 kernel pages are left, all of them there.
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.lru).toEqual([{ frame: 512, pages: 3584 }]);
  });

  it('leaves one kernel page in each gap as long as there are that many', () => {
    // One free block of order 8, its buddy 256 pages: 3 of the zone's 3 kernel pages stay there.
    const input = {
      ...empty,
      spannedPages: 1024,
      managedPages: 1024,
      freeBlocks: freeBlocks({ [MOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 1] }),
      lruPages: 1024 - 256 - 3,
    };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.free).toEqual([{ frame: 256, order: 8, type: MOVABLE }]);
    expect(layout.lru).toEqual([
      { frame: 3, pages: 253 },
      { frame: 512, pages: 512 },
    ]);
  });

  it('aligns huge pages behind the base pages of the LRU lists', () => {
    const input = {
      ...empty,
      startPfn: 1024,
      spannedPages: 4096,
      managedPages: 4096,
      freeBlocks: freeBlocks({ [MOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1] }),
      lruPages: 100,
      hugeLruPages: 1024,
      pcpPages: 50,
    };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.basePfn).toBe(1024);
    expect(layout.huge).toEqual([{ frame: 2048, pages: 1024 }]);
    expect(layout.lru).toEqual([{ frame: 1948, pages: 100 }]);
    expect(layout.pcp).toEqual([{ frame: 1898, pages: 50 }]);
  });
});

describe('the part of the span that is laid out', () => {
  const zone: ZoneLayoutInput = {
    startPfn: 0,
    spannedPages: 8192,
    managedPages: 1024,
    freeBlocks: freeBlocks({}),
    pageblocks: [0, 2, 0, 0],
    lruPages: 0,
    hugeLruPages: 0,
    pcpPages: 0,
  };

  it('is as long as the managed pages if pageblocks are not counted, in whole slots', () => {
    const input = { ...zone, managedPages: 1025, pageblocks: undefined, lruPages: 10 };
    expect(layOutZone(input).lru).toEqual([{ frame: 2038, pages: 10 }]);
  });

  it('goes beyond the counted pageblocks until it holds the managed pages', () => {
    // Frames 1000 to 3584 are six pageblocks, but only 2584 pages; the seventh makes it 3096.
    const pageblocks = [0, 6, 0, 0];
    const input = { ...zone, startPfn: 1000, managedPages: 3000, pageblocks, lruPages: 10 };
    expect(layOutZone(input).lru).toEqual([{ frame: 4086, pages: 10 }]);
  });

  it('goes beyond the counted pageblocks until free blocks are no buddies', () => {
    const free = freeBlocks({ [MOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 0, 2] });
    expect(layOutZone({ ...zone, freeBlocks: free }).free.map((block) => block.frame)).toEqual([
      512, 1024,
    ]);
  });

  it('goes beyond the counted pageblocks until huge pages are aligned', () => {
    // Single pages of two types want a pageblock each, two huge pages the next two.
    const free = freeBlocks({ [UNMOVABLE]: [1], [MOVABLE]: [1] });
    const input = { ...zone, freeBlocks: free, pageblocks: [1, 1, 0, 0], hugeLruPages: 1024 };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.huge).toEqual([{ frame: 1024, pages: 1024 }]);
    expect(strays(layout)).toBe(0);
  });

  it('puts small free blocks beside a free block of order 9, where kernel pages keep both apart', () => {
    const free = freeBlocks({ [MOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 1, 1] });
    const input = { ...zone, spannedPages: 2560, freeBlocks: free, pageblocks: [0, 5, 0, 0] };
    expect(layOutZone(input).free).toEqual([
      { frame: 1280, order: 8, type: MOVABLE },
      { frame: 1536, order: 9, type: MOVABLE },
    ]);
  });
});

describe('pageblocks cut by the ends of the zone', () => {
  // Frames 1 to 4094: pageblocks 0 and 7 lack a page each, six are whole.
  const zone: ZoneLayoutInput = {
    startPfn: 1,
    spannedPages: 4094,
    managedPages: 4094,
    freeBlocks: freeBlocks({}),
    lruPages: 0,
    hugeLruPages: 6 * 512,
    pcpPages: 0,
  };

  it('hold small free blocks, so that whole ones stay whole', () => {
    const free = freeBlocks({ [UNMOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 2] });
    const input = { ...zone, freeBlocks: free };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(layout.free.map((block) => block.frame)).toEqual([256, 3584]);
    expect(layout.huge).toEqual([{ frame: 512, pages: 3072 }]);
    expect(layout.notes).toEqual([]);
    expect(typeCounts(layout, 0, 8)).toEqual([2, 6, 0, 0]);
  });

  it('keep the counted types even if a list has no pageblock of its own', () => {
    const free = freeBlocks({ [UNMOVABLE]: [0, 0, 0, 0, 0, 0, 1] });
    const input = { ...zone, freeBlocks: free, hugeLruPages: 0, pageblocks: [0, 8, 0, 0] };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(countsOf(layout)).toEqual(free);
    expect(typeCounts(layout, 0, 8)).toEqual([0, 8, 0, 0]);
  });
});

describe('texts that contradict each other', () => {
  const zone: ZoneLayoutInput = {
    startPfn: 0,
    spannedPages: 2048,
    managedPages: 2048,
    freeBlocks: freeBlocks({}),
    lruPages: 0,
    hugeLruPages: 0,
    pcpPages: 0,
  };

  it('splits blocks that have no aligned room and says so', () => {
    // Slots 0 and 1024: the third block of order 9 would be a buddy of one of the others.
    const input = {
      ...zone,
      freeBlocks: freeBlocks({ [MOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 0, 3] }),
    };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(countsOf(layout)[9]).toEqual([0, 2, 0, 0]);
    expect(countsOf(layout)[8]).toEqual([0, 2, 0, 0]);
    expect(layout.notes).toEqual([expect.stringMatching(/^1 free blocks were split/)]);
  });

  it('merges single pages that would all be buddies', () => {
    const input = { ...zone, freeBlocks: freeBlocks({ [MOVABLE]: [2000] }) };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(freePages(countsOf(layout))).toBe(2000);
    expect(layout.notes).toEqual([expect.stringMatching(/^free blocks were merged/)]);
  });

  it('keeps as many free pages as the span has', () => {
    const input = {
      ...zone,
      freeBlocks: freeBlocks({ [MOVABLE]: [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5] }),
    };
    const layout = layOutZone(input);
    expectSound(input, layout);
    expect(freePages(countsOf(layout))).toBe(2048);
    expect(layout.notes).toEqual([
      '5120 free pages do not fit in a span of 2048 pages: 2048 are kept',
    ]);
  });

  it('says how many LRU pages find no place', () => {
    const layout = layOutZone({ ...zone, lruPages: 2050 });
    expect(pagesIn(layout.lru)).toBe(2048);
    expect(layout.notes).toEqual(['2 of 2050 LRU pages do not fit beside the free pages']);
  });

  it('turns huge pages without an aligned place into base pages', () => {
    const input = { ...zone, freeBlocks: freeBlocks({ [MOVABLE]: [4] }), hugeLruPages: 2048 - 512 };
    expect(layOutZone(input).notes).toEqual([]);
    const more = layOutZone({ ...zone, startPfn: 1, spannedPages: 2047, hugeLruPages: 1536 + 512 });
    expect([pagesIn(more.huge), pagesIn(more.lru)]).toEqual([1536, 511]);
    expect(more.notes).toEqual([
      '512 pages of huge pages lie as base pages: only 1536 pages are in aligned runs without free pages',
      '1 of 512 LRU pages do not fit beside the free pages',
    ]);
  });

  it('counts pageblocks that lie outside the span', () => {
    const layout = layOutZone({ ...zone, pageblocks: [1, 5, 0, 0] });
    expect(typeCounts(layout, 0, 4)).toEqual([1, 3, 0, 0]);
    expect(layout.notes).toEqual(['2 of 6 pageblocks lie outside the span of 4']);
  });

  it.each<[Partial<ZoneLayoutInput>, string]>([
    [{ spannedPages: -1 }, "spannedPages of a zone's layout is -1; it must be a whole number"],
    [{ hugeLruPages: 700 }, "hugeLruPages of a zone's layout is 700; it must be a multiple of 512"],
    [{ freeBlocks: [[0, 0, 0, 0]] }, "freeBlocks[1][0] of a zone's layout is undefined"],
    [{ pageblocks: [1, 2] }, "pageblocks[2] of a zone's layout is undefined"],
  ])('refuses %j', (change, message) => {
    expect(() => layOutZone({ ...zone, ...change })).toThrow(RangeError);
    expect(() => layOutZone({ ...zone, ...change })).toThrow(message);
  });
});
