import fc from 'fast-check';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { validateHostModel } from '@zonewise/simulator';
import { example, exampleTexts, fixture } from '../test/fixtures';
import { printZoneinfo } from '../test/print-zoneinfo';
import { FACT_CODES, importHost, parseNumaMaps, parseNumastatProcess, type HostTexts } from '.';
import { addPages, reconcileTypes, removePages, unfragmentedBlocks } from './build/free-blocks';
import { pagesInBlocks } from './parse/buddyinfo';
import { parseIdList } from './parse/lists';
import { parseNumactlHardware } from './parse/numactl';
import { parsePagetypeinfo } from './parse/pagetypeinfo';
import { parseVersion } from './parse/small';
import { parseSysctl } from './parse/sysctl';
import { parseZoneinfo, type ZoneinfoZone } from './parse/zoneinfo';

function value<T>(parsed: { ok: true; value: T } | { ok: false; problems: unknown }): T {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value;
}

const count = fc.integer({ min: 0, max: 2 ** 40 });
const zone = fc.record({
  nodeId: fc.integer({ min: 0, max: 1023 }),
  name: fc.constantFrom('DMA', 'DMA32', 'Normal', 'Movable', 'Device'),
  line: fc.constant(0),
  pages: fc.record({
    free: count,
    boost: count,
    min: count,
    low: count,
    high: count,
    spanned: count,
    present: fc.integer({ min: 1, max: 2 ** 40 }),
    managed: count,
    cma: count,
  }),
  protectionPages: fc.array(count, { minLength: 1, maxLength: 5 }),
  stats: fc.record({ nr_free_pages: count, nr_zone_inactive_file: count, numa_hit: count }),
  pagesets: fc.uniqueArray(
    fc.record({
      cpu: fc.integer({ min: 0, max: 8191 }),
      countPages: count,
      highPages: count,
      batchPages: count,
    }),
    { maxLength: 4, selector: ({ cpu }) => cpu },
  ),
  startPfn: count,
});

describe('zoneinfo', () => {
  it('comes back from its printed form', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(zone, {
          minLength: 1,
          maxLength: 8,
          selector: ({ nodeId, name }) => `${nodeId} ${name}`,
        }),
        fc.record({ nr_inactive_file: count, nr_anon_pages: count }),
        (zones, stats) => {
          const nodeStats = new Map(zones.map(({ nodeId }) => [nodeId, { ...stats, nodeId }]));
          const parsed = value(parseZoneinfo(printZoneinfo(zones, nodeStats)));
          const plain = (list: ZoneinfoZone[]): unknown =>
            JSON.parse(JSON.stringify(list.map((entry) => ({ ...entry, line: 0 }))));
          expect(plain(parsed.zones)).toEqual(plain(zones));
          expect(new Map([...parsed.nodeStats].map(([id, list]) => [id, { ...list }]))).toEqual(
            nodeStats,
          );
        },
      ),
      { numRuns: 200 },
    );
  });

  it('finds every cut of the recorded text', () => {
    const text = example('zoneinfo').trimEnd();
    fc.assert(
      fc.property(fc.integer({ min: 1, max: text.length - 1 }), (length) => {
        const parsed = parseZoneinfo(text.slice(0, length));
        if (!parsed.ok) return;
        // What is left is whole only where a node ends.
        expect(parsed.value.zones.at(-1)?.name).toBe('Device');
        expect(parsed.value.zones).toHaveLength(5);
      }),
      { numRuns: 500 },
    );
  });
});

describe('hostile texts', () => {
  const recorded = exampleTexts();
  const sources = ['zoneinfo', 'buddyinfo', 'pagetypeinfo', 'meminfo', 'vmstat', 'sysctl'] as const;

  function judged(texts: HostTexts): void {
    const outcome = importHost(texts);
    if (outcome.ok) {
      expect(validateHostModel(outcome.value.model)).toEqual([]);
      const zones = outcome.value.model.nodes.flatMap((node) => node.zones);
      expect(zones.every((entry) => pagesInBlocks(entry.freeBlocks) === entry.freePages)).toBe(
        true,
      );
      return;
    }
    expect(outcome.problems.length).toBeGreaterThan(0);
    for (const { code, path, message } of outcome.problems) {
      expect(FACT_CODES).toContain(code);
      expect([path, message]).not.toContain('');
    }
  }

  it('cut or overwritten recorded texts are imported or refused, never thrown at', () => {
    fc.assert(
      fc.property(
        fc.constantFrom(...sources),
        fc.nat(),
        fc.nat({ max: 40 }),
        fc.oneof(
          fc.string({ maxLength: 30 }),
          fc.constantFrom('\n', '-1', '9'.repeat(25), 'Node '),
        ),
        (name, at, removed, inserted) => {
          const text = recorded[name];
          const start = at % text.length;
          judged({
            ...recorded,
            [name]: text.slice(0, start) + inserted + text.slice(start + removed),
          });
          judged({ ...recorded, [name]: text.slice(0, start) });
        },
      ),
      { numRuns: 150 },
    );
  });

  it('any text at all is imported or refused', () => {
    const names = [...sources, 'numactlHardware', 'thpEnabled', 'thpDefrag', 'version'] as const;
    fc.assert(
      fc.property(
        fc.constantFrom(...names),
        fc.string({ maxLength: 300, unit: 'binary' }),
        (n, t) => judged({ [n]: t }),
      ),
      { numRuns: 500 },
    );
  });

  it('numactl with lines taken out, doubled or changed', () => {
    const lines = fixture('numactl-4nodes.txt').split('\n');
    fc.assert(
      fc.property(fc.nat(), fc.constantFrom('drop', 'double', 'digit'), (at, how) => {
        const index = at % lines.length;
        const line = lines[index] ?? '';
        const other = { drop: [], double: [line, line], digit: [line.replace(/\d/, '99')] }[how];
        judged({ numactlHardware: lines.toSpliced(index, 1, ...other).join('\n') });
      }),
    );
  });

  it('long runs of spaces and digits end in time that grows with their length', () => {
    for (const filler of [' ', '1', 'a ', ', ', 'N1=1 ']) {
      const line = filler.repeat(60000 / filler.length);
      for (const name of sources) judged({ [name]: `${line}\n${line}\n` });
      expect(parseNumactlHardware(`node distances:\nnode${line}x`).ok).toBe(false);
      expect(parseNumastatProcess(line).ok).toBe(false);
      const maps = parseNumaMaps(line);
      expect(maps.ok ? maps.value.guestRam : []).toEqual([]);
    }
  });
});

describe('small formats', () => {
  it('reads number lists', () => {
    expect(value(parseIdList('0-3,8,10-11\n', 'x'))).toEqual([0, 1, 2, 3, 8, 10, 11]);
    expect(value(parseIdList('\n', 'x'))).toEqual([]);
    expect(parseIdList('0-99999', 'x').ok).toBe(false);
  });

  it.each([
    ['6.1.0-28-amd64\n', '6.1.0-28-amd64'],
    ['Linux version 5.10.0-32-cloud-amd64 (debian@x) #1 SMP', '5.10.0-32-cloud-amd64'],
    ['Linux host 6.18.3 #1 SMP', '6.18.3'],
  ])('reads the release of %s', (text, release) => {
    expect(value(parseVersion(text))).toBe(release);
  });

  it('reads sysctl -a and bare lines, and passes over other settings', () => {
    const text =
      'sunrpc.transports = tcp 1048576\nudp 32768\nvm.swappiness = 10\nzone_reclaim_mode=1\n' +
      'vm.lowmem_reserve_ratio = 256\t256\t32\t0\t0\nkernel.swappiness = 5\nvm.unheard_of = x y\n' +
      'vm.extfrag_threshold = 700\nvm.compact_unevictable_allowed = 0\nvm.compaction_proactiveness = 40\n';
    expect(value(parseSysctl(text)).values).toEqual({
      swappiness: 10,
      zone_reclaim_mode: 1,
      lowmem_reserve_ratio: [256, 256, 32, 0, 0],
      extfrag_threshold: 700,
      compact_unevictable_allowed: 0,
      compaction_proactiveness: 40,
    });
  });

  it('reads pagetypeinfo of old kernels and capped counts', () => {
    const rows = (type: string, first: string): string =>
      `Node    0, zone   Normal, type ${type} ${first}${' 1'.repeat(10)}\n`;
    const text =
      'Page block order: 9\nPages per block:  512\n\nFree pages count per migrate type at order 0\n' +
      rows('Unmovable', '1') +
      rows('Movable', '>100000') +
      rows('Reserve', '2') +
      '\nNumber of blocks type     Unmovable      Movable      Reserve\n' +
      'Node 0, zone   Normal            3            5            2\n';
    const parsed = value(parsePagetypeinfo(text));
    const movable = parsed.free.filter(({ type }) => type === 'Movable');
    expect(movable.map(({ blocks }) => blocks[0])).toEqual([100000, 2]);
    expect(movable[0]?.cappedOrders).toEqual([0]);
    expect(parsed.blocks[0]?.blocks).toEqual({ Unmovable: 3, Movable: 7 });
  });

  it('reads the recorded pagetypeinfo of two nodes', () => {
    const parsed = value(parsePagetypeinfo(example('pagetypeinfo')));
    expect(parsed.free).toHaveLength(20);
    expect(parsed.blocks[3]).toEqual({
      nodeId: 1,
      zone: 'Normal',
      blocks: { Unmovable: 46, Movable: 1996, Reclaimable: 6, HighAtomic: 0, Isolate: 0 },
    });
  });
});

describe('free lists', () => {
  const blocks = fc.array(fc.nat({ max: 1000 }), { minLength: 11, maxLength: 11 });

  it('gain and lose exactly the pages asked for', () => {
    fc.assert(
      fc.property(blocks, fc.nat({ max: 5_000_000 }), (start, pages) => {
        const more = [...start];
        addPages(more, pages);
        expect(pagesInBlocks(more)).toBe(pagesInBlocks(start) + pages);
        const less = [...start];
        const taken = Math.min(pages, pagesInBlocks(start));
        removePages(less, taken);
        expect(pagesInBlocks(less)).toBe(pagesInBlocks(start) - taken);
        expect(Math.min(...less)).toBeGreaterThanOrEqual(0);
      }),
    );
    expect(unfragmentedBlocks(1025)).toEqual([1, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1]);
  });

  it('by type add up to the total', () => {
    fc.assert(
      fc.property(blocks, blocks, blocks, (total, Movable, HighAtomic) => {
        const types = reconcileTypes(total, { Movable, HighAtomic });
        for (const [order, all] of total.entries())
          expect((types.Movable?.[order] ?? 0) + (types.HighAtomic?.[order] ?? 0)).toBe(all);
      }),
    );
  });
});

it('errors.md lists exactly the codes there are', () => {
  const text = readFileSync(join(__dirname, '..', 'errors.md'), 'utf8');
  const listed = [...text.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1]);
  expect(listed.sort()).toEqual([...FACT_CODES].sort());
});
