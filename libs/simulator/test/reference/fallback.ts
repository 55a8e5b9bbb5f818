import type { MigrateType } from '../machine';
import { freeList, moveToFreeList, rmqueueSmallest } from './buddy';
import { note } from './events';
import {
  HIGHATOMIC,
  MAX_ORDER,
  MOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  RECLAIMABLE,
  UNMOVABLE,
  isInZone,
  pageblockType,
  setPageblockType,
} from './state';
import type { System, Zone } from './state';

/** Rights and wishes of one attempt, as the kernel's alloc_flags. */
export interface AllocFlags {
  mark: 'min' | 'low' | 'high';
  /** May wake kswapd. */
  kswapd: boolean;
  noFragment: boolean;
  minReserve: boolean;
  nonBlock: boolean;
  highatomic: boolean;
}

/** Which types' blocks are taken when the own lists are empty, in this order. */
const FALLBACKS: readonly (readonly MigrateType[])[] = [
  [RECLAIMABLE, MOVABLE],
  [RECLAIMABLE, UNMOVABLE],
  [UNMOVABLE, MOVABLE],
];

/** @kernel mm/page_alloc.c mult_frac() */
function multFrac(value: number, numerator: number, denominator: number): number {
  const quotient = Math.floor(value / denominator);
  const rest = value % denominator;
  return quotient * numerator + Math.floor((rest * numerator) / denominator);
}

/**
 * Moves every free block of the page's pageblock to the tails of the type's lists, ascending.
 * @kernel mm/page_alloc.c move_freepages_block(), move_freepages()
 * @returns pages moved, and LRU pages met; nothing is done in a pageblock whose end is not in the zone
 */
export function moveFreepagesBlock(
  system: System,
  zone: Zone,
  page: number,
  type: MigrateType,
): { moved: number; movable: number } {
  const offset = page - zone.firstPage;
  const first = zone.firstPage + offset - (offset % PAGEBLOCK_PAGES);
  const end = first + PAGEBLOCK_PAGES;
  const found = { moved: 0, movable: 0 };
  if (!isInZone(zone, end - 1)) {
    return found;
  }
  for (let at = isInZone(zone, first) ? first : page; at < end;) {
    const order = system.pages.freeOrder[at] ?? -1;
    if (order === -1) {
      if (system.pages.lru[at] !== -1) {
        found.movable++;
      }
      at++;
      continue;
    }
    moveToFreeList(system, zone, at, order, type);
    found.moved += 1 << order;
    at += 1 << order;
  }
  return found;
}

/**
 * Mixing types in a pageblock raises the zone's marks for a while.
 * @kernel mm/page_alloc.c boost_watermark()
 * @returns whether boosting is on for this zone
 */
function boostWatermark(system: System, zone: Zone): boolean {
  const factor = system.sysctl.watermark_boost_factor;
  if (factor === 0 || PAGEBLOCK_PAGES * 4 > zone.managed) {
    return false;
  }
  const limit = multFrac(zone.high, factor, 10000);
  if (limit === 0) {
    return false;
  }
  if (system.mutation !== 'boost step missing') {
    const before = zone.boost;
    zone.boost = Math.min(zone.boost + PAGEBLOCK_PAGES, Math.max(PAGEBLOCK_PAGES, limit));
    note(system, 'boost raised', zone.boost > before ? 1 : 0);
  }
  return true;
}

/** @kernel mm/page_alloc.c steal_suitable_fallback() */
function stealSuitableFallback(
  system: System,
  zone: Zone,
  page: number,
  flags: AllocFlags,
  type: MigrateType,
  wholeBlock: boolean,
): void {
  const order = system.pages.freeOrder[page] ?? 0;
  const oldType = pageblockType(zone, page);
  const takeThisBlock = (): void => {
    note(system, 'single block stolen');
    moveToFreeList(system, zone, page, order, type);
  };
  if (oldType === HIGHATOMIC) {
    takeThisBlock();
    return;
  }
  if (order >= PAGEBLOCK_ORDER) {
    for (let at = page; at < page + (1 << order); at += PAGEBLOCK_PAGES) {
      setPageblockType(zone, at, type);
    }
    note(system, 'whole pageblock stolen');
    moveToFreeList(system, zone, page, order, type);
    return;
  }
  if (boostWatermark(system, zone) && flags.kswapd) {
    zone.boostedFlag = true;
  }
  if (!wholeBlock) {
    takeThisBlock();
    return;
  }
  const { moved, movable } = moveFreepagesBlock(system, zone, page, type);
  let alike = 0;
  if (type === MOVABLE) {
    alike = movable;
  } else if (oldType === MOVABLE) {
    alike = PAGEBLOCK_PAGES - (moved + movable);
  }
  if (moved === 0) {
    takeThisBlock();
    return;
  }
  const needed = PAGEBLOCK_PAGES / 2 + (system.mutation === 'steal needs one page more' ? 1 : 0);
  if (moved + alike >= needed) {
    setPageblockType(zone, page, type);
    note(system, 'pageblock retyped');
  } else {
    note(system, 'pageblock shared');
  }
}

/** @kernel mm/page_alloc.c can_steal_fallback() */
export function canSteal(order: number, type: MigrateType): boolean {
  return order >= PAGEBLOCK_ORDER >> 1 || type === RECLAIMABLE || type === UNMOVABLE;
}

/**
 * @kernel mm/page_alloc.c find_suitable_fallback()
 * @returns the first page of the first fallback list of this order, -1 if all are empty
 */
export function findFallback(system: System, zone: Zone, order: number, type: MigrateType): number {
  for (const other of FALLBACKS[type] ?? []) {
    const page = system.lists.first(freeList(zone, order, other));
    if (page !== -1) {
      return page;
    }
  }
  return -1;
}

/**
 * Moves blocks of another type to the lists of this one.
 * @kernel mm/page_alloc.c __rmqueue_fallback()
 * @returns whether there now is a block to take
 */
function rmqueueFallback(
  system: System,
  zone: Zone,
  order: number,
  type: MigrateType,
  flags: AllocFlags,
): boolean {
  const minOrder =
    flags.noFragment && order < PAGEBLOCK_ORDER && system.mutation !== 'NOFRAGMENT ignored'
      ? PAGEBLOCK_ORDER
      : order;
  let found = MAX_ORDER - 1;
  let page = -1;
  for (; found >= minOrder; found--) {
    page = findFallback(system, zone, found, type);
    if (page !== -1) {
      break;
    }
  }
  if (page === -1) {
    return false;
  }
  const largest = system.mutation === 'movable steals the largest block';
  if (!canSteal(found, type) && type === MOVABLE && found > order && !largest) {
    // Only one block will be taken: let it be the smallest that does.
    for (found = order; found < MAX_ORDER; found++) {
      page = findFallback(system, zone, found, type);
      if (page !== -1) {
        break;
      }
    }
  }
  stealSuitableFallback(system, zone, page, flags, type, canSteal(found, type));
  return true;
}

/**
 * @kernel mm/page_alloc.c __rmqueue()
 * @returns the page, -1 if the zone has no block that may be taken
 * @differs no CMA
 */
export function rmqueueFromLists(
  system: System,
  zone: Zone,
  order: number,
  type: MigrateType,
  flags: AllocFlags,
): number {
  for (;;) {
    const page = rmqueueSmallest(system, zone, order, type);
    if (page !== -1 || !rmqueueFallback(system, zone, order, type, flags)) {
      return page;
    }
  }
}

/**
 * Sets the pageblock of a block that was just taken aside for later atomic requests.
 * @kernel mm/page_alloc.c reserve_highatomic_pageblock()
 */
export function reserveHighatomicPageblock(system: System, zone: Zone, page: number): void {
  const limit = Math.floor(zone.managed / 100) + PAGEBLOCK_PAGES;
  if (zone.reservedHighatomic >= limit || pageblockType(zone, page) === HIGHATOMIC) {
    return;
  }
  zone.reservedHighatomic += PAGEBLOCK_PAGES;
  note(system, 'HighAtomic reserved');
  setPageblockType(zone, page, HIGHATOMIC);
  moveFreepagesBlock(system, zone, page, HIGHATOMIC);
}

/**
 * Gives one reserved pageblock to the requester's type.
 * @kernel mm/page_alloc.c unreserve_highatomic_pageblock()
 * @param force also the last one of a zone
 * @returns whether free pages were gained
 */
export function unreserveHighatomicPageblock(
  system: System,
  zonelist: readonly Zone[],
  type: MigrateType,
  force: boolean,
): boolean {
  if (system.mutation === 'HighAtomic never unreserved') {
    return false;
  }
  for (const zone of zonelist) {
    if (!force && zone.reservedHighatomic <= PAGEBLOCK_PAGES) {
      continue;
    }
    for (let order = 0; order < MAX_ORDER; order++) {
      const page = system.lists.first(freeList(zone, order, HIGHATOMIC));
      if (page === -1) {
        continue;
      }
      if (pageblockType(zone, page) === HIGHATOMIC) {
        zone.reservedHighatomic -= Math.min(PAGEBLOCK_PAGES, zone.reservedHighatomic);
      }
      setPageblockType(zone, page, type);
      if (moveFreepagesBlock(system, zone, page, type).moved > 0) {
        note(system, 'HighAtomic unreserved');
        return true;
      }
    }
  }
  return false;
}
