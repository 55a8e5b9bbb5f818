/** Giving page frames back to the allocator. */
import { PAGES_PER_HUGE } from './constants';
import { PAGEBLOCK_ORDER } from './buddy';
import { countVm, type KernelState } from './kernel-state';
import { accountRun, type Run } from './lru';
import { freeToPcp, pcpAllowedOrder } from './pcp';
import type { Zone } from './zone';

/**
 * Frees the pages of a run that has left its list, through a CPU's lists.
 * @param reversed last page first, as reclaim frees an isolated batch
 */
export function freeRun(k: KernelState, run: Run, cpu: number, reversed = false): void {
  accountRun(run, -1);
  countVm(k, 'pgfree', run.pages);
  const step = reversed ? (-run.step as 1 | -1) : run.step;
  if (run.huge) {
    const blocks = run.pages / PAGES_PER_HUGE;
    const first = reversed ? run.frame + run.step * (blocks - 1) * PAGES_PER_HUGE : run.frame;
    freeToPcp(run.zone, cpu, PAGEBLOCK_ORDER, first, blocks, step);
    return;
  }
  const first = reversed ? run.frame + run.step * (run.pages - 1) : run.frame;
  freeToPcp(run.zone, cpu, 0, first, run.pages, step);
}

/** Frees one block of the kernel's own. */
export function freeBlock(
  k: KernelState,
  zone: Zone,
  cpu: number,
  frame: number,
  order: number,
): void {
  zone.kernelPages -= 2 ** order;
  countVm(k, 'pgfree', 2 ** order);
  if (pcpAllowedOrder(order)) freeToPcp(zone, cpu, order, frame, 1, 1);
  else zone.buddy.free(frame, order, zone.buddy.typeOf(frame));
}
