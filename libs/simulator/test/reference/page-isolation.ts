/** Pageblocks that nobody is served from, as mm/page_isolation.c of 6.1 makes them. */
import { freeOnePage, removeFromFreeList } from './buddy';
import { moveFreepagesBlock } from './fallback';
import {
  ISOLATE,
  MAX_ORDER,
  MOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  ZONE_MOVABLE,
  pageAt,
  pageblockType,
  setPageblockType,
  zoneOf,
} from './state';
import type { System, Zone } from './state';

/** pfns [from, to) of a zone, whole pageblocks. */
export interface Range {
  zone: Zone;
  from: number;
  to: number;
}

export function pageblocks({ from, to }: Pick<Range, 'from' | 'to'>): number[] {
  const starts: number[] = [];
  for (let pfn = from; pfn < to; pfn += PAGEBLOCK_PAGES) {
    starts.push(pfn);
  }
  return starts;
}

/** Is the pageblock a huge page of the pool? */
export function hasHuge(system: System, zone: Zone, start: number): boolean {
  return system.pages.huge[pageAt(zone, start)] === 1;
}

/** Is the page in a free block: one that begins with it, or before it? */
function isInFreeBlock(system: System, zone: Zone, pfn: number): boolean {
  for (let order = 0; order < MAX_ORDER; order++) {
    const head = pfn - (pfn % 2 ** order);
    if (head >= zone.basePfn && system.pages.freeOrder[pageAt(zone, head)] === order) {
      return true;
    }
  }
  return false;
}

/** @kernel mm/page_isolation.c has_unmovable_pages() */
function hasUnmovablePages(system: System, zone: Zone, start: number): boolean {
  if (hasHuge(system, zone, start) || zone.index === ZONE_MOVABLE) {
    return false;
  }
  for (let pfn = start; pfn < start + PAGEBLOCK_PAGES; pfn++) {
    const onLru = system.pages.lru[pageAt(zone, pfn)] !== -1;
    if (!onLru && !isInFreeBlock(system, zone, pfn)) {
      return true;
    }
  }
  return false;
}

/** @kernel mm/page_isolation.c set_migratetype_isolate() @returns whether the pageblock could be isolated */
function setIsolate(system: System, zone: Zone, start: number): boolean {
  if (hasUnmovablePages(system, zone, start)) {
    return false;
  }
  const page = pageAt(zone, start);
  setPageblockType(zone, page, ISOLATE);
  zone.free -= moveFreepagesBlock(system, zone, page, ISOLATE).moved;
  return true;
}

/** @kernel mm/page_isolation.c unset_migratetype_isolate() */
function unsetIsolate(system: System, zone: Zone, start: number): void {
  const page = pageAt(zone, start);
  if (pageblockType(zone, page) !== ISOLATE) {
    return;
  }
  const buddy = page ^ PAGEBLOCK_PAGES;
  const { freeOrder } = system.pages;
  const merges =
    freeOrder[page] === PAGEBLOCK_ORDER &&
    freeOrder[buddy] === PAGEBLOCK_ORDER &&
    zoneOf(system, buddy) === zone &&
    pageblockType(zone, buddy) !== ISOLATE;
  if (!merges) {
    zone.free += moveFreepagesBlock(system, zone, page, MOVABLE).moved;
    setPageblockType(zone, page, MOVABLE);
    return;
  }
  removeFromFreeList(system, page);
  setPageblockType(zone, page, MOVABLE);
  freeOnePage(system, zone, page, PAGEBLOCK_ORDER, MOVABLE, true);
}

/** The first, the last, those between. @kernel mm/page_isolation.c start_isolate_page_range() */
export function startIsolate(system: System, range: Range): boolean {
  const { zone } = range;
  const [first = 0, ...rest] = pageblocks(range);
  const last = rest.pop();
  if (!setIsolate(system, zone, first)) {
    return false;
  }
  if (last !== undefined && !setIsolate(system, zone, last)) {
    unsetIsolate(system, zone, first);
    return false;
  }
  for (const start of rest) {
    if (!setIsolate(system, zone, start)) {
      undoIsolate(system, { ...range, to: start });
      unsetIsolate(system, zone, last as number);
      return false;
    }
  }
  return true;
}

/** @kernel mm/page_isolation.c undo_isolate_page_range() */
export function undoIsolate(system: System, range: Range): void {
  pageblocks(range).forEach((start) => unsetIsolate(system, range.zone, start));
}

/** @kernel mm/page_isolation.c test_pages_isolated() */
export function isAllFree(system: System, { zone, from, to }: Range): boolean {
  for (let pfn = from; pfn < to; pfn++) {
    if (!isInFreeBlock(system, zone, pfn)) {
      return false;
    }
  }
  return true;
}
