/** What a reclaimer works for and what it may do. */
import type { MemoryGroup } from './memcg';
import type { SwapPlug } from './swap-write';
import { DEF_PRIORITY, SWAP_CLUSTER_MAX, ZONE_MOVABLE } from './constants';

/** One reclaimer's task (`struct scan_control`). */
export interface ScanControl {
  nrToReclaim: number;
  /** Order of the request, which reclaim for compaction looks at. */
  order: number;
  /** Zones above this index are left alone (`reclaim_idx`). */
  classIndex: number;
  priority: number;
  mayWritepage: boolean;
  mayUnmap: boolean;
  maySwap: boolean;
  kswapd: boolean;
  /** The memory cgroup that is over its limit; absent: reclaim for the whole node. */
  group?: MemoryGroup;
  forceDeactivate: boolean;
  /** Idle cache is no longer preferred, because that brought nothing. */
  noCacheTrim: boolean;
  /** A pass that preferred idle cache brought nothing. */
  cacheTrimFailed: boolean;
  /** CPU position whose lists take the freed pages. */
  cpu: number;
  nrScanned: number;
  nrReclaimed: number;
  /** Time of the work since the cost was last settled. */
  costNs: number;
  /** Where pages written to swap gather during a pass. */
  plug: SwapPlug;
  /** Set when a list was left alone only because pages might be deactivated too early. */
  skippedDeactivate: boolean;
}

/** All of them have the same fields in the same order: the same code works for each. */
export function scanControl(values: Partial<ScanControl> & { cpu: number }): ScanControl {
  return {
    nrToReclaim: values.nrToReclaim ?? SWAP_CLUSTER_MAX,
    order: values.order ?? 0,
    classIndex: values.classIndex ?? ZONE_MOVABLE,
    priority: DEF_PRIORITY,
    mayWritepage: values.mayWritepage ?? true,
    mayUnmap: values.mayUnmap ?? true,
    maySwap: values.maySwap ?? true,
    kswapd: values.kswapd ?? false,
    group: values.group,
    forceDeactivate: values.forceDeactivate ?? false,
    noCacheTrim: false,
    cacheTrimFailed: false,
    cpu: values.cpu,
    nrScanned: 0,
    nrReclaimed: 0,
    costNs: 0,
    plug: { requests: [] },
    skippedDeactivate: false,
  };
}
