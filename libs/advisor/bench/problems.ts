/** Problems for the advisor, drawn from the distribution in shares.ts: the same seed and number, the same problem. */
import type { AdviceRequest, GuestSpec } from '../src/types';
import { guestOf, splitMemory, type GuestShape } from './guests';
import { buildHost, type HostShape, type NodeShape } from './host';
import { Random } from './random';
import * as shares from './shares';

export type ProblemKind = 'mixed' | 'small' | 'preferred-beside-cache';

export interface Problem {
  /** `number-kind`. */
  id: string;
  kind: ProblemKind;
  /** What was drawn, for people. */
  traits: {
    nodes: number;
    memoryGib: number;
    demandPercent: number;
    cachePercent: number;
    thp: string;
    hugepages: boolean;
    asymmetric: boolean;
    guests: number;
  };
  request: AdviceRequest;
}

const MIB_PER_GIB = 1024;
const CPUS_PER_NODE = 16;
/** What the kernel holds of a node: itself and its tables, and slab that it could free. */
const KERNEL_PERCENT = 2;
const SLAB_PERCENT = 1;

export function kindOf(number: number): ProblemKind {
  const at = number % shares.KINDS.every;
  if (at < shares.KINDS.small) return 'small';
  return at < shares.KINDS.small + shares.KINDS.preferredBesideCache
    ? 'preferred-beside-cache'
    : 'mixed';
}

/** @param number 0 and up; decides the kind and the demand, all else follows from seed and number */
export function problem(seed: number, number: number): Problem {
  const random = new Random(seed * 1_000_003 + number * 7919 + 1);
  const kind = kindOf(number);
  if (kind === 'small') return smallProblem(number, random);
  if (kind === 'preferred-beside-cache') return preferredBesideCache(number, random);
  return mixedProblem(number, random);
}

/** Even steps: mixed and small problems each take them in turn. */
function demandPercent(number: number): number {
  const { small, preferredBesideCache: beside, every } = shares.KINDS;
  const round = Math.floor(number / every);
  const at = number % every;
  const before = at < small ? round * small + at : round * (every - small - beside) + at;
  return shares.DEMAND_PERCENTS[before % shares.DEMAND_PERCENTS.length] ?? 100;
}

/** Two sockets from four nodes on: near nodes share one. */
function distancesOf(nodes: number): number[][] {
  const perSocket = nodes >= 4 ? nodes / 2 : 1;
  const socket = (node: number): number => Math.floor(node / perSocket);
  return Array.from({ length: nodes }, (_, i) =>
    Array.from({ length: nodes }, (__, j) => {
      if (i === j) return 10;
      return nodes >= 4 && socket(i) === socket(j) ? 12 : 21;
    }),
  );
}

/** Sizes that sum up to the memory, in whole GiB; `weights` one per node. */
function nodeSizesMib(memoryGib: number, weights: number[]): number[] {
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => Math.floor((memoryGib * weight) / sum) * MIB_PER_GIB);
}

interface Draft {
  memoryGib: number;
  sizesMib: number[];
  cachePercent: number;
  demandPercent: number;
  thp: 'always' | 'madvise' | 'never';
  swapMib: number;
  dirtyPercent: number;
  zoneReclaimMode: number;
  cpuless: boolean;
  hugepages: boolean;
  asymmetric: boolean;
}

function draft(number: number, random: Random): Draft {
  const memoryGib = random.weighted(shares.MEMORY_GIB);
  const nodes = random.weighted(shares.NODE_COUNTS);
  const asymmetric = nodes > 1 && random.chance(shares.ASYMMETRIC_PERCENT);
  const weights = Array.from({ length: nodes }, () => (asymmetric ? random.between(2, 6) : 1));
  const cache = random.weighted(shares.CACHE_PERCENT);
  const most = (cache * shares.CACHE_HEAVY_GIB_MAX) / memoryGib;
  return {
    memoryGib,
    sizesMib: nodeSizesMib(memoryGib, weights),
    cachePercent: Math.min(cache, most),
    demandPercent: demandPercent(number),
    thp: random.weighted(shares.THP_ENABLED),
    swapMib: random.chance(shares.SWAP_PERCENT) ? shares.SWAP_MIB : 0,
    dirtyPercent: random.chance(shares.DIRTY_CACHE_PERCENT) ? 10 : 0,
    zoneReclaimMode: random.chance(shares.ZONE_RECLAIM_ON_PERCENT) ? 1 : 0,
    cpuless: nodes >= 3 && random.chance(shares.CPULESS_PERCENT),
    hugepages:
      memoryGib >= shares.ALWAYS_HUGEPAGES_GIB || random.chance(shares.HUGEPAGE_HOSTS_PERCENT),
    asymmetric,
  };
}

/** Guests, pools and what runs already, on a host as drawn. */
function mixedProblem(number: number, random: Random): Problem {
  const drawn = draft(number, random);
  const nodes = drawn.sizesMib.length;
  const memoryMib = drawn.sizesMib.reduce((a, b) => a + b, 0);
  const demandMib = Math.floor((memoryMib * drawn.demandPercent) / 100);
  const runs = random.chance(shares.RUNNING_GUESTS_PERCENT);
  const runningMib = runs
    ? even(
        (Math.min(memoryMib, ...drawn.sizesMib.map((mib) => mib * 5)) *
          shares.RUNNING_MEMORY_PERCENT) /
          100,
      )
    : 0;
  const plannedMib = demandMib - runningMib;
  const count = Math.min(20, random.between(Math.max(2, nodes), 2 * nodes + 2));
  const pooledPercent =
    drawn.memoryGib >= shares.ALWAYS_HUGEPAGES_GIB
      ? shares.LARGE_HUGEPAGE_MEMORY_PERCENT
      : shares.HUGEPAGE_MEMORY_PERCENT;
  const pooledMib = drawn.hugepages ? Math.floor((plannedMib * pooledPercent) / 100) : 0;
  const cpuNodes = drawn.sizesMib.map((_, node) => node).slice(0, drawn.cpuless ? -1 : undefined);
  const shapes = [
    ...guestShapes(
      'g',
      splitMemory(plannedMib - pooledMib, count, random),
      drawn,
      cpuNodes,
      random,
    ),
    ...guestShapes(
      'h',
      splitMemory(pooledMib, Math.ceil(count / 3), random),
      drawn,
      cpuNodes,
      random,
    ).map((shape) => ({ ...shape, hugetlb: true, cells: 1, diskCacheMib: 0 })),
  ];
  const running: GuestShape[] = runs
    ? guestShapes('r', [runningMib], drawn, cpuNodes, random).map((shape) => ({
        ...shape,
        cells: 1,
        runningOn: residence(random, runningMib, cpuNodes),
      }))
    : [];
  return assemble(number, 'mixed', drawn, [...shapes, ...running], random);
}

/** Whole 2 MiB, rounded down. */
function even(mib: number): number {
  return Math.floor(mib / 2) * 2;
}

/** Most of a running guest is where it started, the rest next door. */
function residence(random: Random, mib: number, nodes: number[]): Map<number, number> {
  const first = nodes[random.between(0, nodes.length - 1)] ?? 0;
  const second = nodes[(nodes.indexOf(first) + 1) % nodes.length] ?? first;
  const near = even((mib * random.between(60, 100)) / 100);
  if (second === first) return new Map([[first, mib]]);
  return new Map([
    [first, near],
    [second, mib - near],
  ]);
}

function guestShapes(
  prefix: string,
  sizesMib: number[],
  drawn: Draft,
  cpuNodes: number[],
  random: Random,
): GuestShape[] {
  const crowded = random.chance(shares.CROWDED_PERCENT);
  return sizesMib.map((memoryMib, i): GuestShape => {
    const pinned = random.chance(shares.PINNED_GUESTS_PERCENT);
    const crowds = crowded && random.chance(60);
    const home = crowds ? 0 : (cpuNodes[random.between(0, cpuNodes.length - 1)] ?? 0);
    const twoCells = cpuNodes.length > 1 && random.chance(shares.TWO_CELL_GUESTS_PERCENT);
    return {
      name: `${prefix}${i}`,
      memoryMib,
      cells: twoCells ? 2 : 1,
      home,
      pinned,
      mode: random.weighted(pinned ? shares.PINNED_MODES : shares.FLOATING_MODES),
      thp: drawn.thp === 'madvise' && random.chance(50) ? 'huge' : 'none',
      diskCacheMib: random.chance(shares.DISK_CACHE_GUESTS_PERCENT)
        ? Math.floor(memoryMib / 20)
        : 0,
    };
  });
}

/** One or two guests on two nodes: few enough for every configuration to be replayed. */
function smallProblem(number: number, random: Random): Problem {
  const asymmetric = random.chance(shares.ASYMMETRIC_PERCENT);
  const memoryGib = shares.SMALL_MEMORY_GIB;
  const drawn: Draft = {
    memoryGib,
    sizesMib: nodeSizesMib(memoryGib, asymmetric ? [random.between(2, 6), 4] : [1, 1]),
    cachePercent: random.weighted(shares.CACHE_PERCENT),
    demandPercent: demandPercent(number),
    thp: random.weighted(shares.THP_ENABLED),
    swapMib: random.chance(shares.SWAP_PERCENT) ? shares.SMALL_SWAP_MIB : 0,
    dirtyPercent: 0,
    zoneReclaimMode: random.chance(shares.ZONE_RECLAIM_ON_PERCENT) ? 1 : 0,
    cpuless: false,
    hugepages: false,
    asymmetric,
  };
  const memoryMib = drawn.sizesMib.reduce((a, b) => a + b, 0);
  const demandMib = Math.floor((memoryMib * drawn.demandPercent) / 100);
  const sizes = splitMemory(demandMib, random.weighted(shares.SMALL_GUESTS), random);
  const shapes = guestShapes('g', sizes, drawn, [0, 1], random).map((shape) => ({
    ...shape,
    cells: 1,
    diskCacheMib: 0,
  }));
  return assemble(number, 'small', drawn, shapes, random);
}

/**
 * Guests prefer the node of their CPUs, where page cache has left little free memory; the other nodes are nearly
 * empty. How much cache, how idle, dirty or mapped it is, and how many guests there are varies.
 */
function preferredBesideCache(number: number, random: Random): Problem {
  const nodes = random.chance(70) ? 2 : 4;
  const memoryGib = 64;
  const drawn: Draft = {
    memoryGib,
    sizesMib: nodeSizesMib(memoryGib, new Array<number>(nodes).fill(1)),
    cachePercent: 0,
    demandPercent: 0,
    thp: random.weighted(shares.THP_ENABLED),
    swapMib: random.chance(shares.SWAP_PERCENT) ? shares.SWAP_MIB : 0,
    dirtyPercent: random.chance(40) ? random.between(5, 20) : 0,
    zoneReclaimMode: 0,
    cpuless: false,
    hugepages: false,
    asymmetric: false,
  };
  const nodeMib = drawn.sizesMib[0] ?? 0;
  const cache = Math.floor((nodeMib * random.between(50, 85)) / 100);
  const wanted = Math.floor((nodeMib * random.between(40, 80)) / 100);
  drawn.cachePercent = Math.round((cache / nodeMib) * 100);
  drawn.demandPercent = Math.round((wanted / (memoryGib * MIB_PER_GIB)) * 100);
  const shapes = splitMemory(wanted, random.between(1, 4), random).map(
    (memoryMib, i): GuestShape => ({
      name: `g${i}`,
      memoryMib,
      cells: 1,
      home: 0,
      pinned: true,
      mode: 'preferred',
      thp: 'none',
      diskCacheMib: 0,
    }),
  );
  return assemble(number, 'preferred-beside-cache', drawn, shapes, random, cache);
}

function assemble(
  number: number,
  kind: ProblemKind,
  drawn: Draft,
  shapes: GuestShape[],
  random: Random,
  cacheOnFirstMib?: number,
): Problem {
  const pooled = shapes.filter(({ hugetlb }) => hugetlb === true);
  const poolPages = pooled.reduce((sum, { memoryMib }) => sum + Math.ceil(memoryMib / 2), 0);
  const memoryMib = drawn.sizesMib.reduce((a, b) => a + b, 0);
  const nodes = drawn.sizesMib.map((sizeMib, node): NodeShape => {
    const resident = shapes.reduce((sum, shape) => sum + (shape.runningOn?.get(node) ?? 0), 0);
    const cacheMib =
      cacheOnFirstMib === undefined
        ? Math.floor((sizeMib * drawn.cachePercent) / 100)
        : Math.floor(node === 0 ? cacheOnFirstMib : sizeMib / 50);
    const kernelMib = Math.floor((sizeMib * KERNEL_PERCENT) / 100);
    // Pools hold a little more than the guests need of them, each node its share.
    const wanted = Math.ceil(((poolPages * sizeMib) / memoryMib) * 1.05);
    const room = Math.floor((sizeMib - resident - cacheMib - 4 * kernelMib) / 2);
    const pool = Math.max(0, Math.min(wanted, room));
    const free = { sizeKib: 2048, totalPages: pool, freePages: pool };
    return {
      memoryMib: sizeMib,
      cpus: drawn.cpuless && node === drawn.sizesMib.length - 1 ? 0 : CPUS_PER_NODE,
      fileMib: cacheMib,
      dirtyPercent: drawn.dirtyPercent,
      anonMib: resident,
      slabReclaimableMib: Math.floor((sizeMib * SLAB_PERCENT) / 100),
      kernelMib,
      hugepages: pool > 0 ? [free] : [],
    };
  });
  const shape: HostShape = {
    nodes,
    distances: distancesOf(nodes.length),
    thp: { enabled: drawn.thp, defrag: 'madvise' },
    swapMib: drawn.swapMib,
    sysctl: { zone_reclaim_mode: drawn.zoneReclaimMode },
  };
  const cpuNodes = nodes.flatMap(({ cpus }, node) => (cpus > 0 ? [node] : []));
  const guests: GuestSpec[] = shapes.map((each) => guestOf(each, cpuNodes, nodes.length));
  return {
    id: `${number}-${kind}`,
    kind,
    traits: {
      nodes: nodes.length,
      memoryGib: drawn.memoryGib,
      demandPercent: drawn.demandPercent,
      cachePercent: Math.round(drawn.cachePercent),
      thp: drawn.thp,
      hugepages: drawn.hugepages,
      asymmetric: drawn.asymmetric,
      guests: guests.length,
    },
    request: { host: buildHost(shape), guests, demand: {}, seed: random.between(1, 1_000_000) },
  };
}
