/** Instances that a seed and distribution.json decide. */
import type { HostModel } from '@zonewise/simulator';
import {
  hostCapacity,
  pageTablePages,
  type CellShape,
  type GuestShape,
  type HostShape,
} from '../src';
import distribution from './distribution.json';
import { hostModel, PAGES_PER_GIB, type HostType, type NodeUse } from './models';
import { Random } from './random';

export const FAMILIES = ['uniform-flavours', 'cloud-sizes', 'numa-shaped', 'nearly-full'] as const;
export type Family = (typeof FAMILIES)[number];

const PAGES_PER_2MIB = 512;
const { families } = distribution;
export const OVERHEAD_PAGES = distribution.guestOverheadPages;
const TYPES: Record<string, HostType> = distribution.hostTypes;

export interface Instance {
  family: Family;
  seed: number;
  hosts: HostShape[];
  guests: GuestShape[];
  /** By guest. */
  drawn: DrawnCell[][];
  /** By host; equal ones are one object. */
  models: HostModel[];
}

/** A guest cell as it is drawn; a guest without NUMA cells of its own is one. */
export interface DrawnCell {
  vcpus: number;
  gib: number;
  /** On huge pages of 2 MiB. */
  huge?: boolean;
}

/** With its page tables, and the first cell with QEMU's own memory. */
function cellShape({ vcpus, gib, huge }: DrawnCell, cell: number): CellShape {
  const pages = Math.round(gib * PAGES_PER_GIB);
  const overhead = cell === 0 ? OVERHEAD_PAGES : 0;
  if (huge !== true) return { memoryPages: pages + pageTablePages(pages) + overhead, vcpus };
  return {
    memoryPages: overhead,
    vcpus,
    hugepages: { sizeKib: 2048, pages: pages / PAGES_PER_2MIB },
  };
}

function numaGuest(random: Random): DrawnCell[] {
  const { cells, cellVcpus, cellGib, hugepageShare, hugepageCellGibMost } = families['numa-shaped'];
  const count = random.weighted(cells).cells;
  const vcpus = random.pick(cellVcpus);
  const huge = random.next() < hugepageShare;
  const gib = random.whole(cellGib.least, huge ? hugepageCellGibMost : cellGib.most);
  return Array.from({ length: count }, () => ({ vcpus, gib, huge }));
}

function drawGuest(family: Family, random: Random): DrawnCell[] {
  if (family === 'numa-shaped') return numaGuest(random);
  if (family === 'uniform-flavours') {
    const { vcpus: sizes, gibPerVcpu } = families[family];
    const vcpus = random.pick(sizes);
    return [{ vcpus, gib: vcpus * random.pick(gibPerVcpu) }];
  }
  const { vcpus, gib } = random.weighted(families['cloud-sizes'].flavours);
  return [{ vcpus, gib }];
}

/** Host types in the shares of the family, one after the other. */
function typesOf(family: Family, hosts: number): HostType[] {
  const entries = Object.entries(families[family].hosts).flatMap(([name, share]) =>
    new Array<HostType>(share).fill(TYPES[name]!),
  );
  return Array.from({ length: hosts }, (_, i) => entries[i % entries.length]!);
}

interface BuiltHost {
  shape: HostShape;
  model: HostModel;
}

/** Empty hosts of one type are one model. */
function emptyHosts(family: Family, hosts: number): BuiltHost[] {
  const models = new Map<HostType, HostModel>();
  const poolShare = family === 'numa-shaped' ? families[family].hugepagePoolShare : 0;
  return typesOf(family, hosts).map((type, i) => {
    let model = models.get(type);
    if (model === undefined) {
      const hugePages = Math.floor((type.gib * PAGES_PER_GIB * poolShare) / PAGES_PER_2MIB);
      const use = new Array<NodeUse>(type.nodes).fill({ anonPages: 0, hugePages });
      model = hostModel(type, use);
      models.set(type, model);
    }
    const nodes = hostCapacity(model).map(({ nodeId, memoryPages, vcpus, hugepages }) => {
      return { nodeId, memoryPages, vcpus, hugepages };
    });
    return { shape: { id: `host-${i}`, nodes, occupied: false }, model };
  });
}

/** Hosts that already run guests, so that what is left is `demandShare` times what the guests need of CPUs. */
function usedHosts(random: Random, hosts: number, guests: GuestShape[]): BuiltHost[] {
  const { demandShare, emptyShare, freeSpread } = families['nearly-full'];
  const types = typesOf('nearly-full', hosts);
  const wanted = guests.reduce(
    (sum, { cells }) => sum + cells.reduce((all, { vcpus }) => all + vcpus, 0),
    0,
  );
  const draws = types.map((type) => {
    const empty = random.next() < emptyShare;
    return Array.from({ length: type.nodes }, () => ({
      cpuShare: empty ? 1 : random.between(freeSpread.least, freeSpread.most),
      memoryTilt: empty ? 0 : random.between(-0.1, 0.1),
      empty,
    }));
  });
  const fixed = draws.flatMap((nodes, i) =>
    nodes.filter(({ empty }) => empty).map(() => types[i]!.cpus),
  );
  const open = draws.flatMap((nodes, i) =>
    nodes.filter(({ empty }) => !empty).map(({ cpuShare }) => cpuShare * types[i]!.cpus),
  );
  const sum = (list: number[]): number => list.reduce((all, value) => all + value, 0);
  // Half a CPU of every node is lost to whole numbers.
  const missing = wanted / demandShare + open.length / 2 - sum(fixed);
  const scale = Math.min(1, Math.max(0, missing) / sum(open));
  return types.map((type, i) => {
    const nodes = draws[i]!;
    const shares = nodes.map(({ cpuShare, empty }) => (empty ? 1 : cpuShare * scale));
    const use = nodes.map(({ memoryTilt, empty }, n): NodeUse => {
      const left = empty ? 1 : Math.min(1, Math.max(0.02, shares[n]! + memoryTilt));
      return { anonPages: Math.floor((type.gib - 4) * PAGES_PER_GIB * (1 - left)), hugePages: 0 };
    });
    const model = hostModel(type, use);
    const capacity = hostCapacity(model).map(({ nodeId, memoryPages, hugepages }, n) => {
      return { nodeId, memoryPages, vcpus: Math.floor(type.cpus * shares[n]!), hugepages };
    });
    const occupied = !nodes[0]!.empty;
    return { shape: { id: `host-${i}`, nodes: capacity, occupied }, model };
  });
}

/** The instance of a family that a seed decides. */
export function instance(family: Family, seed: number, hosts: number, guests: number): Instance {
  const random = new Random(seed * 2_654_435_761 + FAMILIES.indexOf(family));
  const drawn = Array.from({ length: guests }, () => drawGuest(family, random));
  const shapes = drawn.map((cells, i): GuestShape => ({
    name: `guest-${i}`,
    cells: cells.map(cellShape),
  }));
  const built =
    family === 'nearly-full' ? usedHosts(random, hosts, shapes) : emptyHosts(family, hosts);
  return {
    ...{ family, seed, drawn, guests: shapes },
    hosts: built.map(({ shape }) => shape),
    models: built.map(({ model }) => model),
  };
}
