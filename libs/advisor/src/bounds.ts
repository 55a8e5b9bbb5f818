import type { HostModel, RegionSpec } from '@zonewise/simulator';
import { placedGuest } from './compile';
import { allowedNodes, mayMove } from './constraints';
import type { ResolvedDemand } from './demand';
import { formatCount, formatMib, formatSome } from './format';
import { formatNodeset } from './host-nodes';
import type { Note } from './placement';
import { homeNodes, tunedRegions } from './placement';
import type { AdviceRequest, GuestSpec, Unplaced } from './types';

/**
 * Pages that guests can get on a node at best: free pages above the min marks, page cache and reclaimable
 * slab. An upper bound: the replay decides, this only says where looking elsewhere is worth a replay.
 */
export function roomPages(host: HostModel, nodeId: number): number {
  const node = host.nodes.find((candidate) => candidate.nodeId === nodeId);
  if (!node) return 0;
  const free = node.zones.reduce(
    (sum, zone) =>
      sum +
      zone.freePages +
      zone.pagesets.reduce((n, set) => n + set.countPages, 0) -
      zone.minPages,
    0,
  );
  const cache = node.lru.activeFilePages + node.lru.inactiveFilePages;
  return Math.max(0, free + cache + node.slabReclaimablePages);
}

/** Pages a planned guest wants: what it touches and QEMU's own. */
export function wantedPages(planned: ResolvedDemand['planned'][number]): number {
  return (
    planned.touchPages.reduce((sum, pages) => sum + pages, 0) + planned.spec.guest.overheadPages
  );
}

/** What the planned guests want beyond everything the host can give, swap included; 0 when it fits. */
export function shortfallPages(host: HostModel, demand: ResolvedDemand): number {
  const room = host.nodes.reduce((sum, node) => sum + roomPages(host, node.nodeId), 0);
  const wanted = demand.planned.reduce((sum, planned) => sum + wantedPages(planned), 0);
  return Math.max(0, wanted - room - host.swap.freePages);
}

/** Planned guests whose home nodes cannot hold all that is planned there, with the bound in words. */
export function crowded(
  host: HostModel,
  demand: ResolvedDemand,
): { guests: Set<string>; notes: Note[] } {
  const groups = new Map<string, { nodes: number[]; wanted: number; names: string[] }>();
  for (const planned of demand.planned) {
    const nodes = homeNodes(planned.spec, host);
    const key = formatNodeset(nodes);
    const group = groups.get(key) ?? { nodes, wanted: 0, names: [] };
    group.wanted += wantedPages(planned);
    group.names.push(planned.spec.guest.name);
    groups.set(key, group);
  }
  const guests = new Set<string>();
  const notes: Note[] = [];
  for (const [key, group] of groups) {
    const room = group.nodes.reduce((sum, node) => sum + roomPages(host, node), 0);
    if (group.wanted <= room) continue;
    group.names.forEach((name) => guests.add(name));
    notes.push({
      code: 'bound-node-room',
      message:
        `${group.nodes.length === 1 ? 'Node' : 'Nodes'} ${key} cannot hold ${formatSome(group.names)}: they want ${formatMib(group.wanted)}, free ` +
        `memory above the min marks, page cache and reclaimable slab are ${formatMib(room)}, ` +
        `${formatCount(group.wanted - room)} pages short. Other nodes were replayed too.`,
    });
  }
  return { guests, notes };
}

/** Planned guests that not even all nodes that they may use, with nobody else started, could hold. */
export function unplaced(request: AdviceRequest, demand: ResolvedDemand): Unplaced[] {
  const { host } = request;
  const all = host.nodes.map(({ nodeId }) => nodeId);
  return demand.planned.flatMap((planned) => {
    const { name } = planned.spec.guest;
    const isFree = mayMove(request, planned.spec);
    const nodes = isFree ? allowedNodes(request) : all.filter(mayUse(request, name));
    const room = nodes.reduce((sum, node) => sum + roomPages(host, node), 0) + host.swap.freePages;
    const wanted = wantedPages(planned);
    const short = wanted - room;
    return short > 0
      ? [{ guest: name, wantedPages: wanted, roomPages: room, shortPages: short }]
      : [];
  });
}

/** Nodes that the memory of each of a guest's regions may be on, under advice or under its own numatune where it is to stay. */
export function wantedNodes(request: AdviceRequest, spec: GuestSpec): number[][] {
  const all = request.host.nodes.map(({ nodeId }) => nodeId);
  const tuned = new Set(tunedRegions(spec).map(({ cell }) => cell));
  const isFree = mayMove(request, spec);
  return placedGuest(request, spec.guest.name).regions.map((region) =>
    isFree && tuned.has(region.cell)
      ? allowedNodes(request)
      : all.filter((node) => mayBeOn(region, node)),
  );
}

/** Whether some of a guest's memory may be on a node. */
function mayUse(request: AdviceRequest, guest: string): (node: number) => boolean {
  const { regions } = placedGuest(request, guest);
  return (node) => regions.some((region) => mayBeOn(region, node));
}

/** Policies other than bind fall back, cpuset.mems does not. */
function mayBeOn({ policy, cpusetMems }: RegionSpec, node: number): boolean {
  const isBound = policy.mode === 'bind' && !policy.nodes.includes(node);
  return !isBound && (cpusetMems?.includes(node) ?? true);
}
