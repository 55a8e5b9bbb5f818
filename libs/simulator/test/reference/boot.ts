import type { MachineConfig, MachineNodeConfig, ZoneIndex } from '../machine';
import { HOTPLUG_PAGES } from '../machine';
import { addToFreeList } from './buddy';
import { noEvents } from './events';
import { createPool } from './hugetlb';
import { Lists } from './lists';
import type { Mutation } from './mutations';
import { LRU_LISTS, MAX_ORDER, MOVABLE, PAGEBLOCK_PAGES, PCP_LISTS, ZONE_MOVABLE } from './state';
import type { Node, Pages, System, Zone } from './state';
import { setupLowmemReserve, setupMinUnmapped, setupPerZoneWmarks } from './watermark';
import { buildZonelists } from './zonelist';

const LARGEST_BLOCK = 1 << (MAX_ORDER - 1);
const TYPES = 5;
/** What `Node.hotplug` says of pageblocks that stay as they are, and of those without memory so far. */
const NEVER = -2;
const NEW = -1;

/** Page numbers of a node: `entries` of them, whose pfns begin at `basePfn`, both multiples of the largest block. */
interface NodePages {
  basePfn: number;
  firstPage: number;
  entries: number;
  /** What all zones of the node have in common. */
  pageblockTypes: Uint8Array;
  skip: Uint8Array;
}

function pagesOfNode({ zones, hotplug }: MachineNodeConfig, firstPage: number): NodePages {
  const spans = zones.map(({ startPfn, pages }) => ({ startPfn, endPfn: startPfn + pages }));
  if (hotplug !== undefined && hotplug.blocks > 0) {
    const { startPfn, blocks } = hotplug;
    spans.push({ startPfn, endPfn: startPfn + blocks * HOTPLUG_PAGES });
  }
  const lowest = Math.min(...spans.map(({ startPfn }) => startPfn));
  const highest = Math.max(...spans.map(({ endPfn }) => endPfn));
  const basePfn = spans.length === 0 ? 0 : lowest - (lowest % LARGEST_BLOCK);
  const entries =
    spans.length === 0 ? 0 : Math.ceil((highest - basePfn) / LARGEST_BLOCK) * LARGEST_BLOCK;
  const pageblocks = entries / PAGEBLOCK_PAGES;
  return {
    ...{ basePfn, firstPage, entries, skip: new Uint8Array(pageblocks) },
    pageblockTypes: new Uint8Array(pageblocks).fill(MOVABLE),
  };
}

/** What may come to a node and go: whole blocks, and no memory that shares a pageblock with none. */
function hotplugOf({ zones, hotplug }: MachineNodeConfig, own: NodePages): Int16Array {
  const pageblocks = new Int16Array(own.entries / PAGEBLOCK_PAGES).fill(NEVER);
  if (hotplug === undefined) {
    return pageblocks;
  }
  const first = (hotplug.startPfn - own.basePfn) / PAGEBLOCK_PAGES;
  pageblocks.fill(NEW, first, first + (hotplug.blocks * HOTPLUG_PAGES) / PAGEBLOCK_PAGES);
  for (const { startPfn, pages } of zones) {
    const [from, to] = [startPfn - own.basePfn, startPfn + pages - own.basePfn];
    pageblocks.fill(NEVER, Math.floor(from / PAGEBLOCK_PAGES), Math.ceil(to / PAGEBLOCK_PAGES));
    const whole = [Math.ceil(from / PAGEBLOCK_PAGES), Math.floor(to / PAGEBLOCK_PAGES)] as const;
    pageblocks.fill(0, whole[0], Math.max(...whole));
  }
  return pageblocks;
}

/** Zones that a node may have memory in, ascending. */
function zoneIndicesOf({ zones, hotplug }: MachineNodeConfig): ZoneIndex[] {
  const given = zones.map(({ index }) => index);
  const grown: ZoneIndex[] = hotplug === undefined ? [] : [2, ZONE_MOVABLE];
  return ([0, 1, 2, 3] as const).filter((index) => given.includes(index) || grown.includes(index));
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
    allZones: [],
    nrZones: (config.zones.at(-1)?.index ?? -1) + 1,
    hasMemory: config.zones.length > 0,
    hotplug: new Int16Array(),
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
      exists: config.zones.length > 0,
      nextNs: Infinity,
      maxOrder: 0,
      highestZone: config.zones.at(-1)?.index ?? -1,
      triggered: false,
      run: null,
    },
  };
}

/** A zone with no memory yet. */
function createZone(
  node: Node,
  index: ZoneIndex,
  { basePfn, firstPage, entries, pageblockTypes, skip }: NodePages,
  cpus: number,
  lists: Lists,
): Zone {
  const createLists = (length: number): number[] => Array.from({ length }, () => lists.create());
  return {
    node,
    index,
    startPfn: 0,
    spanned: 0,
    present: 0,
    managed: 0,
    online: new Uint8Array(entries / PAGEBLOCK_PAGES),
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
    pageblockTypes,
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
      skip,
    },
  };
}

/**
 * Hands a zone's pages over, ascending, as the largest aligned blocks, each to the tail.
 * @kernel mm/page_alloc.c __free_pages_core(), mm/memblock.c __free_pages_memory()
 */
function handOver(system: System, zone: Zone, startPfn: number, pages: number): void {
  Object.assign(zone, { startPfn, spanned: pages, present: pages, managed: pages });
  const first = Math.floor((startPfn - zone.basePfn) / PAGEBLOCK_PAGES);
  const end = startPfn + pages;
  zone.online.fill(1, first, Math.ceil((end - zone.basePfn) / PAGEBLOCK_PAGES));
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
  for (const { kcompactd } of system.nodes) {
    kcompactd.nextNs = kcompactd.exists ? compaction.firstCompactCheckNs : Infinity;
  }
}

/** A machine at its start: everything free, nobody has asked for anything. */
export function boot(config: MachineConfig, mutation: Mutation | null): System {
  const cpus = config.nodes.reduce((total, node) => total + node.cpus.length, 0);
  const nodePages: NodePages[] = [];
  let pages = 0;
  for (const node of config.nodes) {
    const own = pagesOfNode(node, pages);
    nodePages.push(own);
    pages += own.entries;
  }
  const zones = config.nodes.reduce((total, node) => total + zoneIndicesOf(node).length, 0);
  const listsPerZone = MAX_ORDER * TYPES + cpus * PCP_LISTS;
  const lists = new Lists(pages, config.nodes.length * LRU_LISTS + zones * listsPerZone);
  const system: System = {
    config,
    sysctl: { ...config.sysctl },
    userMinFreeKbytes: -1,
    mutation,
    lists,
    pages: createPages(pages),
    nodes: config.nodes.map((node, id) => createNode(id, node, lists)),
    zones: [],
    allZones: [],
    policyZone: 0,
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
  for (const node of system.nodes) {
    const given = config.nodes[node.id] as MachineNodeConfig;
    const own = nodePages[node.id] as NodePages;
    node.hotplug = hotplugOf(given, own);
    for (const index of zoneIndicesOf(given)) {
      const zone = createZone(node, index, own, cpus, lists);
      const number = system.allZones.push(zone) - 1;
      node.allZones.push(zone);
      const boot = given.zones.find((other) => other.index === index);
      if (boot !== undefined) {
        const first = own.firstPage + boot.startPfn - own.basePfn;
        system.pages.zone.fill(number, first, first + boot.pages);
        node.zones.push(zone);
        system.zones.push(zone);
        handOver(system, zone, boot.startPfn, boot.pages);
      }
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
