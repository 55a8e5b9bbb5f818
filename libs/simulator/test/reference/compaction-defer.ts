import {
  clearSkip,
  hasSkip,
  isMovableBlock,
  isSkipPersistent,
  pageblockEnd,
  pageblockStart,
} from './compact-control';
import { note } from './events';
import { PAGEBLOCK_PAGES, endPfnOf, isOnlineBlock, pageAt } from './state';
import type { Node, System, Zone } from './state';

const MAX_DEFER_SHIFT = 6;
/** Every eighth page is looked at. */
const SAMPLE_PAGES = 8;

/** @kernel mm/compaction.c defer_compaction() */
export function deferCompaction(system: System, zone: Zone, order: number): void {
  const state = zone.compaction;
  note(system, 'compaction failed and deferred');
  state.considered = 0;
  state.deferShift = Math.min(state.deferShift + 1, MAX_DEFER_SHIFT);
  state.orderFailed = Math.min(state.orderFailed, order);
}

/** Is this one left out? Counts it. @kernel mm/compaction.c compaction_deferred() */
export function isDeferred(system: System, zone: Zone, order: number): boolean {
  const state = zone.compaction;
  const limit = 1 << state.deferShift;
  if (order < state.orderFailed) {
    return false;
  }
  state.considered++;
  if (state.considered >= limit) {
    state.considered = limit;
    return false;
  }
  note(system, 'compaction left out');
  return true;
}

/** @kernel mm/compaction.c compaction_defer_reset() */
export function deferReset(system: System, zone: Zone, order: number, served: boolean): void {
  const state = zone.compaction;
  if (served) {
    state.considered = 0;
    state.deferShift = 0;
  }
  const raised = system.mutation === 'order_failed stays' ? state.orderFailed : order + 1;
  if (order >= state.orderFailed) {
    state.orderFailed = raised;
  }
}

/** @kernel mm/compaction.c compaction_restarting() */
export function isRestarting(zone: Zone, order: number): boolean {
  const { orderFailed, deferShift, considered } = zone.compaction;
  return order >= orderFailed && deferShift === MAX_DEFER_SHIFT && considered >= 1 << deferShift;
}

/** @kernel mm/compaction.c __reset_isolation_pfn() @returns whether a scanner may start there */
function resetIsolationPfn(
  system: System,
  zone: Zone,
  pfn: number,
  source: boolean,
  target: boolean,
): boolean {
  if (!isOnlineBlock(zone, pfn) || isSkipPersistent(system, zone, pfn)) {
    return false;
  }
  if (source && target && !hasSkip(zone, pfn)) {
    return true;
  }
  if (!source && target && !isMovableBlock(zone, pfn)) {
    return false;
  }
  const first = Math.max(pageblockStart(pfn), zone.startPfn);
  const last = Math.min(pageblockEnd(first), endPfnOf(zone)) - 1;
  for (let at = first; at <= last; at += SAMPLE_PAGES) {
    const page = pageAt(zone, at);
    const isSource = source && system.pages.lru[page] !== -1;
    const isTarget = target && system.pages.freeOrder[page] !== -1;
    if (isSource || isTarget) {
      clearSkip(zone, at);
      return true;
    }
  }
  return false;
}

/** @kernel mm/compaction.c __reset_isolation_suitable() */
export function resetZone(system: System, zone: Zone): void {
  const state = zone.compaction;
  let migratePfn = zone.startPfn;
  let freePfn = endPfnOf(zone) - 1;
  let resetMigrate = freePfn;
  let resetFree = migratePfn;
  let sourceSet = false;
  let freeSet = false;
  if (!state.blockskipFlush) {
    return;
  }
  state.blockskipFlush = false;
  note(system, 'skip bits reset');
  for (; migratePfn < freePfn; migratePfn += PAGEBLOCK_PAGES, freePfn -= PAGEBLOCK_PAGES) {
    if (resetIsolationPfn(system, zone, migratePfn, true, sourceSet) && migratePfn < resetMigrate) {
      sourceSet = true;
      resetMigrate = migratePfn;
      state.initMigratePfn = resetMigrate;
      state.cachedMigratePfn = [resetMigrate, resetMigrate];
    }
    if (resetIsolationPfn(system, zone, freePfn, freeSet, true) && freePfn > resetFree) {
      freeSet = true;
      resetFree = freePfn;
      state.initFreePfn = resetFree;
      state.cachedFreePfn = resetFree;
    }
  }
  if (resetMigrate >= resetFree) {
    state.cachedMigratePfn = [migratePfn, migratePfn];
    state.cachedFreePfn = freePfn;
  }
}

/** kswapd goes to rest. @kernel mm/compaction.c reset_isolation_suitable() */
export function resetIsolationSuitable(system: System, node: Node): void {
  node.zones.forEach((zone) => resetZone(system, zone));
}
