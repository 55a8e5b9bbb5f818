import { architectures } from './architecture';
import { deviceZone } from './device-memory';
import {
  memmapCost,
  nodeSections,
  pageArrays,
  pagesPerSection,
  pageToPfn,
  pfnToPage,
  pfnToSection,
} from './memory-model';

const X86 = architectures['x86-64'];
const GIB = 262144;
/** Node 0 with the hole below 4 GiB, node 1 at 1 TiB. */
const RANGES = [
  { nodeId: 0, startPfn: 0, pages: 3 * GIB },
  { nodeId: 0, startPfn: 4 * GIB, pages: 2 * GIB },
  { nodeId: 1, startPfn: 1024 * GIB, pages: 2 * GIB },
];

describe('memory models (T3)', () => {
  it('cuts memory into sections of 128 MiB at 4 KiB pages and 512 MiB at 16 KiB', () => {
    const sectionMib = (name: keyof typeof architectures): number =>
      (pagesPerSection(architectures[name]) * 2 ** architectures[name].pageShift) / 2 ** 20;
    expect(sectionMib('x86-64')).toBe(128);
    expect(sectionMib('loongarch-16k')).toBe(512);
    expect(sectionMib('i386-pae')).toBe(512);
    expect(sectionMib('i386')).toBe(64);
    expect(pagesPerSection(architectures['loongarch-16k'])).toBe(32768);
  });

  it('FLATMEM pays for every frame up to the last, holes included', () => {
    const cost = memmapCost('flatmem', RANGES, X86);
    expect(cost).toMatchObject({
      arrays: 1,
      structPages: 1026 * GIB,
      presentPages: 7 * GIB,
      holePages: 1019 * GIB,
      memmapBytes: 1026 * 2 ** 24,
      tableBytes: 0,
    });
  });

  it('DISCONTIGMEM pays for the holes within nodes', () => {
    const cost = memmapCost('discontigmem', RANGES, X86);
    expect(cost).toMatchObject({ arrays: 2, structPages: 8 * GIB, holePages: GIB });
    expect(cost.holeBytes).toBe(16 * 2 ** 20);
  });

  it('SPARSEMEM pays for sections with memory, 2 MiB of memmap for each', () => {
    for (const model of ['sparsemem', 'sparsemem-vmemmap'] as const) {
      const cost = memmapCost(model, RANGES, X86);
      expect(cost).toMatchObject({ arrays: 56, holePages: 0, memmapBytes: 56 * 2 ** 21 });
      // 128 entries to a root of one page: sections 0..47 and 8192..8207.
      expect(cost.tableBytes).toBe(2 * 4096);
    }
  });

  it('needs no more room for 64 TiB than for 64 GiB', () => {
    const huge = [{ nodeId: 0, startPfn: 0, pages: 2 ** 34 }];
    expect(pageArrays('sparsemem', huge, X86)).toHaveLength(1);
    expect(memmapCost('sparsemem', huge, X86)).toMatchObject({
      arrays: 2 ** 19,
      memmapBytes: 2 ** 40,
      tableBytes: 2 ** 24,
    });
  });

  it('counts a section that is not full as a whole', () => {
    const cost = memmapCost('sparsemem', [{ nodeId: 0, startPfn: 32767, pages: 2 }], X86);
    expect(cost).toMatchObject({ arrays: 2, structPages: 65536, holePages: 65534 });
  });

  it('names the sections of each node', () => {
    expect(nodeSections(RANGES, X86)).toEqual([
      {
        nodeId: 0,
        spannedSections: 48,
        presentSections: 40,
        runs: [
          { first: 0, last: 23 },
          { first: 32, last: 47 },
        ],
      },
      {
        nodeId: 1,
        spannedSections: 16,
        presentSections: 16,
        runs: [{ first: 8192, last: 8207 }],
      },
    ]);
  });

  it('gives a section that two nodes share to the lower one, once', () => {
    const shared = [
      { nodeId: 1, startPfn: 40000, pages: 30000 },
      { nodeId: 0, startPfn: 0, pages: 40000 },
    ];
    const arrays = pageArrays('sparsemem', shared, X86);
    expect(arrays.map(({ firstId, count, nodeId }) => [firstId, count, nodeId])).toEqual([
      [0, 2, 0],
      [2, 1, 1],
    ]);
    expect(nodeSections(shared, X86).map((node) => node.runs)).toEqual([
      [{ first: 0, last: 1 }],
      [{ first: 1, last: 2 }],
    ]);
  });

  it('goes from a frame to its struct page and back', () => {
    const place = (model: Parameters<typeof pageArrays>[0], pfn: number) =>
      pfnToPage(pfn, model, pageArrays(model, RANGES, X86), X86);
    const pfn = 1024 * GIB + 5;
    expect(place('flatmem', pfn)).toEqual({ array: 0, index: pfn });
    expect(place('discontigmem', pfn)).toEqual({ array: 1, index: 5 });
    expect(place('sparsemem', pfn)).toEqual({ array: 8192, index: 5 });
    expect(place('sparsemem-vmemmap', 4 * GIB)).toEqual({
      array: 32,
      index: 0,
      address: '0xffffea0004000000',
    });
    for (const model of ['flatmem', 'discontigmem', 'sparsemem', 'sparsemem-vmemmap'] as const) {
      const arrays = pageArrays(model, RANGES, X86);
      for (const each of [0, 3 * GIB - 1, 4 * GIB, 1026 * GIB - 1]) {
        expect(pageToPfn(pfnToPage(each, model, arrays, X86)!, arrays)).toBe(each);
      }
    }
  });

  it('has a struct page for a frame in a hole in flat models only', () => {
    const hole = 3 * GIB + 7;
    const has = (model: Parameters<typeof pageArrays>[0]): boolean =>
      pfnToPage(hole, model, pageArrays(model, RANGES, X86), X86) !== undefined;
    expect([has('flatmem'), has('discontigmem'), has('sparsemem')]).toEqual([true, true, false]);
    expect(pfnToSection(hole, X86)).toBe(24);
    expect(
      pageToPfn({ array: 24, index: 7 }, pageArrays('sparsemem', RANGES, X86)),
    ).toBeUndefined();
  });
});

describe('ZONE_DEVICE (T7)', () => {
  const range = { nodeId: 1, startPfn: 2048 * GIB, pages: 1024 * GIB };

  it('costs 16 GiB of memmap per TiB, in memory or in the device itself', () => {
    const inMemory = deviceZone({ ...range, memmapOn: 'memory' }, 'sparsemem-vmemmap', X86);
    expect(inMemory).toMatchObject({
      zone: 'Device',
      spannedPages: 1024 * GIB,
      managedPages: 0,
      memmapBytes: 16 * 2 ** 30,
      usablePages: 1024 * GIB,
    });
    const inDevice = deviceZone({ ...range, memmapOn: 'device' }, 'sparsemem-vmemmap', X86);
    expect(inDevice?.usablePages).toBe(1008 * GIB);
  });

  it('is aligned to 2 MiB with a virtual memmap and to sections without', () => {
    const odd = { ...range, pages: 512, memmapOn: 'memory' as const };
    expect(deviceZone(odd, 'sparsemem-vmemmap', X86)?.spannedPages).toBe(512);
    expect(deviceZone(odd, 'sparsemem', X86)).toBeUndefined();
    expect(deviceZone({ ...odd, pages: 511 }, 'sparsemem-vmemmap', X86)).toBeUndefined();
  });
});
