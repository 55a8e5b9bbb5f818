/** Builds the state from a host model, and recomputes what the kernel recomputes when a setting changes. */
import { ZONE_NORMAL } from './constants';
import { hardwareProfiles } from './hardware-profile';
import { caveat, type GuestState, type KernelState } from './kernel-state';
import { Lru, NR_LRU_LISTS, accountRun, type Run } from './lru';
import { newMapping, type Mapping } from './page-map';
import { pcpBatch, pcpHigh } from './pcp';
import { kernelProfiles } from './profile';
import type { GuestProcess, HostModel, HostNode, HostZone, ReplayInput } from './types';
import { ZONE_NAMES } from './types';
import { lowmemReserve, minFreeKbytes, setupPerZoneWmarks } from './watermark';
import type { NodeState, Zone } from './zone';
import { buildZonelists } from './zonelist';

export const DEFAULT_HARDWARE = 'generic-2s';

/** State before the first step. The model must have passed validateHostModel. */
export function buildKernel(input: ReplayInput): KernelState {
  const { host } = input;
  const order = host.nodes.map((_, i) => i).sort((a, b) => idOf(host, a) - idOf(host, b));
  const hostNodes = order.map((i) => host.nodes[i]!);
  const distances = order.map((i) => order.map((j) => host.distances[i]![j]!));
  const nodes = hostNodes.map(buildNode);
  const swapCache = newMapping('anon', 'swap cache', nodes.length, false);
  const k: KernelState = {
    profile: kernelProfiles[host.kernelProfile],
    hardware: hardwareProfiles[input.hardwareProfile ?? DEFAULT_HARDWARE]!,
    seed: input.seed,
    nodes,
    zones: nodes.flatMap((node) => node.zones),
    cpus: [],
    distances,
    zonelists: [],
    fallbackOrder: [],
    sysctl: structuredClone(host.sysctl),
    userMinFreeKbytes: -1,
    thp: { ...host.thp },
    swap: { ...host.swap },
    guests: new Map(),
    files: new Map(),
    hostMappings: [swapCache],
    swapCache,
    vmstat: {},
    timeNs: 0,
    busyCpus: [],
    allocatorCpu: -1,
    totals: {
      oomKills: 0,
      stallNs: 0,
      directReclaimedPages: 0,
      nodeReclaimedPages: 0,
      kswapdReclaimedPages: 0,
      swappedOutPages: 0,
    },
    events: [],
    current: { name: 'host', killed: false },
    caveats: new Map(),
  };
  for (const node of nodes) {
    for (const id of node.cpus) k.cpus.push({ id, position: k.cpus.length, node });
  }
  setupZonelists(k);
  hostNodes.forEach((hostNode, i) => fillZones(k, hostNode, nodes[i]!));
  setupNodeReclaim(k);
  for (const guest of input.runningGuests) addGuest(k, guest);
  hostNodes.forEach((hostNode, i) => fillLru(k, hostNode, nodes[i]!, input));
  settleOtherPages(k);
  return k;
}

function idOf(host: HostModel, index: number): number {
  return host.nodes[index]!.nodeId;
}

function buildNode(host: HostNode, position: number): NodeState {
  const node: NodeState = {
    id: host.nodeId,
    position,
    cpus: [...host.cpus],
    zones: [],
    lists: Array.from({ length: NR_LRU_LISTS }, (_, index) => new Lru(index)),
    filePages: 0,
    mappedPages: 0,
    shmemPages: 0,
    anonPages: 0,
    dirtyPages: 0,
    writebackPages: host.writebackPages,
    slabReclaimable: host.slabReclaimablePages,
    hugeAnonPages: 0,
    numastat: { ...host.numastat },
    minUnmappedPages: 0,
    minSlabPages: 0,
    nonresidentAge: 0,
    anonCost: 0,
    fileCost: 0,
    kswapdFailures: 0,
    kswapd: { state: 'asleep', nextNs: Infinity },
    refaults: [0, 0],
    refaultsSeen: [0, 0],
  };
  node.zones = host.zones
    .filter((zone) => zone.managedPages > 0)
    .map((zone) => buildZone(zone, node));
  node.zones.sort((a, b) => a.index - b.index);
  return node;
}

function buildZone(host: HostZone, node: NodeState): Zone {
  const first = host.pagesets[0];
  const huge = (host.freeBlocks[9] ?? 0) * 512 + (host.freeBlocks[10] ?? 0) * 1024;
  return {
    node,
    name: host.name,
    index: ZONE_NAMES.indexOf(host.name),
    managed: host.managedPages,
    present: host.presentPages,
    free: host.freePages,
    hugeFree: Math.min(huge, Math.floor(host.freePages / 512) * 512),
    mergingPages: 0,
    boost: host.boostPages,
    min: host.minPages - host.boostPages,
    low: host.lowPages - host.boostPages,
    high: host.highPages - host.boostPages,
    protection: Array.from(
      { length: 5 },
      (_, j) => host.protectionPages[j] ?? host.protectionPages.at(-1) ?? 0,
    ),
    pcpBatch: first?.batchPages ?? 1,
    pcpHigh: first?.highPages ?? 4,
    pcps: [],
    lruPages: new Array<number>(NR_LRU_LISTS).fill(0),
    kernelPages: 0,
    otherPages: 0,
    reclaimActive: false,
  };
}

function fillZones(k: KernelState, host: HostNode, node: NodeState): void {
  for (const zone of node.zones) {
    const source = host.zones.find((candidate) => candidate.name === zone.name)!;
    zone.pcps = k.cpus.map((cpu) => ({
      pages: source.pagesets.find((pageset) => pageset.cpu === cpu.id)?.countPages ?? 0,
      hugePages: 0,
      freeFactor: 0,
    }));
  }
}

/** Fallback lists: nodes by distance, zones of a node from high to low. */
function setupZonelists(k: KernelState): void {
  k.fallbackOrder = buildZonelists(
    k.nodes.map((node) => ({
      nodeId: node.id,
      hasCpus: node.cpus.length > 0,
      hasMemory: node.zones.length > 0,
    })),
    k.distances,
  );
  k.zonelists = k.fallbackOrder.map(({ order }) =>
    order.flatMap((id) => [...k.nodes.find((node) => node.id === id)!.zones].reverse()),
  );
}

/** @kernel mm/page_alloc.c setup_min_unmapped_ratio(), setup_min_slab_ratio() */
export function setupNodeReclaim(k: KernelState): void {
  const share = (zones: Zone[], percent: number): number =>
    zones.reduce((sum, zone) => sum + Math.floor((zone.managed * percent) / 100), 0);
  for (const node of k.nodes) {
    node.minUnmappedPages = share(node.zones, k.sysctl.min_unmapped_ratio);
    node.minSlabPages = share(node.zones, k.sysctl.min_slab_ratio);
  }
}

/** Recomputes marks, pcp sizes and reserves from min_free_kbytes as it stands. */
export function setupWatermarks(k: KernelState): void {
  const marks = setupPerZoneWmarks(
    k.zones.map((zone) => ({ zoneIndex: zone.index, managedPages: zone.managed })),
    k.sysctl.min_free_kbytes,
    k.sysctl.watermark_scale_factor,
  );
  k.zones.forEach((zone, i) => {
    zone.min = marks[i]!.minPages;
    zone.low = marks[i]!.lowPages;
    zone.high = marks[i]!.highPages;
    zone.boost = 0;
  });
  setupPcps(k);
}

/** Sizes of the per-CPU lists; a batch set at boot was computed before all memory was handed over. @kernel mm/page_alloc.c zone_pcp_update() */
export function setupPcps(k: KernelState): void {
  for (const zone of k.zones) {
    zone.pcpBatch = pcpBatch(zone.managed, k.profile);
    zone.pcpHigh = pcpHigh({
      managedPages: zone.managed,
      lowPages: zone.low,
      batchPages: zone.pcpBatch,
      nodeCpus: zone.node.cpus.length,
      onlineCpus: k.cpus.length,
      percpuPagelistHighFraction: k.sysctl.percpu_pagelist_high_fraction,
    });
  }
}

/** @kernel mm/page_alloc.c setup_per_zone_lowmem_reserve() */
export function setupLowmemReserve(k: KernelState): void {
  for (const node of k.nodes) {
    const reserves = lowmemReserve(
      node.zones.map((zone) => ({ zoneIndex: zone.index, managedPages: zone.managed })),
      k.sysctl.lowmem_reserve_ratio,
    );
    node.zones.forEach((zone, i) => {
      zone.protection = reserves[i]!;
    });
  }
}

/** min_free_kbytes as khugepaged's start or stop, or a boot, recomputes it. */
export function recomputeMinFree(k: KernelState): void {
  k.sysctl.min_free_kbytes = minFreeKbytes(
    {
      zones: k.zones.map((zone) => ({
        zoneIndex: zone.index,
        managedPages: zone.managed,
        highPages: zone.high + zone.boost,
      })),
      thpEnabled: k.thp.enabled !== 'never',
      userMinFreeKbytes: k.userMinFreeKbytes,
      currentMinFreeKbytes: k.sysctl.min_free_kbytes,
    },
    k.profile,
  );
  setupWatermarks(k);
}

/** Registers a process; its regions start empty. */
export function addGuest(k: KernelState, spec: GuestProcess): GuestState {
  const order = k.guests.size;
  const guest: GuestState = {
    spec,
    alive: true,
    mappings: spec.regions.map((region) =>
      newMapping('anon', `${spec.name}/${region.cell}`, k.nodes.length, true, spec.name),
    ),
    overhead: newMapping('anon', `${spec.name}/process`, k.nodes.length, true, spec.name),
    pageTables: new Map(),
    cpuPositions: spec.regions.map((region) => cpusOf(k, region.cpuNodes, order)),
    stallNs: 0,
    ilPrev: 0,
    spilled: false,
    order,
  };
  k.guests.set(spec.name, guest);
  return guest;
}

/** One CPU per node that the region's threads run on; guests take a node's CPUs in turn. */
export function cpusOf(k: KernelState, cpuNodes: number[], turn: number): number[] {
  const positions = cpuNodes.flatMap((id) => {
    const own = k.cpus.filter((cpu) => cpu.node.id === id);
    return own.length > 0 ? [own[turn % own.length]!.position] : [];
  });
  return positions.length > 0 ? positions : [0];
}

/** Distributes a node's LRU pages over its zones: known per zone, else by what each zone has in use. */
function perZone(host: HostNode, node: NodeState, key: keyof HostNode['lru']): [Zone, number][] {
  const known = node.zones.every((zone) => hostZone(host, zone)?.lru);
  if (known) return node.zones.map((zone) => [zone, hostZone(host, zone)!.lru![key]]);
  let left = host.lru[key];
  const shares: [Zone, number][] = [];
  for (const zone of [...node.zones].reverse()) {
    const room = zoneRoom(zone);
    const pages = Math.min(left, room);
    left -= pages;
    shares.push([zone, pages]);
  }
  return shares.reverse();
}

function hostZone(host: HostNode, zone: Zone): HostZone | undefined {
  return host.zones.find((candidate) => candidate.name === zone.name);
}

/** Pages of a zone that are in use and not yet on a list. */
function zoneRoom(zone: Zone): number {
  const held = zone.pcps.reduce((sum, pcp) => sum + pcp.pages, 0);
  const listed = zone.lruPages.reduce((sum, pages) => sum + pages, 0);
  return Math.max(zone.managed - zone.free - held - listed, 0);
}

/** Puts the host's pages on the lists: its own first (oldest), then running guests' pages. */
function fillLru(k: KernelState, host: HostNode, node: NodeState, input: ReplayInput): void {
  const keys = [
    'inactiveAnonPages',
    'activeAnonPages',
    'inactiveFilePages',
    'activeFilePages',
    'unevictablePages',
  ] as const;
  const anonOther = hostMapping(k, 'anon', `host/${node.id}/anon`);
  const fileOther = hostMapping(k, 'file', `host/${node.id}/cache`);
  const shmem = hostMapping(k, 'anon', `host/${node.id}/shmem`);
  shmem.shmem = true;
  const claims = guestClaims(k, node, input);
  const used = { mapped: host.mappedPages, dirty: host.dirtyPages, shmem: host.shmemPages };
  for (const index of [3, 2, 4, 1, 0]) {
    // A node's high zones fill first, so that their pages are the older ones.
    for (const [zone, listed] of perZone(host, node, keys[index]!).reverse()) {
      let pages = Math.min(listed, zoneRoom(zone));
      if (index === 2 || index === 3) {
        for (const [take, mapped, dirty] of fileParts(pages, used)) {
          placeHost(node, zone, index, fileOther, take, mapped, dirty);
        }
        continue;
      }
      const claimed = takeClaims(claims, pages, index === 4);
      pages -= claimed.reduce((sum, claim) => sum + claim.pages, 0);
      const shared = index === 0 || index === 4 ? Math.min(used.shmem, pages) : 0;
      used.shmem -= shared;
      placeHost(node, zone, index, shmem, shared, false, false);
      placeHost(node, zone, index, anonOther, pages - shared, true, false);
      for (const claim of claimed) placeClaim(node, zone, index, claim);
    }
  }
  node.shmemPages = Math.max(node.shmemPages, 0);
  const missing = claims.reduce((sum, claim) => sum + claim.pages, 0);
  if (missing > 0) {
    caveat(
      k,
      'residency-exceeds-lru',
      `running guests are said to hold ${missing} pages more on node ${node.id} than its LRU lists have; they are left out`,
    );
  }
}

function fileParts(
  pages: number,
  used: { mapped: number; dirty: number },
): [number, boolean, boolean][] {
  const mapped = Math.min(used.mapped, pages);
  used.mapped -= mapped;
  const dirty = Math.min(used.dirty, pages - mapped);
  used.dirty -= dirty;
  return [
    [mapped, true, false],
    [pages - mapped - dirty, false, false],
    [dirty, false, true],
  ];
}

function hostMapping(k: KernelState, kind: Mapping['kind'], name: string): Mapping {
  const mapping = newMapping(kind, name, k.nodes.length, false);
  k.hostMappings.push(mapping);
  return mapping;
}

function placeHost(
  node: NodeState,
  zone: Zone,
  index: number,
  owner: Mapping,
  pages: number,
  mapped: boolean,
  dirty: boolean,
): void {
  if (pages <= 0) return;
  const run: Run = {
    owner,
    zone,
    pages,
    offset: 0,
    span: pages,
    mapped,
    // What lies on an inactive list when the replay starts has not been used for long.
    young: mapped && index !== 0,
    referenced: false,
    workingset: false,
    dirty,
    huge: false,
  };
  accountRun(run, 1);
  node.lists[index]!.push(run);
}

interface Claim {
  mapping: Mapping;
  offset: number;
  pages: number;
  /** Base pages of it that lie in huge pages. */
  hugePages: number;
  pinned: boolean;
}

/** What running guests hold on a node, region by region, at ascending offsets. */
function guestClaims(k: KernelState, node: NodeState, input: ReplayInput): Claim[] {
  const claims: Claim[] = [];
  for (const running of input.runningGuests) {
    const guest = k.guests.get(running.name)!;
    running.regions.forEach((region, i) => {
      let offset = 0;
      for (const residency of running.residency) {
        if (residency.cell !== region.cell) continue;
        if (residency.nodeId === node.id && residency.pages > 0) {
          claims.push({
            mapping: guest.mappings[i]!,
            offset,
            pages: residency.pages,
            hugePages: Math.min(residency.hugePages, Math.floor(residency.pages / 512)) * 512,
            pinned: region.pinned,
          });
        }
        offset += residency.pages;
      }
    });
  }
  return claims;
}

function takeClaims(claims: Claim[], pages: number, unevictable: boolean): Claim[] {
  const taken: Claim[] = [];
  let left = pages;
  for (const claim of claims) {
    if (claim.pinned !== unevictable || claim.pages === 0 || left === 0) continue;
    const now = Math.min(claim.pages, left);
    const huge = Math.min(claim.hugePages, Math.floor(now / 512) * 512);
    taken.push({ ...claim, pages: now, hugePages: huge });
    claim.pages -= now;
    claim.hugePages -= huge;
    claim.offset += now;
    left -= now;
  }
  return taken;
}

function placeClaim(node: NodeState, zone: Zone, index: number, claim: Claim): void {
  const parts: [number, number, boolean][] = [
    [claim.offset, claim.hugePages, true],
    [claim.offset + claim.hugePages, claim.pages - claim.hugePages, false],
  ];
  for (const [offset, pages, huge] of parts) {
    if (pages <= 0) continue;
    const run: Run = {
      owner: claim.mapping,
      zone,
      pages,
      offset,
      span: pages,
      mapped: true,
      young: true,
      referenced: false,
      workingset: false,
      dirty: true,
      huge,
    };
    claim.mapping.present!.spread(offset, pages, pages);
    accountRun(run, 1);
    node.lists[index]!.push(run);
  }
}

/** Whatever is in use and on no list stays as it is: kernel memory, hugetlb pools, balloon pages. */
function settleOtherPages(k: KernelState): void {
  for (const zone of k.zones) zone.otherPages = zoneRoom(zone);
}

/** Zones that khugepaged and min_free_kbytes count. */
export function populatedKernelZones(k: KernelState): number {
  return k.zones.filter((zone) => zone.index <= ZONE_NORMAL).length;
}
