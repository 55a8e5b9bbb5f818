/** What a placement that has been worked out says: guests with hosts and evidence, and refusals with their reasons. */
import type { Refusal, RefusingHosts } from '@zonewise/placement';
import type {
  GuestPlacement,
  GuestRefusal,
  HostEvidence,
  HostRefusal,
  HostsRefusal,
  PlacementAnswer,
} from './placement';
import type { PlacementDocument, ReadGuest, ReadPlacement } from './placement-document';
import { largestZone, type Placed } from './placement-replay';
import type { HostState, PlacementWork } from './placement-work';

export function answerOf(
  document: PlacementDocument,
  { guests, caveats }: ReadPlacement,
  work: PlacementWork,
): PlacementAnswer {
  const states = [...work.hosts.values()];
  const order = new Map(guests.map(({ name }, i) => [name, i]));
  const placements = states
    .flatMap((state) => state.placed.map((each) => placementOf(state, each)))
    .sort((a, b) => (order.get(a.guest) ?? 0) - (order.get(b.guest) ?? 0));
  const { method, rounds, replays } = work;
  const told = new Map<RefusingHosts[], string>();
  return {
    objective: document.objective ?? 'density',
    placements,
    refused: work.unplaced().map((guest) => refusalOf(work, guest, told)),
    hosts: states.flatMap(evidenceOf),
    hostsUsed: states.filter(({ shaped, placed }) => shaped.shape.occupied || placed.length > 0)
      .length,
    evacuated: document.evacuate ?? null,
    search: { method, rounds, replays: replays.replays, sharedReplays: replays.shared },
    seed: document.seed ?? 1,
    caveats,
  };
}

function placementOf({ shaped, verdict }: HostState, { guest, setting }: Placed): GuestPlacement {
  const end = verdict?.outcome.guests.find(({ name }) => name === guest.name);
  if (verdict === null || end === undefined)
    throw new Error(`${guest.name} has no replay behind it`);
  const { pagesByNode, remoteShare, stallNs, swapPages } = end;
  const { stateHash } = verdict.outcome;
  return {
    guest: guest.name,
    host: shaped.shape.id,
    ...(guest.from === undefined ? {} : { from: guest.from }),
    ...setting,
    evidence: { pagesByNode, remoteShare, stallNs, swapPages, stateHash },
  };
}

function evidenceOf({ shaped, placed, verdict }: HostState): HostEvidence[] {
  if (verdict === null) return [];
  const { nodes, stallNs, swappedOutPages, cacheLostPages, remoteShare, stateHash } =
    verdict.outcome;
  return [
    {
      host: shaped.shape.id,
      guests: placed.map(({ guest }) => guest.name),
      ...{ nodes, stallNs, swappedOutPages, cacheLostPages, remoteShare, stateHash },
      profile: verdict.profile,
      caveats: verdict.caveats,
    },
  ];
}

/** @param told guests by the reasons of their hosts, which guests that are alike share */
function refusalOf(
  work: PlacementWork,
  { name }: ReadGuest,
  told: Map<RefusingHosts[], string>,
): GuestRefusal {
  const failures = work.failures.get(name) ?? [];
  const refused = work.refusals.get(name);
  const refusal = refused?.refusal;
  const sameAs = told.get(refused?.hosts ?? []);
  if (refused !== undefined && sameAs === undefined) told.set(refused.hosts, name);
  // Hosts that are excluded are those whose replays refused it: the failures tell of them.
  const hosts =
    refused === undefined || sameAs !== undefined
      ? []
      : refused.hosts
          .filter(({ code }) => code !== 'excluded')
          .flatMap((group) => byMark(work, group).map((each) => groupRefusal(work, name, each)));
  const other = { failures, hosts, ...given({ sameAs }) };
  const last = failures[failures.length - 1];
  // A guest whose hosts were all tried is refused by what happened there, not by having been tried.
  if (last !== undefined && (refusal === undefined || refusal.code === 'excluded')) {
    const { host, node, zone, mark, shortfallPages, shortfallHugepages, sizeKib, ...why } = last;
    const { code, message } = why;
    const place = { host, node, zone, mark, shortfallPages, shortfallHugepages, sizeKib };
    return { guest: name, stage: 'replay', code, ...given(place), message, ...other };
  }
  if (refusal === undefined) throw new Error(`${name} is nowhere and was refused by nobody`);
  return { guest: name, stage: 'arithmetic', ...summary(work, name, refusal), ...other };
}

/** Hosts that lack the same memory, by the zone and mark that they keep it for. */
function byMark(work: PlacementWork, group: RefusingHosts): RefusingHosts[] {
  if (group.code !== 'memory' || group.node === undefined) return [group];
  const groups = new Map<string, string[]>();
  for (const host of group.hosts) {
    const { zone, mark } = markOf(work, host, group.node) ?? {};
    const key = JSON.stringify([zone, mark]);
    const alike = groups.get(key);
    if (alike === undefined) groups.set(key, [host]);
    else alike.push(host);
  }
  if (groups.size <= 1) return [group];
  // Of hosts that are only counted nobody knows which mark is theirs: they have none, and no node, together.
  if (group.hosts.length < group.count) {
    const markless = { ...group };
    delete markless.node;
    return [markless];
  }
  return [...groups.values()].map((hosts) => ({
    ...group,
    ...{ host: hosts[0] ?? group.host, hosts, count: hosts.length },
  }));
}

function groupRefusal(work: PlacementWork, name: string, group: RefusingHosts): HostsRefusal {
  const { count, hosts, shortfallMost } = group;
  const said = hostRefusal(work, name, group);
  const others = count === 1 ? '' : ` The same holds for ${count - 1} more hosts.`;
  const range =
    shortfallMost === undefined || shortfallMost === group.shortfall
      ? others
      : ` It is the least of ${count} hosts that are told together; the most is ${shortfallMost}.`;
  return { ...said, message: said.message + range, count, hosts, ...given({ shortfallMost }) };
}

/** The zone of a node that most of its guests' memory comes from, and what it keeps. */
function markOf(
  { hosts }: PlacementWork,
  host: string,
  node: number | undefined,
): Pick<HostRefusal, 'zone' | 'mark'> | undefined {
  const shaped = hosts.get(host)?.shaped;
  const capacity = shaped?.capacity.find(({ nodeId }) => nodeId === node);
  const largest = shaped && largestZone(shaped.read.model, node);
  const zone = capacity?.zones.find((each) => each.zone === largest?.name);
  return (
    zone && {
      zone: zone.zone,
      mark: { name: 'low', pages: zone.lowPages + zone.protectionPages },
    }
  );
}

/** Without the fields that are undefined. */
function given<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

/** Of the host that comes nearest, or of all where none may take it. */
function summary(work: PlacementWork, name: string, refusal: Refusal): HostRefusal {
  const { code } = refusal;
  const said = hostRefusal(work, name, refusal);
  if (code === 'anti-affinity') {
    const message = `Every host that may take ${name} has a guest that it must not be with.`;
    return { ...said, message };
  }
  if (code === 'host-group') {
    return { ...said, message: `No host belongs to a group that ${name} may go to.` };
  }
  return code === 'excluded' ? { ...said, message: `No host may take ${name}.` } : said;
}

function hostRefusal(
  work: PlacementWork,
  name: string,
  { code, host, node, shortfall, sizeKib }: Refusal,
): HostRefusal {
  const base = { code, ...given({ host, node }) };
  const at = `${host ?? ''}${node === undefined ? '' : `, node ${node}`}`;
  switch (code) {
    case 'memory': {
      const where = markOf(work, host ?? '', node);
      const message =
        `${name} needs ${shortfall} pages more than ${at} has to give` +
        (where === undefined
          ? '.'
          : `: zone ${where.zone} keeps ${where.mark?.pages} pages for low and its reserve.`);
      return { ...base, ...where, shortfallPages: shortfall, message };
    }
    case 'vcpus':
      return {
        ...base,
        shortfallVcpus: shortfall,
        message: `${name} needs ${shortfall} vCPUs more than ${at} has to give.`,
      };
    case 'hugepages':
      return {
        ...base,
        shortfallHugepages: shortfall,
        ...given({ sizeKib }),
        message: `${name} needs ${shortfall} free huge pages of ${sizeKib ?? 0} KiB more than ${at} has.`,
      };
    case 'nodes':
      return {
        ...base,
        shortfallNodes: shortfall,
        message: `${name} has more cells than there are nodes with room for one each on ${host ?? 'any host'}.`,
      };
    case 'anti-affinity':
      return {
        ...base,
        message: `${host ?? ''} has a guest that ${name} must not be with.`,
      };
    case 'host-group':
      return { ...base, message: `${host ?? ''} belongs to no group that ${name} may go to.` };
    case 'excluded':
      return { ...base, message: `${host ?? ''} may not take ${name}.` };
  }
}
