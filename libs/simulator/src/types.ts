/**
 * The simulator's contract: what a replay is given and what it answers.
 *
 * Everything here is plain data (structured-cloneable, JSON-serialisable), so that it crosses worker
 * threads, HTTP and the database unchanged. Pages are base pages of 4 KiB. Node numbers are the host
 * kernel's own; they may be sparse and are never array positions.
 */

import type { GroupSnapshot, GroupSpec } from './group-types';
import type { HotplugSpec } from './hotplug-types';
import type { ProcessPages } from './process-types';
import type { ReplayEvent } from './replay-events';

export type * from './group-types';
export type * from './hotplug-types';
export type * from './process-types';
export type { OomConstraint, ReplayEvent } from './replay-events';

/** A kernel whose formulas and decision order a replay can follow. */
export type KernelProfileName = '5.10' | '6.1.y' | '6.12';
/** A kernel whose formulas are known: marks, reserves, list sizes and the watermark check (see profile.ts). */
export type KernelName = '2.6.32' | '3.10' | '4.18' | '5.14' | KernelProfileName | '6.18';

export const ZONE_NAMES = ['DMA', 'DMA32', 'Normal', 'Movable'] as const;
/** A zone type in the kernel's order; the index is the kernel's `zone_idx` (Device holds no buddy pages). */
export type ZoneName = (typeof ZONE_NAMES)[number];

/** Migrate types in the order of /proc/pagetypeinfo. */
export const MIGRATE_TYPE_NAMES = [
  'Unmovable',
  'Movable',
  'Reclaimable',
  'HighAtomic',
  'CMA',
  'Isolate',
] as const;
export type MigrateTypeName = (typeof MIGRATE_TYPE_NAMES)[number];

/** One CPU's page list of a zone: pages held there are in neither `freePages` nor the buddy lists. */
export interface HostPageset {
  cpu: number;
  countPages: number;
  highPages: number;
  batchPages: number;
}

/** A populated zone as /proc/zoneinfo prints it. Marks include `boostPages`, as printed. */
export interface HostZone {
  name: ZoneName;
  startPfn: number;
  spannedPages: number;
  presentPages: number;
  managedPages: number;
  freePages: number;
  boostPages: number;
  minPages: number;
  lowPages: number;
  highPages: number;
  /** Index = zone index of the request's class: DMA, DMA32, Normal, Movable (a fifth entry, Device, may follow). */
  protectionPages: number[];
  /** Free blocks by order 0..10, all migrate types together (/proc/buddyinfo). */
  freeBlocks: number[];
  /** Free blocks by order per migrate type (/proc/pagetypeinfo), where known. */
  freeBlocksByType?: Partial<Record<MigrateTypeName, number[]>>;
  /** Pageblocks of 2 MiB per migrate type ("Number of blocks type" of /proc/pagetypeinfo), where known. */
  pageblocksByType?: Partial<Record<MigrateTypeName, number>>;
  pagesets: HostPageset[];
  /** LRU pages of this zone (nr_zone_*), where known; otherwise the node's are spread by used pages. */
  lru?: LruPages;
}

export interface LruPages {
  inactiveAnonPages: number;
  activeAnonPages: number;
  inactiveFilePages: number;
  activeFilePages: number;
  unevictablePages: number;
}

/** A node's pool of huge pages of one size; counts are such pages. */
export interface HugepagePool {
  sizeKib: number;
  totalPages: number;
  freePages: number;
  /** Beyond the pool's size, contained in both. Absent: 0. */
  surplusPages?: number;
}

export interface HostNode {
  nodeId: number;
  /** CPU numbers of the node; empty for a node without CPUs. */
  cpus: number[];
  /** Populated zones in ascending zone order; empty for a node without memory. */
  zones: HostZone[];
  lru: LruPages;
  /** NR_FILE_PAGES: page cache with shmem and swap cache. */
  filePages: number;
  /** Pages of the file lists that reclaim cannot free, such as blocks that a mounted file system holds; default none. */
  heldFilePages?: number;
  /** NR_FILE_MAPPED. */
  mappedPages: number;
  shmemPages: number;
  anonPages: number;
  dirtyPages: number;
  writebackPages: number;
  slabReclaimablePages: number;
  slabUnreclaimablePages: number;
  /** Huge pages in hugetlb pools by page size in KiB; never reclaimable. */
  hugepages: HugepagePool[];
  numastat: Numastat;
}

export interface Numastat {
  numaHit: number;
  numaMiss: number;
  numaForeign: number;
  interleaveHit: number;
  localNode: number;
  otherNode: number;
}

/** Settings that decide placement and reclaim, in the kernel's names and units; those of compaction are 20, 1 and 500 where absent. */
export interface HostSysctls {
  min_free_kbytes: number;
  watermark_scale_factor: number;
  watermark_boost_factor: number;
  /** One entry per zone DMA, DMA32, Normal, Movable (a fifth may follow). */
  lowmem_reserve_ratio: number[];
  zone_reclaim_mode: number;
  min_unmapped_ratio: number;
  min_slab_ratio: number;
  swappiness: number;
  percpu_pagelist_high_fraction: number;
  dirty_ratio: number;
  dirty_background_ratio: number;
  dirty_writeback_centisecs: number;
  compaction_proactiveness?: number;
  compact_unevictable_allowed?: number;
  extfrag_threshold?: number;
}
export type SysctlName = keyof HostSysctls;

export type ThpEnabled = 'always' | 'madvise' | 'never';
export type ThpDefrag = 'always' | 'defer' | 'defer+madvise' | 'madvise' | 'never';

/** khugepaged's files in /sys/kernel/mm/transparent_hugepage/khugepaged, in the kernel's units. */
export interface KhugepagedSettings {
  scanSleepMs: number;
  allocSleepMs: number;
  pagesToScan: number;
  maxPtesNone: number;
}

export interface ThpSettings {
  enabled: ThpEnabled;
  defrag: ThpDefrag;
  /** Absent: as a kernel boots. */
  khugepaged?: KhugepagedSettings;
}

/** A host as the simulator starts from it: sizes, marks and the pages in use at this moment. */
export interface HostModel {
  kernelProfile: KernelProfileName;
  /** `uname -r` where known; only named in results. */
  kernelRelease?: string;
  nodes: HostNode[];
  /** distances[i][j] = SLIT distance from nodes[i] to nodes[j] (array positions, same order as `nodes`). */
  distances: number[][];
  sysctl: HostSysctls;
  thp: ThpSettings;
  swap: { totalPages: number; freePages: number };
}

/** Memory policies in the kernel's words. `cpuset` limits are separate (`RegionSpec.cpusetMems`). */
export type PolicyMode = 'default' | 'preferred' | 'preferred_many' | 'bind' | 'interleave';
export interface MemoryPolicy {
  mode: PolicyMode;
  /** Host nodes; empty for `default`. */
  nodes: number[];
}

/** One anonymous mapping of a guest: the RAM of a guest cell, or all of it when there are no cells. */
export interface RegionSpec {
  /** libvirt cell id, or 0. */
  cell: number;
  sizePages: number;
  policy: MemoryPolicy;
  /** `mbind`: policy of the mapping; `task`: set_mempolicy of the whole process (decides OOM candidates). */
  policyScope: 'mbind' | 'task';
  /** Nodes whose CPUs touch the region; several share the work in turn by 2 MiB. */
  cpuNodes: number[];
  /** One thread touches it, which the scheduler moves between these CPUs: away from a kswapd that wakes. */
  roams?: boolean;
  /** cpuset.mems of the touching threads (libvirt restrictive, or strict with cgroups); absent: all. */
  cpusetMems?: number[];
  /** madvise of the region. `none` follows the host's setting alone. */
  thp: 'none' | 'huge' | 'nohuge';
  /**
   * It lies on huge pages of this size; `reserve`: they are reserved when it is mapped, as without MAP_NORESERVE.
   * `cpuNodes`: where the threads run that map and touch it at start; absent: the region's own.
   */
  hugetlb?: { sizeKib: 2048 | 1048576; reserve: boolean; cpuNodes?: number[] };
  /** mlock or VFIO: never reclaimed once touched. */
  pinned: boolean;
}

export interface GuestProcess {
  name: string;
  regions: RegionSpec[];
  /** oom_score_adj, -1000..1000. */
  oomScoreAdj: number;
  /** Anonymous pages of the process besides guest RAM (QEMU itself), touched at start under its task policy. */
  overheadPages: number;
  /** What its start takes besides. Absent: nothing. */
  processPages?: ProcessPages;
  /** The memory cgroup that it runs in; its start is charged to nobody. Absent: the root. */
  cgroup?: string;
}

/** A guest that already owns pages in the host model. They are never allocated again. */
export interface RunningGuest extends GuestProcess {
  /** Resident pages per region and node, huge pages counted as 512; `hugePages` is how many 2 MiB pages are among them. */
  residency: { cell: number; nodeId: number; pages: number; hugePages: number }[];
  swapPages: number;
}

/**
 * One vocabulary of steps, the same as the recorded kernel cases use.
 * `label` is for people and copied to the result.
 */
export type ReplayStep = { label?: string } & (
  | { op: 'sysctl'; name: SysctlName; value: number | number[] }
  | { op: 'thp'; enabled?: ThpEnabled; defrag?: ThpDefrag }
  | {
      op: 'cache';
      /** File identity: reading the same range of the same file again finds the pages cached. */
      file: string;
      offsetPages: number;
      pages: number;
      cpuNode: number;
      policy: MemoryPolicy;
      access: 'read' | 'write' | 'mapped';
      /** 2 reads twice: pages become active. */
      passes: number;
      /** Process that stays alive and keeps the mapping (`mapped` only). */
      name?: string;
      cpusetMems?: number[];
      ratePagesPerSecond?: number;
      /** What the reader itself takes while it runs, its buffer included. Absent: nothing. */
      processPages?: ProcessPages;
      /** The memory cgroup that the reader runs in, which the pages it reads are charged to. */
      cgroup?: string;
    }
  | {
      /** A process fills pipes with one page to each in turn: kernel pages that cannot be moved. */
      op: 'unmovable';
      name: string;
      cpuNode: number;
      /** Its task policy. */
      policy: MemoryPolicy;
      pages: number;
      pipes: number;
      cpusetMems?: number[];
      ratePagesPerSecond?: number;
      processPages?: ProcessPages;
    }
  | {
      op: 'guest';
      guest: GuestProcess;
      /** Touched upwards from offset 0 of each region, in the order of regions. */
      touchPages: number[];
      ratePagesPerSecond?: number;
    }
  | {
      op: 'touch';
      name: string;
      cell: number;
      offsetPages: number;
      pages: number;
      access: 'write' | 'read';
      ratePagesPerSecond?: number;
    }
  | {
      /** Several guests touch at the same time, taking turns. */
      op: 'touch_many';
      touches: { name: string; cell: number; offsetPages: number; pages: number }[];
      ratePagesPerSecond?: number;
    }
  | {
      op: 'free';
      name: string;
      cell: number;
      offsetPages: number;
      pages: number;
      /**
       * Of every group of `stepPages` pages the first `keepPages` stay; 0 frees the whole range. Where `name`
       * holds pipes, the range does not count and of every `stepPages` pipes the first `keepPages` stay filled.
       */
      stepPages: number;
      keepPages: number;
    }
  | { op: 'kill'; name: string }
  | {
      /** Writes `nr_hugepages`: of a node, or of the machine, there under the writer's policy where it has one. */
      op: 'hugepages';
      nodeId?: number;
      /** Absent: 2048. */
      sizeKib?: 2048 | 1048576;
      /** Huge pages wanted. */
      count: number;
      /** Of a task that writes `nr_hugepages_mempolicy`; not with `nodeId`. */
      policy?: MemoryPolicy;
    }
  /** Writes `nr_overcommit_hugepages`: how many pages faults and reservations may take beyond the pool. */
  | { op: 'overcommit_hugepages'; sizeKib?: 2048 | 1048576; count: number }
  /** Makes a memory cgroup below the root, or changes its limits. */
  | ({ op: 'cgroup' } & GroupSpec)
  | { op: 'settle' }
  | { op: 'drop_caches' } /** Compacts a node's memory, or that of all nodes. */
  | { op: 'compact'; nodeId?: number }
  /** Brings memory blocks online or takes them offline. */
  | ({ op: 'hotplug' } & HotplugSpec)
  | { op: 'swapon'; pages: number }
  | { op: 'swapoff' }
  | { op: 'snapshot' }
  /** Recorded by the rig but outside this stage of the model; kept so that a result can name it. */
  | { op: 'unmodelled'; was: string }
);

export interface ReplayInput {
  host: HostModel;
  /** Memory cgroups at the start; the memory of running guests that name one is charged to it. */
  groups?: GroupSpec[];
  runningGuests: RunningGuest[];
  steps: ReplayStep[];
  seed: number;
  /** Costs of operations; see hardware profiles. Default `generic-2s`. */
  hardwareProfile?: string;
  /** Whoever reads the state after a step writes vm.stat_refresh before, as the recordings' rig does. */
  statRefresh?: boolean;
  /** What the host does not print about its state when the replay begins. */
  unseen?: Partial<UnseenState>;
  /** Recount every invariant after each step (slow; tests and debugging). */
  verify?: boolean;
  /** false: leave the hash of the final state empty, which takes a good part of a short replay. */
  stateHash?: boolean;
  /**
   * The replay ends, with status `stalled`, in the step in which guests have waited longer than this in all: what is so slow
   * takes long to replay as well. Default: no limit.
   */
  stallLimitNs?: number;
  /** It ends as well once guests have waited longer than `limitNs` beyond their budgets in all; who is not named has no limit. */
  stallExcess?: { budgetNs: Record<string, number>; limitNs: number };
}

/** What no file of a host prints, each as a share from 0 to 1. Another value is as likely as the one taken by default. */
export interface UnseenState {
  /** Of a batch: what the last refill left on each per-CPU list that the kernel uses. Default a half. */
  listShare: number;
  /**
   * Of the most that per-CPU lists may hold of the kernel's types, which is twice as much as in proportion to the
   * memory in use. Default a half.
   */
  kernelShare: number;
  /** Of the slab that page cache nodes come from: what is taken. Default a half. */
  slabShare: number;
  /** Of the intervals of the statistics work and of kcompactd: what has gone by. Default none. */
  intervalShare: number;
}

/** What happened in a step. A simulated failure is a status, never an exception. */
export interface StepResult {
  n: number;
  op: ReplayStep['op'];
  label?: string;
  /** `sigbus`: no huge page for a touch; `enomem`: huge pages that a mapping needs could not be reserved. Both end the guest; `enomem` of swapon: no memory for its tables, nothing has changed. `refused`: a memory block stayed as it was. `stalled`: guests have waited longer than the input's limit; no step follows. */
  status:
    'ok' | 'killed' | 'sigbus' | 'enomem' | 'refused' | 'stalled' | 'no_such_guest' | 'unmodelled';
  /** `hugepages`: what the file says afterwards, in huge pages. */
  obtained?: number;
  /** Pages touched or read by the step's own process. */
  pagesDone: number;
  /** Virtual time the step took. */
  durationNs: number;
  snapshot: Snapshot;
  events: ReplayEvent[];
}

/** State after a step, in the kernel's words. Counters are cumulative since the start of the replay. */
export interface Snapshot {
  timeNs: number;
  nodes: NodeSnapshot[];
  guests: GuestSnapshot[];
  /** Huge pages of each size: reserved by mappings and not touched yet, and allowed beyond the pool. */
  hugetlb: { sizeKib: number; reservedPages: number; overcommitPages: number }[];
  /** Memory cgroups in the order in which they were made; absent where there is none. */
  groups?: GroupSnapshot[];
  /** /proc/vmstat event names -> count since the start of the replay. */
  vmstat: Record<string, number>;
  sysctl: HostSysctls;
  swapUsedPages: number;
  swapTotalPages: number;
  /** `sar -B` style rates over the step (pages per second of virtual time). */
  rates: { pgscank: number; pgscand: number; pgsteal: number; pgfault: number };
}

export interface NodeSnapshot {
  nodeId: number;
  zones: {
    name: ZoneName;
    startPfn: number;
    spannedPages: number;
    presentPages: number;
    freePages: number;
    /** Pages on the lists of all CPUs. */
    pcpPages: number;
    /** Free blocks by order 0..10, all migrate types together. */
    freeBlocks: number[];
    /** Free blocks by order per migrate type; types without any are left out. */
    freeBlocksByType: Partial<Record<MigrateTypeName, number[]>>;
    pageblocksByType: Partial<Record<MigrateTypeName, number>>;
    reservedHighatomicPages: number;
    lru: LruPages;
    pagesets: HostPageset[];
    boostPages: number;
    /** Without boost. */
    minPages: number;
    lowPages: number;
    highPages: number;
    managedPages: number;
    protectionPages: number[];
    pcpHighPages: number;
    pcpBatchPages: number;
  }[];
  lru: LruPages;
  filePages: number;
  anonPages: number;
  mappedPages: number;
  dirtyPages: number;
  writebackPages: number;
  slabReclaimablePages: number;
  slabUnreclaimablePages: number;
  shmemPages: number;
  kswapdFailures: number;
  /** Sizes that the node has pages of. */
  hugepages: HugepagePool[];
  anonTransparentHugepages: number;
  numastat: Numastat;
}

export interface GuestSnapshot {
  name: string;
  alive: boolean;
  /** Guest RAM per node over all regions (without overhead), in base pages whatever it lies on. */
  pagesByNode: { nodeId: number; pages: number }[];
  regions: { cell: number; pagesByNode: { nodeId: number; pages: number }[] }[];
  /** Transparent huge pages of 2 MiB, counted whole. */
  hugePages: number;
  swapPages: number;
  /** Virtual time this guest's faults spent reclaiming or waiting for reclaim. */
  stallNs: number;
}

export interface ReplayResult {
  profile: {
    kernel: KernelProfileName;
    /** The host's own kernel, where it is known, is the one whose rules were replayed. */
    validated: boolean;
    hardware: string;
    scheduleRule: string;
  };
  seed: number;
  /** Zonelist order per node, as the kernel prints it at boot ("Fallback order for Node n"). */
  fallbackOrder: { nodeId: number; order: number[] }[];
  /** State before the first step. */
  initial: Snapshot;
  steps: StepResult[];
  totals: {
    oomKills: number;
    stallNs: number;
    directReclaimedPages: number;
    nodeReclaimedPages: number;
    kswapdReclaimedPages: number;
    swappedOutPages: number;
    /** Within memory cgroups over their limits. */
    cgroupReclaimedPages: number;
  };
  /** Everything that a reader must know before trusting a number: mechanisms not modelled, estimates made. */
  caveats: { code: string; message: string }[];
  /** sha256 of the final state; equal for equal input and seed on every machine. Empty where it was not wanted. */
  stateHash: string;
}

/** Progress and cancellation of a long replay. Called between steps and at least every few hundred thousand pages. */
export interface ReplayControl {
  /** Return false to stop: the replay throws ReplayCancelled. */
  onProgress?: (progress: { step: number; steps: number; fraction: number }) => boolean | void;
}
