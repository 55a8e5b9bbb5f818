/** A portfolio of packers over one fleet; the answer is the best of them, improved, and so never worse than any. */
import { fillHosts } from './fill';
import { Fleet, type Assignment } from './fleet';
import type { GuestKind } from './guest-kinds';
import { byDistance, byMemory, byScarcity, decreasing, firstFit, scarcity } from './greedy';
import { emptyHosts, placeRefused } from './improve';
import { refusalOf, refusalsByHost } from './refusal';
import type { PackRequest, Packing, PlacedGuest } from './types';

/** Fits that the improvement tries, per guest. */
const WORK_PER_GUEST = 5;

interface Member {
  method: string;
  run: () => void;
}

interface Found {
  method: string;
  assignment: Assignment;
  refused: number;
  refusedPages: number;
  hostsUsed: number;
}

function measured(fleet: Fleet, method: string): Found {
  let refused = 0;
  let refusedPages = 0;
  fleet.hostOf.forEach((h, g) => {
    if (h >= 0) return;
    refused += 1;
    refusedPages += fleet.kind(g).memoryPages;
  });
  const assignment = fleet.snapshot();
  return { method, assignment, refused, refusedPages, hostsUsed: fleet.hostsUsed };
}

/** Fewer guests refused, then fewer hosts, then less memory refused. */
function better(a: Found, b: Found): boolean {
  if (a.refused !== b.refused) return a.refused < b.refused;
  if (a.hostsUsed !== b.hostsUsed) return a.hostsUsed < b.hostsUsed;
  return a.refusedPages < b.refusedPages;
}

/** Packers for density. The first two are first-fit and best-fit decreasing with Nova's rules. */
function densityMembers(fleet: Fleet): Member[] {
  const inOrder = Int32Array.from(fleet.hosts.keys());
  // Hosts in use first, and of both those with the most left, so that the last ones need not be opened.
  const usedFirst = Int32Array.from(fleet.hosts.keys()).sort(
    (a, b) =>
      Number(fleet.hosts[b]?.occupied) - Number(fleet.hosts[a]?.occupied) ||
      fleet.freeMemory(b) - fleet.freeMemory(a) ||
      a - b,
  );
  const bySize = decreasing(fleet);
  const byNeed = byScarcity(fleet);
  const weights = scarcity(fleet).map(Math.sqrt);
  const fill = (sizeExponent: number) => () => {
    fillHosts(fleet, usedFirst, weights, sizeExponent);
    byMemory(fleet, bySize, 'tight', 'tight');
  };
  return [
    { method: 'first-fit', run: () => firstFit(fleet, bySize, inOrder, 'first') },
    { method: 'best-fit', run: () => byMemory(fleet, bySize, 'tight', 'first') },
    { method: 'first-fit-scarcity', run: () => firstFit(fleet, byNeed, usedFirst, 'tight') },
    { method: 'best-fit-scarcity', run: () => byMemory(fleet, byNeed, 'tight', 'tight') },
    { method: 'fill-by-size', run: fill(1) },
    { method: 'fill-by-direction', run: fill(0) },
  ];
}

function membersOf(fleet: Fleet, { objective }: PackRequest): Member[] {
  switch (objective) {
    case 'density':
      return densityMembers(fleet);
    case 'locality':
      return [{ method: 'nearest', run: () => byDistance(fleet, decreasing(fleet)) }];
    case 'spread':
      return [
        { method: 'most-free', run: () => byMemory(fleet, decreasing(fleet), 'roomy', 'roomy') },
      ];
  }
}

/**
 * Places guests on hosts.
 * @returns what was placed, and for each other guest what the nearest host lacks; the same input gives the
 *   same packing
 * @throws PlacementInputError for a request that says what cannot be
 * @cost about guests times the logarithm of hosts, for each member of the portfolio
 */
export function pack(request: PackRequest): Packing {
  const fleet = new Fleet(request.hosts, request.guests);
  let best: Found | null = null;
  for (const { method, run } of membersOf(fleet, request)) {
    fleet.clear();
    run();
    const found = measured(fleet, method);
    if (best === null || better(found, best)) best = found;
  }
  if (best === null) throw new Error(`No packer serves ${request.objective}.`);
  fleet.restore(best.assignment);
  const workMax = request.workMax ?? WORK_PER_GUEST * request.guests.length;
  const method =
    best.method +
    (best.refused > 0 && placeRefused(fleet, workMax) > 0 ? '+exchange' : '') +
    (request.objective === 'density' && emptyHosts(fleet, workMax) > 0 ? '+empty' : '');
  return answer(fleet, method);
}

/** Groups of hosts with a reason of their own, and ids of hosts, over all kinds of refused guests: what an answer has room for. */
const GROUPS_MAX = 16_384;
const HOSTS_MAX = 400_000;

function answer(fleet: Fleet, method: string): Packing {
  const placed: PlacedGuest[] = [];
  const refused: Packing['refused'] = [];
  const reasons = new Map<GuestKind, Omit<Packing['refused'][number], 'guest'>>();
  const nowhere = new Set<GuestKind>();
  fleet.hostOf.forEach((h, g) => {
    if (h < 0) nowhere.add(fleet.kind(g));
  });
  const each = (most: number): number => Math.max(1, Math.floor(most / Math.max(1, nowhere.size)));
  fleet.guests.forEach(({ name, cells }, g) => {
    const h = fleet.hostOf[g] as number;
    const host = fleet.hosts[h];
    if (host === undefined) {
      const kind = fleet.kind(g);
      const known = reasons.get(kind) ?? {
        refusal: refusalOf(fleet, kind),
        hosts: refusalsByHost(fleet, kind, each(GROUPS_MAX), each(HOSTS_MAX)),
      };
      reasons.set(kind, known);
      refused.push({ guest: name, ...known });
      return;
    }
    const start = fleet.cellStart[g] as number;
    const nodes = cells.map((_, c) => {
      const position = (fleet.nodeOf[start + c] as number) - (fleet.nodeStart[h] as number);
      return (host.nodes[position] as { nodeId: number }).nodeId;
    });
    placed.push({ guest: name, host: host.id, nodes });
  });
  return { placed, refused, hostsUsed: fleet.hostsUsed, method };
}
