import { note } from './events';
import { scanControl } from './scan-count';
import { ACTIVE_FILE, INACTIVE_FILE, SWAP_CLUSTER_MAX, count } from './state';
import type { Cpu, Node, System } from './state';
import { shrinkNodeNow } from './direct-reclaim';

const RECLAIM_WRITE = 2;
const RECLAIM_UNMAP = 4;
const NODE_RECLAIM_PRIORITY = 4;

/** @kernel mm/vmscan.c node_pagecache_reclaimable(); no dirty and no mapped file pages here */
function pagecacheReclaimable(system: System, node: Node): number {
  const file = (node.lruPages[INACTIVE_FILE] ?? 0) + (node.lruPages[ACTIVE_FILE] ?? 0);
  const mayUnmap = (system.sysctl.zone_reclaim_mode & RECLAIM_UNMAP) !== 0;
  return mayUnmap ? file + node.isolatedFilePages + node.swapCachePages : file;
}

/**
 * Tries to make room on a node before a request goes elsewhere.
 * @kernel mm/vmscan.c node_reclaim(), __node_reclaim()
 * @differs no slab
 * @returns whether it scanned at all, that is, whether the mark should be looked at again
 */
export function nodeReclaim(
  system: System,
  node: Node,
  order: number,
  classIndex: number,
  mayBlock: boolean,
  cpu: number,
): boolean {
  if (pagecacheReclaimable(system, node) <= node.minUnmapped) {
    return false;
  }
  if (!mayBlock || (node.cpus.length > 0 && (system.cpus[cpu] as Cpu).node !== node)) {
    return false;
  }
  note(system, 'node reclaim');
  const wanted = 1 << order;
  const target = system.mutation === 'node_reclaim asks for 16' ? 16 : SWAP_CLUSTER_MAX;
  const sc = scanControl({
    nrToReclaim: Math.max(wanted, target),
    order,
    reclaimIndex: classIndex,
    mayWritepage: (system.sysctl.zone_reclaim_mode & RECLAIM_WRITE) !== 0,
    mayUnmap: (system.sysctl.zone_reclaim_mode & RECLAIM_UNMAP) !== 0,
    maySwap: true,
    cpu,
  });
  for (sc.priority = NODE_RECLAIM_PRIORITY; sc.priority >= 0; sc.priority--) {
    shrinkNodeNow(system, node, sc);
    if (sc.nrReclaimed >= wanted) {
      break;
    }
  }
  if (sc.nrReclaimed < wanted) {
    count(system, 'zone_reclaim_failed');
  }
  return true;
}
