/**
 * What differs between kernels and changes results, as data. 5.10, 6.1.y (6.1.192) and 6.12 are replayed; of the
 * others the formulas are known (marks, reserves, list sizes, the watermark check), for reading what such
 * a kernel printed.
 */
import type { KernelImageKib } from './kernel-image';
import type { HostSysctls, KernelName, KernelProfileName } from './types';

export interface KernelProfile {
  name: KernelName;
  /** Replays have its mechanisms, and results are held against recordings of it. */
  validated: boolean;
  /** What this kernel does otherwise than 6.1.y besides the formulas: a replay as 6.1.y does not show it. */
  departures: string[];
  /** What a host with this kernel is replayed as: the kernel itself, or the one with recordings that it departs from least. */
  replayedAs: KernelProfileName;
  /** Of a replayed kernel: those of its departures that its replays do not have either. */
  unmodelled: string[];
  /** Clamp of the square-root rule for min_free_kbytes, KiB (`init_per_zone_wmark_min`). */
  minFreeKbytesFloor: number;
  minFreeKbytesCap: number;
  /** khugepaged reserves for every populated zone, also HighMem and Movable. */
  khugepagedCountsAllZones: boolean;
  /** 0 where vm.watermark_scale_factor does not exist. */
  watermarkScaleFactorMax: number;
  /** Pages that shares and reserves are computed from. */
  pageBasis: 'present' | 'managed';
  /** `half`: high is min plus half of min, rounded once; `two-gaps`: min plus twice the gap of low. */
  highMark: 'half' | 'two-gaps';
  /** Movable's min is capped as HighMem's is, and its pages do not count as lowmem. */
  capsMovable: boolean;
  /** What a lowmem_reserve_ratio below 1 means. */
  zeroRatio: 'no-reserve' | 'as-one';
  /** `per-order`: the mark is asked again at every order below the request's; see watermark-check.ts. */
  watermarkCheck: 'per-order' | 'any-block' | 'reserve-rights';
  swappinessMax: number;
  /** Pages per pcp batch at most, bytes / page size / 4 (`zone_batchsize`). */
  pcpBatchBasePages: number;
  /** Where a per-CPU list is cut: at six batches, at a CPU's share of the low mark, or where tuning puts it above that. */
  pcpHigh: 'six-batches' | 'low-mark' | 'tuned';
  /** Has the policy preferred_many (5.15). */
  preferredMany: boolean;
  /** Memory that is added may hold its own memmap (5.13). */
  memmapOnMemory: boolean;
  /** zoneinfo has a line for a zone's boost; without it nobody can tell the boost that printed marks include. */
  printsBoost: boolean;
  /** Switching huge pages off takes back what khugepaged raised min_free_kbytes by (5.17). */
  lowersMinFree: boolean;
  /** A type without free blocks: `steal` a block with its pageblock where that pays, or `claim` pageblocks and steal single blocks. */
  fallback: 'steal' | 'claim';
  /** What makes reclaim turn to the other kind of memory: pages written and read back, or rotations besides. */
  lruCost: 'io' | 'io-and-rotations';
  /** List lengths and refaults that reclaim decides by: those of the moment, or as they were added up last (6.8). */
  reclaimStats: 'exact' | 'flushed';
  /** Reclaim in vain is tried again: by kswapd without preferring idle cache, by a task over all groups (6.10, 6.11). */
  retriesVainReclaim: boolean;
  /** /proc/vmstat has zone_reclaim_success besides zone_reclaim_failed. */
  countsReclaimSuccess: boolean;
  /** Reclaim frees the pages of a batch last one first. */
  freesBatchReversed: boolean;
  /** Compaction finishes the pageblocks that it began, keeps free blocks whole, and counts background runs as the daemon's (6.4 to 6.9). */
  finishesPageblocks: boolean;
  /**
   * Replays begin with zones as boots of this kernel were seen to leave them (`layOutZone()`); with others as the order in which boot claims
   * pageblocks has it (`orderByAddress()`). No file of a host tells which it is.
   */
  bootOrder: boolean;
  /** A range for a page of 1 GiB is emptied; before 5.13 it has to be free. */
  contigMigrates: boolean;
  /** Bytes of the record that an area of a device without rotation has for each 512 slots (`struct swap_cluster_info`). */
  swapClusterBytes: number;
  /** These are allocated after the area's other tables. */
  swapClustersLast: boolean;
  /** An area has a bit for each slot: frontswap's (as distributions built it until 5.19), or that of pages of zeros (6.11). */
  swapBitmap: boolean;
  /** What a task runs at least while another waits for its CPU, ns on one CPU (half of `sched_latency`, since 6.6 `sched_base_slice`). */
  schedTurnNs: number;
  /** The kernel's image: sizes that Debian's build of it prints when it boots. */
  imageKib: KernelImageKib;
  /** zone_reclaim_mode starts as 1 on a host with a distance above `reclaimDistance`. */
  zoneReclaimByDistance: boolean;
  /** Nodes farther away than this are never reclaimed from for a zone's sake (`RECLAIM_DISTANCE`). */
  reclaimDistance: number;
  /** What the kernel boots with; min_free_kbytes is computed from the host's size. */
  defaultSysctls: Omit<HostSysctls, 'min_free_kbytes'>;
}

/** A shortcoming of every replay of kernels that can run the new lists. */
const CLASSIC_LISTS =
  'distributions may run the multi-generational LRU (MGLRU); replays have the classic lists';

const V6_1: KernelProfile = {
  name: '6.1.y',
  validated: true,
  replayedAs: '6.1.y',
  departures: [],
  unmodelled: [],
  minFreeKbytesFloor: 128,
  minFreeKbytesCap: 262144,
  khugepagedCountsAllZones: false,
  watermarkScaleFactorMax: 3000,
  pageBasis: 'managed',
  highMark: 'two-gaps',
  capsMovable: false,
  zeroRatio: 'no-reserve',
  watermarkCheck: 'reserve-rights',
  swappinessMax: 200,
  pcpBatchBasePages: 256,
  pcpHigh: 'low-mark',
  preferredMany: true,
  memmapOnMemory: true,
  printsBoost: true,
  lowersMinFree: true,
  fallback: 'steal',
  lruCost: 'io',
  reclaimStats: 'exact',
  retriesVainReclaim: false,
  countsReclaimSuccess: false,
  freesBatchReversed: true,
  finishesPageblocks: false,
  bootOrder: false,
  contigMigrates: true,
  swapClusterBytes: 8,
  swapClustersLast: false,
  swapBitmap: false,
  schedTurnNs: 3_000_000,
  imageKib: { code: 14343, rodata: 8348, rwdata: 2327, init: 2612, bss: 5436 },
  zoneReclaimByDistance: false,
  reclaimDistance: 30,
  defaultSysctls: {
    watermark_scale_factor: 10,
    watermark_boost_factor: 15000,
    lowmem_reserve_ratio: [256, 256, 32, 0],
    zone_reclaim_mode: 0,
    min_unmapped_ratio: 1,
    min_slab_ratio: 5,
    swappiness: 60,
    percpu_pagelist_high_fraction: 0,
    dirty_ratio: 20,
    dirty_background_ratio: 10,
    dirty_writeback_centisecs: 500,
  },
};

const NO_HIGHATOMIC_FALLBACK =
  'an atomic request for one page does not fall back on the HighAtomic reserve before it fails';

// Each older kernel is the next newer one with what came later taken back.
const V5_14: KernelProfile = {
  ...V6_1,
  name: '5.14',
  validated: false,
  departures: [
    NO_HIGHATOMIC_FALLBACK,
    'updates of distributions may accept a watermark_scale_factor up to 3000',
    'it has no policy preferred_many (5.15)',
    'min_free_kbytes stays where khugepaged raised it when huge pages are switched off (until 5.16)',
  ],
  watermarkScaleFactorMax: 1000,
  watermarkCheck: 'any-block',
  preferredMany: false,
  lowersMinFree: false,
};

const V5_10: KernelProfile = {
  ...V5_14,
  name: '5.10',
  imageKib: { code: 12296, rodata: 7008, rwdata: 2553, init: 2476, bss: 3704 },
  validated: true,
  departures: [
    ...V5_14.departures,
    'its zoneinfo has no line for the boost of a zone: printed marks include it, and no source tells how much it is',
    'its per-CPU lists hold single pages only: requests of order 1 to 3 and huge pages go to the zone directly (until 5.13)',
    'memory that is added never holds its own memmap (until 5.12)',
  ],
  replayedAs: '5.10',
  unmodelled: [NO_HIGHATOMIC_FALLBACK],
  pcpHigh: 'six-batches',
  memmapOnMemory: false,
  printsBoost: false,
  swapBitmap: true,
  contigMigrates: false,
};

const V4_18: KernelProfile = {
  ...V5_10,
  name: '4.18',
  validated: false,
  departures: [
    ...V5_10.departures,
    'it has no watermark boost (5.0), so that a steal does not wake kswapd; updates of distributions may have it',
    'reclaim balances anonymous memory and cache by the share of pages that were rotated, not by cost (until 5.8)',
  ],
  minFreeKbytesCap: 65536,
  swappinessMax: 100,
  pcpBatchBasePages: 128,
  defaultSysctls: { ...V6_1.defaultSysctls, watermark_boost_factor: 0 },
};

const V3_10: KernelProfile = {
  ...V4_18,
  name: '3.10',
  departures: [
    ...V4_18.departures,
    'LRU lists and reclaim are per zone, not per node (until 4.8)',
    'in place of the HighAtomic reserve (4.4) each zone keeps up to two pageblocks as MIGRATE_RESERVE',
    'updates of distributions may start with zone_reclaim_mode 0 as 3.16 does: the host itself tells',
  ],
  khugepagedCountsAllZones: true,
  watermarkScaleFactorMax: 0,
  highMark: 'half',
  zeroRatio: 'as-one',
  watermarkCheck: 'per-order',
  zoneReclaimByDistance: true,
  defaultSysctls: {
    ...V4_18.defaultSysctls,
    watermark_scale_factor: 0,
    lowmem_reserve_ratio: [256, 256, 32],
  },
};

const V2_6_32: KernelProfile = {
  ...V3_10,
  name: '2.6.32',
  departures: [
    ...V3_10.departures,
    'transparent huge pages came with 2.6.38; distributions have them here, and khugepaged raises min_free_kbytes there too',
    'vm.extra_free_kbytes, which lifts low and high in some distributions, is not counted',
  ],
  pageBasis: 'present',
  reclaimDistance: 20,
};

const V6_12: KernelProfile = {
  ...V6_1,
  name: '6.12',
  imageKib: { code: 16384, rodata: 11008, rwdata: 2506, init: 3940, bss: 5280 },
  validated: true,
  departures: [
    'per-CPU lists grow and shrink between high_min and high_max, and refills double (6.7): the size given is high_min',
    'a pageblock is claimed whole or a single block is stolen (6.12.y), so that other pageblocks change their type',
    'it has the policy weighted interleave (6.9)',
    CLASSIC_LISTS,
  ],
  replayedAs: '6.12',
  unmodelled: [CLASSIC_LISTS],
  capsMovable: true,
  schedTurnNs: 750_000,
  pcpHigh: 'tuned',
  fallback: 'claim',
  lruCost: 'io-and-rotations',
  reclaimStats: 'flushed',
  retriesVainReclaim: true,
  countsReclaimSuccess: true,
  freesBatchReversed: false,
  finishesPageblocks: true,
  bootOrder: true,
  swapClusterBytes: 24,
  swapClustersLast: true,
  swapBitmap: true,
};

const V6_18: KernelProfile = {
  ...V6_12,
  name: '6.18',
  validated: false,
  departures: [
    ...V6_12.departures,
    'the first walk of the zonelist leaves out nodes whose kswapd is awake',
    'it has vm.defrag_mode (6.15)',
  ],
};

export const kernelProfiles: Record<KernelName, KernelProfile> = {
  '2.6.32': V2_6_32,
  '3.10': V3_10,
  '4.18': V4_18,
  '5.10': V5_10,
  '5.14': V5_14,
  '6.1.y': V6_1,
  '6.12': V6_12,
  '6.18': V6_18,
};

/** Kernels whose formulas are known, oldest first. */
export const KERNEL_NAMES = Object.keys(kernelProfiles) as KernelName[];

/** `exact`: the release is of this very series; else the profile is the newest that is not newer. */
export interface KernelMatch {
  profile: KernelProfile;
  exact: boolean;
}

/**
 * The profile for a release as `uname -r` or /proc/version names it, such as `4.18.0-553.el8_10.x86_64`.
 * @returns undefined for a text without a version, and for kernels older than the oldest profile
 */
export function kernelProfileOf(release: string): KernelMatch | undefined {
  const version = versionOf(release);
  if (version === undefined) return undefined;
  let best: KernelMatch | undefined;
  for (const name of KERNEL_NAMES) {
    const known = versionOf(name)!;
    const order = compareVersions(known, version.slice(0, known.length));
    if (order <= 0) best = { profile: kernelProfiles[name], exact: order === 0 };
  }
  return best;
}

/** Numbers that name the series: two, and three before 3.0. */
function versionOf(release: string): number[] | undefined {
  const match = /(?:^|[^\d.])(\d+)\.(\d+)(?:\.(\d+))?/.exec(release);
  if (!match) return undefined;
  const [major = 0, minor = 0, patch = 0] = match.slice(1).map((text) => Number(text ?? 0));
  return major < 3 ? [major, minor, patch] : [major, minor];
}

function compareVersions(a: number[], b: number[]): number {
  for (let i = 0; i < Math.max(a.length, b.length); i += 1) {
    const order = (a[i] ?? 0) - (b[i] ?? 0);
    if (order !== 0) return order;
  }
  return 0;
}
