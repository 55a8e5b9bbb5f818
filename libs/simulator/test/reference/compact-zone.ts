import { freeList } from './buddy';
import {
  COMPACT_COMPLETE,
  COMPACT_CONTENDED,
  COMPACT_CONTINUE,
  COMPACT_PARTIAL_SKIPPED,
  COMPACT_SUCCESS,
  blockEnd,
  blockStart,
  isPageblockAligned,
  lastPageblock,
  pageblockStart,
  scannersMet,
} from './compact-control';
import type { CompactControl } from './compact-control';
import { isRestarting, resetZone } from './compaction-defer';
import { note } from './events';
import { canSteal, findFallback } from './fallback';
import {
  compactionSuitable,
  fragmentationScoreWmark,
  fragmentationScoreZone,
} from './fragmentation';
import { isolateFreepages } from './isolate-free';
import { isolateMigratepages, putbackMovablePages } from './isolate-migrate';
import { addToLru, clearPage, hasFlag } from './lru';
import { drainPagesZone, freePage } from './pcp';
import { MAX_ORDER, PG_SWAPCACHE, count, endPfnOf, pfnOf } from './state';
import type { Owner, System } from './state';

/** What is one page becomes another. @kernel mm/migrate.c migrate_folio(), folio_migrate_flags() */
export function movePage(
  system: System,
  from: number,
  to: number,
  list: number,
  cpu: number,
): void {
  const { pages } = system;
  const owner = system.owners.get(pages.owner[from] ?? -1) as Owner;
  const index = pages.ownerIndex[from] ?? 0;
  if (hasFlag(system, from, PG_SWAPCACHE)) {
    owner.swapCache.set(index, to);
  } else {
    owner.pages[index] = to;
  }
  pages.owner[to] = pages.owner[from] ?? -1;
  pages.ownerIndex[to] = index;
  pages.mapped[to] = pages.mapped[from] ?? 0;
  const keeps = system.mutation !== 'moved page loses its marks';
  pages.flags[to] = keeps ? (pages.flags[from] ?? 0) : 0;
  addToLru(system, to, list);
  clearPage(system, from);
  freePage(system, from, 0, cpu);
}

/**
 * Moves what was isolated, the last one first.
 * @kernel mm/migrate.c migrate_pages(), mm/compaction.c compaction_alloc()
 * @returns whether there was a free page for each; those without stay isolated
 */
function migratePages(system: System, cc: CompactControl): boolean {
  let moved = 0;
  for (let page = cc.migratepages.pop(); page !== undefined; page = cc.migratepages.pop()) {
    if (cc.freepages.length === 0) {
      isolateFreepages(system, cc);
    }
    const to = cc.freepages.pop();
    if (to === undefined) {
      cc.migratepages.push(page);
      count(system, 'pgmigrate_fail');
      note(system, 'no free page to move to');
      break;
    }
    cc.nrFreepages--;
    movePage(system, page, to, cc.lists.get(page) ?? 0, cc.cpu);
    moved++;
  }
  count(system, 'pgmigrate_success', moved);
  note(system, 'page moved', moved);
  cc.migrated += moved;
  return cc.migratepages.length === 0;
}

function kswapdRuns(cc: CompactControl): boolean {
  return cc.zone.node.kswapd.state === 'running';
}

/** @kernel mm/compaction.c __compact_finished() */
function compactFinished(system: System, cc: CompactControl): number {
  const { zone } = cc;
  const state = zone.compaction;
  if (scannersMet(cc)) {
    note(system, 'scanners met');
    state.cachedMigratePfn = [zone.startPfn, zone.startPfn];
    state.cachedFreePfn = lastPageblock(zone);
    if (cc.direct) {
      state.blockskipFlush = true;
    }
    return cc.wholeZone ? COMPACT_COMPLETE : COMPACT_PARTIAL_SKIPPED;
  }
  if (cc.proactive) {
    if (kswapdRuns(cc)) {
      return COMPACT_PARTIAL_SKIPPED;
    }
    const low = fragmentationScoreWmark(system.sysctl.compaction_proactiveness ?? 0, true);
    return fragmentationScoreZone(system, zone) > low ? COMPACT_CONTINUE : COMPACT_SUCCESS;
  }
  if (cc.order === -1 || !isPageblockAligned(cc.migratePfn)) {
    return COMPACT_CONTINUE;
  }
  for (let order = cc.order; order < MAX_ORDER; order++) {
    const own = !system.lists.isEmpty(freeList(zone, order, cc.type));
    const steals = canSteal(order, cc.type) && findFallback(system, zone, order, cc.type) !== -1;
    if (own || steals) {
      return COMPACT_SUCCESS;
    }
  }
  return COMPACT_CONTINUE;
}

/** Where the scanners begin. @kernel mm/compaction.c compact_zone(), its first part */
function placeScanners(cc: CompactControl): void {
  const { zone } = cc;
  const state = zone.compaction;
  const inZone = (pfn: number): boolean => pfn >= zone.startPfn && pfn < endPfnOf(zone);
  if (cc.wholeZone) {
    cc.migratePfn = zone.startPfn;
    cc.freePfn = lastPageblock(zone);
    return;
  }
  cc.migratePfn = state.cachedMigratePfn[cc.mode === 'async' ? 0 : 1];
  cc.freePfn = state.cachedFreePfn;
  if (!inZone(cc.freePfn)) {
    cc.freePfn = lastPageblock(zone);
    state.cachedFreePfn = cc.freePfn;
  }
  if (!inZone(cc.migratePfn)) {
    cc.migratePfn = zone.startPfn;
    state.cachedMigratePfn = [zone.startPfn, zone.startPfn];
  }
  if (cc.migratePfn <= state.initMigratePfn) {
    // It stays so for the zones that the same task compacts next.
    cc.wholeZone = true;
  }
}

/** @kernel mm/compaction.c release_freepages(), and the part of compact_zone() around it */
function releaseFreepages(system: System, cc: CompactControl): void {
  if (cc.nrFreepages === 0) {
    return;
  }
  let highest = 0;
  for (let page = cc.freepages.pop(); page !== undefined; page = cc.freepages.pop()) {
    highest = Math.max(highest, pfnOf(system, page));
    freePage(system, page, 0, cc.cpu);
  }
  cc.nrFreepages = 0;
  const state = cc.zone.compaction;
  state.cachedFreePfn = Math.max(state.cachedFreePfn, pageblockStart(highest));
}

/**
 * The two scanners in turns until one of the ends; yields before each turn.
 * @kernel mm/compaction.c compact_zone(), its loop
 */
function* scan(system: System, cc: CompactControl): Generator<void, number> {
  const { zone } = cc;
  const state = zone.compaction;
  const async = cc.mode === 'async';
  let updateCached = async && state.cachedMigratePfn[0] === state.cachedMigratePfn[1];
  let lastMigrated = 0;
  for (;;) {
    const result = compactFinished(system, cc);
    if (result !== COMPACT_CONTINUE) {
      return result;
    }
    const iterationStart = cc.migratePfn;
    cc.rescan = pageblockStart(lastMigrated) === pageblockStart(iterationStart);
    note(system, 'pageblock scanned again', cc.rescan ? 1 : 0);
    yield;
    if (isolateMigratepages(system, cc)) {
      updateCached = false;
      lastMigrated = iterationStart;
      const all = migratePages(system, cc);
      cc.nrMigratepages = 0;
      if (!all) {
        putbackMovablePages(system, cc);
        if (!scannersMet(cc)) {
          return COMPACT_CONTENDED;
        }
        if (cc.direct && async) {
          cc.migratePfn = blockEnd(cc.migratePfn - 1, cc.order);
          lastMigrated = 0;
        }
      }
    } else if (updateCached) {
      state.cachedMigratePfn[1] = state.cachedMigratePfn[0];
    }
    if (cc.order > 0 && lastMigrated > 0 && lastMigrated < blockStart(cc.migratePfn, cc.order)) {
      if (system.mutation !== 'no drain behind a migrated block') {
        drainPagesZone(system, zone, cc.cpu);
      }
      lastMigrated = 0;
    }
    if (system.capture !== null && system.capture.page !== -1) {
      return COMPACT_SUCCESS;
    }
  }
}

/**
 * Compacts the zone of a task; others may act where it yields what it has cost since it did so last.
 * @kernel mm/compaction.c compact_zone()
 * @differs no lock is contended; what lies between two yields happens at one moment
 * @returns how it ended; what it cost since the last yield is the caller's to pass
 */
export function* compactInTurns(
  system: System,
  cc: CompactControl,
): Generator<number, { status: number; restNs: number }> {
  const { zone } = cc;
  cc.totalMigrateScanned = 0;
  cc.totalFreeScanned = 0;
  cc.migrated = 0;
  cc.nrMigratepages = 0;
  cc.nrFreepages = 0;
  const suitable = compactionSuitable(system, zone, cc.order, cc.flags, cc.classIndex);
  if (suitable !== COMPACT_CONTINUE) {
    return { status: suitable, restNs: 0 };
  }
  note(system, 'zone compacted');
  if (isRestarting(zone, cc.order)) {
    resetZone(system, zone);
  }
  cc.fastStartPfn = 0;
  placeScanners(cc);
  system.isolatedFree.add(cc.freepages);
  let passedNs = 0;
  const turns = scan(system, cc);
  let turn = turns.next();
  for (; !turn.done; turn = turns.next()) {
    const costNs = compactCostNs(system, cc);
    if (costNs > passedNs) {
      yield costNs - passedNs;
    }
    passedNs = costNs;
  }
  releaseFreepages(system, cc);
  system.isolatedFree.delete(cc.freepages);
  count(system, 'compact_migrate_scanned', cc.totalMigrateScanned);
  count(system, 'compact_free_scanned', cc.totalFreeScanned);
  return { status: turn.value, restNs: compactCostNs(system, cc) - passedNs };
}

/** The same at one moment. @returns how it ended; what it cost is the caller's to pass */
export function compactZone(system: System, cc: CompactControl): number {
  const turns = compactInTurns(system, cc);
  let turn = turns.next();
  while (!turn.done) {
    turn = turns.next();
  }
  return turn.value.status;
}

/** What the last zone cost. */
export function compactCostNs(system: System, cc: CompactControl): number {
  const { compaction } = system.config;
  const scanned = cc.totalMigrateScanned + cc.totalFreeScanned;
  return scanned * (compaction?.compactScanNs ?? 0) + cc.migrated * (compaction?.migrateNs ?? 0);
}
