/**
 * What a placement is asked for: hosts with their guests, guests to place, and the rules between them. The
 * contents of files are in place; `resolvePlacement` reads them.
 */
import type { DemandProfile, GuestSpec, PlanLimits } from '@zonewise/advisor';
import { parseDomain, type DomainView } from '@zonewise/libvirt-xml';
import { MAX_CELLS, type Objective } from '@zonewise/placement';
import type { HostModel, HostSysctls } from '@zonewise/simulator';
import { domainXmlOf, type Flavour } from './flavour';
import {
  caveatsUnder,
  readPlanGuests,
  readPlanHost,
  requestProblem,
  type PackingPlan,
  type PlanDomain,
  type PlanProblem,
} from './plan-request';
import { noSuchName } from './suggest';

/** A guest that a host has, read already: those of stored hosts. */
export interface Resident {
  view: DomainView;
  spec: GuestSpec;
}

export interface PlacementHost {
  name: string;
  /** JSON pointer of the host in the request. */
  path: string;
  host: PackingPlan['host'];
  /** Aggregate, zone or rack: what `hostGroups` of a guest names. */
  group?: string;
  /** Its guests, running or about to start; by document or read already. */
  domains?: PlanDomain[];
  residents?: Resident[];
  /** What is not given to guests, of each node. */
  reserved?: { memoryMib?: number; cpus?: number };
  /** Page cache that each node keeps; the rest of its clean cache may be taken. Default 0. */
  pageCacheMib?: number;
  sysctl?: Partial<HostSysctls>;
  /** Pools of huge pages that are written, and page cache that is read, before the first new guest starts. */
  hugepages?: DemandProfile['hugepages'];
  backgroundCache?: DemandProfile['backgroundCache'];
}

/** Exactly one of xml and flavour. */
export interface PlacementGuest {
  path: string;
  name?: string;
  xml?: string;
  flavour?: string;
  /** Guests of the flavour: NAME-1, NAME-2, ... Default: one, called NAME. */
  count?: number;
  /** Groups of hosts that may take it; absent: every host. */
  hostGroups?: string[];
}

export interface PlacementDocument {
  hosts: PlacementHost[];
  guests: PlacementGuest[];
  flavours?: Record<string, Flavour>;
  /** Default `density`. */
  objective?: Objective;
  /** Lists of guests, there or to place, of which no two are on one host. */
  antiAffinity?: string[][];
  /** Host that is to be emptied: its guests are placed on the others. */
  evacuate?: string;
  /** vCPUs per CPU. Default 4. */
  cpuAllocationRatio?: number;
  demand?: Pick<DemandProfile, 'touchPercent' | 'rateMibPerSecond'>;
  /** What a host's replay has to keep, besides that nobody is killed and every guest starts. */
  limits?: PlanLimits;
  seed?: number;
  hardwareProfile?: string;
}

export interface ReadHost {
  name: string;
  path: string;
  model: HostModel;
  residents: Resident[];
  source: PlacementHost;
}

/** A guest to place; those that are alike share `kind`. */
export interface ReadGuest {
  name: string;
  path: string;
  view: DomainView;
  /** Equal for guests of one flavour or one text but for the name. */
  kind: string;
  hostGroups?: string[];
  /** Host that it leaves, where it is evacuated. */
  from?: string;
}

export interface ReadPlacement {
  hosts: ReadHost[];
  guests: ReadGuest[];
  /** Keys of anti-affinity by guest. */
  keys: Map<string, string[]>;
  caveats: { code: string; message: string }[];
}

type Outcome<T> = { ok: true; value: T } | { ok: false; problems: PlanProblem[] };

/** Hosts that a caveat about many names. */
const NAMES_SHOWN = 8;
/** Most hosts in one request. */
export const MAX_PLACED_HOSTS = 10_000;
/** Most guests to place in one request, flavours counted out. */
export const MAX_PLACED_GUESTS = 20_000;

function under(prefix: string, problems: PlanProblem[]): PlanProblem[] {
  return problems.map((problem) => ({ ...problem, path: `${prefix}${problem.path}` }));
}

/** The first names, and how many there are besides. */
function namesText(names: string[]): string {
  const shown = names.slice(0, NAMES_SHOWN).join(', ');
  return names.length > NAMES_SHOWN ? `${shown} and ${names.length - NAMES_SHOWN} more` : shown;
}

/** What is wrong with what the request does to a host before its new guests start. */
function settingProblem(source: PlacementHost, model: HostModel): PlanProblem | null {
  const { path, sysctl, hugepages, backgroundCache } = source;
  const problem = requestProblem({
    ...{ host: model, guests: [], seed: 1 },
    demand: {
      ...(hugepages === undefined ? {} : { hugepages }),
      ...(backgroundCache === undefined ? {} : { backgroundCache }),
    },
    ...(sysctl === undefined ? {} : { sysctl }),
  });
  return problem && { ...problem, path: `${path}${problem.path.replace(/^\/demand/, '')}` };
}

function readHost(
  source: PlacementHost,
): Outcome<ReadHost & { caveats: ReadPlacement['caveats'] }> {
  const { name, path, residents = [], domains = [] } = source;
  const host = readPlanHost(source.host);
  if (!host.ok) {
    const problems = host.problems.map((found) => ({
      ...found,
      path: `${path}${found.path.replace(/^\/host/, '')}`,
    }));
    return { ok: false, problems };
  }
  const read = readPlanGuests(domains, host.model);
  if (read.problems.length > 0) return { ok: false, problems: under(path, read.problems) };
  const own = read.guests.map((spec, i): Resident => {
    const parsed = parseDomain(domains[i]?.xml ?? '');
    if (!parsed.ok) throw new Error(`${name}: a document was read once and not again`);
    return { view: parsed.value, spec };
  });
  const wrong = settingProblem(source, host.model);
  if (wrong !== null) return { ok: false, problems: [wrong] };
  const value = { name, path, source, model: host.model, residents: [...residents, ...own] };
  return { ok: true, value: { ...value, caveats: caveatsUnder(source.sysctl, host.caveats) } };
}

/** Equal for documents that differ in name, uuid and where things stand only. */
function kindOf(view: DomainView): string {
  return JSON.stringify({ ...view, name: '', uuid: '', warnings: [], positions: {} });
}

function unknown(
  path: string,
  code: string,
  what: string,
  name: string,
  known: string[],
): PlanProblem {
  return { code, path, message: noSuchName(what, name, known, 'request') };
}

function readGuest(guest: PlacementGuest, flavours: Record<string, Flavour>): Outcome<ReadGuest[]> {
  const { path, xml, flavour, name, count, hostGroups } = guest;
  const rest = { path, ...(hostGroups === undefined ? {} : { hostGroups }) };
  if ((xml === undefined) === (flavour === undefined)) {
    const message = 'A guest is described by exactly one of xml and flavour.';
    return { ok: false, problems: [{ code: 'plan-guest', path, message }] };
  }
  if (xml !== undefined) {
    const parsed = parseDomain(xml);
    if (!parsed.ok) return { ok: false, problems: under(`${path}/xml`, parsed.problems) };
    const view = parsed.value;
    if (name !== undefined && name !== view.name) {
      const message = `The request calls this guest ${JSON.stringify(name)}, its document ${JSON.stringify(view.name)}.`;
      return { ok: false, problems: [{ code: 'name-mismatch', path: `${path}/name`, message }] };
    }
    return { ok: true, value: [{ ...rest, name: view.name, view, kind: kindOf(view) }] };
  }
  const shape = Object.hasOwn(flavours, flavour ?? '') ? flavours[flavour ?? ''] : undefined;
  if (shape === undefined) {
    const known = Object.keys(flavours);
    const problem = unknown(`${path}/flavour`, 'unknown-flavour', 'flavour', flavour ?? '', known);
    return { ok: false, problems: [problem] };
  }
  if (name === undefined) {
    const message = 'A guest of a flavour needs a name.';
    return { ok: false, problems: [{ code: 'plan-guest', path, message }] };
  }
  const names =
    count === undefined ? [name] : Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
  const parsed = parseDomain(domainXmlOf(names[0] ?? name, shape));
  if (!parsed.ok) return { ok: false, problems: under(path, parsed.problems) };
  const value = names.map((each) => ({
    ...rest,
    name: each,
    view: { ...parsed.value, name: each },
    kind: `flavour ${flavour}`,
  }));
  return { ok: true, value };
}

function duplicates(
  list: { name: string; path: string }[],
  code: string,
  what: string,
): PlanProblem[] {
  const seen = new Set<string>();
  return list.flatMap(({ name, path }) => {
    if (!seen.has(name)) {
      seen.add(name);
      return [];
    }
    const message = `Two ${what} of the request are called ${JSON.stringify(name)}.`;
    return [{ code, path, message }];
  });
}

/** Keys by guest; a list may name the guests of a flavour by their common name. */
function keysOf(
  { antiAffinity = [], guests: asked }: PlacementDocument,
  names: string[],
  problems: PlanProblem[],
): Map<string, string[]> {
  const known = new Set(names);
  const groups = new Map(
    asked.flatMap(({ name, count }) =>
      name === undefined || count === undefined
        ? []
        : [[name, Array.from({ length: count }, (_, i) => `${name}-${i + 1}`)] as const],
    ),
  );
  const keys = new Map<string, string[]>();
  antiAffinity.forEach((list, i) => {
    list.forEach((name, j) => {
      const members = known.has(name) ? [name] : groups.get(name);
      if (members === undefined) {
        problems.push(unknown(`/antiAffinity/${i}/${j}`, 'unknown-guest', 'guest', name, names));
      }
      for (const member of members ?? []) {
        keys.set(member, [...(keys.get(member) ?? []), `list-${i}`]);
      }
    });
  });
  return keys;
}

function cellProblems({ name, path, view }: ReadGuest): PlanProblem[] {
  const { length } = view.cells;
  if (length <= MAX_CELLS) return [];
  const message = `${name} has ${length} cells; at most ${MAX_CELLS} are placed.`;
  return [{ code: 'plan-guest', path, message }];
}

/** Takes the host that is to be emptied out of the hosts; its guests come to those to place. */
function evacuated(
  { evacuate }: PlacementDocument,
  hosts: ReadHost[],
  problems: PlanProblem[],
): { hosts: ReadHost[]; guests: ReadGuest[] } {
  if (evacuate === undefined) return { hosts, guests: [] };
  const host = hosts.find(({ name }) => name === evacuate);
  if (host === undefined) {
    const known = hosts.map(({ name }) => name);
    problems.push(unknown('/evacuate', 'unknown-host', 'host', evacuate, known));
    return { hosts, guests: [] };
  }
  const guests = host.residents.map(({ view }, i) => ({
    name: view.name,
    path: `${host.path}/domains/${i}`,
    view,
    kind: kindOf(view),
    from: host.name,
  }));
  return { hosts: hosts.filter((each) => each !== host), guests };
}

/**
 * Reads a request's texts. All problems are collected, each with its place in the request.
 * @returns hosts without the one that is emptied, and every guest to place
 */
export function resolvePlacement(document: PlacementDocument): Outcome<ReadPlacement> {
  const problems: PlanProblem[] = duplicates(document.hosts, 'duplicate-host', 'hosts');
  const noted = new Map<string, { code: string; message: string; hosts: string[] }>();
  const all: ReadHost[] = [];
  for (const source of document.hosts) {
    const read = readHost(source);
    if (!read.ok) {
      problems.push(...read.problems);
      continue;
    }
    const { caveats: own, ...host } = read.value;
    for (const caveat of own) {
      const key = JSON.stringify(caveat);
      const known = noted.get(key);
      if (known === undefined) noted.set(key, { ...caveat, hosts: [host.name] });
      else known.hosts.push(host.name);
    }
    all.push(host);
  }
  const asked = document.guests.flatMap((guest) => {
    const read = readGuest(guest, document.flavours ?? {});
    if (read.ok) return read.value;
    problems.push(...read.problems);
    return [];
  });
  // Names are of no use while there are texts that could not be read.
  if (problems.length > 0) return { ok: false, problems };
  const { hosts, guests: leaving } = evacuated(document, all, problems);
  const guests = [...leaving, ...asked];
  problems.push(...guests.flatMap(cellProblems));
  const stay = hosts.flatMap(({ path, residents }) =>
    residents.map(({ view }) => ({ name: view.name, path })),
  );
  problems.push(...duplicates([...stay, ...guests], 'duplicate-domain', 'guests'));
  if (guests.length > MAX_PLACED_GUESTS) {
    const message = `There are ${guests.length} guests to place; at most ${MAX_PLACED_GUESTS} are placed together.`;
    problems.push({ code: 'too-many-guests', path: '/guests', message });
  }
  const keys = keysOf(
    document,
    [...stay, ...guests].map(({ name }) => name),
    problems,
  );
  if (problems.length > 0) return { ok: false, problems };
  const caveats = [...noted.values()].map(({ code, message, hosts: names }) => ({
    code,
    message: `${namesText(names)}: ${message}`,
  }));
  return { ok: true, value: { hosts, guests, keys, caveats } };
}
