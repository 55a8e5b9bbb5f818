import type { MigrateType } from '../machine';
import { note } from './events';
import {
  ISOLATE,
  MAX_ORDER,
  MOVABLE,
  PAGEBLOCK_ORDER,
  RECLAIMABLE,
  UNMOVABLE,
  pageblockType,
  zoneOf,
} from './state';
import type { System, Zone } from './state';

/** HighAtomic blocks do not merge with others at pageblock size and above. */
export function isMergeable(type: MigrateType): boolean {
  return type === UNMOVABLE || type === MOVABLE || type === RECLAIMABLE;
}

export function freeList(zone: Zone, order: number, type: MigrateType): number {
  return zone.freeLists[order]?.[type] as number;
}

/** Does not change the zone's count of free pages: that belongs to the callers, as in the kernel. */
export function addToFreeList(
  system: System,
  zone: Zone,
  page: number,
  order: number,
  type: MigrateType,
  where: 'head' | 'tail',
): void {
  system.pages.freeOrder[page] = order;
  if (where === 'head') {
    system.lists.addHead(freeList(zone, order, type), page);
  } else {
    system.lists.addTail(freeList(zone, order, type), page);
  }
}

export function removeFromFreeList(system: System, page: number): void {
  system.lists.remove(page);
  system.pages.freeOrder[page] = -1;
}

/** @kernel mm/page_alloc.c move_to_free_list(): always to the tail */
export function moveToFreeList(
  system: System,
  zone: Zone,
  page: number,
  order: number,
  type: MigrateType,
): void {
  system.lists.remove(page);
  addToFreeList(system, zone, page, order, type, 'tail');
}

/** The page that would have to be free to merge at this order, -1 if it is not free as one block of the zone. */
function findBuddy(system: System, zone: Zone, offset: number, order: number): number {
  const buddy = offset ^ (1 << order);
  if (buddy < 0 || buddy >= zone.entries) {
    return -1;
  }
  const page = zone.firstPage + buddy;
  return system.pages.freeOrder[page] === order && zoneOf(system, page) === zone ? page : -1;
}

/**
 * Is it likely that this block soon merges further? Then it goes to the tail, to be used last.
 * @kernel mm/page_alloc.c buddy_merge_likely()
 */
function isMergeLikely(system: System, zone: Zone, offset: number, order: number): boolean {
  if (order >= MAX_ORDER - 2 || system.mutation === 'merged block never goes to the tail') {
    return false;
  }
  const merged = offset & ~(1 << order);
  return findBuddy(system, zone, merged, order + 1) !== -1;
}

/**
 * The task that compacts may take a block that is being freed. Blocks below a pageblock of movable memory are left, so
 * that no smaller request spoils it.
 * @kernel mm/page_alloc.c task_capc(), compaction_capture()
 * @returns whether it did
 */
function isCaptured(
  system: System,
  zone: Zone,
  page: number,
  order: number,
  type: MigrateType,
): boolean {
  const { capture } = system;
  if (type === ISOLATE) {
    return false;
  }
  if (capture === null || capture.page !== -1 || capture.zone !== zone || capture.order !== order) {
    return false;
  }
  if (order < PAGEBLOCK_ORDER && type === MOVABLE) {
    return false;
  }
  capture.page = page;
  zone.free -= 1 << order;
  note(system, 'block captured');
  return true;
}

/**
 * Gives a block back and merges it as far as possible.
 * @kernel mm/page_alloc.c __free_one_page()
 * @param toTail as at boot, without a look at the neighbours
 */
export function freeOnePage(
  system: System,
  zone: Zone,
  page: number,
  order: number,
  type: MigrateType,
  toTail = false,
): void {
  zone.free += type === ISOLATE ? 0 : 1 << order;
  let offset = page - zone.firstPage;
  let merged = order;
  while (merged < MAX_ORDER - 1) {
    if (isCaptured(system, zone, zone.firstPage + offset, merged, type)) {
      return;
    }
    const buddy = findBuddy(system, zone, offset, merged);
    if (buddy === -1) {
      break;
    }
    if (merged >= PAGEBLOCK_ORDER) {
      const buddyType = pageblockType(zone, buddy);
      if (type !== buddyType && !(isMergeable(type) && isMergeable(buddyType))) {
        break;
      }
    }
    removeFromFreeList(system, buddy);
    offset &= ~(1 << merged);
    merged++;
  }
  const where = toTail || isMergeLikely(system, zone, offset, merged) ? 'tail' : 'head';
  if (where === 'tail') {
    note(system, 'merge likely');
  }
  addToFreeList(system, zone, zone.firstPage + offset, merged, type, where);
}

/**
 * Takes the first block of the smallest order that has one on the lists of this type, and splits it: the
 * upper halves go to the lower lists, which are empty then.
 * @kernel mm/page_alloc.c __rmqueue_smallest(), expand()
 * @returns the page, -1 if no list of the type has a block
 */
export function rmqueueSmallest(
  system: System,
  zone: Zone,
  order: number,
  type: MigrateType,
): number {
  for (let current = order; current < MAX_ORDER; current++) {
    const page = system.lists.first(freeList(zone, current, type));
    if (page === -1) {
      continue;
    }
    removeFromFreeList(system, page);
    let taken = page;
    for (let half = current - 1; half >= order; half--) {
      let upper = taken + (1 << half);
      if (system.mutation === 'split gives out the upper half') {
        [taken, upper] = [upper, taken];
      }
      addToFreeList(system, zone, upper, half, type, 'head');
    }
    system.pages.pcpType[taken] = type;
    return taken;
  }
  return -1;
}
