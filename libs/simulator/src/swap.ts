/** Swap space as a count of slots, without clusters and devices. */
import { countVm, type KernelState } from './kernel-state';
import { accountRun, type Run } from './lru';

export function canSwap(k: KernelState): boolean {
  return k.swap.freePages > 0;
}

/**
 * Writes the pages of a run to swap slots and takes them from their owner.
 * @returns the same page frames as swap cache; the next look of reclaim frees them
 * @kernel mm/vmscan.c pageout(), mm/swap_state.c add_to_swap()
 * @differs the write is over before that next look, whatever the device
 */
export function swapOut(k: KernelState, run: Run): Run {
  k.swap.freePages -= run.pages;
  run.owner.swapPages += run.pages;
  run.owner.swapped?.spread(run.offset, run.span, run.pages);
  k.totals.swappedOutPages += run.pages;
  countVm(k, 'pswpout', run.pages);
  countVm(k, 'nr_vmscan_write', run.pages);
  if (run.huge) countVm(k, 'thp_swpout', run.pages / 512);
  accountRun(run, -1);
  const cached: Run = {
    ...run,
    owner: k.swapCache,
    mapped: false,
    young: false,
    referenced: false,
    dirty: false,
  };
  accountRun(cached, 1);
  return cached;
}

/** Releases slots of a mapping that is freed or read back. */
export function freeSwap(k: KernelState, run: { owner: Run['owner'] }, pages: number): void {
  k.swap.freePages += pages;
  run.owner.swapPages -= pages;
}
