import type { MachineConfig, MachineNodeConfig, MachineZoneConfig } from '../machine';
import { addToFreeList } from './buddy';
import { noEvents } from './events';
import { createPool } from './hugetlb';
import { Lists } from './lists';
import type { Mutation } from './mutations';
import { LRU_LISTS, MAX_ORDER, MOVABLE, PAGEBLOCK_PAGES, PCP_LISTS } from './state';
import type { Node, Pages, System, Zone } from './state';
import { setupLowmemReserve, setupMinUnmapped, setupPerZoneWmarks } from './watermark';
import { buildZonelists } from './zonelist';

const LARGEST_BLOCK = 1 << (MAX_ORDER - 1);
const TYPES = 5;

/** First pfn and number of the page numbers a zone needs, so that block offsets are multiples of 1024. */
function span(config: MachineZoneConfig): { basePfn: number; entries: number } {
  const basePfn = config.startPfn - (config.startPfn % LARGEST_BLOCK);
  const end = config.startPfn + config.pages;
  return { basePfn, entries: Math.ceil((end - basePfn) / LARGEST_BLOCK) * LARGEST_BLOCK };
}

function createPages(pages: number): Pages {
  return {
    freeOrder: new Int8Array(pages).fill(-1),
    pcpType: new Uint8Array(pages),
    huge: new Uint8Array(pages),
    lru: new Int8Array(pages).fill(-1),
    flags: new Uint8Array(pages),
    mapped: new Uint8Array(pages),
    zone: new Uint16Array(pages),
    owner: new Int32Array(pages).fill(-1),
    ownerIndex: new Int32Array(pages),
  };
}

function createNode(id: number, config: MachineNodeConfig, lists: Lists): Node {
  return {
    id,
    cpus: [...config.cpus],
    zones: [],
    fallback: [],
    zonelist: [],
    minUnmapped: 0,
    lru: Array.from({ length: LRU_LISTS }, () => lists.create()),
    lruPages: Array.from({ length: LRU_LISTS }, () => 0),
    swapCachePages: 0,
    isolatedFilePages: 0,
    numastat: [0, 0, 0, 0, 0, 0],
    nonresidentAge: 0,
    anonCost: 0,
    fileCost: 0,
    kswapd: {
      state: 'asleep',
      nextNs: Infinity,
      nowNs: 0,
      failures: 0,
      wantedOrder: 0,
      wantedClass: -1,
      order: 0,
      class: 3,
      restOrder: 0,
      restClass: 3,
      run: null,
    },
    kcompactd: {
      nextNs: Infinity,
      maxOrder: 0,
      highestZone: config.zones.at(-1)?.index ?? 0,
      triggered: false,
      run: null,
    },
  };
}

function createZone(
  node: Node,
  config: MachineZoneConfig,
  firstPage: number,
  cpus: number,
  lists: Lists,
): Zone {
  const { basePfn, entries } = span(config);
  const createLists = (length: number): number[] => Array.from({ length }, () => lists.create());
  return {
    node,
    index: config.index,
    startPfn: config.startPfn,
    spanned: config.pages,
    managed: config.pages,
    boot: { startPfn: config.startPfn, endPfn: config.startPfn + config.pages },
    offline: new Uint8Array(entries / PAGEBLOCK_PAGES),
    basePfn,
    firstPage,
    entries,
    free: 0,
    boost: 0,
    min: 0,
    low: 0,
    high: 0,
    protection: [0, 0, 0, 0],
    reservedHighatomic: 0,
    freeLists: Array.from({ length: MAX_ORDER }, () => createLists(TYPES)),
    pageblockTypes: new Uint8Array(entries / PAGEBLOCK_PAGES).fill(MOVABLE),
    pcps: Array.from({ length: cpus }, () => ({
      count: 0,
      freeFactor: 0,
      lists: createLists(PCP_LISTS),
    })),
    pcpBatch: 1,
    pcpHigh: 0,
    reclaimActive: false,
    boostedFlag: false,
    lruPages: Array.from({ length: LRU_LISTS }, () => 0),
    compaction: {
      cachedMigratePfn: [0, 0],
      cachedFreePfn: 0,
      initMigratePfn: 0,
      initFreePfn: 0,
      blockskipFlush: false,
      considered: 0,
      deferShift: 0,
      orderFailed: 0,
      skip: new Uint8Array(entries / PAGEBLOCK_PAGES),
    },
  };
}

/**
 * Hands a zone's pages over, ascending, as the largest aligned blocks, each to the tail.
 * @kernel mm/page_alloc.c __free_pages_core(), mm/memblock.c __free_pages_memory()
 */
function handOver(system: System, zone: Zone): void {
  const end = zone.startPfn + zone.managed;
  let order: number;
  for (let pfn = zone.startPfn; pfn < end; pfn += 1 << order) {
    order = MAX_ORDER - 1;
    while (pfn % (1 << order) !== 0 || pfn + (1 << order) > end) {
      order--;
    }
    addToFreeList(system, zone, zone.firstPage + pfn - zone.basePfn, order, MOVABLE, 'tail');
  }
  zone.free = zone.managed;
}

/** @kernel mm/compaction.c kcompactd_init(): on nodes with memory; they look at the score only where it matters */
function startKcompactds(system: System): void {
  const { compaction, sysctl } = system.config;
  if (compaction === undefined || (sysctl.compaction_proactiveness ?? 0) === 0) {
    return;
  }
  for (const { kcompactd, zones } of system.nodes) {
    kcompactd.nextNs = zones.length > 0 ? compaction.firstCompactCheckNs : Infinity;
  }
}

/** A machine at its start: everything free, nobody has asked for anything. */
export function boot(config: MachineConfig, mutation: Mutation | null): System {
  const cpus = config.nodes.reduce((total, node) => total + node.cpus.length, 0);
  const zones = config.nodes.flatMap((node) => node.zones);
  const pages = zones.reduce((total, zone) => total + span(zone).entries, 0);
  const listsPerZone = MAX_ORDER * TYPES + cpus * PCP_LISTS;
  const lists = new Lists(pages, config.nodes.length * LRU_LISTS + zones.length * listsPerZone);
  const system: System = {
    config,
    sysctl: { ...config.sysctl },
    userMinFreeKbytes: -1,
    mutation,
    lists,
    pages: createPages(pages),
    nodes: config.nodes.map((node, id) => createNode(id, node, lists)),
    zones: [],
    cpus: [],
    owners: new Map(),
    hugetlb: createPool([]),
    timeNs: 0,
    swapFree: config.swapPages,
    swapWrites: { nextSlot: 1, slots: new Map(), requests: [] },
    vmstat: new Map(),
    events: noEvents(),
    capture: null,
    isolatedFree: new Set(),
    runningCpu: -1,
  };
  system.cpus = system.nodes.flatMap((node) => node.cpus.map((number) => ({ number, node })));
  let firstPage = 0;
  for (const node of system.nodes) {
    for (const zoneConfig of config.nodes[node.id]?.zones ?? []) {
      const zone = createZone(node, zoneConfig, firstPage, cpus, lists);
      system.pages.zone.fill(system.zones.length, firstPage, firstPage + zone.entries);
      firstPage += zone.entries;
      node.zones.push(zone);
      system.zones.push(zone);
      handOver(system, zone);
    }
  }
  system.hugetlb = createPool(system.nodes);
  setupPerZoneWmarks(system);
  setupLowmemReserve(system);
  setupMinUnmapped(system);
  buildZonelists(system);
  startKcompactds(system);
  return system;
}
