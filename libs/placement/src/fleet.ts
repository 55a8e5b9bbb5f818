/**
 * Hosts and guests as flat arrays of whole numbers, and the rules of fitting: a cell lies on one host node,
 * cells of a guest on different ones, nothing is handed out twice.
 */
import { checkShapes } from './check-shapes';
import { guestKinds, MEMORY, Numbers, VCPUS, type GuestKind } from './guest-kinds';
import { NodeChoice, type NodeRule } from './node-choice';
import type { GuestShape, HostShape } from './types';

/** What a packing consists of; a Fleet is one and changes, a copy is kept of the best. */
export interface Assignment {
  /** Host position by guest, or -1. */
  hostOf: Int32Array;
  /** Node positions (over all hosts) by cell of all guests. */
  nodeOf: Int32Array;
}

export class Fleet {
  readonly dims: number;
  /** Sizes of huge pages; dimension 2 + i is the pool of `poolSizes[i]`. */
  readonly poolSizes: number[];
  /** Node positions of host h: `nodeStart[h]` to `nodeStart[h + 1]`. */
  readonly nodeStart: Int32Array;
  /** What is left, by node position times dims. */
  readonly free: Float64Array;
  readonly kinds: GuestKind[];
  readonly kindOf: Int32Array;
  /** First cell of each guest in `nodeOf`. */
  readonly cellStart: Int32Array;
  readonly hostOf: Int32Array;
  readonly nodeOf: Int32Array;
  /** Guests by host. */
  readonly guestsOn: number[][];
  hostsUsed: number;
  readonly groupOf: Int32Array;
  private readonly keysOn: Map<number, number>[];
  private readonly choice: NodeChoice;

  /** @throws PlacementInputError for names given twice and amounts that are no whole numbers */
  constructor(
    readonly hosts: readonly HostShape[],
    readonly guests: readonly GuestShape[],
  ) {
    checkShapes(hosts, guests);
    const sizes = new Set<number>();
    for (const { nodes } of hosts) {
      for (const { hugepages } of nodes) for (const { sizeKib } of hugepages) sizes.add(sizeKib);
    }
    for (const { cells } of guests) {
      for (const { hugepages } of cells) if (hugepages) sizes.add(hugepages.sizeKib);
    }
    this.poolSizes = [...sizes].sort((a, b) => a - b);
    this.dims = 2 + this.poolSizes.length;
    this.nodeStart = new Int32Array(hosts.length + 1);
    hosts.forEach(({ nodes }, h) => {
      this.nodeStart[h + 1] = (this.nodeStart[h] ?? 0) + nodes.length;
    });
    this.free = this.capacity();
    this.choice = new NodeChoice(this);
    const numbers = new Numbers();
    this.groupOf = Int32Array.from(hosts, ({ group }) =>
      group === undefined ? -1 : numbers.of(group),
    );
    const keys = new Numbers();
    this.keysOn = hosts.map(
      ({ antiAffinity = [] }) => new Map(antiAffinity.map((key) => [keys.of(key), 1])),
    );
    [this.kinds, this.kindOf] = guestKinds(guests, hosts, this.poolSizes, keys, numbers);
    this.cellStart = new Int32Array(guests.length + 1);
    guests.forEach(({ cells }, g) => {
      this.cellStart[g + 1] = (this.cellStart[g] ?? 0) + cells.length;
    });
    this.hostOf = new Int32Array(guests.length).fill(-1);
    this.nodeOf = new Int32Array(this.cellStart[guests.length] ?? 0).fill(-1);
    this.guestsOn = hosts.map(() => []);
    this.hostsUsed = hosts.reduce((sum, { occupied }) => sum + (occupied ? 1 : 0), 0);
  }

  private capacity(): Float64Array {
    const { dims, poolSizes, hosts } = this;
    const free = new Float64Array((this.nodeStart[hosts.length] ?? 0) * dims);
    let at = 0;
    for (const { nodes } of hosts) {
      for (const { memoryPages, vcpus, hugepages } of nodes) {
        free[at + MEMORY] = memoryPages;
        free[at + VCPUS] = vcpus;
        for (const { sizeKib, pages } of hugepages)
          free[at + 2 + poolSizes.indexOf(sizeKib)] = pages;
        at += dims;
      }
    }
    return free;
  }

  kind(guest: number): GuestKind {
    return this.kinds[this.kindOf[guest] ?? 0] as GuestKind;
  }

  /** Whether groups, exclusions and anti-affinity let the host take such a guest. */
  allows(h: number, kind: GuestKind): boolean {
    if (kind.groups !== null && !kind.groups.has(this.groupOf[h] ?? -1)) return false;
    if (kind.notOn !== null && kind.notOn.has(h)) return false;
    if (kind.antiAffinity.length === 0) return true;
    const keys = this.keysOn[h] as Map<number, number>;
    return kind.antiAffinity.every((key) => !keys.has(key));
  }

  /**
   * Node positions for the cells of such a guest on a host, or null.
   * @returns an array that the next call overwrites
   */
  fit(h: number, kind: GuestKind, rule: NodeRule): Int32Array | null {
    return this.allows(h, kind) ? this.choice.fit(h, kind, rule) : null;
  }

  /** Sum of the distances between each two of these node positions. */
  apart(h: number, nodes: Int32Array): number {
    return this.choice.apart(h, nodes);
  }

  /** Puts a guest on the nodes that `fit` chose. */
  place(guest: number, h: number, nodes: Int32Array): void {
    const kind = this.kind(guest);
    const start = this.cellStart[guest] as number;
    for (let c = 0; c < kind.cells; c += 1) {
      this.nodeOf[start + c] = nodes[c] as number;
      this.change(kind, c, nodes[c] as number, -1);
    }
    this.hostOf[guest] = h;
    const own = this.guestsOn[h] as number[];
    if (own.length === 0 && this.hosts[h]?.occupied !== true) this.hostsUsed += 1;
    own.push(guest);
    const keys = this.keysOn[h] as Map<number, number>;
    for (const key of kind.antiAffinity) keys.set(key, (keys.get(key) ?? 0) + 1);
  }

  remove(guest: number): void {
    const h = this.hostOf[guest] as number;
    const kind = this.kind(guest);
    const start = this.cellStart[guest] as number;
    for (let c = 0; c < kind.cells; c += 1) {
      this.change(kind, c, this.nodeOf[start + c] as number, 1);
      this.nodeOf[start + c] = -1;
    }
    this.hostOf[guest] = -1;
    const own = this.guestsOn[h] as number[];
    own.splice(own.indexOf(guest), 1);
    if (own.length === 0 && this.hosts[h]?.occupied !== true) this.hostsUsed -= 1;
    const keys = this.keysOn[h] as Map<number, number>;
    for (const key of kind.antiAffinity) {
      const left = (keys.get(key) ?? 0) - 1;
      if (left > 0) keys.set(key, left);
      else keys.delete(key);
    }
  }

  private change(kind: GuestKind, cell: number, node: number, sign: 1 | -1): void {
    const { dims, free } = this;
    for (let d = 0; d < dims; d += 1) {
      free[node * dims + d] =
        (free[node * dims + d] as number) + sign * (kind.need[cell * dims + d] as number);
    }
  }

  /** Takes every guest off its host. */
  clear(): void {
    this.hostOf.forEach((h, guest) => {
      if (h >= 0) this.remove(guest);
    });
  }

  snapshot(): Assignment {
    return { hostOf: this.hostOf.slice(), nodeOf: this.nodeOf.slice() };
  }

  restore({ hostOf, nodeOf }: Assignment): void {
    this.clear();
    hostOf.forEach((h, guest) => {
      if (h < 0) return;
      const start = this.cellStart[guest] as number;
      this.place(guest, h, nodeOf.subarray(start, this.cellStart[guest + 1]));
    });
  }

  /** Free memory of a host, pages. */
  freeMemory(h: number): number {
    let sum = 0;
    const end = this.nodeStart[h + 1] as number;
    for (let node = this.nodeStart[h] as number; node < end; node += 1) {
      sum += this.free[node * this.dims] as number;
    }
    return sum;
  }
}
