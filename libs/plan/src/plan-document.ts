/**
 * A packing plan with the contents of its files in place: several hosts, guests by document or by flavour,
 * and who goes where. `resolvePlan` makes one plan for each host of it.
 */
import type { DemandProfile, HugepageDemand, PlanLimits } from '@zonewise/advisor';
import type { HostSysctls } from '@zonewise/simulator';
import { parseDomain } from '@zonewise/libvirt-xml';
import { domainXmlOf, type Flavour } from './flavour';
import type { SettledPlan } from './plan-placement';
import { guestsFromOutside, timelinesOf, type PlanEvent, type Timeline } from './plan-events';
import type { PackingPlan, PlanDomain, PlanProblem } from './plan-request';
import type { Policies } from './policies';
import type { Severity } from './rules';
import { noSuchName } from './suggest';
import type { Waiver } from './waivers';

export interface PlanHost {
  name: string;
  /** JSON pointer of the host in the plan. */
  path: string;
  host: PackingPlan['host'];
  sysctl?: Partial<HostSysctls>;
  backgroundCache?: DemandProfile['backgroundCache'];
  hugepages?: HugepageDemand[];
}

export interface PlanGuest extends Omit<PlanDomain, 'xml' | 'process'> {
  path: string;
  /** Exactly one of the two. */
  xml?: string;
  flavour?: string;
  /** Guests of the flavour: NAME-1, NAME-2, ... Default: one, called NAME. */
  count?: number;
}

export interface PlanDocument {
  hosts: PlanHost[];
  guests: PlanGuest[];
  flavours?: Record<string, Flavour>;
  /** Guests by host; `auto`: the packer places them. Absent: there is one host, and all go there. */
  assignments?: Record<string, string[]> | 'auto';
  /** What happens once the guests that are there in the beginning have started, in this order. */
  events?: PlanEvent[];
  /** `backgroundCache` and `hugepages` only where there is one host. */
  demand?: DemandProfile;
  policies?: Policies;
  limits?: PlanLimits;
  waivers?: Waiver[];
  failLevel?: Severity;
  sysctl?: Partial<HostSysctls>;
  numatune?: PackingPlan['numatune'];
  seed?: number;
  hardwareProfile?: string;
}

/** Most hosts in one plan. */
export const MAX_HOSTS = 1000;
/** Most guests in one plan, flavours counted out. */
export const MAX_GUESTS = 20_000;

/** One host of a plan, with its guests' places in the document: `places[i]` belongs to `plan.domains[i]`. */
export interface HostPlan {
  name: string;
  path: string;
  plan: PackingPlan;
  places: { name: string; path: string }[];
  /** JSON pointers of the plan's events that the demand's events come from. */
  eventPaths: string[];
}

interface NamedGuest {
  name: string;
  path: string;
  domain: PlanDomain;
}

/** Guests with their names and documents; what is wrong goes to `problems`. */
function namedGuests(document: PlanDocument, problems: PlanProblem[]): NamedGuest[] {
  const guests = document.guests.flatMap((guest) => expand(guest, document, problems));
  const seen = new Map<string, string>();
  for (const { name, path } of guests) {
    const first = seen.get(name);
    if (first !== undefined) {
      const source = document.guests.find((guest) => guest.path === path);
      const message = `Two guests of the plan are called ${JSON.stringify(name)}; the other is ${first}. Rename one of them.`;
      const at = source?.xml === undefined ? path : `${path}/xml`;
      problems.push({ code: 'duplicate-domain', path: at, message });
    } else seen.set(name, path);
  }
  return guests;
}

function expand(
  { path, flavour, count, xml, ...rest }: PlanGuest,
  { flavours = {} }: PlanDocument,
  problems: PlanProblem[],
): NamedGuest[] {
  if ((xml === undefined) === (flavour === undefined)) {
    const message = 'A guest is described by exactly one of xml and flavour.';
    problems.push({ code: 'plan-guest', path, message });
    return [];
  }
  if (xml !== undefined) {
    const parsed = parseDomain(xml);
    if (parsed.ok) return [{ name: parsed.value.name, path, domain: { ...rest, xml } }];
    problems.push(
      ...parsed.problems.map((found) => ({ ...found, path: `${path}/xml${found.path}` })),
    );
    return [];
  }
  const known = Object.keys(flavours);
  const shape =
    flavour !== undefined && Object.hasOwn(flavours, flavour) ? flavours[flavour] : undefined;
  if (shape === undefined) {
    problems.push(unknownName(`${path}/flavour`, 'unknown-flavour', 'flavour', flavour, known));
    return [];
  }
  const { name } = rest;
  if (name === undefined) {
    const message = 'A guest of a flavour needs a name.';
    problems.push({ code: 'plan-guest', path, message });
    return [];
  }
  const names =
    count === undefined ? [name] : Array.from({ length: count }, (_, i) => `${name}-${i + 1}`);
  return names.map((each) => ({
    name: each,
    path,
    domain: { ...rest, name: each, xml: domainXmlOf(each, shape) },
  }));
}

function unknownName(
  path: string,
  code: string,
  what: string,
  name = '',
  known: string[] = [],
): PlanProblem {
  const message = noSuchName(what, name, known, 'plan');
  const expected = known.slice(0, 20).join(', ');
  return { code, path, message, ...(expected === '' ? {} : { expected }) };
}

/**
 * Which guests go to which host; `count` of a flavour may be named as a whole by the flavour's guest name.
 * @param homeless guests that have no host in the beginning and need none
 */
function assigned(
  document: SettledPlan['document'],
  guests: NamedGuest[],
  homeless: ReadonlySet<string>,
  problems: PlanProblem[],
): Map<string, NamedGuest[]> {
  const { hosts, assignments } = document;
  const byHost = new Map<string, NamedGuest[]>(hosts.map(({ name }) => [name, []]));
  const [only] = hosts;
  if (assignments === undefined) {
    if (hosts.length === 1 && only !== undefined) {
      byHost.set(
        only.name,
        guests.filter(({ name }) => !homeless.has(name)),
      );
    } else {
      const message = `The plan has ${hosts.length} hosts: assignments has to say which guests go where.`;
      problems.push({ code: 'plan-assignments', path: '', message });
    }
    return byHost;
  }
  const groups = groupsOf(document, guests);
  const taken = new Map<string, string>();
  for (const [host, names] of Object.entries(assignments)) {
    const path = `/assignments/${pointerPart(host)}`;
    const list = byHost.get(host);
    if (list === undefined) {
      const known = hosts.map(({ name }) => name);
      problems.push(unknownName(path, 'unknown-host', 'host', host, known));
      continue;
    }
    names.forEach((name, i) => {
      const found = groups.get(name);
      if (found === undefined) {
        const known = [...groups.keys()];
        problems.push(unknownName(`${path}/${i}`, 'unknown-guest', 'guest', name, known));
      }
      for (const guest of found ?? []) {
        const other = taken.get(guest.name);
        if (other === undefined) list.push(guest);
        else {
          const message = `${guest.name} is assigned to ${host} and already to ${other}.`;
          problems.push({ code: 'assigned-twice', path: `${path}/${i}`, message });
        }
        taken.set(guest.name, host);
      }
    });
  }
  for (const { name, path } of guests) {
    if (taken.has(name) || homeless.has(name)) continue;
    const message = `${name} is not assigned to a host.`;
    problems.push({ code: 'not-assigned', path, message });
  }
  return byHost;
}

/** Guests by the names that an assignment may use. */
function groupsOf({ guests }: PlanDocument, named: NamedGuest[]): Map<string, NamedGuest[]> {
  const groups = new Map<string, NamedGuest[]>();
  for (const { path, name, count } of guests) {
    if (name === undefined || count === undefined) continue;
    groups.set(
      name,
      named.filter((guest) => guest.path === path),
    );
  }
  for (const guest of named) groups.set(guest.name, [guest]);
  return groups;
}

/** A key as a part of a JSON pointer. */
export function pointerPart(key: string): string {
  return key.replace(/~/g, '~0').replace(/\//g, '~1');
}

/** Name of a guest's process in the replay of a host. */
const processOf = ({ name, domain }: NamedGuest): string => domain.process ?? name;

/** Entries by guest that concern one host, for each process of its guests. */
function ofGuests<T>(entries: Record<string, T>, own: NamedGuest[]): Record<string, T> {
  return Object.fromEntries(
    own.flatMap((guest) =>
      Object.hasOwn(entries, guest.name) ? [[processOf(guest), entries[guest.name] as T]] : [],
    ),
  );
}

/** The plan's demand as far as it concerns one host. */
function demandOf(
  document: PlanDocument,
  host: PlanHost,
  own: NamedGuest[],
  { events }: Timeline,
): DemandProfile {
  const { startOrder, guests, ...rest } = document.demand ?? {};
  const { backgroundCache, hugepages } = host;
  const names = new Set(own.map(processOf));
  return {
    ...rest,
    ...(backgroundCache === undefined ? {} : { backgroundCache }),
    ...(hugepages === undefined ? {} : { hugepages }),
    ...(events.length === 0 ? {} : { events }),
    ...(startOrder === undefined
      ? {}
      : { startOrder: startOrder.filter((name) => names.has(name)) }),
    ...(guests === undefined ? {} : { guests: ofGuests(guests, own) }),
  };
}

/** Names in the demand that no guest of the plan has; the hosts see only those of their own guests. */
function demandProblems(
  { demand, hosts, numatune }: PlanDocument,
  guests: NamedGuest[],
): PlanProblem[] {
  const known = guests.map(({ name }) => name);
  const unknown = (name: string, path: string): PlanProblem[] =>
    known.includes(name) ? [] : [unknownName(path, 'unknown-guest', 'guest', name, known)];
  const ofOneHost = (['backgroundCache', 'hugepages', 'hotplug'] as const).filter(
    (field) => hosts.length > 1 && demand?.[field] !== undefined,
  );
  return [
    ...Object.keys(numatune ?? {}).flatMap((name) =>
      unknown(name, `/numatune/${pointerPart(name)}`),
    ),
    ...(demand?.startOrder ?? []).flatMap((name, i) => unknown(name, `/demand/startOrder/${i}`)),
    ...Object.keys(demand?.guests ?? {}).flatMap((name) =>
      unknown(name, `/demand/guests/${pointerPart(name)}`),
    ),
    ...ofOneHost.map((field) => ({
      code: 'plan-demand',
      path: `/demand/${field}`,
      message: `${field} is about one host, and the plan has ${hosts.length}: write it with the host.`,
    })),
  ];
}

/**
 * One plan for each host of a document.
 * @param homeless guests that have no host and need none; those that come from outside are known here
 * @returns the hosts in the document's order, or every problem with names and assignments
 */
export function resolvePlan(
  document: SettledPlan['document'],
  homeless: ReadonlySet<string> = new Set(),
): { ok: true; value: HostPlan[] } | { ok: false; problems: PlanProblem[] } {
  const problems: PlanProblem[] = [];
  const { hosts, sysctl, numatune, seed, hardwareProfile } = document;
  hosts.forEach(({ name, path }, i) => {
    const first = hosts.findIndex((host) => host.name === name);
    if (first === i) return;
    const other = hosts[first]?.path ?? '';
    const message = `Two hosts of the plan are called ${JSON.stringify(name)}; the other is ${other}. Rename one of them.`;
    problems.push({ code: 'duplicate-host', path, message });
  });
  const guests = namedGuests(document, problems);
  if (guests.length > MAX_GUESTS) {
    const message = `The plan has ${guests.length} guests; at most ${MAX_GUESTS} are judged together.`;
    return { ok: false, problems: [{ code: 'too-many-guests', path: '/guests', message }] };
  }
  // Names are of no use while there are guests that could not be read.
  if (problems.length > 0) return { ok: false, problems };
  problems.push(...demandProblems(document, guests));
  const { events = [] } = document;
  const away = new Set([...homeless, ...guestsFromOutside(events)]);
  const byHost = assigned(document, guests, away, problems);
  const timelines = timelinesOf(events, guests, byHost, problems);
  if (problems.length > 0) return { ok: false, problems };
  const value = hosts.map((host): HostPlan => {
    const timeline = timelines.get(host.name) ?? { arrivals: [], events: [], paths: [] };
    const own = [...(byHost.get(host.name) ?? []), ...timeline.arrivals];
    const plan: PackingPlan = {
      host: host.host,
      domains: own.map(({ domain }) => domain),
      demand: demandOf(document, host, own, timeline),
      ...(sysctl === undefined && host.sysctl === undefined
        ? {}
        : { sysctl: { ...sysctl, ...host.sysctl } }),
      ...(numatune === undefined ? {} : { numatune: ofGuests(numatune, own) }),
      ...(seed === undefined ? {} : { seed }),
      ...(hardwareProfile === undefined ? {} : { hardwareProfile }),
    };
    const places = own.map(({ name, path }) => ({ name, path }));
    return { name: host.name, path: host.path, plan, places, eventPaths: timeline.paths };
  });
  return { ok: true, value };
}
