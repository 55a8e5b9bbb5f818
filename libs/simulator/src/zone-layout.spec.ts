import * as fc from 'fast-check';
import { layOutZone, type Extent, type ZoneLayout, type ZoneLayoutInput } from './zone-layout';

const UNMOVABLE = 0;
const MOVABLE = 1;
const RECLAIMABLE = 2;

/** Rows of pagetypeinfo (orders 0 to 10 per type) as the table by order and type. */
function freeBlocks(rows: { [type: number]: number[] }): number[][] {
  return Array.from({ length: 11 }, (_, order) => [0, 1, 2, 3].map((t) => rows[t]?.[order] ?? 0));
}

const pagesIn = (extents: Extent[]): number => extents.reduce((sum, e) => sum + e.pages, 0);
const freePages = (counts: number[][]): number =>
  counts.reduce((sum, types, order) => sum + types.reduce((a, b) => a + b, 0) * 2 ** order, 0);

function countsOf(layout: ZoneLayout): number[][] {
  const counts = freeBlocks({});
  for (const { order, type } of layout.free) counts[order]![type]!++;
  return counts;
}

function typeCounts(layout: ZoneLayout, from: number, to: number): number[] {
  const counts = [0, 0, 0, 0];
  for (let block = from; block < to; block++) counts[layout.pageblockTypes[block]!]!++;
  return counts;
}

/** Whether the layout could be the state of a kernel: nothing overlaps, all lies inside, all buddies that can merge have. */
function expectSound(input: ZoneLayoutInput, layout: ZoneLayout): void {
  const start = input.startPfn - layout.basePfn;
  const end = start + input.spannedPages;
  expect(layout.basePfn % 1024).toBe(0);
  expect(start).toBeLessThan(1024);
  expect(layout.pageblockTypes).toHaveLength(Math.ceil(end / 512));
  const runs = [...layout.lru, ...layout.huge, ...layout.pcp].map((e) => [e.frame, e.pages]);
  const heads = new Set<string>();
  for (const { frame, order } of layout.free) {
    if (frame % 2 ** order !== 0) throw new Error(`${frame} is not aligned to order ${order}`);
    runs.push([frame, 2 ** order]);
    heads.add(`${frame}/${order}`);
  }
  let reached = start;
  for (const [frame, pages] of runs.sort((a, b) => a[0]! - b[0]!)) {
    if (frame! < reached) throw new Error(`frame ${frame} is used twice or before ${start}`);
    reached = frame! + pages!;
  }
  expect(reached).toBeLessThanOrEqual(end);
  for (const { frame, order } of layout.free) {
    const size = 2 ** order;
    const buddy = (frame / size) % 2 === 0 ? frame + size : frame - size;
    if (order < 10 && heads.has(`${buddy}/${order}`)) {
      throw new Error(`${frame} and ${buddy} of order ${order} would have merged`);
    }
  }
  for (const run of layout.huge) expect([run.frame % 512, run.pages % 512]).toEqual([0, 0]);
  for (const extents of [layout.lru, layout.huge, layout.pcp]) {
    for (let i = 1; i < extents.length; i++) {
      const before = extents[i - 1]!;
      expect(extents[i]!.frame).toBeGreaterThan(before.frame + before.pages);
    }
  }
}

/** Small free blocks on a list whose type is not their pageblock's. */
function strays(layout: ZoneLayout): number {
  return layout.free.filter(
    ({ frame, type }) => layout.pageblockTypes[Math.floor(frame / 512)] !== type,
  ).length;
}

describe('recorded states of a freshly booted kernel', () => {
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

  it('puts LRU pages in one run before the free blocks of order 9 and 10, which end the zone', () => {
    const { free, lru, pcp } = layOutZone(normal);
    expect(lru).toHaveLength(1);
    expect(pcp).toEqual([{ frame: lru[0]!.frame - 723, pages: 723 }]);
    const whole = free.filter((block) => block.order >= 9).map((block) => block.frame);
    expect(lru[0]!.frame + 902).toBeLessThanOrEqual(Math.min(...whole));
    expect(free.filter((block) => block.order === 10).map((block) => block.frame)).toEqual(
      Array.from({ length: 181 }, (_, i) => 196608 - (181 - i) * 1024),
    );
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
      huge: [],
      pcp: [],
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

describe('any zone', () => {
  /** Counts of a zone whose pages are really free or used as `runs` say, free pages merged as the kernel merges them. */
  function recorded(
    startPfn: number,
    runs: { pages: number; free: boolean }[],
    types: number[],
    shares: number[],
  ): ZoneLayoutInput {
    const counts = freeBlocks({});
    const typeAt = (pfn: number): number => types[Math.floor(pfn / 512) % types.length]!;
    let pfn = startPfn;
    let usedPages = 0;
    let freeFrom = startPfn;
    const free = (from: number, to: number): void => {
      while (from < to) {
        let order = 0;
        while (order < 10 && from % 2 ** (order + 1) === 0 && from + 2 ** (order + 1) <= to)
          order++;
        counts[order]![typeAt(from)]!++;
        from += 2 ** order;
      }
    };
    for (const run of runs) {
      if (!run.free) {
        free(freeFrom, pfn);
        usedPages += run.pages;
        freeFrom = pfn + run.pages;
      }
      pfn += run.pages;
    }
    free(freeFrom, pfn);
    const pageblocks = [0, 0, 0, 0];
    for (let at = Math.floor(startPfn / 512); at < Math.ceil(pfn / 512); at++) {
      pageblocks[typeAt(at * 512)]!++;
    }
    const lruPages = Math.floor(usedPages * shares[0]!);
    const pcpPages = Math.floor((usedPages - lruPages) * shares[1]!);
    const spannedPages = pfn - startPfn;
    return {
      startPfn,
      spannedPages,
      managedPages: spannedPages,
      freeBlocks: counts,
      pageblocks,
      lruPages,
      hugeLruPages: 0,
      pcpPages,
    };
  }
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const real = fc
    .tuple(
      fc.oneof(
        fc.nat({ max: 5000 }),
        fc.nat({ max: 5 }).map((n) => n * 512),
      ),
      fc.array(
        fc.record({
          pages: fc.oneof(fc.integer({ min: 1, max: 12 }), fc.integer({ min: 1, max: 3000 })),
          free: fc.boolean(),
        }),
        { minLength: 1, maxLength: 60 },
      ),
      fc.array(fc.constantFrom(0, 1, 1, 1, 2, 3), { minLength: 1, maxLength: 8 }),
      fc.tuple(share, share),
    )
    .map(([startPfn, runs, types, shares]) => recorded(startPfn, runs, types, shares));

  it('keeps all counts of a state that a kernel was in', () => {
    fc.assert(
      fc.property(real, fc.boolean(), (state, counted) => {
        const input = counted ? state : { ...state, pageblocks: undefined };
        const layout = layOutZone(input);
        expectSound(input, layout);
        expect(layout.notes).toEqual([]);
        expect(countsOf(layout)).toEqual(input.freeBlocks);
        expect(pagesIn(layout.lru)).toBe(input.lruPages);
        expect(pagesIn(layout.pcp)).toBe(input.pcpPages);
        const first = Math.floor((input.startPfn - layout.basePfn) / 512);
        const types = typeCounts(layout, first, layout.pageblockTypes.length);
        if (counted) expect(types).toEqual(state.pageblocks);
      }),
      { numRuns: 400 },
    );
  });

  it('keeps the same counts in a span that goes on as a hole, and the hole free of pages', () => {
    fc.assert(
      fc.property(real, fc.integer({ min: 1, max: 9000 }), (state, holePages) => {
        const input = { ...state, spannedPages: state.spannedPages + holePages };
        const layout = layOutZone(input);
        expectSound(input, layout);
        expect(layout.notes).toEqual([]);
        expect(countsOf(layout)).toEqual(input.freeBlocks);
        expect(pagesIn(layout.lru) + pagesIn(layout.pcp)).toBe(input.lruPages + input.pcpPages);
      }),
      { numRuns: 200 },
    );
  });

  const count = fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 40 }));
  const arbitrary = fc.record({
    startPfn: fc.nat({ max: 3000 }),
    spannedPages: fc.nat({ max: 20000 }),
    managedPages: fc.nat({ max: 20000 }),
    freeBlocks: fc.array(fc.array(count, { minLength: 4, maxLength: 4 }), {
      minLength: 11,
      maxLength: 11,
    }),
    pageblocks: fc.option(fc.array(fc.nat({ max: 15 }), { minLength: 4, maxLength: 4 }), {
      nil: undefined,
    }),
    lruPages: fc.nat({ max: 9000 }),
    hugeLruPages: fc.nat({ max: 8 }).map((blocks) => blocks * 512),
    pcpPages: fc.nat({ max: 900 }),
  });

  it('stays a possible state whatever the texts say, with all free pages that the span can hold', () => {
    fc.assert(
      fc.property(arbitrary, (input) => {
        const layout = layOutZone(input);
        expectSound(input, layout);
        const asked = freePages(input.freeBlocks);
        const free = Math.min(asked, input.spannedPages);
        expect(freePages(countsOf(layout))).toBe(free);
        const used = input.lruPages + input.hugeLruPages + input.pcpPages;
        expect(pagesIn([...layout.lru, ...layout.huge, ...layout.pcp])).toBe(
          Math.min(used, input.spannedPages - free),
        );
        if (asked > input.spannedPages) expect(layout.notes).not.toEqual([]);
        expect(layOutZone(input)).toEqual(layout);
      }),
      { numRuns: 400 },
    );
  });
});
