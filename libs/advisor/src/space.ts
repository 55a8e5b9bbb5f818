/**
 * The whole space of a request: every mode and node set of every guest that advice may move, times the grid of host
 * settings. It is what "exhaustive" refers to; the search may also try settings beyond it where a replay shows what
 * they are for.
 */
import { PAGE_KIB } from '@zonewise/simulator';
import type { HostNode, HostSysctls } from '@zonewise/simulator';
import { allowedNodes, isFixed, mayMove } from './constraints';
import type { ResolvedDemand } from './demand';
import { sameSetting } from './change';
import { effectiveNumatune } from './compile';
import { managedPages } from './host-nodes';
import { kernelDefaults } from './kernel-defaults';
import type { AdviceRequest, Change, GuestSpec, NumatuneValue } from './types';

/** Dirty share of the page cache above which RECLAIM_WRITE (zone_reclaim_mode 2) can change anything. */
const DIRTY_SHARE_FOR_WRITE = 0.01;
/** Mapped share of a node's memory above which RECLAIM_UNMAP (zone_reclaim_mode 4) can change anything. */
const MAPPED_SHARE_FOR_UNMAP = 0.01;
/** Share of a host's memory that min_free_kbytes keeps beyond the kernel's own value, above which the grid has both. */
const KEPT_SHARE = 0.01;
/** Distances of the marks, in parts per 10,000 of a zone; the kernel's default is 10, its most 3000. */
const SCALE_FACTORS = [100, 300];

/** Node sets of more nodes than this are not enumerated one by one. */
export const SUBSET_NODES_MAX = 10;

export interface Space {
  /** Guests that may move, in start order. */
  guests: { name: string; settings: NumatuneValue[] }[];
  /** Host settings, today's first. */
  host: Partial<HostSysctls>[];
  /** Number of configurations; Infinity where there are too many to count. */
  size: number;
}

/** The space of a request. Every list begins with the setting as it is. */
export function spaceOf(request: AdviceRequest, demand: ResolvedDemand): Space {
  const guests = demand.planned
    .filter(({ spec }) => mayMove(request, spec))
    .map(({ spec }) => ({ name: spec.guest.name, settings: settingsOf(request, spec) }));
  const host = hostGrid(request, demand);
  const size = guests.reduce((product, { settings }) => product * settings.length, host.length);
  return { guests, host, size };
}

/** Every configuration once, host settings innermost, the setting as it is first. */
export function* configurations(space: Space): Generator<Change> {
  for (const numatune of placements(space.guests)) {
    for (const sysctl of space.host) yield { sysctl, numatune };
  }
}

/** Every placement of the guests under one host setting; the last guest varies fastest. */
export function* placements(guests: Space['guests']): Generator<Change['numatune']> {
  const [first, ...rest] = guests;
  if (first === undefined) {
    yield {};
    return;
  }
  for (const setting of first.settings) {
    for (const others of placements(rest)) yield { [first.name]: setting, ...others };
  }
}

/**
 * numatune settings of one guest: as it is, strict, interleave and restrictive on every set of allowed nodes,
 * preferred on every one of them, and none.
 */
export function settingsOf(request: AdviceRequest, spec: GuestSpec): NumatuneValue[] {
  const today = effectiveNumatune(request, spec.guest.name);
  const nodes = allowedNodes(request);
  const sets = subsets(nodes);
  const all: NumatuneValue[] = [
    ...sets.map((nodeset) => ({ mode: 'strict' as const, nodeset })),
    ...nodes.map((node) => ({ mode: 'preferred' as const, nodeset: [node] })),
    ...sets.map((nodeset) => ({ mode: 'interleave' as const, nodeset })),
    ...sets.map((nodeset) => ({ mode: 'restrictive' as const, nodeset })),
    ...(nodes.length === request.host.nodes.length ? [{ mode: 'none' as const, nodeset: [] }] : []),
  ];
  return [today, ...all.filter((setting) => !sameSetting(setting, today))];
}

/**
 * zone_reclaim_mode (see `zoneReclaimModes()`) times watermark_scale_factor times min_free_kbytes, as far as they may change.
 * Marks go up to fixed distances, and back to the kernel's own where they have been set higher.
 */
export function hostGrid(request: AdviceRequest, demand: ResolvedDemand): Partial<HostSysctls>[] {
  const sysctl: HostSysctls = { ...request.host.sysctl, ...request.sysctl };
  const own = kernelDefaults(request);
  const modes = isFixed(request, 'zone_reclaim_mode')
    ? [sysctl.zone_reclaim_mode]
    : zoneReclaimModes(request, demand);
  const today = sysctl.watermark_scale_factor;
  const back = own.watermark_scale_factor < today ? [own.watermark_scale_factor] : [];
  const factors = isFixed(request, 'watermark_scale_factor')
    ? [today]
    : [today, ...back, ...SCALE_FACTORS.filter((factor) => factor > today)];
  const settings = modes.flatMap((zone_reclaim_mode) =>
    factors.map((watermark_scale_factor) => ({ zone_reclaim_mode, watermark_scale_factor })),
  );
  const { min_free_kbytes } = sysctl;
  const keeps = min_free_kbytes - own.min_free_kbytes > memoryKbytes(request) * KEPT_SHARE;
  if (!keeps || isFixed(request, 'min_free_kbytes')) return settings;
  return [min_free_kbytes, own.min_free_kbytes].flatMap((kbytes) =>
    settings.map((setting) => ({ ...setting, min_free_kbytes: kbytes })),
  );
}

const memoryKbytes = ({ host }: AdviceRequest): number =>
  host.nodes.reduce((sum, node) => sum + managedPages(node), 0) * PAGE_KIB;

/** zone_reclaim_mode values worth a replay: today's first, then 0 and 1, and what dirty or mapped cache calls for. */
export function zoneReclaimModes(request: AdviceRequest, demand: ResolvedDemand): number[] {
  const today = request.sysctl?.zone_reclaim_mode ?? request.host.sysctl.zone_reclaim_mode;
  const { nodes } = request.host;
  const modes = reclaimModes(
    nodes.some((node) => writesCache(node, demand)),
    nodes.some((node) => unmapsCache(node) && node.mappedPages > filePages(node) / 2),
  );
  return [...new Set([today, 0, 1, ...modes])];
}

/** 3 where RECLAIM_WRITE decides about page cache, 5 where RECLAIM_UNMAP does, 7 where both do. */
export function reclaimModes(writes: boolean, unmaps: boolean): number[] {
  return [...(writes ? [3] : []), ...(unmaps ? [5] : []), ...(writes && unmaps ? [7] : [])];
}

/** Whether RECLAIM_WRITE can change anything on a node: part of its page cache is dirty, or somebody writes it. */
export function writesCache(node: HostNode, { backgroundCache }: ResolvedDemand): boolean {
  return (
    backgroundCache.some((entry) => entry.node === node.nodeId && entry.access === 'write') ||
    (node.dirtyPages > node.filePages * DIRTY_SHARE_FOR_WRITE && node.dirtyPages > 0)
  );
}

/** Whether RECLAIM_UNMAP can change anything on a node: its mapped page cache is a share of its memory. */
export function unmapsCache(node: HostNode): boolean {
  const mapped = Math.min(node.mappedPages, filePages(node));
  return mapped > managedPages(node) * MAPPED_SHARE_FOR_UNMAP;
}

const filePages = ({ lru }: HostNode): number => lru.activeFilePages + lru.inactiveFilePages;

/** Non-empty sets of nodes: the single ones first, then by size; of more than ten nodes only the single ones and all. */
export function subsets(nodes: number[]): number[][] {
  if (nodes.length > SUBSET_NODES_MAX) return [...nodes.map((node) => [node]), nodes];
  const sets: number[][] = [];
  for (let bits = 1; bits < 1 << nodes.length; bits += 1) {
    sets.push(nodes.filter((_, i) => (bits & (1 << i)) !== 0));
  }
  return sets.sort((a, b) => a.length - b.length);
}
