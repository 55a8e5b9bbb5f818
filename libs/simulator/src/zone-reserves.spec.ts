import { architectures, type ArchitectureZone } from './architecture';
import { kernelProfileOf, kernelProfiles } from './profile';
import { defaultLowmemReserveRatio, zoneReclaimDefault, zoneReserves } from './zone-reserves';

const X86 = architectures['x86-64'];
const I386 = architectures['i386-pae'];
const GIB = 262144;

function host(
  sizes: [ArchitectureZone, number, number?][],
  { architecture = X86, thpEnabled = false, cpus = 1 } = {},
) {
  return {
    architecture,
    zones: sizes.map(([zone, presentPages, managedPages = presentPages]) => ({
      nodeId: 0,
      zone,
      presentPages,
      managedPages,
    })),
    cpusByNode: new Map([[0, cpus]]),
    thpEnabled,
  };
}
const marksOf = ({ zones }: ReturnType<typeof zoneReserves>) =>
  zones.map(({ minPages, lowPages, highPages }) => [minPages, lowPages, highPages]);

describe('a 96 GiB server under 2.6.32, as its log printed it', () => {
  const server = host([
    ['DMA', 15332 / 4],
    ['DMA32', 1998016 / 4],
    ['Normal', 97218560 / 4],
  ]);
  const result = zoneReserves(server, {}, kernelProfiles['2.6.32']);

  it('has the printed marks, from present pages alone', () => {
    expect(result.computedMinFreeKbytes).toBe(39846);
    const kib = (pages: number[]): number[] => pages.map((each) => each * 4);
    expect(marksOf(result).map(kib)).toEqual([
      [4, 4, 4],
      [800, 1000, 1200],
      [39032, 48788, 58548],
    ]);
  });

  it('has the printed reserves', () => {
    expect(result.zones.map(({ protectionPages }) => protectionPages.slice(0, 4))).toEqual([
      [0, 1951, 96891, 96891],
      [0, 0, 94940, 94940],
      [0, 0, 0, 0],
    ]);
  });

  it('has other marks under later kernels: the way from min to high follows the size', () => {
    const [, , normal] = marksOf(zoneReserves(server, {}, kernelProfiles['6.1.y']));
    // A thousandth of 24304640 pages is more than a quarter of min.
    expect(normal).toEqual([9758, 9758 + 24304, 9758 + 2 * 24304]);
  });
});

describe('min_free_kbytes by kernel (W1)', () => {
  const big = host([['Normal', 1024 * GIB]]);
  const computed = (name: keyof typeof kernelProfiles) =>
    zoneReserves(big, {}, kernelProfiles[name]).computedMinFreeKbytes;

  it('is cut at 64 MiB up to 4.18 and not below 256 MiB from 5.10 on', () => {
    expect(['2.6.32', '3.10', '4.18'].map((name) => computed(name as '3.10'))).toEqual([
      65536, 65536, 65536,
    ]);
    expect(['5.10', '6.1.y', '6.18'].map((name) => computed(name as '5.10'))).toEqual([
      131072, 131072, 131072,
    ]);
  });

  it('counts HighMem as no lowmem, but as a zone where khugepaged counts all', () => {
    const sizes: [ArchitectureZone, number][] = [
      ['DMA', 4096],
      ['Normal', 225280],
      ['HighMem', 819200],
    ];
    const small = host(sizes, { architecture: I386 });
    // sqrt(16 * 229376 * 4) = 3831.7
    expect(zoneReserves(small, {}, kernelProfiles['6.1.y']).computedMinFreeKbytes).toBe(3831);
    const thp = host(sizes, { architecture: I386, thpEnabled: true });
    // 5632 pages per zone, at most a twentieth of lowmem: 11264 of 11468, and 16896 cut to 11468.
    expect(zoneReserves(thp, {}, kernelProfiles['6.1.y']).computedMinFreeKbytes).toBe(45056);
    expect(zoneReserves(thp, {}, kernelProfiles['3.10']).computedMinFreeKbytes).toBe(45872);
  });
});

describe('marks', () => {
  it('share min by size: zones of 100 and 800 MiB get 1/9 and 8/9 (W2)', () => {
    const result = zoneReserves(
      host([
        ['DMA', 25600],
        ['Normal', 204800],
      ]),
      { minFreeKbytes: 3600 },
      kernelProfiles['3.10'],
    );
    expect(marksOf(result)).toEqual([
      [100, 125, 150],
      [800, 1000, 1200],
    ]);
  });

  it('high is min and a half of it, not one and a half of low', () => {
    const one = host([['Normal', 65 * 1024]]);
    expect(marksOf(zoneReserves(one, { minFreeKbytes: 260 }, kernelProfiles['3.10']))).toEqual([
      [65, 81, 97],
    ]);
  });

  it('cap min of HighMem at 128 pages, and leave low and high their distance', () => {
    const result = zoneReserves(
      host(
        [
          ['DMA', 4096],
          ['Normal', 225280],
          ['HighMem', 819200],
        ],
        { architecture: I386 },
      ),
      { minFreeKbytes: 3828 },
      kernelProfiles['3.10'],
    );
    // 957 pages over 229376 of lowmem: HighMem's share would be 3417, whose quarter is 854.
    expect(marksOf(result)).toEqual([
      [17, 21, 25],
      [939, 1173, 1408],
      [128, 982, 1836],
    ]);
    const small = host(
      [
        ['Normal', 225280],
        ['HighMem', 10240],
      ],
      { architecture: I386 },
    );
    expect(zoneReserves(small, {}, kernelProfiles['6.1.y']).zones[1]?.minPages).toBe(32);
  });

  it('treat Movable so from 6.12 on, even without pages', () => {
    const empty = host([
      ['Normal', GIB],
      ['Movable', 0],
    ]);
    expect(marksOf(zoneReserves(empty, {}, kernelProfiles['6.12']))[1]).toEqual([32, 32, 32]);
    const half = host([
      ['Normal', GIB],
      ['Movable', GIB],
    ]);
    const min = (name: '6.1.y' | '6.12') =>
      zoneReserves(half, { minFreeKbytes: 8192 }, kernelProfiles[name]).zones.map(
        ({ minPages }) => minPages,
      );
    expect(min('6.1.y')).toEqual([1024, 1024]);
    expect(min('6.12')).toEqual([2048, 128]);
  });

  it('follow watermark_scale_factor where it exists', () => {
    const one = host([['Normal', GIB]]);
    const low = (name: '3.10' | '4.18') =>
      zoneReserves(one, { minFreeKbytes: 4096, watermarkScaleFactor: 300 }, kernelProfiles[name])
        .zones[0]?.lowPages;
    expect(low('3.10')).toBe(1024 + 256);
    expect(low('4.18')).toBe(1024 + 7864);
  });
});

describe('reserves (W5)', () => {
  const small = host(
    [
      ['DMA', 2048],
      ['Normal', 16384],
      ['HighMem', 65536],
    ],
    { architecture: I386 },
  );

  it('with ratios 256, 32 and 0: DMA keeps 64 and 320 pages, Normal 2048', () => {
    const { zones } = zoneReserves(
      small,
      { lowmemReserveRatio: [256, 32, 0] },
      kernelProfiles['6.1.y'],
    );
    expect(zones.map(({ protectionPages }) => protectionPages.slice(0, 3))).toEqual([
      [0, 64, 320],
      [0, 0, 2048],
      [0, 0, 0],
    ]);
  });

  it('a ratio of 0 means none from 4.18 on and all before', () => {
    const reserve = (name: '3.10' | '4.18') =>
      zoneReserves(small, { lowmemReserveRatio: [0, 32, 32] }, kernelProfiles[name]).zones[0]
        ?.protectionPages;
    expect(reserve('4.18')).toEqual([0, 0, 0, 0]);
    expect(reserve('3.10')).toEqual([0, 16384, 81920, 81920]);
  });

  it('start with the ratios of kernel and architecture', () => {
    const ratios = (name: keyof typeof kernelProfiles, architecture = X86) =>
      defaultLowmemReserveRatio(architecture, kernelProfiles[name]);
    expect(ratios('6.1.y')).toEqual([256, 256, 32, 0, 0]);
    expect(ratios('2.6.32')).toEqual([256, 256, 32]);
    expect(ratios('6.1.y', I386)).toEqual([256, 32, 0, 0]);
    expect(ratios('3.10', I386)).toEqual([256, 32, 32]);
  });
});

describe('per-CPU lists by kernel', () => {
  const lists = (name: keyof typeof kernelProfiles, pages: number, cpus = 1) => {
    const [zone] = zoneReserves(
      host([['Normal', pages]], { cpus }),
      {},
      kernelProfiles[name],
    ).zones;
    return [zone?.pcpBatchPages, zone?.pcpHighPages];
  };

  it('hold six batches up to 5.10, as recorded machines print', () => {
    expect(lists('3.10', 4 * GIB)).toEqual([31, 186]);
    expect(lists('5.10', 4 * GIB)).toEqual([63, 378]);
    expect(lists('5.10', 38245)).toEqual([7, 42]);
    expect(lists('5.10', 63379)).toEqual([15, 90]);
    expect(lists('5.10', 3977)).toEqual([1, 0]);
  });

  it('follow percpu_pagelist_high_fraction from 5.14 on, as a recorded machine prints', () => {
    const high = (name: '5.10' | '6.1.y') =>
      zoneReserves(
        host([['DMA32', 115652]], { cpus: 1 }),
        { minFreeKbytes: 4096, percpuPagelistHighFraction: 8 },
        kernelProfiles[name],
      ).zones[0]?.pcpHighPages;
    expect(high('6.1.y')).toBe(14456);
    expect(high('5.10')).toBe(6 * 31);
  });

  it('hold a share of the low mark from 5.14 on', () => {
    const [zone] = zoneReserves(host([['Normal', 4 * GIB]]), {}, kernelProfiles['6.12']).zones;
    expect(lists('6.12', 4 * GIB)).toEqual([63, zone?.lowPages]);
    expect(lists('5.14', 4 * GIB, 64)).toEqual([63, 252]);
  });
});

describe('zone_reclaim_mode by kernel', () => {
  const FOUR_NODES = [
    [10, 16, 32, 33],
    [16, 10, 25, 32],
    [32, 25, 10, 16],
    [33, 32, 16, 10],
  ];
  const reclaim = (name: keyof typeof kernelProfiles, distances = FOUR_NODES) =>
    zoneReclaimDefault([0, 1, 2, 3].slice(0, distances.length), distances, kernelProfiles[name]);

  it('never serves the pairs of a four-node host that are 32 and 33 apart (T8)', () => {
    expect(reclaim('6.1.y')).toEqual({
      mode: 0,
      reclaimDistance: 30,
      excluded: [
        { nodeId: 0, tooFar: [2, 3] },
        { nodeId: 1, tooFar: [3] },
        { nodeId: 2, tooFar: [0] },
        { nodeId: 3, tooFar: [0, 1] },
      ],
    });
  });

  it('starts switched on for such distances before 3.16', () => {
    expect(reclaim('3.10').mode).toBe(1);
    const near = [
      [10, 21],
      [21, 10],
    ];
    expect([reclaim('2.6.32', near).mode, reclaim('3.10', near).mode]).toEqual([1, 0]);
  });
});

describe('the profile of a release', () => {
  it.each([
    ['2.6.32-220.23.1.el5.x86_64', '2.6.32', true],
    ['3.10.0-1160.el7.x86_64', '3.10', true],
    ['4.18.0-553.el8_10.x86_64', '4.18', true],
    ['Linux version 5.10.0-32-cloud-amd64 (debian)', '5.10', true],
    ['5.14.0-427.el9', '5.14', true],
    ['6.1.0-56-cloud-amd64', '6.1.y', true],
    ['6.12.107+deb13-cloud-amd64', '6.12', true],
    ['5.15.0-91-generic', '5.14', false],
    ['2.6.39', '2.6.32', false],
    ['7.0.1', '6.18', false],
  ])('%s is %s', (release, name, exact) => {
    const match = kernelProfileOf(release);
    expect([match?.profile.name, match?.exact]).toEqual([name, exact]);
  });

  it('is not known for older kernels and for other texts', () => {
    expect([kernelProfileOf('2.6.18-8.el5'), kernelProfileOf('a kernel')]).toEqual([
      undefined,
      undefined,
    ]);
  });

  it('is validated for 6.1.y and 6.12, and every one but 6.1.y says what it does otherwise', () => {
    expect([kernelProfiles['6.1.y'].validated, kernelProfiles['6.12'].validated]).toEqual([
      true,
      true,
    ]);
    for (const name of ['2.6.32', '3.10', '4.18', '5.14', '6.18'] as const) {
      expect([name, kernelProfiles[name].validated]).toEqual([name, false]);
      expect(kernelProfiles[name].departures).not.toEqual([]);
    }
    expect(kernelProfiles['6.18'].departures.join(' ')).toContain('MGLRU');
  });
});
