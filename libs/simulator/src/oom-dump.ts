/** What the OOM killer's report shows of the state at the moment of a kill. */
import { poolsOf } from './hugetlb';
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE } from './buddy';
import { KSWAPD_MAX_FAILURES, PAGES_PER_HUGE } from './constants';
import {
  GFP_ANON_FAULT,
  GFP_KERNEL,
  GFP_PAGE_CACHE,
  GFP_PAGE_TABLE,
  GFP_TREE_NODE,
  GFP_WRITE,
} from './gfp-mask';
import type { GuestState, KernelState } from './kernel-state';
import { listPages } from './lruvec';
import {
  oomReport,
  type OomReportGroup,
  type OomReportNode,
  type OomReportTask,
  type OomReportZone,
} from './oom-report';
import type { MemoryGroup } from './memcg';
import type { Mapping } from './page-map';
import { pcpPages } from './pcp';
import { blocksByType, lruPages } from './snapshot';
import type { OomConstraint } from './types';
import type { NodeState, Zone } from './zone';

/** Kills of the whole host, not of a memory cgroup. */
export type OomConstraintOfHost = Exclude<OomConstraint, 'CONSTRAINT_MEMCG'>;

/** The request that failed, as far as the OOM killer looks at it (`struct oom_control`). */
export interface OomControl {
  /** Policy nodes (node ids), or null. */
  nodemask: Set<number> | null;
  cpusetMems: Set<number> | null;
  order: number;
  /** Highest zone index that the request may use; absent: all. */
  classIndex?: number;
  /** __GFP_HIGH. */
  high?: boolean;
  /** Migrate type asked for. */
  type: number;
  /** Page-cache write (__GFP_WRITE). */
  write: boolean;
  /** CPU position. */
  cpu: number;
  /** The memory cgroup that is full; absent: the host is. */
  group?: MemoryGroup;
  /** Whose memory is touched; undefined for the page cache. */
  guest?: GuestState;
}

export interface OomKill {
  oc: OomControl;
  constraint: OomConstraint;
  /** Processes that could have been killed. */
  candidates: readonly GuestState[];
  victim: GuestState;
}

/** The model's processes have no numbers: they are numbered in the order of their first start, from here. */
const FIRST_PID = 1001;
const PAGE_BYTES = 4096;

/**
 * The kill in the lines of dmesg.
 * @kernel mm/oom_kill.c dump_header(), __oom_kill_process()
 * @differs process numbers are made up and every process runs as root; a process has the guest's name; its
 * cpuset is called after it. Memory of the host that the model does not split is 0 (kernel stacks, page tables
 * of other processes); unevictable pages all count as mlocked, and what waits to be written counts in a
 * node's highest zone
 */
export function dumpHeader(
  k: KernelState,
  { oc, constraint, candidates, victim }: OomKill,
): string[] {
  const invoker = k.current.guest;
  const memoryNodes = k.nodes.filter((node) => node.zones.length > 0).map((node) => node.id);
  const pids = new Map([...k.guests.values()].map((guest, i) => [guest, FIRST_PID + i]));
  const tasks = [...pids].flatMap(([guest, pid]) =>
    candidates.includes(guest) ? [reportTask(guest, pid)] : [],
  );
  return oomReport({
    invokedBy: { name: k.current.name, oomScoreAdj: invoker?.spec.oomScoreAdj ?? 0 },
    gfpMask: oc.group ? GFP_KERNEL : gfpMaskOf(oc),
    order: oc.order,
    constraint,
    // A policy that does not decide who may be killed is not shown. @kernel out_of_memory()
    nodemask: constraint === 'CONSTRAINT_MEMORY_POLICY' ? [...(oc.nodemask ?? [])] : null,
    cpuset: {
      name: oc.group?.name ?? (oc.cpusetMems ? k.current.name : '/'),
      mems: oc.cpusetMems ? [...oc.cpusetMems] : memoryNodes,
    },
    nodes: k.nodes.map((node) => reportNode(k, node, oc.cpu)),
    swap: { ...k.swap, cachePages: swapCachePages(k) },
    tasks,
    victimPid: pids.get(victim),
    victimMemcg: memcgPath(victim.group),
    ...(oc.group && { memcg: reportGroup(k, oc.group) }),
  });
}

function memcgPath(group: MemoryGroup | undefined): string {
  return `/${group?.name ?? ''}`;
}

/** @differs pages in the swap cache count as anonymous, kernel pages that are not page tables as slab */
function reportGroup(k: KernelState, group: MemoryGroup): OomReportGroup {
  const lru = lruPages((list) => sum(group.lruvecs, ({ lists }) => lists[list]!.pages));
  const guests = [...k.guests.values()].filter((guest) => guest.group === group);
  const anonPages = sum(guests, (guest) => sum(mappingsOf(guest), residentPages));
  const hugePages = sum(guests, (guest) => sum(mappingsOf(guest), ({ hugePages }) => hugePages));
  return {
    path: memcgPath(group),
    usagePages: group.usagePages,
    maxPages: group.maxPages,
    failures: group.failures,
    swapPages: group.swapPages,
    swapMaxPages: group.swapMaxPages,
    anonPages,
    anonHugePages: hugePages,
    filePages: lru.inactiveFilePages + lru.activeFilePages,
    kernelPages: group.kernelPages,
    pageTablePages: sum(guests, ({ pageTables }) => pageTables.length),
    objectBytes: group.objectBytes,
    lru,
  };
}

/** @differs kernel pages other than reclaimable slab are all asked for as page tables are */
function gfpMaskOf({ type, write, guest }: OomControl): number {
  if (type === MIGRATE_MOVABLE) {
    if (guest !== undefined) return GFP_ANON_FAULT;
    return write ? GFP_PAGE_CACHE | GFP_WRITE : GFP_PAGE_CACHE;
  }
  return type === MIGRATE_RECLAIMABLE ? GFP_TREE_NODE : GFP_PAGE_TABLE;
}

const mappingsOf = (guest: GuestState): Mapping[] => [...guest.mappings, guest.overhead];

function sum<T>(items: Iterable<T>, value: (item: T) => number): number {
  let total = 0;
  for (const item of items) total += value(item);
  return total;
}

function residentPages(mapping: Mapping): number {
  return sum(mapping.pagesByNode, (pages) => pages);
}

function reportTask(guest: GuestState, pid: number): OomReportTask {
  const { spec } = guest;
  return {
    pid,
    name: spec.name,
    uid: 0,
    totalVmPages: spec.overheadPages + sum(spec.regions, (region) => region.sizePages),
    anonRssPages: sum(mappingsOf(guest), residentPages),
    fileRssPages: 0,
    shmemRssPages: 0,
    pageTableBytes: guest.pageTables.length * PAGE_BYTES,
    swapEntries: sum(mappingsOf(guest), (mapping) => mapping.swapPages),
    oomScoreAdj: spec.oomScoreAdj,
  };
}

function swapCachePages(k: KernelState): number {
  return sum(k.guests.values(), (guest) =>
    sum(mappingsOf(guest), ({ swapCache }) => (swapCache ? residentPages(swapCache) : 0)),
  );
}

function reportNode(k: KernelState, node: NodeState, cpu: number): OomReportNode {
  const highest = node.zones.at(-1);
  const pending = node.dirtyPages + node.writebackPages;
  return {
    nodeId: node.id,
    zones: node.zones.map((zone) => reportZone(zone, zone === highest ? pending : 0, cpu)),
    lru: lruPages((list) => listPages(node, list)),
    filePages: node.filePages,
    mappedPages: node.mappedPages,
    shmemPages: node.shmemPages,
    dirtyPages: node.dirtyPages,
    writebackPages: node.writebackPages,
    slabReclaimablePages: node.slabReclaimable,
    slabUnreclaimablePages: node.slabUnreclaimable,
    anonTransparentHugepages: node.hugeAnonPages / PAGES_PER_HUGE,
    pageTablePages: sum(
      k.guests.values(),
      ({ pageTables }) => pageTables.filter(({ zone }) => zone.node === node).length,
    ),
    isUnreclaimable: node.kswapdFailures >= KSWAPD_MAX_FAILURES,
    hugepages: poolsOf(k, node),
  };
}

function reportZone(zone: Zone, writePendingPages: number, cpu: number): OomReportZone {
  const lru = lruPages((list) => zone.lruPages[list]!);
  return {
    name: zone.name,
    presentPages: zone.present,
    managedPages: zone.managed,
    freePages: zone.buddy.freePages + zone.freeDrift,
    boostPages: zone.boost,
    minPages: zone.min,
    lowPages: zone.low,
    highPages: zone.high,
    reservedHighatomicPages: zone.reservedHighatomic,
    lru,
    writePendingPages,
    mlockedPages: lru.unevictablePages,
    pcpPages: pcpPages(zone),
    localPcpPages: zone.pcps[cpu]!.pages,
    protectionPages: zone.protection,
    freeBlocksByType: blocksByType(zone),
  };
}
