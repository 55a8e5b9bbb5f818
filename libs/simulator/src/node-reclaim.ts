/** zone_reclaim_mode: reclaiming the local node before spilling to a remote one. */
import { NODE_RECLAIM_PRIORITY, RECLAIM_DISTANCE, SWAP_CLUSTER_MAX } from './constants';
import { countVm, type KernelState } from './kernel-state';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE } from './lru';
import { listPages } from './lruvec';
import type { AllocContext } from './page-alloc';
import { scanControl } from './scan-control';
import { shrinkNode } from './direct-reclaim';
import type { NodeState } from './zone';

export const RECLAIM_WRITE = 2;
export const RECLAIM_UNMAP = 4;

/** `skip`: go to the next zone as if nothing was tried (NOSCAN, FULL or mode 0). */
export type NodeReclaimResult = 'skip' | 'some' | 'success';

/** Cache that a run could take, by the mode's bits. @kernel mm/vmscan.c node_pagecache_reclaimable() */
export function nodePagecacheReclaimable(node: NodeState, mode: number): number {
  const lru = listPages(node, LRU_INACTIVE_FILE) + listPages(node, LRU_ACTIVE_FILE);
  const cache =
    mode & RECLAIM_UNMAP ? node.filePages : lru > node.mappedPages ? lru - node.mappedPages : 0;
  const dirty = mode & RECLAIM_WRITE ? 0 : node.dirtyPages;
  return Math.max(cache - dirty, 0);
}

/**
 * Are requests of a CPU to reclaim a node rather than to leave it: is the mode on, the node near, and no
 * other node's CPUs responsible for it?
 * @kernel mm/page_alloc.c zone_allows_reclaim(), mm/vmscan.c node_reclaim()
 */
export function reclaimsNode(
  k: KernelState,
  preferred: NodeState,
  node: NodeState,
  cpu: number,
): boolean {
  if ((k.sysctl.zone_reclaim_mode & 7) === 0) return false;
  if ((k.distances[preferred.position]?.[node.position] ?? 0) > RECLAIM_DISTANCE) return false;
  return node.cpus.length === 0 || k.cpus[cpu]!.node === node;
}

/**
 * Tries to make room on a node whose zone failed its mark.
 * @param preferred node of the request's preferred zone
 * @param canBlock the request may reclaim (a THP fault without madvise may not)
 * @kernel mm/vmscan.c node_reclaim(), mm/page_alloc.c get_page_from_freelist()
 */
export function nodeReclaim(
  k: KernelState,
  preferred: NodeState,
  node: NodeState,
  ac: AllocContext,
  canBlock: boolean,
): NodeReclaimResult {
  if (!canBlock || !reclaimsNode(k, preferred, node, ac.cpu)) return 'skip';
  const mode = k.sysctl.zone_reclaim_mode;
  if (
    nodePagecacheReclaimable(node, mode) <= node.minUnmappedPages &&
    node.slabReclaimable <= node.minSlabPages
  ) {
    return 'skip';
  }
  return runNodeReclaim(k, node, ac, mode);
}

function runNodeReclaim(
  k: KernelState,
  node: NodeState,
  ac: AllocContext,
  mode: number,
): NodeReclaimResult {
  const wanted = 1 << ac.order;
  const sc = scanControl({
    cpu: ac.cpu,
    order: ac.order,
    classIndex: ac.classIndex,
    nrToReclaim: Math.max(wanted, SWAP_CLUSTER_MAX),
    mayWritepage: (mode & RECLAIM_WRITE) !== 0,
    mayUnmap: (mode & RECLAIM_UNMAP) !== 0,
  });
  for (sc.priority = NODE_RECLAIM_PRIORITY; sc.priority >= 0; sc.priority -= 1) {
    shrinkNode(k, node, sc);
    if (sc.nrReclaimed >= wanted) break;
  }
  k.totals.nodeReclaimedPages += sc.nrReclaimed;
  noteNodeReclaim(k, node, ac, sc.nrReclaimed, sc.nrReclaimed >= wanted);
  if (sc.nrReclaimed >= wanted) {
    if (k.profile.countsReclaimSuccess) countVm(k, 'zone_reclaim_success');
    return 'success';
  }
  countVm(k, 'zone_reclaim_failed');
  return 'some';
}

/** One event per step, node and outcome, with totals. */
function noteNodeReclaim(
  k: KernelState,
  node: NodeState,
  ac: AllocContext,
  reclaimed: number,
  ok: boolean,
): void {
  const type = ok ? 'node_reclaim' : 'node_reclaim_failed';
  for (const event of k.events) {
    if (event.type === type && event.nodeId === node.id && event.guest === k.current.name) {
      event.times += 1;
      event.reclaimedPages += reclaimed;
      return;
    }
  }
  k.events.push({
    type,
    timeNs: k.timeNs,
    nodeId: node.id,
    times: 1,
    reclaimedPages: reclaimed,
    mayLeave: mayLeave(k, node, ac),
    guest: k.current.name,
  });
}

/** A fault that asks its own node for a huge page first (__GFP_THISNODE) goes elsewhere after that, with base pages at least. */
function mayLeave(k: KernelState, node: NodeState, ac: AllocContext): boolean {
  const { nodemask, cpusetMems, guest } = ac;
  if (ac.thisNode && guest === undefined) return false;
  return k.nodes.some(
    (other) =>
      other !== node &&
      other.zones.length > 0 &&
      (nodemask?.has(other.id) ?? true) &&
      (cpusetMems?.has(other.id) ?? true),
  );
}

/** Pages of new cache after which a node that was found full of what cannot go may be reclaimed after all. */
export function pagesBeforeNodeReclaim(k: KernelState, node: NodeState): number {
  const mode = k.sysctl.zone_reclaim_mode;
  if ((mode & 7) === 0) return Infinity;
  return Math.max(node.minUnmappedPages - nodePagecacheReclaimable(node, mode), 0) + 1;
}
