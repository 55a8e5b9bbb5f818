import {
  COMPACT_COMPLETE,
  COMPACT_CONTENDED,
  COMPACT_CONTINUE,
  COMPACT_DEFERRED,
  COMPACT_PARTIAL_SKIPPED,
  COMPACT_SKIPPED,
  COMPACT_SUCCESS,
  compactControl,
} from './compact-control';
import { compactCostNs, compactZone } from './compact-zone';
import { deferCompaction, deferReset, isDeferred } from './compaction-defer';
import { note } from './events';
import type { AllocFlags } from './fallback';
import { compactionSuitableFor } from './fragmentation';
import type { SlowContext } from './policy';
import {
  ACTIVE_ANON,
  ACTIVE_FILE,
  COSTLY_ORDER,
  INACTIVE_ANON,
  INACTIVE_FILE,
  count,
  sum,
  zoneOf,
} from './state';
import type { Capture, System, Zone } from './state';
import { endWrites } from './swap-write';
import { isWatermarkOk, wmarkPages } from './watermark';

const PRIO_SYNC_FULL = 0;
const PRIO_SYNC_LIGHT = 1;
export const PRIO_ASYNC = 2;
const MAX_COMPACT_RETRIES = 16;

/** What a request remembers of its compactions. */
export interface CompactTries {
  priority: number;
  result: number;
  retries: number;
}

export function compactTries(): CompactTries {
  return { priority: PRIO_SYNC_LIGHT, result: COMPACT_SKIPPED, retries: 0 };
}

/** @kernel mm/compaction.c compact_zone_order() @returns how it ended, and the page that was captured or -1 */
function compactZoneOrder(
  system: System,
  zone: Zone,
  ac: SlowContext,
  flags: AllocFlags,
  priority: number,
): { status: number; page: number } {
  const full = priority === PRIO_SYNC_FULL;
  const cc = compactControl(zone, {
    order: ac.order,
    mode: priority === PRIO_ASYNC ? 'async' : 'sync-light',
    type: ac.type,
    classIndex: ac.classIndex,
    flags,
    cpu: ac.cpu,
    direct: true,
    wholeZone: full,
    ignoreSkipHint: full,
    ignoreBlockSuitable: full,
  });
  const capture: Capture = { zone, order: ac.order, page: -1 };
  system.capture = system.mutation === 'nothing is captured' ? null : capture;
  const status = compactZone(system, cc);
  system.capture = null;
  system.timeNs += compactCostNs(system, cc);
  return { status: capture.page === -1 ? status : COMPACT_SUCCESS, page: capture.page };
}

/** @kernel mm/compaction.c try_to_compact_pages() @differs never gives way between zones */
function tryToCompactPages(
  system: System,
  ac: SlowContext,
  flags: AllocFlags,
  priority: number,
): { result: number; page: number } {
  let result = COMPACT_SKIPPED;
  for (const zone of ac.named) {
    if (priority > PRIO_SYNC_FULL && isDeferred(system, zone, ac.order)) {
      result = Math.max(result, COMPACT_DEFERRED);
      continue;
    }
    const { status, page } = compactZoneOrder(system, zone, ac, flags, priority);
    result = Math.max(result, status);
    if (status === COMPACT_SUCCESS) {
      deferReset(system, zone, ac.order, false);
      return { result, page };
    }
    const met = status === COMPACT_COMPLETE || status === COMPACT_PARTIAL_SKIPPED;
    if (priority !== PRIO_ASYNC && met) {
      deferCompaction(system, zone, ac.order);
    }
  }
  return { result, page: -1 };
}

/**
 * @kernel mm/page_alloc.c __alloc_pages_direct_compact()
 * @param take asks the zones again
 * @returns the page, -1 if there is none
 */
export function directCompact(
  system: System,
  ac: SlowContext,
  flags: AllocFlags,
  tries: CompactTries,
  take: () => number,
): number {
  if (system.config.compaction === undefined || ac.order === 0) {
    return -1;
  }
  endWrites(system, system.timeNs);
  const { result, page: captured } = tryToCompactPages(system, ac, flags, tries.priority);
  tries.result = result;
  if (result === COMPACT_SKIPPED) {
    return -1;
  }
  count(system, 'compact_stall');
  note(system, 'direct compaction');
  const page = captured === -1 ? take() : captured;
  if (page === -1) {
    count(system, 'compact_fail');
    return -1;
  }
  const zone = zoneOf(system, page);
  zone.compaction.blockskipFlush = false;
  deferReset(system, zone, ac.order, true);
  count(system, 'compact_success');
  return page;
}

/** @kernel mm/vmscan.c zone_reclaimable_pages() */
export function zoneReclaimablePages(system: System, zone: Zone): number {
  const lists =
    system.swapFree > 0
      ? [INACTIVE_FILE, ACTIVE_FILE, INACTIVE_ANON, ACTIVE_ANON]
      : [INACTIVE_FILE, ACTIVE_FILE];
  const pages = sum(lists, (list) => zone.lruPages[list] ?? 0);
  return pages === 0 ? zone.free : pages;
}

/** @kernel mm/compaction.c compaction_zonelist_suitable() */
function isZonelistSuitable(system: System, ac: SlowContext, flags: AllocFlags): boolean {
  return ac.named.some((zone) => {
    const available = Math.floor(zoneReclaimablePages(system, zone) / ac.order) + zone.free;
    const { order, classIndex } = ac;
    const suitable = compactionSuitableFor(system, zone, order, flags, classIndex, available);
    return suitable === COMPACT_CONTINUE;
  });
}

/** The form without CONFIG_COMPACTION: single pages are to be had. */
function isZonelistFree(system: System, ac: SlowContext, flags: AllocFlags): boolean {
  return (
    ac.order <= COSTLY_ORDER &&
    ac.named.some((zone) =>
      isWatermarkOk(system, zone, 0, wmarkPages(zone, 'min'), ac.classIndex, flags, zone.free),
    )
  );
}

/** @kernel mm/page_alloc.c should_compact_retry(), both forms */
export function shouldCompactRetry(
  system: System,
  ac: SlowContext,
  flags: AllocFlags,
  tries: CompactTries,
): boolean {
  if (ac.order === 0) {
    return false;
  }
  if (system.config.compaction === undefined) {
    return isZonelistFree(system, ac, flags);
  }
  const { result } = tries;
  if (result === COMPACT_SUCCESS) {
    tries.retries++;
  }
  if (result === COMPACT_SKIPPED) {
    return isZonelistSuitable(system, ac, flags);
  }
  const costly = ac.order > COSTLY_ORDER;
  const hopeless =
    result === COMPACT_COMPLETE ||
    result === COMPACT_DEFERRED ||
    result === COMPACT_CONTENDED ||
    result === COMPACT_PARTIAL_SKIPPED;
  if (!hopeless && tries.retries <= (costly ? MAX_COMPACT_RETRIES / 4 : MAX_COMPACT_RETRIES)) {
    return true;
  }
  if (tries.priority > (costly ? PRIO_SYNC_LIGHT : PRIO_SYNC_FULL)) {
    tries.priority--;
    tries.retries = 0;
    note(system, 'compaction priority raised');
    return true;
  }
  return false;
}
