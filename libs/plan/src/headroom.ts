/** How many more guests of a flavour a host takes: by adding up first, then by replay. */
import {
  checkPlan,
  simulate,
  verdictOf,
  type GuestSpec,
  type PlanLimits,
  type PlanVerdict,
  type SimulationRequest,
} from '@zonewise/advisor';
import { parseDomain } from '@zonewise/libvirt-xml';
import { hostCapacity, type NodeCapacity } from '@zonewise/placement';
import { PAGE_KIB, PAGES_PER_MIB, type HostModel, type ReplayControl } from '@zonewise/simulator';
import { domainXmlOf, type Flavour } from './flavour';
import { buildGuestSpec } from './guest-spec';
import { modelAfter } from './model-after';
import { pointerPart } from './plan-document';
import type { PlanProblem } from './plan-request';

/** Most flavours in one question. */
export const MAX_HEADROOM_FLAVOURS = 32;
/** Guests of a host that are replayed together, those it has included. */
const GUESTS_MAX = 1000;

export interface HeadroomAsk {
  flavours: Record<string, Flavour>;
  /** Page cache that every node has to keep, MiB; where it has less from the start, that much. Default 0. */
  pageCacheMib?: number;
  /** What else ends it, besides kills, failed starts and pools that are used up. */
  limits?: PlanLimits;
}

/** What keeps one more guest away. */
export interface HeadroomEnd {
  /** Code of a rule; `memory`, `hugepages` by adding up; `page-cache`; `as-is`: the host fails already; `too-many`. */
  code: string;
  /** Who suffers: a guest of the host, or `FLAVOUR #N`. */
  guest?: string;
  node?: number;
  zone?: string;
  /** Mark that a request must not pass; with the lowmem reserve where adding up counts it. */
  mark?: { name: 'min' | 'low'; pages: number; protectionPages?: number };
  shortfallPages?: number;
  message: string;
}

export interface HeadroomCount {
  /** Bound to this node; null: as the flavour says, on the whole host. */
  node: number | null;
  /** More guests that start and live, and harm nobody. */
  guests: number;
  endedBy: HeadroomEnd;
  /** Free memory above marks and reserves, and page cache that may go, divided by the guest. */
  byAddingUp: { guests: number; endedBy: HeadroomEnd };
  replays: number;
}

export interface HeadroomAnswer {
  flavours: { flavour: string; memoryMib: number; total: HeadroomCount; nodes: HeadroomCount[] }[];
  pageCacheMib: number;
  seed: number;
  profile: PlanVerdict['profile'];
  replays: number;
  caveats: { code: string; message: string }[];
  /** Of the host with the guests that it has, and of the new ones. */
  assumptions: { code: string; message: string }[];
}

export type HeadroomOutcome =
  { ok: true; value: HeadroomAnswer } | { ok: false; problems: PlanProblem[] };

/** The host with the guests that it has, after its replay. */
interface Base {
  request: SimulationRequest;
  ask: HeadroomAsk;
  /** Host after its replay. */
  model: HostModel;
  capacity: NodeCapacity[];
  /** Page cache that each node has to keep, pages by node. */
  cachePages: Map<number, number>;
  failed: HeadroomEnd | null;
  verdict: PlanVerdict;
  control?: ReplayControl;
}

/** One kind of new guest. */
interface Kind {
  name: string;
  spec: GuestSpec & { state: 'planned' };
  /** Pages of ordinary memory, QEMU itself included. */
  pages: number;
  pool: { sizeKib: number; pages: number } | null;
  /** Nodes that its memory may come from. */
  nodes: number[];
  node: number | null;
}

/**
 * Between the counts that were replayed, what holds for a number of guests is taken to hold for fewer.
 * @param request the host with the guests that it has, running or planned
 * @returns the counts, or why a flavour cannot be placed there at all, with pointers into `ask`
 * @throws AdvisorInputError, SimulatorInputError for a request that cannot be replayed
 */
export function headroom(
  request: SimulationRequest,
  ask: HeadroomAsk,
  control?: ReplayControl,
): HeadroomOutcome {
  const base = baseOf(request, ask, control);
  const homes = base.model.nodes
    .filter(({ zones }) => zones.some(({ managedPages }) => managedPages > 0))
    .map(({ nodeId }) => nodeId);
  const problems: PlanProblem[] = [];
  const flavours = Object.entries(ask.flavours).flatMap(([flavour, shape]) => {
    const path = `/flavours/${pointerPart(flavour)}`;
    const whole = kindOf(base, flavour, shape, null);
    if (!whole.ok) {
      problems.push(...whole.problems.map((problem) => ({ ...problem, path })));
      return [];
    }
    const nodes = homes.flatMap((node) => {
      const bound = kindOf(base, flavour, shape, node);
      return bound.ok ? [countOf(base, bound.value)] : [];
    });
    const { spec } = whole.value;
    const total = countOf(base, whole.value);
    return [{ flavour, memoryMib: shape.memoryMib, total, nodes, spec }];
  });
  if (problems.length > 0) return { ok: false, problems };
  const counts = flavours.flatMap(({ total, nodes }) => [total, ...nodes]);
  const { verdict } = base;
  const value: HeadroomAnswer = {
    flavours: flavours.map(({ spec: _spec, ...rest }) => rest),
    pageCacheMib: ask.pageCacheMib ?? 0,
    seed: request.seed,
    profile: verdict.profile,
    // One is that of the host as it is.
    replays: counts.reduce((sum, { replays }) => sum + replays, 1),
    caveats: verdict.caveats,
    assumptions: [
      ...verdict.assumptions,
      ...flavours.flatMap(({ flavour, spec }) =>
        spec.assumptions.map(({ code, message }) => ({ code, message: `${flavour}: ${message}` })),
      ),
    ],
  };
  return { ok: true, value };
}

function baseOf(request: SimulationRequest, ask: HeadroomAsk, control?: ReplayControl): Base {
  const simulation = simulate(request, control);
  const { result } = simulation;
  const last = result.steps.at(-1)?.snapshot ?? result.initial;
  const model = modelAfter(request.host, last);
  const needPages = Math.floor((ask.pageCacheMib ?? 0) * PAGES_PER_MIB);
  const cachePages = new Map(
    last.nodes.map(({ nodeId, lru }) => [
      nodeId,
      Math.min(needPages, lru.activeFilePages + lru.inactiveFilePages),
    ]),
  );
  const capacity = model.nodes.flatMap((node) =>
    hostCapacity({ ...model, nodes: [node] }, { pageCachePages: cachePages.get(node.nodeId) ?? 0 }),
  );
  const verdict = verdictOf(request, ask.limits ?? {}, simulation);
  const [first] = verdict.violations;
  const failed: HeadroomEnd | null = first
    ? {
        code: 'as-is',
        ...(first.guest === '' ? {} : { guest: first.guest }),
        ...(first.node === undefined ? {} : { node: first.node }),
        message: `The host fails without any further guest: ${first.message}`,
      }
    : null;
  const common = { request, ask, model, capacity, cachePages, failed, verdict };
  return control === undefined ? common : { ...common, control };
}

type KindOutcome = { ok: true; value: Kind } | { ok: false; problems: PlanProblem[] };

/** @param node the guest is bound to it, whatever the flavour says; null: as the flavour says */
function kindOf({ model }: Base, name: string, shape: Flavour, node: number | null): KindOutcome {
  const cpus = model.nodes.find(({ nodeId }) => nodeId === node)?.cpus ?? [];
  const bound: Flavour = {
    ...shape,
    numatune: { mode: 'strict', nodeset: String(node) },
    cpuset: cpus.length === 0 ? undefined : cpus.join(','),
  };
  const parsed = parseDomain(domainXmlOf('further', node === null ? shape : bound));
  if (!parsed.ok) return parsed;
  const spec = buildGuestSpec(parsed.value, model, { state: 'planned' });
  if (!spec.ok) return spec;
  if (spec.value.state !== 'planned') throw new Error('a further guest is always planned');
  const { guest } = spec.value;
  const sizeKib = shape.hugepagesKib;
  const [region] = guest.regions;
  const named = region?.policy.mode === 'bind' ? region.policy.nodes : region?.cpusetMems;
  return {
    ok: true,
    value: {
      name,
      node,
      spec: spec.value,
      pages: guest.regions.reduce(
        (sum, { sizePages, hugetlb }) => (hugetlb ? sum : sum + sizePages),
        guest.overheadPages,
      ),
      pool:
        sizeKib === undefined
          ? null
          : { sizeKib, pages: Math.ceil((shape.memoryMib * 1024) / sizeKib) },
      nodes: named ?? model.nodes.map(({ nodeId }) => nodeId),
    },
  };
}

function countOf(base: Base, kind: Kind): HeadroomCount {
  const byAddingUp = addUp(base, kind);
  const { node } = kind;
  if (base.failed !== null) {
    return { node, guests: 0, endedBy: base.failed, byAddingUp, replays: 0 };
  }
  const pools = poolRoom(base, kind);
  const most = Math.min(GUESTS_MAX - base.request.guests.length, pools.guests);
  let replays = 0;
  const endAt = (guests: number): HeadroomEnd | null => {
    replays += 1;
    return replayEnd(base, kind, guests);
  };
  const { guests, endedBy } = search(Math.min(byAddingUp.guests, most), most, endAt);
  return {
    node,
    guests,
    endedBy:
      endedBy ?? (pools.endedBy !== null && guests === pools.guests ? pools.endedBy : tooMany()),
    byAddingUp,
    replays,
  };
}

function tooMany(): HeadroomEnd {
  return {
    code: 'too-many',
    message: `More than ${GUESTS_MAX} guests of a host are not replayed together.`,
  };
}

/**
 * The largest count up to `most` that holds: from a guess in growing steps until it turns, then by halves.
 * @returns what ends it; null where `most` holds
 */
function search(
  guess: number,
  most: number,
  endAt: (guests: number) => HeadroomEnd | null,
): { guests: number; endedBy: HeadroomEnd | null } {
  let holds = 0;
  let fails = most + 1;
  let endedBy: HeadroomEnd | null = null;
  const test = (guests: number): boolean => {
    const end = endAt(guests);
    if (end === null) holds = guests;
    else [fails, endedBy] = [guests, end];
    return end === null;
  };
  if (most <= 0) return { guests: 0, endedBy };
  const start = Math.max(1, guess);
  const up = test(start);
  for (let step = 1; up ? holds < most && fails > most : holds === 0 && fails > 1; step *= 2) {
    const next = up ? Math.min(most, start + step) : Math.max(1, start - step);
    if (test(next) !== up) break;
  }
  while (fails - holds > 1) test(Math.floor((holds + fails) / 2));
  return { guests: holds, endedBy };
}

const roomOf = (base: Base, kind: Kind): NodeCapacity[] =>
  base.capacity.filter(({ nodeId }) => kind.nodes.includes(nodeId));

/** Free memory above marks and reserves with the page cache that may go, divided by the guest. */
function addUp(base: Base, kind: Kind): HeadroomCount['byAddingUp'] {
  const room = roomOf(base, kind);
  const pages = room.reduce((sum, { memoryPages }) => sum + memoryPages, 0);
  const memory = Math.floor(pages / kind.pages);
  const pools = poolRoom(base, kind);
  if (pools.endedBy !== null && pools.guests <= memory) {
    return { guests: pools.guests, endedBy: pools.endedBy };
  }
  const shortfallPages = kind.pages * (memory + 1) - pages;
  const widest = room.reduce<NodeCapacity | undefined>(
    (best, each) => (best === undefined || each.memoryPages > best.memoryPages ? each : best),
    undefined,
  );
  const where = widest === undefined ? '' : zonePhrase(widest);
  const message =
    `${pages} pages are free above marks and reserves, or page cache that may go${where}; ` +
    `${memory + 1} guests of ${kind.pages} pages need ${shortfallPages} more.`;
  const place = widest === undefined ? {} : placeOf(widest, kind.node);
  return { guests: memory, endedBy: { code: 'memory', ...place, shortfallPages, message } };
}

function largestZone({ zones }: NodeCapacity): NodeCapacity['zones'][number] | undefined {
  return zones.reduce<NodeCapacity['zones'][number] | undefined>(
    (best, zone) => (best === undefined || zone.freePages > best.freePages ? zone : best),
    undefined,
  );
}

function zonePhrase(capacity: NodeCapacity): string {
  const zone = largestZone(capacity);
  if (zone === undefined) return '';
  const reserve = zone.protectionPages > 0 ? ` and ${zone.protectionPages} in reserve` : '';
  return (
    ` (node ${capacity.nodeId} ${zone.zone}: ${zone.freePages} free, ${zone.lowPages} below low${reserve}, ` +
    `${capacity.reclaimablePages} of page cache)`
  );
}

function placeOf(capacity: NodeCapacity, node: number | null): Partial<HeadroomEnd> {
  const zone = largestZone(capacity);
  if (zone === undefined) return {};
  const { lowPages, protectionPages } = zone;
  return {
    node: node ?? capacity.nodeId,
    zone: zone.zone,
    mark: { name: 'low', pages: lowPages, protectionPages },
  };
}

/** Guests that the pools of huge pages, as the host's own guests leave them, have memory for: each reserves all of it. */
function poolRoom(
  base: Base,
  { pool, nodes }: Kind,
): { guests: number; endedBy: HeadroomEnd | null } {
  if (pool === null) return { guests: Infinity, endedBy: null };
  const left = base.model.nodes
    .filter(({ nodeId }) => nodes.includes(nodeId))
    .flatMap(({ hugepages }) => hugepages.filter(({ sizeKib }) => sizeKib === pool.sizeKib))
    .reduce((sum, { freePages }) => sum + freePages, 0);
  const guests = Math.floor(left / pool.pages);
  const missing = pool.pages * (guests + 1) - left;
  const [only] = nodes;
  return {
    guests,
    endedBy: {
      code: 'hugepages',
      ...(nodes.length === 1 && only !== undefined ? { node: only } : {}),
      shortfallPages: (missing * pool.sizeKib) / PAGE_KIB,
      message: `${left} huge pages of ${pool.sizeKib} KiB are free; ${guests + 1} guests need ${missing} more.`,
    },
  };
}

/** What speaks against so many further guests, by replay. */
function replayEnd(base: Base, kind: Kind, guests: number): HeadroomEnd | null {
  const { request, ask, cachePages, control } = base;
  const further = Array.from({ length: guests }, (_, i): GuestSpec => {
    const guest = { ...kind.spec.guest, name: standIn(i + 1) };
    return { ...kind.spec, guest };
  });
  const verdict = checkPlan(
    { ...request, guests: [...request.guests, ...further] },
    ask.limits ?? {},
    control,
  );
  const own = (text: string): string =>
    text.replace(/zonewise\/further-(\d+)\//g, (_all, n: string) => `${kind.name} #${n}`);
  const [first] = verdict.violations;
  if (first !== undefined) {
    const node = first.node ?? kind.node ?? undefined;
    return {
      code: first.code,
      ...(first.guest === '' ? {} : { guest: own(first.guest) }),
      ...zoneOf(base.model, node),
      ...(first.shortfallPages === undefined ? {} : { shortfallPages: first.shortfallPages }),
      message: own(first.message),
    };
  }
  for (const { nodeId, fileCachePages } of verdict.outcome.nodes) {
    const need = cachePages.get(nodeId) ?? 0;
    if (fileCachePages >= need) continue;
    const message = `Node ${nodeId} keeps ${fileCachePages} pages of page cache and has to keep ${need}.`;
    const shortfallPages = need - fileCachePages;
    return { code: 'page-cache', ...zoneOf(base.model, nodeId), shortfallPages, message };
  }
  return null;
}

/** No domain may be called so: libvirt refuses a slash in names. */
function standIn(number: number): string {
  return `zonewise/further-${number}/`;
}

/** The zone that a node's guests live in, and the mark below which it gives them nothing. */
function zoneOf(model: HostModel, nodeId: number | undefined): Partial<HeadroomEnd> {
  const zones = model.nodes.find((node) => node.nodeId === nodeId)?.zones ?? [];
  const largest = zones.reduce<(typeof zones)[number] | undefined>(
    (best, zone) => (best === undefined || zone.managedPages > best.managedPages ? zone : best),
    undefined,
  );
  if (nodeId === undefined || largest === undefined) return {};
  return { node: nodeId, zone: largest.name, mark: { name: 'min', pages: largest.minPages } };
}
