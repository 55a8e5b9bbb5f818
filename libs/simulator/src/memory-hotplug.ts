/** Memory that joins a zone or leaves it, and everything that the kernel recomputes then. */
import { MAX_ORDER, MIGRATE_ISOLATE, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import { trailingZeros } from './block-bits';
import { compactState } from './compact-control';
import { ZONE_NORMAL } from './constants';
import { percpuDriftMark, statThreshold } from './free-count';
import {
  recomputeMinFree,
  setupLowmemReserve,
  setupNodeReclaim,
  setupWatermarks,
  setupZonelists,
} from './kernel';
import { runKcompactd, stopKcompactd } from './kcompactd';
import { advanceKswapd, runKswapd, stopKswapd } from './kswapd';
import { countVm, passTime, type KernelState } from './kernel-state';
import { dissolveFreeHugePages } from './offline-hugetlb';
import { doMigrateRange, scanMovablePages } from './offline-migrate';
import {
  firstUsedFrame,
  startIsolatePageRange,
  undoIsolatePageRange,
  type FrameRange,
} from './page-isolation';
import { drainPcps, pcpBatch } from './pcp';
import { Pcp } from './pcp-rule';
import { minFreeKbytes } from './watermark';
import { isOnlineBlock, type Zone } from './zone';

/** Rounds that leave as much as the one before until the writer loses patience, where nothing is being written. */
const VAIN_ROUNDS = 16;
/** How long a round waits for pages that are being written, or held by who compacts. */
const WAIT_NS = 1e6;

/** How taking memory offline ended. */
export interface OfflineOutcome {
  /** Why it failed, in the kernel's words; undefined if it did not. */
  reason?: string;
  /** Frame of a page that stood in the way. */
  frame?: number;
  /** Base pages that were moved, and huge pages that left their pool, also where it failed in the end. */
  movedPages: number;
  dissolvedHugepages: number;
}

/**
 * min_free_kbytes unless the user's is larger, marks, list sizes, thresholds, protection and limits of node reclaim by the present
 * sizes of zones; then khugepaged's share.
 * @kernel mm/page_alloc.c init_per_zone_wmark_min()
 */
export function initPerZoneWmarkMin(k: KernelState): void {
  const zones = k.zones.map((zone) => ({
    zoneIndex: zone.index,
    managedPages: zone.managed,
    highPages: zone.high + zone.boost,
  }));
  k.sysctl.min_free_kbytes = minFreeKbytes(
    {
      zones,
      thpEnabled: false,
      userMinFreeKbytes: k.userMinFreeKbytes,
      currentMinFreeKbytes: k.sysctl.min_free_kbytes,
    },
    k.profile,
  );
  setupWatermarks(k);
  refreshZoneStatThresholds(k);
  setupLowmemReserve(k);
  setupNodeReclaim(k);
  if (k.thp.enabled !== 'never') recomputeMinFree(k);
}

/** A mark below which counts are read exactly stays where none is needed any more. @kernel mm/vmstat.c refresh_zone_stat_thresholds() */
function refreshZoneStatThresholds(k: KernelState): void {
  for (const zone of k.zones) {
    const marks = { minPages: zone.min, lowPages: zone.low, highPages: zone.high };
    const mark = percpuDriftMark(marks, zone.managed, k.cpus.length);
    zone.statThreshold = statThreshold(zone.managed, k.cpus.length);
    if (mark > 0) zone.percpuDriftMark = mark;
  }
}

/** Until 5.13 list sizes follow a zone's size only here. @kernel mm/page_alloc.c zone_pcp_update() */
function updatePcp(k: KernelState, zone: Zone): void {
  if (k.profile.pcpHigh !== 'six-batches') return;
  zone.pcpBatch = pcpBatch(zone.managed, k.profile);
  zone.pcpHigh = 6 * zone.pcpBatch;
  zone.pcpHighMax = zone.pcpHigh;
}

/**
 * The zone gets its first memory, or has lost its last: who can be served from where changes. A node without memory keeps its
 * place in the lists until they are made the next time, which decides between nodes of one distance.
 */
function setPopulated(k: KernelState, zone: Zone, populated: boolean): void {
  const { node } = zone;
  const others = node.zones.filter((other) => other !== zone);
  node.zones = populated ? [...others, zone].sort((a, b) => a.index - b.index) : others;
  k.emptyZones = k.emptyZones.filter((other) => other !== zone);
  if (populated) zone.pcps = k.cpus.map(() => new Pcp());
  else {
    k.emptyZones.push(zone);
    // Marks are computed for zones without memory, too.
    Object.assign(zone, { min: 0, low: 0, high: 0, boost: 0, freeDrift: 0 });
  }
  k.zones = k.nodes.flatMap(({ zones }) => zones);
  setupZonelists(k, node);
}

/** Skip bits belong to pageblocks, whichever of the node's zones has them next. */
function handSkipBits(k: KernelState, zone: Zone, startPfn: number, endPfn: number): void {
  const bits = zone.compaction?.skip;
  const { basePfn } = zone.buddy;
  for (const other of [...zone.node.zones, ...k.emptyZones]) {
    const { buddy } = other;
    const room = buddy.basePfn + buddy.pageblocks * PAGEBLOCK_PAGES;
    if (other === zone || other.node !== zone.node) continue;
    if (buddy.basePfn > startPfn || room < endPfn) continue;
    const at = (startPfn - buddy.basePfn) >>> PAGEBLOCK_ORDER;
    const from = (startPfn - basePfn) >>> PAGEBLOCK_ORDER;
    const to = (endPfn - basePfn) >>> PAGEBLOCK_ORDER;
    if (bits) compactState(other).skip.set(bits.subarray(from, to), at);
    else other.compaction?.skip.fill(0, at, at + to - from);
  }
}

/** @kernel mm/memory_hotplug.c resize_zone_range(), remove_pfn_range_from_zone() */
function setSpan(zone: Zone, startPfn: number, endPfn: number): void {
  zone.startPfn = startPfn;
  zone.spanned = endPfn - startPfn;
  if (zone.spanned === 0) return;
  zone.buddy.firstFrame = startPfn - zone.buddy.basePfn;
  zone.buddy.frames = endPfn - zone.buddy.basePfn;
}

function markOnline(zone: Zone, from: number, to: number, online: boolean): void {
  const [first, end] = [from >>> PAGEBLOCK_ORDER, to >>> PAGEBLOCK_ORDER];
  zone.absent ??= new Uint8Array(zone.buddy.pageblocks);
  if (first > zone.usedPageblocks) zone.absent.fill(1, zone.usedPageblocks, first);
  zone.absent.fill(online ? 0 : 1, first, end);
  zone.usedPageblocks = Math.max(zone.usedPageblocks, end);
}

/**
 * Memory of [from, to) joins a zone: isolated first, in the largest blocks, then free as Movable memory at the tails.
 * @param selfHosted pages before it that hold its memmap: present, not managed
 * @kernel mm/memory_hotplug.c online_pages(), online_pages_range()
 */
export function onlinePages(k: KernelState, range: FrameRange, selfHosted: number): void {
  const { zone, from, to } = range;
  const { buddy, node } = zone;
  const first = from - selfHosted;
  const [startPfn, endPfn] = [buddy.basePfn + first, buddy.basePfn + to];
  const empty = zone.spanned === 0;
  const hadMemory = node.zones.length > 0;
  node.nrZones = Math.max(node.nrZones, zone.index + 1);
  setSpan(
    zone,
    empty ? startPfn : Math.min(zone.startPfn, startPfn),
    empty ? endPfn : Math.max(zone.startPfn + zone.spanned, endPfn),
  );
  markOnline(zone, first, to, true);
  buddy.types.fill(0, first >>> PAGEBLOCK_ORDER, from >>> PAGEBLOCK_ORDER);
  buddy.types.fill(MIGRATE_ISOLATE, from >>> PAGEBLOCK_ORDER, to >>> PAGEBLOCK_ORDER);
  if (zone.present === 0) setPopulated(k, zone, true);
  for (let frame = from; frame < to;) {
    const order = Math.min(MAX_ORDER - 1, trailingZeros(frame));
    buddy.free(frame, order, MIGRATE_ISOLATE, true);
    countVm(k, 'pgfree', 1 << order);
    frame += 1 << order;
  }
  zone.managed += to - from;
  zone.present += to - first;
  zone.memmapPages += selfHosted;
  undoIsolatePageRange(range);
  passTime(k, (to - from) * k.hardware.freeNs, false);
  updatePcp(k, zone);
  initPerZoneWmarkMin(k);
  if (hadMemory) return;
  runKswapd(k, node);
  runKcompactd(k, node);
}

/**
 * Memory of [from, to) leaves its zone: no CPU keeps pages of the zone, its pageblocks are isolated, what stands in them is
 * moved until nothing is left, free huge pages leave their pools.
 * @param selfHosted pages before it that hold its memmap
 * @param mostNs how long whoever asked for it waits
 * @kernel mm/memory_hotplug.c offline_pages()
 * @differs the kernel tries until it is interrupted; here also after 16 rounds in vain. CPUs give up the zone's pages before
 * the isolation under 5.10 too
 */
export function offlinePages(
  k: KernelState,
  range: FrameRange,
  selfHosted: number,
  mostNs: number,
): OfflineOutcome {
  const { zone } = range;
  const outcome: OfflineOutcome = { movedPages: 0, dissolvedHugepages: 0 };
  const { pcpBatch: batch, pcpHigh: high, pcpHighMax: highMax } = zone;
  Object.assign(zone, { pcpBatch: 1, pcpHigh: 0, pcpHighMax: 0 });
  drainPcps(zone);
  const unmovable = startIsolatePageRange(range);
  if (unmovable >= 0) {
    outcome.reason = 'failure to isolate range';
    outcome.frame = unmovable;
  } else {
    empty(k, range, outcome, k.timeNs + mostNs);
    if (outcome.reason !== undefined) undoIsolatePageRange(range);
  }
  Object.assign(zone, { pcpBatch: batch, pcpHigh: high, pcpHighMax: highMax });
  if (outcome.reason === undefined) leaveZone(k, range, selfHosted);
  return outcome;
}

/** Moves and dissolves until the range is free. */
function empty(k: KernelState, range: FrameRange, outcome: OfflineOutcome, untilNs: number): void {
  let least = Infinity;
  let vain = 0;
  const giveUp = (frame: number): void => {
    if (vain < VAIN_ROUNDS && k.timeNs < untilNs) return;
    k.timeNs = Math.max(k.timeNs, untilNs);
    outcome.reason = 'signal backoff';
    outcome.frame = frame;
  };
  while (outcome.reason === undefined) {
    passTime(k, (range.to - range.from) * k.hardware.compactScanNs, false);
    const frame = scanMovablePages(k, range);
    if (frame >= 0) {
      const { moved, left, writing } = doMigrateRange(k, range);
      outcome.movedPages += moved;
      if (left > 0 && writing > 0) letTimePass(k);
      vain = left < least || writing > 0 ? 0 : vain + 1;
      least = Math.min(least, left);
      if (left > 0) giveUp(frame);
      continue;
    }
    const { dissolved, failed } = dissolveFreeHugePages(k, range);
    outcome.dissolvedHugepages += dissolved;
    if (failed) {
      outcome.reason = 'failure to dissolve huge pages';
      return;
    }
    const used = firstUsedFrame(range);
    if (used < 0) return;
    if (range.zone.node.kcompactd.run && k.timeNs < untilNs) {
      // Who compacts the node may hold pages of the range; they are looked for until they are free.
      letTimePass(k);
      continue;
    }
    vain = VAIN_ROUNDS;
    giveUp(used);
  }
}

/** The pages are taken from the isolated lists, and the zone gets smaller. */
function leaveZone(k: KernelState, { zone, from, to }: FrameRange, selfHosted: number): void {
  const { buddy, node } = zone;
  for (let frame = from; frame < to;) {
    const order = buddy.orderAt(frame);
    buddy.remove(frame, order);
    frame += 1 << order;
  }
  const first = from - selfHosted;
  zone.managed -= to - from;
  zone.present -= to - first;
  zone.memmapPages -= selfHosted;
  markOnline(zone, first, to, false);
  updatePcp(k, zone);
  if (zone.present === 0) setPopulated(k, zone, false);
  initPerZoneWmarkMin(k);
  if (node.zones.length === 0) {
    stopKcompactd(k, node);
    stopKswapd(node);
  }
  handSkipBits(k, zone, buddy.basePfn + first, buddy.basePfn + to);
  shrinkZoneSpan(zone, buddy.basePfn + first, buddy.basePfn + to);
}

/** Only memory at an end of the zone changes its span. @kernel mm/memory_hotplug.c shrink_zone_span() */
function shrinkZoneSpan(zone: Zone, startPfn: number, endPfn: number): void {
  const { basePfn } = zone.buddy;
  const zoneEnd = zone.startPfn + zone.spanned;
  const pfnOf = (block: number): number => basePfn + block * PAGEBLOCK_PAGES;
  const first = (zone.startPfn - basePfn) >>> PAGEBLOCK_ORDER;
  // The zone may end within a pageblock.
  const end = Math.ceil((zoneEnd - basePfn) / PAGEBLOCK_PAGES);
  if (zone.startPfn === startPfn) {
    let block = (endPfn - basePfn) >>> PAGEBLOCK_ORDER;
    while (block < end && !isOnlineBlock(zone, block)) block += 1;
    if (block < end) setSpan(zone, pfnOf(block), zoneEnd);
    else setSpan(zone, 0, 0);
  } else if (zoneEnd === endPfn) {
    let block = ((startPfn - basePfn) >>> PAGEBLOCK_ORDER) - 1;
    while (block >= first && !isOnlineBlock(zone, block)) block -= 1;
    if (block >= first) setSpan(zone, zone.startPfn, pfnOf(block + 1));
    else setSpan(zone, 0, 0);
  }
}

/** Does a zone's span touch a range of pfns? @kernel include/linux/mmzone.h zone_intersects() */
export function zoneIntersects(zone: Zone, startPfn: number, endPfn: number): boolean {
  return zone.spanned > 0 && zone.startPfn < endPfn && zone.startPfn + zone.spanned > startPfn;
}

/**
 * The zone that memory of a node joins. Without a wish that is the one in whose span it lies, if it is one alone, else an
 * ordinary zone.
 * @kernel mm/memory_hotplug.c zone_for_pfn_range(), default_zone_for_pfn()
 * @differs no auto-movable policy, no `movable_node`
 */
export function zoneForPfnRange(
  candidates: readonly Zone[],
  action: 'online' | 'online_kernel' | 'online_movable',
  startPfn: number,
  endPfn: number,
): Zone | undefined {
  const within = (zone: Zone | undefined): boolean =>
    zone !== undefined && zoneIntersects(zone, startPfn, endPfn);
  const movable = candidates.find(({ index }) => index > ZONE_NORMAL);
  const kernel =
    candidates.find((zone) => zone.index < ZONE_NORMAL && within(zone)) ??
    candidates.find(({ index }) => index === ZONE_NORMAL);
  if (action === 'online_kernel') return kernel;
  if (action === 'online_movable') return movable;
  return within(movable) && !within(kernel) ? movable : kernel;
}

/** Time passes while pages are being written, or are in the hands of others. */
function letTimePass(k: KernelState): void {
  passTime(k, WAIT_NS, false);
  advanceKswapd(k);
}
