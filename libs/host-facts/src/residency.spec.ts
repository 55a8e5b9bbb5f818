import { example, imported } from '../test/fixtures';
import { estimateResidency, parseNumaMaps, parseNumastatProcess, parseSmapsRollup } from '.';

function value<T>(parsed: { ok: true; value: T } | { ok: false; problems: unknown }): T {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value;
}

describe('numa_maps', () => {
  const text = example('guest.db1.numa_maps');

  it('tells guest RAM from the rest of the process', () => {
    const maps = value(parseNumaMaps(text));
    expect(maps.guestRamAddresses).toEqual(['7f98b4200000']);
    expect(maps.guestRam).toEqual([{ nodeId: 1, pages: 196608, hugePages: 0 }]);
    expect(maps.overhead).toEqual([
      { nodeId: 0, pages: 625, hugePages: 0 },
      { nodeId: 1, pages: 124, hugePages: 0 },
    ]);
    expect(maps.caveats.map(({ code }) => code)).toEqual(['huge-pages-unknown']);
  });

  it('takes the number of huge pages from smaps_rollup', () => {
    const { anonHugeKib, rssKib } = value(parseSmapsRollup(example('guest.db1.smaps_rollup')));
    expect([anonHugeKib, rssKib]).toEqual([786432, 789432]);
    const maps = value(parseNumaMaps(text, anonHugeKib));
    expect(maps.guestRam).toEqual([{ nodeId: 1, pages: 196608, hugePages: 384 }]);
    expect(maps.caveats).toEqual([]);
  });

  it('counts hugetlb pages in their own size and keeps several cells', () => {
    const maps = value(
      parseNumaMaps(
        '7f0000000000 bind:0 file=/dev/hugepages/libvirt/qemu/1-web/x huge dirty=256 N0=256 kernelpagesize_kB=2048\n' +
          '7f1000000000 bind:1 file=/memfd:pc.ram\\040(deleted) dirty=131072 N0=72 N1=131000 kernelpagesize_kB=4\n' +
          '7f2000000000 default file=/usr/lib/libc.so.6 mapped=400000 N0=400000 kernelpagesize_kB=4\n' +
          '560000000000 default heap anon=9000 dirty=9000 N1=9000 kernelpagesize_kB=4\n',
      ),
    );
    expect(maps.guestRam).toEqual([
      { nodeId: 0, pages: 131144, hugePages: 256 },
      { nodeId: 1, pages: 131000, hugePages: 0 },
    ]);
    expect(maps.overhead).toEqual([
      { nodeId: 0, pages: 400000, hugePages: 0 },
      { nodeId: 1, pages: 9000, hugePages: 0 },
    ]);
  });

  it('shares transparent huge pages over the nodes', () => {
    const maps = value(parseNumaMaps('7f00 default anon=4096 N0=1024 N1=3072', 4 * 2048));
    expect(maps.guestRam).toEqual([
      { nodeId: 0, pages: 1024, hugePages: 1 },
      { nodeId: 1, pages: 3072, hugePages: 3 },
    ]);
  });

  it('says when there is no guest RAM yet', () => {
    const maps = value(parseNumaMaps('004cd000 default anon=563 N0=563\n'));
    expect(maps.guestRam).toEqual([]);
    expect(maps.caveats.map(({ code }) => code)).toEqual(['no-guest-ram']);
  });

  it.each([
    ['hello', 'unexpected-line'],
    ['7f00 default anon=x N0=1', 'not-a-number'],
    ['7f00 default N0=-1', 'out-of-range'],
    ['7f00 default N9999=1', 'out-of-range'],
  ])('refuses %s', (line, code) => {
    const parsed = parseNumaMaps(line);
    expect(parsed.ok ? [] : parsed.problems).toEqual([
      expect.objectContaining({ code, path: 'numaMaps', line: 1 }),
    ]);
  });
});

describe('numastat -p', () => {
  const table = `
Per-node process memory usage (in MBs) for PID 4242 (qemu-system-x86)
                           Node 0          Node 1           Total
                  --------------- --------------- ---------------
Huge                         0.00         1024.00         1024.00
Heap                        12.34            0.00           12.34
Stack                        0.05            0.00            0.05
Private                    512.25            3.50          515.75
----------------  --------------- --------------- ---------------
Total                      524.64         1027.50         1552.14
`;

  it('gives guest memory by node', () => {
    expect(value(parseNumastatProcess(table))).toEqual([
      { nodeId: 0, pages: 131136, hugePages: 0 },
      { nodeId: 1, pages: 262144 + 896, hugePages: 512 },
    ]);
  });

  it.each([
    ['a cut row', table.replace('3.50          515.75', ''), 'truncated'],
    ['a cut table', table.slice(0, table.indexOf('Private')), 'truncated'],
    ['a word', table.replace('512.25', 'lots'), 'not-a-number'],
    ['a negative size', table.replace('512.25', '-12.25'), 'out-of-range'],
    ['two processes', table + table, 'unexpected-line'],
  ])('refuses %s', (_name, text, code) => {
    const parsed = parseNumastatProcess(text);
    expect(parsed.ok ? [] : parsed.problems.map((problem) => problem.code)).toContain(code);
  });
});

describe('estimateResidency', () => {
  const { model } = imported({ zoneinfo: example('zoneinfo'), buddyinfo: example('buddyinfo') });

  it('stays within the anonymous memory of the policy node', () => {
    expect(estimateResidency(model, 196608, [1])).toEqual([
      { nodeId: 1, pages: 196608, hugePages: 0 },
    ]);
  });

  it('lets what cannot be there spill, and leaves out what is nowhere', () => {
    // Node 0 has 636 anonymous pages and one of shmem: a guest preferred there lives on node 1.
    expect(estimateResidency(model, 100000, [0])).toEqual([
      { nodeId: 0, pages: 637, hugePages: 0 },
      { nodeId: 1, pages: 99363, hugePages: 0 },
    ]);
    const all = estimateResidency(model, 10_000_000, []);
    expect(all.reduce((sum, { pages }) => sum + pages, 0)).toBe(637 + 196622 + 278);
    expect(estimateResidency(model, -5, [0])).toEqual([]);
  });
});
