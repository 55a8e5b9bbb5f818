/** What is printed is read back by the parsers with the same numbers. */
import {
  ZONE_NAMES,
  type HostZone,
  type LruPages,
  type MigrateTypeName,
} from '@zonewise/simulator';
import * as fc from 'fast-check';
import type { Parsed } from '../errors';
import { importHost } from '../import-host';
import { parseBuddyinfo, pagesInBlocks } from '../parse/buddyinfo';
import { parseNodeNumastat, parseVmstat } from '../parse/counters';
import { parseMeminfo, parseNodeMeminfo } from '../parse/meminfo';
import { parsePagetypeinfo } from '../parse/pagetypeinfo';
import { parseZoneinfo } from '../parse/zoneinfo';
import { printedState } from './build-state';
import { freeBlocksOf, printBuddyinfo, printPagetypeinfo } from './free-lists';
import { printMeminfo, printNodeMeminfo } from './meminfo';
import { printNodeNumastat } from './numastat';
import { allZones, PRINTED_TYPES, zoneSum, type PrintedState } from './printed-state';
import { smallHost, smallNode, snapshotOf } from './test/hosts';
import { nodeStat, printNodeVmstat, printVmstat } from './vmstat';
import { printZoneinfo } from './zoneinfo';

function value<T>(parsed: Parsed<T>): T {
  if (!parsed.ok) throw new Error(parsed.problems[0]?.message);
  return parsed.value;
}

const counts = (max: number) => fc.array(fc.nat({ max }), { minLength: 11, maxLength: 11 });
const lruOf: fc.Arbitrary<LruPages> = fc.record({
  inactiveAnonPages: fc.nat(50_000),
  activeAnonPages: fc.nat(50_000),
  inactiveFilePages: fc.nat(50_000),
  activeFilePages: fc.nat(50_000),
  unevictablePages: fc.nat(50_000),
});

const TYPES: readonly MigrateTypeName[] = PRINTED_TYPES;
const freeLists = fc.record(Object.fromEntries(TYPES.map((type) => [type, counts(200_000)])));

/** Lists of which at most one per order is as long as pagetypeinfo stops counting at. */
const oneCut = fc
  .tuple(freeLists, fc.array(fc.constantFrom(...TYPES), { minLength: 11, maxLength: 11 }))
  .map(([lists, longest]) =>
    Object.fromEntries(
      Object.entries(lists).map(([type, list]) => [
        type,
        list.map((count, order) => (longest[order] === type ? count : Math.min(count, 99_999))),
      ]),
    ),
  );

const zoneWith = (blocks: typeof freeLists): fc.Arbitrary<HostZone> =>
  fc
    .record({
      name: fc.constantFrom(...ZONE_NAMES),
      startPfn: fc.nat(2 ** 30),
      usedPages: fc.nat(400_000),
      holePages: fc.nat(10_000),
      boostPages: fc.nat(5_000),
      minPages: fc.nat(10_000),
      step: fc.nat(10_000),
      protectionPages: fc.array(fc.nat(1_000_000), { minLength: 5, maxLength: 5 }),
      freeBlocksByType: blocks,
      pagesets: fc.uniqueArray(
        fc.record({
          cpu: fc.nat(255),
          countPages: fc.nat(5_000),
          highPages: fc.nat(10_000),
          batchPages: fc.integer({ min: 1, max: 63 }),
        }),
        { selector: ({ cpu }) => cpu, minLength: 1, maxLength: 4 },
      ),
      lru: lruOf,
    })
    .map(({ usedPages, holePages, step, minPages, boostPages, ...zone }) => {
      const freeBlocks = Array.from({ length: 11 }, (_, order) =>
        Object.values(zone.freeBlocksByType).reduce((sum, list) => sum + (list[order] ?? 0), 0),
      );
      const freePages = pagesInBlocks(freeBlocks);
      const heldPages = zone.pagesets.reduce((sum, { countPages }) => sum + countPages, 0);
      const presentPages = freePages + heldPages + usedPages + 1;
      return {
        ...zone,
        ...{ freeBlocks, freePages, presentPages, managedPages: presentPages },
        spannedPages: presentPages + holePages,
        ...{ boostPages, minPages: minPages + boostPages },
        lowPages: minPages + boostPages + step,
        highPages: minPages + boostPages + 2 * step,
      };
    });

const zoneOf = zoneWith(freeLists);

const nodeCounts = fc.record({
  lru: lruOf,
  filePages: fc.nat(100_000),
  mappedPages: fc.nat(100_000),
  shmemPages: fc.nat(100_000),
  anonPages: fc.nat(100_000),
  dirtyPages: fc.nat(1_000),
  writebackPages: fc.nat(1_000),
  slabReclaimablePages: fc.nat(100_000),
  slabUnreclaimablePages: fc.nat(100_000),
  numastat: fc.record({
    numaHit: fc.nat(),
    numaMiss: fc.nat(),
    numaForeign: fc.nat(),
    interleaveHit: fc.nat(),
    localNode: fc.nat(),
    otherNode: fc.nat(),
  }),
});

const nodeOf = fc
  .record({
    zones: fc.uniqueArray(zoneOf, { selector: ({ name }) => name, maxLength: 4 }),
    counts: nodeCounts,
  })
  .map(({ zones, counts: uses }) => ({ zones, uses }));

/** Kernels whose texts differ: fields come and go. */
const RELEASES = [
  ...['2.6.32-754.el6', '3.10.0-1160.el7', '4.4.0', '4.9.0', '4.18.0-553.el8', '5.4.0'],
  ...['5.10.0', '5.15.0', '6.1.0', '6.6.0', '6.12.0', '6.18.0'],
];

/** One to three nodes of which the first has memory; node numbers are sparse. */
const stateOf: fc.Arbitrary<PrintedState> = fc
  .record({
    first: nodeOf.filter(({ zones }) => zones.length > 0),
    more: fc.array(nodeOf, { maxLength: 2 }),
    kernelRelease: fc.constantFrom(...RELEASES),
    vmstat: fc.record({ pgfault: fc.nat(), oom_kill: fc.nat(), pgsteal_kswapd: fc.nat() }),
  })
  .map(({ first, more, kernelRelease, vmstat }) => {
    const nodes = [first, ...more].map(({ zones, uses }, i) => smallNode(2 * i, zones, uses));
    const host = { ...smallHost(nodes), kernelRelease };
    return printedState({ host, snapshot: { ...snapshotOf(host), vmstat } });
  });

const NONE = new Array<number>(11).fill(0);
const typeOf = (name: string) => PRINTED_TYPES.find((type) => type === name);

const holds = (check: (state: PrintedState) => void): void => {
  fc.assert(fc.property(stateOf, check), { numRuns: 120 });
};

describe('printed and read back', () => {
  it('zoneinfo has the same zones, marks, counters and pagesets', () => {
    holds((state) => {
      const read = value(parseZoneinfo(printZoneinfo(state)));
      const populated = read.zones.filter(({ pages }) => pages.present !== 0);
      const { layout } = state;
      if (layout.listedZones !== null) {
        expect(read.zones).toHaveLength(layout.listedZones.length * state.nodes.length);
      }
      expect(populated.map(({ nodeId, name }) => `${nodeId} ${name}`)).toEqual(
        state.nodes.flatMap((node) => node.zones.map(({ name }) => `${node.nodeId} ${name}`)),
      );
      for (const [i, zone] of allZones(state).entries()) {
        const got = populated[i]!;
        const pages: Record<string, number> = {
          boost: zone.boostPages,
          min: zone.minPages,
          low: zone.lowPages,
          high: zone.highPages,
          promo: 2 * zone.highPages - zone.lowPages,
          spanned: zone.spannedPages,
          present: zone.presentPages,
          managed: zone.managedPages,
        };
        expect({ ...got.pages }).toEqual({
          free: zone.freePages,
          ...Object.fromEntries(layout.zoneSizes.map((name) => [name, pages[name] ?? 0])),
        });
        expect(got.protectionPages).toEqual(zone.protectionPages.slice(0, layout.zoneTypes));
        expect(got.pagesets).toEqual(zone.pagesets);
        expect(got.startPfn).toBe(zone.startPfn);
        const counts: Record<string, number> = { ...zone.stats, ...zone.numaEvents };
        expect(Object.entries(got.stats)).toEqual(
          layout.zoneStats.map((name) => [name, counts[name] ?? 0]),
        );
      }
      for (const node of state.nodes) {
        const stats = read.nodeStats.get(node.nodeId);
        if (node.zones.length === 0 || layout.nodeStats.length === 0) {
          expect(stats).toBeUndefined();
          continue;
        }
        expect(Object.entries(stats ?? {})).toEqual(
          layout.nodeStats.map((name) => [name, node.stats[name] ?? 0]),
        );
      }
    });
  });

  it('buddyinfo and pagetypeinfo have the same blocks, up to the cap', () => {
    holds((state) => {
      const zones = state.nodes.flatMap(({ nodeId, zones: list }) =>
        list.map((zone) => ({ nodeId, zone })),
      );
      expect(value(parseBuddyinfo(printBuddyinfo(state)))).toEqual(
        zones.map(({ nodeId, zone }) => ({
          nodeId,
          zone: zone.name,
          blocks: Array.from({ length: 11 }, (_, order) => freeBlocksOf(zone, order)),
        })),
      );
      const read = value(parsePagetypeinfo(printPagetypeinfo(state)));
      expect(read.pageBlockOrder).toBe(9);
      expect(read.free).toEqual(
        zones.flatMap(({ nodeId, zone }) =>
          state.layout.migrateTypes.map((type) => {
            // What 2.6.32 keeps in reserve is read as Movable.
            const blocks = typeOf(type) ? zone.freeBlocksByType[typeOf(type)!] : NONE;
            return {
              ...{ nodeId, zone: zone.name, type: typeOf(type) ?? 'Movable' },
              blocks: blocks.map((count) => Math.min(count, 100_000)),
              cappedOrders: [...blocks.keys()].filter((order) => blocks[order]! >= 100_000),
            };
          }),
        ),
      );
      expect(read.blocks.map(({ blocks }) => blocks)).toEqual(
        zones.map(({ zone }) =>
          Object.fromEntries(
            Object.entries(zone.pageblocksByType).filter(([type]) =>
              state.layout.migrateTypes.includes(type),
            ),
          ),
        ),
      );
    });
  });

  it('vmstat has the sums over zones and nodes, and each node its own', () => {
    holds((state) => {
      const whole = value(parseVmstat(printVmstat(state)));
      expect(whole.nr_free_pages).toBe(zoneSum(allZones(state), (zone) => zone.freePages));
      const names = ['nr_inactive_anon', 'nr_file_pages', 'nr_slab_unreclaimable', 'nr_shmem'];
      const nodes = state.nodes.map((node) => value(parseVmstat(printNodeVmstat(node, state))));
      const byZone = state.layout.zoneStats.filter((name) => name.startsWith('nr_zone_'));
      for (const name of [...names, 'numa_hit', 'numa_foreign', ...byZone]) {
        const sum = nodes.reduce((total, node) => total + node[name]!, 0);
        expect([name, whole[name]]).toEqual([name, sum]);
      }
      expect(whole.pgfault).toBe(state.events.pgfault);
      for (const node of state.nodes) {
        expect(value(parseNodeNumastat(printNodeNumastat(node), 'numastat'))).toMatchObject({
          numaHit: node.numaEvents.numa_hit,
          interleaveHit: node.numaEvents.numa_interleave,
          otherNode: node.numaEvents.numa_other,
        });
      }
    });
  });

  it('meminfo of the host and of its nodes has the same KiB', () => {
    holds((state) => {
      const whole = value(parseMeminfo(printMeminfo(state)));
      const kib = (pages: number): number => 4 * pages;
      expect(whole.MemTotal).toBe(kib(zoneSum(allZones(state), (zone) => zone.managedPages)));
      expect(whole['Active(file)']).toBe(kib(nodeStat(state, 'nr_active_file')));
      const nodes = state.nodes.map((node) =>
        value(parseNodeMeminfo(printNodeMeminfo(node, state), node.nodeId, 'nodeMeminfo')),
      );
      for (const name of ['MemTotal', 'MemFree', 'Inactive', 'AnonPages', 'Slab', 'Dirty']) {
        const sum = nodes.reduce((total, node) => total + node[name]!, 0);
        expect([name, whole[name]]).toEqual([name, sum]);
      }
      for (const node of nodes) expect(node.MemUsed).toBe(node.MemTotal! - node.MemFree!);
    });
  });

  it('all texts together are a host that can be imported, with the same free lists and sizes', () => {
    const zones = zoneWith(oneCut).map((zone) => ({
      ...zone,
      ...{ name: 'Normal' as const, startPfn: 1_048_576, protectionPages: [0, 0, 0, 0, 0] },
      pageblocksByType: { Unmovable: 3, Movable: 40, Reclaimable: 2, HighAtomic: 1, Isolate: 0 },
    }));
    const check = (zone: HostZone): void => {
      const cpus = zone.pagesets.map(({ cpu }) => cpu);
      const host = smallHost([smallNode(0, [zone], { cpus })]);
      const state = printedState({ host, snapshot: snapshotOf(host) });
      const outcome = importHost({
        zoneinfo: printZoneinfo(state),
        buddyinfo: printBuddyinfo(state),
        pagetypeinfo: printPagetypeinfo(state),
        vmstat: printVmstat(state),
        meminfo: printMeminfo(state),
        nodeMeminfo: { 0: printNodeMeminfo(state.nodes[0]!, state) },
        nodeNumastat: { 0: printNodeNumastat(state.nodes[0]!) },
      });
      if (!outcome.ok) throw new Error(outcome.problems[0]?.message);
      const [read] = outcome.value.model.nodes[0]!.zones;
      expect(read).toMatchObject({
        freeBlocks: zone.freeBlocks,
        freeBlocksByType: zone.freeBlocksByType,
        pageblocksByType: zone.pageblocksByType,
        freePages: zone.freePages,
        managedPages: zone.managedPages,
        boostPages: zone.boostPages,
        lowPages: zone.lowPages,
        pagesets: zone.pagesets,
      });
    };
    fc.assert(fc.property(zones, check), { numRuns: 60 });
  });
});
