import type { HostModel, HostSysctls } from '@zonewise/simulator';
import { roomPages, wantedPages } from './bounds';
import type { ResolvedDemand } from './demand';
import type { Change } from './evaluator';
import { without } from './change';
import { memoryNodes, nearestFirst } from './host-nodes';
import { guestCpuNodes, hasCellNodes, homeNodes, tunedRegions } from './placement';
import { zoneReclaimModes } from './space';
import type { AdviceRequest, GuestSpec, NumatuneSetting, PlacementMode } from './types';

/** Modes that advice may choose, in the order in which ties are decided. */
export const ADVISED_MODES: readonly Exclude<PlacementMode, 'none'>[] = [
  'strict',
  'preferred',
  'interleave',
  'restrictive',
];

/** Room that guests with a node of their own have been promised, by node. */
type Booked = Map<number, number>;

/**
 * A guest's setting under a mode, on the nodes where it belongs today. One preferred node is that with most of its memory and
 * CPUs; for a guest that floats the one with the most room that nobody was promised.
 */
export function settingAtHome(
  spec: GuestSpec,
  mode: PlacementMode,
  host: HostModel,
  booked: Booked = new Map(),
): NumatuneSetting {
  const home = homeNodes(spec, host);
  if (mode === 'none') return { mode, nodeset: [] };
  if (mode === 'interleave') {
    return { mode, nodeset: home.length > 1 ? home : memoryNodes(host) };
  }
  // Cells with nodes of their own keep them: one preferred node for all would take them apart.
  const single = mode === 'preferred' && !hasCellNodes(tunedRegions(spec));
  return { mode, nodeset: single ? [mainNode(spec, host, home, booked)] : home };
}

/** The node of a set that has most of a guest's memory by its regions' nodes and their CPUs; of equals the roomiest. */
function mainNode(spec: GuestSpec, host: HostModel, home: number[], booked: Booked): number {
  const weights = new Map(home.map((node) => [node, 0]));
  const cpus = new Map(host.nodes.map((node) => [node.nodeId, node.cpus.length]));
  for (const { policy, cpuNodes, sizePages } of tunedRegions(spec)) {
    const named = policy.nodes.length > 0 ? policy.nodes : cpuNodes;
    const all = named.reduce((sum, node) => sum + (cpus.get(node) ?? 0), 0);
    for (const node of named) {
      const share = all > 0 ? (cpus.get(node) ?? 0) / all : 1 / named.length;
      const so = weights.get(node);
      if (so !== undefined) weights.set(node, so + sizePages * share);
    }
  }
  const most = Math.max(...weights.values());
  const main = home.filter((node) => (weights.get(node) ?? 0) >= most - 0.5);
  const room = (node: number): number => roomPages(host, node) - (booked.get(node) ?? 0);
  return main.reduce((best, node) => (room(node) > room(best) ? node : best));
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
  const booked: Booked = new Map();
  return Object.fromEntries(
    demand.planned.map((planned) => {
      const { spec } = planned;
      const setting = settingAtHome(spec, mode, host, booked);
      const pages = wantedPages(planned) / setting.nodeset.length;
      for (const node of setting.nodeset) booked.set(node, (booked.get(node) ?? 0) + pages);
      return [spec.guest.name, setting];
    }),
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
  const asIs: Change = { ...base, numatune: others };
  return [
    asIs,
    ...ADVISED_MODES.map((mode) => ({
      ...base,
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
  const nearest = nearestFirst(host, from, others).slice(0, nodesMax);
  return onSingleNodes(base, spec.guest.name, nearest, ['strict', 'preferred']);
}

/** One guest on each of the nodes alone, in each of the modes. */
export function onSingleNodes(
  base: Change,
  name: string,
  nodes: number[],
  modes: ('strict' | 'preferred')[],
): Change[] {
  return nodes.flatMap((node) =>
    modes.map((mode) => ({
      ...base,
      numatune: { ...base.numatune, [name]: { mode, nodeset: [node] } },
    })),
  );
}
