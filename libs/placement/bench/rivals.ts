/**
 * First-fit and best-fit decreasing as an operator would write them down with Nova's rules: one host cell for
 * each guest cell, permutations of host cells in their order, memory and CPUs at ratio 1.0, pages of the
 * asked size. Plain loops over all hosts; nothing is shared with the packer.
 *
 * @source nova/virt/hardware.py numa_fit_instance_to_host(), _numa_fit_instance_cell(); the weigher of memory
 * with a negative multiplier is what makes it a best fit
 */
import type { CellShape, GuestShape, HostShape, NodeShape } from '../src';

export interface RivalResult {
  refused: number;
  hostsUsed: number;
}

interface Cell extends NodeShape {
  hugepages: { sizeKib: number; pages: number }[];
}

function fits(cell: CellShape, host: Cell): boolean {
  if (cell.memoryPages > host.memoryPages || cell.vcpus > host.vcpus) return false;
  const { hugepages } = cell;
  if (hugepages === undefined) return true;
  const pool = host.hugepages.find(({ sizeKib }) => sizeKib === hugepages.sizeKib);
  return pool !== undefined && pool.pages >= hugepages.pages;
}

/** The first permutation of the host's cells, in lexicographic order, that fits the guest's cells one to one. */
function permutation(
  cells: CellShape[],
  host: Cell[],
  from = 0,
  used: number[] = [],
): number[] | null {
  const cell = cells[from];
  if (cell === undefined) return used;
  for (let i = 0; i < host.length; i += 1) {
    if (used.includes(i) || !fits(cell, host[i]!)) continue;
    const found = permutation(cells, host, from + 1, [...used, i]);
    if (found !== null) return found;
  }
  return null;
}

function take(cells: CellShape[], host: Cell[], nodes: number[]): void {
  cells.forEach(({ memoryPages, vcpus, hugepages }, c) => {
    const node = host[nodes[c]!]!;
    node.memoryPages -= memoryPages;
    node.vcpus -= vcpus;
    const pool = node.hugepages.find(({ sizeKib }) => sizeKib === hugepages?.sizeKib);
    if (pool !== undefined && hugepages !== undefined) pool.pages -= hugepages.pages;
  });
}

const memoryOf = (cells: { memoryPages: number }[]): number =>
  cells.reduce((sum, { memoryPages }) => sum + memoryPages, 0);
const vcpusOf = (cells: { vcpus: number }[]): number =>
  cells.reduce((sum, { vcpus }) => sum + vcpus, 0);
/** Memory of a guest, huge pages included. */
const sizeOf = ({ cells }: GuestShape): number =>
  memoryOf(cells) +
  cells.reduce(
    (sum, { hugepages }) => sum + (hugepages ? (hugepages.pages * hugepages.sizeKib) / 4 : 0),
    0,
  );

function decreasing(guests: GuestShape[]): GuestShape[] {
  return [...guests].sort((a, b) => sizeOf(b) - sizeOf(a) || vcpusOf(b.cells) - vcpusOf(a.cells));
}

function run(
  hosts: HostShape[],
  guests: GuestShape[],
  choose: (fleet: Cell[][], cells: CellShape[]) => { host: number; nodes: number[] } | null,
): RivalResult {
  const fleet = hosts.map(({ nodes }) =>
    nodes.map((node) => ({ ...node, hugepages: node.hugepages.map((pool) => ({ ...pool })) })),
  );
  const used = new Set(hosts.flatMap(({ occupied }, h) => (occupied ? [h] : [])));
  let refused = 0;
  for (const { cells } of decreasing(guests)) {
    const found = choose(fleet, cells);
    if (found === null) {
      refused += 1;
      continue;
    }
    take(cells, fleet[found.host]!, found.nodes);
    used.add(found.host);
  }
  return { refused, hostsUsed: used.size };
}

/** Each guest, the largest first, on the first host that takes it. */
export function firstFitDecreasing(hosts: HostShape[], guests: GuestShape[]): RivalResult {
  return run(hosts, guests, (fleet, cells) => {
    for (let host = 0; host < fleet.length; host += 1) {
      const nodes = permutation(cells, fleet[host]!);
      if (nodes !== null) return { host, nodes };
    }
    return null;
  });
}

/** Each guest, the largest first, on the host with the least free memory that takes it. */
export function bestFitDecreasing(hosts: HostShape[], guests: GuestShape[]): RivalResult {
  return run(hosts, guests, (fleet, cells) => {
    let best: { host: number; nodes: number[] } | null = null;
    let least = Infinity;
    for (let host = 0; host < fleet.length; host += 1) {
      const free = memoryOf(fleet[host]!);
      if (free >= least) continue;
      const nodes = permutation(cells, fleet[host]!);
      if (nodes === null) continue;
      best = { host, nodes };
      least = free;
    }
    return best;
  });
}
