import { freeList, isMergeable, removeFromFreeList } from './buddy';
import {
  COMPACT_CLUSTER_MAX,
  freelistScanLimit,
  isIsolationSuitable,
  isMovableBlock,
  pageblockEnd,
  pageblockStart,
  setSkip,
} from './compact-control';
import type { CompactControl } from './compact-control';
import { note } from './events';
import {
  MOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  count,
  endPfnOf,
  isOnlineBlock,
  pageAt,
  pageblockType,
  pfnOf,
  setPageblockType,
} from './state';
import type { System, Zone } from './state';
import { NO_RIGHTS, isWatermarkOk } from './watermark';

/** A free block that was taken off its list. */
interface Block {
  page: number;
  order: number;
}

/** @kernel mm/page_alloc.c __isolate_free_page() @returns pages taken, 0 if the zone would be short of them */
function isolateFreePage(system: System, zone: Zone, page: number): number {
  const order = system.pages.freeOrder[page] ?? 0;
  const pages = 1 << order;
  if (!isWatermarkOk(system, zone, 0, zone.min + pages, 0, NO_RIGHTS, zone.free)) {
    note(system, 'free scanner stopped by the mark');
    return 0;
  }
  zone.free -= pages;
  removeFromFreeList(system, page);
  if (order >= PAGEBLOCK_ORDER - 1) {
    for (let at = page; at < page + pages - 1; at += PAGEBLOCK_PAGES) {
      if (isMergeable(pageblockType(zone, at))) {
        setPageblockType(zone, at, MOVABLE);
      }
    }
  }
  return pages;
}

/**
 * @kernel mm/compaction.c isolate_freepages_block(), not strict
 * @returns pages taken, and where it stopped
 */
function isolateFreepagesBlock(
  system: System,
  cc: CompactControl,
  startPfn: number,
  endPfn: number,
  stride: number,
  blocks: Block[],
): { isolated: number; pfn: number } {
  let scanned = 0;
  let isolated = 0;
  let pfn = startPfn;
  for (; pfn < endPfn; pfn += stride) {
    scanned++;
    const page = pageAt(cc.zone, pfn);
    const order = system.pages.freeOrder[page] ?? -1;
    if (system.pages.huge[page] === 1) {
      pfn += PAGEBLOCK_PAGES - 1;
    }
    if (order === -1) {
      continue;
    }
    const pages = isolateFreePage(system, cc.zone, page);
    if (pages === 0) {
      break;
    }
    scanned += pages - 1;
    isolated += pages;
    cc.nrFreepages += pages;
    blocks.push({ page, order });
    if (cc.nrMigratepages <= cc.nrFreepages) {
      pfn += pages;
      break;
    }
    pfn += pages - 1;
  }
  cc.totalFreeScanned += scanned;
  count(system, 'compact_isolated', isolated);
  return { isolated, pfn: Math.min(pfn, endPfn) };
}

/** The next order of the search, round the ring; -1 after the last. @kernel mm/compaction.c next_search_order() */
function nextSearchOrder(cc: CompactControl, order: number): number {
  const next = order === 0 ? cc.order - 1 : order - 1;
  if (next !== cc.searchOrder) {
    return next;
  }
  cc.searchOrder = cc.searchOrder === 0 ? cc.order - 1 : cc.searchOrder - 1;
  return -1;
}

/** a - b where the kernel's unsigned numbers may have passed each other. */
function minus(a: bigint, b: bigint): bigint {
  return BigInt.asUintN(64, a - b);
}

/**
 * pfns a quarter and half of the way from the free scanner to the other one; beyond all memory where it has passed it.
 */
function searchBounds(cc: CompactControl): { lowPfn: number; minPfn: number } {
  const free = BigInt(cc.freePfn);
  const distance = minus(free, BigInt(cc.migratePfn));
  const start = (pfn: bigint): number => Number(pfn - (pfn % BigInt(PAGEBLOCK_PAGES)));
  return { lowPfn: start(minus(free, distance >> 2n)), minPfn: start(minus(free, distance >> 1n)) };
}

/** More of a pageblock where one block was found. @kernel mm/compaction.c fast_isolate_around() */
function fastIsolateAround(system: System, cc: CompactControl, pfn: number, blocks: Block[]): void {
  if (cc.nrFreepages >= cc.nrMigratepages || (cc.direct && cc.mode === 'async')) {
    return;
  }
  const start = Math.max(pageblockStart(pfn), cc.zone.startPfn);
  const end = Math.min(pageblockEnd(pfn), endPfnOf(cc.zone));
  isolateFreepagesBlock(system, cc, start, end, 1, blocks);
  if (cc.nrFreepages < cc.nrMigratepages) {
    setSkip(cc.zone, start);
  }
}

/** What a search of the lists has found so far. */
interface Search {
  limit: number;
  scanned: number;
  /** Start of the highest pageblock met. */
  highest: number;
  lowPfn: number;
  minPfn: number;
}

/**
 * Looks through the movable list of one order, from its tail.
 * @returns the page to take, -1 if none lies high enough
 */
function searchOrder(system: System, cc: CompactControl, order: number, search: Search): number {
  const { zone } = cc;
  const { lists } = system;
  const list = freeList(zone, order, MOVABLE);
  let found = -1;
  let best = -1;
  let bestPfn = 0;
  let scanned = 0;
  let at = lists.last(list);
  for (; at !== -1; at = lists.before(list, at)) {
    scanned++;
    search.scanned++;
    const pfn = pfnOf(system, at);
    if (pfn >= search.highest) {
      search.highest = Math.max(pageblockStart(pfn), zone.startPfn);
    }
    if (pfn >= search.lowPfn) {
      cc.fastSearchFail = 0;
      cc.searchOrder = order;
      found = at;
      break;
    }
    if (pfn >= search.minPfn && pfn > bestPfn) {
      bestPfn = pfn;
      best = at;
      search.limit >>= 1;
    }
    if (scanned >= search.limit) {
      break;
    }
  }
  if (found === -1 && best !== -1) {
    found = best;
    at = best;
  }
  if (at !== -1 && system.mutation !== 'searched free list keeps its order') {
    lists.beginWith(list, at);
  }
  // The caller takes the block under the same lock; the limit shrinks behind that, which nothing in between sees.
  if (scanned >= search.limit) {
    search.limit = Math.max(1, search.limit >> 1);
  }
  return found;
}

function hasFree(system: System, zone: Zone, order: number): boolean {
  return ([0, 1, 2, 3, 4] as const).some(
    (type) => !system.lists.isEmpty(freeList(zone, order, type)),
  );
}

/** @kernel mm/compaction.c fast_isolate_freepages() */
function fastIsolateFreepages(system: System, cc: CompactControl, blocks: Block[]): void {
  const { zone } = cc;
  const state = zone.compaction;
  if (cc.order <= 0) {
    return;
  }
  const scanStart = cc.freePfn >= state.initFreePfn;
  const search: Search = {
    limit: scanStart ? PAGEBLOCK_PAGES >> 1 : Math.max(1, freelistScanLimit(cc) >> 1),
    scanned: 0,
    highest: 0,
    ...searchBounds(cc),
  };
  cc.searchOrder = Math.min(cc.order - 1, cc.searchOrder);
  let from = -1;
  for (let order = cc.searchOrder; from === -1 && order >= 0; order = nextSearchOrder(cc, order)) {
    if (!hasFree(system, zone, order)) {
      continue;
    }
    const page = searchOrder(system, cc, order, search);
    if (page === -1) {
      continue;
    }
    const pages = isolateFreePage(system, zone, page);
    if (pages === 0) {
      // A search that is refused is over.
      order = cc.searchOrder + 1;
      continue;
    }
    note(system, 'free page found by a fast search');
    from = pfnOf(system, page);
    search.scanned += pages - 1;
    cc.nrFreepages += pages;
    blocks.push({ page, order });
    count(system, 'compact_isolated', pages);
  }
  if (from === -1) {
    cc.fastSearchFail++;
    if (scanStart && search.highest >= search.minPfn) {
      from = search.highest;
      cc.freePfn = from;
    } else if (scanStart && cc.direct && search.minPfn < endPfnOf(zone)) {
      from = isOnlineBlock(zone, search.minPfn) ? search.minPfn : -1;
      cc.freePfn = search.minPfn;
    }
  }
  if (search.highest > 0 && search.highest >= state.cachedFreePfn) {
    state.cachedFreePfn = search.highest - PAGEBLOCK_PAGES;
  }
  cc.totalFreeScanned += search.scanned;
  if (from !== -1) {
    fastIsolateAround(system, cc, from, blocks);
  }
}

/** @kernel mm/compaction.c suitable_migration_target() */
function isSuitableTarget(system: System, cc: CompactControl, pfn: number): boolean {
  if ((system.pages.freeOrder[pageAt(cc.zone, pfn)] ?? -1) >= PAGEBLOCK_ORDER) {
    return false;
  }
  return cc.ignoreBlockSuitable || isMovableBlock(cc.zone, pfn);
}

/** @kernel mm/compaction.c update_pageblock_skip() */
function updatePageblockSkip(cc: CompactControl, pfn: number): void {
  const state = cc.zone.compaction;
  setSkip(cc.zone, pfn);
  state.cachedFreePfn = Math.min(state.cachedFreePfn, pfn);
}

/** Goes down block by block until enough is taken. @kernel mm/compaction.c isolate_freepages(), its loop */
function scanFreepages(system: System, cc: CompactControl, blocks: Block[]): void {
  let at = cc.freePfn;
  let start = pageblockStart(at);
  let end = Math.min(start + PAGEBLOCK_PAGES, endPfnOf(cc.zone));
  const lowPfn = pageblockEnd(cc.migratePfn);
  let stride = cc.mode === 'async' ? COMPACT_CLUSTER_MAX : 1;
  for (; start >= lowPfn; end = start, start -= PAGEBLOCK_PAGES, at = start) {
    if (!isOnlineBlock(cc.zone, start)) {
      continue;
    }
    if (!isSuitableTarget(system, cc, start) || !isIsolationSuitable(cc, start)) {
      continue;
    }
    const { isolated, pfn } = isolateFreepagesBlock(system, cc, at, end, stride, blocks);
    at = pfn;
    if (at === end) {
      updatePageblockSkip(cc, start);
    }
    if (cc.nrFreepages >= cc.nrMigratepages) {
      if (at >= end) {
        at = start - PAGEBLOCK_PAGES;
      }
      break;
    }
    if (at < end) {
      break;
    }
    stride = isolated > 0 ? 1 : Math.min(COMPACT_CLUSTER_MAX, stride << 1);
  }
  cc.freePfn = at;
}

/** Fills the empty list of free pages. @kernel mm/compaction.c isolate_freepages(), split_map_pages() */
export function isolateFreepages(system: System, cc: CompactControl): void {
  const blocks: Block[] = [];
  fastIsolateFreepages(system, cc, blocks);
  if (cc.nrFreepages === 0) {
    scanFreepages(system, cc, blocks);
  }
  // The list is filled from its head: what came last is used first.
  for (const { page, order } of blocks) {
    for (let i = 0; i < 1 << order; i++) {
      cc.freepages.push(page + i);
    }
  }
}
