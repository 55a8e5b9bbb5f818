/** Instances that a seed and distribution.json decide. */
import type { HostModel } from '@zonewise/simulator';
import { hostCapacity, type CellShape, type GuestShape, type HostShape } from '../src';
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
  /** By host; equal ones are one object. */
  models: HostModel[];
}

interface Flavour {
  vcpus: number;
  gib: number;
}

/** One cell on ordinary memory, QEMU's own included. */
function flavourCell({ vcpus, gib }: Flavour): CellShape {
  return { memoryPages: Math.round(gib * PAGES_PER_GIB) + OVERHEAD_PAGES, vcpus };
}

function guest(index: number, cells: CellShape[]): GuestShape {
  return { name: `guest-${index}`, cells };
}

function numaGuest(random: Random, index: number): GuestShape {
  const { cells, cellVcpus, cellGib, hugepageShare, hugepageCellGibMost } = families['numa-shaped'];
  const count = random.weighted(cells).cells;
  const vcpus = random.pick(cellVcpus);
  const huge = random.next() < hugepageShare;
  const gib = random.whole(cellGib.least, huge ? hugepageCellGibMost : cellGib.most);
  return guest(
    index,
    Array.from({ length: count }, (_, cell): CellShape => {
      const overhead = cell === 0 ? OVERHEAD_PAGES : 0;
      if (!huge) return { memoryPages: gib * PAGES_PER_GIB + overhead, vcpus };
      const pages = (gib * PAGES_PER_GIB) / PAGES_PER_2MIB;
      return { memoryPages: overhead, vcpus, hugepages: { sizeKib: 2048, pages } };
    }),
  );
}

function drawGuests(family: Family, random: Random, count: number): GuestShape[] {
  const draw = (index: number): GuestShape => {
    if (family === 'numa-shaped') return numaGuest(random, index);
    if (family === 'uniform-flavours') {
      const { vcpus: sizes, gibPerVcpu } = families[family];
      const vcpus = random.pick(sizes);
      return guest(index, [flavourCell({ vcpus, gib: vcpus * random.pick(gibPerVcpu) })]);
    }
    return guest(index, [flavourCell(random.weighted(families['cloud-sizes'].flavours))]);
  };
  return Array.from({ length: count }, (_, index) => draw(index));
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
  const drawn = drawGuests(family, random, guests);
  const built =
    family === 'nearly-full' ? usedHosts(random, hosts, drawn) : emptyHosts(family, hosts);
  return {
    ...{ family, seed, guests: drawn },
    hosts: built.map(({ shape }) => shape),
    models: built.map(({ model }) => model),
  };
}
