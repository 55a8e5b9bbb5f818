/** Memory that leaves its zone and comes back, page by page as mm/memory_hotplug.c and mm/page_isolation.c of 6.1 do it. */
import type { HotplugOp } from '../machine';
import { HOTPLUG_PAGES } from '../machine';
import { addToFreeList, freeOnePage, removeFromFreeList } from './buddy';
import { movePage } from './compact-zone';
import { note } from './events';
import { moveFreepagesBlock } from './fallback';
import { letKswapdsAct } from './kswapd';
import { addToLru, removeFromLru } from './lru';
import { allocPages } from './page-alloc';
import { drainAllPages, freePage } from './pcp';
import { filtered } from './policy';
import type { AllocTry } from './policy';
import {
  ACTIVE_FILE,
  INACTIVE_FILE,
  ISOLATE,
  MAX_ORDER,
  MOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  count,
  endPfnOf,
  isOnlineBlock,
  pageAt,
  pageblockType,
  setOnlineBlock,
  setPageblockType,
  sum,
} from './state';
import type { System, Zone } from './state';
import { isUnderWriteback } from './swap-write';
import { setupLowmemReserve, setupMinUnmapped, setupPerZoneWmarks, wmarkPages } from './watermark';

/** Whoever writes to a block's state does so there. */
const WRITER_CPU = 0;
/** How long the writer waits for what cannot be moved. */
const PATIENCE_NS = 1_000_000_000;
const VAIN_ROUNDS = 16;
const WRITEBACK_WAIT_NS = 1_000_000;

/** pfns [from, to) of a zone, whole pageblocks. */
interface Range {
  zone: Zone;
  from: number;
  to: number;
}

function pageblocks({ from, to }: Range): number[] {
  const starts: number[] = [];
  for (let pfn = from; pfn < to; pfn += PAGEBLOCK_PAGES) {
    starts.push(pfn);
  }
  return starts;
}

function hasHuge(system: System, zone: Zone, start: number): boolean {
  return system.pages.huge[pageAt(zone, start)] === 1;
}

function isFreeHuge(system: System, zone: Zone, start: number): boolean {
  return system.hugetlb.nodes[zone.node.id]?.free.includes(pageAt(zone, start)) ?? false;
}

/** The last free order that covers a pfn: of its own block, or of one that begins before it. */
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
  const buddy = pageAt(zone, start) ^ PAGEBLOCK_PAGES;
  const { freeOrder } = system.pages;
  const merges =
    freeOrder[page] === PAGEBLOCK_ORDER &&
    freeOrder[buddy] === PAGEBLOCK_ORDER &&
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
function startIsolate(system: System, range: Range): boolean {
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
function undoIsolate(system: System, range: Range): void {
  pageblocks(range).forEach((start) => unsetIsolate(system, range.zone, start));
}

function lruPagesIn(system: System, { zone, from, to }: Range): number[] {
  const found: number[] = [];
  for (let pfn = from; pfn < to; pfn++) {
    if (system.pages.lru[pageAt(zone, pfn)] !== -1) {
      found.push(pageAt(zone, pfn));
    }
  }
  return found;
}

/** Any node but the own one, if there is another. @kernel mm/memory_hotplug.c do_migrate_range(), mm/migrate.c alloc_migration_target() */
function targetOf(system: System, zone: Zone): AllocTry {
  const others = system.nodes.filter((node) => node !== zone.node && node.zones.length > 0);
  const mask = (others.length > 0 ? others : [zone.node]).map(({ id }) => id);
  const classIndex = zone.index === ZONE_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL;
  const zonelist = filtered(zone.node, mask, classIndex);
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

/**
 * Moves pages by ascending pfn until one finds no place; all that were not moved return to the heads of their lists.
 * @kernel mm/memory_hotplug.c do_migrate_range()
 * @differs pages that are written are not waited for here, but by the next round
 * @returns pages that are left, and how many of them are being written
 */
function migrateRange(system: System, range: Range): { left: number; writing: number } {
  const { zone } = range;
  const all = lruPagesIn(system, range);
  const writing = all.filter((page) => isUnderWriteback(system, page)).length;
  const sources = all.filter((page) => !isUnderWriteback(system, page));
  const lists = sources.map((page) => system.pages.lru[page] ?? 0);
  const countIsolated = (list: number | undefined, by: number): void => {
    if (list === INACTIVE_FILE || list === ACTIVE_FILE) {
      zone.node.isolatedFilePages += by;
    }
  };
  sources.forEach((page) => removeFromLru(system, page));
  lists.forEach((list) => countIsolated(list, 1));
  const attempt = targetOf(system, zone);
  let moved = 0;
  if (system.mutation === 'offline moves from the top') {
    sources.reverse();
    lists.reverse();
  }
  for (; moved < sources.length; moved++) {
    system.runningCpu = WRITER_CPU;
    letKswapdsAct(system);
    const to = allocPages(system, attempt);
    if (to === -1) {
      count(system, 'pgmigrate_fail');
      note(system, 'offline page without a place');
      break;
    }
    system.timeNs += system.config.compaction?.migrateNs ?? 0;
    movePage(system, sources[moved] as number, to, lists[moved] as number, WRITER_CPU);
    countIsolated(lists[moved], -1);
    count(system, 'pgmigrate_success');
    note(system, 'offline page moved');
  }
  sources.slice(moved).forEach((page, i) => addToLru(system, page, lists[moved + i] as number));
  lists.slice(moved).forEach((list) => countIsolated(list, -1));
  return { left: lruPagesIn(system, range).length, writing };
}

/** @kernel mm/hugetlb.c dissolve_free_huge_pages() @returns false if the pool has promised all that it has free */
function dissolve(system: System, { zone, ...range }: Range): boolean {
  const pool = system.hugetlb;
  for (const start of pageblocks({ zone, ...range })) {
    if (!hasHuge(system, zone, start)) {
      continue;
    }
    const page = pageAt(zone, start);
    if (sum(pool.nodes, ({ free }) => free.length) <= pool.reserved) {
      return false;
    }
    const own = pool.nodes[zone.node.id] as (typeof pool.nodes)[number];
    own.free.splice(own.free.indexOf(page), 1);
    own.total -= 1;
    pool.max -= 1;
    system.pages.huge[page] = 0;
    freePage(system, page, PAGEBLOCK_ORDER, WRITER_CPU);
  }
  return true;
}

/** @kernel mm/page_isolation.c test_pages_isolated() */
function isAllFree(system: System, { zone, from, to }: Range): boolean {
  for (let pfn = from; pfn < to; pfn++) {
    if (!isInFreeBlock(system, zone, pfn)) {
      return false;
    }
  }
  return true;
}

/** Moves what stands in the range until nothing does, or the writer loses patience. */
function empty(system: System, range: Range): boolean {
  const untilNs = system.timeNs + PATIENCE_NS;
  const lookNs = (range.to - range.from) * (system.config.compaction?.compactScanNs ?? 0);
  let least = Infinity;
  let vain = 0;
  const giveUp = (): boolean => {
    if (vain < VAIN_ROUNDS && system.timeNs < untilNs) {
      return false;
    }
    system.timeNs = Math.max(system.timeNs, untilNs);
    return true;
  };
  for (;;) {
    system.timeNs += lookNs;
    if (lruPagesIn(system, range).length === 0) {
      if (!dissolve(system, range)) {
        return false;
      }
      if (isAllFree(system, range)) {
        return true;
      }
      vain = VAIN_ROUNDS;
      giveUp();
      return false;
    }
    const { left, writing } = migrateRange(system, range);
    if (left > 0 && writing > 0) {
      system.timeNs += WRITEBACK_WAIT_NS;
      letKswapdsAct(system);
    }
    vain = left < least || writing > 0 ? 0 : vain + 1;
    least = Math.min(least, left);
    if (left > 0 && giveUp()) {
      return false;
    }
  }
}

/** @kernel mm/page_alloc.c init_per_zone_wmark_min(), calculate_min_free_kbytes(), nr_free_buffer_pages() */
function initPerZoneWmarkMin(system: System): void {
  const lowmem = system.zones.filter(({ index }) => index <= ZONE_NORMAL);
  const pages = sum(lowmem, (zone) => Math.max(zone.managed - wmarkPages(zone, 'high'), 0));
  const computed = Math.floor(Math.sqrt(pages * 4 * 16));
  if (computed > system.userMinFreeKbytes) {
    system.sysctl.min_free_kbytes = Math.min(Math.max(computed, 128), 262144);
  }
  if (system.mutation !== 'marks stay when memory leaves') {
    setupPerZoneWmarks(system);
  }
  setupLowmemReserve(system);
  setupMinUnmapped(system);
}

/** @kernel mm/memory_hotplug.c shrink_zone_span(): only memory at an end of the zone changes its span */
function shrinkSpan(zone: Zone, { from, to }: Range): void {
  let [start, end] = [zone.startPfn, endPfnOf(zone)];
  if (start === from) {
    start = to;
    while (!isOnlineBlock(zone, start)) {
      start += PAGEBLOCK_PAGES;
    }
  } else if (end === to) {
    end = from;
    while (!isOnlineBlock(zone, end - 1)) {
      end -= PAGEBLOCK_PAGES;
    }
  }
  zone.startPfn = start;
  zone.spanned = end - start;
}

/** @kernel mm/memory_hotplug.c offline_pages() */
function offline(system: System, range: Range): boolean {
  const { zone, from, to } = range;
  const { pcpBatch, pcpHigh } = zone;
  zone.pcpBatch = 1;
  zone.pcpHigh = 0;
  drainAllPages(system, zone);
  const isolated = startIsolate(system, range);
  const isEmpty = isolated && empty(system, range);
  if (isolated && !isEmpty) {
    undoIsolate(system, range);
  }
  zone.pcpBatch = pcpBatch;
  zone.pcpHigh = pcpHigh;
  if (!isEmpty) {
    note(system, 'offline refused');
    return false;
  }
  for (let pfn = from; pfn < to;) {
    const page = pageAt(zone, pfn);
    pfn += 1 << (system.pages.freeOrder[page] ?? 0);
    removeFromFreeList(system, page);
  }
  zone.managed -= to - from;
  pageblocks(range).forEach((start) => setOnlineBlock(zone, start, false));
  initPerZoneWmarkMin(system);
  shrinkSpan(zone, range);
  note(system, 'memory went offline');
  return true;
}

/** @kernel mm/memory_hotplug.c online_pages(), online_pages_range() */
function online(system: System, range: Range): void {
  const { zone, from, to } = range;
  const end = Math.max(endPfnOf(zone), to);
  zone.startPfn = Math.min(zone.startPfn, from);
  zone.spanned = end - zone.startPfn;
  for (const start of pageblocks(range)) {
    setOnlineBlock(zone, start, true);
    setPageblockType(zone, pageAt(zone, start), ISOLATE);
  }
  for (let pfn = from; pfn < to; pfn += HOTPLUG_PAGES) {
    addToFreeList(system, zone, pageAt(zone, pfn), MAX_ORDER - 1, ISOLATE, 'tail');
    count(system, 'pgfree', HOTPLUG_PAGES);
  }
  zone.managed += to - from;
  undoIsolate(system, range);
  system.timeNs += (to - from) * system.config.costs.freeNs;
  initPerZoneWmarkMin(system);
  note(system, 'memory came online');
}

/**
 * What the operation means: whole blocks within what the zone had at boot, all of them online or all of them offline, without
 * huge pages in use, and not the last memory of the zone.
 */
function rangeOf(system: System, op: HotplugOp): Range | null {
  const zone = system.nodes[op.node]?.zones.find(({ index }) => index === op.zone);
  if (zone === undefined) {
    return null;
  }
  const from = zone.basePfn + op.block * HOTPLUG_PAGES;
  const range = { zone, from, to: from + op.count * HOTPLUG_PAGES };
  const { startPfn, endPfn } = zone.boot;
  if (from < startPfn || range.to > endPfn) {
    return null;
  }
  const wanted = op.op === 'offline';
  const fits = pageblocks(range).every(
    (start) =>
      isOnlineBlock(zone, start) === wanted &&
      (!wanted || !hasHuge(system, zone, start) || isFreeHuge(system, zone, start)),
  );
  return fits && (!wanted || zone.managed > range.to - from) ? range : null;
}

/** @returns pages that changed their state */
export function runHotplug(system: System, op: HotplugOp): number {
  const range = rangeOf(system, op);
  if (range === null) {
    return 0;
  }
  if (op.op === 'online') {
    online(system, range);
    return range.to - range.from;
  }
  const went = offline(system, range);
  system.runningCpu = -1;
  return went ? range.to - range.from : 0;
}
