/** Dirty page cache: thresholds, and the way of pages from dirty over writeback to clean. */
import { countVm, type KernelState } from './kernel-state';
import {
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_FILE,
  LRU_UNEVICTABLE,
  pagesBetween,
  spanOf,
  type Run,
} from './lru';
import { listPages, lruvecOf } from './lruvec';
import type { Mapping } from './page-map';
import type { NodeState } from './zone';

/** Limits are kept in 32 bits. */
const MAX_THRESH_PAGES = 2 ** 32 - 1;
const PAGE_SIZE = 4096;

/** A file with dirty pages, as the flusher finds it (`struct inode` on `b_dirty`). */
export interface DirtyFile {
  mapping: Mapping;
  dirtyPages: number;
  /** When its first dirty page became so (`dirtied_when`). */
  dirtiedNs: number;
  /** Where the next write begins, in the file's pages (`writeback_index`). */
  index: number;
  /** A run began with it and did not finish: the next one takes it whatever its age (`b_io`, `b_more_io`). */
  queued: boolean;
}

/** Running totals from the start of a replay, so that a recount can tell whether a page was lost or written twice. */
export interface WritebackTotals {
  /** Dirty pages and pages under writeback that the host began with. */
  startPages: number;
  dirtiedPages: number;
  writtenPages: number;
}

/** Dirty file pages of all nodes (NR_FILE_DIRTY). */
export function dirtyPages(k: KernelState): number {
  return k.nodes.reduce((sum, node) => sum + node.dirtyPages, 0);
}

/** Pages under writeback of all nodes (NR_WRITEBACK). */
export function writebackPages(k: KernelState): number {
  return k.nodes.reduce((sum, node) => sum + node.writebackPages, 0);
}

/** May a node take more dirty cache? Asked only where a request says that it will write. @kernel mm/page-writeback.c node_dirty_ok() */
export function nodeDirtyOk(k: KernelState, node: NodeState): boolean {
  const reserve = node.zones.reduce(
    (sum, zone) => sum + Math.min(zone.managed, zone.high + Math.max(...zone.protection, 0)),
    0,
  );
  const free = node.zones.reduce((sum, zone) => sum + zone.buddy.freePages, 0);
  const file = listPages(node, LRU_INACTIVE_FILE) + listPages(node, LRU_ACTIVE_FILE);
  const dirtyable = Math.max(free - reserve, 0) + file;
  const limit = Math.floor((k.sysctl.dirty_ratio * dirtyable) / 100);
  return node.dirtyPages + node.writebackPages <= limit;
}

/** @kernel mm/page-writeback.c global_dirtyable_memory() */
export function dirtyableMemory(k: KernelState): number {
  let free = 0;
  let reserve = 0;
  let file = 0;
  for (const zone of k.zones) {
    free += zone.buddy.freePages;
    reserve += Math.min(zone.managed, zone.high + Math.max(...zone.protection, 0));
    file += zone.lruPages[2]! + zone.lruPages[3]!;
  }
  return Math.max(free - reserve, 0) + file + 1;
}

export interface DirtyLimits {
  backgroundPages: number;
  threshPages: number;
}

/**
 * Pages of dirty cache at which the flusher starts, and at which writers are held back altogether.
 * @kernel mm/page-writeback.c domain_dirty_limits()
 * @differs no limits in bytes, no real-time writers
 */
export function dirtyLimits(k: KernelState): DirtyLimits {
  return limitsFor(k, dirtyableMemory(k));
}

/** The same shares of so many pages. */
export function limitsFor(k: KernelState, available: number): DirtyLimits {
  const share = (percent: number): number =>
    Math.floor((Math.floor((percent * PAGE_SIZE) / 100) * available) / PAGE_SIZE);
  const threshPages = Math.min(share(k.sysctl.dirty_ratio), MAX_THRESH_PAGES);
  const background = share(k.sysctl.dirty_background_ratio);
  const backgroundPages = background >= threshPages ? Math.floor(threshPages / 2) : background;
  return { backgroundPages, threshPages };
}

/** Pages of runs whose owner's offset lies in [from, to). */
export function pagesOf(runs: Iterable<Run>, from: number, to: number): number {
  let pages = 0;
  for (const run of runs) pages += pagesBetween(run, from, to);
  return pages;
}

/** The least offset such that `pages` pages lie in [from, offset), or the end of the runs when fewer do. */
export function offsetAfter(runs: readonly Run[], from: number, pages: number): number {
  let low = from;
  let high = from;
  for (const run of runs) high = Math.max(high, run.offset + spanOf(run));
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    if (pagesOf(runs, from, middle) >= pages) high = middle;
    else low = middle + 1;
  }
  return low;
}

/**
 * Makes a file's cached pages of [from, to) dirty. Pages that were to be reclaimed are not any more.
 * @returns pages that were clean before
 * @kernel mm/page-writeback.c folio_mark_dirty(), folio_account_dirtied()
 */
export function markDirty(k: KernelState, mapping: Mapping, from: number, to: number): number {
  let pages = 0;
  for (const run of [...mapping.runs]) {
    if (run.dirty) continue;
    const { list } = run;
    const part = list!.isolatePart(run, from, to);
    if (!part) continue;
    part.dirty = true;
    part.reclaim = false;
    part.zone.node.dirtyPages += part.pages;
    pages += part.pages;
    list!.rejoin(part);
  }
  return pages;
}

/**
 * Puts up to `pages` dirty pages of a file under writeback, upwards from where the last write ended; behind
 * the last dirty page it goes on at the file's start.
 * @returns the range of the file that was taken
 * @kernel mm/page-writeback.c write_cache_pages(), folio_clear_dirty_for_io()
 */
export function startWriteback(
  k: KernelState,
  file: DirtyFile,
  pages: number,
): { from: number; to: number } {
  const { mapping } = file;
  const dirty = [...mapping.runs].filter((run) => run.dirty && !run.writeback);
  if (pagesOf(dirty, file.index, Infinity) === 0) file.index = 0;
  const from = file.index;
  const to = offsetAfter(dirty, from, pages);
  for (const run of dirty) {
    const { list } = run;
    const part = list!.isolatePart(run, from, to);
    if (!part) continue;
    part.dirty = false;
    part.writeback = true;
    mapping.writing.add(part);
    const { node } = part.zone;
    node.dirtyPages -= part.pages;
    node.writebackPages += part.pages;
    file.dirtyPages -= part.pages;
    list!.rejoin(part);
  }
  file.index = to;
  return { from, to };
}

/**
 * Ends the write of a file's pages of [from, to). What reclaim had marked goes to the old end of the
 * inactive list, unless it is dirty again.
 * @returns pages written
 * @kernel mm/filemap.c folio_end_writeback(), mm/swap.c folio_rotate_reclaimable(), lru_move_tail_fn()
 * @differs the kernel moves page by page, so that the last page of a write is the first to be reclaimed; here
 * the pages of one run keep their order
 */
export function endWriteback(k: KernelState, mapping: Mapping, from: number, to: number): number {
  let pages = 0;
  for (const run of [...mapping.writing].sort((a, b) => a.offset - b.offset)) {
    const list = run.list!;
    const part = list.isolatePart(run, from, to);
    if (!part) continue;
    pages += part.pages;
    part.writeback = false;
    mapping.writing.delete(part);
    part.zone.node.writebackPages -= part.pages;
    const rotates = part.reclaim && !part.dirty && list.index !== LRU_UNEVICTABLE;
    part.reclaim = false;
    if (!rotates) {
      list.rejoin(part);
      continue;
    }
    countVm(k, 'pgrotated', part.pages);
    const { lists } = lruvecOf(part.zone.node, list.group);
    lists[LRU_INACTIVE_FILE]!.pushOldest(list.remove(part));
  }
  countVm(k, 'nr_written', pages);
  return pages;
}
