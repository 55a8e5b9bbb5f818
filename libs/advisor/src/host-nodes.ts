import type { HostModel, HostNode } from '@zonewise/simulator';

/** Managed pages of a node over all its zones: what the page allocator ever hands out. */
export function managedPages(node: HostNode): number {
  return node.zones.reduce((sum, zone) => sum + zone.managedPages, 0);
}

/** Nodes that have memory, ascending: the only ones a nodeset may name. */
export function memoryNodes(host: HostModel): number[] {
  return host.nodes
    .filter((node) => managedPages(node) > 0)
    .map((node) => node.nodeId)
    .sort((a, b) => a - b);
}

/** Nodes that have CPUs, ascending. */
export function cpuNodes(host: HostModel): number[] {
  return host.nodes
    .filter((node) => node.cpus.length > 0)
    .map((node) => node.nodeId)
    .sort((a, b) => a - b);
}

/** SLIT distance between two nodes by their numbers; unknown pairs count as far away. */
export function distanceBetween(host: HostModel, from: number, to: number): number {
  const row = host.nodes.findIndex((node) => node.nodeId === from);
  const column = host.nodes.findIndex((node) => node.nodeId === to);
  return host.distances[row]?.[column] ?? Number.MAX_SAFE_INTEGER;
}

/** `candidates` by distance from `from`, nearest first, ties by node number. */
export function nearestFirst(host: HostModel, from: number, candidates: number[]): number[] {
  return [...candidates].sort(
    (a, b) => distanceBetween(host, from, a) - distanceBetween(host, from, b) || a - b,
  );
}

/** Ascending, without duplicates. */
export function nodeUnion(...sets: number[][]): number[] {
  return [...new Set(sets.flat())].sort((a, b) => a - b);
}

export function sameNodes(a: number[], b: number[]): boolean {
  const left = nodeUnion(a);
  const right = nodeUnion(b);
  return left.length === right.length && left.every((node, i) => node === right[i]);
}

/** `0`, `0-2`, `0,2-3`: a nodeset as libvirt and the kernel print it. */
export function formatNodeset(nodes: number[]): string {
  const parts: string[] = [];
  const sorted = nodeUnion(nodes);
  for (let i = 0; i < sorted.length;) {
    let end = i;
    while (end + 1 < sorted.length && sorted[end + 1] === (sorted[end] ?? 0) + 1) end++;
    parts.push(end > i ? `${sorted[i]}-${sorted[end]}` : `${sorted[i]}`);
    i = end + 1;
  }
  return parts.join(',');
}

/** `node 0`, `nodes 0-1`: a nodeset in a sentence. */
export function nodesText(nodes: number[]): string {
  return `node${nodes.length === 1 ? '' : 's'} ${formatNodeset(nodes)}`;
}
