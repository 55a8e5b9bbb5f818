/**
 * The distribution that problems are drawn from; docs/BENCH-ADVICE.md shows these tables. `percent` is the share of
 * the problems, or of the guests where it says so.
 */
import type { PlacementMode } from '../src/types';

type Shares<T> = readonly { value: T; percent: number }[];

/** The place of a problem's number in a row of `every` decides its kind, so that short runs have all of them. */
export const KINDS = {
  /** One or two guests on two nodes: the whole space is enumerated. */
  small: 4,
  /** Guests that prefer a node full of page cache. */
  preferredBesideCache: 1,
  every: 20,
} as const;

/** 44 small ones and ten beside page cache among them. */
export const PROBLEMS = 204;

/** Two nodes: every configuration of one or two guests there is replayed. */
export const SMALL_MEMORY_GIB = 4;
export const SMALL_SWAP_MIB = 128;
export const SMALL_GUESTS: Shares<number> = [
  { value: 1, percent: 85 },
  { value: 2, percent: 15 },
];

/** Demand of all guests, those that run included, as a share of the host's memory; taken in turn. */
export const DEMAND_PERCENTS = [40, 50, 60, 70, 80, 90, 100, 110, 120] as const;

export const NODE_COUNTS: Shares<number> = [
  { value: 1, percent: 6 },
  { value: 2, percent: 44 },
  { value: 3, percent: 6 },
  { value: 4, percent: 24 },
  { value: 6, percent: 6 },
  { value: 8, percent: 14 },
];

/** Most are small: what a replay takes grows with the memory that is touched and reclaimed. */
export const MEMORY_GIB: Shares<number> = [
  { value: 64, percent: 72 },
  { value: 128, percent: 14 },
  { value: 256, percent: 7 },
  { value: 512, percent: 3 },
  { value: 1024, percent: 2 },
  { value: 2048, percent: 1 },
  { value: 4096, percent: 1 },
];

/** Page cache as a share of each node; on hosts above `CACHE_HEAVY_GIB_MAX` at most as many GiB as one of that size has. */
export const CACHE_PERCENT: Shares<number> = [
  { value: 4, percent: 50 },
  { value: 30, percent: 50 },
];
export const CACHE_HEAVY_GIB_MAX = 128;

export const THP_ENABLED: Shares<'always' | 'madvise' | 'never'> = [
  { value: 'always', percent: 40 },
  { value: 'madvise', percent: 40 },
  { value: 'never', percent: 20 },
];

/** Hosts whose guests take part of their memory from pools of 2 MiB pages; all hosts of 1 TiB and more do. */
export const HUGEPAGE_HOSTS_PERCENT = 15;
export const ALWAYS_HUGEPAGES_GIB = 1024;
/** Share of the planned memory that lies in these pools; on hosts of that size and above. */
export const HUGEPAGE_MEMORY_PERCENT = 60;
export const LARGE_HUGEPAGE_MEMORY_PERCENT = 90;

/** Hosts whose nodes differ in size, up to one to three. */
export const ASYMMETRIC_PERCENT = 25;
/** Hosts of three nodes and more whose last node has no CPUs. */
export const CPULESS_PERCENT = 10;
/** Hosts that have a swap area of `SWAP_MIB`. */
export const SWAP_PERCENT = 40;
export const SWAP_MIB = 1024;
export const ZONE_RECLAIM_ON_PERCENT = 15;
export const RUNNING_GUESTS_PERCENT = 25;
/** Of the memory, but at most half of the smallest node, what guests hold that run already. */
export const RUNNING_MEMORY_PERCENT = 10;
export const DIRTY_CACHE_PERCENT = 15;

/** Of the guests. */
export const PINNED_GUESTS_PERCENT = 40;
export const TWO_CELL_GUESTS_PERCENT = 8;
export const DISK_CACHE_GUESTS_PERCENT = 25;
/** Hosts whose pinned guests crowd on node 0. */
export const CROWDED_PERCENT = 50;

export const PINNED_MODES: Shares<PlacementMode> = [
  { value: 'preferred', percent: 50 },
  { value: 'strict', percent: 20 },
  { value: 'none', percent: 20 },
  { value: 'interleave', percent: 10 },
];
export const FLOATING_MODES: Shares<PlacementMode> = [
  { value: 'none', percent: 60 },
  { value: 'interleave', percent: 15 },
  { value: 'preferred', percent: 15 },
  { value: 'strict', percent: 10 },
];
