/** The state in the kernel's words, as results carry it. */
import { countVm, type GuestState, type KernelState } from './kernel-state';
import { listPages } from './lruvec';
import type { MemoryGroup } from './memcg';
import { MIGRATE_TYPE_NAMES } from './types';
import type {
  GroupSnapshot,
  GuestSnapshot,
  LruPages,
  MigrateTypeName,
  NodeSnapshot,
  Snapshot,
} from './types';
import { MAX_ORDER, NR_MIGRATE_TYPES } from './buddy';
import { poolsOf } from './hugetlb';
import { pcpPages } from './pcp';
import type { NodeState, Zone } from './zone';

/** LRU pages by kind; `pages` has those of a list. */
export function lruPages(pages: (list: number) => number): LruPages {
  return {
    inactiveAnonPages: pages(0),
    activeAnonPages: pages(1),
    inactiveFilePages: pages(2),
    activeFilePages: pages(3),
    unevictablePages: pages(4),
  };
}

/** Free blocks by order; types without any are left out, as in /proc/pagetypeinfo's reading. */
export function blocksByType(zone: Zone): Partial<Record<MigrateTypeName, number[]>> {
  const byType: Partial<Record<MigrateTypeName, number[]>> = {};
  MIGRATE_TYPE_NAMES.forEach((name, type) => {
    if (type >= NR_MIGRATE_TYPES || zone.buddy.freePagesByType[type] === 0) return;
    byType[name] = Array.from({ length: MAX_ORDER }, (_, order) => zone.buddy.count(order, type));
  });
  return byType;
}

/** Pageblocks whose first page lies in the zone, by type. */
function pageblocks(zone: Zone): Partial<Record<MigrateTypeName, number>> {
  const { buddy, usedPageblocks, absent } = zone;
  const { types } = buddy;
  // Zones of large hosts have a million of them, and a replay has a state for each step.
  const counts = new Uint32Array(MIGRATE_TYPE_NAMES.length);
  for (let block = 0; block < usedPageblocks; block += 1) {
    if (absent === undefined || absent[block] !== 1) counts[types[block]!]! += 1;
  }
  return Object.fromEntries(
    MIGRATE_TYPE_NAMES.slice(0, NR_MIGRATE_TYPES).map((name, type) => [name, counts[type]!]),
  );
}

function nodeSnapshot(k: KernelState, node: NodeState, cpuIds: number[]): NodeSnapshot {
  return {
    nodeId: node.id,
    zones: node.zones.map((zone) => ({
      name: zone.name,
      startPfn: zone.startPfn,
      spannedPages: zone.spanned,
      presentPages: zone.present,
      freePages: zone.buddy.freePages,
      pcpPages: pcpPages(zone),
      freeBlocks: zone.buddy.blocksByOrder(),
      freeBlocksByType: blocksByType(zone),
      pageblocksByType: pageblocks(zone),
      reservedHighatomicPages: zone.reservedHighatomic,
      lru: lruPages((list) => zone.lruPages[list]!),
      pagesets: zone.pcps.map((pcp, cpu) => ({
        cpu: cpuIds[cpu]!,
        countPages: pcp.pages,
        highPages: zone.pcpRule.highPages(zone, pcp),
        batchPages: zone.pcpBatch,
      })),
      boostPages: zone.boost,
      minPages: zone.min,
      lowPages: zone.low,
      highPages: zone.high,
      managedPages: zone.managed,
      protectionPages: [...zone.protection],
      pcpHighPages: zone.pcpHigh,
      pcpBatchPages: zone.pcpBatch,
    })),
    lru: lruPages((list) => listPages(node, list)),
    filePages: node.filePages,
    anonPages: node.anonPages,
    mappedPages: node.mappedPages,
    dirtyPages: node.dirtyPages,
    writebackPages: node.writebackPages,
    slabReclaimablePages: node.slabReclaimable,
    slabUnreclaimablePages: node.slabUnreclaimable,
    shmemPages: node.shmemPages,
    kswapdFailures: node.kswapdFailures,
    hugepages: poolsOf(k, node),
    anonTransparentHugepages: node.hugeAnonPages / 512,
    numastat: { ...node.numastat },
  };
}

function guestSnapshot(k: KernelState, guest: GuestState): GuestSnapshot {
  const perNode = (pages: number[]): { nodeId: number; pages: number }[] =>
    k.nodes.map((node, i) => ({ nodeId: node.id, pages: pages[i]! }));
  const regions = guest.mappings.map((mapping, i) => {
    const huge = guest.hugetlb[i]?.pagesByNode;
    return mapping.pagesByNode.map((pages, position) => pages + (huge?.[position] ?? 0));
  });
  const sum = k.nodes.map((_, i) => regions.reduce((total, pages) => total + pages[i]!, 0));
  return {
    name: guest.spec.name,
    alive: guest.alive,
    pagesByNode: perNode(sum),
    regions: regions.map((pages, i) => ({
      cell: guest.spec.regions[i]!.cell,
      pagesByNode: perNode(pages),
    })),
    hugePages: guest.mappings.reduce((total, mapping) => total + mapping.hugePages, 0) / 512,
    swapPages: guest.mappings.reduce((total, mapping) => total + mapping.swapPages, 0),
    stallNs: guest.stallNs,
  };
}

function groupSnapshot(group: MemoryGroup): GroupSnapshot {
  const limit = (pages: number): number | null => (pages === Infinity ? null : pages);
  return {
    name: group.name,
    currentPages: group.usagePages,
    maxPages: limit(group.maxPages),
    highPages: limit(group.highPages),
    swapCurrentPages: group.swapPages,
    swapMaxPages: limit(group.swapMaxPages),
    kernelPages: group.kernelPages,
    lru: lruPages((list) =>
      group.lruvecs.reduce((pages, { lists }) => pages + lists[list]!.pages, 0),
    ),
    events: { ...group.events },
  };
}

/** What rates are measured against: the snapshot before the step. */
export function takeSnapshot(k: KernelState, before?: Snapshot): Snapshot {
  countVm(k, 'pgfault', 0);
  const seconds = before ? (k.timeNs - before.timeNs) / 1e9 : 0;
  const rate = (...names: string[]): number => {
    if (!before || seconds <= 0) return 0;
    let delta = 0;
    for (const name of names) delta += k.vmstat.get(name) - (before.vmstat[name] ?? 0);
    return delta / seconds;
  };
  const cpuIds = k.cpus.map((cpu) => cpu.id);
  return {
    timeNs: k.timeNs,
    nodes: k.nodes.map((node) => nodeSnapshot(k, node, cpuIds)),
    hugetlb: k.hugetlb.map(({ sizeKib, reservedPages, overcommitPages }) => ({
      sizeKib,
      reservedPages,
      overcommitPages,
    })),
    guests: [...k.guests.values()].map((guest) => guestSnapshot(k, guest)),
    ...(k.groups.size > 0 && { groups: [...k.groups.values()].map(groupSnapshot) }),
    vmstat: Object.fromEntries(k.vmstat),
    sysctl: { ...k.sysctl, lowmem_reserve_ratio: [...k.sysctl.lowmem_reserve_ratio] },
    swapTotalPages: k.swap.totalPages,
    swapUsedPages: k.swap.totalPages - k.swap.freePages,
    rates: {
      pgscank: rate('pgscan_kswapd'),
      pgscand: rate('pgscan_direct'),
      pgsteal: rate('pgsteal_kswapd', 'pgsteal_direct'),
      pgfault: rate('pgfault'),
    },
  };
}
