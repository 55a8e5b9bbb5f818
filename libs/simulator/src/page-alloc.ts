/** The allocator: the walk over the zonelist, the fast path at low, the slow path at min. */
import { HUGE_ORDER, MAX_RECLAIM_RETRIES, PAGES_PER_HUGE, ZONE_MOVABLE } from './constants';
import { countVm, passTime, type GuestState, type KernelState } from './kernel-state';
import { advanceKswapd, pagesBeforeKswapd, wakeupKswapd } from './kswapd';
import { nodeReclaim } from './node-reclaim';
import { outOfMemory } from './oom';
import { tryToFreePages, zoneReclaimablePages } from './vmscan';
import { neededPages, zoneWatermarkOk } from './watermark';
import { drainPcps, pcpPages, takeFree, takeHuge, type NodeState, type Zone } from './zone';

/** One kind of request: who asks, from which CPU, for which nodes (`struct alloc_context`). */
export interface AllocContext {
  cpu: number;
  /** Node whose fallback list is walked. */
  preferred: NodeState;
  /** Policy nodes (node ids), or null. */
  nodemask: Set<number> | null;
  cpusetMems: Set<number> | null;
  order: 0 | 9;
  directReclaim: boolean;
  wakeKswapd: boolean;
  /** Only the preferred node (__GFP_THISNODE). */
  thisNode: boolean;
  /** Gives up after the first failed compaction (__GFP_NORETRY on a THP's local try). */
  noRetry?: boolean;
  /** Page-cache write: the node's dirty limit is checked (__GFP_WRITE). */
  write: boolean;
  guest?: GuestState;
}

/** Pages that were handed out from one zone. */
export interface Segment {
  zone: Zone;
  pages: number;
}

type Mark = 'min' | 'low' | 'high';

/** The preferred node's fallback list, filtered by policy nodes and cpuset. */
export function filteredZonelist(k: KernelState, ac: AllocContext): Zone[] {
  const all = k.zonelists[ac.preferred.position]!;
  return all.filter(
    ({ node }) =>
      (!ac.thisNode || node === ac.preferred) &&
      (ac.nodemask?.has(node.id) ?? true) &&
      (ac.cpusetMems?.has(node.id) ?? true),
  );
}

/**
 * Walks a zonelist at a mark and takes up to `want` requests' worth from the first zone that passes.
 * @kernel mm/page_alloc.c get_page_from_freelist()
 */
function getPageFromFreelist(
  k: KernelState,
  ac: AllocContext,
  zonelist: Zone[],
  mark: Mark,
  want: number,
): Segment | undefined {
  const preferred = zonelist[0];
  let atOnce = want;
  for (const zone of zonelist) {
    if (ac.write && mark === 'low' && !nodeDirtyOk(k, zone.node)) continue;
    if (!zoneWatermarkOk(zone, ac.order, zone[mark])) {
      const result = nodeReclaim(k, preferred!.node, zone.node, ac.cpu, ac.order, ac.directReclaim);
      if (result === 'skip') continue;
      if (!zoneWatermarkOk(zone, ac.order, zone[mark])) {
        // The next request tries to reclaim again, so that only one page may follow from here.
        atOnce = 1;
        continue;
      }
    }
    const pages =
      ac.order === 0 ? rmqueue(zone, ac.cpu, zone[mark], atOnce) : rmqueueHuge(zone, ac);
    if (pages === 0) continue;
    noteAllocation(k, ac, preferred!, zone, ac.order === 0 ? pages : 1, pages);
    return { zone, pages };
  }
  return undefined;
}

/**
 * Order-0 pages through the CPU's list, in one step for as many refills as the mark allows. The
 * refill that crosses the mark delivers one page and strands the rest of its batch.
 * @kernel mm/page_alloc.c rmqueue_pcplist()
 */
function rmqueue(zone: Zone, cpu: number, mark: number, want: number): number {
  const pcp = zone.pcps[cpu]!;
  pcp.freeFactor = want > 30 ? 0 : Math.floor(pcp.freeFactor / 2 ** want);
  if (pcp.pages > 0) {
    const pages = Math.min(want, pcp.pages);
    pcp.pages -= pages;
    return pages;
  }
  const batch = zone.pcpBatch > 1 ? Math.max(zone.pcpBatch, 2) : 1;
  const room = zone.free - neededPages(zone, mark) - 1;
  const whole = Math.floor(room / batch);
  let pages = Math.min(want, whole * batch);
  let refills = Math.ceil(pages / batch);
  if (want > pages && zone.free > refills * batch) {
    refills += 1;
    pages += 1;
  }
  const taken = Math.min(refills * batch, zone.free);
  takeFree(zone, taken);
  pcp.pages = taken - pages;
  return pages;
}

function rmqueueHuge(zone: Zone, ac: AllocContext): number {
  const pcp = zone.pcps[ac.cpu]!;
  pcp.freeFactor = Math.floor(pcp.freeFactor / 2);
  if (pcp.hugePages === 0) {
    const blocks = Math.min(2, zone.hugeFree / PAGES_PER_HUGE);
    for (let i = 0; i < blocks; i += 1) {
      takeHuge(zone);
      pcp.hugePages += PAGES_PER_HUGE;
    }
  }
  if (pcp.hugePages === 0) return 0;
  pcp.hugePages -= PAGES_PER_HUGE;
  return PAGES_PER_HUGE;
}

/** @kernel mm/page-writeback.c node_dirty_ok() */
function nodeDirtyOk(k: KernelState, node: NodeState): boolean {
  const reserve = node.zones.reduce(
    (sum, zone) => sum + Math.min(zone.managed, zone.high + Math.max(...zone.protection, 0)),
    0,
  );
  const free = node.zones.reduce((sum, zone) => sum + zone.free, 0);
  const file = node.lists[2]!.pages + node.lists[3]!.pages;
  const dirtyable = Math.max(free - reserve, 0) + file;
  const limit = Math.floor((k.sysctl.dirty_ratio * dirtyable) / 100);
  return node.dirtyPages + node.writebackPages <= limit;
}

/** @kernel mm/page_alloc.c zone_statistics(): once per allocation, whatever its order */
function noteAllocation(
  k: KernelState,
  ac: AllocContext,
  preferred: Zone,
  zone: Zone,
  times: number,
  pages: number,
): void {
  countVm(k, `pgalloc_${zone.name.toLowerCase()}`, pages);
  const stats = zone.node.numastat;
  if (zone.node === preferred.node) {
    stats.numaHit += times;
    countVm(k, 'numa_hit', times);
  } else {
    stats.numaMiss += times;
    preferred.node.numastat.numaForeign += times;
    countVm(k, 'numa_miss', times);
    countVm(k, 'numa_foreign', times);
  }
  if (k.cpus[ac.cpu]!.node === zone.node) {
    stats.localNode += times;
    countVm(k, 'numa_local', times);
  } else {
    stats.otherNode += times;
    countVm(k, 'numa_other', times);
  }
}

/**
 * Allocates up to `want` order-0 pages (one segment of one zone) or one huge page.
 * @returns undefined when the request fails, or when its own process was killed for it
 */
export function allocPages(k: KernelState, ac: AllocContext, want: number): Segment | undefined {
  const zonelist = filteredZonelist(k, ac);
  if (zonelist.length === 0) return undefined;
  k.allocatorCpu = ac.cpu;
  advanceKswapd(k);
  const fast = getPageFromFreelist(k, ac, zonelist, 'low', pagesBeforeKswapd(k, want));
  if (fast) return fast;
  return allocPagesSlowpath(k, ac, zonelist, want);
}

function nodesOf(zonelist: Zone[]): NodeState[] {
  return [...new Set(zonelist.map((zone) => zone.node))];
}

/** @kernel mm/page_alloc.c __alloc_pages_slowpath() @differs no compaction, no highatomic reserve */
function allocPagesSlowpath(
  k: KernelState,
  ac: AllocContext,
  zonelist: Zone[],
  want: number,
): Segment | undefined {
  const nodes = nodesOf(zonelist);
  let noProgressLoops = 0;
  for (;;) {
    if (ac.wakeKswapd) {
      for (const node of nodes) wakeupKswapd(k, node);
      advanceKswapd(k);
    }
    // Once kswapd has worked, the next request starts on the fast path again.
    let segment = getPageFromFreelist(k, ac, zonelist, 'min', pagesBeforeKswapd(k, want));
    if (segment || !ac.directReclaim) return segment;
    if (ac.order === HUGE_ORDER) return allocHugeSlowpath(k, ac, zonelist, nodes);
    const startNs = k.timeNs;
    const freed = tryToFreePages(k, nodes, ac.cpu);
    advanceKswapd(k);
    if (freed > 0) segment = reclaimedPage(k, ac, zonelist);
    noteDirectReclaim(k, nodes[0]!, freed, startNs);
    if (segment) return segment;
    noProgressLoops = freed > 0 ? 0 : noProgressLoops + 1;
    if (shouldReclaimRetry(k, zonelist, noProgressLoops)) continue;
    segment = getPageFromFreelist(k, ac, zonelist, 'high', 1);
    if (segment) return segment;
    const victim = outOfMemory(k, ac);
    if (!victim || victim === ac.guest) {
      k.current.killed = true;
      return undefined;
    }
    noProgressLoops = 0;
  }
}

/**
 * A huge page's last chances: compaction, then reclaim until compaction has room, then give up.
 * @differs compaction always succeeds where the kernel finds the zone suitable for it
 */
function allocHugeSlowpath(
  k: KernelState,
  ac: AllocContext,
  zonelist: Zone[],
  nodes: NodeState[],
): Segment | undefined {
  if (compactZones(zonelist)) {
    const segment = getPageFromFreelist(k, ac, zonelist, 'min', 1);
    if (segment) return segment;
  }
  if (ac.noRetry) return undefined;
  const startNs = k.timeNs;
  const freed = tryToFreePages(k, nodes, ac.cpu, () => zonelist.some(compactionSuitable));
  noteDirectReclaim(k, nodes[0]!, freed, startNs);
  if (freed === 0) return undefined;
  for (const zone of k.zones) drainPcps(zone);
  compactZones(zonelist);
  return getPageFromFreelist(k, ac, zonelist, 'min', 1);
}

/** @kernel mm/compaction.c compaction_suitable() for order 9 */
function compactionSuitable(zone: Zone): boolean {
  return zone.free - 2 * PAGES_PER_HUGE > neededPages(zone, zone.low, ZONE_MOVABLE);
}

function compactZones(zonelist: Zone[]): boolean {
  const zone = zonelist.find(compactionSuitable);
  if (!zone) return false;
  zone.hugeFree = Math.max(zone.hugeFree, PAGES_PER_HUGE);
  return true;
}

function reclaimedPage(k: KernelState, ac: AllocContext, zonelist: Zone[]): Segment | undefined {
  const segment = getPageFromFreelist(k, ac, zonelist, 'min', 1);
  if (segment || ac.order !== 0) return segment;
  if (zonelist.every((zone) => pcpPages(zone) === 0)) return undefined;
  for (const zone of k.zones) drainPcps(zone);
  return getPageFromFreelist(k, ac, zonelist, 'min', 1);
}

/** Could a zone serve the request if all that can be reclaimed were? */
function shouldReclaimRetry(k: KernelState, zonelist: Zone[], noProgressLoops: number): boolean {
  if (noProgressLoops > MAX_RECLAIM_RETRIES) return false;
  return zonelist.some(
    (zone) => zone.free + zoneReclaimablePages(k, zone) > neededPages(zone, zone.min, ZONE_MOVABLE),
  );
}

function noteDirectReclaim(k: KernelState, node: NodeState, freed: number, startNs: number): void {
  for (const event of k.events) {
    if (event.type === 'direct_reclaim' && event.guest === k.current.name) {
      event.times += 1;
      event.reclaimedPages += freed;
      return;
    }
  }
  k.events.push({
    type: 'direct_reclaim',
    timeNs: startNs,
    nodeId: node.id,
    times: 1,
    reclaimedPages: freed,
    guest: k.current.name,
  });
}

/**
 * Takes one kernel page (page table, slab) with the local policy of a CPU.
 * @returns its zone, or undefined when there is none (the replay goes on without it)
 */
export function allocKernelPage(
  k: KernelState,
  cpu: number,
  preferred: NodeState,
  guest: GuestState | undefined,
): Zone | undefined {
  const ac: AllocContext = {
    cpu,
    preferred,
    nodemask: null,
    cpusetMems: null,
    order: 0,
    directReclaim: true,
    wakeKswapd: true,
    thisNode: false,
    write: false,
  };
  if (guest) ac.guest = guest;
  const segment = allocPages(k, ac, 1);
  if (!segment) return undefined;
  segment.zone.kernelPages += 1;
  passTime(k, k.hardware.faultNs, false);
  return segment.zone;
}
