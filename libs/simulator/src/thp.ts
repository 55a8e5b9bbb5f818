/** Transparent huge pages at fault time. */
import type { KernelState } from './kernel-state';

/** May a fault in a region with this advice use a huge page, and what may it do to get one? */
export interface ThpMode {
  eligible: boolean;
  /** The fault may reclaim and compact. */
  reclaim: boolean;
  wakeKswapd: boolean;
  /** Gives up after a failed compaction: `always` without madvise. */
  noRetry: boolean;
}

/** @kernel mm/huge_memory.c hugepage_vma_check(), vma_thp_gfp_mask() */
export function thpMode(k: KernelState, advice: 'none' | 'huge' | 'nohuge'): ThpMode {
  const { enabled, defrag } = k.thp;
  const madvised = advice === 'huge';
  const eligible =
    advice !== 'nohuge' && (enabled === 'always' || (enabled === 'madvise' && madvised));
  switch (defrag) {
    case 'always':
      return { eligible, reclaim: true, wakeKswapd: false, noRetry: !madvised };
    case 'defer':
      return { eligible, reclaim: false, wakeKswapd: true, noRetry: false };
    case 'defer+madvise':
      return { eligible, reclaim: madvised, wakeKswapd: !madvised, noRetry: false };
    case 'madvise':
      return { eligible, reclaim: madvised, wakeKswapd: false, noRetry: false };
    case 'never':
      return { eligible, reclaim: false, wakeKswapd: false, noRetry: false };
  }
}
