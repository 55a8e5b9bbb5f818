/** Tables of virsh, numastat and sysfs: each as its program prints it, and what is refused. */
import * as fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { fixture, imported } from '../../test/fixtures';
import type { Parsed } from '../errors';
import { importHost } from '../import-host';
import { printNodeVmstat, printNumastat, printNumastatMeminfo, printedState } from '../print';
import { smallHost, smallNode, snapshotOf } from '../print/test/hosts';
import { parseVmstat } from './counters';
import { parseNodeHugepages } from './hugepages';
import { parseNumastat, parseNumastatMeminfo } from './numastat';
import { parseLruGen } from './small';
import { parseFreecell, parseFreepages, parseNodeinfo, parseNodeMemstats } from './virsh';
import { parseZoneinfo } from './zoneinfo';

function value<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value;
}

function problem<T>(parsed: Parsed<T>): { code?: string; line?: number } {
  if (parsed.ok) throw new Error('accepted');
  const { code, line } = parsed.problems[0] ?? {};
  return line === undefined ? { code } : { code, line };
}

const NODEINFO = `CPU model:           x86_64
CPU(s):              64
CPU frequency:       2600 MHz
CPU socket(s):       1
Core(s) per socket:  16
Thread(s) per core:  1
NUMA cell(s):        4
Memory size:         267268096 KiB
`;

describe('virsh', () => {
  it('nodeinfo: memory and CPUs; labels that are not known are passed over', () => {
    const expected = { memoryKib: 267268096, cpus: 64, numaCells: 4 };
    expect(value(parseNodeinfo(NODEINFO))).toEqual(expected);
    expect(value(parseNodeinfo(`${NODEINFO}Hypervisor:    KVM\n`))).toEqual(expected);
    // libvirt before 0.9.12 wrote kB.
    expect(value(parseNodeinfo(NODEINFO.replace('KiB', 'kB')))).toEqual(expected);
    expect(problem(parseNodeinfo(NODEINFO.replace('267268096', '26726809x')))).toEqual({
      code: 'not-a-number',
      line: 8,
    });
    expect(problem(parseNodeinfo(NODEINFO.replace(/Memory.*\n/, '')))).toEqual({
      code: 'missing-field',
    });
  });

  it('freepages --all: free pages of each node by size', () => {
    const text =
      'Node 0:\n4KiB: 19\n2048KiB: 97\n1048576KiB: 2\n\nNode 8:\n4KiB: 5\n2048KiB: 0\n\n';
    expect(value(parseFreepages(text))).toEqual([
      {
        nodeId: 0,
        pages: [
          { sizeKib: 4, freePages: 19 },
          { sizeKib: 2048, freePages: 97 },
          { sizeKib: 1048576, freePages: 2 },
        ],
      },
      {
        nodeId: 8,
        pages: [
          { sizeKib: 4, freePages: 5 },
          { sizeKib: 2048, freePages: 0 },
        ],
      },
    ]);
    expect(problem(parseFreepages('2048KiB: 19\n'))).toEqual({ code: 'unexpected-line', line: 1 });
    expect(problem(parseFreepages('Node 0:\n4KiB: 1\n4KiB: 1\n'))).toMatchObject({
      code: 'duplicate',
    });
  });

  it('freecell: of all nodes, of one, or the sum alone', () => {
    const all = `    0:       2048 KiB
    1:       4096 KiB
--------------------
Total:       6144 KiB
`;
    expect(value(parseFreecell(all))).toEqual({
      freeKibByNode: new Map([
        [0, 2048],
        [1, 4096],
      ]),
      totalKib: 6144,
    });
    expect(value(parseFreecell('1: 4096 KiB\n')).freeKibByNode.get(1)).toBe(4096);
    expect(value(parseFreecell('Total: 3072 KiB\n')).totalKib).toBe(3072);
    expect(problem(parseFreecell('0: 12 MiB\n'))).toEqual({ code: 'unexpected-line', line: 1 });
  });

  it('nodememstats: total and free, buffers and cache where they are printed', () => {
    const text = `total  :              8152952 KiB
free   :              6912400 KiB
buffers:                 1040 KiB
cached :               300200 KiB
`;
    expect(value(parseNodeMemstats(text))).toEqual({
      totalKib: 8152952,
      freeKib: 6912400,
      buffersKib: 1040,
      cachedKib: 300200,
    });
    const failed = 'error: Unable to get number of memory stats\nerror: not supported\n';
    expect(problem(parseNodeMemstats(failed))).toEqual({ code: 'command-failed', line: 1 });
  });

  it('settles what numactl does not say of a host', () => {
    const numactlHardware = fixture('numactl-4nodes.txt');
    const { model, provenance, differences } = imported({
      numactlHardware,
      nodeinfo: NODEINFO.replace('267268096', '267272192'),
      freecell: '    0: 56733696 KiB\n    1: 60049408 KiB\n',
      freepages: 'Node 2:\n4KiB: 15662336\n2048KiB: 0\n',
    });
    const free = model.nodes.map(({ zones }) => zones.reduce((sum, z) => sum + z.freePages, 0));
    // Nodes 0 and 1 from freecell, node 2 from freepages, node 3 from numactl.
    expect(free).toEqual([56733696 / 4, 60049408 / 4, 15662336, 55592 * 256]);
    expect(provenance.find(({ path }) => path === 'nodes.0.zones.Normal.freePages')).toMatchObject({
      source: 'freecell',
      kind: 'derived',
    });
    expect(differences).toContainEqual({
      path: 'nodes',
      taken: { source: 'model', value: 261004 * 256 },
      other: { source: 'nodeinfo', value: 267272192 / 4 },
      rule: expect.stringMatching(/^sizes: zoneinfo before/) as string,
    });
  });
});

const NUMASTAT = `                           node0           node1
numa_hit                24560557         1000000
numa_miss                      0             500
numa_foreign                 500               0
interleave_hit              1122            1100
local_node              24560557         1000400
other_node                     0             100
`;

describe('numastat', () => {
  it('reads the counters of every node, in one table or several', () => {
    const nodes = value(parseNumastat(NUMASTAT));
    expect(nodes.get(1)).toEqual({
      numaHit: 1000000,
      numaMiss: 500,
      numaForeign: 0,
      interleaveHit: 1100,
      localNode: 1000400,
      otherNode: 100,
    });
    const second = NUMASTAT.replace('node0', 'node2').replace('node1', 'node3');
    expect([...value(parseNumastat(`${NUMASTAT}\n${second}`)).keys()]).toEqual([0, 1, 2, 3]);
    expect(problem(parseNumastat(NUMASTAT.replace(/ +100\n/, '\n')))).toEqual({
      code: 'truncated',
      line: 7,
    });
    expect(problem(parseNumastat(NUMASTAT.replace('-', '').replace('1122', '-1')))).toEqual({
      code: 'out-of-range',
      line: 5,
    });
  });

  it('shows counters that no kernel counts so, and keeps them', () => {
    const numactlHardware = fixture('numactl-4nodes.txt');
    const numastat = `node0 node1 node2 node3
numa_hit 1296554257 918018444 1296574252 828018454
numa_miss 8541758 40297198 7544751 41267108
numa_foreign 40288595 8550361 41488585 8450375
interleave_hit 45651 45918 46654 49718
local_node 1231897031 835344122 1141898045 915354158
other_node 64657226 82674322 594657725 82675425
`;
    const { model, differences } = imported({ numactlHardware, numastat });
    expect(model.nodes[0]?.numastat.numaMiss).toBe(8541758);
    expect(differences).toContainEqual({
      path: 'nodes.0.numastat',
      taken: { source: 'numa_hit + numa_miss', value: 1305096015 },
      other: { source: 'local_node + other_node', value: 1296554257 },
      rule: expect.stringContaining('once as local or other') as string,
    });
  });

  it('-m gives sizes and use of nodes in hundredths of a MB', () => {
    const text = `
Per-node system memory usage (in MBs):
Token SwapCached not in hash table.
                          Node 0          Node 1           Total
                 --------------- --------------- ---------------
MemTotal                 8154.21         4096.00        12250.21
MemFree                  5025.74         1024.50         6050.24
Inactive(file)            440.46            0.00          440.46
FilePages                 762.20            1.00          763.20
`;
    const nodes = value(parseNumastatMeminfo(text));
    expect({ ...nodes.get(0) }).toEqual({
      MemTotal: 8349911,
      MemFree: 5146358,
      'Inactive(file)': 451031,
      FilePages: 780493,
    });
    const { model, provenance } = imported({ numastatMeminfo: text });
    expect(model.nodes.map(({ filePages }) => filePages)).toEqual([195123, 256]);
    expect(provenance).toContainEqual(
      expect.objectContaining({ path: 'nodes.1.lru', source: 'numastatMeminfo' }),
    );
    expect(problem(parseNumastatMeminfo(text.replace('762.20', '7e2')))).toEqual({
      code: 'not-a-number',
      line: 9,
    });
  });

  it('comes back from what is printed', () => {
    const counter = fc.nat({ max: 2 ** 40 });
    const numastatOf = fc.record({
      numaHit: counter,
      numaMiss: counter,
      numaForeign: counter,
      interleaveHit: counter,
      localNode: counter,
      otherNode: counter,
    });
    const check = (numastats: { numaHit: number }[]): void => {
      const nodes = numastats.map((numastat, i) => smallNode(3 * i, [], { numastat } as object));
      const host = smallHost(nodes);
      const state = printedState({ host, snapshot: snapshotOf(host) });
      const table = value(parseNumastat(printNumastat(state)));
      expect([...table]).toEqual(nodes.map(({ nodeId, numastat }) => [nodeId, numastat]));
      const meminfo = value(parseNumastatMeminfo(printNumastatMeminfo(state)));
      expect([...meminfo.keys()]).toEqual(nodes.map(({ nodeId }) => nodeId));
      for (const [i, node] of state.nodes.entries()) {
        const vmstat = value(parseVmstat(printNodeVmstat(node, state)));
        expect(vmstat.numa_hit).toBe(numastats[i]?.numaHit);
      }
    };
    fc.assert(fc.property(fc.array(numastatOf, { minLength: 1, maxLength: 4 }), check), {
      numRuns: 40,
    });
  });
});

describe('sysfs', () => {
  it('hugepages: pools of a node, and what makes no sense', () => {
    const text = `hugepages-1048576kB/free_hugepages:1
hugepages-1048576kB/nr_hugepages:2
hugepages-1048576kB/surplus_hugepages:0
/sys/devices/system/node/node0/hugepages/hugepages-2048kB/free_hugepages 10
/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages 512
/sys/devices/system/node/node0/hugepages/hugepages-2048kB/surplus_hugepages 4
`;
    expect(value(parseNodeHugepages(text, 'nodeHugepages.0'))).toEqual([
      { sizeKib: 2048, totalPages: 512, freePages: 10, surplusPages: 4 },
      { sizeKib: 1048576, totalPages: 2, freePages: 1, surplusPages: 0 },
    ]);
    expect(value(parseNodeHugepages('', 'nodeHugepages.0'))).toEqual([]);
    const more = text.replace('free_hugepages:1', 'free_hugepages:3');
    expect(problem(parseNodeHugepages(more, 'nodeHugepages.0'))).toEqual({
      code: 'impossible-value',
    });
    const { model } = imported({
      numactlHardware: fixture('numactl-4nodes.txt'),
      nodeHugepages: { '0': text },
    });
    expect(model.nodes[0]?.hugepages).toEqual([
      { sizeKib: 2048, totalPages: 512, freePages: 10, surplusPages: 4 },
      { sizeKib: 1048576, totalPages: 2, freePages: 1 },
    ]);
  });

  it('lru_gen: the first bit says whether it runs', () => {
    expect(value(parseLruGen('0x0007\n'))).toEqual({ enabled: true });
    expect(value(parseLruGen('0x0006\n'))).toEqual({ enabled: false });
    expect(problem(parseLruGen('y\n'))).toEqual({ code: 'not-a-number' });
    const texts = { numactlHardware: fixture('numactl-4nodes.txt') };
    const codes = (lruGen: string): string[] =>
      imported({ ...texts, lruGen }).caveats.map(({ code }) => code);
    expect(codes('0x0007\n')).toContain('lru-gen');
    expect(codes('0x0000\n')).not.toContain('lru-gen');
  });

  it('zoneinfo takes counts that later kernels add', () => {
    const text = fixture('6.12-L07-4n-512-dist', 'zoneinfo');
    const more = text.replace(/^( +start_pfn:.*)$/gm, '$1\n  reserved_highatomic: 512');
    const more2 = more.replace(/^( +protection: .*)$/gm, '$1\n        spare:    7');
    expect(value(parseZoneinfo(more2)).zones).toHaveLength(value(parseZoneinfo(text)).zones.length);
    expect(problem(parseZoneinfo(more2.replace('spare:    7', 'spare:    7x')))).toMatchObject({
      code: 'not-a-number',
    });
  });
});

const folder = process.env.ZONEWISE_LIBVIRT_CORPUS ?? '';

if (folder === '') {
  console.log('real samples not read: ZONEWISE_LIBVIRT_CORPUS is not set to their folder');
} else {
  const sample = (name: string): string => readFileSync(join(folder, 'samples', name), 'utf8');

  it('recorded samples are read', () => {
    expect(value(parseNodeinfo(sample('virsh-nodeinfo.test-driver.txt')))).toEqual({
      memoryKib: 3145728,
      cpus: 16,
      numaCells: 2,
    });
    expect(value(parseFreepages(sample('virsh-freepages-all.test-driver.txt')))).toHaveLength(2);
    for (const name of ['freecell-1', 'freecell-all', 'freecell'])
      expect(parseFreecell(sample(`virsh-${name}.test-driver.txt`)).ok).toBe(true);
    expect(problem(parseNodeMemstats(sample('virsh-nodememstats.test-driver.txt'))).code).toBe(
      'command-failed',
    );
    expect(value(parseNumastat(sample('numastat.txt'))).get(0)?.numaHit).toBe(24560557);
    const mem = value(parseNumastatMeminfo(sample('numastat-m.txt'))).get(0);
    expect(mem?.MemTotal).toBe(8349911);
    const cell = parseFreepages(sample('virsh-freepages-0-2048.test-driver.txt'), 'freepages', 0);
    expect(value(cell)).toEqual([{ nodeId: 0, pages: [{ sizeKib: 2048, freePages: 19 }] }]);
  });

  it('recorded samples are hosts', () => {
    const one = importHost({
      numactlHardware: sample('numactl-H-1node.txt'),
      zoneinfo: sample('proc-zoneinfo.txt'),
      buddyinfo: sample('proc-buddyinfo.txt'),
      nodeMeminfo: { '0': sample('sys-node0-meminfo.txt') },
      nodeDistance: { '0': sample('sys-node0-distance.txt') },
      numastat: sample('numastat.txt'),
      numastatMeminfo: sample('numastat-m.txt'),
    });
    if (!one.ok) throw new Error(JSON.stringify(one.problems));
    expect(one.value.model.nodes).toHaveLength(1);
    const four = importHost({ numactlHardware: sample('numactl-H-4nodes.vdsm.txt') });
    if (!four.ok) throw new Error(JSON.stringify(four.problems));
    expect(four.value.model.nodes).toHaveLength(4);
  });
}
