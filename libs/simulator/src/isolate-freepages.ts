/** The free scanner: pages to move to, taken from the end of the zone downwards. */
import {
  MIGRATE_MOVABLE,
  MIGRATE_PCPTYPES,
  NR_MIGRATE_TYPES,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
} from './buddy';
import {
  COMPACT_CLUSTER_MAX,
  freelistScanLimit,
  isPageblockOfZone,
  isolationSuitable,
  pageblockEnd,
  pageblockStart,
  type CompactControl,
} from './compact-control';
import { moveBlock } from './fallback-claim';
import { noteFreeChange } from './free-count';
import { countVm, type KernelState } from './kernel-state';
import { zoneWatermarkOk } from './watermark';
import type { Zone } from './zone';

/**
 * Takes one free block off its list while the min mark allows it; half a pageblock makes the pageblock Movable.
 * @returns false when the mark does not allow it
 * @kernel mm/page_alloc.c __isolate_free_page()
 */
function isolateFreePage(zone: Zone, cpu: number, frame: number, order: number): boolean {
  const { buddy } = zone;
  // The mark counts without boost here.
  const mark = zone.min - zone.boost + (1 << order);
  if (!zoneWatermarkOk(zone, mark, { order: 0, classIndex: 0, flags: 0 })) return false;
  buddy.remove(frame, order);
  noteFreeChange(zone, zone.pcps[cpu]!, -(1 << order));
  if (order >= PAGEBLOCK_ORDER - 1) {
    const last = (frame + (1 << order) - 1) >>> PAGEBLOCK_ORDER;
    for (let block = frame >>> PAGEBLOCK_ORDER; block <= last; block += 1) {
      if (buddy.types[block]! >= MIGRATE_PCPTYPES) continue;
      if (zone.blockRule.retypesMerged) moveBlock(zone, block * PAGEBLOCK_PAGES, MIGRATE_MOVABLE);
      else buddy.types[block] = MIGRATE_MOVABLE;
    }
  }
  return true;
}

/**
 * Takes free blocks of one pageblock, looking at every `stride`th frame, until there are as many as pages wait.
 * @returns pages taken, and the frame behind the last one looked at
 * @kernel mm/compaction.c isolate_freepages_block()
 */
function isolateFreepagesBlock(
  k: KernelState,
  cc: CompactControl,
  start: number,
  end: number,
  stride: number,
): { taken: number; next: number } {
  const { buddy } = cc.zone;
  let scanned = 0;
  let taken = 0;
  let frame = start;
  if (isBare(cc, start)) {
    scanned = Math.ceil((end - start) / stride);
    frame = end;
  }
  for (; frame < end; frame += stride) {
    scanned += 1;
    if (isHugeHead(cc, frame)) {
      if (cc.finishes && frame + PAGEBLOCK_PAGES <= end) scanned += PAGEBLOCK_PAGES - 1;
      frame += PAGEBLOCK_PAGES - 1;
      continue;
    }
    const order = buddy.orderAt(frame);
    if (order < 0) continue;
    if (!isolateFreePage(cc.zone, cc.cpu, frame, order)) break;
    const pages = 1 << order;
    cc.freePages.add(frame, order);
    scanned += pages - 1;
    taken += pages;
    if (cc.freePages.pages >= cc.nrIsolated) {
      frame += pages;
      break;
    }
    frame += pages - 1;
  }
  cc.freeScanned += scanned;
  countVm(k, 'compact_isolated', taken);
  return { taken, next: Math.min(frame, end) };
}

/** Nothing in the pageblock is free or compound: every look fails. */
function isBare(cc: CompactControl, frame: number): boolean {
  const block = frame >>> PAGEBLOCK_ORDER;
  if (cc.zone.buddy.hasSmallBlocks(block)) return false;
  if (cc.zone.buddy.orderAt(block * PAGEBLOCK_PAGES) >= 0) return false;
  return !isHugeHead(cc, block * PAGEBLOCK_PAGES);
}

/** A huge page of a guest or of a pool starts here. */
export function isHugeHead(cc: CompactControl, frame: number): boolean {
  if (frame % PAGEBLOCK_PAGES !== 0) return false;
  const block = frame >>> PAGEBLOCK_ORDER;
  if (cc.zone.hugetlbBlocks.has(block)) return true;
  if (cc.zone.buddy.lruPages[block]! < PAGEBLOCK_PAGES) return false;
  return cc.lru.isHuge(block);
}

/** @kernel mm/compaction.c suitable_migration_target() */
function suitableMigrationTarget(cc: CompactControl, start: number): boolean {
  const { buddy } = cc.zone;
  const least = cc.finishes && cc.order > 0 ? cc.order : PAGEBLOCK_ORDER;
  if (buddy.orderAt(start) >= least) return false;
  return cc.ignoreBlockSuitable || buddy.typeOf(start) === MIGRATE_MOVABLE;
}

/**
 * Takes free pages for the pages that wait: first from the lists, then pageblock by pageblock downwards until
 * the migration scanner is met.
 * @kernel mm/compaction.c isolate_freepages()
 */
export function isolateFreepages(k: KernelState, cc: CompactControl): void {
  fastIsolateFreepages(k, cc);
  if (cc.freePages.pages > 0) return;
  const { zone, state } = cc;
  const low = pageblockEnd(cc.migrate);
  let next = cc.free;
  let stride = cc.mode === 'async' ? COMPACT_CLUSTER_MAX : 1;
  let end = Math.min(pageblockEnd(next), zone.buddy.frames);
  for (let start = pageblockStart(next); start >= low; start -= PAGEBLOCK_PAGES) {
    if (
      isPageblockOfZone(zone, start) &&
      suitableMigrationTarget(cc, start) &&
      isolationSuitable(cc, start)
    ) {
      const result = isolateFreepagesBlock(k, cc, next, end, stride);
      next = result.next;
      if (next === end) {
        state.skip[start >>> PAGEBLOCK_ORDER] = 1;
        state.cachedFree = Math.min(
          state.cachedFree,
          cc.finishes ? start - PAGEBLOCK_PAGES : start,
        );
      }
      if (cc.freePages.pages >= cc.nrIsolated) {
        if (next >= end) next = start - PAGEBLOCK_PAGES;
        break;
      }
      if (next < end) break;
      // Fewer looks per pageblock, the longer none has anything.
      stride = result.taken > 0 ? 1 : Math.min(COMPACT_CLUSTER_MAX, stride << 1);
    }
    end = start;
    next = start - PAGEBLOCK_PAGES;
  }
  cc.free = next;
}

/** The next order of a fast search, round the ring; -1 after all. @kernel mm/compaction.c next_search_order() */
function nextSearchOrder(cc: CompactControl, order: number): number {
  const next = order - 1 < 0 ? cc.order - 1 : order - 1;
  if (next !== cc.searchOrder) return next;
  cc.searchOrder = cc.searchOrder - 1 < 0 ? cc.order - 1 : cc.searchOrder - 1;
  return -1;
}

/** State of one fast search. */
interface FastSearch {
  limit: number;
  scanned: number;
  /** Highest pageblock that was seen, or -1. */
  highest: number;
  lowFrame: number;
  minFrame: number;
}

/**
 * Frames a quarter and half of the way to the migration scanner. Once that was passed, the kernel's unsigned distance puts
 * them beyond all memory.
 */
function searchBounds(cc: CompactControl): { lowFrame: number; minFrame: number } {
  const distance = cc.free - cc.migrate;
  if (distance < 0) return { lowFrame: Infinity, minFrame: Infinity };
  return {
    lowFrame: pageblockStart(cc.free - Math.floor(distance / 4)),
    minFrame: pageblockStart(cc.free - Math.floor(distance / 2)),
  };
}

/**
 * Looks for a free block near the zone's end on the Movable lists, and takes what its pageblock has besides.
 * @kernel mm/compaction.c fast_isolate_freepages()
 */
function fastIsolateFreepages(k: KernelState, cc: CompactControl): void {
  if (cc.order <= 0) return;
  const { zone, state } = cc;
  let limit = Math.max(1, freelistScanLimit(cc) >> 1);
  const atStart = cc.free >= state.initFree;
  if (atStart) limit = PAGEBLOCK_PAGES >> 1;
  const search: FastSearch = { limit, scanned: 0, highest: -1, ...searchBounds(cc) };
  cc.searchOrder = Math.min(cc.order - 1, cc.searchOrder);
  let found = -1;
  for (let order = cc.searchOrder; found < 0 && order >= 0; order = nextSearchOrder(cc, order)) {
    found = searchList(k, cc, order, search);
    if (found === REFUSED) {
      // The mark refuses any other as well: the search ends, as after all orders.
      nextSearchOrder(cc, cc.searchOrder + 1);
      break;
    }
    if (cc.finishes && cc.freePages.pages >= cc.nrIsolated) break;
  }
  if (found < 0) {
    cc.fastSearchFail += 1;
    if (atStart) found = highestSeen(cc, search);
  }
  if (search.highest >= 0 && search.highest >= state.cachedFree) {
    state.cachedFree = search.highest - PAGEBLOCK_PAGES;
  }
  cc.freeScanned += search.scanned;
  if (found >= 0) fastIsolateAround(k, cc, found, zone);
}

/** A block was found, but the mark did not let it go. */
const REFUSED = -2;

function hasBlocks({ buddy }: Zone, order: number): boolean {
  for (let type = 0; type < NR_MIGRATE_TYPES; type += 1) {
    if (buddy.count(order, type) > 0) return true;
  }
  return false;
}

/** Looks through one list from its tail. @returns frame of the block taken, -1 for none, or REFUSED */
function searchList(k: KernelState, cc: CompactControl, order: number, search: FastSearch): number {
  const { buddy } = cc.zone;
  if (!hasBlocks(cc.zone, order)) return -1;
  let scanned = 0;
  let high = -1;
  let found = -1;
  let at = buddy.last(order, MIGRATE_MOVABLE);
  while (at >= 0) {
    scanned += 1;
    search.scanned += 1;
    if (at >= search.highest) {
      search.highest = Math.max(pageblockStart(at), buddy.firstFrame);
    }
    if (at >= search.lowFrame) {
      cc.fastSearchFail = 0;
      cc.searchOrder = order;
      found = at;
      break;
    }
    if (at >= search.minFrame && at > high) {
      high = at;
      search.limit >>= 1;
    }
    if (scanned >= search.limit) break;
    at = buddy.before(at, order);
  }
  if (found < 0 && high >= 0) {
    found = high;
    at = high;
  }
  if (at >= 0) buddy.rotateToHead(at, order);
  if (found >= 0) {
    if (isolateFreePage(cc.zone, cc.cpu, found, order)) {
      search.scanned += (1 << order) - 1;
      cc.freePages.add(found, order);
      countVm(k, 'compact_isolated', 1 << order);
    } else {
      found = REFUSED;
    }
  }
  if (scanned >= search.limit) search.limit = Math.max(1, search.limit >> 1);
  return found;
}

/** At the start of a scan the free scanner goes to the best that was seen. */
function highestSeen(cc: CompactControl, { highest, minFrame }: FastSearch): number {
  if (highest >= minFrame && highest >= 0) {
    cc.free = highest;
    return highest;
  }
  if (!cc.direct || minFrame < 0 || minFrame === Infinity) return -1;
  const suits = isPageblockOfZone(cc.zone, minFrame);
  const target = suits && (!cc.finishes || suitableMigrationTarget(cc, minFrame));
  cc.free = minFrame;
  return target ? minFrame : -1;
}

/** @kernel mm/compaction.c fast_isolate_around() */
function fastIsolateAround(k: KernelState, cc: CompactControl, frame: number, zone: Zone): void {
  if (cc.freePages.pages >= cc.nrIsolated) return;
  if (cc.direct && cc.mode === 'async') return;
  const start = Math.max(pageblockStart(frame), zone.buddy.firstFrame);
  const end = Math.min(pageblockEnd(frame), zone.buddy.frames);
  if (!isPageblockOfZone(zone, start)) return;
  const { next } = isolateFreepagesBlock(k, cc, start, end, 1);
  const bare = cc.finishes ? next === end : cc.freePages.pages < cc.nrIsolated;
  if (bare) cc.state.skip[start >>> PAGEBLOCK_ORDER] = 1;
}
