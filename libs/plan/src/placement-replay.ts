/** The replay of a host with the guests that the packer gave it, and what speaks against it. */
import { createHash } from 'node:crypto';
import {
  checkPlan,
  type GuestSpec,
  type PlanVerdict,
  type SimulationRequest,
} from '@zonewise/advisor';
import { hostCapacity } from '@zonewise/placement';
import type { HostModel, HostZone, ReplayControl } from '@zonewise/simulator';
import { buildGuestSpec } from './guest-spec';
import type { PlacementDocument, ReadGuest, ReadHost } from './placement-document';
import { placedView, settingOf, type GuestSetting } from './placement-shape';
import { requestProblem } from './plan-request';

/** A guest on a host. */
export interface Placed {
  guest: ReadGuest;
  /** Host node of each packed cell. */
  nodes: number[];
  setting: GuestSetting;
}

/** Why a guest cannot stay where the packer put it. */
export interface HostFailure {
  host: string;
  /** The guest that goes back: the one that failed, or where another one suffers the last that came. */
  guest: string;
  /** Code of a rule, such as `oom-kill`, or of the problem that keeps it from being replayed. */
  code: string;
  /** Who suffers. */
  victim: string;
  node?: number;
  zone?: string;
  mark?: { name: 'min' | 'low'; pages: number };
  /** Pages that the victim did not get, or that had to be reclaimed for the new guests; absent where there are none. */
  shortfallPages?: number;
  message: string;
}

export interface HostCheck {
  failure: HostFailure | null;
  verdict: PlanVerdict | null;
}

/** No domain may be called so: libvirt refuses a slash in names. */
const STAND_IN = 'zonewise/guest-';

/** Replays hosts; equal hosts with equal guests are replayed once. */
export class HostReplays {
  replays = 0;
  shared = 0;
  private readonly known = new Map<
    string,
    { verdict: PlanVerdict | null; problem: string | null }
  >();
  private readonly modelHashes = new Map<HostModel, string>();

  constructor(
    private readonly document: PlacementDocument,
    private readonly control?: ReplayControl,
  ) {}

  /** @throws SimulatorInputError for a host that cannot be replayed at all */
  check(host: ReadHost, placed: Placed[]): HostCheck {
    // Guests start in an order that does not depend on their names; equal ones stay as they came.
    const ordered = placed
      .map((each) => ({ each, like: this.likeness(each) }))
      .sort((a, b) => (a.like === b.like ? 0 : a.like < b.like ? -1 : 1))
      .map(({ each }) => each);
    const key = this.keyOf(host, ordered);
    let found = this.known.get(key);
    if (found === undefined) {
      found = this.replay(host, ordered);
      this.known.set(key, found);
    } else this.shared += 1;
    const names = ordered.map(({ guest }) => guest.name);
    return this.judged(host, ordered, names, found);
  }

  private likeness({ guest, nodes }: Placed): string {
    return `${guest.kind} ${nodes.join(',')}`;
  }

  private keyOf({ model, residents, source }: ReadHost, placed: Placed[]): string {
    let hash = this.modelHashes.get(model);
    if (hash === undefined) {
      hash = createHash('sha256').update(JSON.stringify(model)).digest('hex');
      this.modelHashes.set(model, hash);
    }
    const specs = residents.map(({ spec }) => spec);
    return JSON.stringify([
      hash,
      specs,
      source.sysctl ?? {},
      placed.map((each) => this.likeness(each)),
    ]);
  }

  private replay(
    { model, residents, source }: ReadHost,
    placed: Placed[],
  ): { verdict: PlanVerdict | null; problem: string | null } {
    const guests: GuestSpec[] = residents.map(({ spec }) => spec);
    for (const [i, { guest, setting }] of placed.entries()) {
      const view = { ...placedView(guest.view, setting), name: standIn(i) };
      const spec = buildGuestSpec(view, model, { state: 'planned' });
      if (!spec.ok)
        return { verdict: null, problem: spec.problems[0]?.message ?? 'It cannot start.' };
      guests.push(spec.value);
    }
    const { demand = {}, limits = {}, seed = 1, hardwareProfile } = this.document;
    const request: SimulationRequest = {
      ...{ host: model, guests, demand, seed },
      ...(source.sysctl === undefined ? {} : { sysctl: source.sysctl }),
      ...(hardwareProfile === undefined ? {} : { hardwareProfile }),
    };
    const wrong = requestProblem(request);
    if (wrong !== null) return { verdict: null, problem: wrong.message };
    this.replays += 1;
    return { verdict: checkPlan(request, limits, this.control), problem: null };
  }

  private judged(
    host: ReadHost,
    placed: Placed[],
    names: string[],
    { verdict, problem }: { verdict: PlanVerdict | null; problem: string | null },
  ): HostCheck {
    const last = placed[placed.length - 1];
    if (last === undefined)
      throw new Error(`${host.name}: a host without new guests is not replayed`);
    if (verdict === null) {
      const guest = last.guest.name;
      const message = `${guest} cannot be replayed on ${host.name}: ${problem ?? ''}`;
      return {
        verdict,
        failure: { host: host.name, guest, code: 'not-replayable', victim: guest, message },
      };
    }
    const named = withNames(verdict, names);
    const [first] = named.violations;
    if (first === undefined) return { verdict: named, failure: null };
    const victim = first.guest;
    const back = placed.find(({ guest }) => guest.name === victim) ?? last;
    const node = back.nodes[0];
    return {
      verdict: named,
      failure: {
        host: host.name,
        guest: back.guest.name,
        code: first.code,
        victim,
        ...zoneOf(host.model, node),
        ...shortfallOf(first.shortfallPages ?? reclaimedFor(host.model, node, named, names)),
        message: first.message,
      },
    };
  }
}

function standIn(index: number): string {
  return `${STAND_IN}${index}`;
}

/** A verdict with the guests' own names in place of those that it was replayed under. */
function withNames(verdict: PlanVerdict, names: string[]): PlanVerdict {
  const own = (text: string): string =>
    text.replace(/zonewise\/guest-(\d+)/g, (all, index: string) => names[Number(index)] ?? all);
  return {
    ...verdict,
    violations: verdict.violations.map((violation) => ({
      ...violation,
      guest: own(violation.guest),
      message: own(violation.message),
    })),
    outcome: {
      ...verdict.outcome,
      guests: verdict.outcome.guests.map((guest) => ({ ...guest, name: own(guest.name) })),
      oomKills: verdict.outcome.oomKills.map(own),
    },
    assumptions: verdict.assumptions.map(({ code, message }) => ({ code, message: own(message) })),
  };
}

function shortfallOf(pages: number): Pick<HostFailure, 'shortfallPages'> {
  return pages > 0 ? { shortfallPages: pages } : {};
}

/** Pages that new guests have on a node beyond what was free there above the marks: what had to be reclaimed. */
function reclaimedFor(
  model: HostModel,
  nodeId: number | undefined,
  { outcome }: PlanVerdict,
  names: string[],
): number {
  const node = hostCapacity(model).find((each) => each.nodeId === nodeId);
  if (node === undefined) return 0;
  const taken = outcome.guests
    .filter(({ name }) => names.includes(name))
    .flatMap(({ pagesByNode }) => pagesByNode.filter((entry) => entry.nodeId === nodeId))
    .reduce((sum, { pages }) => sum + pages, 0);
  return taken - (node.memoryPages - node.reclaimablePages);
}

/** The zone of a node that most of its guests' memory comes from; absent for a node without memory. */
export function largestZone(model: HostModel, nodeId: number | undefined): HostZone | undefined {
  const zones = model.nodes.find((node) => node.nodeId === nodeId)?.zones ?? [];
  return zones.reduce<HostZone | undefined>(
    (best, zone) => (best === undefined || zone.managedPages > best.managedPages ? zone : best),
    undefined,
  );
}

/** The zone that a node's guests live in, and the mark below which it gives them nothing. */
function zoneOf(model: HostModel, nodeId: number | undefined): Partial<HostFailure> {
  const largest = largestZone(model, nodeId);
  if (nodeId === undefined || largest === undefined) return {};
  return { node: nodeId, zone: largest.name, mark: { name: 'min', pages: largest.minPages } };
}

/** @param nodes host node of each packed cell */
export function placedOn(guest: ReadGuest, nodes: number[], host: ReadHost): Placed {
  return { guest, nodes, setting: settingOf(guest.view, nodes, host.model) };
}
