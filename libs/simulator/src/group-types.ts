/** Memory cgroups as a replay is given them and shows them. */
import type { LruPages } from './types';

/**
 * Limits of a memory cgroup (v2), in pages; null is `max`. What is absent stays as it is, in a new group without limit.
 * libvirt's <memtune> is the same: hard_limit is memory.max, soft_limit memory.high, and what swap_hard_limit allows
 * beyond hard_limit is memory.swap.max.
 */
export interface GroupLimits {
  /** memory.max */
  maxPages?: number | null;
  /** memory.high */
  highPages?: number | null;
  /** memory.swap.max */
  swapMaxPages?: number | null;
  /** cpuset.mems of processes that start in the group afterwards. */
  cpusetMems?: number[];
}

export interface GroupSpec extends GroupLimits {
  name: string;
}

/** A memory cgroup in the words of its files; pages, and null where a limit is `max`. */
export interface GroupSnapshot {
  name: string;
  /** memory.current: pages, those that CPUs have charged ahead included. */
  currentPages: number;
  maxPages: number | null;
  highPages: number | null;
  swapCurrentPages: number;
  swapMaxPages: number | null;
  /** `kernel` of memory.stat. */
  kernelPages: number;
  lru: LruPages;
  /** memory.events, since the group was made. */
  events: { high: number; max: number; oom: number; oomKill: number };
}
