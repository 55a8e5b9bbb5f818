/** The replay of a host with the guests that the packer gave it, and what speaks against it. */
import { createHash } from 'node:crypto';
import type { DemandProfile, PlanVerdict, SimulationRequest } from '@zonewise/advisor';
import { hostCapacity } from '@zonewise/placement';
import { PAGE_KIB, type HostModel, type HostZone } from '@zonewise/simulator';
import { buildGuestSpec } from './guest-spec';
import type { HostTask, TaskOutcome } from './judge-host';
import type { PlacementDocument, ReadGuest, ReadHost } from './placement-document';
import { placedView, settingOf, type GuestSetting } from './placement-shape';
import { requestProblem } from './plan-request';
import type { Replaying } from './replaying';
import { withNames, withoutNames } from './stand-ins';

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
  /** Code of a rule, such as `oom-kill`, or `not-replayable`: the problem that keeps it from being replayed. */
  code: string;
  /** Who suffers. */
  victim: string;
  node?: number;
  zone?: string;
  mark?: { name: 'min' | 'low'; pages: number };
  /** Pages that the victim did not get, or that had to be reclaimed for the new guests; absent where there are none. */
  shortfallPages?: number;
  /** Where a pool was too small: pages of `sizeKib`, instead of zone, mark and `shortfallPages`. */
  shortfallHugepages?: number;
  sizeKib?: number;
  message: string;
}

export interface HostCheck {
  failure: HostFailure | null;
  verdict: PlanVerdict | null;
}

/** A host's replay, wanted. */
export interface Ask {
  host: ReadHost;
  /** New guests in the order in which they start. */
  placed: Placed[];
  /** Of all guests that are replayed. */
  names: string[];
  /** null: it cannot be replayed, for this reason. */
  task: HostTask | null;
  problem: string;
  /** Equal for replays that differ in nothing but names. */
  key: string;
}

/** Settings that move the marks. */
const MARKS = ['min_free_kbytes', 'watermark_scale_factor', 'lowmem_reserve_ratio'] as const;

/** Replays of a placement; equal hosts with equal guests are replayed once. */
export class PlacementReplays {
  replays = 0;
  shared = 0;
  private readonly known = new Map<string, TaskOutcome>();

  constructor(private readonly document: PlacementDocument) {}

  /**
   * Hosts as they are when the first new guest starts, where the request changes them before: marks, pools of huge
   * pages as far as they are obtained, page cache.
   * @returns models by host; without those that nothing changes, or that cannot be replayed
   */
  *settled(hosts: ReadHost[]): Replaying<Map<string, HostModel>> {
    const asks = hosts
      .filter(
        ({ source: { sysctl = {}, hugepages = [], backgroundCache = [] } }) =>
          hugepages.length + backgroundCache.length > 0 ||
          MARKS.some((name) => sysctl[name] !== undefined),
      )
      .map((host) => {
        const running = host.residents.flatMap(({ spec }) =>
          spec.state === 'running' ? [spec] : [],
        );
        const request = this.requestOf(host, running);
        return { host, names: [], placed: [], ...this.wanted(request, { settled: true }) };
      });
    yield* this.make(asks);
    return new Map(
      asks.flatMap(({ host, key }) => {
        const outcome = this.known.get(key);
        const model = outcome?.ok === true ? outcome.value.model : undefined;
        return model === undefined ? [] : [[host.name, model] as const];
      }),
    );
  }

  /** @param placed the new guests of the host */
  ask(host: ReadHost, placed: Placed[]): Ask {
    // Guests start in an order that does not depend on their names; equal ones stay as they came.
    const ordered = placed
      .map((each) => ({ each, like: `${each.guest.kind} ${each.nodes.join(',')}` }))
      .sort((a, b) => (a.like === b.like ? 0 : a.like < b.like ? -1 : 1))
      .map(({ each }) => each);
    const guests = host.residents.map(({ spec }) => spec);
    let problem = '';
    for (const { guest, setting } of ordered) {
      const spec = buildGuestSpec(placedView(guest.view, setting), host.model, {
        state: 'planned',
      });
      if (spec.ok) guests.push(spec.value);
      else problem = spec.problems[0]?.message ?? 'It cannot start.';
    }
    const common = { host, placed: ordered, names: guests.map(({ guest }) => guest.name) };
    if (problem !== '') return { ...common, task: null, problem, key: '' };
    const { limits = {} } = this.document;
    return { ...common, ...this.wanted(this.requestOf(host, guests), { limits }) };
  }

  private requestOf(
    { model, source }: ReadHost,
    guests: SimulationRequest['guests'],
  ): SimulationRequest {
    const { demand = {}, seed = 1, hardwareProfile } = this.document;
    const { sysctl, hugepages, backgroundCache } = source;
    const own: DemandProfile = {
      ...demand,
      ...(hugepages === undefined ? {} : { hugepages }),
      ...(backgroundCache === undefined ? {} : { backgroundCache }),
    };
    return {
      ...{ host: model, guests, demand: own, seed },
      ...(sysctl === undefined ? {} : { sysctl }),
      ...(hardwareProfile === undefined ? {} : { hardwareProfile }),
    };
  }

  private wanted(
    request: SimulationRequest,
    how: { limits: NonNullable<PlacementDocument['limits']> } | { settled: true },
  ): Pick<Ask, 'task' | 'problem' | 'key'> {
    const wrong = requestProblem(request);
    if (wrong !== null) return { task: null, problem: wrong.message, key: '' };
    const task: HostTask = { request: withoutNames(request), ...how };
    const key = createHash('sha256').update(JSON.stringify(task)).digest('hex');
    return { task, problem: '', key };
  }

  /** Makes the replays that are not known yet. */
  *make(asks: Ask[]): Replaying<void> {
    const wanted = new Map<string, { task: HostTask; host: string }>();
    for (const { task, key, host } of asks) {
      if (task === null) continue;
      if (this.known.has(key) || wanted.has(key)) this.shared += 1;
      else wanted.set(key, { task, host: host.name });
    }
    if (wanted.size === 0) return;
    const batch = [...wanted.values()];
    const outcomes = yield {
      tasks: batch.map(({ task }) => task),
      hosts: batch.map(({ host }) => host),
    };
    this.replays += batch.length;
    [...wanted.keys()].forEach((key, i) => {
      const outcome = outcomes[i];
      if (outcome !== undefined) this.known.set(key, outcome);
    });
  }

  /** What a replay that was made says. */
  check({ host, placed, names, task, problem, key }: Ask): HostCheck {
    const last = placed[placed.length - 1];
    if (last === undefined)
      throw new Error(`${host.name}: a host without new guests is not replayed`);
    const unreplayable = (why: string): HostCheck => {
      const guest = last.guest.name;
      const message = `${guest} cannot be replayed on ${host.name}: ${why}`;
      const failure = { host: host.name, guest, code: 'not-replayable', victim: guest, message };
      return { verdict: null, failure };
    };
    if (task === null) return unreplayable(problem);
    const outcome = this.known.get(key);
    if (outcome === undefined) throw new Error(`${host.name} was not replayed`);
    if (!outcome.ok) return unreplayable(outcome.problem.message);
    const verdict = withNames(outcome.value.verdict, names);
    // A pool that is not obtained in full is nobody's fault; who misses its pages fails to start.
    const first = verdict.violations.find(({ code }) => code !== 'hugepage-pool');
    if (first === undefined) return { verdict, failure: null };
    const back = placed.find(({ guest }) => guest.name === first.guest) ?? last;
    const node = first.node ?? back.nodes[0];
    return {
      verdict,
      failure: {
        ...{ host: host.name, guest: back.guest.name, code: first.code, victim: first.guest },
        ...(first.sizeKib === undefined
          ? {
              ...zoneOf(host.model, node),
              ...shortfallOf(
                first.shortfallPages ?? reclaimedFor(host.model, node, verdict, placed),
              ),
            }
          : poolOf(node, first.sizeKib, first.shortfallPages ?? 0)),
        message: first.message,
      },
    };
  }
}

function shortfallOf(pages: number): Pick<HostFailure, 'shortfallPages'> {
  return pages > 0 ? { shortfallPages: pages } : {};
}

function poolOf(node: number | undefined, sizeKib: number, pages: number): Partial<HostFailure> {
  const shortfallHugepages = Math.ceil((pages * PAGE_KIB) / sizeKib);
  return { ...(node === undefined ? {} : { node }), sizeKib, shortfallHugepages };
}

/** Pages that new guests have on a node beyond what was free there above the marks: what had to be reclaimed. */
function reclaimedFor(
  model: HostModel,
  nodeId: number | undefined,
  { outcome }: PlanVerdict,
  placed: Placed[],
): number {
  const node = hostCapacity(model).find((each) => each.nodeId === nodeId);
  if (node === undefined) return 0;
  const names = new Set(placed.map(({ guest }) => guest.name));
  const taken = outcome.guests
    .filter(({ name }) => names.has(name))
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
