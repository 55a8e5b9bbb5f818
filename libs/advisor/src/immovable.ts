import { placedGuest } from './compile';
import { takesNodesetLive } from './evidence/routes';
import { formatMib } from './format';
import type { RegionSpec } from '@zonewise/simulator';
import type { GuestSpec, RecommendationContent, SimulationRequest } from './types';

type Running = GuestSpec & { state: 'running' };
interface Away {
  pages: number;
  /** Some of them are where the guest's own policy puts them. */
  wanted: boolean;
  pinned: boolean;
}

/** Pages of running guests away from their CPUs: settings decide about new pages only. */
export function immovable(request: SimulationRequest): RecommendationContent['immovable'] {
  return request.guests.flatMap((spec) => {
    if (spec.state !== 'running') return [];
    return [...pagesAway(request, spec)]
      .sort(([a], [b]) => a - b)
      .map(([nodeId, away]) => ({
        guest: spec.guest.name,
        nodeId,
        pages: away.pages,
        message: sentence(spec, nodeId, away),
      }));
  });
}

function pagesAway(request: SimulationRequest, spec: Running): Map<number, Away> {
  const guest = placedGuest(request, spec.guest.name);
  const byNode = new Map<number, Away>();
  for (const { cell, nodeId, pages } of spec.guest.residency) {
    const region = guest.regions.find((candidate) => candidate.cell === cell);
    if (pages === 0 || region?.cpuNodes.includes(nodeId)) continue;
    const so = byNode.get(nodeId) ?? { pages: 0, wanted: false, pinned: false };
    byNode.set(nodeId, {
      pages: so.pages + pages,
      wanted: so.wanted || (region !== undefined && ownNodes(region).includes(nodeId)),
      pinned: so.pinned || (region?.pinned ?? false),
    });
  }
  return byNode;
}

/** Nodes that a region takes memory from by its policy; without one (restrictive) those of its cpuset.mems. */
function ownNodes({ policy, cpusetMems = [] }: RegionSpec): number[] {
  return policy.nodes.length > 0 ? policy.nodes : cpusetMems;
}

function sentence(spec: Running, nodeId: number, { pages, wanted, pinned }: Away): string {
  const { name } = spec.guest;
  const estimated = spec.residencySource === 'estimated' ? ' (estimated)' : '';
  const restart = wanted
    ? `a restart with another numatune (today's names node ${nodeId})`
    : 'a restart of the guest';
  const found = `${formatMib(pages)} of ${name} are on node ${nodeId}${estimated}, away from its CPUs`;
  if (pinned) {
    return `${found}; no setting moves pages that are already there and pinned, only ${restart}.`;
  }
  const migration = `${restart} or a migration of its pages`;
  if (!takesNodesetLive(spec)) {
    return `${found}; no setting moves pages that are already there, only ${migration}.`;
  }
  return (
    `${found}; of all settings only another nodeset while it runs (virsh numatune --live) moves pages ` +
    `that are already there, besides ${migration}.`
  );
}
