/** What a placement that has been worked out says: guests with hosts and evidence, and refusals with their reasons. */
import type { Refusal } from '@zonewise/placement';
import type {
  GuestPlacement,
  GuestRefusal,
  HostEvidence,
  HostRefusal,
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
  return {
    objective: document.objective ?? 'density',
    placements,
    refused: work.unplaced().map((guest) => refusalOf(work, guest)),
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

function refusalOf(work: PlacementWork, { name }: ReadGuest): GuestRefusal {
  const failures = work.failures.get(name) ?? [];
  const refused = work.refusals.get(name);
  const refusal = refused?.refusal;
  const tried = new Set(failures.map(({ host }) => host));
  const hosts = (refused?.hosts ?? [])
    .filter(({ host }) => !tried.has(host ?? ''))
    .map((each) => hostRefusal(work, name, each));
  const last = failures[failures.length - 1];
  // A guest whose hosts were all tried is refused by what happened there, not by having been tried.
  if (last !== undefined && (refusal === undefined || refusal.code === 'excluded')) {
    const { host, node, zone, mark, shortfallPages, shortfallHugepages, sizeKib, ...why } = last;
    const { code, message } = why;
    const place = { host, node, zone, mark, shortfallPages, shortfallHugepages, sizeKib };
    return { guest: name, stage: 'replay', code, ...given(place), message, failures, hosts };
  }
  if (refusal === undefined) throw new Error(`${name} is nowhere and was refused by nobody`);
  return { guest: name, stage: 'arithmetic', ...summary(work, name, refusal), failures, hosts };
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
  { hosts }: PlacementWork,
  name: string,
  { code, host, node, shortfall, sizeKib }: Refusal,
): HostRefusal {
  const base = { code, ...given({ host, node }) };
  const shaped = hosts.get(host ?? '')?.shaped;
  const capacity = shaped?.capacity.find(({ nodeId }) => nodeId === node);
  const largest = shaped && largestZone(shaped.read.model, node);
  const zone = capacity?.zones.find((each) => each.zone === largest?.name);
  const at = `${host ?? ''}${node === undefined ? '' : `, node ${node}`}`;
  switch (code) {
    case 'memory': {
      const mark = zone && { name: 'low' as const, pages: zone.lowPages + zone.protectionPages };
      const message =
        `${name} needs ${shortfall} pages more than ${at} has to give` +
        (mark === undefined
          ? '.'
          : `: zone ${zone?.zone} keeps ${mark.pages} pages for low and its reserve.`);
      const where = zone === undefined ? {} : { zone: zone.zone, mark };
      return { ...base, ...given(where), shortfallPages: shortfall, message };
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
