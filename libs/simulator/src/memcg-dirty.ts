/** Dirty cache of memory cgroups: each has thresholds of its own, by what it may still hold. */
import type { KernelState } from './kernel-state';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from './lru';
import type { MemoryGroup } from './memcg';
import { dirtyableMemory, dirtyPages, limitsFor, type DirtyLimits } from './writeback';

/** A group's cache. */
interface GroupCache {
  filePages: number;
  /** Dirty or being written. */
  dirtyPages: number;
}

/** @kernel mm/memcontrol.c mem_cgroup_wb_stats() */
function cacheOf(group: MemoryGroup): GroupCache {
  const cache = { filePages: 0, dirtyPages: 0 };
  for (const { lists } of group.lruvecs) {
    for (const list of [lists[LRU_INACTIVE_FILE]!, lists[LRU_ACTIVE_FILE]!]) {
      cache.filePages += list.pages;
      for (const run of list.runs()) if (run.dirty || run.writeback) cache.dirtyPages += run.pages;
    }
  }
  return cache;
}

/**
 * Thresholds of a group: shares of its cache and of what clean cache of others its limits let it take over.
 * @kernel mm/page-writeback.c mdtc_calc_avail()
 */
function limitsOf(k: KernelState, group: MemoryGroup, cache: GroupCache): DirtyLimits {
  const limit = Math.min(group.maxPages, group.highPages);
  const headroomPages = Math.max(limit - group.usagePages, 0);
  const cleanPages = Math.max(cache.filePages - cache.dirtyPages, 0);
  const hostCleanPages = Math.max(dirtyableMemory(k) - dirtyPages(k), 0);
  const othersPages = Math.max(hostCleanPages - cleanPages, 0);
  return limitsFor(k, cache.filePages + Math.min(headroomPages, othersPages));
}

/** Does some group hold more dirty cache than its background threshold? @kernel mm/page-writeback.c wb_over_bg_thresh() */
export function groupsOverBackground(k: KernelState): boolean {
  for (const group of k.groups.values()) {
    const cache = cacheOf(group);
    if (cache.dirtyPages === 0) continue;
    if (cache.dirtyPages > limitsOf(k, group, cache).backgroundPages) return true;
  }
  return false;
}

/** Is a writer in this group held back for its dirty cache? @kernel mm/page-writeback.c balance_dirty_pages() */
export function groupHoldsBack(k: KernelState, group: MemoryGroup | undefined): boolean {
  if (!group) return false;
  const cache = cacheOf(group);
  const { backgroundPages, threshPages } = limitsOf(k, group, cache);
  return cache.dirtyPages > Math.floor((threshPages + backgroundPages) / 2);
}
