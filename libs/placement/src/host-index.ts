/** Indexes over a fleet's hosts, so that a guest's host is found without asking every host. */
import type { Fleet } from './fleet';
import { MEMORY, type GuestKind } from './guest-kinds';
import type { NodeRule } from './node-choice';

/** Hosts in their order: the first that takes a guest, found by descending a tree of what nodes have at most. */
export class FirstFitIndex {
  private readonly leaves: number;
  /** Largest amount of any node, by tree position times dims; leaf i is at `leaves + i`. */
  private readonly most: Float64Array;

  /** @param order host positions, the one to be asked first in front */
  constructor(
    private readonly fleet: Fleet,
    private readonly order: Int32Array,
  ) {
    let leaves = 1;
    while (leaves < order.length) leaves *= 2;
    this.leaves = leaves;
    this.most = new Float64Array(2 * leaves * fleet.dims).fill(-1);
    order.forEach((h, i) => {
      this.readLeaf(h, i);
    });
    for (let at = leaves - 1; at > 0; at -= 1) this.merge(at);
  }

  /** The first host that takes such a guest, with `fleet.fit` having chosen the nodes; or -1. */
  find(kind: GuestKind, rule: NodeRule): { position: number; nodes: Int32Array } | null {
    return this.descend(1, kind, rule);
  }

  hostAt(position: number): number {
    return this.order[position] as number;
  }

  /** Says that the host at this position changed. */
  update(position: number): void {
    this.readLeaf(this.order[position] as number, position);
    for (let at = (this.leaves + position) >> 1; at > 0; at >>= 1) this.merge(at);
  }

  private descend(
    at: number,
    kind: GuestKind,
    rule: NodeRule,
  ): { position: number; nodes: Int32Array } | null {
    if (!within(kind.largest, this.most, at * this.fleet.dims)) return null;
    if (at >= this.leaves) {
      const position = at - this.leaves;
      const nodes = this.fleet.fit(this.order[position] as number, kind, rule);
      return nodes === null ? null : { position, nodes };
    }
    return this.descend(2 * at, kind, rule) ?? this.descend(2 * at + 1, kind, rule);
  }

  private readLeaf(h: number, position: number): void {
    readHost(this.fleet, h, this.most, (this.leaves + position) * this.fleet.dims);
  }

  private merge(at: number): void {
    const { dims } = this.fleet;
    for (let d = 0; d < dims; d += 1) {
      const left = this.most[2 * at * dims + d] as number;
      const right = this.most[(2 * at + 1) * dims + d] as number;
      this.most[at * dims + d] = left > right ? left : right;
    }
  }
}

/** Whether every amount is at most what stands at `at`. */
function within(amounts: Float64Array, most: Float64Array, at: number): boolean {
  for (let d = 0; d < amounts.length; d += 1) {
    if ((amounts[d] as number) > (most[at + d] as number)) return false;
  }
  return true;
}

/** Writes the largest amount of any node of a host, by dimension, to `at`. */
function readHost(
  { dims, free, nodeStart }: Fleet,
  h: number,
  most: Float64Array,
  at: number,
): void {
  most.fill(-1, at, at + dims);
  const end = nodeStart[h + 1] as number;
  for (let node = nodeStart[h] as number; node < end; node += 1) {
    for (let d = 0; d < dims; d += 1) {
      const amount = free[node * dims + d] as number;
      if (amount > (most[at + d] as number)) most[at + d] = amount;
    }
  }
}

/** Hosts to a block; a search looks at every block's maxima and at the hosts of few. */
const BLOCK = 64;

interface Block {
  hosts: number[];
  most: Float64Array;
}

/** Hosts by free memory, least first: the one that a guest leaves the least in, or the most. */
export class ByFreeMemory {
  private blocks: Block[] = [];
  private readonly memory: Float64Array;
  /** Largest amount of any node, by host times dims. */
  private readonly mostOf: Float64Array;

  constructor(private readonly fleet: Fleet) {
    this.mostOf = new Float64Array(fleet.hosts.length * fleet.dims);
    fleet.hosts.forEach((_, h) => {
      readHost(fleet, h, this.mostOf, h * fleet.dims);
    });
    this.memory = Float64Array.from(fleet.hosts, (_, h) => fleet.freeMemory(h));
    const sorted = Array.from(fleet.hosts.keys()).sort((a, b) => this.compare(a, b));
    for (let at = 0; at < sorted.length; at += BLOCK) {
      const block = { hosts: sorted.slice(at, at + BLOCK), most: new Float64Array(fleet.dims) };
      this.readMost(block);
      this.blocks.push(block);
    }
  }

  /**
   * The host with the least (`tight`) or the most (`roomy`) free memory that takes such a guest, of equal ones
   * the earlier; `nodes` as `fleet.fit` chose them.
   */
  find(
    kind: GuestKind,
    which: 'tight' | 'roomy',
    rule: NodeRule,
    usable?: (h: number) => boolean,
  ): { host: number; nodes: Int32Array } | null {
    const { blocks } = this;
    const memory = kind.total[MEMORY] as number;
    for (let i = 0; i < blocks.length; i += 1) {
      const { hosts, most } = blocks[which === 'tight' ? i : blocks.length - 1 - i] as Block;
      if (!within(kind.largest, most, 0)) continue;
      for (let j = 0; j < hosts.length; j += 1) {
        const h = hosts[which === 'tight' ? j : hosts.length - 1 - j] as number;
        if ((this.memory[h] as number) < memory) continue;
        if (!within(kind.largest, this.mostOf, h * this.fleet.dims) || usable?.(h) === false)
          continue;
        const nodes = this.fleet.fit(h, kind, rule);
        if (nodes !== null) return { host: h, nodes };
      }
    }
    return null;
  }

  /** Says that a host changed. */
  update(h: number): void {
    const from = this.blocks[this.blockOf(h)] as Block;
    from.hosts.splice(from.hosts.indexOf(h), 1);
    this.memory[h] = this.fleet.freeMemory(h);
    readHost(this.fleet, h, this.mostOf, h * this.fleet.dims);
    if (from.hosts.length === 0) this.blocks.splice(this.blocks.indexOf(from), 1);
    else this.readMost(from);
    const at = Math.min(this.blockOf(h), this.blocks.length - 1);
    const into = this.blocks[at] ?? { hosts: [], most: new Float64Array(this.fleet.dims) };
    if (this.blocks.length === 0) this.blocks.push(into);
    let position = into.hosts.findIndex((other) => this.compare(other, h) > 0);
    if (position < 0) position = into.hosts.length;
    into.hosts.splice(position, 0, h);
    if (into.hosts.length > 2 * BLOCK) {
      const upper = { hosts: into.hosts.splice(BLOCK), most: new Float64Array(this.fleet.dims) };
      this.readMost(upper);
      this.blocks.splice(at + 1, 0, upper);
    }
    this.readMost(into);
  }

  private compare(a: number, b: number): number {
    return (this.memory[a] as number) - (this.memory[b] as number) || a - b;
  }

  /** The first block whose last host is not before `h`. */
  private blockOf(h: number): number {
    let low = 0;
    let high = this.blocks.length;
    while (low < high) {
      const middle = (low + high) >> 1;
      const { hosts } = this.blocks[middle] as Block;
      if (this.compare(hosts[hosts.length - 1] as number, h) < 0) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  private readMost({ hosts, most }: Block): void {
    const { dims } = this.fleet;
    most.fill(-1);
    for (const h of hosts) {
      for (let d = 0; d < dims; d += 1) {
        const amount = this.mostOf[h * dims + d] as number;
        if (amount > (most[d] as number)) most[d] = amount;
      }
    }
  }
}
