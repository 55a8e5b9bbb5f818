import {
  ZONE_NAMES,
  type HostModel,
  type HostNode,
  type HostPageset,
  type HostZone,
  type LruPages,
  type MigrateTypeName,
} from '@zonewise/simulator';
import { unfragmentedBlocks } from '../build/free-blocks';
import { ORDERS, pagesInBlocks } from '../parse/buddyinfo';
import {
  NODE_STAT_NAMES,
  VM_EVENT_NAMES,
  ZONE_STAT_NAMES,
  type NodeStatName,
  type NumaEventName,
  type ZoneStatName,
} from './counter-names';
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
  pageblocks: new Map(),
};
/** Pages of a pageblock (2 MiB). */
const PAGEBLOCK_PAGES = 512;

/**
 * Completes a snapshot to what a host prints. One rule for all texts:
 *
 * 1. What the replay models has the snapshot's value.
 * 2. What it does not model (kernel stacks, bounce buffers, vmalloc, ...) stays as the host's own text had
 *    it when the host was imported, and is 0 where no text is known.
 * 3. Events count on from the host's text: its count plus the replay's. Without the text they count from the
 *    start of the replay.
 * 4. Lines that only some 6.1 kernels are built with (zswap, hwpoison) stand where the host's own text has
 *    them; without a text they stand as Debian's amd64 kernel prints them.
 *
 * Where a snapshot leaves out a part of the model (older snapshots count pages, not blocks): the layout is
 * the host model's, free memory stands as the largest Movable blocks that it fills, pages on per-CPU lists stand
 * with the first CPU, and LRU pages of a node are shared out by the pages in use of its zones.
 */
export function printedState({ host, snapshot, carried }: PrintInput): PrintedState {
  const known = carried ?? NOTHING_CARRIED;
  const onlineCpus = cpusOf(host);
  const nodes = snapshot.nodes.map((node) =>
    nodeState(
      node,
      host.nodes.find(({ nodeId }) => nodeId === node.nodeId),
      onlineCpus,
      known,
    ),
  );
  nodes.sort((a, b) => a.nodeId - b.nodeId);
  const totalPages = snapshot.swapTotalPages ?? host.swap.totalPages;
  return {
    timeNs: snapshot.timeNs,
    onlineCpus,
    nodes,
    sysctl: snapshot.sysctl,
    swap: { totalPages, freePages: Math.max(totalPages - snapshot.swapUsedPages, 0) },
    events: added(VM_EVENT_NAMES, known.vmstat, snapshot.vmstat),
    hostWide: hostWideCounts(snapshot),
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
function hostWideCounts({ nodes, vmstat }: PrintableSnapshot): Counts {
  const counts: Counts = {};
  for (const name of NODE_STAT_NAMES) {
    const isPerNode = nodes.some(
      (node) => node.stats?.[name] !== undefined || name in modelledStats(node, undefined),
    );
    if (!isPerNode && vmstat[name] !== undefined) counts[name] = vmstat[name];
  }
  return counts;
}

function added(names: readonly string[], before: Counts | undefined, since: Counts): Counts {
  return Object.fromEntries(
    names.map((name) => [name, (before?.[name] ?? 0) + (since[name] ?? 0)]),
  );
}

/** The counts of `names` that one of the sources has; the first source that has one decides. */
function firstKnown<Name extends string>(
  names: readonly Name[],
  ...sources: (Counts | undefined)[]
): Counts<Name> {
  const counts: Counts<Name> = {};
  for (const name of names) {
    const source = sources.find((candidate) => candidate?.[name] !== undefined);
    if (source !== undefined) counts[name] = source[name];
  }
  return counts;
}

function nodeState(
  node: PrintableNode,
  hostNode: HostNode | undefined,
  onlineCpus: number[],
  carried: CarriedCounts,
): NodeState {
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
  const shares = lruShares(node, populated);
  const zones = populated.map((zone, i) => {
    const hostZone = hostNode?.zones.find(({ name }) => name === zone.name);
    const lru = zone.lru ?? shares[i] ?? node.lru;
    const isLast = i === populated.length - 1;
    const writePending = isLast ? node.dirtyPages + node.writebackPages : 0;
    return zoneState(node.nodeId, zone, hostZone, { lru, writePending, onlineCpus, carried });
  });
  giveNumaEvents(zones, numaEvents, node, carried);
  return {
    nodeId: node.nodeId,
    zones,
    stats: firstKnown(
      NODE_STAT_NAMES,
      node.stats,
      modelledStats(node, hostNode),
      carried.nodeStats.get(node.nodeId),
    ),
    numaEvents,
    hugepages: node.hugepages ?? hostNode?.hugepages ?? [],
    isUnreclaimable: (node.kswapdFailures ?? 0) >= MAX_RECLAIM_RETRIES,
    kswapdAwake: node.kswapdAwake ?? false,
  };
}

/** Runs without success after which kswapd gives a node up. */
const MAX_RECLAIM_RETRIES = 16;

function modelledStats(node: PrintableNode, hostNode: HostNode | undefined): Counts<NodeStatName> {
  const { lru } = node;
  return {
    nr_inactive_anon: lru.inactiveAnonPages,
    nr_active_anon: lru.activeAnonPages,
    nr_inactive_file: lru.inactiveFilePages,
    nr_active_file: lru.activeFilePages,
    nr_unevictable: lru.unevictablePages,
    nr_slab_reclaimable: node.slabReclaimablePages,
    nr_slab_unreclaimable: node.slabUnreclaimablePages ?? hostNode?.slabUnreclaimablePages,
    nr_anon_pages: node.anonPages,
    nr_mapped: node.mappedPages,
    nr_file_pages: node.filePages,
    nr_dirty: node.dirtyPages,
    nr_writeback: node.writebackPages,
    nr_shmem: node.shmemPages ?? hostNode?.shmemPages,
    nr_anon_transparent_hugepages: node.anonTransparentHugepages,
  };
}

interface ZoneContext {
  lru: LruPages;
  /** Dirty pages and pages under writeback. */
  writePending: number;
  onlineCpus: number[];
  carried: CarriedCounts;
}

function zoneState(
  nodeId: number,
  zone: PrintableZone,
  hostZone: HostZone | undefined,
  { lru, writePending, onlineCpus, carried }: ZoneContext,
): ZoneState {
  const key = carriedZoneKey(nodeId, zone.name);
  const presentPages = zone.presentPages ?? hostZone?.presentPages ?? zone.managedPages;
  const { boostPages } = zone;
  return {
    name: zone.name,
    startPfn: zone.startPfn ?? hostZone?.startPfn ?? 0,
    spannedPages: zone.spannedPages ?? hostZone?.spannedPages ?? presentPages,
    presentPages,
    managedPages: zone.managedPages,
    freePages: zone.freePages,
    boostPages,
    minPages: zone.minPages + boostPages,
    lowPages: zone.lowPages + boostPages,
    highPages: zone.highPages + boostPages,
    protectionPages: protectionOf(zone.protectionPages),
    pagesets: zone.pagesets ?? pagesetsOf(zone, onlineCpus),
    freeBlocksByType: freeBlocksOf(zone),
    pageblocksByType: pageblocksOf(
      zone.pageblocksByType ?? carried.pageblocks.get(key),
      presentPages,
    ),
    stats: firstKnown(
      ZONE_STAT_NAMES,
      zone.stats,
      zoneCounts(zone.freePages, lru, writePending),
      carried.zoneStats.get(key),
    ),
    numaEvents: {},
  };
}

function zoneCounts(freePages: number, lru: LruPages, writePending: number): Counts<ZoneStatName> {
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

function pagesetsOf(zone: PrintableZone, onlineCpus: readonly number[]): HostPageset[] {
  return onlineCpus.map((cpu, i) => ({
    cpu,
    countPages: i === 0 ? zone.pcpPages : 0,
    highPages: zone.pcpHighPages,
    batchPages: zone.pcpBatchPages,
  }));
}

function byType<T>(value: (type: PrintedType) => T): Record<PrintedType, T> {
  return Object.fromEntries(PRINTED_TYPES.map((type) => [type, value(type)])) as Record<
    PrintedType,
    T
  >;
}

/** CMA blocks are handed out to movable requests only; a kernel without CMA has them as Movable. */
function namesOf(type: PrintedType): MigrateTypeName[] {
  return type === 'Movable' ? ['Movable', 'CMA'] : [type];
}

function freeBlocksOf(zone: PrintableZone): Record<PrintedType, number[]> {
  const lists = zone.freeBlocksByType;
  const listed = Object.values(lists ?? {}).reduce((sum, list) => sum + pagesInBlocks(list), 0);
  // Lists that are of another moment than the count of free pages would contradict it.
  if (lists === undefined || listed !== zone.freePages) {
    const movable = unfragmentedBlocks(zone.freePages);
    return byType((type) => (type === 'Movable' ? movable : movable.map(() => 0)));
  }
  return byType((type) =>
    Array.from({ length: ORDERS }, (_, order) =>
      namesOf(type).reduce((sum, name) => sum + (lists[name]?.[order] ?? 0), 0),
    ),
  );
}

function pageblocksOf(
  blocks: Partial<Record<MigrateTypeName, number>> | undefined,
  presentPages: number,
): Record<PrintedType, number> {
  if (blocks !== undefined)
    return byType((type) => namesOf(type).reduce((sum, name) => sum + (blocks[name] ?? 0), 0));
  const all = Math.ceil(presentPages / PAGEBLOCK_PAGES);
  return byType((type) => (type === 'Movable' ? all : 0));
}

/** LRU pages of a node by the pages in use of its zones; what rounding leaves goes to the last zone. */
function lruShares(node: PrintableNode, zones: readonly PrintableZone[]): LruPages[] {
  const used = zones.map((zone) => Math.max(zone.managedPages - zone.freePages - zone.pcpPages, 0));
  const all = used.reduce((sum, pages) => sum + pages, 0);
  const shares = used.map((pages): LruPages => {
    const part = (count: number): number => (all === 0 ? 0 : Math.floor((count * pages) / all));
    return mapLru(node.lru, part);
  });
  const last = shares.at(-1);
  if (last === undefined) return shares;
  for (const name of Object.keys(last) as (keyof LruPages)[]) {
    const given = shares.reduce((sum, share) => sum + share[name], 0);
    last[name] += node.lru[name] - given;
  }
  return shares;
}

function mapLru(lru: LruPages, value: (pages: number) => number): LruPages {
  return {
    inactiveAnonPages: value(lru.inactiveAnonPages),
    activeAnonPages: value(lru.activeAnonPages),
    inactiveFilePages: value(lru.inactiveFilePages),
    activeFilePages: value(lru.activeFilePages),
    unevictablePages: value(lru.unevictablePages),
  };
}

/**
 * NUMA events per zone. A zone's own count is taken where the snapshot has one; else the lower zones keep
 * what the host's text said and the highest one has the rest of the node's count.
 */
function giveNumaEvents(
  zones: ZoneState[],
  total: Record<NumaEventName, number>,
  node: PrintableNode,
  carried: CarriedCounts,
): void {
  for (const name of Object.keys(total) as NumaEventName[]) {
    let rest = total[name];
    for (const [i, zone] of zones.entries()) {
      const own = node.zones.find((candidate) => candidate.name === zone.name)?.stats?.[name];
      const before = carried.zoneStats.get(carriedZoneKey(node.nodeId, zone.name))?.[name] ?? 0;
      const given = own ?? (i === zones.length - 1 ? rest : Math.min(before, rest));
      zone.numaEvents[name] = given;
      rest -= given;
    }
  }
}
