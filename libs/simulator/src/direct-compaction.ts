/** Compaction by the task that needs a block and waits for it. */
import { freshNs, requestNs } from './alloc-account';
import { MAX_ORDER } from './buddy';
import { compactZone } from './compact-zone';
import { COMPACT_RESULTS, compactState, type CompactResult } from './compact-control';
import { compactionDefer, compactionDeferred, compactionDeferReset } from './compaction-defer';
import { compactionSuitable } from './compaction-suitable';
import { PAGE_ALLOC_COSTLY_ORDER } from './constants';
import { noteFreeChange } from './free-count';
import { countVm, passTime, type KernelState } from './kernel-state';
import type { AllocContext, Segment } from './page-alloc';
import { endWrites } from './swap-write';
import { zoneReclaimablePages } from './vmscan';
import { zoneWatermarkOk } from './watermark';
import type { Zone } from './zone';

/** `enum compact_priority`: the lower, the more is done. */
export const COMPACT_PRIO_SYNC_FULL = 0;
export const COMPACT_PRIO_SYNC_LIGHT = 1;
export const COMPACT_PRIO_ASYNC = 2;
const MAX_COMPACT_RETRIES = 16;

/** What one request remembers of its compactions. */
export interface CompactTries {
  priority: number;
  result: CompactResult;
  retries: number;
}

/** A request that has not compacted yet. */
export function compactTries(): CompactTries {
  return { priority: COMPACT_PRIO_SYNC_LIGHT, result: 'skipped', retries: 0 };
}

function better(a: CompactResult, b: CompactResult): CompactResult {
  return COMPACT_RESULTS.indexOf(a) > COMPACT_RESULTS.indexOf(b) ? a : b;
}

/**
 * Compacts the zones of a zonelist until one has a block, and takes it.
 * @param take one more look at the free lists
 * @returns undefined when there is still none
 * @kernel mm/page_alloc.c __alloc_pages_direct_compact()
 */
export function directCompact(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  flags: number,
  tries: CompactTries,
  take: () => Segment | undefined,
): Segment | undefined {
  if (!k.compaction || ac.order === 0) return undefined;
  endWrites(k, k.timeNs);
  const { result, captured } = tryToCompactPages(k, ac, zonelist, flags, tries.priority);
  tries.result = result;
  if (result === 'skipped') return undefined;
  countVm(k, 'compact_stall');
  const segment = captured ?? take();
  if (!segment) {
    countVm(k, 'compact_fail');
    return undefined;
  }
  compactState(segment.zone).blockskipFlush = false;
  compactionDeferReset(segment.zone, ac.order, true);
  countVm(k, 'compact_success');
  return segment;
}

/** @kernel mm/compaction.c try_to_compact_pages(), compact_zone_order() @differs never gives up its turn between zones */
function tryToCompactPages(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  flags: number,
  priority: number,
): { result: CompactResult; captured?: Segment } {
  const { order } = ac;
  const full = priority === COMPACT_PRIO_SYNC_FULL;
  let result: CompactResult = 'skipped';
  for (const zone of zonelist) {
    if (!full && compactionDeferred(zone, order)) {
      result = better(result, 'deferred');
      continue;
    }
    const outcome = compactZone(k, zone, {
      order,
      mode: priority === COMPACT_PRIO_ASYNC ? 'async' : 'sync-light',
      cpu: ac.cpu,
      type: ac.type,
      classIndex: ac.classIndex,
      flags,
      direct: true,
      wholeZone: full,
      ignoreSkipHint: full,
      ignoreBlockSuitable: full,
    });
    passTime(k, outcome.costNs, true);
    const status = outcome.captured >= 0 ? 'success' : outcome.result;
    result = better(result, status);
    if (status === 'success') {
      compactionDeferReset(zone, order, false);
      return outcome.captured >= 0
        ? { result, captured: capturedSegment(k, ac, zone, outcome.captured) }
        : { result };
    }
    if (priority !== COMPACT_PRIO_ASYNC && (status === 'complete' || status === 'partial')) {
      compactionDefer(zone, order);
    }
  }
  return { result };
}

/** The block was handed over when it was freed: it passed no list, and no counter of requests. */
function capturedSegment(k: KernelState, ac: AllocContext, zone: Zone, frame: number): Segment {
  const pages = 1 << ac.order;
  const runs = [{ frame, count: 1, step: 1 as const, type: ac.type }];
  noteFreeChange(zone, zone.pcps[ac.cpu]!, -pages);
  const costNs = requestNs(k, ac, zone) + freshNs(k, ac, zone, runs);
  k.timeNs += costNs / Math.max(k.busyCpus.length, 1);
  return { zone, pages, runs };
}

/**
 * Is another round of reclaim and compaction worth it? Raises the effort where the last was too little.
 * @kernel mm/page_alloc.c should_compact_retry()
 */
export function shouldCompactRetry(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  flags: number,
  tries: CompactTries,
): boolean {
  const { order } = ac;
  if (order === 0 || order >= MAX_ORDER) return false;
  if (!k.compaction) return singlePagesLeft(ac, zonelist, flags);
  const costly = order > PAGE_ALLOC_COSTLY_ORDER;
  if (tries.result === 'success') tries.retries += 1;
  if (tries.result === 'skipped') return zonelistSuitable(k, ac, zonelist, flags);
  const tooLittle = ['complete', 'deferred', 'contended', 'partial'].includes(tries.result);
  const most = costly ? MAX_COMPACT_RETRIES / 4 : MAX_COMPACT_RETRIES;
  if (!tooLittle && tries.retries <= most) return true;
  const least = costly ? COMPACT_PRIO_SYNC_LIGHT : COMPACT_PRIO_SYNC_FULL;
  if (tries.priority <= least) return false;
  tries.priority -= 1;
  tries.retries = 0;
  return true;
}

/** Without compaction a fragmented zone is retried while single pages are to be had. */
function singlePagesLeft(ac: AllocContext, zonelist: readonly Zone[], flags: number): boolean {
  if (ac.order > PAGE_ALLOC_COSTLY_ORDER) return false;
  const request = { order: 0, classIndex: ac.classIndex, flags };
  return zonelist.some((zone) => zoneWatermarkOk(zone, zone.min, request));
}

/** Would a zone be ready for compaction if a part of what can be reclaimed were? @kernel compaction_zonelist_suitable() */
function zonelistSuitable(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  flags: number,
): boolean {
  return zonelist.some((zone) => {
    const reclaimable = Math.floor(zoneReclaimablePages(k, zone) / ac.order);
    const free = reclaimable + zone.buddy.freePages;
    const { order, classIndex } = ac;
    return compactionSuitable(k, zone, order, zone.min, classIndex, flags, free) === 'continue';
  });
}
