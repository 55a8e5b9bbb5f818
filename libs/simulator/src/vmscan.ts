/** Reclaim core: scan balance, shrinking of the four lists, and what happens to each page looked at. */
import { growSwapTree } from './cache-slab';
import { PAGES_PER_HUGE } from './constants';
import { wakeFlusher } from './flusher';
import { freeRun } from './free-run';
import { countVm, type KernelState } from './kernel-state';
import {
  accountRun,
  partOf,
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  spanOf,
  type Lru,
  type Run,
} from './lru';
import { ageNonresident, lruvecOf, noteCost, type Lruvec } from './lruvec';
import { uncharge } from './memcg';
import type { ScanControl } from './scan-control';
import type { ScanPlan } from './scan-count';
import { addToSwap, backToSwap, canSwap, freeSwapCache, swapFullPages, swapRoom } from './swap';
import { endWrites, settleWritten, submitWrite } from './swap-write';
import { workingsetEviction } from './workingset';
import type { NodeState, Zone } from './zone';

/** What the reclaimer's own clock says. */
export function localNs(k: KernelState, node: NodeState, sc: ScanControl): number {
  return (sc.kswapd ? node.kswapd.nowNs : k.timeNs) + sc.costNs;
}

/** One batch of one list. @returns pages reclaimed @kernel mm/vmscan.c shrink_list() */
export function shrinkList(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  list: number,
  pages: number,
  sc: ScanControl,
  plan: ScanPlan,
): number {
  if (list === LRU_ACTIVE_ANON || list === LRU_ACTIVE_FILE) {
    const allowed = list === LRU_ACTIVE_ANON ? plan.deactivateAnon : plan.deactivateFile;
    if (allowed) shrinkActiveList(k, node, lruvec, list, pages, sc);
    else sc.skippedDeactivate = true;
    return 0;
  }
  return shrinkInactiveList(k, node, lruvec, list, pages, sc);
}

/** What one look takes off a list. */
interface Isolated {
  runs: Run[];
  /** Pages passed, those that were skipped or rotated included. */
  scannedPages: number;
}

/**
 * Takes up to `pages` off the old end of a list. Pages of zones above the class, and mapped ones where
 * they may not be unmapped, go to the head instead.
 * @kernel mm/vmscan.c isolate_lru_folios()
 */
function isolate(lru: Lru, pages: number, sc: ScanControl): Isolated {
  let runs: Run[] | undefined;
  let skipped: Run[] | undefined;
  let left = pages;
  let scannedPages = 0;
  while (left > 0) {
    const oldest = lru.oldest();
    if (!oldest) break;
    if (oldest.zone.index > sc.classIndex) {
      scannedPages += oldest.pages;
      (skipped ??= []).push(lru.remove(oldest));
      continue;
    }
    const run = lru.take(left)!;
    left -= run.pages;
    scannedPages += run.pages;
    if (run.mapped && !sc.mayUnmap) lru.push(run);
    else if (runs) runs.push(run);
    else runs = [run];
  }
  if (skipped) for (const run of skipped) lru.push(run);
  return { runs: runs ?? [], scannedPages };
}

/** @kernel mm/vmscan.c shrink_active_list() @differs no executable mappings */
export function shrinkActiveList(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  list: number,
  pages: number,
  sc: ScanControl,
): void {
  const { runs, scannedPages } = isolate(lruvec.lists[list]!, pages, sc);
  if (!sc.group) countVm(k, 'pgrefill', scannedPages);
  for (const run of runs) {
    countVm(k, 'pgdeactivate', run.pages);
    // The look at the page tables clears the young bits.
    run.young = false;
    run.workingset = true;
    lruvec.lists[list - 1]!.push(run);
  }
}

/** @kernel mm/vmscan.c shrink_inactive_list() */
function shrinkInactiveList(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  list: number,
  pages: number,
  sc: ScanControl,
): number {
  endWrites(k, localNs(k, node, sc));
  const { runs, scannedPages } = isolate(lruvec.lists[list]!, pages, sc);
  const type = list < LRU_INACTIVE_FILE ? 'anon' : 'file';
  // Whole names: one that is put together is looked for among all names each time.
  if (!sc.group) countVm(k, sc.kswapd ? 'pgscan_kswapd' : 'pgscan_direct', scannedPages);
  countVm(k, type === 'anon' ? 'pgscan_anon' : 'pgscan_file', scannedPages);
  sc.costNs += scannedPages * k.hardware.scanNs;
  if (runs.length === 0) return 0;
  const batch: Batch = { freed: [], back: [], pageouts: 0, takenPages: 0, dirtyPages: 0 };
  for (const run of runs) {
    batch.takenPages += run.pages;
    shrinkRun(k, node, lruvec, run, sc, batch);
  }
  sc.nrScanned += batch.takenPages;
  let reclaimed = 0;
  const { freesBatchReversed: reversed } = k.profile;
  for (const run of reversed ? batch.freed.reverse() : batch.freed) {
    reclaimed += run.pages;
    uncharge(lruvec.group, run.pages);
    freeRun(k, run, sc.cpu, reversed);
  }
  endWrites(k, localNs(k, node, sc));
  for (const [run, where] of batch.back) putBack(k, node, lruvec, list, run, where);
  if (!sc.group) countVm(k, sc.kswapd ? 'pgsteal_kswapd' : 'pgsteal_direct', reclaimed);
  countVm(k, type === 'anon' ? 'pgsteal_anon' : 'pgsteal_file', reclaimed);
  sc.costNs += reclaimed * k.hardware.stealNs;
  noteCost(k, node, lruvec, type, batch.pageouts, scannedPages - reclaimed);
  // Nothing but dirty pages that nobody writes: the flusher is not doing its job, or asleep.
  if (batch.dirtyPages === batch.takenPages) wakeFlusher(k, true);
  return reclaimed;
}

/** What becomes of the pages of one isolated batch. */
interface Batch {
  freed: Run[];
  back: PutBack[];
  /** Pages whose write-out to swap was started. */
  pageouts: number;
  takenPages: number;
  /** Dirty file pages that nobody writes yet. */
  dirtyPages: number;
}

type PutBack = [run: Run, where: 'keep' | 'activate'];

/** A write that ended while its pages were isolated has rotated nothing. @kernel mm/vmscan.c move_folios_to_lru() */
function putBack(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  list: number,
  run: Run,
  where: PutBack[1],
): void {
  settleWritten(run);
  const { pages } = run;
  lruvec.lists[where === 'activate' ? list + 1 : list]!.push(run);
  if (where === 'keep') return;
  ageNonresident(node, lruvec, pages);
  countVm(k, 'pgactivate', pages);
}

/** Decides about pages of one kind. @kernel mm/vmscan.c shrink_folio_list() */
function shrinkRun(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  run: Run,
  sc: ScanControl,
  batch: Batch,
): void {
  const unqueued = run.dirty && !run.writeback && run.owner.kind === 'file';
  if (unqueued) batch.dirtyPages += run.pages;
  if (run.writeback) {
    // Being written already: out of the way until the end of its write brings it back to the tail.
    sc.costNs += run.pages * k.hardware.stealNs;
    run.reclaim = true;
    batch.back.push([run, 'activate']);
    return;
  }
  const startNs = localNs(k, node, sc);
  const rmapNs = run.mapped ? k.hardware.rmapNs : 0;
  sc.costNs += run.pages * rmapNs;
  const fate = checkReferences(run);
  if (fate !== 'reclaim') {
    if (fate === 'activate' && run.swapCached && swapFullPages(k, lruvec.group) > 0) {
      freeSwapCache(k, run);
    }
    batch.back.push([run, fate]);
    return;
  }
  const anon = run.owner.kind === 'anon' || run.owner.shmem;
  if (!anon) {
    if (run.dirty) {
      // Reclaim itself never writes file pages: they are marked, so that they come next when they are clean.
      countVm(k, 'nr_vmscan_immediate_reclaim', run.pages);
      sc.costNs += run.pages * k.hardware.stealNs;
      run.reclaim = true;
      batch.back.push([run, 'activate']);
      return;
    }
    if (run.owner.held) {
      // Its buffers are in use.
      batch.back.push([run, 'activate']);
      return;
    }
    evict(node, lruvecOf(node, sc.group), run);
    batch.freed.push(run);
    return;
  }
  if (run.owner.swapCacheOf || run.swapCached) {
    const owner = run.owner.swapCacheOf ?? run.owner;
    workingsetEviction(node, lruvecOf(node, sc.group), run, owner);
    if (run.swapCached) backToSwap(run);
    batch.freed.push(run);
    return;
  }
  const slotPages = swapRoom(k, lruvec.group);
  if (!sc.mayWritepage && slotPages > 0) {
    batch.back.push([run, 'keep']);
    return;
  }
  writeOut(k, node, lruvec, run, sc, batch, startNs, slotPages);
}

/** Pages that are not on swap yet are written there, as far as there are slots. @kernel mm/vmscan.c pageout() */
function writeOut(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  run: Run,
  sc: ScanControl,
  batch: Batch,
  startNs: number,
  slotPages: number,
): void {
  const rmapNs = run.mapped ? k.hardware.rmapNs : 0;
  const pageTimes = (index: number): number =>
    startNs + (index + 1) * (rmapNs + k.hardware.pageoutNs);
  const slots = Math.min(slotPages, run.pages);
  const unit = run.huge ? PAGES_PER_HUGE : 1;
  const writable = Math.floor(slots / unit) * unit;
  if (writable < run.pages) {
    const rest = splitOff(run, writable);
    if (writable > 0) swapRun(k, run, sc, batch, pageTimes);
    if (rest.huge) {
      splitForSwap(k, rest);
      shrinkRun(k, node, lruvec, rest, sc, batch);
      return;
    }
    // No slot left: the rest is activated, as add_to_swap() fails for it.
    batch.back.push([rest, 'activate']);
    return;
  }
  swapRun(k, run, sc, batch, pageTimes);
}

/**
 * Huge pages for which swap has no 512 free slots in a row go page by page, as far as there are slots.
 * @kernel mm/vmscan.c shrink_folio_list(), mm/huge_memory.c split_huge_page_to_list()
 */
function splitForSwap(k: KernelState, run: Run): void {
  accountRun(run, -1);
  run.huge = false;
  accountRun(run, 1);
  countVm(k, 'thp_split_page', run.pages / PAGES_PER_HUGE);
  countVm(k, 'thp_swpout_fallback', run.pages / PAGES_PER_HUGE);
}

function swapRun(
  k: KernelState,
  run: Run,
  sc: ScanControl,
  batch: Batch,
  pageNs: (index: number) => number,
): void {
  sc.costNs += run.pages * k.hardware.pageoutNs;
  batch.pageouts += run.pages;
  const cached = addToSwap(k, run);
  growSwapTree(k, sc.cpu);
  for (const part of submitWrite(k, sc.plug, cached, sc.cpu, pageNs)) {
    accountRun(part, 1);
    batch.back.push([part, 'keep']);
  }
}

/** Cuts the pages from `pages` on off a run that stands on no list; all of it when `pages` is 0. */
function splitOff(run: Run, pages: number): Run {
  if (pages === 0) return run;
  const rest = partOf(run, pages, run.pages - pages);
  run.pages = pages;
  return rest;
}

/** @kernel mm/vmscan.c folio_check_references() @differs no executable mappings */
function checkReferences(run: Run): 'reclaim' | 'keep' | 'activate' {
  if (run.mapped && run.young) {
    const active = run.referenced;
    run.young = false;
    run.referenced = true;
    return active ? 'activate' : 'keep';
  }
  run.referenced = false;
  return 'reclaim';
}

/** A file page leaves its file, and a shadow there. @param lruvec as workingsetEviction() takes it */
export function evict(node: NodeState, lruvec: Lruvec, run: Run): void {
  workingsetEviction(node, lruvec, run, run.owner);
  run.owner.present?.spread(run.offset, spanOf(run), -run.pages);
}

/** Pages that reclaim could free in a zone at best; free pages stand in where there are none (6.1.y). */
export function zoneReclaimablePages(k: KernelState, zone: Zone): number {
  let pages = zone.lruPages[LRU_INACTIVE_FILE]! + zone.lruPages[LRU_ACTIVE_FILE]!;
  if (canSwap(k)) pages += zone.lruPages[LRU_INACTIVE_ANON]! + zone.lruPages[LRU_ACTIVE_ANON]!;
  return pages > 0 ? pages : zone.buddy.freePages;
}
