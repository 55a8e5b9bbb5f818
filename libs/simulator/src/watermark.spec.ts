import {
  lowmemReserve,
  minFreeKbytes,
  multFrac,
  ALLOC_MIN_RESERVE,
  ALLOC_NON_BLOCK,
  neededPages,
  setupPerZoneWmarks,
  zoneWatermarkOk,
} from './watermark';

const NORMAL = 2;
const GIB = 262144;

describe('min_free_kbytes (W1)', () => {
  const base = { thpEnabled: false, userMinFreeKbytes: -1, currentMinFreeKbytes: 0 };
  const oneZone = (managedPages: number, highPages = 0) => [
    { zoneIndex: NORMAL, managedPages, highPages },
  ];

  it('is the square root of 16 times lowmem', () => {
    expect(minFreeKbytes({ ...base, zones: oneZone(64 * GIB) })).toBe(32768);
  });

  it('is clamped to 128 KiB and 256 MiB', () => {
    expect(minFreeKbytes({ ...base, zones: oneZone(16) })).toBe(128);
    expect(minFreeKbytes({ ...base, zones: oneZone(24 * 1024 * GIB) })).toBe(262144);
  });

  it('counts only what lies above the high mark', () => {
    const fresh = minFreeKbytes({ ...base, zones: oneZone(GIB) });
    expect(fresh).toBe(4096);
    expect(minFreeKbytes({ ...base, zones: oneZone(GIB, 4096) })).toBeLessThan(fresh);
  });

  it('keeps a larger value that the user wrote and overrides a smaller one', () => {
    const zones = oneZone(64 * GIB);
    const written = (kib: number) => ({
      ...base,
      zones,
      userMinFreeKbytes: kib,
      currentMinFreeKbytes: kib,
    });
    expect(minFreeKbytes(written(65536))).toBe(65536);
    expect(minFreeKbytes(written(1024))).toBe(32768);
  });

  it('khugepaged asks for 22 MiB per populated zone', () => {
    const zones = [0, 1, 2, 2].map((zoneIndex) => ({
      zoneIndex,
      managedPages: zoneIndex === 0 ? 3840 : 32 * GIB,
      highPages: 0,
    }));
    expect(minFreeKbytes({ ...base, zones, thpEnabled: true })).toBe(90112);
  });

  it('khugepaged takes at most a twentieth of a small host', () => {
    expect(minFreeKbytes({ ...base, zones: oneZone(20000), thpEnabled: true })).toBe(4000);
  });
});

describe('watermarks (W2, W3)', () => {
  it('low and high are min plus one and two gaps: min * 1.5 for high, not low * 1.5', () => {
    const [zone] = setupPerZoneWmarks([{ zoneIndex: NORMAL, managedPages: 25600 }], 4096, 1);
    expect(zone).toEqual({ minPages: 1024, lowPages: 1280, highPages: 1536 });
  });

  it('zones of 100 MB and 800 MB share min_free 1/9 and 8/9', () => {
    const marks = setupPerZoneWmarks(
      [
        { zoneIndex: 0, managedPages: 25600 },
        { zoneIndex: NORMAL, managedPages: 204800 },
      ],
      9 * 4096,
      1,
    );
    expect(marks.map(({ minPages }) => minPages)).toEqual([1024, 8192]);
  });

  it('the recorded host after THP was switched off: 5403 KiB over four zones', () => {
    const managed: [number, number][] = [
      [0, 3840],
      [1, 36918],
      [2, 192403],
      [2, 256913],
    ];
    const marks = setupPerZoneWmarks(
      managed.map(([zoneIndex, managedPages]) => ({ zoneIndex, managedPages })),
      5403,
      10,
    );
    expect(marks).toEqual([
      { minPages: 10, lowPages: 13, highPages: 16 },
      { minPages: 101, lowPages: 137, highPages: 173 },
      { minPages: 530, lowPages: 722, highPages: 914 },
      { minPages: 707, lowPages: 963, highPages: 1219 },
    ]);
  });

  it('the scale factor decides on a big host: 1.54 GiB between the marks of a 1.5 TiB node', () => {
    const zones = Array.from({ length: 16 }, () => ({
      zoneIndex: NORMAL,
      managedPages: 1536 * GIB,
    }));
    const [mark] = setupPerZoneWmarks(zones, 262144, 10);
    expect(mark!.minPages).toBe(4096);
    expect(mark!.lowPages - mark!.minPages).toBe(Math.floor((1536 * GIB) / 1000));
  });

  it('mult_frac truncates in two parts', () => {
    expect(multFrac(25600, 10, 10000)).toBe(25);
    expect(multFrac(19999, 15000, 10000)).toBe(29998);
  });
});

describe('lowmem_reserve (W5)', () => {
  it('DMA 8 MiB, NORMAL 64 MiB, a higher zone of 256 MiB at 256/32/0', () => {
    // The seeds' three zones; this kernel's Normal and Movable stand for their NORMAL and HIGHMEM.
    const reserve = lowmemReserve(
      [
        { zoneIndex: 0, managedPages: 2048 },
        { zoneIndex: 2, managedPages: 16384 },
        { zoneIndex: 3, managedPages: 65536 },
      ],
      [256, 256, 32, 0],
    );
    expect(reserve[0]!.slice(2, 4)).toEqual([64, 320]);
    expect(reserve[1]![3]).toBe(2048);
    expect(reserve[2]).toEqual([0, 0, 0, 0, 0]);
  });

  it('is switched off by a ratio of 0', () => {
    const zones = [
      { zoneIndex: 1, managedPages: 100000 },
      { zoneIndex: 2, managedPages: 100000 },
    ];
    expect(lowmemReserve(zones, [0, 0, 0, 0])[0]).toEqual([0, 0, 0, 0, 0]);
  });

  it('the recorded host keeps 895 DMA and 751 DMA32 pages from user memory', () => {
    const reserve = lowmemReserve(
      [
        { zoneIndex: 0, managedPages: 3840 },
        { zoneIndex: 1, managedPages: 36918 },
        { zoneIndex: 2, managedPages: 192403 },
      ],
      [256, 256, 32, 0, 0],
    );
    expect(reserve[0]).toEqual([0, 144, 895, 895, 895]);
    expect(reserve[1]).toEqual([0, 0, 751, 751, 751]);
  });
});

describe('the watermark check (W6)', () => {
  const zone = (freePages: number, boost = 0, largest = -1, reservedHighatomic = 0) => ({
    boost,
    reservedHighatomic,
    protection: [0, 0, 2004, 2004],
    buddy: { freePages, hasBlock: (order: number) => order <= largest },
  });
  const page = { order: 0, classIndex: NORMAL, flags: 0 };

  it('DMA with 1355 free pages is refused at 3 + 2004', () => {
    expect(neededPages(zone(1355), 3, page)).toBe(2007);
    expect(zoneWatermarkOk(zone(1355), 3, page)).toBe(false);
  });

  it('is strict', () => {
    expect(zoneWatermarkOk(zone(2007), 3, page)).toBe(false);
    expect(zoneWatermarkOk(zone(2008), 3, page)).toBe(true);
  });

  it('includes the boost', () => {
    expect(zoneWatermarkOk(zone(2008, 1), 3, page)).toBe(false);
  });

  it('order 9 needs 511 pages more and a free block', () => {
    const huge = { ...page, order: 9 };
    expect(zoneWatermarkOk(zone(2008 + 511, 0, 8), 3, huge)).toBe(false);
    expect(zoneWatermarkOk(zone(2008 + 511, 0, 10), 3, huge)).toBe(true);
    expect(zoneWatermarkOk(zone(2007 + 511, 0, 10), 3, huge)).toBe(false);
  });

  it('atomic requests may use 5/8 of min, and only they count on the HighAtomic reserve', () => {
    const atomic = { ...page, flags: ALLOC_MIN_RESERVE | ALLOC_NON_BLOCK };
    expect(neededPages(zone(0, 0, -1, 512), 200, page)).toBe(200 + 2004 + 512);
    expect(neededPages(zone(0, 0, -1, 512), 200, atomic)).toBe(75 + 2004);
  });
});
