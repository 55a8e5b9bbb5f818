/** The rounds of a search: which configurations are replayed, in which order, and what is left out by which bound. */
import type { HostSysctls } from '@zonewise/simulator';
import type { Rival, SearchReport } from './advice-types';
import { hugepageChanges } from './backing-candidates';
import { guestChanges, jointChanges, moveChanges, pureChanges } from './candidates';
import { changeCount, normalise } from './change';
import type { Violation } from './constraints';
import { violation } from './constraints';
import type { ResolvedDemand } from './demand';
import { mayBeAdvised } from './eligible';
import type { Estimator } from './estimate';
import type { Change, Evaluated, Evaluator } from './evaluator';
import { formatCount } from './format';
import { distanceBetween } from './host-nodes';
import type { Judge } from './objective';
import { compareOutcomes, scoreOf, stallBudgetNs } from './objective';
import { ownValue } from './own-value';
import { packing } from './packing';
import { compareEstimates } from './page-count';
import { guestMemoryPages, isBound, isPinned } from './placement';
import type { Space } from './space';
import { placements, zoneReclaimModes } from './space';
import { stallToBeat, type StallBound } from './stall-bound';
import { symptomChanges } from './symptom-candidates';
import { furtherChanges } from './sysctl-candidates';
import type { AdviceRequest, NumatuneValue } from './types';

const PACKINGS_MAX = 8;
const REFINED_GUESTS_MAX = 8;
const MOVE_NODES_MAX = 2;
/** Steps by which a setting goes on as long as each is better than the one before. */
const FURTHER_STEPS_MAX = 8;
/** A space of more configurations is not replayed one by one. */
export const EXHAUSTIVE_MAX = 1000;

/** What a round works with. */
export interface RoundContext {
  request: AdviceRequest;
  demand: ResolvedDemand;
  judge: Judge;
  evaluator: Evaluator;
  baseline: Evaluated;
  estimator: Estimator;
  pruned: Pruned;
  /** Called with every configuration that is better than all before it. */
  onBetter?: (best: Evaluated) => void;
}

/** Counts of configurations that were left out, by bound. */
export class Pruned {
  private readonly bounds = new Map<string, { count: number; message: string }>();

  add(bound: string, count: number, message: string): void {
    const so = this.bounds.get(bound)?.count ?? 0;
    this.bounds.set(bound, { count: so + count, message });
  }

  /** A configuration that may not be advised; of crowded CPUs the first one is told. */
  forbid({ bound, message }: Violation): void {
    if (bound === 'constraints') {
      this.add(bound, 1, 'Configurations that the constraints forbid were not replayed.');
      return;
    }
    const first = this.bounds.get(bound)?.message;
    this.add(
      bound,
      1,
      first ?? `Configurations that crowd CPUs were not replayed; the first: ${message}`,
    );
  }

  get list(): SearchReport['pruned'] {
    return [...this.bounds].map(([bound, entry]) => ({ bound, ...entry }));
  }
}

/** Whether `a` is better: by its figures, or with equal ones by fewer changes. */
export function isBetter(a: Evaluated, b: Evaluated, judge: Judge): boolean {
  const order = compareOutcomes(a.candidate.outcome, b.candidate.outcome, judge);
  return order < 0 || (order === 0 && changeCount(a.change) < changeCount(b.change));
}

/**
 * Whether no configuration can have better figures but for headroom: nobody dies, swaps, waits or is remote. Where a profile
 * wants room on one node, how much of it there may be nobody knows beforehand.
 */
export function isPerfect({ candidate }: Evaluated, { order, tolerance, weights }: Judge): boolean {
  const score = scoreOf(candidate.outcome);
  return (
    (weights !== undefined || !order.includes('room')) &&
    score.kills === 0 &&
    score.swap <= tolerance.swap &&
    score['stall-excess'] <= tolerance['stall-excess'] &&
    score.stall <= tolerance.stall &&
    score.remote <= tolerance.remote &&
    score.headroom <= tolerance.headroom &&
    score.cache <= tolerance.cache
  );
}

/**
 * Replays what the constraints allow and returns the best eligible one, `start` included.
 * @param figures 'told': those of losers are asked for as well
 */
export function bestOf(
  context: RoundContext,
  changes: Iterable<Change>,
  start: Evaluated,
  figures?: 'told',
): Evaluated {
  const { evaluator, request, baseline, judge, pruned, onBetter } = context;
  // Who waits longer than today's setting lets guests wait is never advised, whatever variations do.
  const { excessNs } = stallToBeat(baseline.candidate.outcome, judge);
  const boundOf = (best: Evaluated): StallBound => ({
    stallNs: stallOfAllToBeatNs(best, judge),
    excessNs: figures === 'told' ? Infinity : excessNs,
  });
  let best = start;
  for (const change of changes) {
    const why = violation(request, normalise(request, change));
    if (why !== undefined) {
      pruned.forbid(why);
      continue;
    }
    const next = evaluator.tryEvaluate(change, boundOf(best));
    if (next === undefined && evaluator.wasGivenUp(change)) {
      const message =
        'Replays were given up once guests had waited longer than a known configuration, no worse in what counts more, lets them wait.';
      pruned.add('stall-at-least', 1, message);
    }
    if (next === undefined || next === baseline) continue;
    if (!mayBeAdvised(request, next, baseline)) continue;
    if (!isBetter(next, best, judge)) continue;
    best = next;
    onBetter?.(best);
  }
  return best;
}

/** Placements that counting likes best: both modes, with and without pinning anew, under each zone_reclaim_mode. */
export function packings({ request, demand, estimator }: RoundContext): Change[] {
  const modes = zoneReclaimModes(request, demand);
  const pinned = demand.planned.some(({ spec }) => isPinned(spec, request.host));
  const seen = new Set<string>();
  return modes
    .flatMap((zone_reclaim_mode) =>
      (['preferred', 'strict'] as const).flatMap((mode) =>
        (pinned ? [false, true] : [true]).map((repins) => {
          const sysctl: Partial<HostSysctls> = { zone_reclaim_mode };
          const change = packing(request, demand, estimator, { mode, repins, sysctl });
          const draws = demand.planned.map((planned) => estimator.drawsOf(planned, change));
          return { change, estimate: estimator.estimate(draws, sysctl) };
        }),
      ),
    )
    .filter(({ change }) => {
      const key = JSON.stringify(normalise(request, change));
      return !seen.has(key) && seen.add(key);
    })
    .sort((a, b) => compareEstimates(a.estimate, b.estimate))
    .slice(0, PACKINGS_MAX)
    .map(({ change }) => change);
}

export function rivalChanges(rivals: Rival[]): Change[] {
  return rivals.map(({ change }) => change);
}

/**
 * All guests alike with each zone_reclaim_mode; where nothing can be better any more only what an operator asks about first.
 */
export function jointRound(context: RoundContext, start: Evaluated): Evaluated {
  const { request, demand, judge } = context;
  const sysctl: HostSysctls = { ...request.host.sysctl, ...request.sysctl };
  const changes = isPerfect(start, judge)
    ? pureChanges(request.host, sysctl, demand)
    : jointChanges(request, demand);
  return bestOf(context, changes, start, 'told');
}

/**
 * Waiting of all guests beyond which none is better than this one. Some may wait for longer than their budgets before it is
 * reached: such a configuration may still be the one that survives variations.
 */
function stallOfAllToBeatNs({ candidate: { outcome } }: Evaluated, judge: Judge): number {
  const { stallNs, excessNs } = stallToBeat(outcome, judge);
  const pages = outcome.guests.reduce((sum, guest) => sum + guest.memoryPages, 0);
  return Math.min(stallNs, stallBudgetNs(pages) + excessNs);
}

/** Guests that are remote, dead or waiting, one by one: other modes at home, and other nodes. */
export function refineGuests(context: RoundContext, start: Evaluated): Evaluated {
  const { demand, request } = context;
  const trouble = (name: string): number => {
    const guest = start.candidate.outcome.guests.find((one) => one.name === name);
    if (!guest) return 0;
    return guest.oomKilled ? Infinity : guest.remoteCost * guest.memoryPages + guest.stallNs / 1e6;
  };
  const concerned = demand.planned
    .filter(({ spec }) => trouble(spec.guest.name) > 0)
    .sort((a, b) => {
      const difference = trouble(b.spec.guest.name) - trouble(a.spec.guest.name);
      return Number.isNaN(difference) ? 0 : difference;
    });
  return concerned.slice(0, REFINED_GUESTS_MAX).reduce((best, planned) => {
    const changes = [
      ...guestChanges(best.change, planned.spec, request.host),
      ...moveChanges(best.change, planned, request.host, MOVE_NODES_MAX),
    ];
    return bestOf(context, changes, best);
  }, start);
}

/** Kernel settings, disk caches, huge pages and the order of starts, as far as the best so far shows what they are for. */
export function answerSymptoms(context: RoundContext, start: Evaluated): Evaluated {
  const once = answerOnce(context, start);
  const best = once === start ? once : answerOnce(context, once);
  // What the best so far has paid for in remote memory, pools on today's nodes may have for nothing.
  return best === context.baseline
    ? best
    : bestOf(context, hugepageChanges(context, context.baseline).changes, best);
}

function answerOnce(context: RoundContext, start: Evaluated): Evaluated {
  const { request, demand } = context;
  let best = bestOf(context, symptomChanges(request, demand, start), start);
  for (let step = 0; step < FURTHER_STEPS_MAX; step += 1) {
    const further = bestOf(context, furtherChanges(request, best), best);
    if (further === best) break;
    best = further;
  }
  return answerPools(context, best);
}

/** Huge pages alone: what decides where guests do not start for want of them. */
export function answerPools(context: RoundContext, start: Evaluated): Evaluated {
  const { changes, lastResort = [], pruned } = hugepageChanges(context, start);
  for (const { bound, count, message } of pruned) context.pruned.add(bound, count, message);
  const best = bestOf(context, changes, start);
  return best.candidate.outcome.failedStarts.length > 0 ? bestOf(context, lastResort, best) : best;
}

/**
 * Every placement under today's host settings, and under the others where the replay came near a mark. Bounds leave out
 * what cannot be better than a configuration that is known; each says how many it left out.
 * @returns the best, and whether nothing but what bounds prune was left out
 */
export function exhaustive(
  context: RoundContext,
  space: Space,
  start: Evaluated,
): { best: Evaluated; complete: boolean } {
  const { evaluator, request, pruned, judge } = context;
  const [today, ...others] = space.host;
  let best = start;
  let complete = true;
  const hosts = space.host.length;
  for (const numatune of placements(space.guests)) {
    if (isPerfect(best, judge)) {
      prunePerfect(context, space);
      return { best, complete: true };
    }
    if (
      isFlawless(best, judge) &&
      leastRemote(context, numatune) > best.candidate.outcome.remoteCost + judge.tolerance.remote
    ) {
      const message =
        'Guests bound to nodes away from their vCPUs: at least more remote than a configuration with neither kills nor swap nor stalls over the budget.';
      pruned.add('remote-at-least', hosts, message);
      continue;
    }
    const why = violation(request, normalise(request, { sysctl: {}, numatune }));
    if (why !== undefined) {
      pruned.forbid(why);
      continue;
    }
    best = bestOf(context, [{ sysctl: today ?? {}, numatune }], best);
    const known = evaluator.known({ sysctl: today ?? {}, numatune });
    if (known === undefined && !evaluator.wasGivenUp({ sysctl: today ?? {}, numatune })) {
      complete = false;
      continue;
    }
    if (known && nearNoMark(known)) {
      const message =
        'Host settings where no request failed a low mark and nothing was reclaimed: they decide nothing there.';
      pruned.add('no-mark-reached', others.length, message);
      continue;
    }
    const changes = others.map((sysctl) => ({ sysctl, numatune }));
    best = bestOf(context, changes, best);
    complete &&= changes.every(
      (change) => evaluator.known(change) !== undefined || evaluator.wasGivenUp(change),
    );
  }
  return { best, complete };
}

/** Nobody killed, nothing swapped, no stall over the budget: only remote memory and what follows can be better. */
function isFlawless({ candidate }: Evaluated, { order, weights }: Judge): boolean {
  const score = scoreOf(candidate.outcome);
  const before = order.slice(0, order.indexOf('remote'));
  return weights === undefined && before.every((objective) => score[objective] === 0);
}

function nearNoMark({ candidate: { outcome }, spills }: Evaluated): boolean {
  return (
    spills.length === 0 &&
    outcome.kswapdReclaimedPages + outcome.directReclaimedPages + outcome.nodeReclaimedPages ===
      0 &&
    outcome.swappedOutPages === 0 &&
    scoreOf(outcome).kills === 0
  );
}

/** Remote cost that a placement has at least: of guests that are bound to nodes, all of them pinned. */
function leastRemote(
  { request, demand }: RoundContext,
  numatune: Record<string, NumatuneValue>,
): number {
  let cost = 0;
  let pages = 0;
  for (const { spec } of demand.planned) {
    const size = guestMemoryPages(spec.guest);
    pages += size;
    const setting = ownValue(numatune, spec.guest.name);
    if (!setting || !isBound(setting.mode) || !isPinned(spec, request.host)) continue;
    for (const region of spec.guest.regions) {
      const nearest = setting.nodeset.map((node) => extraDistance(request, region.cpuNodes, node));
      cost += region.sizePages * Math.min(...nearest);
    }
  }
  return pages > 0 ? cost / pages : 0;
}

function extraDistance({ host }: AdviceRequest, cpuNodes: number[], node: number): number {
  const extra = cpuNodes.map(
    (cpu) => distanceBetween(host, cpu, node) / distanceBetween(host, cpu, cpu) - 1,
  );
  return extra.reduce((sum, one) => sum + one, 0) / Math.max(1, extra.length);
}

/** Says that the rest of a space needs no look: nothing in it can have better figures. */
export function prunePerfect({ evaluator, pruned }: RoundContext, space: Space): void {
  const message =
    'A configuration was replayed that kills nobody, swaps nothing, waits for nothing, has all memory near its vCPUs and enough left: no other can have better figures.';
  const rest = space.size - evaluator.evaluated.length;
  pruned.add('nothing-better', Math.max(0, Math.min(rest, Number.MAX_SAFE_INTEGER)), message);
}

/** Says what of a space of many configurations was not looked at. */
export function pruneRest(pruned: Pruned, space: Space, replayed: number): void {
  const rest = space.size - replayed;
  if (!(rest > 0)) return;
  const message = Number.isFinite(rest)
    ? `Of ${sizeText(space.size)} placements and host settings all but ${formatCount(replayed)} were ranked by counting pages, or not looked at.`
    : 'Placements and host settings are too many to count; they were ranked by counting pages, or not looked at.';
  pruned.add('page-count', Math.min(rest, Number.MAX_SAFE_INTEGER), message);
}

/** Digits that nobody reads, and that are not exact, are left out. */
function sizeText(size: number): string {
  if (size <= Number.MAX_SAFE_INTEGER) return formatCount(size);
  return `more than 10^${Math.ceil(Math.log10(size)) - 1}`;
}
