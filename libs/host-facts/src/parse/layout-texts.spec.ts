import { buildZonelists, nodeStates, type HostModel, type HostZone } from '@zonewise/simulator';
import * as fc from 'fast-check';
import { exampleTexts, fixture, imported, refused } from '../../test/fixtures';
import type { Parsed } from '../errors';
import {
  printExtfragIndex,
  printFallbackOrder,
  printMemmap,
  printNodeStates,
  printSections,
  printUnusableIndex,
  printZoneRanges,
} from '../print';
import { memmapPagesOf, memoryBlocks } from '../print/memory-map';
import { smallHost, smallNode, smallZone } from '../print/test/hosts';
import {
  parseFallbackOrder,
  parseFragmentationIndex,
  parseMemmap,
  parseNodeStates,
  parseSections,
  parseZoneRanges,
} from './layout-texts';

function value<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(JSON.stringify(parsed.problems));
  return parsed.value;
}

const zoneOf = (startPfn: number): fc.Arbitrary<HostZone> =>
  fc.array(fc.nat(50), { minLength: 11, maxLength: 11 }).map((freeBlocks) => {
    const freePages = freeBlocks.reduce((sum, count, order) => sum + count * 2 ** order, 0);
    const sizes = { presentPages: freePages + 1, managedPages: freePages + 1 };
    const zone = smallZone('Normal', { startPfn, spannedPages: freePages + 7, ...sizes });
    return { ...zone, freePages, freeBlocks };
  });

/** One to four nodes with sparse numbers, some without memory or CPUs, at distances that may differ by direction. */
const hosts: fc.Arbitrary<HostModel> = fc
  .array(fc.record({ gap: fc.nat(3), zone: fc.option(zoneOf(0)), hasCpus: fc.boolean() }), {
    minLength: 1,
    maxLength: 4,
  })
  .chain((list) =>
    fc.tuple(
      fc.constant(list),
      fc.array(fc.array(fc.integer({ min: 11, max: 254 }), { minLength: 4, maxLength: 4 }), {
        minLength: 4,
        maxLength: 4,
      }),
    ),
  )
  .map(([list, distances]) => {
    let nodeId = -1;
    let startPfn = 1_048_576;
    const nodes = list.map(({ gap, zone, hasCpus }, i) => {
      nodeId += 1 + gap;
      const zones = zone === null ? [] : [{ ...zone, startPfn }];
      startPfn += zone?.spannedPages ?? 0;
      return smallNode(nodeId, zones, { cpus: hasCpus ? [i] : [] });
    });
    const rows = nodes.map((_, i) => nodes.map((__, j) => (i === j ? 10 : distances[i]![j]!)));
    return { ...smallHost(nodes), distances: rows };
  });

const holds = (check: (host: HostModel) => void): void => {
  fc.assert(fc.property(hosts, check), { numRuns: 200 });
};

describe('printed and read back', () => {
  it('node states', () => {
    holds((host) => {
      const states = nodeStates(host.nodes);
      expect(value(parseNodeStates(printNodeStates(host)))).toEqual({
        possible: states.N_POSSIBLE,
        online: states.N_ONLINE,
        has_normal_memory: states.N_NORMAL_MEMORY,
        has_memory: states.N_MEMORY,
        has_cpu: states.N_CPU,
      });
    });
  });

  it('zonelists', () => {
    holds((host) => {
      const nodes = host.nodes.map(({ nodeId, cpus, zones }) => ({
        nodeId,
        hasCpus: cpus.length > 0,
        hasMemory: zones.length > 0,
      }));
      expect(value(parseFallbackOrder(printFallbackOrder(host)))).toEqual(
        buildZonelists(nodes, host.distances),
      );
    });
  });

  it('zone ranges and spans of nodes', () => {
    holds((host) => {
      const { nodes } = value(parseZoneRanges(printZoneRanges(host)));
      expect(nodes).toEqual(
        host.nodes.map(({ nodeId, zones: [zone] }) => ({
          nodeId,
          range: zone
            ? { startPfn: zone.startPfn, endPfn: zone.startPfn + zone.spannedPages }
            : null,
        })),
      );
    });
  });

  it('pages of zones with their memory map, and memory blocks', () => {
    holds((host) => {
      const memmap = printMemmap(host);
      const zones = host.nodes.flatMap(({ nodeId, zones: own }) =>
        own.map((zone) => ({
          nodeId,
          zone: zone.name,
          presentPages: zone.presentPages,
          memmapPages: memmapPagesOf(zone),
        })),
      );
      if (zones.length > 0) expect(value(parseMemmap(memmap))).toEqual(zones);
      const { blockBytes, nodes } = value(parseSections(printSections(host)));
      expect(blockBytes).toBe(2 ** 27);
      expect(nodes).toEqual(memoryBlocks(host).filter(({ blocks }) => blocks.length > 0));
    });
  });

  it('extfrag_index and unusable_index, which print the same again', () => {
    holds((host) => {
      for (const print of [printExtfragIndex, printUnusableIndex]) {
        const text = print(host);
        if (text === '') continue;
        const read = value(parseFragmentationIndex(text, 'extfragIndex'));
        expect(read.map(({ nodeId, zone }) => [nodeId, zone])).toEqual(
          host.nodes.flatMap(({ nodeId, zones }) => zones.map(({ name }) => [nodeId, name])),
        );
        const cells = text.split('\n').flatMap((line) => line.split(/\s+/).slice(4, -1));
        const printed = (thousandths: number): string[] => {
          const rest = thousandths % 1000;
          const digits =
            rest < 0 ? `-${String(-rest).padStart(2, '0')}` : String(rest).padStart(3, '0');
          return [`${Math.trunc(thousandths / 1000)}.${digits}`];
        };
        expect(read.flatMap(({ thousandths }) => thousandths.flatMap(printed))).toEqual(cells);
      }
    });
  });
});

describe('the layout that a kernel prints, beside the other texts', () => {
  const { model } = imported(exampleTexts());
  const layout = {
    nodeStates: printNodeStates(model),
    zonelists: printFallbackOrder(model),
    zoneRanges: printZoneRanges(model),
    extfragIndex: printExtfragIndex(model),
    unusableIndex: printUnusableIndex(model),
    memmap: printMemmap(model),
    sections: printSections(model),
  };

  it('agrees with the model that it was printed from', () => {
    expect(imported({ ...exampleTexts(), ...layout }).differences).toEqual([]);
  });

  it('is shown where it does not, and nothing is refused for it', () => {
    const { differences, model: same } = imported({
      ...exampleTexts(),
      nodeStates: 'online:0-1\nhas_memory:0\n',
      zonelists: '[    0.03] Fallback order for Node 0: 1 0 \n',
      zoneRanges: 'Initmem setup node 1 [mem 0x0000000100000000-0x00000001ffffffff]\n',
      unusableIndex: layout.unusableIndex.replace('0.000', '0.001'),
      memmap: 'On node 1 totalpages: 9\n  Normal zone: 9 pages, LIFO batch:0\n',
      sections: 'block_size_bytes:8000000\nnode1/memory99\n',
    });
    expect(same).toEqual(model);
    const start = Math.min(...model.nodes[1]!.zones.map(({ startPfn }) => startPfn));
    expect(differences.map(({ path, taken, other }) => [path, taken.value, other.value])).toEqual([
      ['nodeStates.has_memory', '0,1', '0'],
      ['zonelists.0', '0,1', '1,0'],
      ...(start === 0x100000 ? [] : [['nodes.1.startPfn', String(start), String(0x100000)]]),
      ['nodes.1.zones.Normal.presentPages', String(model.nodes[1]!.zones[0]!.presentPages), '9'],
      ['nodes.1.sections', expect.any(String) as string, '99'],
      [
        'nodes.0.zones.DMA.unusableIndex',
        expect.stringMatching(/^0,/) as string,
        expect.stringMatching(/^1,/) as string,
      ],
    ]);
  });

  it.each([
    [{ nodeStates: 'has_memory 0-1\n' }, 'unexpected-line'],
    [{ nodeStates: 'has_memory:1-0\n' }, 'bad-cpu-list'],
    [{ zonelists: 'Fallback order for Node x: 0\n' }, 'not-a-number'],
    [{ zonelists: 'all is well\n' }, 'missing-field'],
    [{ zoneRanges: 'Initmem setup node 0 [mem 0x1001-0x1fff]\n' }, 'unexpected-line'],
    [{ zoneRanges: 'Initmem setup node 0 [mem 0x2000-0x0fff]\n' }, 'unexpected-line'],
    [{ memmap: 'nothing\n' }, 'missing-field'],
    [{ sections: 'node0/memoryX\n' }, 'unexpected-line'],
    [{ extfragIndex: 'Node 0, zone DMA -1.000\n' }, 'unexpected-line'],
    [{ unusableIndex: `Node 0, zone DMA ${'2.000 '.repeat(11)}\n` }, 'unexpected-line'],
  ])('%j is refused with its line', (texts, code) => {
    expect(refused({ ...exampleTexts(), ...texts })[0]).toMatchObject({ code });
  });
});

describe('settings of khugepaged', () => {
  it('are read, and those not given are as a kernel boots', () => {
    const khugepaged = 'pages_to_scan:8192\nscan_sleep_millisecs:0\ndefrag:1\nfull_scans:77\n';
    const { model, provenance } = imported({ ...exampleTexts(), khugepaged });
    expect(model.thp.khugepaged).toEqual({
      pagesToScan: 8192,
      scanSleepMs: 1,
      allocSleepMs: 60_000,
      maxPtesNone: 511,
    });
    expect(provenance).toContainEqual(
      expect.objectContaining({ path: 'thp.khugepaged.scanSleepMs', kind: 'derived' }),
    );
    const wrong = { ...exampleTexts(), khugepaged: 'max_ptes_none=512\n' };
    expect(refused(wrong)).toMatchObject([{ code: 'out-of-range', line: 1 }]);
  });
});

describe('what virsh prints of single cells', () => {
  it('gives sizes and free memory of nodes', () => {
    const numactlHardware = fixture('numactl-4nodes.txt');
    const { model, differences } = imported({
      numactlHardware,
      cellMemstats: {
        '1': 'total  :             66900000 KiB\nfree   :             60049408 KiB\n',
      },
      cellFreepages: { '2': '2048KiB: 19\n4KiB: 15662336\n' },
    });
    const pages = (node: number, field: 'managedPages' | 'freePages') =>
      model.nodes[node]!.zones.reduce((sum, zone) => sum + zone[field], 0);
    expect(pages(1, 'managedPages')).toBe(66900000 / 4);
    expect(pages(2, 'freePages')).toBe(15662336);
    expect(differences.map(({ path, other }) => [path, other.source])).toContainEqual([
      'nodes.1.managedPages',
      'numactlHardware',
    ]);
    const bad = { numactlHardware, cellFreepages: { '2': 'Node 2:\n4KiB: 1\n' } };
    expect(refused(bad)).toMatchObject([{ code: 'unexpected-line', path: 'cellFreepages.2' }]);
  });
});
