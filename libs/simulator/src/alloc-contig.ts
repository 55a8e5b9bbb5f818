/** A range of pages in one piece that is larger than any free block: isolated, emptied, and taken off the lists. */
import { PAGEBLOCK_ORDER } from './buddy';
import { SWAP_CLUSTER_MAX, ZONE_NORMAL } from './constants';
import { freeRun } from './free-run';
import { countVm, passTime, type KernelState } from './kernel-state';
import { lruvecOf } from './lruvec';
import { uncharge } from './memcg';
import { isolateSources, migrateSources, type Source } from './offline-migrate';
import {
  firstUsedFrame,
  startIsolatePageRange,
  undoIsolatePageRange,
  type FrameRange,
} from './page-isolation';
import { drainPcps, freeToPcp } from './pcp';
import { evict } from './vmscan';
import { isOnlineBlock, type NodeState, type Zone } from './zone';

/**
 * Takes `pages` pages in one piece, aligned to their number, from the lowest range of a node's zones that can be emptied;
 * high zones first, Movable not among them. The pages count as the kernel's.
 * @param cpu position of the CPU that works on it
 * @returns undefined when no range could be emptied
 * @kernel mm/page_alloc.c alloc_contig_pages()
 * @differs ranges with pages that boot reserved are tried like those with other kernel pages, and fail as they do
 */
export function allocContigPages(
  k: KernelState,
  node: NodeState,
  cpu: number,
  pages: number,
): { zone: Zone; frame: number } | undefined {
  for (const zone of [...node.zones].reverse()) {
    if (zone.index > ZONE_NORMAL) continue;
    const { basePfn } = zone.buddy;
    const endPfn = zone.startPfn + zone.spanned;
    let pfn = Math.ceil(zone.startPfn / pages) * pages;
    for (; pfn + pages <= endPfn; pfn += pages) {
      const from = pfn - basePfn;
      const range = { zone, from, to: from + pages, cpu };
      if (!isRangeValid(k, range) || !allocContigRange(k, range)) continue;
      zone.kernelPages += pages;
      return { zone, frame: from };
    }
  }
  return undefined;
}

/** Gives a range back, page by page. @kernel mm/page_alloc.c free_contig_range() */
export function freeContigRange(
  k: KernelState,
  zone: Zone,
  cpu: number,
  frame: number,
  pages: number,
): void {
  zone.kernelPages -= pages;
  countVm(k, 'pgfree', pages);
  freeToPcp(zone, cpu, 0, frame, pages, 1);
}

/** No hole and no page of a pool lies in it; until 5.12 nobody may use any of it. @kernel mm/page_alloc.c pfn_range_valid_contig() */
function isRangeValid(k: KernelState, range: FrameRange): boolean {
  const { zone, from, to } = range;
  for (let block = from >>> PAGEBLOCK_ORDER; block < to >>> PAGEBLOCK_ORDER; block += 1) {
    if (!isOnlineBlock(zone, block) || zone.hugetlbBlocks.has(block)) return false;
  }
  if ([...zone.giganticFrames.keys()].some((frame) => frame >= from && frame < to)) return false;
  return k.profile.contigMigrates || usedPages(range) === 0;
}

/** Pages of a range that are neither free nor on a CPU's list. */
function usedPages({ zone, from, to }: FrameRange): number {
  let used = 0;
  for (let frame = from; frame < to;) {
    const order = zone.buddy.orderAt(frame);
    if (order < 0) used += 1;
    frame += order < 0 ? 1 : 1 << order;
  }
  for (const { lists } of zone.pcps) {
    for (const frame of lists.flatMap((list) => list.frames())) {
      if (frame >= from && frame < to) used -= 1;
    }
  }
  return used;
}

/** @returns whether the range is the caller's now @kernel mm/page_alloc.c alloc_contig_range() */
function allocContigRange(k: KernelState, range: FrameRange): boolean {
  const { zone, from, to } = range;
  passTime(k, (to - from) * k.hardware.compactScanNs, false);
  if (startIsolatePageRange(range) >= 0) return false;
  drainPcps(zone);
  const emptied = migrateRange(k, range) && firstUsedFrame(range) < 0;
  if (emptied) {
    for (let frame = from; frame < to;) {
      const order = zone.buddy.orderAt(frame);
      zone.buddy.remove(frame, order);
      frame += 1 << order;
    }
  }
  undoIsolatePageRange(range);
  return emptied;
}

/**
 * Empties a range batch by batch: clean page cache is dropped, the rest moves to where its node's list leads.
 * @returns false when a page found no place
 * @kernel mm/page_alloc.c __alloc_contig_migrate_range(), mm/vmscan.c reclaim_clean_pages_from_list()
 * @differs all pages are off their lists from the start; pages that are written are not waited for
 */
function migrateRange(k: KernelState, range: FrameRange): boolean {
  const { sources } = isolateSources(k, range);
  for (let from = 0; from < sources.length;) {
    const to = batchEnd(sources, from);
    // The page with the highest frame comes first.
    const batch = sources.slice(from, to).reverse();
    const kept = batch.filter((source) => !dropClean(k, range, source));
    migrateSources(k, range, null, kept);
    from = to;
    if (kept.length === 0) continue;
    for (const { run, list } of [...kept, ...sources.slice(from)]) list.push(run);
    return false;
  }
  return true;
}

/** End of the pages from one on that are isolated together. */
function batchEnd(sources: readonly Source[], from: number): number {
  let pages = 0;
  let at = from;
  while (at < sources.length && pages < SWAP_CLUSTER_MAX) pages += sources[at++]!.run.pages;
  return at;
}

function dropClean(k: KernelState, { zone, cpu }: FrameRange, { run, list }: Source): boolean {
  if (run.owner.kind !== 'file' || run.dirty || run.owner.swapCacheOf) return false;
  const lruvec = lruvecOf(zone.node, list.group);
  evict(zone.node, lruvec, run);
  uncharge(lruvec.group, run.pages);
  freeRun(k, run, cpu);
  return true;
}
