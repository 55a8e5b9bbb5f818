import * as fc from 'fast-check';
import {
  countsOf,
  expectSound,
  freeBlocks,
  freePages,
  pagesIn,
  strays,
  typeCounts,
} from '../test/sound-layout';
import type { KernelImage } from './kernel-image';
import { layOutZone, type ZoneLayoutInput } from './zone-layout';

describe('any zone', () => {
  /** Counts of a zone whose pages are really free or used as `runs` say, free pages merged as the kernel merges them. */
  function recorded(
    startPfn: number,
    runs: { pages: number; free: boolean }[],
    types: number[],
    shares: number[],
    reserved: ZoneLayoutInput['reserved'],
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
    const lockedShare = shares[2] ?? 0;
    const spannedPages = pfn - startPfn;
    // Part of what the kernel has in use was never given to the allocator.
    const kernelPages = usedPages - lruPages - pcpPages;
    return {
      startPfn,
      spannedPages,
      managedPages: spannedPages - Math.floor(kernelPages * shares[3]!),
      freeBlocks: counts,
      pageblocks,
      lruPages,
      hugeLruPages: 0,
      pcpPages,
      ...(lockedShare > 0 && { boot: { lockedPages: Math.floor(lruPages * lockedShare) } }),
      reserved,
    };
  }
  const reserved = fc.option(
    fc.record({
      image: fc.option(
        fc.constantFrom<KernelImage>(
          { pages: 700, freed: [{ frame: 100, pages: 400 }] },
          {
            pages: 2000,
            freed: [
              { frame: 500, pages: 12 },
              { frame: 1030, pages: 500 },
            ],
          },
        ),
        { nil: undefined },
      ),
      late: fc.boolean(),
    }),
    { nil: undefined },
  );
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
      fc.tuple(share, share, fc.oneof(fc.constant(0), share), share),
      reserved,
    )
    .map(([startPfn, runs, types, shares, kept]) => recorded(startPfn, runs, types, shares, kept));

  it('keeps all counts of a state that a kernel was in', () => {
    fc.assert(
      fc.property(real, fc.boolean(), (state, counted) => {
        const input = counted ? state : { ...state, pageblocks: undefined };
        const layout = layOutZone(input);
        expectSound(input, layout);
        expect(layout.notes).toEqual([]);
        expect(countsOf(layout)).toEqual(input.freeBlocks);
        expect(pagesIn(layout.lru) + pagesIn(layout.locked)).toBe(input.lruPages);
        expect(pagesIn(layout.locked)).toBe(input.boot?.lockedPages ?? 0);
        expect(pagesIn(layout.pcp)).toBe(input.pcpPages);
        const first = Math.floor((input.startPfn - layout.basePfn) / 512);
        const types = typeCounts(layout, first, layout.pageblockTypes.length);
        if (counted) expect(types).toEqual(state.pageblocks);
      }),
      { numRuns: 400 },
    );
  });

  it('keeps lists in pageblocks of their type where the state had them so', () => {
    const slots = fc.array(
      fc.record({
        type: fc.constantFrom(0, 1, 1, 2, 3),
        cuts: fc.array(fc.integer({ min: 1, max: 1023 })),
      }),
      { minLength: 1, maxLength: 12 },
    );
    fc.assert(
      fc.property(slots, (zone) => {
        // Each slot of 1024 pages alternates between free and used at its cuts, and is of one type.
        const runs = zone.flatMap(({ cuts }) =>
          [...new Set([0, ...cuts])]
            .sort((a, b) => a - b)
            .map((from, i, all) => ({ pages: (all[i + 1] ?? 1024) - from, free: i % 2 === 0 })),
        );
        const types = zone.flatMap(({ type }) => [type, type]);
        const layout = layOutZone(recorded(0, runs, types, [0, 0, 0, 0], undefined));
        expect(layout.notes).toEqual([]);
        expect(strays(layout)).toBe(0);
      }),
      { numRuns: 200 },
    );
  });

  it('keeps the same counts in a span that goes on as a hole', () => {
    fc.assert(
      fc.property(real, fc.integer({ min: 1, max: 9000 }), (state, holePages) => {
        const input = { ...state, spannedPages: state.spannedPages + holePages };
        const layout = layOutZone(input);
        expectSound(input, layout);
        expect(layout.notes).toEqual([]);
        expect(countsOf(layout)).toEqual(input.freeBlocks);
        expect(pagesIn([...layout.lru, ...layout.locked, ...layout.pcp])).toBe(
          input.lruPages + input.pcpPages,
        );
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
    boot: fc.option(fc.record({ lockedPages: fc.nat({ max: 9000 }) }), { nil: undefined }),
    reserved,
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
        expect(pagesIn([...layout.lru, ...layout.locked, ...layout.huge, ...layout.pcp])).toBe(
          Math.min(used, input.spannedPages - free),
        );
        if (asked > input.spannedPages) expect(layout.notes).not.toEqual([]);
        expect(layOutZone(input)).toEqual(layout);
      }),
      { numRuns: 400 },
    );
  });
});
