/**
 * One host after the other, filled with the guests that use up best what it has: of the kinds that fit, the
 * one whose needs point where the rest of the host points (the dot product of vector bin packing).
 */
import type { Fleet } from './fleet';
import type { GuestKind } from './guest-kinds';

/** Kinds that are weighed for one pick; of more, those that are alike in size are asked for one at a time. */
const KINDS_WEIGHED = 64;

interface Queue {
  kind: GuestKind;
  /** Guests still to be placed, the next one last. */
  waiting: number[];
  /** Need by share of an average node, by cell and dimension. */
  share: Float64Array;
  size: number;
}

/**
 * Fills the hosts in the given order until no guest is left or no host takes one.
 * @param weights what a unit of each dimension is worth; amounts times weights are compared
 * @param sizeExponent 1 is the plain dot product, which prefers large guests; 0 looks at the direction only
 */
export function fillHosts(
  fleet: Fleet,
  hosts: Int32Array,
  weights: Float64Array,
  sizeExponent: number,
): void {
  const queues: Queue[] = fleet.kinds
    .map((kind) => ({
      kind,
      waiting: kind.guests.filter((g) => (fleet.hostOf[g] as number) < 0).reverse(),
      share: kind.need.map((amount, i) => amount * (weights[i % fleet.dims] as number)),
      size: kind.total.reduce((sum, amount, d) => sum + amount * (weights[d] as number), 0),
    }))
    .filter(({ waiting }) => waiting.length > 0)
    .sort((a, b) => b.size - a.size);
  for (const h of hosts) {
    if (queues.length === 0) return;
    fillHost(fleet, h, queues, weights, sizeExponent);
  }
}

function fillHost(
  fleet: Fleet,
  h: number,
  queues: Queue[],
  weights: Float64Array,
  sizeExponent: number,
): void {
  // A kind that did not fit will not fit when the host has less.
  let open = queues.length <= KINDS_WEIGHED ? queues.slice() : thinned(queues);
  while (open.length > 0) {
    let best: Queue | null = null;
    let bestScore = -1;
    let bestNodes: Int32Array | null = null;
    const fitting: Queue[] = [];
    for (const queue of open) {
      const nodes = fleet.fit(h, queue.kind, 'tight');
      if (nodes === null) continue;
      fitting.push(queue);
      const score = scoreOf(fleet, queue, nodes, weights) * queue.size ** (sizeExponent - 1);
      if (score > bestScore) {
        [best, bestScore] = [queue, score];
        bestNodes = nodes.slice(0, queue.kind.cells);
      }
    }
    if (best === null || bestNodes === null) return;
    fleet.place(best.waiting.pop() as number, h, bestNodes);
    open = fitting;
    if (best.waiting.length === 0) {
      queues.splice(queues.indexOf(best), 1);
      open = fitting.filter((queue) => queue !== best);
    }
  }
}

function scoreOf(
  { dims, free }: Fleet,
  { kind, share }: Queue,
  nodes: Int32Array,
  weights: Float64Array,
): number {
  let score = 0;
  for (let c = 0; c < kind.cells; c += 1) {
    const at = (nodes[c] as number) * dims;
    for (let d = 0; d < dims; d += 1) {
      score += (share[c * dims + d] as number) * (free[at + d] as number) * (weights[d] as number);
    }
  }
  return score;
}

/** Every n-th of the queues, which are sorted by size. */
function thinned(queues: Queue[]): Queue[] {
  const step = Math.ceil(queues.length / KINDS_WEIGHED);
  return queues.filter((_, i) => i % step === 0);
}
