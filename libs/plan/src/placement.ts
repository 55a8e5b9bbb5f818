/**
 * Guests to hosts in two stages: the packer adds up, then each host that would change is replayed; what a replay
 * refuses goes back to the packer, which may not put it there again.
 */
import type { Outcome, PlanVerdict } from '@zonewise/advisor';
import {
  pack,
  type GuestShape,
  type HostShape,
  type Objective,
  type Refusal,
} from '@zonewise/placement';
import type { ReplayControl } from '@zonewise/simulator';
import {
  resolvePlacement,
  type PlacementDocument,
  type ReadGuest,
  type ReadPlacement,
} from './placement-document';
import {
  HostReplays,
  largestZone,
  placedOn,
  type HostFailure,
  type Placed,
} from './placement-replay';
import { guestShapes, shapeHost, type GuestSetting, type ShapedHost } from './placement-shape';
import type { PlanProblem } from './plan-request';

export interface PlaceOptions {
  /** Times that the packer is asked; what is then still refused by replays stays refused. Default 8. */
  roundsMax?: number;
  /** Before each host that is replayed; `done` of `hosts` of this round are behind. */
  onHost?: (name: string, done: number, hosts: number) => void;
  control?: ReplayControl;
}

export interface GuestPlacement extends GuestSetting {
  guest: string;
  host: string;
  /** Host that it leaves. */
  from?: string;
  /** The guest at the end of the replay of its host. */
  evidence: {
    pagesByNode: { nodeId: number; pages: number }[];
    remoteShare: number;
    stallNs: number;
    swapPages: number;
    stateHash: string;
  };
}

export interface GuestRefusal {
  guest: string;
  /** Which of the two stages refused it last. */
  stage: 'arithmetic' | 'replay';
  /** Of the packer (`memory`, `vcpus`, `hugepages`, `nodes`, `anti-affinity`, `host-group`, `excluded`) or of a rule (`oom-kill`, ...). */
  code: string;
  /** The host that comes nearest, or whose replay failed last. */
  host?: string;
  node?: number;
  zone?: string;
  /** The mark above which there is not enough: `low` and the zone's reserve for adding up, `min` where a replay ran into it. */
  mark?: { name: 'min' | 'low'; pages: number };
  /** Base pages. */
  shortfallPages?: number;
  shortfallVcpus?: number;
  /** Pages of `sizeKib`. */
  shortfallHugepages?: number;
  sizeKib?: number;
  message: string;
  /** Every host whose replay refused it. */
  failures: HostFailure[];
}

/** A host that changes: what its replay ends with. */
export interface HostEvidence {
  host: string;
  guests: string[];
  nodes: Outcome['nodes'];
  stallNs: number;
  swappedOutPages: number;
  cacheLostPages: number;
  remoteShare: number;
  stateHash: string;
  profile: PlanVerdict['profile'];
  caveats: { code: string; message: string }[];
}

export interface PlacementAnswer {
  objective: Objective;
  placements: GuestPlacement[];
  refused: GuestRefusal[];
  hosts: HostEvidence[];
  /** Hosts with guests afterwards; the one that is emptied is none. */
  hostsUsed: number;
  evacuated: string | null;
  /** Packer that found it, times it was asked, replays made, and hosts that were judged by the replay of an equal one. */
  search: { method: string; rounds: number; replays: number; sharedReplays: number };
  seed: number;
  caveats: { code: string; message: string }[];
}

const ROUNDS_MAX = 8;
const DEFAULT_CPU_RATIO = 4;

interface HostState {
  shaped: ShapedHost;
  /** What is left, as the packer is told; replays that fail lower it. */
  left: HostShape['nodes'];
  placed: Placed[];
  verdict: PlanVerdict | null;
}

/** One placement while it is worked on. */
class Placement {
  readonly hosts: Map<string, HostState>;
  readonly failures = new Map<string, HostFailure[]>();
  readonly refusals = new Map<string, Refusal>();
  readonly replays: HostReplays;
  private readonly shapes: Map<string, GuestShape>;
  private pending: ReadGuest[];
  method = '';
  rounds = 0;

  constructor(
    private readonly document: PlacementDocument,
    private readonly read: ReadPlacement,
    private readonly options: PlaceOptions,
  ) {
    const ratio = document.cpuAllocationRatio ?? DEFAULT_CPU_RATIO;
    const shaped = read.hosts.map((host) => shapeHost(host, ratio, read.keys));
    this.hosts = new Map(
      shaped.map((each) => [
        each.shape.id,
        { shaped: each, left: each.shape.nodes, placed: [], verdict: null },
      ]),
    );
    this.shapes = guestShapes(read.guests, read.keys, shaped);
    this.pending = read.guests;
    this.replays = new HostReplays(document, options.control);
  }

  run(): void {
    const { roundsMax = ROUNDS_MAX } = this.options;
    while (this.pending.length > 0 && this.rounds < roundsMax) {
      this.rounds += 1;
      const changed = this.packPending();
      this.pending = [];
      changed.forEach((state, i) => {
        this.options.onHost?.(state.shaped.shape.id, i, changed.length);
        this.verify(state);
      });
    }
  }

  /** Gives pending guests hosts by adding up; @returns the hosts that got some */
  private packPending(): HostState[] {
    const hosts = [...this.hosts.values()].map(({ shaped, left, placed }): HostShape => {
      const keys = placed.flatMap(({ guest }) => this.read.keys.get(guest.name) ?? []);
      const antiAffinity = [...(shaped.shape.antiAffinity ?? []), ...keys];
      const occupied = shaped.shape.occupied || placed.length > 0;
      return { ...shaped.shape, nodes: left, occupied, antiAffinity };
    });
    const byName = new Map(this.pending.map((guest) => [guest.name, guest]));
    const guests = this.pending.map(({ name }) => {
      const notOn = (this.failures.get(name) ?? []).map(({ host }) => host);
      const shape = this.shapes.get(name)!;
      return notOn.length === 0 ? shape : { ...shape, notOn };
    });
    const { objective = 'density' } = this.document;
    const packing = pack({ hosts, guests, objective });
    if (this.method === '') this.method = packing.method;
    for (const { guest, refusal } of packing.refused) this.refusals.set(guest, refusal);
    const changed = new Set<HostState>();
    for (const { guest, host, nodes } of packing.placed) {
      const state = this.hosts.get(host)!;
      state.placed.push(placedOn(byName.get(guest)!, nodes, state.shaped.read));
      this.take(state, guest, nodes, -1);
      changed.add(state);
    }
    return [...changed];
  }

  /** Changes what a host has left by what a guest's cells need. */
  private take(state: HostState, guest: string, nodes: number[], sign: 1 | -1): void {
    const { cells } = this.shapes.get(guest)!;
    state.left = state.left.map((node) => {
      const own = cells.filter((_, c) => nodes[c] === node.nodeId);
      if (own.length === 0) return node;
      const sum = (of: (cell: (typeof own)[number]) => number): number =>
        own.reduce((all, cell) => all + sign * of(cell), 0);
      return {
        ...node,
        memoryPages: node.memoryPages + sum(({ memoryPages }) => memoryPages),
        vcpus: node.vcpus + sum(({ vcpus }) => vcpus),
        hugepages: node.hugepages.map(({ sizeKib, pages }) => ({
          sizeKib,
          pages:
            pages + sum(({ hugepages }) => (hugepages?.sizeKib === sizeKib ? hugepages.pages : 0)),
        })),
      };
    });
  }

  /** Replays a host until it holds, sending back one guest after the other. */
  private verify(state: HostState): void {
    state.verdict = null;
    while (state.placed.length > 0) {
      const { verdict, failure } = this.replays.check(state.shaped.read, state.placed);
      if (failure === null) {
        state.verdict = verdict;
        return;
      }
      const back = state.placed.find(({ guest }) => guest.name === failure.guest)!;
      state.placed = state.placed.filter((each) => each !== back);
      const known = this.failures.get(failure.guest) ?? [];
      this.failures.set(failure.guest, [...known, failure]);
      this.pending.push(back.guest);
      this.take(state, failure.guest, back.nodes, 1);
      this.lower(state, back, failure.shortfallPages ?? 0);
    }
  }

  /** What was too much is not offered again: less than the guest had, by what was missing. */
  private lower(state: HostState, { guest, nodes }: Placed, shortfallPages: number): void {
    const { cells } = this.shapes.get(guest.name)!;
    state.left = state.left.map((node) => {
      const cell = cells[nodes.indexOf(node.nodeId)];
      if (cell === undefined) return node;
      const most = Math.max(0, cell.memoryPages - Math.max(1, Math.ceil(shortfallPages)));
      return { ...node, memoryPages: Math.min(node.memoryPages, most) };
    });
  }

  /** Guests that no round has placed, in the order of the request. */
  unplaced(): ReadGuest[] {
    const placed = new Set(
      [...this.hosts.values()].flatMap((state) => state.placed.map(({ guest }) => guest.name)),
    );
    return this.read.guests.filter(({ name }) => !placed.has(name));
  }
}

/**
 * Places guests, with a replay behind every host that changes.
 * @returns the answer, or every reason why the request cannot be read
 * @throws SimulatorInputError for a host that cannot be replayed, ReplayCancelled when `control` says stop
 */
export function placeGuests(
  document: PlacementDocument,
  options: PlaceOptions = {},
): { ok: true; value: PlacementAnswer } | { ok: false; problems: PlanProblem[] } {
  const resolved = resolvePlacement(document);
  if (!resolved.ok) return resolved;
  const work = new Placement(document, resolved.value, options);
  work.run();
  const states = [...work.hosts.values()];
  const order = new Map(resolved.value.guests.map(({ name }, i) => [name, i]));
  const placements = states
    .flatMap((state) => state.placed.map((each) => placementOf(state, each)))
    .sort((a, b) => (order.get(a.guest) ?? 0) - (order.get(b.guest) ?? 0));
  const { method, rounds, replays } = work;
  const value: PlacementAnswer = {
    objective: document.objective ?? 'density',
    placements,
    refused: work.unplaced().map((guest) => refusalOf(work, guest)),
    hosts: states.flatMap(evidenceOf),
    hostsUsed: states.filter(({ shaped, placed }) => shaped.shape.occupied || placed.length > 0)
      .length,
    evacuated: document.evacuate ?? null,
    search: { method, rounds, replays: replays.replays, sharedReplays: replays.shared },
    seed: document.seed ?? 1,
    caveats: resolved.value.caveats,
  };
  return { ok: true, value };
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

function refusalOf(work: Placement, { name }: ReadGuest): GuestRefusal {
  const failures = work.failures.get(name) ?? [];
  const refusal = work.refusals.get(name);
  const last = failures[failures.length - 1];
  // A guest whose hosts were all tried is refused by what happened there, not by having been tried.
  if (last !== undefined && (refusal === undefined || refusal.code === 'excluded')) {
    const { host, node, zone, mark, shortfallPages, code, message } = last;
    const place = { host, ...{ node, zone, mark, shortfallPages } };
    return { guest: name, stage: 'replay', code, ...given(place), message, failures };
  }
  if (refusal === undefined) throw new Error(`${name} is nowhere and was refused by nobody`);
  return { guest: name, ...arithmeticRefusal(work, name, refusal), failures };
}

/** Without the fields that are undefined. */
function given<T extends object>(value: T): { [K in keyof T]?: NonNullable<T[K]> } {
  return Object.fromEntries(Object.entries(value).filter(([, each]) => each !== undefined)) as {
    [K in keyof T]?: NonNullable<T[K]>;
  };
}

function arithmeticRefusal(
  { hosts }: Placement,
  name: string,
  { code, host, node, shortfall, sizeKib }: Refusal,
): Omit<GuestRefusal, 'guest' | 'failures'> {
  const base = { stage: 'arithmetic' as const, code, ...given({ host, node }) };
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
        message: `Every host that may take ${name} has a guest that it must not be with.`,
      };
    case 'host-group':
      return { ...base, message: `No host belongs to a group that ${name} may go to.` };
    case 'excluded':
      return { ...base, message: `No host may take ${name}.` };
  }
}
