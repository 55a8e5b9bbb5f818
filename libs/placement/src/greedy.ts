/** One guest after the other, each on the host that a rule names: members of the portfolio. */
import type { Fleet } from './fleet';
import { VCPUS } from './guest-kinds';
import type { NodeRule } from './node-choice';
import { ByFreeMemory, FirstFitIndex } from './host-index';

/** Guests by memory, huge pages included, then by vCPUs, the largest first; equal ones in the order of the request. */
export function decreasing(fleet: Fleet): Int32Array {
  const memory = (g: number): number => fleet.kind(g).memoryPages;
  const vcpus = (g: number): number => fleet.kind(g).total[VCPUS] as number;
  return Int32Array.from(fleet.guests.keys()).sort(
    (a, b) => memory(b) - memory(a) || vcpus(b) - vcpus(a) || a - b,
  );
}

/**
 * Guests by the scarcest of what they need, the largest share first. What is scarce is told by all guests'
 * needs against all hosts' capacity.
 */
export function byScarcity(fleet: Fleet): Int32Array {
  const weights = scarcity(fleet);
  const sizes = fleet.kinds.map(({ total }) =>
    total.reduce((sum, amount, d) => sum + amount * (weights[d] as number), 0),
  );
  const size = (g: number): number => sizes[fleet.kindOf[g] as number] as number;
  return Int32Array.from(fleet.guests.keys()).sort((a, b) => size(b) - size(a) || a - b);
}

/** Share of a whole fleet that all guests need, per unit, by dimension. */
export function scarcity({ dims, free, kinds }: Fleet): Float64Array {
  const capacity = new Float64Array(dims);
  free.forEach((amount, i) => {
    capacity[i % dims] = (capacity[i % dims] as number) + amount;
  });
  const wanted = new Float64Array(dims);
  for (const { total, guests } of kinds) {
    total.forEach((amount, d) => {
      wanted[d] = (wanted[d] as number) + amount * guests.length;
    });
  }
  return wanted.map((amount, d) => {
    const all = capacity[d] as number;
    return all > 0 ? amount / all / all : 0;
  });
}

/** Each guest that has no host yet on the first host that takes it. */
export function firstFit(
  fleet: Fleet,
  guests: Int32Array,
  hosts: Int32Array,
  rule: NodeRule,
): void {
  const index = new FirstFitIndex(fleet, hosts);
  for (const g of guests) {
    if ((fleet.hostOf[g] as number) >= 0) continue;
    const found = index.find(fleet.kind(g), rule);
    if (found === null) continue;
    fleet.place(g, index.hostAt(found.position), found.nodes);
    index.update(found.position);
  }
}

/** Each guest that has no host yet on the host with the least or the most free memory that takes it. */
export function byMemory(
  fleet: Fleet,
  guests: Int32Array,
  which: 'tight' | 'roomy',
  rule: NodeRule,
): void {
  const index = new ByFreeMemory(fleet);
  for (const g of guests) {
    if ((fleet.hostOf[g] as number) >= 0) continue;
    const found = index.find(fleet.kind(g), which, rule);
    if (found === null) continue;
    fleet.place(g, found.host, found.nodes);
    index.update(found.host);
  }
}

/** Hosts that are weighed for how near to each other they have room for a guest's cells. */
const HOSTS_WEIGHED = 8;

/** Each guest that has no host yet where its cells lie nearest together, of equal hosts where it leaves the least. */
export function byDistance(fleet: Fleet, guests: Int32Array): void {
  const index = new ByFreeMemory(fleet);
  for (const g of guests) {
    if ((fleet.hostOf[g] as number) >= 0) continue;
    const kind = fleet.kind(g);
    const seen = new Set<number>();
    let best: { host: number; nodes: Int32Array; apart: number } | null = null;
    while (seen.size < (kind.cells > 1 ? HOSTS_WEIGHED : 1)) {
      const found = index.find(kind, 'tight', 'near', (h) => !seen.has(h));
      if (found === null) break;
      seen.add(found.host);
      const nodes = found.nodes.slice(0, kind.cells);
      const apart = fleet.apart(found.host, nodes);
      if (best === null || apart < best.apart) best = { host: found.host, nodes, apart };
    }
    if (best === null) continue;
    fleet.place(g, best.host, best.nodes);
    index.update(best.host);
  }
}
