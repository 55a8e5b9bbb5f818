/** Constants of the 6.1.y page allocator on x86-64 (kernel names where the kernel has one). */

export const PAGE_KIB = 4;
/** Pages of a pageblock and of a transparent huge page (order 9). */
export const PAGES_PER_HUGE = 512;
export const HUGE_ORDER = 9;
export const PAGE_ALLOC_COSTLY_ORDER = 3;
export const SWAP_CLUSTER_MAX = 32;
export const DEF_PRIORITY = 12;
export const MAX_RECLAIM_RETRIES = 16;
export const NODE_RECLAIM_PRIORITY = 4;
export const MAX_NUMNODES = 1024;
export const PCP_BATCH_SCALE_MAX = 5;
/** A CPU's lists hold at most such a part of a zone. */
export const MIN_PERCPU_PAGELIST_HIGH_FRACTION = 8;
export const KSWAPD_MAX_FAILURES = 16;
/** Kernels refuse node_reclaim beyond this distance (RECLAIM_DISTANCE). */
export const RECLAIM_DISTANCE = 30;

/** `zone_idx` of the zones that hold buddy pages. */
export const ZONE_DMA = 0;
export const ZONE_DMA32 = 1;
export const ZONE_NORMAL = 2;
export const ZONE_MOVABLE = 3;
/** Zone indices that /proc/zoneinfo prints `protection` for: DMA, DMA32, Normal, Movable, Device. */
export const MAX_NR_ZONES = 5;

/** Base pages of a MiB. */
export const PAGES_PER_MIB = 1024 / PAGE_KIB;

/** Base pages to MiB; not rounded. */
export function pagesToMib(pages: number): number {
  return pages / PAGES_PER_MIB;
}
