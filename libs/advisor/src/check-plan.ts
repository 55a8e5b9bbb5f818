import {
  PAGES_PER_MIB,
  PAGE_KIB,
  type ReplayControl,
  type ReplayResult,
} from '@zonewise/simulator';
import { resolveDemand } from './demand';
import { AdvisorInputError } from './errors';
import { DEFAULT_HUGEPAGE_KIB } from './hugepages';
import { formatCount, formatMib, formatPercent } from './format';
import { placedGuest } from './compile';
import { poolShortfall } from './pool-shortfall';
import type { Simulation } from './simulate';
import { simulate } from './simulate';
import type { PlanLimits, PlanVerdict, SimulationRequest } from './types';

type Violation = PlanVerdict['violations'][number];

/**
 * Replays a plan as it stands and holds it against the limits. A killed guest or a start that failed is a
 * violation whatever the limits say; a kill of a process that is no guest is one of guest `other`.
 * @throws AdvisorInputError for a limit that is no number or out of range
 */
export function checkPlan(
  request: SimulationRequest,
  limits: PlanLimits,
  control?: ReplayControl,
): PlanVerdict {
  checkLimits(limits);
  return verdictOf(request, limits, simulate(request, control));
}

/** Holds a replay that was made against the limits; see {@link checkPlan}. */
export function verdictOf(
  request: SimulationRequest,
  limits: PlanLimits,
  simulation: Simulation,
): PlanVerdict {
  checkLimits(limits);
  const violations = [
    ...deathViolations(request, simulation),
    ...shareViolations(simulation, limits),
    ...stallViolations(simulation, limits),
    ...swapViolations(simulation, limits),
    ...poolViolations(request, simulation),
  ];
  const { kernel, validated, hardware } = simulation.result.profile;
  return {
    verdict: violations.length > 0 ? 'fail' : 'pass',
    violations,
    outcome: simulation.outcome,
    profile: { kernel, validated, hardware },
    demand: request.demand,
    seed: request.seed,
    caveats: simulation.result.caveats,
    assumptions: simulation.assumptions,
  };
}

function deathViolations(request: SimulationRequest, simulation: Simulation): Violation[] {
  const { result, outcome, eventsAt } = simulation;
  const failed = failedStarts(request, result);
  const kills = result.steps.flatMap((step, at) =>
    step.events.flatMap((event) => (event.type === 'oom_kill' ? [{ ...event, at }] : [])),
  );
  const starts = [...failed].map(([guest, start]): Violation => {
    const kill = kills.find((event) => event.victim === guest);
    const why = kill ? ` ${kill.constraint}: ${kill.summary}` : '';
    const { message, at, ...short } = start;
    const found = { found: 1, limit: 0, ...short, ...duringEvent(eventsAt, at) };
    return { code: 'failed-start', guest, ...found, message: message + why };
  });
  const others = kills
    .filter((event) => !failed.has(event.victim))
    .map((event): Violation => ({
      code: 'oom-kill',
      guest: event.victim,
      found: 1,
      limit: 0,
      ...duringEvent(eventsAt, event.at),
      shortfallPages: event.victimPages,
      message:
        `${event.victim} is killed by the OOM killer (${event.constraint}) while ${event.invokedBy} ` +
        `allocates; it held ${formatMib(event.victimPages)}.`,
    }));
  const named = new Set([...failed.keys(), ...others.map((violation) => violation.guest)]);
  const silent = outcome.guests
    .filter((guest) => guest.oomKilled && !named.has(guest.name))
    .map((guest): Violation => ({
      code: 'oom-kill',
      guest: guest.name,
      found: 1,
      limit: 0,
      message: `${guest.name} is not alive at the end of the replay.`,
    }));
  return [...starts, ...others, ...silent];
}

/** The event that a step belongs to. */
function duringEvent(eventsAt: number[], step: number): Pick<Violation, 'event'> {
  const event = eventsAt.findLastIndex((first) => first <= step);
  return event < 0 || event === eventsAt.length - 1 ? {} : { event };
}

interface FailedStart {
  message: string;
  /** Position of its start's step. */
  at: number;
  /** Of its memory, that it did not get; at least one. */
  shortfallPages: number;
  /** Of the pool that had too few. */
  sizeKib?: number;
  node?: number;
}

/** Guests killed in their own start step, with a sentence each; guest steps are in start order. */
function failedStarts(request: SimulationRequest, result: ReplayResult): Map<string, FailedStart> {
  const starts = result.steps.flatMap((step, at) =>
    step.op === 'guest'
      ? [{ step, at, before: result.steps[at - 1]?.snapshot ?? result.initial }]
      : [],
  );
  const failed = new Map<string, FailedStart>();
  resolveDemand(request).planned.forEach(({ spec }, i) => {
    const start = starts[i];
    if (!start || start.step.status === 'ok') return;
    const { step, at, before } = start;
    const name = spec.guest.name;
    const status = step.status;
    const pool =
      status === 'enomem' || status === 'sigbus'
        ? poolShortfall(placedGuest(request, name), before)
        : null;
    if (pool !== null) {
      const { sizeKib, pages, node } = pool;
      failed.set(name, {
        message: `${name} does not start: ${pool.message}`,
        at,
        shortfallPages: (pages * sizeKib) / PAGE_KIB,
        ...(node === undefined ? { sizeKib } : { sizeKib, node }),
      });
      return;
    }
    const done = formatCount(step.pagesDone);
    const message = `${name} did not start: ${step.status} after ${done} pages of its memory.`;
    const wanted = spec.guest.regions.reduce((sum, { sizePages }) => sum + sizePages, 0);
    failed.set(name, { message, at, shortfallPages: Math.max(1, wanted - step.pagesDone) });
  });
  return failed;
}

function shareViolations({ outcome }: Simulation, limits: PlanLimits): Violation[] {
  const limit = limits.maxRemoteShare ?? 1;
  return outcome.guests
    .filter((guest) => guest.remoteShare > limit)
    .map((guest) => ({
      code: 'remote-share' as const,
      guest: guest.name,
      found: guest.remoteShare,
      limit,
      message:
        `${guest.name} has ${formatPercent(guest.remoteShare)} of its memory on nodes other than its ` +
        `CPUs'; the plan allows ${formatPercent(limit)}.`,
    }));
}

function stallViolations({ outcome }: Simulation, limits: PlanLimits): Violation[] {
  const limit = limits.maxStallMs;
  if (limit === undefined) return [];
  return outcome.guests
    .filter((guest) => guest.stallNs > limit * 1e6)
    .map((guest) => ({
      code: 'stall' as const,
      guest: guest.name,
      found: guest.stallNs / 1e6,
      limit,
      message:
        `${guest.name} waits ${(guest.stallNs / 1e6).toFixed(1)} ms for reclaim (modelled time); ` +
        `the plan allows ${limit} ms.`,
    }));
}

function swapViolations({ outcome }: Simulation, limits: PlanLimits): Violation[] {
  const limit = limits.maxSwapMib;
  if (limit === undefined) return [];
  return outcome.guests
    .filter((guest) => guest.swapPages > limit * PAGES_PER_MIB)
    .map((guest) => ({
      code: 'swap' as const,
      guest: guest.name,
      found: guest.swapPages / PAGES_PER_MIB,
      limit,
      message:
        `${guest.name} ends with ${formatMib(guest.swapPages)} in swap; ` +
        `the plan allows ${limit} MiB.`,
    }));
}

/** Pools that have fewer huge pages than was asked of them; their steps are the first of that kind. */
function poolViolations({ demand }: SimulationRequest, { result }: Simulation): Violation[] {
  const writes = result.steps.filter((step) => step.op === 'hugepages');
  return (demand.hugepages ?? []).flatMap(({ node, count, sizeKib }, i) => {
    const found = writes[i]?.obtained ?? 0;
    if (found >= count) return [];
    const message =
      `Node ${node} gets ${formatCount(found)} of ${formatCount(count)} huge pages of ` +
      `${sizeKib ?? DEFAULT_HUGEPAGE_KIB} KiB: the rest of its memory is in use or in pieces.`;
    return [{ code: 'hugepage-pool' as const, guest: '', node, found, limit: count, message }];
  });
}

function checkLimits(limits: PlanLimits): void {
  const ranges: [keyof PlanLimits, number][] = [
    ['maxRemoteShare', 1],
    ['maxStallMs', Number.MAX_SAFE_INTEGER],
    ['maxSwapMib', Number.MAX_SAFE_INTEGER],
  ];
  for (const [name, highest] of ranges) {
    const value = limits[name];
    if (value === undefined || (value >= 0 && value <= highest)) continue;
    throw new AdvisorInputError(
      'invalid-limit',
      `/limits/${name}`,
      `Found ${String(value)}; expected a number from 0${highest === 1 ? ' to 1' : ' upwards'}.`,
    );
  }
}
