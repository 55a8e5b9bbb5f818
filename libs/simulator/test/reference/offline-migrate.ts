/** What stands in memory that goes offline moves away, page by page as mm/memory_hotplug.c, mm/migrate.c and mm/hugetlb.c of 6.1 have it. */
import { movePage } from './compact-zone';
import { note } from './events';
import {
  NO_PAGE,
  allocFresh,
  dequeue,
  freeHugePage,
  freeOf,
  giveBack,
  nodeOfPage,
} from './hugetlb';
import { letKswapdsAct } from './kswapd';
import { addToLru, hasFlag, removeFromLru } from './lru';
import { allocPages } from './page-alloc';
import { hasHuge, pageblocks } from './page-isolation';
import type { Range } from './page-isolation';
import { filtered } from './policy';
import type { AllocTry } from './policy';
import {
  ACTIVE_FILE,
  INACTIVE_FILE,
  MOVABLE,
  PG_SWAPCACHE,
  PAGEBLOCK_PAGES,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  count,
  pageAt,
} from './state';
import type { HugetlbMapping, System, Zone } from './state';
import { isUnderWriteback } from './swap-write';

/** Whoever writes to a block's state does so there. */
export const WRITER_CPU = 0;

function lruPagesIn(system: System, { zone, from, to }: Range): number[] {
  const found: number[] = [];
  for (let pfn = from; pfn < to; pfn++) {
    if (system.pages.lru[pageAt(zone, pfn)] !== -1) {
      found.push(pageAt(zone, pfn));
    }
  }
  return found;
}

/** Huge pages of the range that are not free. */
function usedHugePagesIn(system: System, { zone, ...range }: Range): number[] {
  const free = system.hugetlb.nodes[zone.node.id]?.free ?? [];
  return pageblocks(range)
    .filter((start) => hasHuge(system, zone, start))
    .map((start) => pageAt(zone, start))
    .filter((page) => !free.includes(page));
}

/** @kernel mm/memory_hotplug.c scan_movable_pages() */
export function hasMovablePages(system: System, range: Range): boolean {
  return lruPagesIn(system, range).length > 0 || usedHugePagesIn(system, range).length > 0;
}

/** All nodes with memory but the own one, which is taken if there is no other. @kernel mm/memory_hotplug.c do_migrate_range() */
function targetMask(system: System, zone: Zone): number[] {
  const others = system.nodes.filter((node) => node !== zone.node && node.hasMemory);
  return (others.length > 0 ? others : [zone.node]).map(({ id }) => id);
}

/** @kernel mm/migrate.c alloc_migration_target() */
function targetOf(system: System, zone: Zone): AllocTry {
  const classIndex = zone.index === ZONE_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL;
  const zonelist = filtered(zone.node, targetMask(system, zone), classIndex);
  const context = {
    cpu: WRITER_CPU,
    order: 0,
    type: MOVABLE,
    classIndex,
    atomic: false,
    directReclaim: true,
    retryMayFail: true,
    zonelist,
    preferred: zonelist[0],
  } as const;
  return {
    fast: context,
    slow: {
      ...context,
      named: zonelist,
      within: zonelist,
      everywhere: filtered(zone.node, null, classIndex),
    },
    interleaveNode: null,
  };
}

/** Where a huge page is mapped. */
function userOf(system: System, page: number): { mapping: HugetlbMapping; index: number } | null {
  for (const mapping of system.hugetlb.mappings.values()) {
    const index = mapping.pages.indexOf(page);
    if (index !== -1) {
      return { mapping, index };
    }
  }
  return null;
}

/**
 * A huge page in use goes to one that the pool can spare, which is freed where it was as any huge page is; else to a fresh one,
 * which takes its place in the pool. Surplus goes along with that.
 * @kernel mm/migrate.c unmap_and_move_huge_page(), mm/hugetlb.c alloc_huge_page_nodemask(), move_hugetlb_state(), free_huge_page()
 */
function moveHugePage(system: System, zone: Zone, page: number): boolean {
  const pool = system.hugetlb;
  const mask = targetMask(system, zone);
  let to = freeOf(pool) > pool.reserved ? dequeue(system, zone.node, mask, null) : NO_PAGE;
  const pooled = to !== NO_PAGE;
  if (!pooled) {
    const request = { cpu: WRITER_CPU, node: zone.node, mask, mems: null };
    to = allocFresh(system, { ...request, thisNode: false, directReclaim: true });
  }
  if (to === NO_PAGE) {
    return false;
  }
  system.timeNs += PAGEBLOCK_PAGES * (system.config.compaction?.migrateNs ?? 0);
  const user = userOf(system, page);
  if (user !== null) {
    user.mapping.pages[user.index] = to;
  }
  if (pooled) {
    note(system, 'huge page moved to one of the pool');
    freeHugePage(system, page, WRITER_CPU);
    return true;
  }
  note(system, 'huge page moved to fresh memory');
  const [before, after] = [nodeOfPage(system, page), nodeOfPage(system, to)];
  const stays = system.mutation === 'surplus stays where a huge page was';
  if (before !== after && before.surplus > 0 && !stays) {
    before.surplus -= 1;
    after.surplus += 1;
  }
  before.total -= 1;
  giveBack(system, page, WRITER_CPU);
  return true;
}

/** @kernel mm/migrate.c migrate_hugetlbs() @returns whether the others are to be moved as well */
function moveHugePages(system: System, zone: Zone, pages: readonly number[]): boolean {
  for (const page of pages) {
    system.runningCpu = WRITER_CPU;
    if (!moveHugePage(system, zone, page)) {
      count(system, 'pgmigrate_fail', PAGEBLOCK_PAGES);
      note(system, 'offline huge page without a place');
      return false;
    }
    count(system, 'pgmigrate_success', PAGEBLOCK_PAGES);
  }
  return true;
}

/**
 * @param moved is told the index of each page that was moved
 * @returns how many of the pages were moved before one found no place
 */
function moveSources(
  system: System,
  zone: Zone,
  sources: readonly number[],
  lists: readonly number[],
  moved: (index: number) => void,
): number {
  const attempt = targetOf(system, zone);
  for (const [i, page] of sources.entries()) {
    system.runningCpu = WRITER_CPU;
    letKswapdsAct(system);
    const to = allocPages(system, attempt);
    if (to === -1) {
      count(system, 'pgmigrate_fail');
      note(system, 'offline page without a place');
      return i;
    }
    system.timeNs += system.config.compaction?.migrateNs ?? 0;
    movePage(system, page, to, lists[i] as number, WRITER_CPU);
    moved(i);
    count(system, 'pgmigrate_success');
    note(system, 'offline page moved');
  }
  return sources.length;
}

/** Whether NR_FILE_PAGES counts it, on a list or off it: page cache, and anonymous pages that are on swap as well. */
function isCache(system: System, page: number, list: number): boolean {
  return list === INACTIVE_FILE || list === ACTIVE_FILE || hasFlag(system, page, PG_SWAPCACHE);
}

/**
 * Takes all pages off their lists, moves huge pages of the pool, then the others, by ascending pfn until one finds no place;
 * all that were not moved return to the heads of their lists.
 * @kernel mm/memory_hotplug.c do_migrate_range(), mm/migrate.c migrate_pages()
 * @differs pages that are written are not waited for here, but by the next round
 * @returns pages that are left, and how many of them are being written
 */
export function migrateRange(system: System, range: Range): { left: number; writing: number } {
  const { zone } = range;
  const huge = usedHugePagesIn(system, range);
  const all = lruPagesIn(system, range);
  const writing = all.filter((page) => isUnderWriteback(system, page)).length;
  const sources = all.filter((page) => !isUnderWriteback(system, page));
  if (system.mutation === 'offline moves from the top') {
    sources.reverse();
  }
  const lists = sources.map((page) => system.pages.lru[page] ?? 0);
  const cached = sources.map((page, i) => isCache(system, page, lists[i] as number));
  sources.forEach((page) => removeFromLru(system, page));
  zone.node.isolatedFilePages += cached.filter(Boolean).length;
  const goesOn = moveHugePages(system, zone, huge);
  const countBack = (i: number): void => {
    zone.node.isolatedFilePages -= cached[i] ? 1 : 0;
  };
  const moved = goesOn ? moveSources(system, zone, sources, lists, countBack) : 0;
  for (const [i, page] of [...sources.entries()].slice(moved)) {
    addToLru(system, page, lists[i] as number);
    countBack(i);
  }
  const left = lruPagesIn(system, range).length + usedHugePagesIn(system, range).length;
  return { left, writing };
}

/** @kernel mm/hugetlb.c dissolve_free_huge_pages() @returns false if the pool has promised all that it has free */
export function dissolveFreeHugePages(system: System, { zone, ...range }: Range): boolean {
  const pool = system.hugetlb;
  for (const start of pageblocks(range)) {
    if (!hasHuge(system, zone, start)) {
      continue;
    }
    const page = pageAt(zone, start);
    if (freeOf(pool) <= pool.reserved) {
      note(system, 'promised huge pages stayed');
      return false;
    }
    const own = nodeOfPage(system, page);
    own.free.splice(own.free.indexOf(page), 1);
    own.total -= 1;
    pool.max -= 1;
    note(system, 'free huge page left its pool');
    giveBack(system, page, WRITER_CPU);
  }
  return true;
}
