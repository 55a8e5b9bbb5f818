import type { FuzzCase } from './arbitrary';

/**
 * The case as far as simulator and reference are known to agree. The short test runs on such cases, so that it
 * notices anything new; the long comparison leaves nothing out. Open is node_reclaim within one operation of
 * many requests: that a request in the middle of them is the first to find enough cache, and what becomes of
 * pages that may be unmapped but not written.
 */
export function withoutOpenDifferences({ config, ops }: FuzzCase): FuzzCase {
  return {
    config: { ...config, sysctl: { ...config.sysctl, zone_reclaim_mode: 0 } },
    ops: ops.filter((op) => op.op !== 'sysctl' || op.name !== 'zone_reclaim_mode'),
  };
}
