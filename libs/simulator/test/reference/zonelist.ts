import { ZONE_NORMAL } from './state';
import type { Node, System } from './state';

const MAX_NUMNODES = 1024;

/**
 * Orders the nodes by falling preference for each node.
 * @kernel mm/page_alloc.c build_zonelists(), find_next_best_node()
 */
export function buildZonelists(system: System): void {
  const load = new Map<Node, number>();
  const distances = system.config.distances;
  for (const local of system.nodes) {
    const distance = (node: Node): number => distances[local.id]?.[node.id] ?? 0;
    const score = (node: Node): number => {
      const penalties = (node.id < local.id ? 1 : 0) + (node.cpus.length > 0 ? 1 : 0);
      return (distance(node) + penalties) * MAX_NUMNODES + (load.get(node) ?? 0);
    };
    const order: Node[] = [local];
    // A node that has just lost its memory has its place still.
    const left = system.nodes.filter((node) => node !== local && node.hasMemory);
    if (system.mutation === 'zonelist tie to the higher id') {
      left.reverse();
    }
    let previous = local;
    while (left.length > 0) {
      const best = left.reduce((a, b) => (score(b) < score(a) ? b : a));
      if (distance(best) !== distance(previous)) {
        load.set(best, (load.get(best) ?? 0) + 1);
      }
      order.push(best);
      left.splice(left.indexOf(best), 1);
      previous = best;
    }
    local.fallback = order;
    local.zonelist = order.flatMap((node) => [...node.zones].reverse());
  }
  const indices = system.zones.map(({ index }) => index).filter((index) => index <= ZONE_NORMAL);
  system.policyZone = Math.max(system.policyZone, ...indices);
}
