/** Swap space as a count of slots, without clusters and devices. */
import { countVm, type KernelState } from './kernel-state';
import { accountRun, plainRun, spanOf, type Run } from './lru';
import type { MemoryGroup } from './memcg';
import { newMapping, type Mapping } from './page-map';

/** Pages that may still go to swap: of a group's, as many as its limit leaves. @kernel mm/memcontrol.c mem_cgroup_get_nr_swap_pages() */
export function swapRoom(k: KernelState, group?: MemoryGroup): number {
  return group
    ? Math.min(k.swap.freePages, Math.max(group.swapMaxPages - group.swapPages, 0))
    : k.swap.freePages;
}

/** @kernel mm/vmscan.c can_reclaim_anon_pages() */
export function canSwap(k: KernelState, group?: MemoryGroup): boolean {
  return swapRoom(k, group) > 0;
}

/** Is there swap at all, so that anonymous pages are worth aging? @kernel mm/vmscan.c can_age_anon_pages() */
export function canAgeAnon(k: KernelState): boolean {
  return k.swap.totalPages > 0;
}

/** The swap cache of an owner's pages. */
function swapCacheOf(k: KernelState, owner: Mapping): Mapping {
  if (owner.swapCache) return owner.swapCache;
  const cache = newMapping('anon', `${owner.name}/swap cache`, k.nodes.length, false, owner.guest);
  cache.swapCacheOf = owner;
  owner.swapCache = cache;
  return cache;
}

/**
 * Gives the pages of a run swap slots and takes them from their owner.
 * @param run stands on no list
 * @returns the same page frames as swap cache under writeback, to be handed to the device
 * @kernel mm/vmscan.c pageout(), mm/swap_state.c add_to_swap()
 */
export function addToSwap(k: KernelState, run: Run): Run {
  k.swap.freePages -= run.pages;
  run.owner.swapPages += run.pages;
  if (run.owner.group) run.owner.group.swapPages += run.pages;
  run.owner.swapped?.spread(run.offset, spanOf(run), run.pages);
  k.totals.swappedOutPages += run.pages;
  countVm(k, 'pswpout', run.pages);
  countVm(k, 'nr_vmscan_write', run.pages);
  if (run.huge) countVm(k, 'thp_swpout', run.pages / 512);
  accountRun(run, -1);
  const { zone, pages, frame, step, offset, stride } = run;
  const cached = plainRun(swapCacheOf(k, run.owner), zone, pages, frame, step, offset, stride);
  cached.workingset = run.workingset;
  cached.huge = run.huge;
  cached.writeback = true;
  cached.reclaim = true;
  return cached;
}

/**
 * Pages of a group whose slots have to go before swap counts as not full: below that half of it, or of what the
 * group may have, pages that are read back keep their slots.
 * @returns 0 where swap is not full
 * @kernel mm/memcontrol.c mem_cgroup_swap_full(), include/linux/swap.h vm_swap_full()
 */
export function swapFullPages(k: KernelState, group?: MemoryGroup): number {
  const { totalPages, freePages } = k.swap;
  const due = Math.max(Math.ceil(totalPages / 2) - freePages, 0);
  if (!group || group.swapMaxPages === Infinity) return due;
  return Math.max(due, group.swapPages - Math.ceil(group.swapMaxPages / 2) + 1);
}

/** Releases slots of a mapping that is freed, or read back to be written. */
export function freeSwap(k: KernelState, owner: Mapping, pages: number): void {
  owner.swapPages -= pages;
  freeSlots(k, owner, pages);
}

function freeSlots(k: KernelState, { group }: Mapping, pages: number): void {
  k.swap.freePages += pages;
  if (group) group.swapPages -= pages;
}

/**
 * Mapped pages that kept their slots give them up: they are written to, or go for good.
 * @kernel mm/swapfile.c folio_free_swap()
 */
export function freeSwapCache(k: KernelState, run: Run): void {
  if (!run.swapCached) return;
  run.swapCached = false;
  run.dirty = true;
  run.zone.node.filePages -= run.pages;
  freeSlots(k, run.owner, run.pages);
}

/** Unmapped again without having been written to, pages are on swap as they were. */
export function backToSwap(run: Run): void {
  run.owner.swapPages += run.pages;
  run.owner.swapped?.spread(run.offset, spanOf(run), run.pages);
}
