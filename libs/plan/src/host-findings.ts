/** What a host's replays break of the rules, with the places that cause it. */
import type { GuestEvent, SimulationRequest } from '@zonewise/advisor';
import { placeOfElement } from '@zonewise/libvirt-xml';
import { PAGES_PER_MIB, PAGE_KIB } from '@zonewise/simulator';
import type { HostReplays } from './judge-host';
import type { HostPlan, PlanDocument } from './plan-document';
import { kindOfEvent, type PlanEvent } from './plan-events';
import type { EffectiveRules } from './policies';
import type { RuleCode } from './rules';
import type { Accounting, Finding, FindingPlace } from './verdict';

/** A huge page where nothing else is said. */
const KIB_PER_HUGE = 2048;

/**
 * As `free` counts: page cache is available, whatever it is. Guests on huge pages take none of it: the pools that the
 * plan makes do, and the guests have to fit the pools. A guest that comes back counts once.
 * @param names of the guests, in their order
 */
export function accountingOf(
  { host, guests, demand }: SimulationRequest,
  names: readonly string[],
): Accounting {
  const available = host.nodes.reduce(
    (sum, { zones, filePages }) =>
      zones.reduce((all, zone) => all + zone.freePages, sum) + filePages,
    0,
  );
  const pools = new Map<number, number>();
  const add = (sizeKib: number, pages: number): void => {
    pools.set(sizeKib, (pools.get(sizeKib) ?? 0) + pages);
  };
  let written = 0;
  for (const { nodeId, hugepages } of host.nodes) {
    for (const { sizeKib, freePages } of hugepages) add(sizeKib, freePages);
    for (const { node, count, sizeKib = KIB_PER_HUGE } of demand.hugepages ?? []) {
      if (node !== nodeId) continue;
      const own = hugepages.find((pool) => pool.sizeKib === sizeKib);
      const grows = count - (own?.totalPages ?? 0);
      add(sizeKib, grows);
      written += (grows * sizeKib) / PAGE_KIB;
    }
  }
  let ordinary = 0;
  for (const [i, spec] of guests.entries()) {
    if (spec.state === 'running' || names.indexOf(names[i] ?? '') < i) continue;
    for (const { sizePages, hugetlb } of spec.guest.regions) {
      if (hugetlb) add(hugetlb.sizeKib, -Math.ceil((sizePages * PAGE_KIB) / hugetlb.sizeKib));
      else ordinary += sizePages;
    }
  }
  const planned = ordinary + Math.max(0, written);
  return {
    availableMib: Math.floor(available / PAGES_PER_MIB),
    plannedMib: Math.ceil(planned / PAGES_PER_MIB),
    fits: planned <= available && [...pools.values()].every((left) => left >= 0),
  };
}

/** Elements that a reader looks at for a finding about a guest, the nearest first. */
const ELEMENTS: { [code in RuleCode]?: string[] } = {
  'oom-kill': ['numatune/memory', 'numatune', 'memory'],
  'failed-start': ['numatune/memory', 'memoryBacking/hugepages', 'numatune', 'memory'],
  'remote-share': ['numatune/memory', 'numatune', 'vcpu', 'memory'],
};

export function hostFindings(
  host: HostPlan,
  { verdict, margin, headroom }: HostReplays,
  rules: EffectiveRules,
  document: PlanDocument,
): Finding[] {
  const make = (
    code: RuleCode,
    rest: Partial<Finding> & { message: string },
    event?: number,
  ): Finding[] => {
    const { severity, rule, limit } = rules[code];
    if (severity === 'off') return [];
    const { guest } = rest;
    const where = rest.place === undefined ? placesOf(host, { guest, code, event }, document) : {};
    const place = { path: host.path };
    const unit = rule.limit?.unit ?? null;
    const common = { rule: rule.id, code, severity, host: host.name, found: null, limit, unit };
    return [{ ...common, place, ...rest, ...where }];
  };
  const broken = verdict.violations.flatMap((violation) => {
    const { code, guest, node, found, limit, message, event } = violation;
    const yesOrNo = code === 'oom-kill' || code === 'failed-start';
    const about = {
      ...(guest === '' ? {} : { guest }),
      ...(node === undefined ? {} : { node }),
      ...(yesOrNo ? {} : { found, limit }),
      ...(code === 'hugepage-pool'
        ? { unit: 'pages' as const, place: { path: poolPath(host, document, node) } }
        : {}),
      message,
    };
    return make(code, about, event);
  });
  const tight =
    margin === undefined || margin.flipsAtPercent === null
      ? []
      : make('margin', {
          found: margin.holdsPercent,
          message:
            margin.flipsAtPercent === 0
              ? `There is no margin: ${margin.why ?? ''}`
              : `Holds up to ${margin.holdsPercent} % more guest memory; at ${margin.flipsAtPercent} %: ${margin.why ?? ''}`,
        });
  const full = (headroom ?? []).flatMap(({ fits, node, wantedMib, gotMib, why }) =>
    fits
      ? []
      : make('headroom', {
          ...(node === null ? {} : { node }),
          found: gotMib,
          message: `One more guest of ${wantedMib} MiB${node === null ? '' : ` on node ${node}`} does not fit: ${why ?? ''}`,
        }),
  );
  const { validated, kernel } = verdict.profile;
  const note = verdict.caveats.find(({ code }) => code === 'kernel-not-validated');
  const unverified = validated
    ? []
    : make('unverified-kernel', {
        message:
          note?.message ?? `The host's kernel is not known to be the one replayed, ${kernel}.`,
      });
  return [...broken, ...tight, ...full, ...unverified];
}

/** The entry of a pool, with the host or in the plan's demand. */
function poolPath(host: HostPlan, { hosts }: PlanDocument, node?: number): string {
  const own = hosts.find(({ name }) => name === host.name)?.hugepages !== undefined;
  const at = (host.plan.demand?.hugepages ?? []).findIndex((entry) => entry.node === node);
  return `${own ? host.path : '/demand'}/hugepages/${at}`;
}

/** What a finding is about, with the position in the host's events of the one during which it came. */
interface About {
  guest: string | undefined;
  code: RuleCode;
  event: number | undefined;
}

/**
 * Where a finding comes from. What an event does to guests that were there before, and what a guest does that the event
 * brought from elsewhere, is in the line of the event, with the guest beside it; a guest that boots where it is assigned
 * has its own line, with the event beside it.
 */
function placesOf(
  host: HostPlan,
  { guest, code, event }: About,
  document: PlanDocument,
): Pick<Finding, 'place' | 'related'> {
  const own = placeOf(host, guest, code, document);
  const events = host.plan.demand?.events ?? [];
  const at = event ?? events.findLastIndex((each) => isStartOf(each, host, guest));
  const path = host.eventPaths[at];
  if (path === undefined || guest === undefined) return { place: own };
  const source = document.events?.[Number(path.split('/')[2])];
  const caused = { place: { path }, message: source === undefined ? path : eventText(source) };
  if (source?.boot === guest) return { place: own, related: [caused] };
  const isKnown = host.places.some(({ name }) => name === guest);
  return isKnown
    ? { place: { path }, related: [{ place: own, message: guest }] }
    : { place: { path } };
}

function isStartOf({ event, guest }: GuestEvent, host: HostPlan, name?: string): boolean {
  if (event !== 'boot' && event !== 'incoming') return false;
  const at = host.plan.domains.findIndex(
    ({ process }, i) => (process ?? host.places[i]?.name) === guest,
  );
  return host.places[at]?.name === name;
}

/** `22:00: migrate web-1` */
function eventText(event: PlanEvent): string {
  const kind = kindOfEvent(event);
  const what = kind === undefined ? '' : `${kind} ${event[kind]}`;
  return event.at === undefined ? what : `${event.at}: ${what}`;
}

function placeOf(
  host: HostPlan,
  guest: string | undefined,
  code: RuleCode,
  document: PlanDocument,
): FindingPlace {
  const at = host.places.findIndex(({ name }) => name === guest);
  const path = host.places[at]?.path;
  if (path === undefined) return { path: host.path };
  const source = document.guests.find((each) => each.path === path);
  if (source?.xml === undefined) return { path };
  return { path: `${path}/xml`, ...placeOfElement(source.xml, ELEMENTS[code] ?? ['memory']) };
}
