import {
  architectures,
  checkWatermark,
  departuresOf,
  kernelProfileOf,
  kernelProfiles,
  zoneReclaimDefault,
  zoneReserves,
} from '@zonewise/simulator';
import type {
  AllocationKind,
  Architecture,
  ArchitectureName,
  ArchitectureZone,
  CheckResult,
  HostModel,
  KernelName,
  KernelProfile,
  ReserveSettings,
  ReserveZone,
  ZoneReclaimDefault,
  ZoneReserve,
} from '@zonewise/simulator';
import type { Note } from './memory-model-view';

/** What a log or zone table printed of a zone, where it did. */
export interface PrintedZone {
  freePages?: number;
  /** Free blocks by order 0..10. */
  freeBlocks?: number[];
  highatomicPages?: number;
  minPages?: number;
  lowPages?: number;
  highPages?: number;
  /** lowmem_reserve by class. */
  protectionPages?: number[];
}

export interface GivenZone extends ReserveZone, PrintedZone {}

/** A request whose check is asked for. */
export interface GivenRequest {
  order: number;
  /** The highest zone that may serve it. */
  zone: ArchitectureZone;
  kind: AllocationKind;
}

/** The request at a zone: at the low mark, as the first attempt is made, and at min with its rights. */
export interface ZoneChecks {
  /** False for zones above the request's class: they are not asked. */
  eligible: boolean;
  low: CheckResult | null;
  min: CheckResult | null;
}

export interface WatermarkRow extends ZoneReserve {
  /** What the host itself prints, where it is known; the marks without boost. */
  printed: PrintedZone | null;
  checks: ZoneChecks | null;
}

export interface WatermarksView {
  profile: { kernel: KernelName; validated: boolean };
  architecture: ArchitectureName;
  settings: Required<ReserveSettings>;
  /** Whose settings these are: those in force on the host, or what the kernel boots with. */
  settingsFrom: 'host' | 'kernel' | 'request';
  /** What the kernel computes for this machine, whatever is in force, KiB. */
  computedMinFreeKbytes: number;
  zones: WatermarkRow[];
  zoneReclaim: ZoneReclaimDefault | null;
  caveats: Note[];
}

export interface WatermarksAsk {
  profile: KernelProfile;
  architecture: ArchitectureName;
  zones: GivenZone[];
  cpus: { nodeId: number; cpus: number }[];
  thpEnabled: boolean;
  settings: ReserveSettings;
  settingsFrom: WatermarksView['settingsFrom'];
  distances?: { nodeIds: number[]; matrix: number[][] };
  request?: GivenRequest;
}

/** Marks, reserves, list sizes and, where a request is given, its check at every zone. */
export function watermarksView(ask: WatermarksAsk): WatermarksView {
  const { profile } = ask;
  const architecture = architectures[ask.architecture];
  const reserves = zoneReserves(
    {
      architecture,
      zones: ask.zones.map(({ nodeId, zone, presentPages, managedPages }) => ({
        nodeId,
        zone,
        presentPages,
        managedPages,
      })),
      cpusByNode: new Map(ask.cpus.map(({ nodeId, cpus }) => [nodeId, cpus])),
      thpEnabled: ask.thpEnabled,
    },
    ask.settings,
    profile,
  );
  return {
    profile: { kernel: profile.name, validated: profile.validated },
    architecture: ask.architecture,
    settings: reserves.settings,
    settingsFrom: ask.settingsFrom,
    computedMinFreeKbytes: reserves.computedMinFreeKbytes,
    zones: reserves.zones.map((row, i) => ({
      ...row,
      printed: printedOf(ask.zones[i]!),
      checks:
        ask.request === undefined
          ? null
          : checksOf(row, ask.zones[i]!, ask.request, profile, architecture),
    })),
    zoneReclaim:
      ask.distances === undefined
        ? null
        : zoneReclaimDefault(ask.distances.nodeIds, ask.distances.matrix, profile),
    caveats: profileCaveats(profile),
  };
}

function printedOf(zone: GivenZone): PrintedZone | null {
  const { freePages, freeBlocks, highatomicPages, minPages, lowPages, highPages, protectionPages } =
    zone;
  const printed = {
    freePages,
    freeBlocks,
    highatomicPages,
    minPages,
    lowPages,
    highPages,
    protectionPages,
  };
  const known = Object.entries(printed).filter(([, value]) => value !== undefined);
  return known.length === 0 ? null : Object.fromEntries(known);
}

/** Printed marks and reserves decide where there are any; the computed ones where not. */
function checksOf(
  row: ZoneReserve,
  given: GivenZone,
  request: GivenRequest,
  profile: KernelProfile,
  architecture: Architecture,
): ZoneChecks {
  const indexOf = (name: ArchitectureZone): number =>
    architecture.zones.findIndex((zone) => zone.name === name);
  const classIndex = indexOf(request.zone);
  if (indexOf(row.zone) > classIndex) return { eligible: false, low: null, min: null };
  const protection = given.protectionPages ?? row.protectionPages;
  const zone = {
    freePages: given.freePages ?? 0,
    freeBlocks: given.freeBlocks ?? [],
    highatomicPages: given.highatomicPages ?? 0,
    minPages: given.minPages ?? row.minPages,
    lowPages: given.lowPages ?? row.lowPages,
    highPages: given.highPages ?? row.highPages,
    reservePages: protection[classIndex] ?? 0,
  };
  const at = (mark: 'low' | 'min'): CheckResult =>
    checkWatermark(zone, { order: request.order, kind: request.kind, mark }, profile);
  return { eligible: true, low: at('low'), min: at('min') };
}

function profileCaveats(profile: KernelProfile): Note[] {
  if (profile.validated) return [];
  const message = `formulas of ${profile.name}, not held against recordings of it. ${departuresOf({ profile, exact: true }, profile.replayedAs)}`;
  return [{ code: 'kernel-not-validated', message }];
}

/** The profile that a stored host is read under unless another one is asked for. */
export function profileOfHost(model: HostModel): KernelProfile {
  const match =
    model.kernelRelease === undefined ? undefined : kernelProfileOf(model.kernelRelease);
  return match?.profile ?? kernelProfiles[model.kernelProfile];
}

/** A stored host under a kernel: with its own settings, or with those that the kernel boots with. */
export function hostWatermarksView(
  model: HostModel,
  profile: KernelProfile,
  settingsFrom: 'host' | 'kernel',
): WatermarksView {
  const { sysctl } = model;
  return watermarksView({
    profile,
    architecture: 'x86-64',
    zones: model.nodes.flatMap(({ nodeId, zones }) =>
      zones.map((zone) => ({
        nodeId,
        zone: zone.name,
        presentPages: zone.presentPages,
        managedPages: zone.managedPages,
        freePages: zone.freePages,
        freeBlocks: zone.freeBlocks,
        minPages: zone.minPages - zone.boostPages,
        lowPages: zone.lowPages - zone.boostPages,
        highPages: zone.highPages - zone.boostPages,
        protectionPages: zone.protectionPages,
      })),
    ),
    cpus: model.nodes.map(({ nodeId, cpus }) => ({ nodeId, cpus: cpus.length })),
    thpEnabled: model.thp.enabled !== 'never',
    settings:
      settingsFrom === 'kernel'
        ? {}
        : {
            minFreeKbytes: sysctl.min_free_kbytes,
            watermarkScaleFactor: sysctl.watermark_scale_factor,
            lowmemReserveRatio: sysctl.lowmem_reserve_ratio,
            percpuPagelistHighFraction: sysctl.percpu_pagelist_high_fraction,
          },
    settingsFrom,
    distances: { nodeIds: model.nodes.map(({ nodeId }) => nodeId), matrix: model.distances },
  });
}
