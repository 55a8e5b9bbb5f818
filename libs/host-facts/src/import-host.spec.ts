import { wideZoneinfo } from '../bench/wide-host';
import { example, exampleTexts, fixture, imported, refused } from '../test/fixtures';
import { pagesInBlocks } from './parse/buddyinfo';

const codes = (list: { code: string }[]): string[] => list.map(({ code }) => code);

describe('the recorded two-node host', () => {
  it('is read as printed, without any difference between its sources', () => {
    const { model, differences, caveats, provenance } = imported(exampleTexts());
    expect(differences).toEqual([]);
    expect(caveats).toEqual([]);
    expect(provenance.filter(({ kind }) => kind !== 'read')).toEqual([]);
    expect(model.distances).toEqual([
      [10, 21],
      [21, 10],
    ]);
    expect(model.nodes.map(({ cpus }) => cpus)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(model.nodes.map(({ zones }) => zones.map(({ name }) => name))).toEqual([
      ['DMA', 'DMA32', 'Normal'],
      ['Normal'],
    ]);
    expect(model.nodes[0]?.zones[1]).toMatchObject({
      startPfn: 4096,
      managedPages: 495670,
      freePages: 217128,
      minPages: 5459,
      protectionPages: [0, 0, 1983, 1983, 1983],
      freeBlocks: [2, 1, 3, 3, 0, 2, 3, 0, 1, 1, 211],
    });
    expect(model.nodes[0]?.zones[2]?.pagesets[0]).toEqual({
      cpu: 0,
      countPages: 796,
      highPages: 3511,
      batchPages: 63,
    });
    expect(model.nodes[0]?.lru.inactiveFilePages).toBe(768006);
    expect(model.nodes[1]?.numastat.otherNode).toBe(1147);
    expect(model.sysctl.min_free_kbytes).toBe(90112);
    expect(model.thp).toEqual({ enabled: 'always', defrag: 'madvise' });
    expect(model.kernelRelease).toBe('6.1.0-56-cloud-amd64');
  });

  it('has the pageblocks of each zone by type', () => {
    const { nodes } = imported(exampleTexts()).model;
    expect(nodes.flatMap(({ zones }) => zones.map((zone) => zone.pageblocksByType))).toEqual([
      { Unmovable: 1, Movable: 7, Reclaimable: 0, HighAtomic: 0, Isolate: 0 },
      { Unmovable: 2, Movable: 1012, Reclaimable: 2, HighAtomic: 0, Isolate: 0 },
      { Unmovable: 43, Movable: 977, Reclaimable: 4, HighAtomic: 0, Isolate: 0 },
      { Unmovable: 46, Movable: 1996, Reclaimable: 6, HighAtomic: 0, Isolate: 0 },
    ]);
  });

  it('leaves pageblocks of another size out', () => {
    const pagetypeinfo = example('pagetypeinfo').replaceAll('order: 9', 'order: 10');
    const { model, caveats } = imported({ ...exampleTexts(), pagetypeinfo });
    expect(model.nodes[0]?.zones[0]).not.toHaveProperty('pageblocksByType');
    expect(codes(caveats)).toEqual(['pageblock-order']);
  });

  it('finds in buddyinfo what pagetypeinfo did not count', () => {
    // Node 1 has 2 + 1 + 3 single pages and 655 blocks of order 10. With 118 blocks less it has 120832
    // single pages more, here all Reclaimable, and buddyinfo counts 2 + 1 + 3 + 120832.
    const reclaimable = (text: string): string =>
      text.replace(/(Node +1, zone +Normal, type +Reclaimable +)3 /, '$1>100000 ');
    const buddyinfo = example('buddyinfo').replace(
      /(Node 1, zone +Normal +)6 (.*) 655 /,
      '$1120838 $2 537 ',
    );
    const pagetypeinfo = reclaimable(example('pagetypeinfo')).replace(/ 655 /, ' 537 ');
    const { model, provenance, differences } = imported({
      ...exampleTexts(),
      ...{ buddyinfo, pagetypeinfo },
    });
    expect(differences).toEqual([]);
    const types = model.nodes[1]?.zones[0]?.freeBlocksByType;
    expect([types?.Unmovable?.[0], types?.Movable?.[0], types?.Reclaimable?.[0]]).toEqual([
      2, 1, 120_835,
    ]);
    expect(provenance).toContainEqual(
      expect.objectContaining({
        path: 'nodes.1.zones.Normal.freeBlocksByType',
        kind: 'derived',
        note: expect.stringContaining('>100000'),
      }),
    );
  });

  it('gives the kernel its own marks back when the settings are missing', () => {
    const { model, provenance, caveats } = imported({ zoneinfo: example('zoneinfo') });
    expect(model.sysctl.min_free_kbytes).toBe(90112);
    expect(model.sysctl.watermark_scale_factor).toBe(10);
    expect(provenance).toContainEqual(
      expect.objectContaining({ path: 'sysctl.min_free_kbytes', kind: 'derived' }),
    );
    expect(model.nodes.map(({ cpus }) => cpus)).toEqual([
      [0, 1],
      [2, 3],
    ]);
    expect(codes(caveats).sort()).toEqual([
      'cpus-assumed',
      'distances-assumed',
      'free-lists-unfragmented',
      'swap-assumed',
      'thp-assumed',
      'zone-reclaim-mode-assumed',
    ]);
    for (const zone of model.nodes.flatMap(({ zones }) => zones))
      expect(pagesInBlocks(zone.freeBlocks)).toBe(zone.freePages);
  });

  it('derives the marks of the kernel from sizes and settings alone', () => {
    const texts = exampleTexts();
    const withoutZoneinfo = imported({ ...texts, zoneinfo: undefined });
    const [node0, node1] = withoutZoneinfo.model.nodes;
    // buddyinfo lists only Normal for node 1. The kernel printed 11407, 14258 and 17109: it set the marks
    // before it freed the memory that booting needed, when all zones together were 0.1 % smaller.
    expect(node1?.zones).toHaveLength(1);
    expect(node1?.zones[0]).toMatchObject({
      managedPages: 1030994,
      minPages: 11395,
      lowPages: 14243,
      highPages: 17091,
    });
    expect(node1?.zones[0]?.pagesets[0]).toMatchObject({ highPages: 7121, batchPages: 63 });
    expect(node0?.zones.reduce((sum, zone) => sum + zone.managedPages, 0)).toBe(1007244);
    expect(node0?.lru.inactiveFilePages).toBe(768006);
    expect(codes(withoutZoneinfo.caveats)).toContain('zones-laid-out');
  });

  it('keeps the printed free count and lists the disagreement with buddyinfo', () => {
    const buddyinfo = example('buddyinfo').replace('655 \n', '650 \n');
    const { model, differences } = imported({ ...exampleTexts(), buddyinfo });
    expect(differences).toContainEqual(
      expect.objectContaining({
        path: 'nodes.1.zones.Normal.freeBlocks',
        taken: { source: 'free pages of the zone', value: 671650 },
        other: { source: 'buddyinfo', value: 671650 - 5 * 1024 },
      }),
    );
    expect(pagesInBlocks(model.nodes[1]?.zones[0]?.freeBlocks ?? [])).toBe(671650);
  });

  it('lists other sizes and never refuses them', () => {
    const numactlHardware = example('numactl-hardware').replace('size: 4027', 'size: 5000');
    const { model, differences } = imported({ ...exampleTexts(), numactlHardware });
    expect(model.nodes[1]?.zones[0]?.managedPages).toBe(1030994);
    expect(differences).toEqual([
      expect.objectContaining({
        path: 'nodes.1.managedPages',
        other: { source: 'numactlHardware', value: 1280000 },
      }),
    ]);
  });

  it('prefers sysfs distances to those of capabilities', () => {
    const nodes = [0, 1].map((id) => ({
      id,
      memoryKib: id === 0 ? 4028976 : 4123976,
      cpus: [0, 1].map((cpu) => cpu + 2 * id),
      pages: [{ sizeKib: 2048, count: 0 }],
      distances: [0, 1].map((other) => ({ id: other, value: other === id ? 10 : 20 })),
    }));
    const { model, differences } = imported(exampleTexts(), { nodes });
    expect(model.distances[0]).toEqual([10, 21]);
    expect(differences.map(({ path }) => path)).toEqual(['distances.0.1', 'distances.1.0']);
    const { nodeDistance, nodeCpulist, ...rest } = exampleTexts();
    expect([Object.keys(nodeDistance), Object.keys(nodeCpulist)]).toEqual([
      ['0', '1'],
      ['0', '1'],
    ]);
    expect(imported(rest, { nodes }).model.distances[0]).toEqual([10, 20]);
  });

  it('lays out a node that zoneinfo does not have', () => {
    const zoneinfo = example('zoneinfo').split('Node 1, zone      DMA\n')[0];
    const { model, caveats } = imported({ ...exampleTexts(), zoneinfo });
    expect(codes(caveats)).toContain('node-not-in-zoneinfo');
    expect(model.nodes[1]?.zones[0]).toMatchObject({ name: 'Normal', managedPages: 1030994 });
  });
});

describe('other hosts', () => {
  it('imports the four-node host of numactl -H alone', () => {
    const { model, caveats } = imported({ numactlHardware: fixture('numactl-4nodes.txt') });
    expect(model.distances).toEqual([
      [10, 16, 32, 33],
      [16, 10, 25, 32],
      [32, 25, 10, 16],
      [33, 32, 16, 10],
    ]);
    const sizeMib = model.nodes.map(
      ({ zones }) => zones.reduce((sum, zone) => sum + zone.managedPages, 0) / 256,
    );
    expect(sizeMib).toEqual([64794, 65404, 65404, 65402]);
    const freeMib = model.nodes.map(
      ({ zones }) => zones.reduce((sum, zone) => sum + zone.freePages, 0) / 256,
    );
    expect(freeMib).toEqual([55404, 58642, 61181, 55592]);
    expect(model.nodes[0]?.zones.map(({ name, managedPages }) => [name, managedPages])).toEqual([
      ['DMA', 4096],
      ['DMA32', 1044480],
      ['Normal', 64794 * 256 - 1048576],
    ]);
    expect(model.nodes[1]?.zones.map(({ name }) => name)).toEqual(['Normal']);
    // khugepaged asks for 22 MiB in each of the six populated zones: 132 MiB.
    expect(model.sysctl.min_free_kbytes).toBe(6 * 22 * 1024);
    expect(model.nodes[3]).toMatchObject({ anonPages: 9810 * 256 });
    expect(model.nodes[3]?.lru.unevictablePages).toBe(9810 * 256);
    expect(codes(caveats)).toEqual(expect.arrayContaining(['zones-laid-out', 'use-unknown']));
    expect(model.nodes[1]?.cpus).toHaveLength(16);
  });

  it.each([
    ['5.10-L07-4n-512-dist', 4, '5.10.0-32-cloud-amd64'],
    ['6.12-L07-4n-512-dist', 4, '6.12.107+deb13-cloud-amd64'],
  ])('reads %s', (name, nodes, release) => {
    const { model, caveats } = imported({
      zoneinfo: fixture(name, 'zoneinfo'),
      buddyinfo: fixture(name, 'buddyinfo'),
      version: fixture(name, 'version'),
    });
    expect(model.nodes).toHaveLength(nodes);
    expect(model.kernelRelease).toBe(release);
    expect(codes(caveats)).not.toContain('kernel-profile');
    expect(model.kernelProfile).toBe(release.slice(0, release.indexOf('.', 2)));
    expect(model.nodes[0]?.zones[0]).toMatchObject({
      name: 'DMA',
      startPfn: 1,
      presentPages: 3998,
    });
  });

  it('takes settings that are not given from the kernel that the host runs', () => {
    const numactlHardware = fixture('numactl-4nodes.txt');
    const under = (version: string) => imported({ numactlHardware, version }).model;
    expect(under('4.18.0-553.el8_10.x86_64')).toMatchObject({
      kernelProfile: '5.10',
      sysctl: { watermark_boost_factor: 0 },
    });
    expect(under('6.1.0-56-amd64')).toMatchObject({
      kernelProfile: '6.1.y',
      sysctl: { watermark_boost_factor: 15000 },
    });
  });

  it('keeps a node without memory', () => {
    const name = '6.1-L08-2n-memless1';
    const per = (file: string): Record<string, string> => ({
      '0': fixture(name, `node0.${file}`),
      '1': fixture(name, `node1.${file}`),
    });
    const { model } = imported({
      zoneinfo: fixture(name, 'zoneinfo'),
      nodeMeminfo: per('meminfo'),
      nodeCpulist: per('cpulist'),
      nodeDistance: per('distance'),
    });
    expect(model.nodes[1]).toMatchObject({ nodeId: 1, cpus: [1], zones: [] });
  });

  it('reads a kernel that counts per zone and prints no managed pages', () => {
    const { model, caveats } = imported({ zoneinfo: fixture('zoneinfo-2.6.32.txt') });
    const [node] = model.nodes;
    expect(codes(caveats)).toContain('managed-assumed');
    // More free than present: the old count of present pages leaves out an estimated memory map.
    expect(node?.zones[0]).toMatchObject({ managedPages: 3949, freePages: 3949 });
    expect(node?.zones[1]).toMatchObject({ managedPages: 499496, lowPages: 250 });
    expect(node?.anonPages).toBe(2488 + 512);
    expect(node?.lru.inactiveFilePages).toBe(300000);
    expect(node?.numastat).toMatchObject({ numaMiss: 2, interleaveHit: 4 });
  });

  it('reads one node from /proc/meminfo alone', () => {
    const { model } = imported({ meminfo: example('meminfo') });
    expect(model.nodes).toHaveLength(1);
    expect(model.nodes[0]?.lru.inactiveFilePages).toBe(3686424 / 4);
    expect(model.nodes[0]?.filePages).toBe((3687532 + 44) / 4);
  });
});

it('counts from 0 where numastat has passed what a replay can count', () => {
  const zoneinfo = example('zoneinfo').replace('numa_hit     158552', `numa_hit ${2 ** 43}`);
  const { model, provenance } = imported({ ...exampleTexts(), zoneinfo });
  expect(model.nodes[1]?.numastat).toMatchObject({ numaHit: 0, otherNode: 0 });
  expect(provenance).toContainEqual(
    expect.objectContaining({ path: 'nodes.1.numastat', kind: 'default' }),
  );
});

describe('texts that are refused', () => {
  it.each([
    ['zoneinfo', { zoneinfo: example('zoneinfo').slice(0, 6000) }, 'truncated'],
    ['zoneinfo', { zoneinfo: '' }, 'empty-text'],
    ['zoneinfo', { zoneinfo: 'hello\n' }, 'unexpected-line'],
    ['zoneinfo', { zoneinfo: example('zoneinfo') + example('zoneinfo') }, 'duplicate'],
    ['zoneinfo', { zoneinfo: example('zoneinfo').replace('495670', '-5') }, 'out-of-range'],
    ['zoneinfo', { zoneinfo: example('zoneinfo').replace('495670', '4x') }, 'not-a-number'],
    ['zoneinfo', { zoneinfo: example('zoneinfo').replace('495670', '520158') }, 'impossible-value'],
    [
      'zoneinfo',
      { zoneinfo: example('zoneinfo').replaceAll('Normal', 'HighMem') },
      'unsupported-zone',
    ],
    ['zoneinfo', { zoneinfo: 'x'.repeat(70000) }, 'line-too-long'],
    ['zoneinfo', { zoneinfo: ' '.repeat(17 * 1024 * 1024) }, 'text-too-large'],
    ['zoneinfo', { zoneinfo: 'Node 5000, zone DMA\n' }, 'out-of-range'],
    ['buddyinfo', { buddyinfo: 'Node 0, zone DMA 1 2 3\n' }, 'truncated'],
    ['meminfo', { meminfo: 'MemTotal: 5 kB\n' }, 'missing-field'],
    ['nodeMeminfo', { nodeMeminfo: { x: 'a' } }, 'bad-node-key'],
    ['nodeMeminfo.1', { nodeMeminfo: { '1': example('node0.meminfo') } }, 'unexpected-line'],
    ['nodeCpulist.0', { nodeCpulist: { '0': '3-1' } }, 'bad-cpu-list'],
    ['nodeDistance.0', { nodeDistance: { '0': '10 5' } }, 'bad-distances'],
    ['sysctl', { sysctl: 'vm.swappiness = many\n' }, 'not-a-number'],
    ['sysctl', { sysctl: 'vm.swappiness = 500\n' }, 'out-of-range'],
    ['thpEnabled', { thpEnabled: 'sometimes' }, 'bad-thp-line'],
    ['numactlHardware', { numactlHardware: 'No NUMA available on this system' }, 'no-numa'],
    ['host', { version: '6.1.0' }, 'no-memory-facts'],
    ['host', { buddyinfo: example('buddyinfo') }, 'no-memory-facts'],
  ])('%s', (path, texts, code) => {
    expect(refused(texts)).toContainEqual(expect.objectContaining({ path, code }));
  });

  it('names line, found and expected', () => {
    const lines = example('zoneinfo').split('\n');
    lines[50] = '        managed  lots';
    expect(refused({ zoneinfo: lines.join('\n') })).toEqual(
      expect.arrayContaining([
        expect.objectContaining({
          line: 51,
          found: 'lots',
          expected: 'decimal digits',
        }),
      ]),
    );
  });

  it('sees that pages are not 4 KiB', () => {
    const { zoneinfo, meminfo } = exampleTexts();
    const larger = meminfo.replace('8152952', String(8152952 * 16));
    expect(codes(refused({ zoneinfo, meminfo: larger }))).toEqual(['unsupported-page-size']);
  });

  it('refuses a table of distances that is not square', () => {
    const texts = { ...exampleTexts(), nodeDistance: { '0': '10 21 21', '1': '21 10' } };
    expect(refused(texts)[0]).toMatchObject({ code: 'bad-distances', path: 'nodeDistance.0' });
  });

  it('refuses together what no host can be', () => {
    const zoneinfo = example('zoneinfo').replaceAll('batch: 1\n', 'batch: 0\n');
    expect(refused({ zoneinfo })).toContainEqual(
      expect.objectContaining({
        code: 'invalid-model',
        path: 'model.nodes[0].zones[0].pagesets[0].batchPages',
      }),
    );
  });

  it('refuses nodes without any memory', () => {
    const numactlHardware =
      'available: 1 nodes (0)\nnode 0 cpus: 0\nnode 0 size: 0 MB\nnode 0 free: 0 MB\n';
    expect(codes(refused({ numactlHardware }))).toEqual(['no-memory']);
  });
});

describe('a host of 64 nodes and 512 CPUs', () => {
  it('is read with every zone and per-CPU list', () => {
    const { model } = imported({ zoneinfo: wideZoneinfo(64, 512) });
    expect(model.nodes.map(({ nodeId }) => nodeId)).toEqual([...Array(64).keys()]);
    const lists = model.nodes.flatMap(({ zones }) => zones.map(({ pagesets }) => pagesets.length));
    expect(lists.length).toBeGreaterThanOrEqual(64);
    expect(new Set(lists)).toEqual(new Set([512]));
    expect(model.nodes.flatMap(({ cpus }) => cpus)).toHaveLength(512);
  });
});
