/** What happens in a step besides its end state. */
import type { ZoneName } from './types';

export type ReplayEvent =
  | {
      type: 'oom_kill';
      timeNs: number;
      constraint: OomConstraint;
      victim: string;
      invokedBy: string;
      /** What the victim held. */
      victimPages: number;
      /** Of the request. */
      order: number;
      /** Zones that it may use, in the order of the nodes; none where a memory cgroup is full. */
      zones: KilledForZone[];
      /** The same in one line. */
      summary: string;
      /** The kill in the lines of dmesg, without the call trace; empty after the first 20 kills of a replay. */
      report: string[];
    }
  | { type: 'kswapd_wake'; timeNs: number; nodeId: number }
  | { type: 'kswapd_sleep'; timeNs: number; nodeId: number; reclaimedPages: number }
  | {
      /** First time a guest's page went to a node outside its policy's nodes or away from its CPU. */
      type: 'spill';
      timeNs: number;
      guest: string;
      fromNode: number;
      toNode: number;
      zone: ZoneName;
      /** Of the request: 9 for a huge page. */
      order: number;
      mark: 'min' | 'low' | 'high';
      /** `free-pages`: too few; `larger-blocks`: enough, but none of them in a block of the order or above. */
      refusedBy: 'free-pages' | 'larger-blocks';
      /** When the zone refused the request. */
      freePages: number;
      /** The mark that refused: stored mark + boost, and the reserves. The check wants more than this and the block's other pages. */
      neededPages: number;
      /** Of the zone's free blocks where these refused; -1 where there is none, or pages refused. */
      largestFreeOrder: number;
      reason: string;
    }
  | {
      /** A memory cgroup over its limit was reclaimed. First occurrence in the step, with the step's total. */
      type: 'cgroup_reclaim';
      timeNs: number;
      cgroup: string;
      times: number;
      reclaimedPages: number;
      guest: string;
    }
  | {
      /** A memory block went online or offline, or did not. */
      type: 'memory_block';
      timeNs: number;
      nodeId: number;
      /** The zone that it belongs to; absent where none does. */
      zone?: ZoneName;
      startPfn: number;
      pages: number;
      outcome: 'onlined' | 'offlined' | 'unchanged' | 'refused';
      /** Refused: why, in the kernel's words, what the writer is told, and the first page that stands in the way. */
      reason?: string;
      error?: 'EBUSY' | 'EINVAL' | 'EINTR' | 'EEXIST' | 'ENOMEM';
      pfn?: number;
      /** Base pages that were moved to other frames. */
      movedPages: number;
      /** Free huge pages that left their pool. */
      dissolvedHugepages: number;
    }
  | {
      /** A task reclaimed for its own request. First occurrence in the step with this order, with the step's total. */
      type: 'direct_reclaim';
      timeNs: number;
      /** Where it begins. */
      nodeId: number;
      order: number;
      times: number;
      reclaimedPages: number;
      /** Runs that took nothing, as a zone was ready for compaction. */
      readyTimes: number;
      guest: string;
    }
  | {
      type: 'node_reclaim' | 'node_reclaim_failed';
      timeNs: number;
      /** First occurrence in the step, with the step's total. */
      nodeId: number;
      times: number;
      reclaimedPages: number;
      /** Whether policy and cpuset let the memory come from other nodes too. */
      mayLeave: boolean;
      guest: string;
    };

/** A zone that could not serve the request for which somebody is killed, in pages. */
export interface KilledForZone {
  nodeId: number;
  zone: ZoneName;
  /** What the check counts as free (NR_FREE_PAGES). */
  freePages: number;
  /** Min and high mark with boost, less what the request's rights take off, and reserves. */
  minPages: number;
  highPages: number;
}

export type OomConstraint =
  'CONSTRAINT_NONE' | 'CONSTRAINT_CPUSET' | 'CONSTRAINT_MEMORY_POLICY' | 'CONSTRAINT_MEMCG';
