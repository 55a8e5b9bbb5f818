/** Memory that joins a zone and leaves it, page by page as mm/memory_hotplug.c of 6.1 does it. */
import type { HotplugOp } from '../machine';
import { HOTPLUG_PAGES } from '../machine';
import { addToFreeList, removeFromFreeList } from './buddy';
import { note } from './events';
import { runKcompactd, stopKcompactd } from './kcompactd';
import { letKswapdsAct, runKswapd, stopKswapd } from './kswapd';
import { dissolveFreeHugePages, hasMovablePages, migrateRange } from './offline-migrate';
import { isAllFree, pageblocks, startIsolate, undoIsolate } from './page-isolation';
import type { Range } from './page-isolation';
import { drainAllPages } from './pcp';
import {
  ISOLATE,
  MAX_ORDER,
  PAGEBLOCK_PAGES,
  UNMOVABLE,
  ZONE_MOVABLE,
  ZONE_NORMAL,
  count,
  endPfnOf,
  isOnlineBlock,
  pageAt,
  setOnlineBlock,
  setPageblockType,
  sum,
  zoneOf,
} from './state';
import type { Node, System, Zone } from './state';
import { setupLowmemReserve, setupMinUnmapped, setupPerZoneWmarks, wmarkPages } from './watermark';
import { buildZonelists } from './zonelist';

/** How long the writer waits for what cannot be moved. */
const PATIENCE_NS = 1_000_000_000;
const VAIN_ROUNDS = 16;
const WAIT_NS = 1_000_000;

/** A block of memory: pfns [from, to), of which the first hold its memmap. */
interface Block {
  node: Node;
  from: number;
  to: number;
  memmapPages: number;
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
    if (!hasMovablePages(system, range)) {
      if (!dissolveFreeHugePages(system, range)) {
        return false;
      }
      if (isAllFree(system, range)) {
        return true;
      }
      const held = range.zone.node.kcompactd.run !== null && system.timeNs < untilNs;
      if (held && system.mutation !== 'offline gives up on held pages') {
        system.timeNs += WAIT_NS;
        letKswapdsAct(system);
        continue;
      }
      vain = VAIN_ROUNDS;
      giveUp();
      return false;
    }
    const { left, writing } = migrateRange(system, range);
    if (left > 0 && writing > 0) {
      system.timeNs += WAIT_NS;
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
    while (start < end && !isOnlineBlock(zone, start)) {
      start += PAGEBLOCK_PAGES;
    }
  } else if (end === to) {
    end = from;
    while (end > start && !isOnlineBlock(zone, end - 1)) {
      end -= PAGEBLOCK_PAGES;
    }
  }
  zone.startPfn = start < end ? start : 0;
  zone.spanned = Math.max(end - start, 0);
}

/** The zones with memory are others now. */
function setPopulated(system: System, node: Node): void {
  node.zones = node.allZones.filter(({ present }) => present > 0);
  system.zones = system.nodes.flatMap(({ zones }) => zones);
}

/** @kernel mm/memory_hotplug.c offline_pages(), from its success on, node_states_clear_node() */
function leaveZone(system: System, range: Range, memmapPages: number): void {
  const { zone, from, to } = range;
  const { node } = zone;
  for (let pfn = from; pfn < to;) {
    const page = pageAt(zone, pfn);
    pfn += 1 << (system.pages.freeOrder[page] ?? 0);
    removeFromFreeList(system, page);
  }
  const whole = { ...range, from: from - memmapPages };
  zone.managed -= to - from;
  zone.present -= to - whole.from;
  pageblocks(whole).forEach((start) => setOnlineBlock(zone, start, false));
  initPerZoneWmarkMin(system);
  if (zone.present === 0) {
    note(system, 'zone lost its last memory');
    setPopulated(system, node);
    node.hasMemory = node.zones.length > 0 || system.mutation !== 'emptied node out of the lists';
    buildZonelists(system);
  }
  if (node.zones.length === 0) {
    note(system, 'node lost its last memory');
    node.hasMemory = false;
    stopKcompactd(node);
    stopKswapd(node);
  }
  shrinkSpan(zone, whole);
  note(system, 'memory went offline');
  note(system, 'block went with its memmap', memmapPages > 0 ? 1 : 0);
}

/** @kernel mm/memory_hotplug.c offline_pages() */
function offline(system: System, zone: Zone, { from, to, memmapPages }: Block): boolean {
  const range = { zone, from: from + memmapPages, to };
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
  leaveZone(system, range, memmapPages);
  return true;
}

/** @kernel mm/memory_hotplug.c move_pfn_range_to_zone(), resize_zone_range(), mhp_init_memmap_on_memory() */
function movePfnRangeToZone(system: System, zone: Zone, { from, to, memmapPages }: Block): void {
  const isNew = zone.spanned === 0;
  const end = isNew ? to : Math.max(endPfnOf(zone), to);
  zone.startPfn = isNew ? from : Math.min(zone.startPfn, from);
  zone.spanned = end - zone.startPfn;
  zone.node.nrZones = Math.max(zone.node.nrZones, zone.index + 1);
  system.pages.zone.fill(system.allZones.indexOf(zone), pageAt(zone, from), pageAt(zone, to));
  for (const start of pageblocks({ from, to })) {
    setOnlineBlock(zone, start, true);
    const type = start < from + memmapPages ? UNMOVABLE : ISOLATE;
    setPageblockType(zone, pageAt(zone, start), type);
  }
}

/** @kernel mm/memory_hotplug.c online_pages(), online_pages_range(), node_states_set_node() */
function online(system: System, zone: Zone, block: Block): void {
  const { node, to, memmapPages } = block;
  const from = block.from + memmapPages;
  const hadMemory = node.hasMemory;
  const before = zoneOf(system, pageAt(zone, from));
  const isNew = node.hotplug[(from - zone.basePfn) / PAGEBLOCK_PAGES] === -1;
  note(system, 'new memory came', isNew ? 1 : 0);
  note(system, 'memory changed its zone', !isNew && before !== zone ? 1 : 0);
  movePfnRangeToZone(system, zone, block);
  const wasPopulated = zone.present > 0;
  for (let pfn = from; pfn < to;) {
    let order = MAX_ORDER - 1;
    while (pfn % 2 ** order !== 0) {
      order--;
    }
    addToFreeList(system, zone, pageAt(zone, pfn), order, ISOLATE, 'tail');
    count(system, 'pgfree', 2 ** order);
    pfn += 2 ** order;
  }
  zone.managed += to - from;
  zone.present += to - block.from;
  if (!wasPopulated) {
    note(system, 'zone got its first memory');
    note(system, 'node got its first memory', hadMemory ? 0 : 1);
    zone.pcps.forEach((pcp) => (pcp.freeFactor = 0));
    setPopulated(system, node);
    node.hasMemory = true;
    buildZonelists(system);
  }
  undoIsolate(system, { zone, from, to });
  system.timeNs += (to - from) * system.config.costs.freeNs;
  initPerZoneWmarkMin(system);
  if (!hadMemory) {
    runKswapd(system, node);
  }
  runKcompactd(system, node);
  note(system, 'memory came online');
  note(system, 'block came with its memmap', memmapPages > 0 ? 1 : 0);
}

/** @kernel include/linux/mmzone.h zone_intersects() */
function intersects(zone: Zone | undefined, { from, to }: Block): boolean {
  return zone !== undefined && zone.spanned > 0 && from < endPfnOf(zone) && to > zone.startPfn;
}

/** @kernel mm/memory_hotplug.c zone_for_pfn_range(), default_zone_for_pfn(), default_kernel_zone_for_pfn() */
function zoneForPfnRange(system: System, how: HotplugOp['op'], block: Block): Zone | undefined {
  const [kernelZones, [movable]] = [
    block.node.allZones.filter(({ index }) => index <= ZONE_NORMAL),
    block.node.allZones.filter(({ index }) => index === ZONE_MOVABLE),
  ];
  const low = kernelZones.find((zone) => zone.index < ZONE_NORMAL && intersects(zone, block));
  const kernel = low ?? kernelZones.find(({ index }) => index === ZONE_NORMAL);
  const [inKernel, inMovable] = [intersects(kernel, block), intersects(movable, block)];
  if (how === 'online_movable') {
    return movable;
  }
  const movableByDefault = system.mutation === 'memory comes back as movable';
  if (how === 'online_kernel' || inKernel === inMovable) {
    return how === 'online' && movableByDefault ? movable : kernel;
  }
  return inKernel ? kernel : movable;
}

/** What the operation names, if all of it may come and go, and what holds its own memmap comes and goes alone. */
function blockOf(system: System, op: HotplugOp): Block | null {
  const node = system.nodes[op.node];
  const hotplug = system.config.nodes[op.node]?.hotplug;
  const [zone] = node?.allZones ?? [];
  if (node === undefined || hotplug === undefined || zone === undefined) {
    return null;
  }
  if (op.count < 1 || op.block + op.count > hotplug.blocks) {
    return null;
  }
  const from = hotplug.startPfn + op.block * HOTPLUG_PAGES;
  const to = from + op.count * HOTPLUG_PAGES;
  const known = pageblocks({ from, to }).map(
    (start) => node.hotplug[(start - zone.basePfn) / PAGEBLOCK_PAGES] as number,
  );
  const isNew = known.every((pages) => pages === -1);
  const wanted = op.op !== 'offline' && op.memmap && isNew ? PAGEBLOCK_PAGES : 0;
  const memmapPages = isNew ? wanted : Math.max(...known, 0);
  const mayBe = known.every((pages) => pages !== -2 && (op.op !== 'offline' || pages !== -1));
  return mayBe && (op.count === 1 || memmapPages === 0) ? { node, from, to, memmapPages } : null;
}

/** @returns pages that changed their state */
export function runHotplug(system: System, op: HotplugOp): number {
  const block = blockOf(system, op);
  if (block === null) {
    return 0;
  }
  const { node, from, to } = block;
  const starts = pageblocks(block);
  const holds = (zone: Zone): boolean => starts.some((start) => isOnlineBlock(zone, start));
  const [zone, ...others] = node.allZones.filter(holds);
  let done = false;
  if (op.op !== 'offline') {
    const target = zoneForPfnRange(system, op.op, block);
    if (zone === undefined && target !== undefined) {
      online(system, target, block);
      const first = (from - target.basePfn) / PAGEBLOCK_PAGES;
      node.hotplug.fill(0, first, first + starts.length);
      node.hotplug[first] = block.memmapPages;
      done = true;
    }
  } else if (zone !== undefined && others.length === 0) {
    const whole = starts.every((start) => isOnlineBlock(zone, start));
    const isLast = sum(system.zones, ({ present }) => present) === to - from;
    done = whole && !isLast && offline(system, zone, block);
    system.runningCpu = -1;
  }
  return done ? to - from : 0;
}
