/** What happens when a migrate type has no block of its own: stealing, watermark boost, the HighAtomic reserve. */
import {
  MAX_ORDER,
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_PCPTYPES,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  type BlockRun,
} from './buddy';
import { eachPiece } from './lru';
import { lruvecsOf } from './lruvec';
import { ALLOC_KSWAPD, ALLOC_NOFRAGMENT, multFrac } from './watermark';
import type { Zone } from './zone';

/** Order in which other types are asked. @kernel mm/page_alloc.c fallbacks[] */
const FALLBACKS: readonly (readonly number[])[] = [
  [MIGRATE_RECLAIMABLE, MIGRATE_MOVABLE],
  [MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE],
  [MIGRATE_UNMOVABLE, MIGRATE_MOVABLE],
];

/** What a refill, or a request without one, looks for in a zone's free lists. */
export interface BlockSearch {
  order: number;
  type: number;
  /** `ALLOC_*`. */
  flags: number;
  /** vm.watermark_boost_factor. */
  boostFactor: number;
  /** It had to steal single blocks already (`RMQUEUE_STEAL`). */
  stealing: boolean;
}

/** What a kernel does where a migrate type has no block of its own, and how it keeps the HighAtomic reserve. */
export interface BlockRule {
  /** Up to `want` blocks in one piece; undefined when nothing can be had. @kernel __rmqueue() */
  take(zone: Zone, search: BlockSearch, want: number): BlockRun | undefined;
  /** Pageblocks that merge take the type of the one that was freed last. */
  retypesMerged: boolean;
  /** The mark leaves out the reserve's free pages, not its pageblocks. */
  markCountsFreeReserve: boolean;
  /** Size that the reserve does not grow beyond, pages. */
  mostReservedPages(managed: number): number;
  /** Keeps a frame's pageblock; returns the free pages that it has. */
  reserve(zone: Zone, frame: number): number;
  /** Gives the pageblock of a free block of the reserve to a type; returns the free pages that came back. */
  unreserve(zone: Zone, frame: number, order: number, type: number): number;
}

/** The stolen block and, where that is worth it, its whole pageblock join the type. Kernels up to 6.9. */
export const stealBlocks: BlockRule = {
  take: rmqueueSmallestOrSteal,
  retypesMerged: false,
  markCountsFreeReserve: false,
  mostReservedPages: (managed) => Math.floor(managed / 100) + PAGEBLOCK_PAGES,
  reserve(zone, frame) {
    zone.buddy.types[frame >>> PAGEBLOCK_ORDER] = MIGRATE_HIGHATOMIC;
    return moveFreepagesBlock(zone, frame, MIGRATE_HIGHATOMIC);
  },
  unreserve(zone, frame, _, type) {
    zone.buddy.types[frame >>> PAGEBLOCK_ORDER] = type;
    return moveFreepagesBlock(zone, frame, type);
  },
};

/** @kernel mm/page_alloc.c __rmqueue() */
function rmqueueSmallestOrSteal(
  zone: Zone,
  search: BlockSearch,
  want: number,
): BlockRun | undefined {
  const { order, type, flags, boostFactor } = search;
  for (;;) {
    const run = zone.buddy.take(order, type, want);
    if (run) return run;
    if (!rmqueueFallback(zone, order, type, flags, boostFactor)) return undefined;
  }
}

/** A fallback type with a block of this order, or -1. @kernel find_suitable_fallback() */
export function suitableFallback(zone: Zone, order: number, type: number): number {
  for (const other of FALLBACKS[type]!) {
    if (zone.buddy.first(order, other) >= 0) return other;
  }
  return -1;
}

/** May the whole pageblock be claimed? @kernel can_steal_fallback() */
export function canSteal(order: number, type: number): boolean {
  return order >= Math.floor(PAGEBLOCK_ORDER / 2) || type !== MIGRATE_MOVABLE;
}

/** @kernel mm/page_alloc.c __rmqueue_fallback() */
function rmqueueFallback(
  zone: Zone,
  order: number,
  type: number,
  flags: number,
  boostFactor: number,
): boolean {
  const lowest =
    order < PAGEBLOCK_ORDER && (flags & ALLOC_NOFRAGMENT) !== 0 ? PAGEBLOCK_ORDER : order;
  for (let current = MAX_ORDER - 1; current >= lowest; current -= 1) {
    let from = suitableFallback(zone, current, type);
    if (from < 0) continue;
    const steal = canSteal(current, type);
    let found = current;
    if (!steal && current > order) {
      // A movable request splits the smallest block instead: it pollutes nothing for good.
      for (found = order; (from = suitableFallback(zone, found, type)) < 0;) found += 1;
    }
    stealSuitableFallback(
      zone,
      zone.buddy.first(found, from),
      found,
      type,
      canSteal(found, type),
      flags,
      boostFactor,
    );
    return true;
  }
  return false;
}

/** @kernel mm/page_alloc.c steal_suitable_fallback() */
function stealSuitableFallback(
  zone: Zone,
  frame: number,
  order: number,
  type: number,
  wholeBlock: boolean,
  flags: number,
  boostFactor: number,
): void {
  const { buddy } = zone;
  const oldType = buddy.typeOf(frame);
  if (oldType !== MIGRATE_HIGHATOMIC) {
    if (order >= PAGEBLOCK_ORDER) {
      const blocks = 1 << (order - PAGEBLOCK_ORDER);
      buddy.types.fill(type, frame >>> PAGEBLOCK_ORDER, (frame >>> PAGEBLOCK_ORDER) + blocks);
    } else {
      if (boostWatermark(zone, boostFactor) && (flags & ALLOC_KSWAPD) !== 0) {
        zone.boostedWatermark = true;
      }
      if (wholeBlock && stealWholeBlock(zone, frame, type, oldType)) return;
    }
  }
  buddy.moveToList(frame, order, type);
}

/** @returns false when the pageblock reaches over the zone's end and has to be left alone */
function stealWholeBlock(zone: Zone, frame: number, type: number, oldType: number): boolean {
  const { buddy } = zone;
  const block = frame >>> PAGEBLOCK_ORDER;
  const freePages = moveFreepagesBlock(zone, frame, type);
  if (freePages === 0) return false;
  const movablePages =
    block * PAGEBLOCK_PAGES < buddy.firstFrame
      ? lruPagesFrom(zone, frame, (block + 1) * PAGEBLOCK_PAGES)
      : buddy.lruPages[block]!;
  let alikePages = 0;
  if (type === MIGRATE_MOVABLE) alikePages = movablePages;
  else if (oldType === MIGRATE_MOVABLE) alikePages = PAGEBLOCK_PAGES - freePages - movablePages;
  if (freePages + alikePages >= PAGEBLOCK_PAGES / 2) buddy.types[block] = type;
  return true;
}

/** LRU pages of [from, to): a pageblock that starts before the zone is walked from the stolen block on. */
function lruPagesFrom(zone: Zone, from: number, to: number): number {
  let pages = 0;
  for (const list of lruvecsOf(zone.node).flatMap(({ lists }) => lists)) {
    for (const run of list.runs()) {
      if (run.zone !== zone) continue;
      eachPiece(run, (lowest, end) => {
        pages += Math.max(Math.min(end, to) - Math.max(lowest, from), 0);
      });
    }
  }
  return pages;
}

/**
 * Moves the free blocks of a frame's pageblock to the tails of a type's lists, ascending. A block that
 * starts before the zone is entered at the frame itself, one that ends behind it is not touched.
 * @returns pages moved
 * @kernel mm/page_alloc.c move_freepages_block()
 */
export function moveFreepagesBlock(zone: Zone, frame: number, type: number): number {
  const { buddy } = zone;
  const block = frame >>> PAGEBLOCK_ORDER;
  const start = block * PAGEBLOCK_PAGES;
  if (start + PAGEBLOCK_PAGES > buddy.frames) return 0;
  const from = start < buddy.firstFrame ? frame : start;
  let moved = 0;
  for (const free of buddy.blocksOf(block)) {
    if (free.frame < from) continue;
    buddy.moveToList(free.frame, free.order, type);
    moved += 1 << free.order;
  }
  const order = buddy.orderAt(start);
  if (order >= PAGEBLOCK_ORDER) {
    buddy.moveToList(start, order, type);
    moved += 1 << order;
  }
  return moved;
}

/** Raises the zone's boost by one pageblock. @kernel mm/page_alloc.c boost_watermark() */
export function boostWatermark(zone: Zone, boostFactor: number): boolean {
  if (boostFactor === 0 || PAGEBLOCK_PAGES * 4 > zone.managed) return false;
  const most = multFrac(zone.high, boostFactor, 10000);
  if (most === 0) return false;
  zone.boost = Math.min(zone.boost + PAGEBLOCK_PAGES, Math.max(PAGEBLOCK_PAGES, most));
  return true;
}

/** After an atomic high-order success: keeps its pageblock for such requests. @kernel reserve_highatomic_pageblock() */
export function reserveHighatomicPageblock(zone: Zone, frame: number): void {
  const { buddy } = zone;
  const most = zone.blockRule.mostReservedPages(zone.managed);
  if (zone.reservedHighatomic >= most || buddy.typeOf(frame) >= MIGRATE_PCPTYPES) return;
  zone.reservedHighatomic += PAGEBLOCK_PAGES;
  zone.blockRule.reserve(zone, frame);
}

/**
 * Gives one reserved pageblock back to ordinary requests.
 * @param force also the last one of a zone
 * @returns true if free pages came back
 * @kernel mm/page_alloc.c unreserve_highatomic_pageblock()
 */
export function unreserveHighatomicPageblock(
  zonelist: readonly Zone[],
  type: number,
  force: boolean,
): boolean {
  for (const zone of zonelist) {
    if (!force && zone.reservedHighatomic <= PAGEBLOCK_PAGES) continue;
    const { buddy } = zone;
    for (let order = 0; order < MAX_ORDER; order += 1) {
      const frame = buddy.first(order, MIGRATE_HIGHATOMIC);
      if (frame < 0) continue;
      if (buddy.typeOf(frame) === MIGRATE_HIGHATOMIC) {
        zone.reservedHighatomic -= Math.min(PAGEBLOCK_PAGES, zone.reservedHighatomic);
      }
      if (zone.blockRule.unreserve(zone, frame, order, type) > 0) return true;
    }
  }
  return false;
}
