/**
 * A request in miniature: the same host and guests with every size divided by the same number, so that configurations can
 * be told apart in a fraction of the time. Settings that are sizes shrink with the memory; shares, distances and costs stay.
 */
import { PAGES_PER_HUGE, PAGE_KIB } from '@zonewise/simulator';
import type { HostModel, HostNode, HostZone, LruPages } from '@zonewise/simulator';
import type { DemandProfile, GuestSpec, Outcome, SimulationRequest } from './types';

/** Nodes of a miniature have at least this much, so that marks and lists are still small beside them. */
const NODE_PAGES_MIN = 131072;
const GUEST_PAGES_MIN = 4096;
/** Pages of a replay that is fast enough to be made by the dozen as it is. */
const FULL_REPLAY_PAGES = 6e6;
/** Pages that a miniature comes to at least: more are not told apart any better. */
const REPLAY_PAGES = 1e6;
const MAX_ORDER_PAGES = 1024;
const ORDERS = 11;

/**
 * By how much a request's replays are made smaller: a power of two, 1 where they are short enough, or where memory blocks
 * and pages of 1 GiB, which have sizes of their own, are part of it. Pools of 2 MiB pages shrink with their guests.
 * @param work pages touched and reclaimed by one replay, reclaimed ones counted by what they cost
 */
export function scaleFor(request: SimulationRequest, work: number): number {
  const { host, guests, demand } = request;
  const sized =
    (demand.hotplug ?? []).length > 0 ||
    (demand.hugepages ?? []).some(({ sizeKib }) => isGiant(sizeKib)) ||
    guests.some(({ guest }) => guest.regions.some(({ hugetlb }) => isGiant(hugetlb?.sizeKib))) ||
    Object.values(request.backing ?? {}).some((backing) => backing === 1048576);
  if (sized || work < FULL_REPLAY_PAGES) return 1;
  const nodes = host.nodes.map(managed).filter((pages) => pages > 0);
  const planned = guests
    .filter(({ state }) => state === 'planned')
    .flatMap(({ guest }) => guest.regions.map((region) => region.sizePages))
    .filter((pages) => pages > 0);
  const most = Math.min(
    Math.min(...nodes) / NODE_PAGES_MIN,
    Math.min(...planned) / GUEST_PAGES_MIN,
    work / REPLAY_PAGES,
  );
  return most >= 2 ? 2 ** Math.floor(Math.log2(most)) : 1;
}

const isGiant = (sizeKib: number | undefined): boolean =>
  sizeKib !== undefined && sizeKib > PAGES_PER_HUGE * PAGE_KIB;

/** The request with every size divided by `k`; itself for 1. */
export function scaled(request: SimulationRequest, k: number): SimulationRequest {
  if (k === 1) return request;
  const { sysctl } = request;
  return {
    ...request,
    host: scaledHost(request.host, k),
    guests: request.guests.map((spec) => scaledGuest(spec, k)),
    demand: scaledDemand(request.demand, k),
    ...(sysctl && {
      sysctl: {
        ...sysctl,
        ...(sysctl.min_free_kbytes !== undefined && {
          min_free_kbytes: Math.ceil(sysctl.min_free_kbytes / k),
        }),
      },
    }),
  };
}

function managed(node: HostNode): number {
  return node.zones.reduce((sum, zone) => sum + zone.managedPages, 0);
}

function scaledHost(host: HostModel, k: number): HostModel {
  return {
    ...host,
    nodes: host.nodes.map((node) => scaledNode(node, k)),
    sysctl: { ...host.sysctl, min_free_kbytes: Math.ceil(host.sysctl.min_free_kbytes / k) },
    swap: down(host.swap, k),
  };
}

function scaledNode(node: HostNode, k: number): HostNode {
  const pages = (count: number): number => Math.floor(count / k);
  return {
    ...node,
    zones: node.zones.map((zone) => scaledZone(zone, k)),
    lru: down(node.lru, k),
    filePages: pages(node.filePages),
    ...(node.heldFilePages !== undefined && { heldFilePages: pages(node.heldFilePages) }),
    mappedPages: pages(node.mappedPages),
    shmemPages: pages(node.shmemPages),
    anonPages: pages(node.anonPages),
    dirtyPages: pages(node.dirtyPages),
    writebackPages: pages(node.writebackPages),
    slabReclaimablePages: pages(node.slabReclaimablePages),
    slabUnreclaimablePages: pages(node.slabUnreclaimablePages),
    hugepages: node.hugepages.map((pool) => ({
      ...pool,
      totalPages: pages(pool.totalPages),
      freePages: pages(pool.freePages),
      ...(pool.surplusPages !== undefined && { surplusPages: pages(pool.surplusPages) }),
    })),
  };
}

function scaledZone(zone: HostZone, k: number): HostZone {
  const freePages = Math.floor(zone.freePages / k);
  const rest = { ...zone };
  delete rest.freeBlocksByType;
  delete rest.pageblocksByType;
  return {
    ...rest,
    spannedPages: Math.ceil(zone.spannedPages / k),
    presentPages: Math.ceil(zone.presentPages / k),
    managedPages: Math.ceil(zone.managedPages / k),
    freePages,
    boostPages: Math.floor(zone.boostPages / k),
    minPages: Math.ceil(zone.minPages / k),
    lowPages: Math.ceil(zone.lowPages / k),
    highPages: Math.ceil(zone.highPages / k),
    protectionPages: zone.protectionPages.map((pages) => Math.floor(pages / k)),
    freeBlocks: blocksOf(freePages),
    pagesets: zone.pagesets.map((set) => ({
      ...set,
      countPages: Math.floor(set.countPages / k),
      highPages: Math.floor(set.highPages / k),
      batchPages: Math.max(1, Math.floor(set.batchPages / k)),
    })),
    ...(zone.lru && { lru: down(zone.lru, k) }),
  };
}

/** Free pages as blocks of order 0 to 10, the fewest. */
function blocksOf(pages: number): number[] {
  const rest = pages % MAX_ORDER_PAGES;
  return Array.from({ length: ORDERS }, (_, order) =>
    order === ORDERS - 1 ? Math.floor(pages / MAX_ORDER_PAGES) : (rest >> order) & 1,
  );
}

function scaledGuest(spec: GuestSpec, k: number): GuestSpec {
  const size = (pages: number): number => {
    const whole = Math.floor(pages / k);
    return whole >= PAGES_PER_HUGE ? whole - (whole % PAGES_PER_HUGE) : whole;
  };
  const regions = spec.guest.regions.map((region) => ({
    ...region,
    sizePages: size(region.sizePages),
  }));
  const overheadPages = Math.floor(spec.guest.overheadPages / k);
  const diskCachePages = Math.floor(spec.diskCachePages / k);
  if (spec.state === 'planned') {
    return { ...spec, diskCachePages, guest: { ...spec.guest, regions, overheadPages } };
  }
  const residency = spec.guest.residency.map((entry) => {
    const pages = Math.floor(entry.pages / k);
    return {
      ...entry,
      pages,
      hugePages: Math.floor(pages / PAGES_PER_HUGE) > 0 ? Math.floor(entry.hugePages / k) : 0,
    };
  });
  const swapPages = Math.floor(spec.guest.swapPages / k);
  const running = regions.map((region, i) => ({
    ...region,
    // What is resident fits, however the sizes were rounded.
    sizePages: Math.ceil((spec.guest.regions[i]?.sizePages ?? 0) / k),
  }));
  return {
    ...spec,
    diskCachePages,
    guest: { ...spec.guest, regions: running, overheadPages, residency, swapPages },
  };
}

function scaledDemand(demand: DemandProfile, k: number): DemandProfile {
  const { guests, backgroundCache, hugepages } = demand;
  return {
    ...demand,
    // Pools that a candidate asks for: guests are whole huge pages in a miniature too.
    ...(hugepages && {
      hugepages: hugepages.map((pool) => ({ ...pool, count: Math.ceil(pool.count / k) })),
    }),
    ...(guests && {
      guests: Object.fromEntries(
        Object.entries(guests).map(([name, own]) => [
          name,
          {
            ...own,
            ...(own.diskCacheMib !== undefined && { diskCacheMib: own.diskCacheMib / k }),
          },
        ]),
      ),
    }),
    ...(backgroundCache && {
      backgroundCache: backgroundCache.map((entry) => ({ ...entry, mib: entry.mib / k })),
    }),
  };
}

function down<T extends LruPages | HostModel['swap']>(counts: T, k: number): T {
  return Object.fromEntries(
    Object.entries(counts).map(([name, pages]) => [name, Math.floor((pages as number) / k)]),
  ) as T;
}

/** An outcome of a miniature in the units of the whole: pages and stalls times `k`. */
export function multiplied(outcome: Outcome, k: number): Outcome {
  if (k === 1) return outcome;
  const pages = (list: { nodeId: number; pages: number }[]): { nodeId: number; pages: number }[] =>
    list.map((entry) => ({ ...entry, pages: entry.pages * k }));
  return {
    ...outcome,
    guests: outcome.guests.map((guest) => ({
      ...guest,
      memoryPages: guest.memoryPages * k,
      pagesByNode: pages(guest.pagesByNode),
      stallNs: guest.stallNs * k,
      swapPages: guest.swapPages * k,
    })),
    nodes: outcome.nodes.map((node) => ({
      nodeId: node.nodeId,
      managedPages: node.managedPages * k,
      freePages: node.freePages * k,
      fileCachePages: node.fileCachePages * k,
      anonPages: node.anonPages * k,
    })),
    stallNs: outcome.stallNs * k,
    directReclaimedPages: outcome.directReclaimedPages * k,
    nodeReclaimedPages: outcome.nodeReclaimedPages * k,
    kswapdReclaimedPages: outcome.kswapdReclaimedPages * k,
    swappedOutPages: outcome.swappedOutPages * k,
    cacheLostPages: outcome.cacheLostPages * k,
  };
}
