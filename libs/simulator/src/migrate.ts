/** Moving isolated pages to other frames of their zone. */
import type { CompactControl } from './compact-control';
import { countVm, type KernelState } from './kernel-state';
import { frameAt, LRU_UNEVICTABLE, markPageblocks, partOf, type Lru, type Run } from './lru';
import { isolateFreepages } from './isolate-freepages';
import { freeToPcp } from './pcp';

/** Pages off their list, at neighbouring frames. */
export interface Isolated {
  run: Run;
  /** The list they return to. */
  list: Lru;
}

/** Do the frames of a piece ascend from its oldest page on? */
function ascends(run: Run): boolean {
  return run.pages === 1 || frameAt(run, 1) > frameAt(run, 0);
}

/** Index of the page of a piece with the highest frame but `i`. */
function fromTop(run: Run, i: number): number {
  return ascends(run) ? run.pages - 1 - i : i;
}

/**
 * What became of the isolated pages: at least one of them is in use by others and stays (`failed`, -EAGAIN), or no free page was
 * left for one (`no-memory`, -ENOMEM).
 */
export type MigrateResult = 'moved' | 'failed' | 'no-memory';

/** A file system holds the buffers of these pages: a try to move them fails. @kernel mm/migrate.c buffer_migrate_folio_norefs() */
function isInUse({ run }: Isolated): boolean {
  return run.owner.held === true;
}

/**
 * Moves the isolated pages, that with the highest frame first, each to the free page that stands first; it
 * joins the head of the list that it left. Its marks go with it. Pages in use stay; what was free for them is free again.
 * @kernel mm/migrate.c migrate_pages(), migrate_folio_unmap(), migrate_folio_move()
 * @differs no other page is pinned; a page in use is tried once
 */
export function migratePages(k: KernelState, cc: CompactControl): MigrateResult {
  if (cc.finishes) return migrateBatch(k, cc);
  const stuck: Isolated[] = [];
  for (let piece = cc.isolated.pop(); piece; piece = cc.isolated.pop()) {
    const inUse = isInUse(piece);
    for (let i = 0; i < piece.run.pages; i += 1) {
      const frame = compactionAlloc(k, cc);
      if (frame < 0) {
        countVm(k, 'pgmigrate_fail');
        putBack(cc, piece, inUse ? 0 : i);
        cc.isolated.push(...stuck.reverse());
        putbackMovablePages(cc);
        return 'no-memory';
      }
      if (inUse) cc.freePages.giveBack(frame);
      else move(k, cc, piece, i, frame);
    }
    if (inUse) stuck.push(piece);
  }
  return putStuckBack(k, cc, stuck);
}

/**
 * As kernels since 6.3 do it: first each page gets its place, then all move.
 * @kernel mm/migrate.c migrate_pages_batch()
 */
function migrateBatch(k: KernelState, cc: CompactControl): MigrateResult {
  let wanted = cc.isolated.reduce((pages, { run }) => pages + run.pages, 0);
  const frames: number[] = [];
  for (; wanted > 0; wanted -= 1) {
    const frame = compactionAlloc(k, cc);
    if (frame < 0) {
      countVm(k, 'pgmigrate_fail');
      break;
    }
    cc.nrIsolated -= 1;
    frames.push(frame);
  }
  let next = 0;
  const stuck: Isolated[] = [];
  for (let piece = cc.isolated.pop(); piece; piece = cc.isolated.pop()) {
    const inUse = isInUse(piece);
    for (let i = 0; i < piece.run.pages; i += 1, next += 1) {
      if (next === frames.length) {
        putBack(cc, piece, inUse ? 0 : i);
        cc.isolated.push(...stuck.reverse());
        putbackMovablePages(cc);
        return 'no-memory';
      }
      if (inUse) cc.freePages.giveBack(frames[next]!);
      else move(k, cc, piece, i, frames[next]!);
    }
    if (inUse) stuck.push(piece);
  }
  return putStuckBack(k, cc, stuck);
}

/** Pages that could not be moved return to their lists. */
function putStuckBack(k: KernelState, cc: CompactControl, stuck: Isolated[]): MigrateResult {
  if (stuck.length === 0) return 'moved';
  for (const { run } of stuck) countVm(k, 'pgmigrate_fail', run.pages);
  cc.isolated.push(...stuck.reverse());
  putbackMovablePages(cc);
  return 'failed';
}

/** Moves the page of a piece that comes `i`th. */
function move(
  k: KernelState,
  cc: CompactControl,
  { run, list }: Isolated,
  i: number,
  frame: number,
): void {
  const page = partOf(run, fromTop(run, i), 1);
  const old = page.frame;
  markPageblocks(page, -1);
  page.frame = frame;
  page.step = 1;
  markPageblocks(page, 1);
  cc.lru.push(list, page);
  freeToPcp(cc.zone, cc.cpu, 0, old, 1, 1);
  countVm(k, 'pgfree');
  countVm(k, 'pgmigrate_success');
  cc.migrated += 1;
}

/** The part of a piece that was not moved returns, that with the highest frame first. */
function putBack(cc: CompactControl, piece: Isolated, moved: number): void {
  const { run, list } = piece;
  for (let i = moved; i < run.pages; i += 1) cc.lru.push(list, partOf(run, fromTop(run, i), 1));
}

/**
 * Isolated pages return to the heads of their lists, that with the highest frame first.
 * @kernel mm/migrate.c putback_movable_pages()
 */
export function putbackMovablePages(cc: CompactControl): void {
  for (let piece = cc.isolated.pop(); piece; piece = cc.isolated.pop()) putBack(cc, piece, 0);
  cc.nrIsolated = 0;
}

/** Next free page to move to, or -1. @kernel mm/compaction.c compaction_alloc() */
function compactionAlloc(k: KernelState, cc: CompactControl): number {
  if (cc.freePages.pages === 0) isolateFreepages(k, cc);
  return cc.freePages.take();
}

/**
 * May the pages of a run be taken at all, whatever their place?
 * @param unevictable locked pages as well
 * @differs pages that are written stay also where compaction would wait for them
 */
export function isMovable(run: Run, unevictable: boolean): boolean {
  if (!unevictable && run.list?.index === LRU_UNEVICTABLE) return false;
  return !run.huge && !run.writeback;
}
