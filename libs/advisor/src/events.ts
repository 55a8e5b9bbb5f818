/** What happens to guests after the first of them have started: later boots, arrivals, stops, balloons. */
import { PAGES_PER_MIB, type GuestProcess, type ReplayStep } from '@zonewise/simulator';
import { AdvisorInputError } from './errors';
import type { DemandProfile, GuestEvent, GuestSpec } from './types';

function isStart(event: GuestEvent['event']): boolean {
  return event === 'boot' || event === 'incoming';
}

/** Guests that an event starts, in the order of the events. */
export function laterStarts({ events = [] }: DemandProfile): string[] {
  return events.flatMap(({ event, guest }) => (isStart(event) ? [guest] : []));
}

/** Guests that an event ends; they are not there at the end, and nobody killed them. */
export function stoppedGuests({ events = [] }: DemandProfile): Set<string> {
  return new Set(events.flatMap(({ event, guest }) => (event === 'stop' ? [guest] : [])));
}

/** @throws AdvisorInputError for an event of a guest that is not there then */
export function checkEvents({ events = [] }: DemandProfile, guests: GuestSpec[]): void {
  const specs = new Map(guests.map((spec) => [spec.guest.name, spec]));
  const later = new Set(laterStarts({ events }));
  const there = new Set([...specs.keys()].filter((name) => !later.has(name)));
  events.forEach(({ event, guest, memoryMib }, i) => {
    const path = `/demand/events/${i}`;
    const spec = specs.get(guest);
    if (spec === undefined) wrong(`${path}/guest`, guest, 'the name of a guest', 'unknown-guest');
    if (isStart(event)) {
      const fresh = spec?.state === 'planned' && later.delete(guest);
      if (!fresh) wrong(`${path}/guest`, guest, 'a planned guest that was not started before');
      there.add(guest);
      return;
    }
    if (!there.has(guest)) wrong(`${path}/guest`, guest, 'a guest that runs then');
    if (event === 'stop') there.delete(guest);
    else {
      const pages = spec === undefined ? 0 : ramPages(spec.guest);
      const wanted = (memoryMib ?? 0) * PAGES_PER_MIB;
      if (wanted > 0 && wanted <= pages) return;
      const most = Math.floor(pages / PAGES_PER_MIB);
      wrong(`${path}/memoryMib`, String(memoryMib), `a size from 1 to ${most} MiB`);
    }
  });
}

/**
 * Steps of each event in their order, each with a settle behind it. A balloon takes the upper part of each region and
 * gives it back to be touched again.
 * @param startOf steps of a guest that boots or arrives
 * @param guestOf the guest as it is replayed
 */
export function eventSteps(
  { events = [] }: DemandProfile,
  startOf: (guest: string, event: 'boot' | 'incoming') => ReplayStep[],
  guestOf: (guest: string) => GuestProcess,
): ReplayStep[][] {
  /** Pages of each region that a balloon leaves. */
  const left = new Map<string, number[]>();
  return events.map(({ event, guest, memoryMib = 0, label }) => {
    const named = label ?? `${guest}: ${event}`;
    const settle: ReplayStep = { op: 'settle', label: `after ${named}` };
    if (event === 'boot' || event === 'incoming') return [...startOf(guest, event), settle];
    if (event === 'stop') return [{ op: 'kill', name: guest, label: named } as const, settle];
    const process = guestOf(guest);
    const share = (memoryMib * PAGES_PER_MIB) / ramPages(process);
    const before = left.get(guest) ?? process.regions.map(({ sizePages }) => sizePages);
    const after = process.regions.map(({ sizePages }) => Math.ceil(sizePages * share));
    left.set(guest, after);
    const steps = process.regions.flatMap(({ cell }, i): ReplayStep[] => {
      const [from, to] = [before[i] ?? 0, after[i] ?? 0];
      const common = { name: guest, cell, label: named };
      if (to > from) {
        const pages = to - from;
        return [{ op: 'touch', ...common, offsetPages: from, pages, access: 'write' }];
      }
      if (to === from) return [];
      const range = { offsetPages: to, pages: from - to, stepPages: 1, keepPages: 0 };
      return [{ op: 'free', ...common, ...range }];
    });
    return [...steps, settle];
  });
}

function ramPages({ regions }: GuestProcess): number {
  return regions.reduce((sum, { sizePages }) => sum + sizePages, 0);
}

function wrong(
  path: string,
  found: string,
  expected: string,
  code: 'invalid-demand' | 'unknown-guest' = 'invalid-demand',
): never {
  throw new AdvisorInputError(code, path, `Found ${found}; expected ${expected}.`);
}
