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
      /** Zones that could not serve the request, in one line. */
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
      freePages: number;
      /** The mark that refused: stored mark + boost + protection. */
      neededPages: number;
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
      type: 'direct_reclaim' | 'node_reclaim' | 'node_reclaim_failed';
      timeNs: number;
      /** First occurrence in the step, with the step's total. */
      nodeId: number;
      times: number;
      reclaimedPages: number;
      guest: string;
    };

export type OomConstraint =
  'CONSTRAINT_NONE' | 'CONSTRAINT_CPUSET' | 'CONSTRAINT_MEMORY_POLICY' | 'CONSTRAINT_MEMCG';
