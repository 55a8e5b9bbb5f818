/** Which nodes of a host a guest's cells get: each cell one of its own. */
import { MAX_CELLS } from './check-shapes';
import type { Fleet } from './fleet';
import type { GuestKind } from './guest-kinds';

/**
 * Which of the nodes that fit a cell gets: `first` in the host's order, `tight` the one with the least memory
 * left, `roomy` the one with the most, `near` the ones that lie closest together.
 */
export type NodeRule = 'first' | 'tight' | 'roomy' | 'near';

const LOCAL_DISTANCE = 10;
const REMOTE_DISTANCE = 20;

export class NodeChoice {
  private readonly chosen = new Int32Array(MAX_CELLS);
  private readonly taken: Uint8Array;
  private readonly order: Int32Array;

  constructor(private readonly fleet: Pick<Fleet, 'hosts' | 'nodeStart' | 'free' | 'dims'>) {
    const widest = fleet.hosts.reduce((most, { nodes }) => Math.max(most, nodes.length), 0);
    this.taken = new Uint8Array(widest);
    this.order = new Int32Array(widest);
  }

  private cellFits(kind: GuestKind, cell: number, node: number): boolean {
    const { dims, free } = this.fleet;
    const { need } = kind;
    const at = node * dims;
    const from = cell * dims;
    for (let d = 0; d < dims; d += 1) {
      if ((need[from + d] as number) > (free[at + d] as number)) return false;
    }
    return true;
  }

  /**
   * Node positions for the cells of such a guest on a host, or null.
   * @returns an array that the next call overwrites; of equal memory the earlier node comes first
   * @cost O(cells * nodes) for up to two cells; a bipartite matching for more
   */
  fit(h: number, kind: GuestKind, rule: NodeRule): Int32Array | null {
    const { nodeStart } = this.fleet;
    const first = nodeStart[h] as number;
    const count = (nodeStart[h + 1] as number) - first;
    if (kind.cells > count) return null;
    this.sortNodes(first, count, rule);
    this.taken.fill(0, 0, count);
    if (!this.assign(kind, 0, first, count)) return null;
    if (rule === 'near' && kind.cells > 1) this.drawTogether(h, kind, first, count);
    return this.chosen;
  }

  /** The order in which nodes are tried. Insertion sort: they are few, and equal ones keep their order. */
  private sortNodes(first: number, count: number, rule: NodeRule): void {
    const { order } = this;
    const { dims, free } = this.fleet;
    for (let i = 0; i < count; i += 1) order[i] = i;
    if (rule === 'first') return;
    const sign = rule === 'roomy' ? -1 : 1;
    const key = (i: number): number => sign * (free[(first + i) * dims] as number);
    this.sortOrder(count, key);
  }

  private sortOrder(count: number, key: (node: number) => number): void {
    const { order } = this;
    for (let i = 1; i < count; i += 1) {
      const node = order[i] as number;
      const own = key(node);
      let j = i;
      for (; j > 0 && key(order[j - 1] as number) > own; j -= 1) order[j] = order[j - 1] as number;
      order[j] = node;
    }
  }

  /** Tries the nodes around each node in turn and leaves in `chosen` the choice with the least distance. */
  private drawTogether(h: number, kind: GuestKind, first: number, count: number): void {
    let best = this.chosen.slice(0, kind.cells);
    let least = this.apart(h, best);
    for (let anchor = 0; anchor < count; anchor += 1) {
      this.sortNodes(first, count, 'tight');
      this.sortOrder(count, (node) => this.distance(h, anchor, node));
      this.taken.fill(0, 0, count);
      if (!this.assign(kind, 0, first, count)) continue;
      const distance = this.apart(h, this.chosen.subarray(0, kind.cells));
      if (distance >= least) continue;
      best = this.chosen.slice(0, kind.cells);
      least = distance;
    }
    this.chosen.set(best);
  }

  /** SLIT distance between two nodes of a host, by their positions on it. */
  private distance(h: number, a: number, b: number): number {
    return this.fleet.hosts[h]?.distances?.[a]?.[b] ?? (a === b ? LOCAL_DISTANCE : REMOTE_DISTANCE);
  }

  /** Sum of the distances between each two of these node positions. */
  apart(h: number, nodes: Int32Array): number {
    const first = this.fleet.nodeStart[h] as number;
    let sum = 0;
    for (let i = 0; i < nodes.length; i += 1) {
      for (let j = 0; j < i; j += 1) {
        sum += this.distance(h, (nodes[i] as number) - first, (nodes[j] as number) - first);
      }
    }
    return sum;
  }

  /** Cells from `cell` on, each on the earliest node by `order` with which the later ones still fit. */
  private assign(kind: GuestKind, cell: number, first: number, count: number): boolean {
    if (cell === kind.cells) return true;
    const { order, taken, chosen } = this;
    if (kind.cells - cell > 2 && !this.matches(kind, cell, first, count)) return false;
    for (let i = 0; i < count; i += 1) {
      const node = order[i] as number;
      if (taken[node] === 1 || !this.cellFits(kind, cell, first + node)) continue;
      taken[node] = 1;
      chosen[cell] = first + node;
      if (this.assign(kind, cell + 1, first, count)) return true;
      taken[node] = 0;
      // With a matching known to exist a node that leads nowhere is rare; with cells alike it cannot be.
      if (kind.sameAsBefore[cell + 1] === true && kind.cells - cell === 2) return false;
    }
    return false;
  }

  /** Whether the cells from `cell` on can all have nodes of their own among those not taken (Kuhn's augmenting paths). */
  private matches(kind: GuestKind, cell: number, first: number, count: number): boolean {
    const owner = new Int32Array(count).fill(-1);
    const tryCell = (c: number, seen: Uint8Array): boolean => {
      for (let node = 0; node < count; node += 1) {
        if (this.taken[node] === 1 || seen[node] === 1 || !this.cellFits(kind, c, first + node))
          continue;
        seen[node] = 1;
        const other = owner[node] as number;
        if (other < 0 || tryCell(other, seen)) {
          owner[node] = c;
          return true;
        }
      }
      return false;
    };
    for (let c = cell; c < kind.cells; c += 1) {
      if (!tryCell(c, new Uint8Array(count))) return false;
    }
    return true;
  }
}
