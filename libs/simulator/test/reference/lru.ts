import { note } from './events';
import {
  ACTIVE_ANON,
  ACTIVE_FILE,
  INACTIVE_ANON,
  INACTIVE_FILE,
  PG_REFERENCED,
  PG_SWAPCACHE,
  count,
  zoneOf,
} from './state';
import type { Node, System } from './state';

export function isFile(list: number): boolean {
  return list === INACTIVE_FILE || list === ACTIVE_FILE;
}

export function isActive(list: number): boolean {
  return list === ACTIVE_ANON || list === ACTIVE_FILE;
}

export function hasFlag(system: System, page: number, flag: number): boolean {
  return ((system.pages.flags[page] ?? 0) & flag) !== 0;
}

export function setFlag(system: System, page: number, flag: number): void {
  system.pages.flags[page] = (system.pages.flags[page] ?? 0) | flag;
}

/** @returns whether the flag was set */
export function testClearFlag(system: System, page: number, flag: number): boolean {
  const was = hasFlag(system, page, flag);
  system.pages.flags[page] = (system.pages.flags[page] ?? 0) & ~flag;
  return was;
}

function account(system: System, page: number, list: number, by: 1 | -1): void {
  const zone = zoneOf(system, page);
  zone.lruPages[list] = (zone.lruPages[list] ?? 0) + by;
  zone.node.lruPages[list] = (zone.node.lruPages[list] ?? 0) + by;
  if (hasFlag(system, page, PG_SWAPCACHE)) {
    zone.node.swapCachePages += by;
  }
}

/** @kernel include/linux/mm_inline.h lruvec_add_folio(), lruvec_add_folio_tail() */
export function addToLru(
  system: System,
  page: number,
  list: number,
  where: 'head' | 'tail' = 'head',
): void {
  const head = zoneOf(system, page).node.lru[list] as number;
  system.pages.lru[page] = list;
  account(system, page, list, 1);
  if (where === 'head') {
    system.lists.addHead(head, page);
  } else {
    system.lists.addTail(head, page);
  }
}

/** @kernel include/linux/mm_inline.h lruvec_del_folio() */
export function removeFromLru(system: System, page: number): void {
  account(system, page, system.pages.lru[page] ?? 0, -1);
  system.pages.lru[page] = -1;
  system.lists.remove(page);
}

/** Forgets what a page was, before it is freed. */
export function clearPage(system: System, page: number): void {
  system.pages.flags[page] = 0;
  system.pages.mapped[page] = 0;
  system.pages.owner[page] = -1;
}

/**
 * @kernel mm/swap.c folio_mark_accessed()
 * @differs no per-CPU batches: the page moves at once
 */
export function markAccessed(system: System, page: number): void {
  const list = system.pages.lru[page] ?? -1;
  if (!hasFlag(system, page, PG_REFERENCED)) {
    setFlag(system, page, PG_REFERENCED);
  } else if (list === INACTIVE_ANON || list === INACTIVE_FILE) {
    removeFromLru(system, page);
    addToLru(system, page, list + 1);
    testClearFlag(system, page, PG_REFERENCED);
    count(system, 'pgactivate');
    zoneOf(system, page).node.nonresidentAge++;
  }
}

/**
 * Charges a list for pages written; old charges fade when the sum exceeds a quarter of the pages.
 * @kernel mm/swap.c lru_note_cost()
 */
export function noteCost(system: System, node: Node, file: boolean, pages: number): void {
  if (file) {
    node.fileCost += pages;
  } else {
    node.anonCost += pages;
  }
  const size = [INACTIVE_ANON, ACTIVE_ANON, INACTIVE_FILE, ACTIVE_FILE].reduce(
    (total, list) => total + (node.lruPages[list] ?? 0),
    0,
  );
  if (node.fileCost + node.anonCost > Math.floor(size / 4)) {
    note(system, 'cost halved');
    if (system.mutation !== 'cost never halves') {
      node.fileCost = Math.floor(node.fileCost / 2);
      node.anonCost = Math.floor(node.anonCost / 2);
    }
  }
}

/**
 * Should active pages be moved to the inactive list of this kind?
 * @kernel mm/vmscan.c inactive_is_low()
 */
export function isInactiveLow(node: Node, inactiveList: number): boolean {
  const inactive = node.lruPages[inactiveList] ?? 0;
  const active = node.lruPages[inactiveList + 1] ?? 0;
  const gib = Math.floor((inactive + active) / (1 << 18));
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
  return inactive * ratio < active;
}
