/** The machines that are measured, and what is done to them. Everything follows from sizes: no random numbers. */
import type { MachineConfig, MachineOp, MachinePolicy, MachineZoneConfig } from '../test/machine';

export const PAGES_PER_GIB = 262_144;
/** Where a node's memory begins: apart by 32 TiB, and aligned to every order. */
const NODE_SPAN_PAGES = 2 ** 33;
const PAGES_PER_HUGE = 512;
const DEFAULT_POLICY: MachinePolicy = { mode: 'default', nodes: [] };

type AllocOp = Extract<MachineOp, { op: 'alloc' }>;
type FreeOp = Extract<MachineOp, { op: 'free' }>;

/** Requests for single pages of user memory. */
function allocPages(values: Pick<AllocOp, 'owner' | 'cpu' | 'count'> & Partial<AllocOp>): AllocOp {
  return {
    op: 'alloc',
    kind: 'anon',
    policy: DEFAULT_POLICY,
    mems: null,
    order: 0,
    type: 0,
    ...values,
  };
}

/** Frees all pages of an owner, unless said otherwise. */
function freePages(values: Pick<FreeOp, 'owner' | 'cpu' | 'count'> & Partial<FreeOp>): FreeOp {
  return { op: 'free', from: 0, every: 1, keep: 0, ...values };
}

function machine(
  nodes: MachineConfig['nodes'],
  sysctl: Partial<MachineConfig['sysctl']>,
): MachineConfig {
  const pages = nodes.flatMap((node) => node.zones).reduce((sum, zone) => sum + zone.pages, 0);
  return {
    nodes,
    distances: nodes.map((_, i) => nodes.map((__, j) => (i === j ? 10 : 20))),
    sysctl: {
      // The share that a host of 1 TiB has by default.
      min_free_kbytes: Math.max(Math.floor((pages * 4) / 12_000), 128),
      watermark_scale_factor: 10,
      watermark_boost_factor: 15_000,
      lowmem_reserve_ratio: [256, 256, 32, 0],
      zone_reclaim_mode: 0,
      min_unmapped_ratio: 1,
      swappiness: 60,
      ...sysctl,
    },
    swapPages: 0,
    costs: {
      faultNs: 500,
      remoteFaultNs: 100,
      scanNs: 50,
      rmapNs: 100,
      stealNs: 150,
      reclaimRoundNs: 2000,
      pageoutNs: 1000,
      swapWriteNs: 20_000,
      swapWritePageNs: 1000,
      swapRequestPages: 127,
      kswapdWakeNs: 20_000,
      hugetlbPageNs: 4000,
      hugeFaultNs: 90_000,
      freeNs: 120,
    },
  };
}

/** One node with one CPU and one Normal zone. */
export function oneZone(pages: number): MachineConfig {
  const zone: MachineZoneConfig = { index: 2, startPfn: 2 ** 20, pages };
  return machine([{ cpus: [0], zones: [zone] }], {});
}

/** Pages of a zone that an owner can take without reaching the low mark: 99 of 100. */
export function fillPages(zonePages: number): number {
  return Math.floor((zonePages * 99) / 100);
}

/** Fills most of a zone page by page through the CPU's lists. */
export function fillZone(zonePages: number): MachineOp[] {
  return [allocPages({ owner: 1, cpu: 0, count: fillPages(zonePages) })];
}

/** Gives all of it back. */
export function freeZone(zonePages: number): MachineOp[] {
  return [freePages({ owner: 1, cpu: 0, count: fillPages(zonePages) })];
}

/** Frees every other page of a full zone, so that no block is larger than a page. */
export function freeEveryOther(zonePages: number): MachineOp[] {
  return [
    freePages({ owner: 1, cpu: 0, count: fillPages(zonePages), every: 2, keep: 1 }),
    { op: 'drain' },
  ];
}

/** Frees a random half of a full zone, page by page upwards. */
export function freeRandomHalf(zonePages: number): MachineOp[] {
  const count = fillPages(zonePages);
  return [
    { op: 'scatter', owner: 1, cpu: 0, from: 0, count, seed: 1, percent: 50 },
    { op: 'drain' },
  ];
}

/** Takes the single pages again. */
export function fillHoles(zonePages: number): MachineOp[] {
  return [allocPages({ owner: 2, cpu: 0, count: Math.floor((zonePages * 49) / 100) })];
}

/** Two nodes of a Normal zone each. */
export function twoNodes(totalPages: number): MachineConfig {
  const nodes = [0, 1].map((node) => {
    const startPfn = (node + 1) * NODE_SPAN_PAGES;
    return { cpus: [node], zones: [{ index: 2 as const, startPfn, pages: totalPages / 2 }] };
  });
  return machine(nodes, {});
}

/** Page cache on both nodes, half of them full of it. */
export function fillCache(totalPages: number): MachineOp[] {
  return [0, 1].map((node) =>
    allocPages({
      ...{ owner: 1 + node, kind: 'file', cpu: node, count: Math.floor(totalPages / 4) },
      policy: { mode: 'bind', nodes: [node] },
    }),
  );
}

/** The pool asks for three quarters of the memory, that is for half of what the cache has. */
export function growPool(totalPages: number): MachineOp[] {
  const count = Math.floor((totalPages * 3) / 4 / PAGES_PER_HUGE);
  return [{ op: 'hugepages', count, node: null, policy: DEFAULT_POLICY }];
}

/** One task maps and touches as many huge pages as fill half the memory. */
export function touchPool(totalPages: number): MachineOp[] {
  const pages = Math.floor(totalPages / 2 / PAGES_PER_HUGE);
  const task = { mapping: 1, cpu: 0, policy: DEFAULT_POLICY, mems: null };
  return [
    { op: 'mapHuge', ...task, pages, reserve: true },
    { op: 'touchHuge', ...task, from: 0, count: pages },
  ];
}

/** The task ends, and the pool gives everything back. */
export function emptyPool(): MachineOp[] {
  return [
    { op: 'unmapHuge', mapping: 1, cpu: 0 },
    { op: 'hugepages', count: 0, node: null, policy: DEFAULT_POLICY },
  ];
}

/** A zone whose kernel compacts, though never by itself: no score is looked at. */
export function compactingZone(pages: number): MachineConfig {
  const compaction = { compactScanNs: 10, migrateNs: 1500, firstCompactCheckNs: 512_000_000 };
  return { ...oneZone(pages), compaction };
}

/** Somebody writes to vm.compact_memory. */
export function compactAll(): MachineOp[] {
  return [{ op: 'compact', cpu: 0, node: null }];
}

const NODES = 8;
const CPUS_PER_NODE = 16;
export const GUESTS = 128;
/** Parts in which guests that start together get their memory in turn. */
const CHUNKS = 4;

/** Eight nodes with sixteen CPUs each; a sixty-fourth of the first node is DMA32. */
export function planMachine(totalPages: number): MachineConfig {
  const pages = totalPages / NODES;
  const nodes = Array.from({ length: NODES }, (_, node) => {
    const startPfn = (node + 1) * NODE_SPAN_PAGES;
    const dma32 = node === 0 ? Math.floor(pages / 64) : 0;
    const zones: MachineZoneConfig[] = [
      { index: 2, startPfn: startPfn + dma32, pages: pages - dma32 },
    ];
    if (dma32 > 0) zones.unshift({ index: 1, startPfn, pages: dma32 });
    return {
      cpus: Array.from({ length: CPUS_PER_NODE }, (__, i) => node * CPUS_PER_NODE + i),
      zones,
    };
  });
  return machine(nodes, { zone_reclaim_mode: 1 });
}

/** Guests take turns on the policies; those that name two nodes name their own and the next one. */
function guestPolicy(guest: number): MachinePolicy {
  const home = guest % NODES;
  const pair = [home, (home + 1) % NODES].sort((a, b) => a - b);
  switch (Math.floor(guest / NODES) % 5) {
    case 0:
      return DEFAULT_POLICY;
    case 1:
      return { mode: 'preferred', nodes: [home] };
    case 2:
      return { mode: 'bind', nodes: [home] };
    case 3:
      return { mode: 'interleave', nodes: pair };
    default:
      return { mode: 'preferred_many', nodes: pair };
  }
}

/** Guests of a node have 37.5 % of it together, those of nodes 1 and 5 more than what the cache leaves free. */
function guestPages(guest: number, nodePages: number): number {
  const home = guest % NODES;
  const permille = home === 1 || home === 5 ? 416 : 375;
  // Sizes differ by up to 10 % either way and come out even over a node's guests.
  const turn = Math.floor(guest / NODES);
  const share = 90 + (((turn * 7) % 16) * 20) / 15;
  return Math.floor((((nodePages * permille) / 1000 / (GUESTS / NODES)) * share) / 100);
}

function guestCpu(guest: number): number {
  return (guest % NODES) * CPUS_PER_NODE + Math.floor(guest / NODES);
}

/** Starts guests together; `growth` of 1.05 makes them 5 % larger. */
function startGuests(
  guests: number[],
  firstOwner: number,
  pages: number,
  growth: number,
): MachineOp[] {
  return Array.from({ length: CHUNKS }, () =>
    guests.map((guest) =>
      allocPages({
        owner: firstOwner + guest,
        cpu: guestCpu(guest),
        policy: guestPolicy(guest),
        count: Math.floor((guestPages(guest, pages) * growth) / CHUNKS),
      }),
    ),
  ).flat();
}

/**
 * A day of a host: page cache up to 60 % of every node; 128 guests start, which crosses the low marks of
 * nodes 1 and 5 and makes them reclaim cache; every fourth one stops; the marks are raised; the stopped ones
 * start again, 5 % larger; then background reclaim comes to rest.
 */
export function planOps(totalPages: number): MachineOp[] {
  const pages = totalPages / NODES;
  const guests = Array.from({ length: GUESTS }, (_, guest) => guest);
  const stopped = guests.filter((guest) => Math.floor(guest / NODES) % 4 === 1);
  return [
    ...Array.from({ length: NODES }, (_, node) =>
      allocPages({
        owner: 1000 + node,
        kind: 'file',
        cpu: node * CPUS_PER_NODE,
        policy: { mode: 'bind', nodes: [node] },
        count: Math.floor((pages * 6) / 10),
      }),
    ),
    ...startGuests(guests, 1, pages, 1),
    ...stopped.map((guest) =>
      freePages({ owner: 1 + guest, cpu: guestCpu(guest), count: guestPages(guest, pages) }),
    ),
    { op: 'sysctl', name: 'watermark_scale_factor', value: 20 },
    ...startGuests(stopped, 2001, pages, 1.05),
    { op: 'settle' },
  ];
}

const RECLAIM_GUESTS = 10;

/** Two nodes with eight CPUs each. */
export function reclaimMachine(totalPages: number, swapPages: number): MachineConfig {
  const nodes = [0, 1].map((node) => ({
    cpus: Array.from({ length: 8 }, (_, i) => node * 8 + i),
    zones: [{ index: 2 as const, startPfn: (node + 1) * NODE_SPAN_PAGES, pages: totalPages / 2 }],
  }));
  return { ...machine(nodes, {}), swapPages };
}

/**
 * Page cache on both nodes, then ten guests, five bound to each node, that grow in turn by a fourth of their
 * memory; shares are 64ths of the whole.
 */
export function reclaimOps(
  totalPages: number,
  shares: { cache: number; guests: number },
): [fill: MachineOp[], grow: MachineOp[]] {
  const bind = (node: number): MachinePolicy => ({ mode: 'bind', nodes: [node] });
  const fill = [0, 1].map((node) =>
    allocPages({
      ...{ owner: 1000 + node, kind: 'file', cpu: node * 8, policy: bind(node) },
      count: Math.floor((totalPages * shares.cache) / 128),
    }),
  );
  const piece = Math.floor((totalPages * shares.guests) / 64 / RECLAIM_GUESTS / CHUNKS);
  const grow = Array.from({ length: RECLAIM_GUESTS * CHUNKS }, (_, i) => {
    const guest = i % RECLAIM_GUESTS;
    const node = guest % 2;
    const cpu = node * 8 + Math.floor(guest / 2);
    return allocPages({ owner: 1 + guest, cpu, policy: bind(node), count: piece });
  });
  return [fill, grow];
}
