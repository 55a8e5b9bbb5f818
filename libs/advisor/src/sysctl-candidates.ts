/** Kernel settings as candidates: marks, reserves and node reclaim, as far as a host's state or a replay shows what they are for. */
import { kernelProfiles } from '@zonewise/simulator';
import type { HostModel, HostNode, HostSysctls } from '@zonewise/simulator';
import type { Change, Evaluated } from './evaluator';
import { managedPages } from './host-nodes';
import { kernelDefaults } from './kernel-defaults';
import { reclaimModes, unmapsCache, writesCache } from './space';
import type { ResolvedDemand } from './demand';
import type { AdviceRequest, Outcome } from './types';

/** Distances of the marks in parts per 10,000 of a zone, as they are tried at first, and the steps beyond. */
const SCALE_FACTORS = [50, 100, 200, 300];
const FURTHER_SCALE_FACTORS = [600, 1000, 2000, 3000];
const RESERVE_STEP = 4;
/** The most that such a setting holds, an int of the kernel. */
const INT_MAX = 2 ** 31 - 1;

type Raised = 'watermark_scale_factor' | 'min_free_kbytes' | 'lowmem_reserve_ratio';

/** A change with more settings on top. */
export const withSysctl = (change: Change, extra: Partial<HostSysctls>): Change => ({
  ...change,
  sysctl: { ...change.sysctl, ...extra },
});

/** A request's settings with those of a change on top. */
export function sysctlOf(request: AdviceRequest, change: Change): HostSysctls {
  return { ...request.host.sysctl, ...request.sysctl, ...change.sysctl };
}

/** Marks further apart or higher, so that kswapd starts earlier than direct reclaim. */
export function watermarkChanges(request: AdviceRequest, base: Change): Change[] {
  const sysctl = sysctlOf(request, base);
  const most = scaleFactorMax(request.host);
  const factors = SCALE_FACTORS.filter(
    (factor) => factor > sysctl.watermark_scale_factor && factor <= most,
  );
  const twice = sysctl.min_free_kbytes * 2;
  return [
    ...factors.map((watermark_scale_factor) => withSysctl(base, { watermark_scale_factor })),
    ...(twice <= INT_MAX ? [withSysctl(base, { min_free_kbytes: twice })] : []),
  ];
}

/** Marks that have been set higher than the kernel's own, back where it has them: one by one, and both. */
export function loweredMarks(request: AdviceRequest, base: Change): Change[] {
  const now = sysctlOf(request, base);
  const own = kernelDefaults(request);
  const lower = (['min_free_kbytes', 'watermark_scale_factor'] as const)
    .filter((name) => now[name] > own[name])
    .map((name): Partial<HostSysctls> => ({ [name]: own[name] }));
  const both = lower.length > 1 ? [{ ...lower[0], ...lower[1] }] : [];
  return [...lower, ...both].map((extra) => withSysctl(base, extra));
}

/** Smaller reserves of the lower zones: a step down, and the kernel's own where today's are larger. */
export function reserveChanges(request: AdviceRequest, base: Change): Change[] {
  const now = sysctlOf(request, base).lowmem_reserve_ratio;
  const own = kernelDefaults(request).lowmem_reserve_ratio;
  // 0 is no reserve at all.
  const back = now.map((ratio, i) => (ratio > 0 ? Math.max(ratio, own[i] ?? 0) : 0));
  return [steppedReserve(now), ...(String(back) === String(now) ? [] : [back])].flatMap(
    (lowmem_reserve_ratio) =>
      lowmem_reserve_ratio ? [withSysctl(base, { lowmem_reserve_ratio })] : [],
  );
}

function steppedReserve(ratio: number[]): number[] | undefined {
  const next = ratio.map((value) => value * RESERVE_STEP);
  return next.some((value) => value > 0) && Math.max(...next) <= INT_MAX ? next : undefined;
}

/** One step further for each setting that a configuration has raised above today's and that more of may better. */
export function furtherChanges(request: AdviceRequest, { change }: Evaluated): Change[] {
  const today = sysctlOf(request, { sysctl: {}, numatune: {} });
  const now = sysctlOf(request, change);
  const isRaised = (name: Raised): boolean =>
    [now[name]].flat().some((value, i) => value > ([today[name]].flat()[i] ?? 0));
  const most = scaleFactorMax(request.host);
  const factor = [...SCALE_FACTORS, ...FURTHER_SCALE_FACTORS].find(
    (value) => value > now.watermark_scale_factor && value <= most,
  );
  const twice = now.min_free_kbytes * 2;
  const reserve = steppedReserve(now.lowmem_reserve_ratio);
  const next: [Raised, Partial<HostSysctls>][] = [
    ...(factor === undefined
      ? []
      : [['watermark_scale_factor', { watermark_scale_factor: factor }] as const]),
    ...(twice <= INT_MAX ? [['min_free_kbytes', { min_free_kbytes: twice }] as const] : []),
    ...(reserve ? [['lowmem_reserve_ratio', { lowmem_reserve_ratio: reserve }] as const] : []),
  ].map(([name, extra]) => [name, extra]);
  return next.filter(([name]) => isRaised(name)).map(([, extra]) => withSysctl(change, extra));
}

function scaleFactorMax(host: HostModel): number {
  return kernelProfiles[host.kernelProfile].watermarkScaleFactorMax;
}

/** Whether guests left a node whose page cache kswapd, which was awake, left alone: marks further up keep it awake for longer. */
export function leftCacheToKswapd(one: Evaluated): boolean {
  const { outcome } = one.candidate;
  return outcome.kswapdReclaimedPages > 0 && nodesLeft(one).some((node) => cacheOf(outcome, node));
}

/**
 * Node reclaim where guests left nodes with page cache: what of it the modes may take is by the state of these nodes (mapped,
 * dirty), and without the share that min_unmapped_ratio keeps from it where that is most.
 */
export function nodeReclaimChanges(
  request: AdviceRequest,
  demand: ResolvedDemand,
  one: Evaluated,
): Change[] {
  const { host } = request;
  const sysctl = sysctlOf(request, one.change);
  const left = new Set(nodesLeft(one));
  const nodes = host.nodes.filter(({ nodeId }) => left.has(nodeId));
  const modes = reclaimModes(
    nodes.some((node) => writesCache(node, demand)),
    nodes.some((node) => unmapsCache(node)),
  );
  const changes = modes.map((zone_reclaim_mode) => withSysctl(one.change, { zone_reclaim_mode }));
  const kept = nodes.some((node) => isKept(node, sysctl, one.candidate.outcome));
  if (!kept || sysctl.zone_reclaim_mode !== 0) return changes;
  const together = [1, ...modes].map((zone_reclaim_mode) =>
    withSysctl(one.change, { zone_reclaim_mode, min_unmapped_ratio: 0 }),
  );
  return [...changes, ...together];
}

/**
 * Whether min_unmapped_ratio keeps at least half of a node's unmapped page cache from node reclaim.
 * @kernel mm/vmscan.c node_reclaim()
 */
function isKept(node: HostNode, sysctl: HostSysctls, outcome: Outcome): boolean {
  const unmapped = cacheOf(outcome, node.nodeId) - node.mappedPages;
  const kept = (managedPages(node) * sysctl.min_unmapped_ratio) / 100;
  return unmapped > 0 && unmapped <= 2 * kept;
}

/** Nodes that guests' pages left for others. */
const nodesLeft = ({ spills }: Evaluated): number[] => spills.map(({ fromNode }) => fromNode);

function cacheOf({ nodes }: Outcome, id: number): number {
  return nodes.find(({ nodeId }) => nodeId === id)?.fileCachePages ?? 0;
}
