/** Columns and headings, worked out by hand from the kernel's and the tools' formats. */
import { printedState } from './build-state';
import { printBuddyinfo, printPagetypeinfo } from './free-lists';
import { fixed2 } from './layout';
import { printMeminfo, printNodeMeminfo } from './meminfo';
import { printNumastat, printNumastatMeminfo } from './numastat';
import type { PrintableSnapshot } from './printed-state';
import { printSarB } from './sar';
import { smallHost, smallNode, smallZone, snapshotOf } from './test/hosts';
import { printNodeVmstat, printVmstat } from './vmstat';
import { printZoneinfo, statThreshold } from './zoneinfo';

const twoZones = () => [
  smallZone('DMA32', { startPfn: 4096, protectionPages: [0, 0, 128, 128] }),
  smallZone('Normal'),
];

function stateOf(host = smallHost([smallNode(0, twoZones())]), snapshot = snapshotOf(host)) {
  return printedState({ host, snapshot });
}

function linesOf(text: string, pattern: RegExp): string[] {
  return text.split('\n').filter((line) => pattern.test(line));
}

describe('/proc/zoneinfo', () => {
  it('has the promo mark where the kernel prints it, as far above high as high is above low', () => {
    const host = smallHost([smallNode(0, twoZones())]);
    const { lowPages, highPages } = host.nodes[0]!.zones[1]!;
    const promo = linesOf(
      printZoneinfo(stateOf({ ...host, kernelProfile: '6.12', kernelRelease: '6.12.9' })),
      /^ +promo/,
    );
    const pages = highPages + (highPages - lowPages);
    const empty = '        promo    0';
    expect(promo).toEqual([
      empty,
      `        promo    ${pages}`,
      `        promo    ${pages}`,
      // An empty zone Movable has marks of its own.
      '        promo    32',
      empty,
    ]);
    expect(linesOf(printZoneinfo(stateOf(host)), /^ +promo/)).toEqual([]);
  });

  it('prints per-node stats with the first populated zone only, and every zone type of every node', () => {
    const text = printZoneinfo(stateOf(smallHost([smallNode(0, twoZones()), smallNode(1, [])])));
    expect(linesOf(text, /^Node/)).toEqual([
      'Node 0, zone      DMA',
      'Node 0, zone    DMA32',
      'Node 0, zone   Normal',
      'Node 0, zone  Movable',
      'Node 0, zone   Device',
      'Node 1, zone      DMA',
      'Node 1, zone    DMA32',
      'Node 1, zone   Normal',
      'Node 1, zone  Movable',
      'Node 1, zone   Device',
    ]);
    expect(text.split('per-node stats')).toHaveLength(2);
    expect(text).toContain('Node 0, zone    DMA32\n  per-node stats\n      nr_inactive_anon 0\n');
  });

  it('prints marks with the boost, as the kernel reads them', () => {
    const zone = smallZone('Normal', {
      boostPages: 512,
      minPages: 612,
      lowPages: 644,
      highPages: 676,
    });
    const text = printZoneinfo(stateOf(smallHost([smallNode(0, [zone])])));
    expect(text).toContain(
      '  pages free     32768\n        boost    512\n        min      612\n        low      644\n        high     676\n',
    );
  });

  it('gives Device the reserve of the zone before it', () => {
    const text = printZoneinfo(stateOf());
    expect(text).toContain('        protection: (0, 0, 128, 128, 128)\n');
  });

  it('says when kswapd has given the node up', () => {
    const host = smallHost([smallNode(0, [smallZone('Normal')])]);
    const snapshot = snapshotOf(host);
    snapshot.nodes[0]!.kswapdFailures = 15;
    expect(printZoneinfo(stateOf(host, snapshot))).toContain('\n  node_unreclaimable:  0\n');
    snapshot.nodes[0]!.kswapdFailures = 16;
    expect(printZoneinfo(stateOf(host, snapshot))).toContain('\n  node_unreclaimable:  1\n');
  });

  // The kernel's comment on calculate_normal_threshold has these rows; the sizes are just inside of them.
  it.each([
    [8, 1, 7 * 32768],
    [16, 2, 7 * 32768],
    [20, 2, 8 * 32768],
    [24, 2, 16 * 32768],
    [4, 2, 32767],
    [30, 4, 16 * 32768 - 1],
    [125, 1024, 64 * 32768],
  ])('lets counts run ahead by %i with %i CPUs and %i pages', (threshold, cpus, pages) => {
    const zone = { managedPages: pages, minPages: 100, lowPages: 140 };
    expect(statThreshold(zone, cpus, false)).toBe(threshold);
  });

  it.each([
    [18, 2, 36],
    [1, 2, 1],
    [125, 2, 1000],
  ])(
    'lets counts run ahead by %i while kswapd is awake, with %i CPUs and %i pages from min to low',
    (threshold, cpus, pages) => {
      const zone = { managedPages: 32768, minPages: 100, lowPages: 100 + pages };
      expect(statThreshold(zone, cpus, true)).toBe(threshold);
    },
  );

  it('prints the threshold of a node whose kswapd is awake', () => {
    const host = smallHost([smallNode(0, [smallZone('Normal')])]);
    const snapshot = snapshotOf(host);
    expect(printZoneinfo(stateOf(host, snapshot))).toContain('  vm stats threshold: 4\n');
    snapshot.nodes[0]!.kswapdAwake = true;
    expect(printZoneinfo(stateOf(host, snapshot))).toContain('  vm stats threshold: 32\n');
  });
});

describe('free lists', () => {
  it('stand in columns of six', () => {
    const freeBlocksByType = {
      Movable: [1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30],
      Unmovable: [3, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0],
      HighAtomic: [0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0],
    };
    const zone = smallZone('Normal', { freePages: 30720 + 1 + 3 + 4 + 4, freeBlocksByType });
    const host = smallHost([smallNode(2, [zone])]);
    const snapshot = snapshotOf(host);
    snapshot.nodes[0]!.zones[0]!.pageblocksByType = { Unmovable: 2, Movable: 61, HighAtomic: 1 };
    const state = stateOf(host, snapshot);
    expect(printBuddyinfo(state)).toBe(
      'Node 2, zone   Normal      4      2      1      0      0      0      0      0      0      0     30 \n',
    );
    expect(printPagetypeinfo(state)).toBe(
      [
        'Page block order: 9',
        'Pages per block:  512',
        '',
        'Free pages count per migrate type at order       0      1      2      3      4      5      6      7      8      9     10 ',
        'Node    2, zone   Normal, type    Unmovable      3      2      0      0      0      0      0      0      0      0      0 ',
        'Node    2, zone   Normal, type      Movable      1      0      0      0      0      0      0      0      0      0     30 ',
        'Node    2, zone   Normal, type  Reclaimable      0      0      0      0      0      0      0      0      0      0      0 ',
        'Node    2, zone   Normal, type   HighAtomic      0      0      1      0      0      0      0      0      0      0      0 ',
        'Node    2, zone   Normal, type      Isolate      0      0      0      0      0      0      0      0      0      0      0 ',
        '',
        'Number of blocks type     Unmovable      Movable  Reclaimable   HighAtomic      Isolate ',
        'Node 2, zone   Normal            2           61            0            1            0 ',
        '',
      ].join('\n'),
    );
  });

  it('are counted up to 100000 by pagetypeinfo and fully by buddyinfo', () => {
    const freeBlocksByType = { Movable: [99_999, 100_000, 0, 0, 0, 0, 0, 0, 0, 0, 0] };
    const zone = smallZone('Normal', {
      ...{ spannedPages: 524_288, presentPages: 524_288, managedPages: 524_288 },
      ...{ freePages: 299_999, freeBlocksByType },
    });
    const state = stateOf(smallHost([smallNode(0, [zone])]));
    expect(printPagetypeinfo(state)).toContain('type      Movable  99999 >100000      0 ');
    expect(printBuddyinfo(state)).toContain('zone   Normal  99999 100000      0 ');
  });

  it('leave nodes without memory out', () => {
    const state = stateOf(smallHost([smallNode(0, []), smallNode(1, [smallZone('Normal')])]));
    expect(linesOf(printPagetypeinfo(state), /Page block order/)).toHaveLength(1);
    expect(linesOf(printBuddyinfo(state), /^Node 0/)).toEqual([]);
  });
});

describe('/proc/meminfo', () => {
  it('estimates MemAvailable as si_mem_available does', () => {
    const zone = smallZone('Normal', { freePages: 10_000 });
    const lru = { ...zone.lru!, inactiveFilePages: 150, activeFilePages: 50 };
    const node = smallNode(0, [{ ...zone, lru }], { lru, slabReclaimablePages: 1000 });
    const text = printMeminfo(stateOf(smallHost([node])));
    // 10000 free - 164 reserve (high mark) + 200 cache - 100 (half, below the low mark 132) + 1000 - 132
    expect(text).toContain(`MemAvailable:   ${String((9836 + 100 + 868) * 4).padStart(8)} kB\n`);
  });

  it('counts swap and hugetlb pages towards the commit limit', () => {
    const node = smallNode(0, [smallZone('Normal')], {
      hugepages: [
        { sizeKib: 2048, totalPages: 8, freePages: 3 },
        { sizeKib: 1048576, totalPages: 0, freePages: 0 },
      ],
    });
    const host = { ...smallHost([node]), swap: { totalPages: 1000, freePages: 1000 } };
    const snapshot: PrintableSnapshot = { ...snapshotOf(host), swapUsedPages: 250 };
    const state = stateOf(host, snapshot);
    const text = printMeminfo(state);
    // (32768 - 8 * 512) / 2 + 1000 pages
    expect(text).toContain('CommitLimit:       61344 kB\n');
    expect(text).toContain('SwapTotal:          4000 kB\nSwapFree:           3000 kB\n');
    const more = stateOf(host, { ...snapshot, swapTotalPages: 1500 });
    expect(printMeminfo(more)).toContain(
      'SwapTotal:          6000 kB\nSwapFree:           5000 kB\n',
    );
    expect(text).toContain(
      'HugePages_Total:       8\nHugePages_Free:        3\nHugePages_Rsvd:        0\n' +
        'HugePages_Surp:        0\nHugepagesize:       2048 kB\nHugetlb:           16384 kB\n',
    );
    expect(printNodeMeminfo(state.nodes[0]!, state)).toMatch(
      /Node 0 FilePmdMapped: {8}0 kB\nNode 0 HugePages_Total: {5}8\nNode 0 HugePages_Free: {6}3\nNode 0 HugePages_Surp: {6}0\n$/,
    );
  });
});

describe('hugetlb pools of a replay', () => {
  it('are printed as they stand after the step, with what is reserved and surplus', () => {
    const node = smallNode(0, [smallZone('Normal')]);
    const host = smallHost([node]);
    const snapshot = snapshotOf(host);
    snapshot.nodes[0]!.hugepages = [
      { sizeKib: 2048, totalPages: 12, freePages: 7, surplusPages: 2 },
    ];
    snapshot.hugetlb = [{ sizeKib: 2048, reservedPages: 4, overcommitPages: 5 }];
    const state = stateOf(host, snapshot);
    expect(printMeminfo(state)).toContain(
      'HugePages_Total:      12\nHugePages_Free:        7\nHugePages_Rsvd:        4\n' +
        'HugePages_Surp:        2\nHugepagesize:       2048 kB\nHugetlb:           24576 kB\n',
    );
    expect(printNodeMeminfo(state.nodes[0]!, state)).toContain('Node 0 HugePages_Surp:      2\n');
  });
});

describe('/proc/vmstat', () => {
  it('adds the replay to what the host had counted', () => {
    const host = smallHost([smallNode(0, [smallZone('Normal')])]);
    const snapshot = { ...snapshotOf(host), vmstat: { pgfault: 7, nr_written: 2 } };
    const carried = {
      vmstat: { pgfault: 100, nr_written: 40, pgpgin: 3, nr_mlock: 9 },
      nodeStats: new Map([[0, { nr_written: 40, nr_kernel_stack: 5 }]]),
      zoneStats: new Map(),
    };
    const state = printedState({ host, snapshot, carried });
    const text = printVmstat(state);
    expect(linesOf(text, /^(pgfault|nr_written|pgpgin|nr_mlock|nr_kernel_stack) /)).toEqual([
      'nr_mlock 9',
      'nr_written 42',
      'nr_kernel_stack 5',
      'pgpgin 3',
      'pgfault 107',
    ]);
    expect(
      linesOf(printNodeVmstat(state.nodes[0]!, state), /^(nr_written|numa_hit|nr_free_pages)/),
    ).toEqual(['nr_free_pages 32768', 'numa_hit 0', 'nr_written 40']);
  });

  it('computes the dirty thresholds from free memory and page cache', () => {
    const zone = smallZone('Normal', { freePages: 10_000 });
    const lru = { ...zone.lru!, inactiveFilePages: 2_000 };
    const state = stateOf(smallHost([smallNode(0, [{ ...zone, lru }], { lru })]));
    // 10000 - 164 + 2000 + 1 = 11837 pages; 819 and 409 of 4096 of them
    expect(linesOf(printVmstat(state), /threshold/)).toEqual([
      'nr_dirty_threshold 2366',
      'nr_dirty_background_threshold 1181',
    ]);
  });
});

describe('numastat', () => {
  const numastat = {
    ...{ numaHit: 772177, numaMiss: 12, numaForeign: 0 },
    ...{ interleaveHit: 325, localNode: 771373, otherNode: 804 },
  };
  const host = smallHost([
    smallNode(0, [smallZone('Normal', { freePages: 1 })], { numastat }),
    smallNode(4, [smallZone('Normal')]),
  ]);

  it('has a column of sixteen per node', () => {
    expect(printNumastat(stateOf(host))).toBe(
      [
        '                           node0           node4',
        'numa_hit                  772177               0',
        'numa_miss                     12               0',
        'numa_foreign                   0               0',
        'interleave_hit               325               0',
        'local_node                771373               0',
        'other_node                   804               0',
        '',
      ].join('\n'),
    );
  });

  it('-m has MiB with a total', () => {
    const lines = printNumastatMeminfo(stateOf(host)).split('\n');
    expect(lines.slice(0, 7)).toEqual([
      '',
      'Per-node system memory usage (in MBs):',
      '                          Node 0          Node 4           Total',
      '                 --------------- --------------- ---------------',
      'MemTotal                  128.00          128.00          256.00',
      // 4 KiB are 0.00390625 MiB
      'MemFree                     0.00          128.00          128.00',
      'MemUsed                   128.00            0.00          128.00',
    ]);
    expect(lines.at(-2)).toBe('KReclaimable                0.00            0.00            0.00');
    expect(lines).toHaveLength(4 + 32 + 1);
  });

  it('rounds exact ties to even, as the C library does', () => {
    expect([0.125, 0.375, 2.625, 1.005, 0.5].map(fixed2)).toEqual([
      '0.12',
      '0.38',
      '2.62',
      '1.00',
      '0.50',
    ]);
  });
});

describe('sar -B', () => {
  const host = smallHost([smallNode(0, [smallZone('Normal')])]);

  it('prints rates per second of virtual time, one line a step, and their average', () => {
    const before = { timeNs: 0, vmstat: {} };
    const first = {
      timeNs: 2e9,
      vmstat: { pgfault: 200_000, pgscan_kswapd: 400, pgscan_direct: 100, pgsteal_direct: 125 },
    };
    const second = {
      timeNs: 3_725e9,
      vmstat: { ...first.vmstat, pgfree: 7446, pgpgin: 3723, pgsteal_anon: 125 },
    };
    expect(printSarB(host, 4, before, [first, second])).toBe(
      [
        'Linux 6.1.0-test (zonewise) \t01/01/70 \t_x86_64_\t(4 CPU)',
        '',
        '00:00:00     pgpgin/s pgpgout/s   fault/s  majflt/s  pgfree/s pgscank/s pgscand/s pgsteal/s    %vmeff',
        '00:00:02         0.00      0.00 100000.00      0.00      0.00    200.00     50.00     62.50     25.00',
        '01:02:05         1.00      0.00      0.00      0.00      2.00      0.00      0.00      0.00      0.00',
        'Average:         1.00      0.00     53.69      0.00      2.00      0.11      0.03      0.03     25.00',
        '',
      ].join('\n'),
    );
  });

  it('has no rates for a step without time, and none at all before the first step', () => {
    const moment = { timeNs: 0, vmstat: { pgfault: 5 } };
    const lines = printSarB(host, 1, { timeNs: 0, vmstat: {} }, [moment]).split('\n');
    expect(lines[3]).toBe(`00:00:00   ${'      0.00'.repeat(9)}`);
    expect(printSarB(host, 1, moment, []).split('\n')).toHaveLength(4);
  });
});

describe('a host of an old kernel', () => {
  const zones = () => [
    smallZone('DMA32', { startPfn: 4096, protectionPages: [0, 0, 128, 128] }),
    smallZone('Normal', { protectionPages: [0, 0, 0, 0] }),
  ];
  const host = smallHost([smallNode(0, zones(), { mappedPages: 7 }), smallNode(2, [])]);
  const stateAt = (kernelRelease: string) => stateOf({ ...host, kernelRelease });

  it('2.6.32 counts by zone, in its own order, and lists no empty zones', () => {
    const text = printZoneinfo(stateAt('2.6.32-754.el6.x86_64'));
    expect(linesOf(text, /^Node/)).toEqual(['Node 0, zone    DMA32', 'Node 0, zone   Normal']);
    const sizes = text.slice(0, text.indexOf('    nr_free_pages'));
    expect(sizes).toBe(
      [
        ...['Node 0, zone    DMA32', '  pages free     32768', '        min      100'],
        ...['        low      132', '        high     164', '        scanned  0'],
        ...['        spanned  32768', '        present  32768', ''],
      ].join('\n'),
    );
    expect(text).not.toMatch(/per-node stats|managed|boost|numa_hit 0$/);
    // The highest zone has what is not told apart.
    expect(linesOf(text, /nr_mapped/)).toEqual(['    nr_mapped    0', '    nr_mapped    7']);
    expect(text).toContain(
      '    numa_other   0\n        protection: (0, 0, 128, 128)\n  pagesets\n',
    );
    expect(
      text.endsWith(
        '  all_unreclaimable: 0\n  prev_priority:     12\n  start_pfn:         1048576\n  inactive_ratio:    1\n',
      ),
    ).toBe(true);
    expect(printMeminfo(stateAt('2.6.32'))).not.toMatch(/MemAvailable|KReclaimable|HugePages:/);
    expect(linesOf(printPagetypeinfo(stateAt('2.6.32')), /^Number/)).toEqual([
      'Number of blocks type     Unmovable  Reclaimable      Movable      Reserve      Isolate ',
    ]);
  });

  it.each([
    ['3.10.0-1160.el7.x86_64', 4, ['scanned', 'managed'], 'all_unreclaimable: 0'],
    ['4.9.0', 6, ['node_scanned', 'managed'], 'node_unreclaimable:  0'],
    ['4.18.0-553.el8.x86_64', 6, ['managed'], 'node_unreclaimable:  0'],
    ['5.15.0', 6, ['managed', 'boost', 'cma'], 'node_unreclaimable:  0'],
    ['6.18.0', 6, ['managed', 'boost', 'cma', 'promo'], 'node_unreclaimable:  0'],
  ])('%s has its own lines', (release, indent, sizes, last) => {
    const text = printZoneinfo(stateAt(release));
    const start = ' '.repeat(indent);
    expect(text).toContain(`\n${start}nr_free_pages 32768\n`);
    const all = ['scanned', 'node_scanned', 'managed', 'boost', 'cma', 'promo'];
    expect(all.filter((name) => new RegExp(`^ +${name} `, 'm').test(text)).sort()).toEqual(
      [...sizes].sort(),
    );
    expect(text).toContain(`\n  ${last}\n`);
    expect(text.includes('per-node stats')).toBe(indent === 6);
  });
});
