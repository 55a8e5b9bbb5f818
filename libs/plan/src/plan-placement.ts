/** A plan that leaves it to the packer where its guests go, with the places that it found. */
import { parseDomain } from '@zonewise/libvirt-xml';
import { placing, type GuestPlacement, type GuestRefusal } from './placement';
import type { PlanDocument, PlanGuest } from './plan-document';
import { guestsFromOutside } from './plan-events';
import type { PlanProblem } from './plan-request';
import { effectiveRules, limitsOf } from './policies';
import type { Replaying } from './replaying';
import type { Severity } from './rules';

/** A plan whose guests all have a host, but for those that found none. */
export interface SettledPlan {
  document: PlanDocument & { assignments?: Record<string, string[]> };
  placements: Pick<GuestPlacement, 'guest' | 'host' | 'numatune' | 'hostNodes'>[];
  refused: GuestRefusal[];
}

type SettleOutcome = { ok: true; value: SettledPlan } | { ok: false; problems: PlanProblem[] };

/** Guests without those that are outside of the plan in the beginning; the events say where they come to. */
function fromWithin(guests: PlanGuest[], outside: ReadonlySet<string>): PlanGuest[] {
  if (outside.size === 0) return guests;
  return guests.flatMap((guest): PlanGuest[] => {
    const { count, xml, ...one } = guest;
    if (count !== undefined) {
      const names = Array.from({ length: count }, (_, i) => `${guest.name ?? ''}-${i + 1}`);
      if (!names.some((name) => outside.has(name))) return [guest];
      return names.filter((name) => !outside.has(name)).map((name) => ({ ...one, name }));
    }
    const parsed = xml === undefined ? undefined : parseDomain(xml);
    const name = parsed?.ok === true ? parsed.value.name : guest.name;
    return outside.has(name ?? '') ? [] : [guest];
  });
}

/**
 * Places the guests of a plan that says `assignments: auto`; any other plan is settled already.
 * @param failLevel a host whose replay breaks a rule of this severity or above does not take a guest
 */
export function* settlePlan(
  document: PlanDocument,
  failLevel: Severity = document.failLevel ?? 'error',
): Replaying<SettleOutcome> {
  const { assignments, ...rest } = document;
  if (assignments !== 'auto') {
    const settled = assignments === undefined ? rest : { ...rest, assignments };
    return { ok: true, value: { document: settled, placements: [], refused: [] } };
  }
  const problems = document.guests
    .filter(({ state }) => state === 'running')
    .map(({ path }): PlanProblem => {
      const message = 'A running guest is where it is; assignments: auto places planned ones.';
      return { code: 'plan-guest', path, message };
    });
  if (problems.length > 0) return { ok: false, problems };
  const guests = fromWithin(document.guests, guestsFromOutside(document.events ?? []));
  const { hosts, flavours, policies, limits, demand = {}, seed, hardwareProfile } = document;
  const { touchPercent, rateMibPerSecond } = demand;
  const outcome = yield* placing({
    hosts: hosts.map(({ name, path, host, sysctl, ...own }) => {
      const { hugepages = demand.hugepages, backgroundCache = demand.backgroundCache } = own;
      return {
        ...{ name, path, host, sysctl: { ...document.sysctl, ...sysctl } },
        ...(hugepages === undefined ? {} : { hugepages }),
        ...(backgroundCache === undefined ? {} : { backgroundCache }),
      };
    }),
    guests: guests.map(({ path, name, xml, flavour, count }) => ({
      path,
      ...(name === undefined ? {} : { name }),
      ...(xml === undefined ? {} : { xml }),
      ...(flavour === undefined ? {} : { flavour }),
      ...(count === undefined ? {} : { count }),
    })),
    demand: {
      ...(touchPercent === undefined ? {} : { touchPercent }),
      ...(rateMibPerSecond === undefined ? {} : { rateMibPerSecond }),
    },
    ...(flavours === undefined ? {} : { flavours }),
    limits: limitsOf(effectiveRules(policies, limits), failLevel),
    ...(seed === undefined ? {} : { seed }),
    ...(hardwareProfile === undefined ? {} : { hardwareProfile }),
  });
  if (!outcome.ok) return outcome;
  const { placements, refused } = outcome.value;
  const byHost = new Map<string, string[]>();
  for (const { guest, host } of placements) {
    byHost.set(host, [...(byHost.get(host) ?? []), guest]);
  }
  const chosen = Object.fromEntries(placements.map(({ guest, numatune }) => [guest, numatune]));
  return {
    ok: true,
    value: {
      document: {
        ...rest,
        assignments: Object.fromEntries(byHost),
        numatune: { ...chosen, ...document.numatune },
      },
      placements: placements.map(({ guest, host, numatune, hostNodes }) => ({
        ...{ guest, host, numatune, hostNodes },
      })),
      refused,
    },
  };
}
