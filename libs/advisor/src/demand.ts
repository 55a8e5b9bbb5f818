import { MAX_REPLAY_PAGES, PAGES_PER_MIB } from '@zonewise/simulator';
import { AdvisorInputError } from './errors';
import { checkEvents, laterStarts } from './events';
import { ownValue } from './own-value';
import type { Note } from './placement';
import { guestMemoryPages } from './placement';
import type { DemandProfile, GuestSpec, SimulationRequest } from './types';

/** More than any host starts; keeps a hostile request bounded. */
export const GUESTS_MAX = 1000;
const MAX_MIB = MAX_REPLAY_PAGES / PAGES_PER_MIB;

/** A demand profile with every value filled in: what the replay really does, in start order. */
export interface ResolvedDemand {
  /** Planned guests in start order, those that events start behind the others. */
  planned: {
    spec: GuestSpec & { state: 'planned' };
    /** Pages touched per region, in the order of regions. */
    touchPages: number[];
    diskCachePages: number;
  }[];
  ratePagesPerSecond?: number;
  backgroundCache: { node: number; pages: number; access: 'read' | 'write' }[];
  notes: Note[];
}

/**
 * Fills the profile's gaps by the stated defaults and checks it against the guests.
 * @throws AdvisorInputError naming the field that is wrong
 */
export function resolveDemand(request: SimulationRequest): ResolvedDemand {
  const { demand, guests } = request;
  checkGuests(guests);
  checkDemandNames(demand, guests);
  checkEvents(demand, guests);
  const share = percent(demand.touchPercent ?? 100, '/demand/touchPercent');
  const planned = inStartOrder(demand, guests).map((spec) => {
    const own = ownValue(demand.guests, spec.guest.name);
    const path = `/demand/guests/${spec.guest.name}`;
    if (own !== undefined && (typeof own !== 'object' || own === null)) {
      invalid(path, own, 'an object with touchPercent and diskCacheMib');
    }
    const touch =
      own?.touchPercent === undefined ? share : percent(own.touchPercent, `${path}/touchPercent`);
    const disk =
      own?.diskCacheMib === undefined
        ? spec.diskCachePages
        : pages(own.diskCacheMib, `${path}/diskCacheMib`);
    return {
      spec,
      // Huge pages are touched by QEMU when it starts, whatever the guest does.
      touchPages: spec.guest.regions.map(({ sizePages, hugetlb }) =>
        hugetlb ? sizePages : Math.floor((sizePages * touch) / 100),
      ),
      diskCachePages: disk,
    };
  });
  const rate = demand.rateMibPerSecond;
  if (rate !== undefined && !(rate > 0 && rate <= MAX_MIB)) {
    invalid('/demand/rateMibPerSecond', rate, `a number above 0, at most ${MAX_MIB}`);
  }
  return {
    planned,
    ...(rate === undefined
      ? {}
      : { ratePagesPerSecond: Math.max(1, Math.round(rate * PAGES_PER_MIB)) }),
    backgroundCache: (demand.backgroundCache ?? []).map((entry, i) => ({
      node: entry.node,
      pages: pages(entry.mib, `/demand/backgroundCache/${i}/mib`),
      access: entry.access ?? 'read',
    })),
    notes: demandNotes(request, planned),
  };
}

function inStartOrder(
  demand: DemandProfile,
  guests: GuestSpec[],
): (GuestSpec & { state: 'planned' })[] {
  const planned = guests.filter((spec) => spec.state === 'planned');
  const order = demand.startOrder ?? [];
  const position = new Map(order.map((name, i) => [name, i]));
  if (position.size !== order.length) {
    throw new AdvisorInputError(
      'duplicate-start',
      '/demand/startOrder',
      'A guest is named twice in startOrder; name each planned guest at most once.',
    );
  }
  // Whoever an event starts comes behind all that are there before, in the order of the events.
  const later = laterStarts(demand);
  const rank = (name: string): number =>
    later.includes(name)
      ? order.length + 1 + later.indexOf(name)
      : (position.get(name) ?? order.length);
  return [...planned].sort((a, b) => rank(a.guest.name) - rank(b.guest.name));
}

function checkGuests(guests: GuestSpec[]): void {
  if (guests.length > GUESTS_MAX) {
    throw new AdvisorInputError(
      'too-many-guests',
      '/guests',
      `Found ${guests.length} guests; at most ${GUESTS_MAX} are replayed together.`,
    );
  }
  const seen = new Set<string>();
  guests.forEach((spec, i) => {
    if (seen.has(spec.guest.name)) {
      throw new AdvisorInputError(
        'duplicate-guest',
        `/guests/${i}/guest/name`,
        `Found a second guest named "${spec.guest.name}"; names must be unique.`,
      );
    }
    seen.add(spec.guest.name);
    spec.guest.regions.forEach(({ cell, sizePages }, j) => {
      if (sizePages <= MAX_REPLAY_PAGES) return;
      invalid(
        `/guests/${i}/guest/regions/${j}/sizePages`,
        `${sizePages} pages of memory in cell ${cell} of guest ${spec.guest.name}`,
        `at most ${MAX_REPLAY_PAGES} (${MAX_MIB} MiB)`,
      );
    });
  });
}

function checkDemandNames(demand: DemandProfile, guests: GuestSpec[]): void {
  const planned = new Set(guests.filter((g) => g.state === 'planned').map((g) => g.guest.name));
  const check = (name: string, path: string): void => {
    if (planned.has(name)) return;
    throw new AdvisorInputError(
      'unknown-guest',
      path,
      `Found "${name}", which is not a planned guest; planned are: ${[...planned].join(', ') || 'none'}.`,
    );
  };
  (demand.startOrder ?? []).forEach((name, i) => check(name, `/demand/startOrder/${i}`));
  Object.keys(demand.guests ?? {}).forEach((name) => check(name, `/demand/guests/${name}`));
}

function demandNotes(request: SimulationRequest, planned: ResolvedDemand['planned']): Note[] {
  if (planned.length === 0) return [];
  const { demand } = request;
  const total = planned.reduce((sum, { spec }) => sum + guestMemoryPages(spec.guest), 0);
  const touched = planned.reduce((sum, p) => sum + p.touchPages.reduce((a, b) => a + b, 0), 0);
  const speed =
    demand.rateMibPerSecond === undefined
      ? "the hardware profile's full speed"
      : `${demand.rateMibPerSecond} MiB/s`;
  return [
    {
      code: 'demand-start-order',
      message:
        `Planned guests start one after another without a pause (` +
        `${planned.map((p) => p.spec.guest.name).join(', ')}), each touching its memory at ${speed}: ` +
        `${touched} of ${total} pages in all.`,
    },
  ];
}

function percent(value: number, path: string): number {
  if (Number.isFinite(value) && value >= 0 && value <= 100) return value;
  return invalid(path, value, 'a number from 0 to 100 (a guest cannot touch more than its memory)');
}

function pages(mib: number, path: string): number {
  if (mib >= 0 && mib <= MAX_MIB) return Math.floor(mib * PAGES_PER_MIB);
  return invalid(path, mib, `a number of MiB from 0 to ${MAX_MIB}`);
}

function invalid(path: string, found: unknown, expected: string): never {
  throw new AdvisorInputError(
    'invalid-demand',
    path,
    `Found ${String(found)}; expected ${expected}.`,
  );
}
