/** The allocator: the walk over the zonelist, the fast path at low, the slow path at min. */
import { freshNs, noteDirectReclaim, requestNs } from './alloc-account';
import { MIGRATE_MOVABLE } from './buddy';
import {
  MAX_RECLAIM_RETRIES,
  PAGE_ALLOC_COSTLY_ORDER,
  ZONE_DMA32,
  ZONE_MOVABLE,
  ZONE_NORMAL,
} from './constants';
import { allocZones, zonesOf, type AllocZones } from './alloc-zones';
import {
  COMPACT_PRIO_ASYNC,
  compactTries,
  directCompact,
  shouldCompactRetry,
} from './direct-compaction';
import { reserveHighatomicPageblock, unreserveHighatomicPageblock } from './fallback';
import type { GuestState, KernelState } from './kernel-state';
import { advanceKswapd, isSettled, pagesBeforeKswapd, wakeupKswapd } from './kswapd';
import { nodeReclaim, pagesBeforeNodeReclaim } from './node-reclaim';
import { zoneStatistics } from './numa-stat';
import { outOfMemory } from './oom';
import { drainPcps } from './pcp';
import type { PcpRun } from './pcp-list';
import { rmqueue } from './rmqueue';
import { tryToFreePages } from './direct-reclaim';
import { noteRefusal } from './spill';
import { zoneReclaimablePages } from './vmscan';
import {
  ALLOC_HIGHATOMIC,
  ALLOC_KSWAPD,
  ALLOC_MIN_RESERVE,
  ALLOC_NOFRAGMENT,
  ALLOC_NON_BLOCK,
  neededPages,
  zoneWatermarkFast,
  zoneWatermarkOk,
  type WatermarkRequest,
} from './watermark';
import { updateVmstat, vmstatDueNs } from './vmstat-work';
import { nodeDirtyOk } from './writeback';
import type { NodeState, Zone } from './zone';
import { markOf, NO_ZONES, walkFor, type Walk } from './zone-walk';

/** One kind of request: who asks, from which CPU, for which nodes (`struct alloc_context` and gfp). */
export interface AllocContext {
  /** CPU position. */
  cpu: number;
  /** Node whose fallback list is walked. */
  preferred: NodeState;
  /** Policy nodes (node ids), or null. */
  nodemask: Set<number> | null;
  cpusetMems: Set<number> | null;
  order: number;
  /** Migrate type asked for. */
  type: number;
  /** Highest zone index it may use: 3 for user pages, 2 for kernel pages. */
  classIndex: number;
  directReclaim: boolean;
  wakeKswapd: boolean;
  /** __GFP_HIGH: may go below the min mark, and ignores cpusets if it cannot wait. */
  high: boolean;
  /** Stays within its cpuset in the slow path too (__GFP_HARDWALL); kernel memory does not. */
  hardwall: boolean;
  /** Only the preferred node (__GFP_THISNODE). */
  thisNode: boolean;
  /** Gives up after the first failed compaction (__GFP_NORETRY). */
  noRetry: boolean;
  /** Goes on trying while reclaim and compaction get on, however large it is, and kills nobody (__GFP_RETRY_MAYFAIL). */
  retryMayFail: boolean;
  /** __GFP_NOMEMALLOC, as huge page faults have it. */
  noMemalloc: boolean;
  /** Page-cache write: the node's dirty limit is checked (__GFP_WRITE). */
  write: boolean;
  /** For page cache: its pages make node reclaim possible. */
  cache: boolean;
  /** Goes on with a request whose first pass failed: no kswapd acts in between. */
  secondPass: boolean;
  /** A task asks that reclaims (PF_MEMALLOC): nobody acts meanwhile, and it does not reclaim for this request. */
  reclaiming: boolean;
  /** Virtual time per request served, on the CPU's own node and on others. */
  costNs: number;
  remoteCostNs: number;
  guest?: GuestState;
  /** The zones it may use, once they were found. */
  zones?: AllocZones;
}

/** Blocks handed out from one zone, in the order of the requests. */
export interface Segment {
  zone: Zone;
  /** Base pages of all runs. */
  pages: number;
  runs: PcpRun[];
}

/**
 * A request for user memory by default; `values` says how it differs. Its fields always come in this order: every
 * request passes the same code, which is slow for objects of many shapes.
 */
export function allocContext(
  values: Partial<AllocContext> & Pick<AllocContext, 'cpu' | 'preferred'>,
): AllocContext {
  return {
    cpu: values.cpu,
    preferred: values.preferred,
    nodemask: values.nodemask ?? null,
    cpusetMems: values.cpusetMems ?? null,
    order: values.order ?? 0,
    type: values.type ?? MIGRATE_MOVABLE,
    classIndex: values.classIndex ?? ZONE_MOVABLE,
    directReclaim: values.directReclaim ?? true,
    wakeKswapd: values.wakeKswapd ?? true,
    high: values.high ?? false,
    hardwall: values.hardwall ?? true,
    thisNode: values.thisNode ?? false,
    noRetry: values.noRetry ?? false,
    retryMayFail: values.retryMayFail ?? false,
    noMemalloc: values.noMemalloc ?? false,
    write: values.write ?? false,
    cache: values.cache ?? false,
    secondPass: values.secondPass ?? false,
    reclaiming: values.reclaiming ?? false,
    costNs: values.costNs ?? 0,
    remoteCostNs: values.remoteCostNs ?? 0,
    guest: values.guest,
    zones: undefined,
  };
}

/**
 * Walks a zonelist at a mark and takes up to `want` requests' worth from the first zone that passes.
 * @kernel mm/page_alloc.c get_page_from_freelist()
 */
function getPageFromFreelist(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  walk: Walk,
): Segment | undefined {
  const { preferred } = walk;
  if (!preferred) return undefined;
  for (;;) {
    const noFallback = (walk.flags & ALLOC_NOFRAGMENT) !== 0;
    for (const zone of zonelist) {
      if (ac.write && walk.mark === 'low' && !nodeDirtyOk(k, zone.node)) continue;
      if (noFallback && k.nodes.length > 1 && zone.node !== preferred.node) {
        // Memory nearby is worth more than an unfragmented zone.
        break;
      }
      const segment = tryZone(k, ac, preferred, zone, walk);
      if (segment) return segment;
    }
    if (!noFallback) return undefined;
    walk.flags &= ~ALLOC_NOFRAGMENT;
  }
}

function tryZone(
  k: KernelState,
  ac: AllocContext,
  preferred: Zone,
  zone: Zone,
  walk: Walk,
): Segment | undefined {
  const { boost } = zone;
  const aboveHigh = !zone.belowHigh && isAboveHigh(zone, walk);
  const mark = aboveHigh ? zone.high : markOf(zone, walk.mark);
  const atomic = ac.high && !ac.directReclaim;
  if (!aboveHigh && !zoneWatermarkFast(zone, mark, walk, atomic && walk.mark === 'min')) {
    const result = nodeReclaim(
      k,
      preferred.node,
      zone.node,
      ac,
      ac.directReclaim && walk.mark !== 'high',
    );
    if (result === 'skip') {
      noteRefusal(ac, zone, mark, walk);
      if (ac.cache) walk.want = Math.min(walk.want, pagesBeforeNodeReclaim(k, zone.node));
      return undefined;
    }
    walk.reclaimTried = true;
    // A kswapd that ends its run meanwhile takes the boost back; the mark was read before.
    const left = mark + boost - zone.boost;
    if (!zoneWatermarkOk(zone, left, walk)) {
      noteRefusal(ac, zone, left, walk);
      return undefined;
    }
  }
  const cost = requestNs(k, ac, zone);
  // One by one: pages that pass only without the boost, and after a try to reclaim, which the next request repeats.
  const needed = neededPages(zone, mark, walk);
  walk.neededPages = needed;
  // So are the last ones above the mark, while NR_FREE_PAGES runs ahead.
  // Each success with the HighAtomic right may reserve its own pageblock.
  const single =
    walk.reclaimTried ||
    walk.want === 1 ||
    zone.buddy.freePages <= needed ||
    (walk.flags & ALLOC_HIGHATOMIC) !== 0;
  const want = single ? 1 : Math.min(walk.want, pagesBeforeKswapd(k, cost));
  const runs = rmqueue(zone, walk, want);
  if (zone.boostedWatermark) {
    zone.boostedWatermark = false;
    wakeupKswapd(k, zone.node, 0, zone.index);
  }
  if (runs.length === 0) {
    walk.vain = [...walk.vain, zone];
    noteRefusal(ac, zone, mark, walk);
    return undefined;
  }
  return handOut(k, ac, preferred, zone, runs, walk.flags, cost, walk.vain);
}

function handOut(
  k: KernelState,
  ac: AllocContext,
  preferred: Zone,
  zone: Zone,
  runs: PcpRun[],
  flags: number,
  costNs: number,
  vain: readonly Zone[],
): Segment {
  let blocks = 0;
  for (const run of runs) blocks += run.count;
  if (blocks > 1)
    for (const other of vain) other.pcpRule.noteRequests(other.pcps[ac.cpu]!, blocks - 1);
  if ((flags & ALLOC_HIGHATOMIC) !== 0) reserveHighatomicPageblock(zone, runs[0]!.frame);
  const pages = blocks << ac.order;
  zoneStatistics(k, ac.cpu, preferred, zone, blocks, pages);
  const ns = blocks * costNs + freshNs(k, ac, zone, runs);
  if (ns > 0) k.timeNs += ns / Math.max(k.busyCpus.length, 1);
  return { zone, pages, runs };
}

/** The look at the high mark that shortens per-CPU lists in time (6.7). @kernel get_page_from_freelist() */
function isAboveHigh(zone: Zone, request: WatermarkRequest): boolean {
  const above = zoneWatermarkFast(zone, zone.high, request, false);
  zone.belowHigh = !above;
  return above;
}

/**
 * Allocates blocks for up to `want` requests: one segment of one zone.
 * @returns undefined when the request fails, or when its own process was killed for it
 * @kernel mm/page_alloc.c __alloc_pages()
 */
export function allocPages(k: KernelState, ac: AllocContext, want: number): Segment | undefined {
  const { allowed, preferred } = allocZones(k, ac);
  if (!ac.reclaiming) {
    k.allocatorCpu = ac.cpu;
    if (k.timeNs >= vmstatDueNs(k)) updateVmstat(k);
    if (!ac.secondPass) advanceKswapd(k);
  }
  const walk = walkFor(k, ac, preferred, 'low', fastFlags(k, ac, preferred), want, NO_ZONES);
  const segment = getPageFromFreelist(k, ac, allowed, walk);
  if (segment) return segment;
  return allocPagesSlowpath(k, ac, walk.reclaimTried ? 1 : walk.want, walk.vain);
}

/** @kernel mm/page_alloc.c alloc_flags_nofragment() */
function fastFlags(k: KernelState, ac: AllocContext, preferred: Zone | undefined): number {
  const flags = ac.wakeKswapd ? ALLOC_KSWAPD : 0;
  if (preferred?.index !== ZONE_NORMAL) return flags;
  if (k.nodes.length > 1 && !hasDma32(preferred.node)) return flags;
  return flags | ALLOC_NOFRAGMENT;
}

function hasDma32({ zones }: NodeState): boolean {
  for (const zone of zones) if (zone.index === ZONE_DMA32) return true;
  return false;
}

/** @kernel mm/page_alloc.c gfp_to_alloc_flags() @differs no real-time tasks, no CMA */
function slowFlags(ac: AllocContext): number {
  let flags = (ac.wakeKswapd ? ALLOC_KSWAPD : 0) | (ac.high ? ALLOC_MIN_RESERVE : 0);
  if (!ac.directReclaim && !ac.noMemalloc) {
    flags |= ALLOC_NON_BLOCK;
    if (ac.order > 0 && ac.high) flags |= ALLOC_HIGHATOMIC;
  }
  return flags;
}

function wakeAllKswapds(k: KernelState, ac: AllocContext, zonelist: readonly Zone[]): void {
  let last: NodeState | undefined;
  for (const { node } of zonelist) {
    if (node !== last) wakeupKswapd(k, node, ac.order, ac.classIndex, ac.directReclaim);
    last = node;
  }
}

/**
 * @param vain zones that the fast path asked in vain, as it would for each further request
 * @kernel mm/page_alloc.c __alloc_pages_slowpath()
 * @differs a task that reclaims stops at the min mark, too
 */
function allocPagesSlowpath(
  k: KernelState,
  ac: AllocContext,
  want: number,
  vain: readonly Zone[],
): Segment | undefined {
  const flags = slowFlags(ac);
  const { named, slow } = allocZones(k, ac);
  const zonelist = isUrgent(ac) ? named : slow;
  const preferred = named[0];
  if (!preferred) return undefined;
  if (ac.wakeKswapd) wakeAllKswapds(k, ac, zonelist);
  // A kswapd that found nothing to do may find it after the next page.
  const most = allSettled(zonelist) ? want : 1;
  const walk = walkFor(k, ac, preferred, 'min', flags, most, vain);
  const first = getPageFromFreelist(k, ac, zonelist, walk);
  if (first) {
    // Each further page of the segment would have woken them again.
    if (ac.wakeKswapd && first.pages >> ac.order > 1) wakeAllKswapds(k, ac, zonelist);
    return first;
  }
  return ac.reclaiming ? undefined : reclaimAndRetry(k, ac, flags);
}

/** Who can neither wait nor go without leaves the cpuset at once, and the policy where it tries again. */
function isUrgent(ac: AllocContext): boolean {
  return ac.high && !ac.directReclaim;
}

function allSettled(zonelist: readonly Zone[]): boolean {
  for (const { node } of zonelist) if (!isSettled(node)) return false;
  return true;
}

/** The slow path from where waking kswapd was not enough. @kernel mm/page_alloc.c __alloc_pages_slowpath() */
function reclaimAndRetry(k: KernelState, ac: AllocContext, flags: number): Segment | undefined {
  const { named, allowed, slow } = allocZones(k, ac);
  const urgent = isUrgent(ac);
  let zonelist: readonly Zone[] = urgent ? named : slow;
  let preferred = named[0];
  const atMin = (most: number): Segment | undefined =>
    getPageFromFreelist(k, ac, zonelist, walkFor(k, ac, preferred, 'min', flags, most, NO_ZONES));
  const costly = ac.order > PAGE_ALLOC_COSTLY_ORDER;
  const tries = compactTries();
  const compact = (): Segment | undefined =>
    directCompact(k, ac, named, flags, tries, () => atMin(1));
  if (ac.directReclaim && (costly || (ac.order > 0 && ac.type !== MIGRATE_MOVABLE))) {
    const asked = tries.priority;
    tries.priority = COMPACT_PRIO_ASYNC;
    const compacted = compact();
    if (compacted) return compacted;
    if (costly && ac.noRetry) {
      if (tries.result === 'skipped' || tries.result === 'deferred' || ac.thisNode)
        return undefined;
    } else {
      tries.priority = asked;
    }
  }
  for (let noProgressLoops = 0; ;) {
    advanceKswapd(k);
    if (ac.wakeKswapd) wakeAllKswapds(k, ac, zonelist);
    if (urgent) {
      zonelist = zonesOf(k, ac, null);
      preferred = zonelist[0];
    }
    const again = atMin(1);
    if (again || !ac.directReclaim) return again;
    const startNs = k.timeNs;
    const before = k.totals.directReclaimedPages;
    const progress = tryToFreePages(k, ac, allowed);
    const freed = k.totals.directReclaimedPages - before;
    const reclaimed = progress > 0 ? reclaimedPage(k, ac, named, atMin) : undefined;
    const isReady = freed === 0 && progress > 0;
    noteDirectReclaim(k, ac, (allowed[0] ?? named[0]!).node, { freed, isReady, startNs });
    const block = reclaimed ?? compact();
    if (block) return block;
    if (ac.noRetry || (costly && (!k.compaction || !ac.retryMayFail))) return undefined;
    noProgressLoops = progress > 0 && !costly ? 0 : noProgressLoops + 1;
    if (shouldReclaimRetry(k, ac, named, flags, noProgressLoops)) continue;
    if (progress > 0 && shouldCompactRetry(k, ac, named, flags, tries)) continue;
    const atHigh = walkFor(k, ac, preferred, 'high', 0, 1, NO_ZONES);
    const last = getPageFromFreelist(k, ac, allowed, atHigh);
    if (last || costly || ac.retryMayFail || ac.thisNode) return last;
    const victim = outOfMemory(k, ac);
    if (!victim || victim === ac.guest) {
      k.current.killed = true;
      return undefined;
    }
    noProgressLoops = 0;
  }
}

/** Reclaimed pages may lie on per-CPU lists or in the HighAtomic reserve. @kernel __alloc_pages_direct_reclaim() */
function reclaimedPage(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  atMin: (most: number) => Segment | undefined,
): Segment | undefined {
  const segment = atMin(1);
  if (segment) return segment;
  unreserveHighatomicPageblock(zonelist, ac.type, false);
  for (const zone of k.zones) drainPcps(zone);
  return atMin(1);
}

/** Could a zone serve the request if all that can be reclaimed were? @kernel should_reclaim_retry() */
function shouldReclaimRetry(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  flags: number,
  noProgressLoops: number,
): boolean {
  const request: WatermarkRequest = { order: ac.order, classIndex: ac.classIndex, flags };
  const hope =
    noProgressLoops <= MAX_RECLAIM_RETRIES &&
    zonelist.some((zone) =>
      zoneWatermarkOk(
        zone,
        zone.min,
        request,
        zone.buddy.freePages + zoneReclaimablePages(k, zone),
      ),
    );
  return hope || unreserveHighatomicPageblock(zonelist, ac.type, true);
}

/** A block that the kernel itself uses. */
export interface KernelBlock {
  zone: Zone;
  frame: number;
  order: number;
}
