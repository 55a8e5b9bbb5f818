/** Swap space as a count of slots, without clusters and devices. */
import { countVm, type KernelState } from './kernel-state';
import { accountRun, type Run } from './lru';

export function canSwap(k: KernelState): boolean {
  return k.swap.freePages > 0;
}

/**
 * Moves the pages of a run to swap slots; the caller frees the page frames.
 * @returns pages written; fewer than asked when slots run out (the caller keeps the rest)
 */
export function swapOut(k: KernelState, run: Run): void {
  k.swap.freePages -= run.pages;
  run.owner.swapPages += run.pages;
  run.owner.swapped?.spread(run.offset, run.span, run.pages);
  k.totals.swappedOutPages += run.pages;
  countVm(k, 'pswpout', run.pages);
  countVm(k, 'nr_vmscan_write', run.pages);
  if (run.huge) countVm(k, 'thp_swpout', run.pages / 512);
  accountRun(run, -1);
}

/** Releases slots of a mapping that is freed or read back. */
export function freeSwap(k: KernelState, run: { owner: Run['owner'] }, pages: number): void {
  k.swap.freePages += pages;
  run.owner.swapPages -= pages;
}
