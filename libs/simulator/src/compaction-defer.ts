/** When compaction is left out after failures, and when its marks are forgotten. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES, MIGRATE_MOVABLE } from './buddy';
import { COMPACT_MAX_DEFER_SHIFT, compactState, pageblockStart } from './compact-control';
import type { KernelState } from './kernel-state';
import { LruFrames } from './lru-frames';
import { isOnlineBlock, type NodeState, type Zone } from './zone';

/** After a failure the next requests of the order are left out, more after each. @kernel mm/compaction.c defer_compaction() */
export function compactionDefer(zone: Zone, order: number): void {
  const state = compactState(zone);
  state.considered = 0;
  state.deferShift = Math.min(state.deferShift + 1, COMPACT_MAX_DEFER_SHIFT);
  state.orderFailed = Math.min(state.orderFailed, order);
}

/** Is this request to be left out? Counts it. @kernel mm/compaction.c compaction_deferred() */
export function compactionDeferred(zone: Zone, order: number): boolean {
  const state = compactState(zone);
  if (order < state.orderFailed) return false;
  state.considered = Math.min(state.considered + 1, 1 << state.deferShift);
  return state.considered < 1 << state.deferShift;
}

/**
 * @param succeeded the request was served, not only expected to be
 * @kernel mm/compaction.c compaction_defer_reset()
 */
export function compactionDeferReset(zone: Zone, order: number, succeeded: boolean): void {
  const state = compactState(zone);
  if (succeeded) {
    state.considered = 0;
    state.deferShift = 0;
  }
  if (order >= state.orderFailed) state.orderFailed = order + 1;
}

/** Goes on after it was left out as often as can be. @kernel mm/compaction.c compaction_restarting() */
export function compactionRestarting(zone: Zone, order: number): boolean {
  const state = compactState(zone);
  return (
    order >= state.orderFailed &&
    state.deferShift === COMPACT_MAX_DEFER_SHIFT &&
    state.considered >= 1 << state.deferShift
  );
}

/** kswapd goes to sleep: pages may be isolated again. @kernel mm/compaction.c reset_isolation_suitable() */
export function resetIsolationSuitable(k: KernelState, node: NodeState): void {
  if (!k.compaction) return;
  for (const zone of node.zones) {
    if (zone.compaction?.blockskipFlush === true) resetZone(zone);
  }
}

/**
 * Forgets which pageblocks to skip: each that has an LRU page or a free one is looked at again.
 * @kernel mm/compaction.c __reset_isolation_suitable()
 */
export function resetZone(zone: Zone): void {
  const state = compactState(zone);
  if (!state.blockskipFlush) return;
  state.blockskipFlush = false;
  const { buddy } = zone;
  const lru = LruFrames.hold(zone);
  let migrate = buddy.firstFrame;
  let free = buddy.frames - 1;
  let resetMigrate = free;
  let resetFree = migrate;
  let sourceSet = false;
  let freeSet = false;
  for (; migrate < free; migrate += PAGEBLOCK_PAGES, free -= PAGEBLOCK_PAGES) {
    if (resetPageblock(zone, lru, migrate, true, sourceSet) && migrate < resetMigrate) {
      sourceSet = true;
      resetMigrate = migrate;
      state.initMigrate = migrate;
      state.cachedMigrate = [migrate, migrate];
    }
    if (resetPageblock(zone, lru, free, freeSet, true) && free > resetFree) {
      freeSet = true;
      resetFree = free;
      state.initFree = free;
      state.cachedFree = free;
    }
  }
  lru.release();
  if (resetMigrate >= resetFree) {
    state.cachedMigrate = [migrate, migrate];
    state.cachedFree = free;
  }
}

/** One in so many frames is looked at. */
const LOOKED_AT = 8;

/** Whether a pageblock has a page to move or to take. @kernel mm/compaction.c __reset_isolation_pfn() */
function resetPageblock(
  zone: Zone,
  lru: LruFrames,
  frame: number,
  source: boolean,
  target: boolean,
): boolean {
  const { buddy } = zone;
  const block = frame >>> PAGEBLOCK_ORDER;
  const state = compactState(zone);
  if (!isOnlineBlock(zone, block)) return false;
  if (lru.isHuge(block) || zone.hugetlbBlocks.has(block)) return false;
  if (source && target && state.skip[block] === 0) return true;
  if (!source && target && buddy.types[block] !== MIGRATE_MOVABLE) return false;
  const end = Math.min((block + 1) * PAGEBLOCK_PAGES, buddy.frames);
  const first = Math.max(pageblockStart(frame), buddy.firstFrame);
  let found = false;
  for (let at = first; target && !found && at < end; at += LOOKED_AT) {
    found = buddy.orderAt(at) >= 0;
  }
  if (!found && !(source && lru.standsAt(first, end, LOOKED_AT))) return false;
  state.skip[block] = 0;
  return true;
}
