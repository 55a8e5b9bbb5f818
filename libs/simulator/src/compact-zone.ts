/** One compaction of one zone: the two scanners move towards each other until enough is free in one piece. */
import { MAX_ORDER, MIGRATE_UNMOVABLE, PAGEBLOCK_PAGES } from './buddy';
import { compactionSuitable } from './compaction-suitable';
import { compactionRestarting, resetZone } from './compaction-defer';
import {
  blockEnd,
  compactState,
  pageblockStart,
  scannersMet,
  type CompactControl,
  type CompactResult,
  type MigrateMode,
} from './compact-control';
import { fragmentationScoreZone, scoreLowMark } from './fragmentation-score';
import { HUGE_ORDER } from './constants';
import { canSteal, suitableFallback } from './fallback';
import { isolateMigratepages } from './isolate-migratepages';
import { countVm, type KernelState } from './kernel-state';
import { SplitFree, WholeFree } from './isolated-free';
import { LruFrames } from './lru-frames';
import { migratePages } from './migrate';
import { drainPages, freeToPcp } from './pcp';
import type { Zone } from './zone';

/** What a compaction is done for. */
export interface CompactTask {
  /** Order of the block wanted; -1 to compact all there is. */
  order: number;
  mode: MigrateMode;
  cpu: number;
  type?: number;
  classIndex?: number;
  flags?: number;
  direct?: boolean;
  proactive?: boolean;
  wholeZone?: boolean;
  ignoreSkipHint?: boolean;
  ignoreBlockSuitable?: boolean;
  /** Fast search of the free lists: order to begin with, failures in a row. */
  searchOrder?: number;
  fastSearchFail?: number;
}

/** What a compaction did and what it took. */
export interface CompactOutcome {
  result: CompactResult;
  migrateScanned: number;
  freeScanned: number;
  costNs: number;
  /** Block that was handed to the compactor, or -1. */
  captured: number;
}

/** Compacts a zone at one moment: nobody else acts while it does. @kernel mm/compaction.c compact_zone() */
export function compactZone(k: KernelState, zone: Zone, task: CompactTask): CompactOutcome {
  const begun = begin(k, zone, task);
  if (!('zone' in begun)) return begun;
  const batches = scan(k, begun);
  let batch = batches.next();
  while (!batch.done) batch = batches.next();
  return finish(k, begun, task, batch.value);
}

/**
 * The same while others act between two batches of pages; yields the cost of each in ns.
 * @differs no lock is contended, nothing else happens within a batch
 */
export function* compactZoneSteps(
  k: KernelState,
  zone: Zone,
  task: CompactTask,
): Generator<number, CompactOutcome> {
  const begun = begin(k, zone, task);
  if (!('zone' in begun)) return begun;
  const { result, lastNs } = yield* interrupted(k, begun, scan(k, begun));
  const outcome = finish(k, begun, task, result);
  if (lastNs > 0) yield lastNs;
  return outcome;
}

/** @returns the compaction that may begin, or that there is none */
function begin(k: KernelState, zone: Zone, task: CompactTask): CompactControl | CompactOutcome {
  const { order, classIndex = 0, flags = 0 } = task;
  const nothing = { migrateScanned: 0, freeScanned: 0, costNs: 0, captured: -1 };
  if (order >= 0) {
    const suitable = compactionSuitable(k, zone, order, zone.min, classIndex, flags);
    if (suitable !== 'continue') return { ...nothing, result: suitable };
    if (compactionRestarting(zone, order)) resetZone(zone);
  }
  zone.buddy.capture = task.direct === true ? { order, frame: -1 } : undefined;
  return compactControl(k, zone, task);
}

/**
 * What is over is counted.
 * @param task how it searches from now on, and whether it scans whole zones, is noted in it for the zone it compacts next
 */
function finish(
  k: KernelState,
  cc: CompactControl,
  task: CompactTask,
  result: CompactResult,
): CompactOutcome {
  const { zone } = cc;
  releaseFreepages(k, cc);
  cc.lru.release();
  const captured = zone.buddy.capture?.frame ?? -1;
  zone.buddy.capture = undefined;
  const { wholeZone, searchOrder, fastSearchFail } = cc;
  Object.assign(task, { wholeZone, searchOrder, fastSearchFail });
  countVm(k, 'compact_migrate_scanned', cc.migrateScanned);
  countVm(k, 'compact_free_scanned', cc.freeScanned);
  const { migrateScanned, freeScanned } = cc;
  return { result, migrateScanned, freeScanned, costNs: costOf(k, cc), captured };
}

/** What the scanners did so far, ns. */
function costOf({ hardware }: KernelState, cc: CompactControl): number {
  const scanned = cc.migrateScanned + cc.freeScanned;
  return scanned * hardware.compactScanNs + cc.migrated * hardware.migrateNs;
}

/** Where the scanners begin: at the zone's edges, or where the last run stopped. */
function compactControl(k: KernelState, zone: Zone, task: CompactTask): CompactControl {
  const state = compactState(zone);
  const start = zone.buddy.firstFrame;
  const end = zone.buddy.frames;
  let wholeZone = task.wholeZone ?? false;
  let migrate = start;
  let free = pageblockStart(end - 1);
  if (!wholeZone) {
    if (state.cachedFree < start || state.cachedFree >= end) state.cachedFree = free;
    free = state.cachedFree;
    const cached = state.cachedMigrate[task.mode === 'async' ? 0 : 1];
    if (cached < start || cached >= end) state.cachedMigrate = [start, start];
    else migrate = cached;
    wholeZone = migrate <= state.initMigrate;
  }
  return {
    zone,
    state,
    order: task.order,
    mode: task.mode,
    type: task.type ?? MIGRATE_UNMOVABLE,
    classIndex: task.classIndex ?? 0,
    flags: task.flags ?? 0,
    cpu: task.cpu,
    direct: task.direct ?? false,
    proactive: task.proactive ?? false,
    wholeZone,
    ignoreSkipHint: task.ignoreSkipHint ?? false,
    ignoreBlockSuitable: task.ignoreBlockSuitable ?? false,
    migrate,
    free,
    searchOrder: task.searchOrder ?? task.order,
    fastSearchFail: task.fastSearchFail ?? 0,
    fastStart: undefined,
    rescan: false,
    isolated: [],
    nrIsolated: 0,
    freePages: k.profile.finishesPageblocks ? new WholeFree() : new SplitFree(),
    finishes: k.profile.finishesPageblocks,
    migrateScanned: 0,
    freeScanned: 0,
    migrated: 0,
    lru: LruFrames.hold(zone),
  };
}

/**
 * Yields the cost of each batch of a scan. Meanwhile it is known which pages stand where, whatever others do.
 * @returns how the scan ended, and the cost of its last batch
 */
function* interrupted(
  k: KernelState,
  cc: CompactControl,
  batches: Generator<void, CompactResult>,
): Generator<number, { result: CompactResult; lastNs: number }> {
  const { zone, lru } = cc;
  let paidNs = 0;
  for (let batch = batches.next(); ; batch = batches.next()) {
    const costNs = costOf(k, cc) - paidNs;
    if (batch.done) return { result: batch.value, lastNs: costNs };
    if (costNs === 0) continue;
    paidNs += costNs;
    zone.isolatedFreePages = cc.freePages.pages;
    yield costNs;
    zone.isolatedFreePages = 0;
    lru.resume();
  }
}

/** Batch by batch: isolate, move, until compact_finished() says so. */
function* scan(k: KernelState, cc: CompactControl): Generator<void, CompactResult> {
  const { zone, state } = cc;
  const async = cc.mode === 'async';
  let keepCachedEqual = async && state.cachedMigrate[0] === state.cachedMigrate[1];
  // The kernel starts from page number 0, which is a place of its own in the zone that begins there.
  const nowhere = -zone.buddy.basePfn;
  let lastMigrated = nowhere;
  let again = false;
  for (;;) {
    if (!again) {
      const finished = compactFinished(k, cc);
      if (finished !== 'continue') return finished;
      cc.rescan = pageblockStart(lastMigrated) === pageblockStart(cc.migrate);
    }
    again = false;
    // What was freed is looked at before anybody else can have it.
    yield;
    const before = cc.migrate;
    if (isolateMigratepages(k, cc)) {
      keepCachedEqual = false;
      lastMigrated = cc.finishes
        ? Math.max(zone.buddy.firstFrame, pageblockStart(cc.migrate - 1))
        : before;
      const outcome = migratePages(k, cc);
      cc.nrIsolated = 0;
      if (outcome !== 'moved') {
        if (outcome === 'no-memory' && !scannersMet(cc)) return 'contended';
        if (cc.finishes) {
          if (finishesBlock(cc)) {
            cc.rescan = true;
            if (cc.order === HUGE_ORDER) lastMigrated = nowhere;
            again = true;
            continue;
          }
        } else if (cc.direct && async) {
          cc.migrate = blockEnd(cc.migrate - 1, cc.order);
          lastMigrated = nowhere;
        }
      }
      if (cc.finishes && (zone.buddy.capture?.frame ?? -1) >= 0) return 'success';
    } else if (keepCachedEqual) {
      state.cachedMigrate[1] = state.cachedMigrate[0];
    }
    if (cc.order > 0 && lastMigrated !== nowhere) {
      // Past the block that was emptied: what it freed has to merge before anyone looks for it.
      if (lastMigrated < Math.floor(cc.migrate / (1 << cc.order)) * (1 << cc.order)) {
        const pcp = zone.pcps[cc.cpu]!;
        if (pcp.pages > 0) drainPages(zone, pcp, pcp.pages, 0);
        lastMigrated = nowhere;
      }
    }
    if ((zone.buddy.capture?.frame ?? -1) >= 0) return 'success';
  }
}

/** A page could not be moved: the rest of its pageblock is taken as well, so that nobody begins there again soon. */
function finishesBlock(cc: CompactControl): boolean {
  if (cc.migrate % PAGEBLOCK_PAGES === 0 || cc.ignoreSkipHint) return false;
  return !cc.rescan && cc.mode !== 'sync';
}

/** @kernel mm/compaction.c __compact_finished() */
function compactFinished(k: KernelState, cc: CompactControl): CompactResult {
  const { zone, state } = cc;
  const { buddy } = zone;
  if (scannersMet(cc)) {
    state.cachedMigrate = [buddy.firstFrame, buddy.firstFrame];
    state.cachedFree = pageblockStart(buddy.frames - 1);
    if (cc.direct) state.blockskipFlush = true;
    return cc.wholeZone ? 'complete' : 'partial';
  }
  if (cc.proactive) {
    if (zone.node.kswapd.state === 'running') return 'partial';
    // Read each time: it may be written while the zone is compacted.
    const lowMark = scoreLowMark(k.sysctl.compaction_proactiveness);
    return fragmentationScoreZone(zone) > lowMark ? 'continue' : 'success';
  }
  if (cc.order < 0 || cc.migrate % PAGEBLOCK_PAGES !== 0) return 'continue';
  for (let order = cc.order; order < MAX_ORDER; order += 1) {
    if (buddy.count(order, cc.type) > 0) return 'success';
    if (canSteal(order, cc.type) && suitableFallback(zone, order, cc.type) >= 0) return 'success';
  }
  return 'continue';
}

/** Free pages that were not needed return through the CPU's lists; the free scanner begins there next time. */
function releaseFreepages(k: KernelState, cc: CompactControl): void {
  const { zone, state } = cc;
  const highest = cc.freePages.release((frame, order) => {
    freeToPcp(zone, cc.cpu, order, frame, 1, 1);
    countVm(k, 'pgfree', 1 << order);
  });
  if (highest >= 0) state.cachedFree = Math.max(state.cachedFree, pageblockStart(highest));
}
