/**
 * Marks, reserves and list sizes of a host's zones under any known kernel, from sizes and settings alone.
 * @differs the sizes of boot time may be others: a kernel computes its marks before all memory is handed over
 */
import type { Architecture, ArchitectureZone } from './architecture';
import { pcpBatch, pcpHigh } from './pcp';
import type { KernelProfile } from './profile';
import {
  lowmemReserve,
  minFreeKbytes,
  setupPerZoneWmarks,
  type Watermarks,
  type ZoneSize,
} from './watermark';

export interface ReserveZone {
  nodeId: number;
  zone: ArchitectureZone;
  presentPages: number;
  managedPages: number;
}

export interface ReserveHost {
  architecture: Architecture;
  /** Populated zones of all nodes, without Device. */
  zones: ReserveZone[];
  /** CPUs by node; without any, a list is sized for one CPU. */
  cpusByNode: Map<number, number>;
  /** khugepaged runs. */
  thpEnabled: boolean;
}

/** Settings in force; those that are absent are what the kernel boots with. */
export interface ReserveSettings {
  minFreeKbytes?: number;
  watermarkScaleFactor?: number;
  lowmemReserveRatio?: number[];
  /** 0 where lists follow the low mark; kernels with `six-batches` have another setting and take no notice. */
  percpuPagelistHighFraction?: number;
}

export interface ZoneReserve extends ReserveZone, Watermarks {
  /** By class, in the architecture's zone order. */
  protectionPages: number[];
  /** Pages set aside in all against requests of the highest class: protection and high mark, at most the zone. */
  totalReservePages: number;
  pcpBatchPages: number;
  pcpHighPages: number;
}

export interface HostReserves {
  settings: Required<ReserveSettings>;
  /** What the kernel computes for this machine, whatever is in force, KiB. */
  computedMinFreeKbytes: number;
  zones: ZoneReserve[];
}

/** Before 4.17 the last zone had no ratio, and HighMem the one of Normal. */
export function defaultLowmemReserveRatio(
  architecture: Architecture,
  profile: KernelProfile,
): number[] {
  const ratios = architecture.lowmemReserveRatio;
  if (profile.zeroRatio === 'no-reserve') return [...ratios];
  const movable = architecture.zones.findIndex(({ name }) => name === 'Movable');
  return ratios.slice(0, movable).map((ratio) => (ratio === 0 ? 32 : ratio));
}

/**
 * @kernel mm/page_alloc.c init_per_zone_wmark_min(), setup_per_zone_wmarks(), setup_per_zone_lowmem_reserve(), zone_set_pageset_high_and_batch()
 */
export function zoneReserves(
  host: ReserveHost,
  given: ReserveSettings,
  profile: KernelProfile,
): HostReserves {
  const sizes = host.zones.map((zone) => sizeOf(zone, host.architecture, profile));
  const computedMinFreeKbytes = minFreeKbytes(
    {
      zones: sizes.map((size) => ({ ...size, highPages: 0 })),
      thpEnabled: host.thpEnabled,
      userMinFreeKbytes: -1,
      currentMinFreeKbytes: 0,
    },
    profile,
  );
  const settings: Required<ReserveSettings> = {
    minFreeKbytes: given.minFreeKbytes ?? computedMinFreeKbytes,
    watermarkScaleFactor:
      profile.watermarkScaleFactorMax === 0
        ? 0
        : (given.watermarkScaleFactor ?? profile.defaultSysctls.watermark_scale_factor),
    lowmemReserveRatio:
      given.lowmemReserveRatio ?? defaultLowmemReserveRatio(host.architecture, profile),
    percpuPagelistHighFraction:
      profile.pcpHigh === 'six-batches' ? 0 : (given.percpuPagelistHighFraction ?? 0),
  };
  const marks = setupPerZoneWmarks(
    sizes,
    settings.minFreeKbytes,
    settings.watermarkScaleFactor,
    profile,
  );
  const protection = protectionOf(host, sizes, settings.lowmemReserveRatio, profile);
  const zones = host.zones.map((zone, i) =>
    completeZone(host, zone, marks[i]!, protection[i]!, settings, profile),
  );
  return { settings, computedMinFreeKbytes, zones };
}

function sizeOf(zone: ReserveZone, architecture: Architecture, profile: KernelProfile): ZoneSize {
  return {
    // The formulas know Movable by its index of x86-64 and take everything below for lowmem unless it is HighMem.
    zoneIndex: zone.zone === 'Movable' ? 3 : indexOf(zone, architecture),
    managedPages: profile.pageBasis === 'present' ? zone.presentPages : zone.managedPages,
    highmem: zone.zone === 'HighMem',
  };
}

function indexOf(zone: ReserveZone, architecture: Architecture): number {
  return architecture.zones.findIndex(({ name }) => name === zone.zone);
}

function protectionOf(
  host: ReserveHost,
  sizes: ZoneSize[],
  ratios: number[],
  profile: KernelProfile,
): number[][] {
  const effective = ratios.map((ratio) =>
    profile.zeroRatio === 'as-one' ? Math.max(ratio, 1) : ratio,
  );
  return host.zones.map((zone) => {
    const own = host.zones.flatMap((other, i) =>
      other.nodeId === zone.nodeId
        ? [{ ...sizes[i]!, zoneIndex: indexOf(other, host.architecture) }]
        : [],
    );
    const at = own.findIndex(({ zoneIndex }) => zoneIndex === indexOf(zone, host.architecture));
    return lowmemReserve(own, effective)[at]!.slice(0, host.architecture.zones.length);
  });
}

function completeZone(
  host: ReserveHost,
  zone: ReserveZone,
  marks: Watermarks,
  protectionPages: number[],
  settings: Required<ReserveSettings>,
  profile: KernelProfile,
): ZoneReserve {
  const basis = profile.pageBasis === 'present' ? zone.presentPages : zone.managedPages;
  const batchPages = pcpBatch(basis, profile);
  const cpus = [...host.cpusByNode.values()].reduce((sum, count) => sum + count, 0);
  const pcpHighPages =
    profile.pcpHigh === 'six-batches'
      ? sixBatches(basis, batchPages)
      : pcpHigh({
          managedPages: basis,
          lowPages: marks.lowPages,
          batchPages,
          nodeCpus: host.cpusByNode.get(zone.nodeId) ?? 0,
          onlineCpus: cpus,
          percpuPagelistHighFraction: settings.percpuPagelistHighFraction,
        });
  return {
    ...zone,
    ...marks,
    protectionPages,
    totalReservePages: Math.min(Math.max(...protectionPages, 0) + marks.highPages, basis),
    pcpBatchPages: batchPages,
    pcpHighPages,
  };
}

/** A batch that rounds down to nothing still moves one page, but its list is cut at none. */
function sixBatches(basisPages: number, batchPages: number): number {
  return Math.floor(basisPages / 4096) < 2 ? 0 : 6 * batchPages;
}

/** What zone_reclaim_mode starts as, and which pairs of nodes it never serves. */
export interface ZoneReclaimDefault {
  mode: 0 | 1;
  reclaimDistance: number;
  /** From a node to nodes that are farther than `reclaimDistance`: their cache is never dropped for it. */
  excluded: { nodeId: number; tooFar: number[] }[];
}

/**
 * @param distances distances[i][j] from nodeIds[i] to nodeIds[j]
 * @kernel mm/page_alloc.c build_zonelists() before 3.16, zone_allows_reclaim()
 */
export function zoneReclaimDefault(
  nodeIds: number[],
  distances: number[][],
  profile: KernelProfile,
): ZoneReclaimDefault {
  const excluded = nodeIds.map((nodeId, i) => ({
    nodeId,
    tooFar: nodeIds.filter((_, j) => (distances[i]?.[j] ?? 0) > profile.reclaimDistance),
  }));
  const far = excluded.some(({ tooFar }) => tooFar.length > 0);
  return {
    mode: profile.zoneReclaimByDistance && far ? 1 : 0,
    reclaimDistance: profile.reclaimDistance,
    excluded,
  };
}
