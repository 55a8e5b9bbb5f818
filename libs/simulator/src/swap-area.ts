/** A swap area: the tables that it has in memory from swapon to swapoff. */
import {
  allocKernelBlock,
  allocKernelBlocks,
  freeKernelBlocks,
  kernelContext,
  localCaller,
} from './kernel-block';
import { dropSwapTree } from './cache-slab';
import type { KernelState } from './kernel-state';
import type { KernelBlock } from './page-alloc';

const PAGE_BYTES = 4096;
/** Slots of one cluster. @kernel include/linux/swap.h SWAPFILE_CLUSTER */
const CLUSTER_SLOTS = 512;
/** `struct swap_cgroup` is an id of 2 bytes. */
const CGROUP_ID_BYTES = 2;
const POINTER_BYTES = 8;
/** Largest object of a kmalloc() cache, and largest block that kmalloc() takes from the allocator. */
const KMALLOC_CACHE_BYTES = 8192;
const KMALLOC_MAX_BYTES = 4 << 20;

/** One allocation: an array that needs not lie in one piece, or one that shall where it can. */
export interface SwapTable {
  bytes: number;
  /** `vmalloc` takes single pages; `kvmalloc` a block, and single pages where there is none. */
  by: 'vmalloc' | 'kvmalloc';
}

/**
 * What swapon allocates for an area, in order.
 * @param slots usable ones; the header takes one more
 * @param rotational a device with one place at a time has no clusters
 * @kernel mm/swapfile.c sys_swapon(), mm/swap_cgroup.c swap_cgroup_swapon()
 * @differs the page cache page of the header counts as a table and goes at swapoff
 */
export function swapTables(
  { profile }: Pick<KernelState, 'profile'>,
  slots: number,
  rotational: boolean,
): SwapTable[] {
  const maxPages = slots + 1;
  const groupPages = Math.ceil(maxPages / (PAGE_BYTES / CGROUP_ID_BYTES));
  const clusterBytes = Math.ceil(maxPages / CLUSTER_SLOTS) * profile.swapClusterBytes;
  const clusters: SwapTable[] = rotational ? [] : [{ bytes: clusterBytes, by: 'kvmalloc' }];
  const bitmap: SwapTable[] = profile.swapBitmap
    ? [{ bytes: Math.ceil(maxPages / 64) * 8, by: 'kvmalloc' }]
    : [];
  return [
    { bytes: PAGE_BYTES, by: 'vmalloc' },
    { bytes: maxPages, by: 'vmalloc' },
    ...(profile.swapClustersLast ? [] : clusters),
    { bytes: groupPages * POINTER_BYTES, by: 'vmalloc' },
    { bytes: groupPages * PAGE_BYTES, by: 'vmalloc' },
    ...bitmap,
    ...(profile.swapClustersLast ? clusters : []),
  ];
}

/**
 * Adds a swap area, on the host's first CPU.
 * @param pages slots that it has to give
 * @returns false when there was no memory for its tables: nothing has changed then
 * @kernel mm/swapfile.c sys_swapon()
 */
export function swapOn(k: KernelState, pages: number): boolean {
  const blocks: KernelBlock[] = [];
  for (const table of swapTables(k, pages, k.hardware.swapRotational)) {
    if (takeTable(k, table, blocks)) continue;
    freeKernelBlocks(k, blocks, 0);
    return false;
  }
  k.swap.totalPages += pages;
  k.swap.freePages += pages;
  k.swapTables.push(...blocks);
  return true;
}

/**
 * All areas go, and their tables with them.
 * @kernel mm/swapfile.c sys_swapoff()
 * @differs tables of areas that were there before the replay stay
 */
export function swapOff(k: KernelState): void {
  freeKernelBlocks(k, k.swapTables, 0);
  dropSwapTree(k);
  k.swapTables = [];
  k.swap = { totalPages: 0, freePages: 0 };
}

/**
 * @kernel mm/util.c kvmalloc_node(), mm/vmalloc.c vm_area_alloc_pages()
 * @differs what fits a kmalloc() cache finds room in slabs that are there
 */
function takeTable(k: KernelState, { bytes, by }: SwapTable, blocks: KernelBlock[]): boolean {
  const caller = localCaller(0);
  const pages = Math.ceil(bytes / PAGE_BYTES);
  if (by === 'kvmalloc') {
    if (bytes <= KMALLOC_CACHE_BYTES) return true;
    if (bytes <= KMALLOC_MAX_BYTES) {
      const order = Math.ceil(Math.log2(pages));
      const block = allocKernelBlock(k, kernelContext(k, caller, { order, noRetry: true }));
      if (block) blocks.push(block);
      if (block) return true;
    }
  }
  const taken = allocKernelBlocks(k, kernelContext(k, caller), pages);
  blocks.push(...taken);
  return taken.length === pages;
}
