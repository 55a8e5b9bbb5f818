/**
 * A type without blocks of its own, as 6.12.y serves it: a pageblock is claimed whole, or a single block is
 * stolen and everything else stays what it is. Lists and pageblock types never disagree.
 */
import {
  MAX_ORDER,
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  type BlockRun,
} from './buddy';
import {
  boostWatermark,
  canSteal,
  suitableFallback,
  type BlockRule,
  type BlockSearch,
} from './fallback';
import { ALLOC_KSWAPD, ALLOC_NOFRAGMENT } from './watermark';
import type { Zone } from './zone';

/** Pageblocks are claimed, blocks stolen; the HighAtomic reserve is counted by its free pages. */
export const claimBlocks: BlockRule = {
  take,
  retypesMerged: true,
  markCountsFreeReserve: true,
  mostReservedPages(managed) {
    const share = Math.floor(managed / 100);
    return share < PAGEBLOCK_PAGES ? 0 : Math.ceil(share / PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES;
  },
  reserve: (zone, frame) => Math.max(moveBlock(zone, frame, MIGRATE_HIGHATOMIC), 0),
  unreserve(zone, frame, order, type) {
    if (order < PAGEBLOCK_ORDER) return moveBlock(zone, frame, type);
    retype(zone, frame, order, type);
    zone.buddy.moveToList(frame, order, type);
    return 1 << order;
  },
};

/**
 * Blocks in one piece: the type's own, then after a claim, then stolen. A search that had to steal once goes
 * on stealing.
 * @kernel mm/page_alloc.c __rmqueue()
 */
function take(zone: Zone, search: BlockSearch, want: number): BlockRun | undefined {
  const { order, type, flags } = search;
  if (!search.stealing) {
    const own = zone.buddy.take(order, type, want);
    if (own) return own;
    if (claim(zone, search)) return zone.buddy.take(order, type, want);
  }
  if ((flags & ALLOC_NOFRAGMENT) !== 0) return undefined;
  for (let current = order; current < MAX_ORDER; current += 1) {
    const from = suitableFallback(zone, current, type);
    if (from < 0) continue;
    search.stealing = true;
    return zone.buddy.take(order, from, want);
  }
  return undefined;
}

/** Makes a pageblock the type's own, from the largest free block downwards. @kernel __rmqueue_claim() */
function claim(zone: Zone, search: BlockSearch): boolean {
  const { order, type, flags } = search;
  const lowest =
    order < PAGEBLOCK_ORDER && (flags & ALLOC_NOFRAGMENT) !== 0 ? PAGEBLOCK_ORDER : order;
  for (let current = MAX_ORDER - 1; current >= lowest; current -= 1) {
    const from = suitableFallback(zone, current, type);
    if (from < 0) continue;
    if (!canSteal(current, type)) return false;
    if (tryToClaim(zone, zone.buddy.first(current, from), current, search)) return true;
  }
  return false;
}

/** @kernel mm/page_alloc.c try_to_steal_block() */
function tryToClaim(zone: Zone, frame: number, current: number, search: BlockSearch): boolean {
  const { buddy } = zone;
  const { order, type, flags, boostFactor } = search;
  const oldType = buddy.typeOf(frame);
  if (oldType === MIGRATE_HIGHATOMIC) return false;
  if (current >= PAGEBLOCK_ORDER) {
    retype(zone, frame, current, type);
    buddy.moveToList(frame, current, type);
    return true;
  }
  if (boostWatermark(zone, boostFactor) && (flags & ALLOC_KSWAPD) !== 0) {
    zone.boostedWatermark = true;
  }
  if (!isWhole(zone, frame)) return false;
  const block = frame >>> PAGEBLOCK_ORDER;
  let freePages = 0;
  for (const free of buddy.blocksOf(block)) freePages += 1 << free.order;
  const movablePages = buddy.lruPages[block]!;
  let alikePages = 0;
  if (type === MIGRATE_MOVABLE) alikePages = movablePages;
  else if (oldType === MIGRATE_MOVABLE) alikePages = PAGEBLOCK_PAGES - freePages - movablePages;
  if (freePages + alikePages < PAGEBLOCK_PAGES / 2) return false;
  moveBlock(zone, frame, type);
  return hasBlock(zone, order, type);
}

function hasBlock(zone: Zone, order: number, type: number): boolean {
  for (let current = order; current < MAX_ORDER; current += 1) {
    if (zone.buddy.count(current, type) > 0) return true;
  }
  return false;
}

function retype(zone: Zone, frame: number, order: number, type: number): void {
  const block = frame >>> PAGEBLOCK_ORDER;
  zone.buddy.types.fill(type, block, block + (1 << (order - PAGEBLOCK_ORDER)));
}

/** A pageblock that reaches over a border of the zone is left alone. @kernel prep_move_freepages_block() */
function isWhole(zone: Zone, frame: number): boolean {
  const start = (frame >>> PAGEBLOCK_ORDER) * PAGEBLOCK_PAGES;
  return start >= zone.buddy.firstFrame && start + PAGEBLOCK_PAGES <= zone.buddy.frames;
}

/**
 * Gives a pageblock a type and moves its free blocks, of orders below the pageblock's, to that type's lists.
 * @returns pages moved, -1 where the pageblock is left alone
 * @kernel mm/page_alloc.c move_freepages_block()
 */
export function moveBlock(zone: Zone, frame: number, type: number): number {
  if (!isWhole(zone, frame)) return -1;
  const { buddy } = zone;
  const block = frame >>> PAGEBLOCK_ORDER;
  let moved = 0;
  for (const free of buddy.blocksOf(block)) {
    buddy.moveToList(free.frame, free.order, type);
    moved += 1 << free.order;
  }
  buddy.types[block] = type;
  return moved;
}
