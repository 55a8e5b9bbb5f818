/** What happens over time in a plan, as what each of its hosts sees of it. */
import type { GuestEvent } from '@zonewise/advisor';
import type { PlanDomain, PlanProblem } from './plan-request';
import { noSuchName } from './suggest';

/** One thing that happens, named by its first field; `at` is for people. */
export interface PlanEvent {
  at?: string;
  /** A guest that is assigned and not there before starts. */
  boot?: string;
  stop?: string;
  /** A guest starts on `to` and, when it is there, ends where it was. */
  migrate?: string;
  /** A guest's balloon: it has `memoryMib` left. */
  balloon?: string;
  memoryMib?: number;
  /** A host is gone; `to` says on which hosts its guests boot. */
  lose?: string;
  /** Host of `migrate`; of `lose` guests by host. */
  to?: string | Record<string, string[]>;
}

export const EVENT_KINDS = ['boot', 'stop', 'migrate', 'balloon', 'lose'] as const;

/** A guest with its document. */
export interface EventGuest {
  name: string;
  path: string;
  domain: PlanDomain;
}

/** What one host sees. */
export interface Timeline {
  /** Guests that come from other hosts. */
  arrivals: EventGuest[];
  events: GuestEvent[];
  /** JSON pointers of the plan's events that `events` come from. */
  paths: string[];
}

/** Walks through the events and keeps who is where. */
class Walk {
  readonly timelines = new Map<string, Timeline>();
  private readonly guests = new Map<string, EventGuest>();
  private readonly hostOf = new Map<string, string>();
  private readonly waiting: Set<string>;
  private readonly seenOn = new Set<string>();
  private readonly lost = new Set<string>();

  constructor(
    events: PlanEvent[],
    byHost: Map<string, EventGuest[]>,
    private readonly problems: PlanProblem[],
  ) {
    this.waiting = new Set(events.flatMap(({ boot }) => boot ?? []));
    for (const [host, guests] of byHost) {
      this.timelines.set(host, { arrivals: [], events: [], paths: [] });
      for (const guest of guests) {
        this.guests.set(guest.name, guest);
        this.seenOn.add(`${host}\n${guest.name}`);
        this.hostOf.set(guest.name, host);
      }
    }
  }

  step(event: PlanEvent, path: string): void {
    const kinds = EVENT_KINDS.filter((kind) => event[kind] !== undefined);
    const [kind] = kinds;
    if (kind === undefined || kinds.length > 1) {
      this.refuse(path, `An event has exactly one of ${EVENT_KINDS.join(', ')}.`);
      return;
    }
    const name = event[kind] ?? '';
    if (kind === 'lose') {
      this.lose(name, event, path);
      return;
    }
    const host = this.runs(name, `${path}/${kind}`, kind === 'boot');
    if (host === undefined) return;
    const { at, memoryMib } = event;
    const label = at === undefined ? {} : { label: `${at}: ${kind} ${name}` };
    if (kind === 'migrate') this.migrate(name, host, event, path);
    else if (kind === 'balloon') {
      if (memoryMib === undefined) this.refuse(path, 'A balloon needs memoryMib.');
      else this.tell(host, path, { event: 'balloon', guest: name, memoryMib, ...label });
    } else {
      this.tell(host, path, { event: kind, guest: name, ...label });
      if (kind === 'stop') this.hostOf.delete(name);
    }
  }

  /** The host on which a guest runs, or boots now. */
  private runs(name: string, path: string, boots: boolean): string | undefined {
    const host = this.hostOf.get(name);
    if (!this.guests.has(name)) {
      this.unknown(path, 'guest', name, [...this.guests.keys()]);
      return undefined;
    }
    const isThere = host !== undefined && !this.lost.has(host);
    if (isThere && this.waiting.has(name) === boots) {
      this.waiting.delete(name);
      return host;
    }
    this.refuse(
      path,
      `${name} ${boots ? 'has been started already, or its host is gone' : 'does not run then'}.`,
    );
    return undefined;
  }

  private migrate(name: string, host: string, { to, at }: PlanEvent, path: string): void {
    if (typeof to !== 'string') {
      this.refuse(path, 'A migration needs the host that it goes to.');
      return;
    }
    const label = at === undefined ? {} : { label: `${at}: ${name} leaves for ${to}` };
    if (!this.arrive(name, to, `${path}/to`, at)) return;
    this.tell(host, path, { event: 'stop', guest: name, ...label });
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
        if (!here.delete(name)) this.refuse(place, `${name} is not on ${host} then.`);
        else this.arrive(name, target, place, at);
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

  private arrive(name: string, to: string, path: string, at: string | undefined): boolean {
    const guest = this.guests.get(name);
    const timeline = this.timelines.get(to);
    if (guest === undefined || timeline === undefined) {
      this.unknown(path, 'host', to, [...this.timelines.keys()]);
      return false;
    }
    const key = `${to}\n${name}`;
    if (this.lost.has(to) || this.seenOn.has(key)) {
      const why = this.lost.has(to)
        ? 'is gone by then'
        : 'has had it before; a guest comes to a host once';
      this.refuse(path, `${name} cannot go to ${to}, which ${why}.`);
      return false;
    }
    this.seenOn.add(key);
    this.hostOf.set(name, to);
    const { xml } = guest.domain;
    // It touches its memory anew there, wherever it was before.
    timeline.arrivals.push({ ...guest, domain: { name, xml } });
    const label = at === undefined ? {} : { label: `${at}: ${name} comes` };
    this.tell(to, path, { event: 'boot', guest: name, ...label });
    return true;
  }

  private tell(host: string, path: string, event: GuestEvent): void {
    const timeline = this.timelines.get(host);
    timeline?.events.push(event);
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

/** @returns what each host sees of the events, in their order; what is wrong goes to `problems` */
export function timelinesOf(
  events: PlanEvent[],
  byHost: Map<string, EventGuest[]>,
  problems: PlanProblem[],
): Map<string, Timeline> {
  const walk = new Walk(events, byHost, problems);
  events.forEach((event, i) => {
    walk.step(event, `/events/${i}`);
  });
  return walk.timelines;
}
