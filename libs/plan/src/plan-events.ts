/** What happens over time in a plan, as what each of its hosts sees of it. */
import type { GuestEvent } from '@zonewise/advisor';
import { timeProblems } from './event-times';
import type { PlanDomain, PlanProblem } from './plan-request';
import { noSuchName } from './suggest';

/** One thing that happens, named by its kind's field. */
export interface PlanEvent {
  /** A number or an ISO 8601 time orders events and is held against it; any other text is for people. */
  at?: string | number;
  /** A guest that is assigned and not there before starts, or one that was stopped since. */
  boot?: string;
  stop?: string;
  /** A guest arrives on `to` and, when it is there, ends where it was. */
  migrate?: string;
  /** A guest arrives on `to` from a host that is not in the plan. */
  'migrate-in'?: string;
  /** A guest leaves for a host that is not in the plan. */
  'migrate-out'?: string;
  /** A guest's balloon: it has `memoryMib` left. */
  balloon?: string;
  memoryMib?: number;
  /** A host is gone; `to` says on which hosts its guests boot. */
  lose?: string;
  /** Host of `migrate` and `migrate-in`; of `lose` guests by host. */
  to?: string | Record<string, string[]>;
}

export const EVENT_KINDS = [
  'boot',
  'stop',
  'migrate',
  'migrate-in',
  'migrate-out',
  'balloon',
  'lose',
] as const;
export type EventKind = (typeof EVENT_KINDS)[number];

/** The kind of an event that has exactly one. */
export function kindOfEvent(event: PlanEvent): EventKind | undefined {
  const kinds = EVENT_KINDS.filter((kind) => event[kind] !== undefined);
  return kinds.length === 1 ? kinds[0] : undefined;
}

/** A guest with its document. */
export interface EventGuest {
  name: string;
  path: string;
  domain: PlanDomain;
}

/** What one host sees. */
export interface Timeline {
  /** Guests that come from elsewhere, and further stays of its own; such a stay has a name of its own in the replay. */
  arrivals: EventGuest[];
  events: GuestEvent[];
  /** JSON pointers of the plan's events that `events` come from. */
  paths: string[];
}

/** Guests that are outside of the plan in the beginning: what is first said of them is that they migrate in. */
export function guestsFromOutside(events: PlanEvent[]): Set<string> {
  const named = new Set<string>();
  const outside = new Set<string>();
  for (const event of events) {
    const kind = kindOfEvent(event);
    if (kind === undefined || kind === 'lose') continue;
    const name = event[kind] ?? '';
    if (kind === 'migrate-in' && !named.has(name)) outside.add(name);
    named.add(name);
  }
  return outside;
}

type Starts = 'boot' | 'incoming';

/** Walks through the events and keeps who is where. */
class Walk {
  readonly timelines = new Map<string, Timeline>();
  private readonly guests: Map<string, EventGuest>;
  /** Host of each guest that is on one, or will boot there. */
  private readonly hostOf = new Map<string, string>();
  /** Host on which a guest was stopped. */
  private readonly stoppedOn = new Map<string, string>();
  /** Guests that are outside of the plan, and may come in. */
  private readonly outside: Set<string>;
  private readonly waiting: Set<string>;
  /** Processes that a guest has had on a host. */
  private readonly stays = new Map<string, number>();
  private readonly lost = new Set<string>();

  constructor(
    events: PlanEvent[],
    guests: EventGuest[],
    byHost: Map<string, EventGuest[]>,
    private readonly problems: PlanProblem[],
  ) {
    this.guests = new Map(guests.map((guest) => [guest.name, guest]));
    this.outside = guestsFromOutside(events);
    const booting = events.flatMap(({ boot }) => boot ?? []);
    this.waiting = new Set(booting.filter((name) => !this.outside.has(name)));
    for (const [host, own] of byHost) {
      this.timelines.set(host, { arrivals: [], events: [], paths: [] });
      for (const { name } of own) {
        this.stays.set(`${host}\n${name}`, 1);
        this.hostOf.set(name, host);
        this.outside.delete(name);
      }
    }
  }

  step(event: PlanEvent, path: string): void {
    const kind = kindOfEvent(event);
    if (kind === undefined) {
      this.refuse(path, `An event has exactly one of ${EVENT_KINDS.join(', ')}.`);
      return;
    }
    const name = event[kind] ?? '';
    if (kind === 'lose') {
      this.lose(name, event, path);
      return;
    }
    if (!this.guests.has(name)) {
      this.unknown(`${path}/${kind}`, 'guest', name, [...this.guests.keys()]);
      return;
    }
    if (kind === 'boot') this.boot(name, event, path);
    else if (kind === 'migrate-in') this.migrateIn(name, event, path);
    else {
      const host = this.hostOf.get(name);
      if (host === undefined || this.waiting.has(name)) {
        this.refuse(`${path}/${kind}`, `${name} does not run then.`);
        return;
      }
      this.ofRunning(kind, name, host, event, path);
    }
  }

  private ofRunning(
    kind: 'stop' | 'migrate' | 'migrate-out' | 'balloon',
    name: string,
    host: string,
    event: PlanEvent,
    path: string,
  ): void {
    const { at, memoryMib } = event;
    const label = labelled(at, `${kind} ${name}`);
    switch (kind) {
      case 'migrate':
        this.migrate(name, host, event, path);
        return;
      case 'balloon':
        if (memoryMib === undefined) this.refuse(path, 'A balloon needs memoryMib.');
        else this.tell(host, path, { event: 'balloon', guest: name, memoryMib, ...label });
        return;
      case 'stop':
        this.tell(host, path, { event: 'stop', guest: name, ...label });
        this.hostOf.delete(name);
        this.stoppedOn.set(name, host);
        return;
      case 'migrate-out':
        this.tell(host, path, { event: 'stop', guest: name, ...labelled(at, `${name} leaves`) });
        this.hostOf.delete(name);
        this.outside.add(name);
    }
  }

  private boot(name: string, { at }: PlanEvent, path: string): void {
    const label = labelled(at, `boot ${name}`);
    const [host, before] = [this.hostOf.get(name), this.stoppedOn.get(name)];
    if (host !== undefined && !this.lost.has(host) && this.waiting.delete(name)) {
      this.tell(host, path, { event: 'boot', guest: name, ...label });
    } else if (host === undefined && before !== undefined && !this.lost.has(before)) {
      this.arrive(name, before, { path: `${path}/boot`, event: 'boot', label });
    } else {
      const why = 'has been started already, or its host is gone';
      this.refuse(`${path}/boot`, `${name} ${why}.`);
    }
  }

  private migrateIn(name: string, { to, at }: PlanEvent, path: string): void {
    const [only, ...others] = [...this.timelines.keys()];
    const target = to ?? (others.length === 0 ? only : undefined);
    if (typeof target !== 'string') {
      this.refuse(path, 'A migration needs the host that it goes to.');
    } else if (!this.outside.has(name)) {
      const host = this.hostOf.get(name);
      const where = host === undefined ? 'has ended by then' : `is on ${host} then`;
      const message = `${name} cannot come from outside: it ${where}. Take it out of assignments, or have it migrate-out before.`;
      this.refuse(`${path}/migrate-in`, message);
    } else {
      const label = labelled(at, `${name} comes`);
      this.arrive(name, target, { path: `${path}/to`, event: 'incoming', label });
    }
  }

  private migrate(name: string, host: string, { to, at }: PlanEvent, path: string): void {
    if (typeof to !== 'string') {
      this.refuse(path, 'A migration needs the host that it goes to.');
      return;
    }
    const label = labelled(at, `${name} comes`);
    if (!this.arrive(name, to, { path: `${path}/to`, event: 'incoming', label })) return;
    const left = labelled(at, `${name} leaves for ${to}`);
    this.tell(host, path, { event: 'stop', guest: name, ...left });
  }

  private lose(host: string, { to = {}, at }: PlanEvent, path: string): void {
    const known = [...this.timelines.keys()];
    if (!this.timelines.has(host)) {
      this.unknown(`${path}/lose`, 'host', host, known);
      return;
    }
    if (typeof to === 'string') {
      this.refuse(`${path}/to`, 'Of a lost host it says guests by host.');
      return;
    }
    this.lost.add(host);
    const here = new Set([...this.hostOf].flatMap(([guest, on]) => (on === host ? [guest] : [])));
    for (const [target, names] of Object.entries(to)) {
      names.forEach((name, i) => {
        const place = `${path}/to/${target.replace(/~/g, '~0').replace(/\//g, '~1')}/${i}`;
        if (!here.delete(name) || this.waiting.has(name)) {
          this.refuse(place, `${name} is not on ${host} then.`);
          return;
        }
        const label = labelled(at, `${name} comes`);
        this.arrive(name, target, { path: place, event: 'boot', label });
      });
    }
    for (const name of here) {
      if (this.waiting.has(name)) continue;
      this.refuse(
        path,
        `${name} is on ${host}, and nothing says where it boots again: name it in to, or stop it before.`,
      );
    }
  }

  /** A process of the guest on a host; it touches its memory anew there, wherever it was before. */
  private arrive(
    name: string,
    to: string,
    { path, event, label }: { path: string; event: Starts; label: { label?: string } },
  ): boolean {
    const guest = this.guests.get(name);
    const timeline = this.timelines.get(to);
    if (guest === undefined || timeline === undefined) {
      this.unknown(path, 'host', to, [...this.timelines.keys()]);
      return false;
    }
    if (this.lost.has(to) || this.hostOf.get(name) === to) {
      const why = this.lost.has(to) ? 'is gone by then' : 'has it already';
      this.refuse(path, `${name} cannot go to ${to}, which ${why}.`);
      return false;
    }
    const key = `${to}\n${name}`;
    this.stays.set(key, (this.stays.get(key) ?? 0) + 1);
    this.hostOf.set(name, to);
    this.stoppedOn.delete(name);
    this.outside.delete(name);
    const process = this.processOf(name, to);
    const { xml } = guest.domain;
    const again = process === name ? {} : { process };
    timeline.arrivals.push({ ...guest, domain: { name, xml, ...again } });
    this.tell(to, path, { event, guest: name, ...label });
    return true;
  }

  /** The latest process of a guest on a host: its name, and from the second on its number behind a slash, which libvirt refuses in names. */
  private processOf(name: string, host: string): string {
    const stays = this.stays.get(`${host}\n${name}`) ?? 1;
    return stays === 1 ? name : `${name}/${stays}`;
  }

  private tell(host: string, path: string, event: GuestEvent): void {
    const timeline = this.timelines.get(host);
    timeline?.events.push({ ...event, guest: this.processOf(event.guest, host) });
    timeline?.paths.push(/^\/events\/\d+/.exec(path)?.[0] ?? path);
  }

  private refuse(path: string, message: string): void {
    this.problems.push({ code: 'plan-event', path, message });
  }

  private unknown(path: string, what: 'guest' | 'host', name: string, known: string[]): void {
    const message = noSuchName(what, name, known, 'plan');
    const code = what === 'guest' ? 'unknown-guest' : 'unknown-host';
    this.problems.push({ code, path, message });
  }
}

/** What happens, for people, where the plan says when. */
function labelled(at: string | number | undefined, what: string): { label?: string } {
  return at === undefined ? {} : { label: `${at}: ${what}` };
}

/**
 * @param guests all of the plan
 * @param byHost those that are there in the beginning, or boot where they are assigned
 * @returns what each host sees of the events, in their order; what is wrong goes to `problems`
 */
export function timelinesOf(
  events: PlanEvent[],
  guests: EventGuest[],
  byHost: Map<string, EventGuest[]>,
  problems: PlanProblem[],
): Map<string, Timeline> {
  problems.push(...timeProblems(events));
  const walk = new Walk(events, guests, byHost, problems);
  events.forEach((event, i) => {
    walk.step(event, `/events/${i}`);
  });
  return walk.timelines;
}
