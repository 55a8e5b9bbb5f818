import type { HostModel, HostSysctls } from '@zonewise/simulator';
import { roomPages, wantedPages } from './bounds';
import type { ResolvedDemand } from './demand';
import type { Change } from './evaluator';
import { without } from './change';
import { cpuNodes, distanceBetween, memoryNodes, nearestFirst } from './host-nodes';
import { guestCpuNodes, hasCellNodes, homeNodes, isPinned, tunedRegions } from './placement';
import { zoneReclaimModes } from './space';
import type { AdviceRequest, GuestSpec, NumatuneSetting, PlacementMode } from './types';

/** Modes that advice may choose, in the order in which ties are decided. */
export const ADVISED_MODES: readonly Exclude<PlacementMode, 'none'>[] = [
  'strict',
  'preferred',
  'interleave',
  'restrictive',
];

const SCALE_FACTORS = [50, 100, 200, 300];
const SCALE_FACTOR_MAX = 3000;

/** A guest's setting under a mode, on the nodes where it belongs today. */
export function settingAtHome(
  spec: GuestSpec,
  mode: PlacementMode,
  host: HostModel,
): NumatuneSetting {
  const home = homeNodes(spec, host);
  if (mode === 'none') return { mode, nodeset: [] };
  if (mode === 'interleave') {
    return { mode, nodeset: home.length > 1 ? home : memoryNodes(host) };
  }
  // Cells with nodes of their own keep them: one preferred node for all would take them apart.
  const single = mode === 'preferred' && !hasCellNodes(tunedRegions(spec));
  return { mode, nodeset: single ? home.slice(0, 1) : home };
}

/** All planned guests changed alike, with each zone_reclaim_mode; the first one is no change at all. */
export function jointChanges(request: AdviceRequest, demand: ResolvedDemand): Change[] {
  const { host } = request;
  const modes: (PlacementMode | 'as-is')[] =
    demand.planned.length > 0 ? ['as-is', ...ADVISED_MODES] : ['as-is'];
  return modes.flatMap((mode) =>
    zoneReclaimModes(request, demand).map((zone_reclaim_mode) => ({
      sysctl: { zone_reclaim_mode },
      numatune: mode === 'as-is' ? {} : allAlike(mode, demand, host),
    })),
  );
}

function allAlike(
  mode: PlacementMode,
  demand: ResolvedDemand,
  host: HostModel,
): Change['numatune'] {
  return Object.fromEntries(
    demand.planned.map(({ spec }) => [spec.guest.name, settingAtHome(spec, mode, host)]),
  );
}

/**
 * What an operator asks about first: zone_reclaim_mode alone turned on (or off), and all planned guests in
 * one mode under today's kernel settings.
 */
export function pureChanges(
  host: HostModel,
  sysctl: HostSysctls,
  demand: ResolvedDemand,
): Change[] {
  const zone_reclaim_mode = sysctl.zone_reclaim_mode === 0 ? 1 : 0;
  return [
    { sysctl: { zone_reclaim_mode }, numatune: {} },
    ...ADVISED_MODES.map((mode) => ({ sysctl: {}, numatune: allAlike(mode, demand, host) })),
  ];
}

/** One guest changed in every way that keeps it on its own nodes; the first is "as configured". */
export function guestChanges(base: Change, spec: GuestSpec, host: HostModel): Change[] {
  const name = spec.guest.name;
  const others = without(base.numatune, name);
  const asIs: Change = { sysctl: base.sysctl, numatune: others };
  return [
    asIs,
    ...ADVISED_MODES.map((mode) => ({
      sysctl: base.sysctl,
      numatune: { ...others, [name]: settingAtHome(spec, mode, host) },
    })),
  ];
}

/** One guest on other single nodes, those that have room for it, nearest to its CPUs first. */
export function moveChanges(
  base: Change,
  planned: ResolvedDemand['planned'][number],
  host: HostModel,
  nodesMax: number,
): Change[] {
  const { spec } = planned;
  const home = homeNodes(spec, host);
  const from = guestCpuNodes(spec.guest)[0] ?? home[0] ?? 0;
  const others = memoryNodes(host).filter(
    (node) => !home.includes(node) && roomPages(host, node) >= wantedPages(planned),
  );
  return nearestFirst(host, from, others)
    .slice(0, nodesMax)
    .flatMap((node) =>
      (['strict', 'preferred'] as const).map((mode) => ({
        sysctl: base.sysctl,
        numatune: { ...base.numatune, [spec.guest.name]: { mode, nodeset: [node] } },
      })),
    );
}

/**
 * All planned guests packed anew: the largest first, each on the node with room for it that is nearest to
 * its CPUs (a guest that is not pinned: the fullest node that still holds it and has CPUs). Guests that fit
 * nowhere stay as they are.
 */
export function packedChanges(base: Change, demand: ResolvedDemand, host: HostModel): Change[] {
  const room = new Map(memoryNodes(host).map((node) => [node, roomPages(host, node)]));
  const bySize = [...demand.planned].sort((a, b) => wantedPages(b) - wantedPages(a));
  const nodeOf = new Map<string, number>();
  for (const planned of bySize) {
    const node = packNode(planned, room, host);
    if (node === undefined) continue;
    nodeOf.set(planned.spec.guest.name, node);
    room.set(node, (room.get(node) ?? 0) - wantedPages(planned));
  }
  return (['strict', 'preferred'] as const).map((mode) => ({
    sysctl: base.sysctl,
    numatune: {
      ...base.numatune,
      ...Object.fromEntries([...nodeOf].map(([name, node]) => [name, { mode, nodeset: [node] }])),
    },
  }));
}

function packNode(
  planned: ResolvedDemand['planned'][number],
  room: Map<number, number>,
  host: HostModel,
): number | undefined {
  const fits = [...room].filter(([, pages]) => pages >= wantedPages(planned));
  const home = homeNodes(planned.spec, host);
  const atHome = fits.find(([node]) => home.includes(node));
  if (atHome) return atHome[0];
  if (!isPinned(planned.spec, host)) {
    const withCpus = fits.filter(([node]) => cpuNodes(host).includes(node));
    return withCpus.sort((a, b) => a[1] - b[1] || a[0] - b[0])[0]?.[0];
  }
  const from = guestCpuNodes(planned.spec.guest)[0] ?? 0;
  return fits.sort(
    (a, b) => distanceBetween(host, from, a[0]) - distanceBetween(host, from, b[0]) || a[0] - b[0],
  )[0]?.[0];
}

/** Marks further apart or higher, so that kswapd starts earlier than direct reclaim. */
export function watermarkChanges(base: Change, sysctl: HostSysctls): Change[] {
  const factors = SCALE_FACTORS.filter(
    (factor) => factor > sysctl.watermark_scale_factor && factor <= SCALE_FACTOR_MAX,
  );
  const withSysctl = (extra: Partial<HostSysctls>): Change => ({
    sysctl: { ...base.sysctl, ...extra },
    numatune: base.numatune,
  });
  return [
    ...factors.map((watermark_scale_factor) => withSysctl({ watermark_scale_factor })),
    withSysctl({ min_free_kbytes: sysctl.min_free_kbytes * 2 }),
  ];
}
