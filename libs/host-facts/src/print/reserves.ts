/** Sizes that the kernel derives from marks, reserves and page cache. */
import { allZones, zoneSum, type PrintedState, type ZoneState } from './printed-state';

const PAGE_BYTES = 4096;

/**
 * Pages that ordinary requests cannot have: per zone the largest reserve plus the high mark, at most
 * the zone.
 * @kernel mm/page_alloc.c calculate_totalreserve_pages(), which runs when the marks are set and boosts are 0
 * @differs reading vm.lowmem_reserve_ratio makes the kernel compute it anew, then with boosts
 */
function totalReservePages(zones: readonly ZoneState[]): number {
  return zoneSum(zones, (zone) => {
    const high = zone.highPages - zone.boostPages;
    return Math.min(zone.managedPages, Math.max(...zone.protectionPages) + high);
  });
}

function stat(state: PrintedState, name: 'nr_active_file' | 'nr_inactive_file'): number {
  return state.nodes.reduce((sum, node) => sum + (node.stats[name] ?? 0), 0);
}

function cachePages(state: PrintedState): number {
  return stat(state, 'nr_active_file') + stat(state, 'nr_inactive_file');
}

/**
 * MemAvailable in pages.
 * @kernel mm/page_alloc.c si_mem_available()
 * @param reclaimablePages reclaimable slab and other kernel memory that shrinkers can free
 */
export function availablePages(state: PrintedState, reclaimablePages: number): number {
  const zones = allZones(state);
  const lowPages = zoneSum(zones, (zone) => zone.lowPages);
  const keep = (pages: number): number => Math.min(Math.floor(pages / 2), lowPages);
  const cache = cachePages(state);
  const available =
    zoneSum(zones, (zone) => zone.freePages) -
    totalReservePages(zones) +
    (cache - keep(cache)) +
    (reclaimablePages - keep(reclaimablePages));
  return Math.max(available, 0);
}

/**
 * Dirty pages at which writers are slowed down and at which writeback starts.
 * @kernel mm/page-writeback.c global_dirty_limits(), global_dirtyable_memory()
 */
export function dirtyThresholds(state: PrintedState): {
  thresholdPages: number;
  backgroundPages: number;
} {
  const zones = allZones(state);
  const free = zoneSum(zones, (zone) => zone.freePages);
  const dirtyable = free - Math.min(free, totalReservePages(zones)) + cachePages(state) + 1;
  const share = (percent: number): number => {
    const perPage = Math.floor((percent * PAGE_BYTES) / 100);
    return Math.floor((perPage * dirtyable) / PAGE_BYTES);
  };
  const thresholdPages = share(state.sysctl.dirty_ratio);
  const wanted = share(state.sysctl.dirty_background_ratio);
  const backgroundPages = wanted >= thresholdPages ? Math.floor(thresholdPages / 2) : wanted;
  return { thresholdPages, backgroundPages };
}
