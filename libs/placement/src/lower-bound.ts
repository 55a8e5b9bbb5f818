/**
 * Hosts that any packing of all guests needs at least. Three bounds, of which the largest counts:
 * per dimension, hosts sorted by what they have until that suffices for all guests; the same for nodes after
 * a dual feasible function was applied to the cells, which counts what cannot be used because cells are whole;
 * and hosts that are in use anyway.
 *
 * @source S. Fekete, J. Schepers, New classes of fast lower bounds for bin packing problems (2001)
 */
import type { GuestShape, HostShape } from './types';

export interface LowerBound {
  hosts: number;
  /** Whichever gave it: `memory`, `vcpus`, `hugepages-2048`, with `-cells` where the dual feasible functions did. */
  dimension: string;
}

interface Dimension {
  name: string;
  /** By host: what its nodes have. */
  nodes: number[][];
  /** Hosts in use whatever is placed. */
  occupied: boolean[];
  /** Cells of all guests. */
  cells: number[];
}

function dimensions(hosts: readonly HostShape[], guests: readonly GuestShape[]): Dimension[] {
  const cells = guests.flatMap((guest) => guest.cells);
  const sizes = new Set(cells.flatMap(({ hugepages }) => hugepages?.sizeKib ?? []));
  const occupied = hosts.map((host) => host.occupied);
  const make = (name: string, node: (n: HostShape['nodes'][number]) => number, cell: number[]) => ({
    name,
    nodes: hosts.map(({ nodes }) => nodes.map(node)),
    occupied,
    cells: cell,
  });
  return [
    make(
      'memory',
      ({ memoryPages }) => memoryPages,
      cells.map(({ memoryPages }) => memoryPages),
    ),
    make(
      'vcpus',
      ({ vcpus }) => vcpus,
      cells.map(({ vcpus }) => vcpus),
    ),
    ...[...sizes].map((sizeKib) =>
      make(
        `hugepages-${sizeKib}`,
        ({ hugepages }) => hugepages.find((pool) => pool.sizeKib === sizeKib)?.pages ?? 0,
        cells.map(({ hugepages }) => (hugepages?.sizeKib === sizeKib ? hugepages.pages : 0)),
      ),
    ),
  ];
}

const sum = (list: readonly number[]): number => list.reduce((all, value) => all + value, 0);

/** Fewest hosts whose amounts, those in use first and then the largest, reach `needed`; null where all do not. */
function hostsFor(amounts: number[], occupied: boolean[], needed: number): number | null {
  let left = needed;
  let count = 0;
  amounts.forEach((amount, h) => {
    if (occupied[h] !== true) return;
    left -= amount;
    count += 1;
  });
  const rest = amounts.filter((_, h) => occupied[h] !== true).sort((a, b) => b - a);
  // Sums of shares are not exact; a bound that is one too high would be none.
  const slack = needed * 1e-9;
  for (const amount of rest) {
    if (left <= slack) return count;
    left -= amount;
    count += 1;
  }
  return left <= slack ? count : null;
}

/** u(k): of a share x of the bin, floor((k + 1) x) / k where (k + 1) x is not whole, else x. */
function rounded(share: number, k: number): number {
  const scaled = (k + 1) * share;
  const whole = Math.round(scaled);
  return Math.abs(scaled - whole) < 1e-9 ? share : Math.floor(scaled) / k;
}

/** Shares above 1 - e count as 1, below e as 0. */
function large(share: number, e: number): number {
  if (share > 1 - e + 1e-12) return 1;
  return share < e - 1e-12 ? 0 : share;
}

const ROUNDINGS = Array.from({ length: 40 }, (_, i) => i + 1);
const THRESHOLDS = 24;

/**
 * Bins are nodes of one size here: of nodes that differ all count as the largest, which only lowers the bound.
 * Nodes of hosts in use count with what they have.
 */
function cellBounds({ nodes, occupied, cells }: Dimension): number {
  const largest = nodes.reduce((most, list) => Math.max(most, ...list, 0), 0);
  if (largest === 0) return 0;
  const used = cells.filter((cell) => cell > 0).map((cell) => cell / largest);
  const counts = new Map<number, number>();
  for (const share of used) counts.set(share, (counts.get(share) ?? 0) + 1);
  const thresholds = [...counts.keys()].filter((share) => share <= 0.5).sort((a, b) => b - a);
  const step = Math.max(1, Math.ceil(thresholds.length / THRESHOLDS));
  const functions: ((share: number) => number)[] = [
    ...ROUNDINGS.map((k) => (share: number) => rounded(share, k)),
    ...thresholds
      .filter((_, i) => i % step === 0)
      .flatMap((e) => [
        (share: number): number => large(share, e),
        ...[1, 2, 3, 5, 8].map((k) => (share: number) => rounded(large(share, e), k)),
      ]),
  ];
  let best = 0;
  for (const dual of functions) {
    let needed = 0;
    for (const [share, count] of counts) needed += count * dual(share);
    // A node of share s of the largest holds at most what the function makes of a bin that is partly filled by 1 - s.
    const amounts = nodes.map((list) => sum(list.map((amount) => 1 - dual(1 - amount / largest))));
    best = Math.max(best, hostsFor(amounts, occupied, needed) ?? 0);
  }
  return best;
}

/** @returns hosts that any packing of all the guests uses; those in use before count */
export function lowerBound(hosts: readonly HostShape[], guests: readonly GuestShape[]): LowerBound {
  const inUse = hosts.filter(({ occupied }) => occupied).length;
  let best: LowerBound = { hosts: inUse, dimension: 'in-use' };
  for (const dimension of dimensions(hosts, guests)) {
    const { name, nodes, occupied, cells } = dimension;
    const plain = hostsFor(nodes.map(sum), occupied, sum(cells)) ?? hosts.length;
    if (plain > best.hosts) best = { hosts: plain, dimension: name };
    const whole = Math.min(cellBounds(dimension), hosts.length);
    if (whole > best.hosts) best = { hosts: whole, dimension: `${name}-cells` };
  }
  return best;
}
