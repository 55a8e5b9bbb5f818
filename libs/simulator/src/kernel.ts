/** Builds the state from a host model, and recomputes what the kernel recomputes when a setting changes. */
import { noSwapWrites } from './swap-write';
import { Buddy, MAX_BLOCK_PAGES } from './buddy';
import { MIN_PERCPU_PAGELIST_HIGH_FRACTION, ZONE_NORMAL } from './constants';
import { stealBlocks } from './fallback';
import { claimBlocks } from './fallback-claim';
import { sleepingFlusher, startFlusher } from './flusher';
import { EventCounts } from './event-counts';
import { exitGuest } from './guest-exit';
import { buildHstates } from './hugetlb';
import { hardwareProfiles, type HardwareProfile } from './hardware-profile';
import {
  absentBelow,
  emptyHostZone,
  HOTPLUG_ZONES,
  plannedSpan,
  planSpans,
  type PfnSpan,
  type PlannedSpans,
} from './hotplug-plan';
import { hostSettings } from './host-settings';
import { attachHugetlb } from './initial-hugetlb';
import { settleOtherPages, startPages } from './initial-pages';
import { startExpiry } from './initial-pcp';
import type { GuestState, KernelState } from './kernel-state';
import { percpuDriftMark, statThreshold } from './free-count';
import { waitingKcompactd } from './kcompactd';
import { waitingKhugepaged } from './khugepaged';
import { sleepingKswapd } from './kswapd';
import { NR_LRU_LISTS } from './lru';
import { newLruvec } from './lruvec';
import { firstFlushNs, startMemcgStats } from './memcg-stats';
import { addGroup, groupNamed, setLimits } from './memcg';
import { newMapping } from './page-map';
import { pcpBatch, pcpHigh } from './pcp';
import { fixedPcp, Pcp, type PcpRule } from './pcp-rule';
import { singlesPcp } from './pcp-singles';
import { tunedPcp } from './pcp-tuning';
import { kernelProfiles, type KernelProfile } from './profile';
import { cpusOf } from './task-cpu';
import type {
  GuestProcess,
  HostModel,
  HostNode,
  HostZone,
  ReplayInput,
  UnseenState,
} from './types';
import { ZONE_NAMES } from './types';
import { lowmemReserve, minFreeKbytes, setupPerZoneWmarks } from './watermark';
import type { NodeState, Zone } from './zone';
import { STAT_INTERVAL_NS } from './vmstat-work';
import { buildZonelists } from './zonelist';

export const DEFAULT_HARDWARE = 'generic-2s';
const PCP_RULES: Record<KernelProfile['pcpHigh'], PcpRule> = {
  'six-batches': singlesPcp,
  'low-mark': fixedPcp,
  tuned: tunedPcp,
};

/** State before the first step. The model must have passed validateHostModel. */
export function buildKernel(input: ReplayInput): KernelState {
  const { host } = input;
  const order = host.nodes.map((_, i) => i).sort((a, b) => idOf(host, a) - idOf(host, b));
  const hostNodes = order.map((i) => host.nodes[i]!);
  const distances = order.map((i) => order.map((j) => host.distances[i]![j]!));
  const profile = kernelProfiles[host.kernelProfile];
  const hardware = hardwareProfiles[input.hardwareProfile ?? DEFAULT_HARDWARE]!;
  const unseen = { ...USUAL_UNSEEN, ...input.unseen };
  const { intervalShare } = unseen;
  const plans = planSpans(input.steps);
  const nodes = hostNodes.map((node, i) =>
    buildNode(node, i, hardware, profile, intervalShare, plans),
  );
  const k: KernelState = {
    profile,
    hardware,
    compaction: true,
    seed: input.seed,
    nodes,
    zones: nodes.flatMap((node) => node.zones),
    emptyZones: nodes.flatMap((node) => emptyZones(node, profile, plans)),
    memoryBlocks: new Map(),
    cpus: [],
    distances,
    zonelists: [],
    policyZone: 0,
    fallbackOrder: [],
    sysctl: hostSettings(host.sysctl),
    userMinFreeKbytes: -1,
    thp: { ...host.thp },
    swap: { ...host.swap },
    swapTables: [],
    swapWrites: noSwapWrites(),
    swapTree: { slabs: [], nodes: 0 },
    hugetlb: buildHstates(host, nodes),
    unseen,
    guests: new Map(),
    exit: exitGuest,
    files: new Map(),
    pipeHolders: new Map(),
    groups: new Map(),
    chargeStocks: [],
    overHighPages: 0,
    hostMappings: [],
    flusher: sleepingFlusher(),
    khugepaged: waitingKhugepaged(),
    vmstat: new EventCounts(),
    timeNs: 0,
    vmstatNs: firstVmstatNs(hardware, profile, unseen.intervalShare),
    statsFlushNs: firstFlushNs(profile, hardware, unseen.intervalShare),
    freshPages: 0,
    firstReclaimNs: hardware.firstReclaimNs,
    busyCpus: [],
    allocatorCpu: -1,
    totals: {
      oomKills: 0,
      stallNs: 0,
      directReclaimedPages: 0,
      nodeReclaimedPages: 0,
      kswapdReclaimedPages: 0,
      swappedOutPages: 0,
      cgroupReclaimedPages: 0,
    },
    guestStallNs: 0,
    stallLimitNs: input.stallLimitNs ?? Infinity,
    stallExcessNs: 0,
    stallExcess: input.stallExcess ?? { budgetNs: {}, limitNs: Infinity },
    events: [],
    current: { name: 'host', guest: undefined, killed: false },
    caveats: new Map(),
  };
  for (const node of nodes) {
    for (const id of node.cpus)
      k.cpus.push({ id, position: k.cpus.length, node, looksAgain: false });
  }
  setupZonelists(k);
  setupNodeReclaim(k);
  setupStatThresholds(k);
  for (const zone of [...k.zones, ...k.emptyZones]) zone.pcps = k.cpus.map(() => new Pcp());
  if (profile.pcpHigh === 'tuned') startTunedPcps(k, hostNodes);
  k.chargeStocks = k.cpus.map(() => ({ group: undefined, pages: 0 }));
  for (const { name, ...limits } of input.groups ?? []) setLimits(addGroup(k, name), limits);
  for (const guest of input.runningGuests) addGuest(k, guest);
  attachHugetlb(k, input);
  hostNodes.forEach((hostNode, i) => startPages(k, hostNode, nodes[i]!, input));
  settleOtherPages(k);
  startMemcgStats(k);
  startExpiry(k.zones, k.cpus.length, profile.pcpHigh === 'tuned');
  startFlusher(k);
  if (k.sysctl.compaction_proactiveness === 0) {
    // No score to look at: only a wake-up makes a compactor act.
    for (const { kcompactd } of nodes) kcompactd.nextNs = Infinity;
  }
  return k;
}

function idOf(host: HostModel, index: number): number {
  return host.nodes[index]!.nodeId;
}

/** What a host does not print, where nobody says. */
const USUAL_UNSEEN: UnseenState = {
  listShare: 0.5,
  kernelShare: 0.5,
  slabShare: 0.5,
  intervalShare: 0,
};

/** When the statistics work is due first. */
function firstVmstatNs(
  { vmstatPhaseNs }: HardwareProfile,
  { pcpHigh: rule }: KernelProfile,
  goneBy: number,
): number {
  const usualNs = rule === 'tuned' ? vmstatPhaseNs : STAT_INTERVAL_NS;
  if (goneBy === 0) return usualNs;
  return (usualNs + (1 - goneBy) * STAT_INTERVAL_NS) % STAT_INTERVAL_NS;
}

function buildNode(
  host: HostNode,
  position: number,
  hardware: HardwareProfile,
  profile: KernelProfile,
  intervalShare: number,
  plans: PlannedSpans,
): NodeState {
  const node: NodeState = {
    id: host.nodeId,
    position,
    cpus: [...host.cpus],
    zones: [],
    nrZones: 0,
    ...newLruvec(),
    groupLruvecs: [],
    filePages: 0,
    mappedPages: 0,
    shmemPages: 0,
    anonPages: 0,
    dirtyPages: 0,
    writebackPages: host.writebackPages,
    slabReclaimable: host.slabReclaimablePages,
    slabUnreclaimable: host.slabUnreclaimablePages,
    hugeAnonPages: 0,
    numastat: { ...host.numastat },
    minUnmappedPages: 0,
    minSlabPages: 0,
    kswapdFailures: 0,
    kswapd: sleepingKswapd(),
    kcompactd: waitingKcompactd(hardware.firstCompactCheckNs, intervalShare),
  };
  node.zones = host.zones
    .filter((zone) => zone.managedPages > 0)
    .map((zone) => buildZone(zone, node, profile, plannedSpan(plans, node.id, zone.name)));
  node.zones.sort((a, b) => a.index - b.index);
  node.nrZones = (node.zones.at(-1)?.index ?? -1) + 1;
  node.kcompactd.classIndex = node.nrZones - 1;
  // Only nodes with memory have one.
  if (node.zones.length === 0) node.kcompactd.nextNs = Infinity;
  return node;
}

/** Zones that the node has no memory in yet, but may get some. */
function emptyZones(node: NodeState, profile: KernelProfile, plans: PlannedSpans): Zone[] {
  return HOTPLUG_ZONES.filter((name) => !node.zones.some((zone) => zone.name === name)).flatMap(
    (name) => {
      const span = plannedSpan(plans, node.id, name);
      return span ? [buildZone(emptyHostZone(name, span), node, profile, span)] : [];
    },
  );
}

/** @param plan frames that the zone may get while the replay runs */
function buildZone(
  host: HostZone,
  node: NodeState,
  profile: KernelProfile,
  plan: PfnSpan | undefined,
): Zone {
  const first = host.pagesets[0];
  const lowestPfn = Math.min(host.startPfn, plan?.startPfn ?? Infinity);
  const basePfn = Math.floor(lowestPfn / MAX_BLOCK_PAGES) * MAX_BLOCK_PAGES;
  const endPfn = host.startPfn + host.spannedPages;
  const frames = endPfn - basePfn;
  const capacity = Math.max(endPfn, plan?.endPfn ?? 0) - basePfn;
  const tuned = profile.pcpHigh === 'tuned';
  const blockRule = profile.fallback === 'claim' ? claimBlocks : stealBlocks;
  return {
    node,
    name: host.name,
    index: ZONE_NAMES.indexOf(host.name),
    startPfn: host.startPfn,
    spanned: host.spannedPages,
    managed: host.managedPages,
    present: host.presentPages,
    buddy: new Buddy(basePfn, frames, host.startPfn - basePfn, blockRule.retypesMerged, capacity),
    usedPageblocks: Math.ceil(
      Math.min(frames, host.presentPages + frames - host.spannedPages) / 512,
    ),
    absent: absentBelow(host.startPfn, basePfn, capacity),
    memmapPages: 0,
    isolatedFreePages: 0,
    freeDrift: 0,
    statThreshold: 0,
    percpuDriftMark: 0,
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
    pcpHighMax: first?.highPages ?? 4,
    pcpRule: PCP_RULES[profile.pcpHigh],
    blockRule,
    pcps: [],
    lruPages: new Array<number>(NR_LRU_LISTS).fill(0),
    kernelPages: 0,
    otherPages: 0,
    reclaimActive: false,
    belowHigh: !tuned,
    boostedWatermark: false,
    hugetlbBlocks: new Set(),
    giganticFrames: new Set(),
    reservedHighatomic: 0,
    slabs: undefined,
    lruFrames: undefined,
    compaction: undefined,
    usedPages: undefined,
  };
}

/**
 * @param leaving a node that has just lost its memory, and has its place still
 * @kernel mm/page_alloc.c build_all_zonelists(): nodes by distance, zones of a node from high to low
 */
export function setupZonelists(k: KernelState, leaving?: NodeState): void {
  k.fallbackOrder = buildZonelists(
    k.nodes.map((node) => ({
      nodeId: node.id,
      hasCpus: node.cpus.length > 0,
      hasMemory: node.zones.length > 0 || node === leaving,
    })),
    k.distances,
  );
  k.zonelists = k.fallbackOrder.map(({ order }) =>
    order.flatMap((id) => [...k.nodes.find((node) => node.id === id)!.zones].reverse()),
  );
  const ordinary = k.zones.map(({ index }) => index).filter((index) => index <= ZONE_NORMAL);
  k.policyZone = Math.max(k.policyZone, ...ordinary);
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
    k.profile,
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
  // Such sizes do not depend on marks and stay as the kernel found them at boot.
  if (k.profile.pcpHigh === 'six-batches') return;
  for (const zone of k.zones) {
    zone.pcpBatch = pcpBatch(zone.managed, k.profile);
    setPcpBorders(k, zone);
  }
}

/** Least and most pages of a CPU's lists, by the zone's low mark. @kernel mm/page_alloc.c zone_set_pageset_high_and_batch() */
function setPcpBorders(k: KernelState, zone: Zone): void {
  const highBy = (percpuPagelistHighFraction: number): number =>
    pcpHigh({
      managedPages: zone.managed,
      lowPages: zone.low,
      batchPages: zone.pcpBatch,
      nodeCpus: zone.node.cpus.length,
      onlineCpus: k.cpus.length,
      percpuPagelistHighFraction,
    });
  const fraction = k.sysctl.percpu_pagelist_high_fraction;
  zone.pcpHigh = highBy(fraction);
  zone.pcpHighMax = highBy(fraction === 0 ? MIN_PERCPU_PAGELIST_HIGH_FRACTION : fraction);
}

/** Lists that tune themselves are found somewhere between their borders. */
function startTunedPcps(k: KernelState, hostNodes: HostNode[]): void {
  for (const zone of k.zones) {
    setPcpBorders(k, zone);
    const { pagesets } = hostNodes[zone.node.position]!.zones.find(
      ({ name }) => name === zone.name,
    )!;
    zone.pcps.forEach((pcp, position) => {
      pcp.high =
        pagesets.find(({ cpu }) => cpu === k.cpus[position]!.id)?.highPages ?? zone.pcpHigh;
    });
  }
}

/**
 * How far each CPU's count of free pages may be behind, and where that matters. The latter is found at boot with the marks of that
 * moment, before khugepaged or anybody else raises them, and stays.
 * @kernel mm/page_alloc.c init_per_zone_wmark_min(), mm/vmstat.c refresh_zone_stat_thresholds()
 */
function setupStatThresholds(k: KernelState): void {
  const sizes = k.zones.map((zone) => ({ zoneIndex: zone.index, managedPages: zone.managed }));
  const minFree = minFreeKbytes(
    {
      zones: sizes.map((size) => ({ ...size, highPages: 0 })),
      thpEnabled: false,
      userMinFreeKbytes: -1,
      currentMinFreeKbytes: 0,
    },
    k.profile,
  );
  const { watermark_scale_factor: scale } = k.profile.defaultSysctls;
  const marks = setupPerZoneWmarks(sizes, minFree, scale, k.profile);
  k.zones.forEach((zone, i) => {
    zone.statThreshold = statThreshold(zone.managed, k.cpus.length);
    zone.percpuDriftMark = percpuDriftMark(marks[i]!, zone.managed, k.cpus.length);
  });
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

/**
 * min_free_kbytes as khugepaged's start or stop recomputes it: the start only raises it.
 * @kernel mm/khugepaged.c set_recommended_min_free_kbytes()
 */
export function recomputeMinFree(k: KernelState): void {
  const thpEnabled = k.thp.enabled !== 'never';
  k.sysctl.min_free_kbytes = minFreeKbytes(
    {
      zones: k.zones.map((zone) => ({
        zoneIndex: zone.index,
        managedPages: zone.managed,
        highPages: zone.high + zone.boost,
      })),
      thpEnabled,
      userMinFreeKbytes: thpEnabled ? Infinity : k.userMinFreeKbytes,
      currentMinFreeKbytes: k.sysctl.min_free_kbytes,
    },
    k.profile,
  );
  setupWatermarks(k);
}

/** Registers a process; its regions start empty. */
export function addGuest(k: KernelState, given: GuestProcess): GuestState {
  const order = k.guests.size;
  const group = groupNamed(k, given.cgroup);
  const spec = withCpuset(given, group?.cpusetMems);
  const forked = given.processPages !== undefined;
  const guest: GuestState = {
    spec,
    group,
    alive: true,
    sigbus: undefined,
    mappings: spec.regions.map((region) =>
      newMapping('anon', `${spec.name}/${region.cell}`, k.nodes.length, true, spec.name),
    ),
    overhead: newMapping('anon', `${spec.name}/process`, k.nodes.length, true, spec.name),
    hugetlb: spec.regions.map(() => undefined),
    pageTables: [],
    processPages: [],
    cpuPositions: spec.regions.map((region) => cpusOf(k, region.cpuNodes, order, forked)),
    stallNs: 0,
    stallBudgetNs: stallBudgetNs(k, spec.name),
    ilPrev: 0,
    refusals: new Map(),
    order,
  };
  if (group) for (const mapping of [...guest.mappings, guest.overhead]) mapping.group = group;
  k.guests.set(spec.name, guest);
  return guest;
}

/** Own property only: a guest may be called `constructor`. */
function stallBudgetNs({ stallExcess: { budgetNs } }: KernelState, name: string): number {
  return Object.hasOwn(budgetNs, name) ? budgetNs[name]! : Infinity;
}

/** A group's cpuset holds for all regions that have none of their own. */
function withCpuset(spec: GuestProcess, cpusetMems: number[] | undefined): GuestProcess {
  if (!cpusetMems) return spec;
  return { ...spec, regions: spec.regions.map((region) => ({ cpusetMems, ...region })) };
}
