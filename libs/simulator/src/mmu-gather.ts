/** Pages that an unmap takes for a moment to remember what it has to free. */
import { PAGES_PER_HUGE } from './constants';
import {
  allocKernelBlocks,
  freeKernelBlocks,
  kernelContext,
  type KernelCaller,
} from './kernel-block';
import type { KernelState } from './kernel-state';
import type { Run } from './lru';

/** Page pointers that fit into the structure itself. @kernel include/asm-generic/tlb.h MMU_GATHER_BUNDLE */
const BUNDLE_POINTERS = 8;
/** Page pointers on one page, behind its header of 16 bytes. @kernel MAX_GATHER_BATCH */
const BATCH_POINTERS = 510;
/** Pages of pointers before everything is flushed and they are used again. @kernel MAX_GATHER_BATCH_COUNT */
const MAX_BATCHES = 19;

/**
 * Pages of pointers that one call takes which unmaps this many pages.
 * @param pointers pages to free, a huge page counted once
 * @kernel mm/mmu_gather.c tlb_next_batch(): the page is taken as soon as the last free place is used
 */
export function gatherBatches(pointers: number): number {
  if (pointers < BUNDLE_POINTERS) return 0;
  return Math.min(1 + Math.floor((pointers - BUNDLE_POINTERS) / BATCH_POINTERS), MAX_BATCHES);
}

/** Page pointers that runs take. */
export function pointersOf(runs: readonly Run[]): number {
  return runs.reduce((sum, run) => sum + (run.huge ? run.pages / PAGES_PER_HUGE : run.pages), 0);
}

/**
 * Frees what one call unmaps: the pages of pointers are taken before, and given back after it.
 * @kernel mm/mmu_gather.c tlb_finish_mmu(), tlb_batch_list_free()
 * @differs a call of more than 9698 pages also takes all its batches before the first page is freed
 */
export function gathered(
  k: KernelState,
  caller: KernelCaller,
  pointers: number,
  free: () => void,
): void {
  const count = gatherBatches(pointers);
  const ac = kernelContext(k, caller, { directReclaim: false });
  const batches = count > 0 ? allocKernelBlocks(k, ac, count) : [];
  free();
  freeKernelBlocks(k, batches, caller.cpu);
}
