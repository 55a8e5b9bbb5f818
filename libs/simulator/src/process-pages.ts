/** What starting a process takes besides the memory that it uses, and gives back when it ends. */
import { MIGRATE_MOVABLE } from './buddy';
import { ZONE_MOVABLE } from './constants';
import {
  allocKernelBlocks,
  freeKernelBlocks,
  kernelContext,
  localCaller,
  type KernelCaller,
} from './kernel-block';
import type { KernelState } from './kernel-state';
import type { KernelBlock } from './page-alloc';
import type { ProcessPageCounts, ProcessPages } from './types';

/**
 * Takes the pages of a process that starts: first its parent's part, on the first CPU and its node
 * (task structures, stack, page tables, pages copied by fork), then its own.
 * @returns the blocks in the order in which an exit gives them back: its memory, its page tables, its other structures
 * @kernel kernel/fork.c copy_process(), mm/memory.c wp_page_copy(), mm/mmap.c exit_mmap()
 * @differs its copied and anonymous pages stand on no LRU list
 */
export function startProcess(
  k: KernelState,
  pages: ProcessPages | undefined,
  caller: KernelCaller,
): KernelBlock[] {
  if (!pages) return [];
  const parts = [takePages(k, pages.parent, localCaller(0)), takePages(k, pages.own, caller)];
  return [...parts.flatMap(({ memory }) => memory), ...parts.flatMap(({ kernel }) => kernel)];
}

function takePages(
  k: KernelState,
  counts: ProcessPageCounts,
  caller: KernelCaller,
): { memory: KernelBlock[]; kernel: KernelBlock[] } {
  const { unmovablePages, unmovablePairs, movablePages } = counts;
  const movable = { type: MIGRATE_MOVABLE, classIndex: ZONE_MOVABLE };
  const kernel = [
    ...allocKernelBlocks(k, kernelContext(k, caller), unmovablePages),
    ...allocKernelBlocks(k, kernelContext(k, caller, { order: 1 }), unmovablePairs),
  ];
  return {
    memory: allocKernelBlocks(k, kernelContext(k, caller, movable), movablePages),
    kernel,
  };
}

/** The process ends: what it took returns to the lists of the CPU that it ran on. @kernel kernel/exit.c do_exit() */
export function endProcess(k: KernelState, blocks: readonly KernelBlock[], cpu: number): void {
  freeKernelBlocks(k, blocks, cpu);
}
