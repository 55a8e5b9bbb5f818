/** The migration scanner: LRU pages to be moved, taken from the start of the zone upwards. */
import { MIGRATE_MOVABLE, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import {
  blockEnd,
  COMPACT_CLUSTER_MAX,
  freelistScanLimit,
  isolationSuitable,
  isPageblockOfZone,
  pageblockEnd,
  pageblockStart,
  USED_UP,
  type CompactControl,
} from './compact-control';
import { PAGE_ALLOC_COSTLY_ORDER } from './constants';
import { isHugeHead } from './isolate-freepages';
import { SLAB_PAGES } from './initial-slab';
import { countVm, type KernelState } from './kernel-state';
import { isMovable, putbackMovablePages } from './migrate';

/**
 * Isolates pages of the next pageblocks, as far as the first of them that has one.
 * @returns true when pages wait to be moved
 * @kernel mm/compaction.c isolate_migratepages()
 */
export function isolateMigratepages(k: KernelState, cc: CompactControl): boolean {
  const { zone } = cc;
  let low = fastFindMigrateblock(cc);
  let found = low !== cc.migrate && cc.fastSearchFail === 0;
  for (let end = pageblockEnd(low); end <= cc.free; end += PAGEBLOCK_PAGES) {
    const start = Math.max(end - PAGEBLOCK_PAGES, zone.buddy.firstFrame);
    if (isPageblockOfZone(zone, start)) {
      // A pageblock that the fast search found is marked to be skipped by now; one begun is gone on with.
      const skipped = isBlockStart(cc, low) && !found && !isolationSuitable(cc, start);
      if (!skipped) {
        if (suitableMigrationSource(cc, start)) {
          isolateBlock(k, cc, low, end);
          break;
        }
        updateCachedMigrate(cc, end);
      }
    }
    found = false;
    low = end;
    cc.migrate = end;
  }
  return cc.nrIsolated > 0;
}

/**
 * Asynchronous direct compaction looks at pageblocks of the request's own type only; huge pages stay.
 * @kernel mm/compaction.c suitable_migration_source()
 */
function suitableMigrationSource(cc: CompactControl, start: number): boolean {
  const ofItsType = cc.mode !== 'async' || !cc.direct || cc.zone.buddy.typeOf(start) === cc.type;
  return ofItsType && !isHugeHead(cc, start);
}

/** A zone may begin within a pageblock: that counts as its start from 6.4 on. */
function isBlockStart(cc: CompactControl, frame: number): boolean {
  return frame % PAGEBLOCK_PAGES === 0 || (cc.finishes && frame === cc.zone.buddy.firstFrame);
}

/** @kernel mm/compaction.c update_cached_migrate() */
function updateCachedMigrate({ state, mode }: CompactControl, frame: number): void {
  const end = pageblockEnd(frame);
  state.cachedMigrate[0] = Math.max(state.cachedMigrate[0], end);
  if (mode !== 'async') state.cachedMigrate[1] = Math.max(state.cachedMigrate[1], end);
}

/** Scan of one pageblock. */
interface BlockScan {
  low: number;
  end: number;
  scanned: number;
  /** Frames to be isolated, ascending. */
  frames: number[];
  /** The skip bit was looked at with the first LRU page. */
  skipUpdated: boolean;
  /** The pageblock was entered at its start. */
  valid: boolean;
}

/**
 * Isolates the movable pages of [low, end), until a batch waits.
 * @kernel mm/compaction.c isolate_migratepages_block()
 * @differs of the kernel's own compound pages only the slabs that it began with are passed over
 */
function isolateBlock(k: KernelState, cc: CompactControl, low: number, end: number): void {
  const scan: BlockScan = {
    low,
    end,
    scanned: 0,
    frames: [],
    skipUpdated: false,
    valid: false,
  };
  if (isKernelOnly(cc, low, end)) scanKernelOnly(cc, scan);
  else scanBlock(k, cc, scan);
  const isolated = scan.frames.length;
  takeOff(cc, scan.frames);
  scan.low = Math.min(scan.low, end);
  if (scan.low === end && (isolated === 0 || cc.rescan)) {
    if (scan.valid && !scan.skipUpdated) cc.state.skip[(end - 1) >>> PAGEBLOCK_ORDER] = 1;
    updateCachedMigrate(cc, scan.low);
  }
  cc.migrateScanned += scan.scanned;
  countVm(k, 'compact_isolated', isolated);
  cc.migrate = scan.low;
}

/** No page of the pageblock is free or on an LRU list. */
function isKernelOnly(cc: CompactControl, low: number, end: number): boolean {
  const { buddy } = cc.zone;
  const block = low >>> PAGEBLOCK_ORDER;
  return (
    buddy.lruPages[block] === 0 &&
    !buddy.hasSmallBlocks(block) &&
    buddy.orderAt(end - PAGEBLOCK_PAGES) < 0
  );
}

function scanKernelOnly(cc: CompactControl, scan: BlockScan): void {
  const { low, end } = scan;
  if (isBlockStart(cc, low)) {
    if (!isolationSuitable(cc, low)) {
      scan.scanned = 1;
      scan.low = end;
      return;
    }
    scan.valid = true;
  }
  // A waiting request looks at one page of each aligned block, and gives the block up.
  const step = givesUp(cc) ? 1 << cc.order : 1;
  scan.scanned = Math.ceil(end / step) - Math.floor(low / step);
  if (step === 1 && end - low === PAGEBLOCK_PAGES) {
    scan.scanned -= slabsOf(cc, low) * (SLAB_PAGES - 1);
  }
  scan.low = end;
}

/** A waiting request gives an aligned block up at its first page that cannot be moved (`skip_on_failure`). */
function givesUp(cc: CompactControl): boolean {
  return cc.direct && cc.mode === 'async';
}

/** Slabs of a pageblock that take one look each: what they hold besides counts as looked at from 6.4 on. */
function slabsOf({ zone, finishes }: CompactControl, frame: number): number {
  return finishes ? 0 : (zone.slabs?.[frame >>> PAGEBLOCK_ORDER] ?? 0);
}

/** All pages of an aligned group from `frame` on are the kernel's. */
function maybeSlab({ zone, lru }: CompactControl, frame: number): boolean {
  if (frame % SLAB_PAGES !== 0) return false;
  for (let at = frame; at < frame + SLAB_PAGES; at += 1) {
    if (zone.buddy.orderAt(at) >= 0 || lru.at(at)) return false;
  }
  return true;
}

function scanBlock(k: KernelState, cc: CompactControl, scan: BlockScan): void {
  const { buddy } = cc.zone;
  const { end, frames } = scan;
  // Read for each batch: it may be written while the zone is compacted.
  const unevictable = k.sysctl.compact_unevictable_allowed !== 0;
  const skipOnFailure = givesUp(cc);
  let nextSkip = skipOnFailure ? blockEnd(scan.low, cc.order) : Infinity;
  let slabs = slabsOf(cc, scan.low);
  for (; scan.low < end; scan.low += 1) {
    if (scan.low >= nextSkip) {
      if (frames.length > 0) return;
      nextSkip = blockEnd(scan.low, cc.order);
    }
    scan.scanned += 1;
    if (!scan.valid && isBlockStart(cc, scan.low)) {
      if (!isolationSuitable(cc, scan.low)) {
        scan.low = end;
        return;
      }
      scan.valid = true;
    }
    const order = buddy.orderAt(scan.low);
    if (order >= 0) {
      scan.low += (1 << order) - 1;
      if (cc.finishes) scan.scanned += (1 << order) - 1;
      continue;
    }
    const run = cc.lru.at(scan.low);
    if (run && isMovable(run, unevictable)) {
      if (!scan.skipUpdated && (scan.valid || !cc.finishes)) {
        scan.skipUpdated = true;
        if (testAndSetSkip(cc, scan.low) && !(cc.finishes && cc.rescan)) {
          if (cc.finishes) scan.low = end;
          return;
        }
      }
      frames.push(scan.low);
      const full = cc.nrIsolated + frames.length >= COMPACT_CLUSTER_MAX;
      if (full && !cc.rescan) {
        scan.low += 1;
        return;
      }
      continue;
    }
    if (run?.huge === true) {
      const rest = PAGEBLOCK_PAGES - 1 - (scan.low % PAGEBLOCK_PAGES);
      scan.low += rest;
      if (cc.finishes) scan.scanned += rest;
    }
    if (slabs > 0 && !run && maybeSlab(cc, scan.low)) {
      slabs -= 1;
      scan.low += SLAB_PAGES - 1;
    }
    if (!skipOnFailure) continue;
    if (frames.length > 0) giveUp(k, cc, frames);
    if (scan.low < nextSkip) {
      scan.low = nextSkip - 1;
      nextSkip += 1 << cc.order;
    }
  }
}

/** Pages isolated in vain return to the heads of their lists. */
function giveUp(k: KernelState, cc: CompactControl, frames: number[]): void {
  takeOff(cc, frames);
  putbackMovablePages(cc);
  frames.length = 0;
}

/** @returns true if the pageblock had been marked before @kernel mm/compaction.c test_and_set_skip() */
function testAndSetSkip(cc: CompactControl, frame: number): boolean {
  if (cc.ignoreSkipHint) return false;
  if (!cc.finishes && frame % PAGEBLOCK_PAGES !== 0) return false;
  const block = frame >>> PAGEBLOCK_ORDER;
  const marked = cc.state.skip[block] === 1;
  cc.state.skip[block] = 1;
  return marked;
}

/** Takes pages off their lists, in pieces that stand together. */
function takeOff(cc: CompactControl, frames: readonly number[]): void {
  for (let i = 0; i < frames.length;) {
    let row = 1;
    while (frames[i + row] === frames[i]! + row) row += 1;
    const pages = cc.lru.together(frames[i]!, row);
    cc.isolated.push(cc.lru.isolate(frames[i]!, pages));
    i += pages;
  }
  cc.nrIsolated += frames.length;
}

/**
 * A pageblock that has free pages already, from the heads of the Movable lists: fewer pages to move.
 * @returns the frame to scan from
 * @kernel mm/compaction.c fast_find_migrateblock()
 */
function fastFindMigrateblock(cc: CompactControl): number {
  const { zone, state } = cc;
  const { buddy } = zone;
  const { migrate } = cc;
  const atStart = migrate === buddy.firstFrame;
  if (cc.ignoreSkipHint || cc.order <= PAGE_ALLOC_COSTLY_ORDER) return migrate;
  if (cc.finishes && cc.rescan) return migrate;
  if (!atStart && migrate !== pageblockStart(migrate)) return migrate;
  if (cc.direct && cc.type !== MIGRATE_MOVABLE) return migrate;
  const limit = freelistScanLimit(cc);
  let distance = Math.floor((cc.free - migrate) / 2);
  if (!atStart) distance = Math.floor(distance / 4);
  const high = pageblockStart(migrate + distance);
  let scanned = 0;
  for (let order = cc.order - 1; order >= PAGE_ALLOC_COSTLY_ORDER && scanned < limit; order -= 1) {
    for (let at = buddy.first(order, MIGRATE_MOVABLE); at >= 0; at = buddy.after(at, order)) {
      scanned += 1;
      const seen = scanned > limit;
      const suitable = !seen && at < high && state.skip[at >>> PAGEBLOCK_ORDER] === 0;
      if (!seen && !suitable) continue;
      // What was looked at goes to the tail, so that the next search sees others.
      const rest = buddy.after(at, order);
      if (rest >= 0) buddy.rotateToHead(rest, order);
      if (seen) break;
      if (cc.fastStart !== USED_UP) cc.fastStart = Math.min(cc.fastStart ?? at, at);
      cc.fastSearchFail = 0;
      if (!cc.finishes) state.skip[at >>> PAGEBLOCK_ORDER] = 1;
      cc.migrateScanned += scanned;
      return Math.max(pageblockStart(at), buddy.firstFrame);
    }
  }
  cc.migrateScanned += scanned;
  cc.fastSearchFail += 1;
  if (cc.fastStart === undefined || cc.fastStart === USED_UP) return cc.migrate;
  cc.migrate = cc.fastStart;
  cc.fastStart = USED_UP;
  return cc.migrate;
}
