/**
 * Hosts and guests as flat arrays of whole numbers, and the rules of fitting: a cell lies on one host node,
 * cells of a guest on different ones, nothing is handed out twice.
 */
import { PlacementInputError } from './errors';
import type { GuestShape, HostShape, HugepageShape } from './types';

/** Most cells of a guest: matching them with nodes costs their square. */
export const MAX_CELLS = 64;
export const MEMORY = 0;
export const VCPUS = 1;
const PAGE_KIB = 4;
const NO_KEYS: readonly number[] = [];

/**
 * Which of the nodes that fit a cell gets: `first` in the host's order, `tight` the one with the least memory
 * left, `roomy` the one with the most, `near` the ones that lie closest together.
 */
export type NodeRule = 'first' | 'tight' | 'roomy' | 'near';

const LOCAL_DISTANCE = 10;
const REMOTE_DISTANCE = 20;

/** Guests that are alike to the packer share a kind: needs, keys, groups and exclusions. */
export interface GuestKind {
  cells: number;
  /** `cells` times `dims` amounts. */
  need: Float64Array;
  /** Sum over the cells. */
  total: Float64Array;
  /** Memory of all cells in base pages, on huge pages or not. */
  memoryPages: number;
  /** Largest cell, by amount. */
  largest: Float64Array;
  /** Whether cell i needs the same as cell i - 1. */
  sameAsBefore: boolean[];
  antiAffinity: readonly number[];
  /** By group number; null: all. */
  groups: ReadonlySet<number> | null;
  /** By host position. */
  notOn: ReadonlySet<number> | null;
  /** In the order of the request. */
  guests: number[];
}

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
  private readonly chosen: Int32Array;
  private readonly taken: Uint8Array;
  private readonly order: Int32Array;

  /** @throws PlacementInputError for names given twice and amounts that are no whole numbers */
  constructor(
    readonly hosts: readonly HostShape[],
    readonly guests: readonly GuestShape[],
  ) {
    check(hosts, guests);
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
    const widest = hosts.reduce((most, { nodes }) => Math.max(most, nodes.length), 0);
    this.free = this.capacity();
    this.chosen = new Int32Array(MAX_CELLS);
    this.taken = new Uint8Array(widest);
    this.order = new Int32Array(widest);
    const numbers = new Numbers();
    this.groupOf = Int32Array.from(hosts, ({ group }) =>
      group === undefined ? -1 : numbers.of(group),
    );
    const keys = new Numbers();
    this.keysOn = hosts.map(
      ({ antiAffinity = [] }) => new Map(antiAffinity.map((key) => [keys.of(key), 1])),
    );
    [this.kinds, this.kindOf] = this.makeKinds(keys, numbers);
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

  private makeKinds(keys: Numbers, groups: Numbers): [GuestKind[], Int32Array] {
    const { dims, poolSizes, guests, hosts } = this;
    const kinds: GuestKind[] = [];
    const byText = new Map<string, number>();
    const hostAt = new Map(hosts.map(({ id }, h) => [id, h]));
    const kindOf = Int32Array.from(guests, (guest, g) => {
      const { cells, antiAffinity = [], hostGroups, notOn = [] } = guest;
      const text = JSON.stringify([
        cells.map(({ memoryPages, vcpus, hugepages }) => [memoryPages, vcpus, hugepages ?? 0]),
        ...[antiAffinity, hostGroups ?? 0, notOn],
      ]);
      const known = byText.get(text);
      if (known !== undefined) {
        kinds[known]?.guests.push(g);
        return known;
      }
      const need = new Float64Array(cells.length * dims);
      const total = new Float64Array(dims);
      const largest = new Float64Array(dims);
      cells.forEach(({ memoryPages, vcpus, hugepages }, c) => {
        need[c * dims + MEMORY] = memoryPages;
        need[c * dims + VCPUS] = vcpus;
        if (hugepages) need[c * dims + 2 + poolSizes.indexOf(hugepages.sizeKib)] = hugepages.pages;
        for (let d = 0; d < dims; d += 1) {
          const amount = need[c * dims + d] ?? 0;
          total[d] = (total[d] ?? 0) + amount;
          largest[d] = Math.max(largest[d] ?? 0, amount);
        }
      });
      const memoryPages = cells.reduce(
        (sum, cell) => sum + cell.memoryPages + hugetlbPages(cell.hugepages),
        0,
      );
      const alike = (c: number): boolean =>
        c > 0 && total.every((_, d) => need[c * dims + d] === need[(c - 1) * dims + d]);
      const banned = notOn.flatMap((id) => hostAt.get(id) ?? []);
      kinds.push({
        cells: cells.length,
        ...{ need, total, memoryPages, largest },
        sameAsBefore: cells.map((_, c) => alike(c)),
        antiAffinity: antiAffinity.length === 0 ? NO_KEYS : antiAffinity.map((key) => keys.of(key)),
        groups:
          hostGroups === undefined ? null : new Set(hostGroups.map((name) => groups.of(name))),
        notOn: banned.length === 0 ? null : new Set(banned),
        guests: [g],
      });
      byText.set(text, kinds.length - 1);
      return kinds.length - 1;
    });
    return [kinds, kindOf];
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

  private cellFits(kind: GuestKind, cell: number, node: number): boolean {
    const { dims, free } = this;
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
    if (!this.allows(h, kind)) return null;
    const first = this.nodeStart[h] as number;
    const count = (this.nodeStart[h + 1] as number) - first;
    if (kind.cells > count) return null;
    this.sortNodes(first, count, rule);
    this.taken.fill(0, 0, count);
    if (!this.assign(kind, 0, first, count)) return null;
    if (rule === 'near' && kind.cells > 1) this.drawTogether(h, kind, first, count);
    return this.chosen;
  }

  /** The order in which nodes are tried. Insertion sort: they are few, and equal ones keep their order. */
  private sortNodes(first: number, count: number, rule: NodeRule): void {
    const { order, dims, free } = this;
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
    return this.hosts[h]?.distances?.[a]?.[b] ?? (a === b ? LOCAL_DISTANCE : REMOTE_DISTANCE);
  }

  /** Sum of the distances between each two of these node positions. */
  apart(h: number, nodes: Int32Array): number {
    const first = this.nodeStart[h] as number;
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

/** Texts by number, in the order in which they were seen. */
class Numbers {
  private readonly seen = new Map<string, number>();

  of(text: string): number {
    const known = this.seen.get(text);
    if (known !== undefined) return known;
    this.seen.set(text, this.seen.size);
    return this.seen.size - 1;
  }
}

function hugetlbPages(pool: HugepageShape | undefined): number {
  return pool === undefined ? 0 : (pool.pages * pool.sizeKib) / PAGE_KIB;
}

function check(hosts: readonly HostShape[], guests: readonly GuestShape[]): void {
  const unique = (
    names: string[],
    code: 'duplicate-guest' | 'duplicate-host',
    what: string,
  ): void => {
    const seen = new Map<string, number>();
    names.forEach((name, i) => {
      const before = seen.get(name);
      if (before !== undefined) {
        const message = `${what} ${before} and ${i} are both called ${JSON.stringify(name)}.`;
        throw new PlacementInputError(code, `/${what.toLowerCase()}/${i}`, message);
      }
      seen.set(name, i);
    });
  };
  unique(
    hosts.map(({ id }) => id),
    'duplicate-host',
    'Hosts',
  );
  unique(
    guests.map(({ name }) => name),
    'duplicate-guest',
    'Guests',
  );
  hosts.forEach(({ nodes }, h) => {
    nodes.forEach(({ nodeId, memoryPages, vcpus, hugepages }, n) => {
      const path = `/hosts/${h}/nodes/${n}`;
      if (nodes.findIndex((other) => other.nodeId === nodeId) !== n) {
        throw new PlacementInputError('duplicate-node', path, `Node ${nodeId} is there twice.`);
      }
      whole(path, [
        memoryPages,
        vcpus,
        ...hugepages.flatMap(({ sizeKib, pages }) => [sizeKib, pages]),
      ]);
    });
  });
  guests.forEach(({ cells }, g) => {
    const path = `/guests/${g}/cells`;
    if (cells.length === 0)
      throw new PlacementInputError('no-cells', path, 'A guest has at least one cell.');
    if (cells.length > MAX_CELLS) {
      const message = `Found ${cells.length} cells; at most ${MAX_CELLS} are placed.`;
      throw new PlacementInputError('too-many-cells', path, message);
    }
    for (const { memoryPages, vcpus, hugepages } of cells) {
      whole(path, [memoryPages, vcpus, ...(hugepages ? [hugepages.sizeKib, hugepages.pages] : [])]);
    }
  });
}

function whole(path: string, amounts: number[]): void {
  const wrong = amounts.find((amount) => !Number.isSafeInteger(amount) || amount < 0);
  if (wrong === undefined) return;
  const message = `Found ${wrong}; amounts are whole numbers from 0 upwards.`;
  throw new PlacementInputError('invalid-amount', path, message);
}
