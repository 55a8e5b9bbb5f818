import { PAGES_PER_HUGE, ZONE_NAMES, type HostModel, type LruPages } from '@zonewise/simulator';
import { ORDERS } from '../parse/buddyinfo';
import type { NumaEventName } from './counter-names';
import { kernelLayout, type KernelLayout } from './kernel-layout';
import {
  ALL_ZONES,
  carriedZoneKey,
  PRINTED_TYPES,
  type CarriedCounts,
  type Counts,
  type NodeState,
  type PrintableNode,
  type PrintableSnapshot,
  type PrintableZone,
  type PrintedState,
  type PrintedType,
  type PrintInput,
  type ZoneState,
} from './printed-state';

const NOTHING_CARRIED: CarriedCounts = {
  nodeStats: new Map(),
  zoneStats: new Map(),
};

/**
 * Completes a snapshot to what a host prints. One rule for all texts:
 *
 * 1. What the replay models has the snapshot's value.
 * 2. What it does not model (kernel stacks, bounce buffers, vmalloc, ...) stays as the host's own text had
 *    it when the host was imported, and is 0 where no text is known.
 * 3. Events count on from the host's text: its count plus the replay's. Without the text they count from the
 *    start of the replay.
 * 4. The lines are those of the host's own texts, which show its kernel and how it was built; without a text
 *    they are those of its release as Debian's amd64 kernel prints them.
 */
export function printedState({ host, snapshot, carried }: PrintInput): PrintedState {
  const known = carried ?? NOTHING_CARRIED;
  const onlineCpus = cpusOf(host);
  const layout = kernelLayout(host, known.own);
  const nodes = snapshot.nodes.map((node) => nodeState(node, known, layout));
  nodes.sort((a, b) => a.nodeId - b.nodeId);
  const totalPages = snapshot.swapTotalPages;
  return {
    timeNs: snapshot.timeNs,
    onlineCpus,
    nodes,
    sysctl: snapshot.sysctl,
    ...(snapshot.hugetlb && { hugetlb: snapshot.hugetlb }),
    layout,
    swap: { totalPages, freePages: Math.max(totalPages - snapshot.swapUsedPages, 0) },
    events: added(layout.vmstat, known.vmstat, snapshot.vmstat),
    hostWide: hostWideCounts(snapshot, layout),
    carried: known,
  };
}

function cpusOf(host: HostModel): number[] {
  const cpus = new Set(host.nodes.flatMap((node) => node.cpus));
  for (const { zones } of host.nodes)
    for (const { pagesets } of zones) for (const { cpu } of pagesets) cpus.add(cpu);
  return [...cpus].sort((a, b) => a - b);
}

/** Node counters that only the host's vmstat of the replay has. */
function hostWideCounts({ nodes, vmstat }: PrintableSnapshot, layout: KernelLayout): Counts {
  const counts: Counts = {};
  for (const name of [...layout.nodeStats, ...layout.zoneStats]) {
    const isPerNode = nodes.some((node) => name in modelledStats(node)) || isOfZones(name);
    if (!isPerNode && vmstat[name] !== undefined) counts[name] = vmstat[name];
  }
  return counts;
}

function added(names: readonly string[], before: Counts | undefined, since: Counts): Counts {
  return Object.fromEntries(
    names.map((name) => [name, (before?.[name] ?? 0) + (since[name] ?? 0)]),
  );
}

/** Counters of zones that a replay models. */
function isOfZones(name: string): boolean {
  return name.startsWith('nr_zone_') || name.startsWith('numa_') || name === 'nr_free_pages';
}

function nodeState(node: PrintableNode, carried: CarriedCounts, layout: KernelLayout): NodeState {
  const { numastat } = node;
  const numaEvents: Record<NumaEventName, number> = {
    numa_hit: numastat.numaHit,
    numa_miss: numastat.numaMiss,
    numa_foreign: numastat.numaForeign,
    numa_interleave: numastat.interleaveHit,
    numa_local: numastat.localNode,
    numa_other: numastat.otherNode,
  };
  const populated = node.zones
    .filter((zone) => zone.managedPages > 0)
    .sort((a, b) => ZONE_NAMES.indexOf(a.name) - ZONE_NAMES.indexOf(b.name));
  const zones = populated.map((zone, i) => {
    const isLast = i === populated.length - 1;
    const writePending = isLast ? node.dirtyPages + node.writebackPages : 0;
    return zoneState(
      zone,
      writePending,
      carried.zoneStats.get(carriedZoneKey(node.nodeId, zone.name)),
    );
  });
  giveNumaEvents(zones, numaEvents, node.nodeId, carried);
  const stats = { ...carried.nodeStats.get(node.nodeId), ...modelledStats(node) };
  countByZone(zones, stats, layout, carried, node.nodeId);
  return {
    nodeId: node.nodeId,
    zones,
    stats,
    numaEvents,
    hugepages: node.hugepages,
    isUnreclaimable: node.kswapdFailures >= MAX_RECLAIM_RETRIES,
    kswapdAwake: node.kswapdAwake ?? false,
  };
}

/** Runs without success after which kswapd gives a node up. */
const MAX_RECLAIM_RETRIES = 16;

function modelledStats(node: PrintableNode): Counts {
  const { lru } = node;
  return {
    nr_inactive_anon: lru.inactiveAnonPages,
    nr_active_anon: lru.activeAnonPages,
    nr_inactive_file: lru.inactiveFilePages,
    nr_active_file: lru.activeFilePages,
    nr_unevictable: lru.unevictablePages,
    nr_slab_reclaimable: node.slabReclaimablePages,
    nr_slab_unreclaimable: node.slabUnreclaimablePages,
    nr_anon_pages: node.anonPages,
    nr_mapped: node.mappedPages,
    nr_file_pages: node.filePages,
    nr_dirty: node.dirtyPages,
    nr_writeback: node.writebackPages,
    nr_shmem: node.shmemPages,
    nr_anon_transparent_hugepages: node.anonTransparentHugepages,
  };
}

/**
 * @param writePending dirty pages and pages under writeback
 * @param before counters of the zone in the host's own text
 */
function zoneState(
  zone: PrintableZone,
  writePending: number,
  before: Counts | undefined,
): ZoneState {
  const { boostPages } = zone;
  return {
    name: zone.name,
    startPfn: zone.startPfn,
    spannedPages: zone.spannedPages,
    presentPages: zone.presentPages,
    managedPages: zone.managedPages,
    freePages: zone.freePages,
    boostPages,
    minPages: zone.minPages + boostPages,
    lowPages: zone.lowPages + boostPages,
    highPages: zone.highPages + boostPages,
    protectionPages: protectionOf(zone.protectionPages),
    pagesets: zone.pagesets,
    freeBlocksByType: byType((type) =>
      Array.from({ length: ORDERS }, (_, order) => zone.freeBlocksByType[type]?.[order] ?? 0),
    ),
    pageblocksByType: byType((type) => zone.pageblocksByType[type] ?? 0),
    stats: { ...before, ...zoneCounts(zone.freePages, zone.lru, writePending) },
    numaEvents: {},
  };
}

function zoneCounts(freePages: number, lru: LruPages, writePending: number): Counts {
  return {
    nr_free_pages: freePages,
    nr_zone_inactive_anon: lru.inactiveAnonPages,
    nr_zone_active_anon: lru.activeAnonPages,
    nr_zone_inactive_file: lru.inactiveFilePages,
    nr_zone_active_file: lru.activeFilePages,
    nr_zone_unevictable: lru.unevictablePages,
    nr_zone_write_pending: writePending,
  };
}

/** Zone Device has no pages, so that its entry is that of the zone before it. */
function protectionOf(pages: readonly number[]): number[] {
  return ALL_ZONES.map((_, i) => pages[Math.min(i, pages.length - 1)] ?? 0);
}

function byType<T>(value: (type: PrintedType) => T): Record<PrintedType, T> {
  return Object.fromEntries(PRINTED_TYPES.map((type) => [type, value(type)])) as Record<
    PrintedType,
    T
  >;
}

/**
 * Counters that the host's kernel keeps by zone, as kernels before 4.8 do most: the lists are the zone's, of the
 * others the lower zones keep what the host's text said and the highest one has the rest of the node's count. Huge
 * pages stood beside the other anonymous ones then.
 */
function countByZone(
  zones: ZoneState[],
  stats: Counts,
  { nodeStats }: KernelLayout,
  carried: CarriedCounts,
  nodeId: number,
): void {
  const hugePages = (stats.nr_anon_transparent_hugepages ?? 0) * PAGES_PER_HUGE;
  for (const [name, total = 0] of Object.entries(stats)) {
    if (nodeStats.includes(name)) continue;
    let rest = name === 'nr_anon_pages' ? Math.max(total - hugePages, 0) : total;
    for (const [i, zone] of zones.entries()) {
      const own = zone.stats[name.replace('nr_', 'nr_zone_')];
      const before = carried.zoneStats.get(carriedZoneKey(nodeId, zone.name))?.[name] ?? 0;
      const given = own ?? (i === zones.length - 1 ? rest : Math.min(before, rest));
      zone.stats[name] = given;
      rest -= given;
    }
  }
}

/**
 * NUMA events per zone: the lower zones keep what the host's text said and the highest one has the rest of
 * the node's count.
 */
function giveNumaEvents(
  zones: ZoneState[],
  total: Record<NumaEventName, number>,
  nodeId: number,
  carried: CarriedCounts,
): void {
  for (const name of Object.keys(total) as NumaEventName[]) {
    let rest = total[name];
    for (const [i, zone] of zones.entries()) {
      const before = carried.zoneStats.get(carriedZoneKey(nodeId, zone.name))?.[name] ?? 0;
      const given = i === zones.length - 1 ? rest : Math.min(before, rest);
      zone.numaEvents[name] = given;
      rest -= given;
    }
  }
}
