/** Node order of allocations: each node's fallback list by distance. */
import { MAX_NUMNODES } from './constants';

export interface ZonelistNode {
  nodeId: number;
  hasCpus: boolean;
  hasMemory: boolean;
}

/**
 * Fallback order of every node with or without memory: node ids, nearest first.
 * @param distances distances[i][j] from nodes[i] to nodes[j], array positions
 * @returns one entry per node, in ascending node id; `order` holds the node itself, then nodes with memory
 * @kernel mm/page_alloc.c build_zonelists(), find_next_best_node()
 */
export function buildZonelists(
  nodes: ZonelistNode[],
  distances: number[][],
): { nodeId: number; order: number[] }[] {
  const ascending = nodes.map((_, i) => i).sort((a, b) => nodes[a]!.nodeId - nodes[b]!.nodeId);
  const load = new Map<number, number>();
  return ascending.map((local) => ({
    nodeId: nodes[local]!.nodeId,
    order: fallbackOrder(local, nodes, distances, ascending, load).map((i) => nodes[i]!.nodeId),
  }));
}

function fallbackOrder(
  local: number,
  nodes: ZonelistNode[],
  distances: number[][],
  ascending: number[],
  load: Map<number, number>,
): number[] {
  const order: number[] = [];
  const used = new Set<number>();
  const distanceTo = (i: number): number => distances[local]?.[i] ?? 0;
  let previous = local;
  for (;;) {
    const next = findNextBestNode(local, nodes, distanceTo, ascending, used, load);
    if (next === undefined) return order;
    // The first node of a new distance group is penalised, so that the next lists start elsewhere.
    if (distanceTo(next) !== distanceTo(previous)) load.set(next, (load.get(next) ?? 0) + 1);
    order.push(next);
    used.add(next);
    previous = next;
  }
}

function findNextBestNode(
  local: number,
  nodes: ZonelistNode[],
  distanceTo: (i: number) => number,
  ascending: number[],
  used: Set<number>,
  load: Map<number, number>,
): number | undefined {
  // The node itself comes first even without memory: its list is printed so, and has no zones there.
  if (!used.has(local)) return local;
  let best: number | undefined;
  let bestScore = Infinity;
  for (const i of ascending) {
    const node = nodes[i]!;
    if (used.has(i) || !node.hasMemory) continue;
    const lower = node.nodeId < nodes[local]!.nodeId ? 1 : 0;
    const score =
      (distanceTo(i) + lower + (node.hasCpus ? 1 : 0)) * MAX_NUMNODES + (load.get(i) ?? 0);
    if (score < bestScore) {
      bestScore = score;
      best = i;
    }
  }
  return best;
}
