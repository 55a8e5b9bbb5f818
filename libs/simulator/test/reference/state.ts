import type { MachineConfig, MigrateType, ZoneIndex } from '../machine';
import type { EventCounts } from './events';
import { Lists } from './lists';
import type { Mutation } from './mutations';

/** Orders are 0..10; the kernel's MAX_ORDER of 6.1 is the first order that does not exist. */
export const MAX_ORDER = 11;
export const PAGEBLOCK_ORDER = 9;
export const PAGEBLOCK_PAGES = 512;
export const COSTLY_ORDER = 3;
export const SWAP_CLUSTER_MAX = 32;
export const MAX_RECLAIM_RETRIES = 16;

export const UNMOVABLE = 0;
export const MOVABLE = 1;
export const RECLAIMABLE = 2;
export const HIGHATOMIC = 3;
/** Of pageblocks that nobody is served from. */
export const ISOLATE = 4;

/** pcp lists: 3 types for each of the orders 0..3, then two for order 9 (other, movable). */
export const PCP_LISTS = 14;
export const PCP_BATCH_SCALE_MAX = 5;

export const INACTIVE_ANON = 0;
export const ACTIVE_ANON = 1;
export const INACTIVE_FILE = 2;
export const ACTIVE_FILE = 3;
export const UNEVICTABLE = 4;
export const LRU_LISTS = 5;

export const PG_REFERENCED = 1;
export const YOUNG = 2;
export const PG_WORKINGSET = 4;
export const PG_SWAPCACHE = 8;
export const PG_WRITEBACK = 16;

export const ZONE_NORMAL = 2;
export const ZONE_MOVABLE = 3;
export const ZONE_NAMES = ['dma', 'dma32', 'normal', 'movable'] as const;

export interface Pcp {
  count: number;
  freeFactor: number;
  /** By pindex, as the kernel numbers them. */
  lists: number[];
}

/** What a zone remembers of compaction; pfns, 0 where never set. @kernel include/linux/mmzone.h struct zone, compact_* */
export interface ZoneCompaction {
  /** Where the migration scanner goes on: async, sync. */
  cachedMigratePfn: [number, number];
  cachedFreePfn: number;
  initMigratePfn: number;
  initFreePfn: number;
  blockskipFlush: boolean;
  considered: number;
  deferShift: number;
  orderFailed: number;
  /** The skip bit of each pageblock, from basePfn on; one for all zones of the node. */
  skip: Uint8Array;
}

export interface Zone {
  node: Node;
  index: ZoneIndex;
  startPfn: number;
  /** From startPfn on, pageblocks that are not its own or offline included. */
  spanned: number;
  /** Pages online, those that hold their own memmap included. */
  present: number;
  managed: number;
  /** By pageblock from basePfn on: 1 where the zone has memory online. */
  online: Uint8Array;
  /** pfn of the page with the number `firstPage`: 1024-aligned, so that buddies can be found by page number. */
  basePfn: number;
  firstPage: number;
  /** Page numbers firstPage..firstPage + entries - 1 are those of the node; what is in no zone's memory is never free. */
  entries: number;
  free: number;
  boost: number;
  min: number;
  low: number;
  high: number;
  protection: number[];
  reservedHighatomic: number;
  /** freeLists[order][type] */
  freeLists: number[][];
  /** By pageblock from basePfn on; the same for all zones of the node, whose they are by turns. */
  pageblockTypes: Uint8Array;
  pcps: Pcp[];
  pcpBatch: number;
  pcpHigh: number;
  reclaimActive: boolean;
  boostedFlag: boolean;
  /** Pages on the five LRU lists that are of this zone. */
  lruPages: number[];
  compaction: ZoneCompaction;
}

export interface Kswapd {
  state: 'asleep' | 'napping' | 'running';
  nextNs: number;
  /** Its own clock while it acts. */
  nowNs: number;
  failures: number;
  /** What wake-ups asked for since the last run began; class -1: nothing. */
  wantedOrder: number;
  wantedClass: number;
  /** Of the present or last run. */
  order: number;
  class: number;
  /** What it looks at before it naps, and after. */
  restOrder: number;
  restClass: number;
  /** The present run: yields what it cost since the last yield, returns the order it ended with. */
  run: Iterator<number, number> | null;
}

export interface Kcompactd {
  /** Only nodes with memory have one. */
  exists: boolean;
  /** Infinity where only a wake-up makes it act. */
  nextNs: number;
  /** Largest order that was asked for, 0: none; and lowest class. */
  maxOrder: number;
  highestZone: number;
  /** It shall look at the score at once. */
  triggered: boolean;
  /** What it is at: yields what that cost since the last yield, returns how long it waits then. */
  run: Iterator<number, number> | null;
}

export interface Node {
  id: number;
  cpus: number[];
  /** Those with memory, ascending. */
  zones: Zone[];
  /** All that it may have memory in. @kernel include/linux/mmzone.h pglist_data.node_zones */
  allZones: Zone[];
  /** One more than the highest zone that it ever had memory in. @kernel include/linux/mmzone.h pglist_data.nr_zones */
  nrZones: number;
  /** N_MEMORY. */
  hasMemory: boolean;
  /**
   * By pageblock from its zones' basePfn on: pages of the memmap that the block of memory which begins here holds itself; -1 where
   * memory may come but never was, -2 where none comes and none goes.
   */
  hotplug: Int16Array;
  /** Nodes by falling preference, itself first. */
  fallback: Node[];
  /** The zones of `fallback`. */
  zonelist: Zone[];
  minUnmapped: number;
  lru: number[];
  lruPages: number[];
  swapCachePages: number;
  /** Page cache and swap cache off its list while it is moved away: NR_FILE_PAGES counts it all the same. */
  isolatedFilePages: number;
  numastat: number[];
  nonresidentAge: number;
  anonCost: number;
  fileCost: number;
  kswapd: Kswapd;
  kcompactd: Kcompactd;
}

export interface Cpu {
  number: number;
  node: Node;
}

export interface Owner {
  /** Page numbers by index; FREED or SWAPPED instead of one. */
  pages: number[];
  orders: number[];
  /** Page number of the swap-cache frame of a SWAPPED index, while it is on the LRU. */
  swapCache: Map<number, number>;
}

export const FREED = -1;
export const SWAPPED = -2;

/** Everything about single pages, by page number. */
export interface Pages {
  /** Order of the free block that begins here, -1 if none does. */
  freeOrder: Int8Array;
  /** Type of the list the page shall go back to when it leaves its pcp. */
  pcpType: Uint8Array;
  /** 1 at the first page of a huge page of the pool. */
  huge: Uint8Array;
  /** LRU list, -1 if on none. */
  lru: Int8Array;
  flags: Uint8Array;
  mapped: Uint8Array;
  /** Position in `System.allZones`. */
  zone: Uint16Array;
  owner: Int32Array;
  ownerIndex: Int32Array;
}

/** Neighbouring slots that one request to the device writes. */
export interface SwapRequest {
  /** Page numbers, in order. */
  pages: number[];
  /** Slot behind the last of them. */
  endSlot: number;
  /** When the device is done; Infinity while the request waits behind the plug. */
  doneNs: number;
  ended: boolean;
}

export interface SwapWrites {
  nextSlot: number;
  /** What is left of the slots that a CPU has taken. */
  slots: Map<number, { slot: number; left: number }>;
  /** All that have not ended, in order of their first page. */
  requests: SwapRequest[];
}

/** The pool of huge pages of order 9. */
export interface HugetlbPool {
  reserved: number;
  overcommit: number;
  max: number;
  nextToAlloc: number;
  nextToFree: number;
  /** By node id; free pages from the head of their list on. */
  nodes: { total: number; surplus: number; free: number[] }[];
  mappings: Map<number, HugetlbMapping>;
}

/** By index: the page, -1 if there is none, and whether the pool holds one back for it. */
export interface HugetlbMapping {
  pages: number[];
  reserves: boolean[];
}

/** Takes the first block of an order that becomes free in a zone. @kernel mm/internal.h struct capture_control */
export interface Capture {
  zone: Zone;
  order: number;
  /** -1 until one did. */
  page: number;
}

export interface System {
  config: MachineConfig;
  sysctl: MachineConfig['sysctl'];
  /** The last value that somebody wrote to min_free_kbytes, -1: nobody did. */
  userMinFreeKbytes: number;
  mutation: Mutation | null;
  lists: Lists;
  pages: Pages;
  nodes: Node[];
  /** Those with memory, in node order, then ascending index. */
  zones: Zone[];
  allZones: Zone[];
  /** The highest zone but Movable that ever was in a zonelist. @kernel mm/mempolicy.c policy_zone */
  policyZone: number;
  cpus: Cpu[];
  owners: Map<number, Owner>;
  hugetlb: HugetlbPool;
  timeNs: number;
  swapFree: number;
  swapWrites: SwapWrites;
  vmstat: Map<string, number>;
  events: EventCounts;
  /** Of the task that compacts for its request. */
  capture: Capture | null;
  /** Free pages that a compaction which has not ended holds, for what it moves next. */
  isolatedFree: Set<number[]>;
  /** Position of the CPU that allocates at present, -1 if none does. */
  runningCpu: number;
}

export function count(system: System, counter: string, by = 1): void {
  if (by !== 0) {
    system.vmstat.set(counter, (system.vmstat.get(counter) ?? 0) + by);
  }
}

export function zoneOf(system: System, page: number): Zone {
  return system.allZones[system.pages.zone[page] ?? 0] as Zone;
}

export function pfnOf(system: System, page: number): number {
  const zone = zoneOf(system, page);
  return page - zone.firstPage + zone.basePfn;
}

/** The page number of a pfn of a zone. */
export function pageAt(zone: Zone, pfn: number): number {
  return zone.firstPage + pfn - zone.basePfn;
}

export function endPfnOf(zone: Zone): number {
  return zone.startPfn + zone.spanned;
}

export function pageblockType(zone: Zone, page: number): MigrateType {
  return zone.pageblockTypes[(page - zone.firstPage) >> PAGEBLOCK_ORDER] as MigrateType;
}

export function setPageblockType(zone: Zone, page: number, type: MigrateType): void {
  zone.pageblockTypes[(page - zone.firstPage) >> PAGEBLOCK_ORDER] = type;
}

export function isInZone(zone: Zone, page: number): boolean {
  const pfn = page - zone.firstPage + zone.basePfn;
  return pfn >= zone.startPfn && pfn < endPfnOf(zone);
}

/** Is the pageblock of a pfn online, in this zone? @kernel include/linux/memory_hotplug.h pfn_to_online_page() */
export function isOnlineBlock(zone: Zone, pfn: number): boolean {
  return zone.online[(pfn - zone.basePfn) >> PAGEBLOCK_ORDER] === 1;
}

export function setOnlineBlock(zone: Zone, pfn: number, online: boolean): void {
  zone.online[(pfn - zone.basePfn) >> PAGEBLOCK_ORDER] = online ? 1 : 0;
}

/** Sum of a zone's value over an array of zones. */
export function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}
