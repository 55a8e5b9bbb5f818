/**
 * The allocator as a machine: one vocabulary of operations and one picture of the whole state, that the
 * simulator (through production-machine.ts) and the page-by-page reference both speak. The property test
 * drives both with the same operations and compares the pictures.
 *
 * Pfns are absolute. A "frame" is the pfn of a page (of a block: of its first page). Counts are 4 KiB pages.
 */
import type { Tape } from './tape';

/** 0 Unmovable, 1 Movable, 2 Reclaimable, 3 HighAtomic, 4 Isolate. */
export type MigrateType = 0 | 1 | 2 | 3 | 4;
/** 0 DMA, 1 DMA32, 2 Normal, 3 Movable. */
export type ZoneIndex = 0 | 1 | 2 | 3;

export interface MachineZoneConfig {
  index: ZoneIndex;
  startPfn: number;
  /** No holes: every page is managed and free at the start. */
  pages: number;
}

export interface MachineNodeConfig {
  /** CPU numbers, ascending and unique over all nodes; may be empty. */
  cpus: number[];
  /** Ascending zone index; may be empty (a node without memory). */
  zones: MachineZoneConfig[];
  /**
   * Whole blocks of HOTPLUG_PAGES at which the node may have memory while the machine runs: those of its zones, which may leave
   * and come back, and others, which come. Absent: nothing comes or goes.
   */
  hotplug?: { startPfn: number; blocks: number };
}

/** What operations cost in virtual time; whole nanoseconds. */
export interface MachineCosts {
  faultNs: number;
  remoteFaultNs: number;
  scanNs: number;
  rmapNs: number;
  stealNs: number;
  reclaimRoundNs: number;
  pageoutNs: number;
  /** From the issue of a request to swap to its end, and more for each of its pages. */
  swapWriteNs: number;
  swapWritePageNs: number;
  /** Most pages of one request to swap; no time, but it belongs to the same device. */
  swapRequestPages: number;
  kswapdWakeNs: number;
  /** To make 512 pages a huge page of the pool; what it costs to clear one at a touch; to take one apart again. */
  hugetlbPageNs: number;
  hugeFaultNs: number;
  freeNs: number;
}

/** What compaction costs in virtual time; whole nanoseconds. */
export interface MachineCompaction {
  compactScanNs: number;
  migrateNs: number;
  /** When each kcompactd looks at its node for the first time. */
  firstCompactCheckNs: number;
}

export interface MachineConfig {
  /** Node id = position. At least one CPU and one zone in all. */
  nodes: MachineNodeConfig[];
  distances: number[][];
  sysctl: {
    min_free_kbytes: number;
    watermark_scale_factor: number;
    watermark_boost_factor: number;
    lowmem_reserve_ratio: number[];
    zone_reclaim_mode: number;
    min_unmapped_ratio: number;
    swappiness: number;
    /** 0 if absent. */
    compaction_proactiveness?: number;
    /** 1 if absent. */
    compact_unevictable_allowed?: number;
  };
  /** Absent: a kernel without CONFIG_COMPACTION. */
  compaction?: MachineCompaction;
  swapPages: number;
  costs: MachineCosts;
}

export interface MachinePolicy {
  mode: 'default' | 'preferred' | 'preferred_many' | 'bind' | 'interleave';
  /** Ascending node ids; empty for default. */
  nodes: number[];
}

/**
 * Who asks.
 * `anon`, `file`: GFP_HIGHUSER_MOVABLE, order 0, type Movable, class Movable, on the LRU.
 * `locked`: as `anon`, in a mapping that was mlocked: on the unevictable list.
 * `kernel`: GFP_KERNEL (type Unmovable) or with __GFP_RECLAIMABLE or __GFP_MOVABLE, class Normal, any order, not
 * on the LRU.
 * `atomic`: GFP_ATOMIC, type Unmovable, class Normal, any order, not on the LRU.
 */
export type RequestKind = 'anon' | 'file' | 'locked' | 'kernel' | 'atomic';

/** Has it pages on LRU lists? */
export function isUserKind(kind: RequestKind): boolean {
  return kind === 'anon' || kind === 'file' || kind === 'locked';
}

export type MachineOp =
  | {
      op: 'alloc';
      /** All its blocks are of one kind. */
      owner: number;
      kind: RequestKind;
      cpu: number;
      policy: MachinePolicy;
      /** cpuset.mems of the task, or null: all nodes. */
      mems: number[] | null;
      /** 0 for anon, file and locked. */
      order: number;
      /** 0 to 2; looked at for `kernel` only. */
      type: MigrateType;
      /** Highest zone that may serve `kernel` and `atomic`, as for GFP_DMA and GFP_DMA32; Normal if absent. */
      highest?: 0 | 1;
      /** Requests, one after the other; the owner's next free indices take them. */
      count: number;
    }
  | {
      /** Frees the owner's blocks with index in [from, from + count), of every `every` the first `keep` stay. */
      op: 'free';
      owner: number;
      cpu: number;
      from: number;
      count: number;
      every: number;
      keep: number;
    }
  | {
      /** Frees those of the owner's blocks with index in [from, from + count) that isPicked(), upwards. */
      op: 'scatter';
      owner: number;
      cpu: number;
      from: number;
      count: number;
      seed: number;
      percent: number;
    }
  /** The owner ends: all that it has is freed, upwards, and its next index is 0. */
  | { op: 'exit'; owner: number; cpu: number }
  /** Sets the young bit of resident anonymous pages of the range. */
  | { op: 'touch'; owner: number; from: number; count: number }
  /** mark_page_accessed() of resident file pages of the range. */
  | { op: 'access'; owner: number; from: number; count: number }
  /** try_to_free_pages() for a movable order-0 request of that CPU and policy. */
  | { op: 'reclaim'; cpu: number; policy: MachinePolicy }
  | { op: 'sysctl'; name: keyof MachineConfig['sysctl']; value: number | number[] }
  /** A CPU writes to the `compact` of a node, or with null to vm.compact_memory. */
  | { op: 'compact'; cpu: number; node: number | null }
  /** drain_all_pages() */
  | { op: 'drain' }
  | HugetlbOp
  | HotplugOp
  /** Nothing allocates for so long; every kswapd acts in its time. */
  | { op: 'idle'; ns: number }
  /** Nothing allocates until every kswapd has stopped, for a second at most. */
  | { op: 'settle' };

/** Pages of a block of memory that goes offline and comes back. */
export const HOTPLUG_PAGES = 1024;

/**
 * Blocks [block, block + count) of a node's, counted from the start of its `hotplug`, go offline or come online, as one block of
 * memory. Nothing happens where one of them is not the node's or holds memory of which a part cannot go; where memory that
 * shall go is not all of one zone; where some of what shall come is there; and where the machine would be left without memory.
 */
export type HotplugOp =
  | { op: 'offline'; node: number; block: number; count: number }
  | {
      /** `online_kernel` and `online_movable` name the zone, `online` leaves it to the kernel. */
      op: 'online' | 'online_kernel' | 'online_movable';
      node: number;
      block: number;
      count: number;
      /**
       * The first pageblock holds the memmap of the block (memmap_on_memory). That is decided when memory comes for the first
       * time; memory that was there at boot has none.
       */
      memmap: boolean;
    };

/** What is done to the pool of huge pages of 512 base pages, and to mappings of it (private, of hugetlbfs). */
export type HugetlbOp =
  /** Writes nr_hugepages of a node, or that of the machine by a task of that policy; from the first CPU. */
  | { op: 'hugepages'; count: number; node: number | null; policy: MachinePolicy }
  /** Writes nr_overcommit_hugepages. */
  | { op: 'overcommit'; count: number }
  /** mmap() of so many huge pages by a task of that policy and cpuset; a mapping that exists stays as it is. */
  | {
      op: 'mapHuge';
      mapping: number;
      cpu: number;
      policy: MachinePolicy;
      mems: number[] | null;
      pages: number;
      /** Without MAP_NORESERVE. */
      reserve: boolean;
    }
  /** Touches [from, from + count) of a mapping's huge pages, upwards, until one has no page: SIGBUS. */
  | {
      op: 'touchHuge';
      mapping: number;
      cpu: number;
      policy: MachinePolicy;
      mems: number[] | null;
      from: number;
      count: number;
    }
  /** MADV_DONTNEED of [from, from + count). */
  | { op: 'zapHuge'; mapping: number; cpu: number; from: number; count: number }
  | { op: 'unmapHuge'; mapping: number; cpu: number };

/**
 * An operation's policy and cpuset without the nodes that have no memory, as set_mempolicy() and the cpuset of all tasks leave them.
 * @param hasMemory by node id
 * @returns null for an operation that names no other node: EINVAL
 * @kernel mm/mempolicy.c mpol_set_nodemask(), mpol_new()
 */
export function withinMemory(
  op: MachineOp,
  hasMemory: (node: number) => boolean,
): MachineOp | null {
  const left = { ...op };
  if ('policy' in left && left.policy.mode !== 'default') {
    const nodes = left.policy.nodes.filter(hasMemory);
    if (nodes.length === 0) return null;
    left.policy = { ...left.policy, nodes };
  }
  if ('mems' in left && left.mems !== null) {
    left.mems = left.mems.filter(hasMemory);
    if (left.mems.length === 0) return null;
  }
  return left;
}

/** Is an index one of those, about `percent` in a hundred, that a seed picks at random? */
export function isPicked(seed: number, index: number, percent: number): boolean {
  let hash = Math.imul(index ^ Math.imul(seed, 0x9e3779b1), 0x85ebca6b);
  hash = Math.imul(hash ^ (hash >>> 15), 0xc2b2ae35);
  return ((hash ^ (hash >>> 16)) >>> 0) % 100 < percent;
}

/**
 * What an operation answered: requests served, blocks freed, pages reclaimed, pages moved; the size that a pool's file shows after a
 * write; pages that went offline or came online; 1 for a mapping that was made; huge pages touched or zapped; 0 for the others.
 */
export interface MachineAnswer {
  done: number;
}

/** pfns are 0 where they were never set. */
export interface CompactionPicture {
  /** async, sync */
  cachedMigratePfn: number[];
  cachedFreePfn: number;
  initMigratePfn: number;
  initFreePfn: number;
  blockskipFlush: boolean;
  considered: number;
  deferShift: number;
  orderFailed: number;
}

/** Of a pageblock in a zone's span at which the zone has no memory. */
export const ABSENT = 255;

/** Of a zone with memory. */
export interface ZonePicture {
  node: number;
  index: ZoneIndex;
  startPfn: number;
  spanned: number;
  present: number;
  managed: number;
  free: number;
  boost: number;
  /** Stored marks, without boost. */
  min: number;
  low: number;
  high: number;
  protection: number[];
  reservedHighatomic: number;
  /** lists[order][type]: frames from head to tail. */
  lists: number[][][];
  /** Type of each pageblock, from the block that holds the zone's first page; ABSENT where the zone has no memory online. */
  pageblockTypes: number[];
  compaction: CompactionPicture;
  /** Skip bit of each pageblock, as `pageblockTypes`. */
  skip: number[];
  /** By CPU position (CPUs in node order). `lists[i]`: 0..11 = order * 3 + type, 12 huge other, 13 huge movable; head to tail. */
  pcps: { count: number; freeFactor: number; lists: number[][] }[];
}

export interface NodePicture {
  /** Five lists, frames from head (newest) to tail (oldest): inactive anon, active anon, inactive file, active file, unevictable. */
  lru: number[][];
  /** hit, miss, foreign, interleave, local, other. */
  numastat: number[];
  nonresidentAge: number;
  anonCost: number;
  fileCost: number;
  kswapdState: 'asleep' | 'napping' | 'running';
  /** Infinity while asleep. */
  kswapdNextNs: number;
  kswapdFailures: number;
  /** Infinity where only a wake-up makes it act, and on nodes without memory. */
  kcompactdNextNs: number;
  /** Order and class that it was asked for; the node's highest zone if nobody asked. */
  kcompactdOrder: number;
  kcompactdClass: number;
}

export interface HugetlbPicture {
  reserved: number;
  overcommit: number;
  /** What nr_hugepages shows. */
  max: number;
  /** Node ids at which growing and shrinking go on. */
  nextToAlloc: number;
  nextToFree: number;
  /** Free huge pages: the one that is taken next comes first. */
  nodes: { total: number; surplus: number; free: number[] }[];
  /** By ascending number; frames by index, -1 where there is no page. */
  mappings: { mapping: number; reserved: number; frames: number[] }[];
}

export interface MachinePicture {
  timeNs: number;
  swapFreePages: number;
  /** /proc/vmstat event counters that are not 0. */
  vmstat: Record<string, number>;
  zones: ZonePicture[];
  nodes: NodePicture[];
  hugetlb: HugetlbPicture;
  /** Per owner, by index: the frame, -1 for freed or never there, -2 for a page whose content is only on swap. */
  owners: { owner: number; frames: number[] }[];
  /** PG_referenced, young, workingset, swap cache as bits 1, 2, 4, 8 by frame, for pages on the LRU with any set; ascending frames. */
  flags: [frame: number, bits: number][];
}

export interface Machine {
  /** @throws RangeError for an operation that names what is not there */
  run(op: MachineOp): MachineAnswer;
  picture(): MachinePicture;
  /** Writes what the picture shows, as tapePicture() would write it, only faster. */
  record(tape: Tape): void;
  /**
   * Counts everything again.
   * @throws Error that names the first count or list that does not fit
   */
  verify?(): void;
}
