/** Dirty page cache: thresholds and the flushers. */
import { countVm, passTime, type KernelState } from './kernel-state';
import { LRU_INACTIVE_FILE, type Run } from './lru';

/**
 * Writes dirty file pages back until at most `keep` are left, oldest first. Those that reclaim had
 * marked go to the old end of the inactive list when their write ends.
 * @kernel mm/swap.c folio_rotate_reclaimable()
 * @differs a write takes its time at once, on the task that started it
 */
export function writeBackDirty(k: KernelState, keep: number): void {
  let dirty = k.nodes.reduce((sum, node) => sum + node.dirtyPages, 0);
  for (const node of k.nodes) {
    const marked: Run[] = [];
    for (const list of node.lists) {
      for (const run of node.dirtyPages > 0 ? list.runs() : []) {
        if (dirty <= keep) break;
        if (!run.dirty || run.owner.kind !== 'file') continue;
        run.dirty = false;
        dirty -= run.pages;
        node.dirtyPages -= run.pages;
        countVm(k, 'nr_written', run.pages);
        passTime(k, run.pages * k.hardware.pageoutNs, false);
        if (run.reclaim) marked.push(run);
      }
    }
    for (const run of marked) {
      run.list!.cut(run, 0, run.pages);
      run.reclaim = false;
      node.lists[LRU_INACTIVE_FILE]!.pushOldest(run);
    }
  }
}

/** Pages of dirty cache at which the flushers start. @kernel mm/page-writeback.c domain_dirty_limits() */
export function dirtyBackgroundThresh(k: KernelState): number {
  let dirtyable = 0;
  for (const zone of k.zones) {
    const reserve = Math.min(zone.managed, zone.high + Math.max(...zone.protection, 0));
    dirtyable +=
      Math.max(zone.buddy.freePages - reserve, 0) + zone.lruPages[2]! + zone.lruPages[3]!;
  }
  const share = (ratio: number): number =>
    Math.floor((Math.floor((ratio * 4096) / 100) * dirtyable) / 4096);
  const thresh = share(k.sysctl.dirty_ratio);
  const background = share(k.sysctl.dirty_background_ratio);
  return background >= thresh ? Math.floor(thresh / 2) : background;
}
