import { freeList } from './buddy';
import {
  COMPACT_CLUSTER_MAX,
  blockEnd,
  freelistScanLimit,
  hasSkip,
  isIsolationSuitable,
  isPageblockAligned,
  isSkipPersistent,
  pageblockEnd,
  pageblockStart,
  setSkip,
} from './compact-control';
import type { CompactControl } from './compact-control';
import { note } from './events';
import { addToLru, removeFromLru } from './lru';
import {
  COSTLY_ORDER,
  MOVABLE,
  PAGEBLOCK_PAGES,
  UNEVICTABLE,
  count,
  isOnlineBlock,
  pageAt,
  pageblockType,
  pfnOf,
} from './state';
import type { System } from './state';
import { isUnderWriteback } from './swap-write';

/** @kernel mm/compaction.c update_cached_migrate(); the end of an end is one pageblock further */
function updateCachedMigrate(cc: CompactControl, pfn: number): void {
  const { cachedMigratePfn } = cc.zone.compaction;
  const end = pageblockEnd(pfn);
  cachedMigratePfn[0] = Math.max(cachedMigratePfn[0], end);
  if (cc.mode !== 'async') {
    cachedMigratePfn[1] = Math.max(cachedMigratePfn[1], end);
  }
}

/** @kernel mm/compaction.c test_and_set_skip() @returns whether it was set */
function testAndSetSkip(cc: CompactControl, pfn: number): boolean {
  if (cc.ignoreSkipHint || !isPageblockAligned(pfn)) {
    return false;
  }
  const was = hasSkip(cc.zone, pfn);
  setSkip(cc.zone, pfn);
  return was;
}

/**
 * May a page be moved?
 * @differs what is being written stays, also where the kernel would wait for it
 */
function isMigratable(system: System, page: number): boolean {
  const list = system.pages.lru[page];
  if (list === UNEVICTABLE && !isUnevictableAllowed(system)) {
    return false;
  }
  return list !== -1 && !isUnderWriteback(system, page);
}

/** vm.compact_unevictable_allowed as it is at this moment. */
function isUnevictableAllowed(system: System): boolean {
  return (
    system.mutation === 'locked pages always move' ||
    (system.sysctl.compact_unevictable_allowed ?? 1) !== 0
  );
}

function isolate(system: System, cc: CompactControl, page: number): void {
  // Where it goes back to is on the page, as PG_active.
  const list = system.pages.lru[page] ?? 0;
  removeFromLru(system, page);
  cc.migratepages.push(page);
  cc.lists.set(page, list);
  cc.nrMigratepages++;
}

/** @kernel mm/migrate.c putback_movable_pages() */
export function putbackMovablePages(system: System, cc: CompactControl): void {
  for (let page = cc.migratepages.pop(); page !== undefined; page = cc.migratepages.pop()) {
    addToLru(system, page, cc.lists.get(page) ?? 0);
  }
  cc.nrMigratepages = 0;
}

/** @kernel mm/compaction.c isolate_migratepages_block() */
function isolateMigratepagesBlock(
  system: System,
  cc: CompactControl,
  lowPfn: number,
  endPfn: number,
): void {
  const { zone } = cc;
  // A block of the order wanted that cannot become free as a whole is not worth a move.
  const skipOnFailure = cc.direct && cc.mode === 'async';
  let nextSkip = skipOnFailure ? blockEnd(lowPfn, cc.order) : 0;
  let scanned = 0;
  let isolated = 0;
  let checked = -1;
  let skipUpdated = false;
  let pfn = lowPfn;
  for (; pfn < endPfn; pfn++) {
    if (skipOnFailure && pfn >= nextSkip) {
      if (isolated > 0) {
        break;
      }
      nextSkip = blockEnd(pfn, cc.order);
    }
    scanned++;
    if (checked === -1 && isPageblockAligned(pfn)) {
      if (!isIsolationSuitable(cc, pfn)) {
        pfn = endPfn;
        break;
      }
      checked = pfn;
    }
    const page = pageAt(zone, pfn);
    const order = system.pages.freeOrder[page] ?? -1;
    if (order !== -1) {
      pfn += (1 << order) - 1;
      continue;
    }
    if (system.pages.huge[page] === 1) {
      pfn += PAGEBLOCK_PAGES - 1;
    } else if (isMigratable(system, page)) {
      if (!skipUpdated) {
        skipUpdated = true;
        if (testAndSetSkip(cc, pfn)) {
          break;
        }
      }
      isolate(system, cc, page);
      isolated++;
      if (cc.nrMigratepages >= COMPACT_CLUSTER_MAX && !cc.rescan) {
        pfn++;
        break;
      }
      continue;
    }
    if (!skipOnFailure) {
      continue;
    }
    if (isolated > 0) {
      note(system, 'isolated pages put back');
      putbackMovablePages(system, cc);
      isolated = 0;
    }
    if (pfn < nextSkip) {
      pfn = nextSkip - 1;
      nextSkip += 2 ** cc.order;
    }
  }
  pfn = Math.min(pfn, endPfn);
  if (pfn === endPfn && (isolated === 0 || cc.rescan)) {
    if (checked !== -1 && !skipUpdated) {
      setSkip(zone, checked);
    }
    updateCachedMigrate(cc, pfn);
  }
  cc.totalMigrateScanned += scanned;
  count(system, 'compact_isolated', isolated);
  cc.migratePfn = pfn;
}

/** @kernel mm/compaction.c suitable_migration_source() */
function isSuitableSource(system: System, cc: CompactControl, pfn: number): boolean {
  if (isSkipPersistent(system, cc.zone, pfn)) {
    return false;
  }
  if (cc.mode !== 'async' || !cc.direct) {
    return true;
  }
  return pageblockType(cc.zone, pageAt(cc.zone, pfn)) === cc.type;
}

/** @kernel mm/compaction.c reinit_migrate_pfn() */
function reinitMigratePfn(cc: CompactControl): number {
  if (cc.fastStartPfn !== 0 && cc.fastStartPfn !== Infinity) {
    cc.migratePfn = cc.fastStartPfn;
    cc.fastStartPfn = Infinity;
  }
  return cc.migratePfn;
}

/** @kernel mm/compaction.c update_fast_start_pfn() */
function updateFastStartPfn(cc: CompactControl, pfn: number): void {
  if (cc.fastStartPfn !== Infinity) {
    cc.fastStartPfn = cc.fastStartPfn === 0 ? pfn : Math.min(cc.fastStartPfn, pfn);
  }
}

/** May a search of the free lists choose the pageblock? The first conditions of fast_find_migrateblock(). */
function mayFindFast(cc: CompactControl): boolean {
  const pfn = cc.migratePfn;
  return (
    !cc.ignoreSkipHint &&
    (pfn === cc.zone.startPfn || isPageblockAligned(pfn)) &&
    cc.order > COSTLY_ORDER &&
    (!cc.direct || cc.type === MOVABLE)
  );
}

/**
 * A pageblock of which some is free already.
 * @kernel mm/compaction.c fast_find_migrateblock()
 */
function fastFindMigrateblock(system: System, cc: CompactControl): number {
  const { zone } = cc;
  const { lists } = system;
  const limit = freelistScanLimit(cc);
  if (!mayFindFast(cc)) {
    return cc.migratePfn;
  }
  let distance = Math.floor((cc.freePfn - cc.migratePfn) / 2);
  if (cc.migratePfn !== zone.startPfn) {
    distance = Math.floor(distance / 4);
  }
  const highPfn = pageblockStart(cc.migratePfn + distance);
  let scanned = 0;
  let found = -1;
  for (let order = cc.order - 1; order >= COSTLY_ORDER; order--) {
    const list = freeList(zone, order, MOVABLE);
    for (let at = lists.first(list); at !== -1; at = lists.after(list, at)) {
      if (scanned++ >= limit) {
        lists.endWith(list, at);
        break;
      }
      const pfn = pfnOf(system, at);
      if (pfn >= highPfn || hasSkip(zone, pfn)) {
        continue;
      }
      lists.endWith(list, at);
      updateFastStartPfn(cc, pfn);
      found = Math.max(pageblockStart(pfn), zone.startPfn);
      cc.fastSearchFail = 0;
      setSkip(zone, pfn);
      break;
    }
    if (found !== -1 || scanned >= limit) {
      break;
    }
  }
  cc.totalMigrateScanned += scanned;
  if (found !== -1) {
    note(system, 'pageblock found by a fast search');
    return found;
  }
  cc.fastSearchFail++;
  return reinitMigratePfn(cc);
}

/**
 * Takes pages off the LRU lists, from the next pageblock that is worth it.
 * @kernel mm/compaction.c isolate_migratepages()
 * @returns whether there are pages to move
 */
export function isolateMigratepages(system: System, cc: CompactControl): boolean {
  let pfn = fastFindMigrateblock(system, cc);
  let foundFast = pfn !== cc.migratePfn && cc.fastSearchFail === 0;
  for (let end = pageblockEnd(pfn); end <= cc.freePfn; end += PAGEBLOCK_PAGES) {
    const start = Math.max(pageblockStart(pfn), cc.zone.startPfn);
    const offline = !isOnlineBlock(cc.zone, start);
    const skipped =
      offline || (isPageblockAligned(pfn) && !foundFast && !isIsolationSuitable(cc, start));
    if (!skipped && isSuitableSource(system, cc, start)) {
      isolateMigratepagesBlock(system, cc, pfn, end);
      break;
    }
    if (!skipped) {
      updateCachedMigrate(cc, end);
    }
    foundFast = false;
    pfn = end;
    cc.migratePfn = end;
  }
  return cc.nrMigratepages > 0;
}
