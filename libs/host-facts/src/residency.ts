import type { HostModel, HostNode } from '@zonewise/simulator';
import type { NodeResidency } from './types';

/** The rule of {@link estimateResidency} in one sentence, for results that carry an estimate. */
export const RESIDENCY_RULE =
  "estimated: the guest's memory is laid on the nodes of its memory policy in ascending order, each up to " +
  'its anonymous memory, then on the other nodes alike; what no anonymous memory accounts for is left out';

/**
 * Guesses where a running guest's memory is when neither numa_maps nor `numastat -p` is at hand.
 *
 * A running guest's pages are already in the host's counts as anonymous (or unevictable, or shmem)
 * memory, so it cannot own more on a node than the node has of it. The policy's nodes are filled first,
 * in ascending order (several policy nodes share evenly); what does not fit there spilled to the others,
 * in ascending order. What fits nowhere has not been touched yet and is left out.
 *
 * The caller marks the result as estimated. Several estimated guests on one host are each guessed alone.
 * @param pages base pages of 4 KiB that the guest may have touched at most
 * @param policyNodes nodes of its numatune; empty: all nodes with memory
 * @returns pages by node, ascending; no huge pages, which nothing tells
 */
export function estimateResidency(
  model: HostModel,
  pages: number,
  policyNodes: readonly number[],
): NodeResidency[] {
  const room = new Map(model.nodes.map((node) => [node.nodeId, guestRoom(node)]));
  const placed = new Map<number, number>();
  const withMemory = model.nodes.filter((node) => node.zones.length > 0).map((n) => n.nodeId);
  const wanted = policyNodes.length > 0 ? withMemory.filter((id) => policyNodes.includes(id)) : [];
  const ascending = (list: number[]): number[] => [...list].sort((a, b) => a - b);
  const total = Math.max(Math.floor(Number.isFinite(pages) ? pages : 0), 0);
  let left = spread(ascending(wanted.length > 0 ? wanted : withMemory), total, room, placed);
  left = fill(ascending(wanted), left, room, placed);
  fill(ascending(withMemory), left, room, placed);
  return [...placed]
    .filter(([, count]) => count > 0)
    .sort(([a], [b]) => a - b)
    .map(([nodeId, count]) => ({ nodeId, pages: count, hugePages: 0 }));
}

/** Memory of a node that can belong to guests: anonymous and shmem pages, at most what is in use. */
function guestRoom(node: HostNode): number {
  const used = node.zones.reduce((sum, zone) => sum + zone.managedPages - zone.freePages, 0);
  return Math.min(node.anonPages + node.shmemPages, used);
}

function spread(
  nodes: number[],
  pages: number,
  room: Map<number, number>,
  placed: Map<number, number>,
): number {
  let left = pages;
  const share = Math.ceil(pages / Math.max(nodes.length, 1));
  for (const nodeId of nodes) left -= place(nodeId, Math.min(share, left), room, placed);
  return left;
}

function fill(
  nodes: number[],
  pages: number,
  room: Map<number, number>,
  placed: Map<number, number>,
): number {
  let left = pages;
  for (const nodeId of nodes) left -= place(nodeId, left, room, placed);
  return left;
}

function place(
  nodeId: number,
  pages: number,
  room: Map<number, number>,
  placed: Map<number, number>,
): number {
  const count = Math.min(pages, room.get(nodeId) ?? 0);
  room.set(nodeId, (room.get(nodeId) ?? 0) - count);
  placed.set(nodeId, (placed.get(nodeId) ?? 0) + count);
  return count;
}
