import type { HostSysctls } from '@zonewise/simulator';
import { crowded } from './bounds';
import {
  guestChanges,
  jointChanges,
  moveChanges,
  packedChanges,
  reductions,
  watermarkChanges,
} from './candidates';
import type { ResolvedDemand } from './demand';
import type { Change, Evaluated, Evaluator } from './evaluator';
import { NO_CHANGE, changeCount, withChange } from './evaluator';
import { grown } from './margin';
import { compareOutcomes, scoreOf, tolerances } from './objective';
import type { Note } from './placement';

/** Guests refined one by one; more would cost a replay per guest and mode. */
const REFINED_GUESTS_MAX = 8;
const MOVED_GUESTS_MAX = 6;
const MOVE_NODES_MAX = 2;
const REJECTIONS_MAX = 6;
/** Growth of demand that advice must survive as well as today's setting does. */
export const RESERVE_PERCENT = 10;
/** Replays of the joint round, the marks, the reserve check and the margin, about. */
const COMMON_REPLAYS = 24;
const REPLAYS_PER_GUEST = 5;

/** How many replays a search is likely to need; only progress depends on it. */
export function expectedReplays(demand: ResolvedDemand): number {
  return COMMON_REPLAYS + REPLAYS_PER_GUEST * Math.min(demand.planned.length, REFINED_GUESTS_MAX);
}

export interface SearchResult {
  baseline: Evaluated;
  advised: Evaluated;
  /** Candidates that were better on today's demand but not safe with a little more: id -> reason. */
  rejected: Map<string, string>;
  notes: Note[];
}

/**
 * Bounded, deterministic search. Order: the setting as it is; all planned guests changed alike with each
 * zone_reclaim_mode; each guest by itself; other nodes where a node is too small or somebody dies; marks
 * where reclaim was needed. Each round goes on from the best so far; a candidate must be better by more
 * than the tolerance, or equal with fewer changes, so a tie leaves things as they are.
 */
export function search(evaluator: Evaluator, demand: ResolvedDemand): SearchResult {
  const { host } = evaluator.request;
  const sysctl: HostSysctls = { ...host.sysctl, ...evaluator.request.sysctl };
  const baseline = evaluator.evaluate(NO_CHANGE);
  const tolerance = tolerances(host);
  const notes: Note[] = [];
  const better = (a: Evaluated, b: Evaluated): boolean => {
    const order = compareOutcomes(a.candidate.outcome, b.candidate.outcome, tolerance);
    return order < 0 || (order === 0 && changeCount(a.change) < changeCount(b.change));
  };
  const bestOf = (changes: Change[], start: Evaluated): Evaluated =>
    changes
      .map((change) => evaluator.evaluate(change))
      .reduce((best, next) => (better(next, best) ? next : best), start);

  let best = bestOf(jointChanges(host, sysctl, demand), baseline);
  best = refineGuests(best, demand, bestOf, evaluator, notes);
  best = moveGuests(best, demand, bestOf, evaluator, notes);
  const { directReclaimedPages, stallNs } = best.candidate.outcome;
  if (directReclaimedPages > 0 || stallNs > 0) bestOf(watermarkChanges(best.change, sysctl), best);

  return { baseline, ...choose(evaluator, baseline, better), notes };
}

type BestOf = (changes: Change[], start: Evaluated) => Evaluated;

function refineGuests(
  start: Evaluated,
  demand: ResolvedDemand,
  bestOf: BestOf,
  evaluator: Evaluator,
  notes: Note[],
): Evaluated {
  const refined = demand.planned.slice(0, REFINED_GUESTS_MAX);
  if (refined.length < demand.planned.length) {
    notes.push({
      code: 'search-guests-bounded',
      message:
        `Only the first ${REFINED_GUESTS_MAX} planned guests were varied one by one; all others only ` +
        'together with the rest.',
    });
  }
  return refined.reduce(
    (best, { spec }) => bestOf(guestChanges(best.change, spec, evaluator.request.host), best),
    start,
  );
}

function moveGuests(
  start: Evaluated,
  demand: ResolvedDemand,
  bestOf: BestOf,
  evaluator: Evaluator,
  notes: Note[],
): Evaluated {
  const { host } = evaluator.request;
  const tight = crowded(host, demand);
  notes.push(...tight.notes);
  const score = scoreOf(start.candidate.outcome);
  const troubled = score.kills > 0 || score.swap > 0 || score['stall-excess'] > 0;
  if (tight.guests.size === 0 && !troubled) return start;
  const packed = bestOf(packedChanges(start.change, demand, host), start);
  return demand.planned
    .filter(({ spec }) => troubled || tight.guests.has(spec.guest.name))
    .slice(0, MOVED_GUESTS_MAX)
    .reduce(
      (best, planned) => bestOf(moveChanges(best.change, planned, host, MOVE_NODES_MAX), best),
      packed,
    );
}

/**
 * The best of everything replayed, freed of settings that gain nothing, if a little more demand does not
 * kill more guests than under today's setting; otherwise the next best.
 */
function choose(
  evaluator: Evaluator,
  baseline: Evaluated,
  better: (a: Evaluated, b: Evaluated) => boolean,
): { advised: Evaluated; rejected: Map<string, string> } {
  const rejected = new Map<string, string>();
  const killsGrown = (candidate: Evaluated): string[] => {
    const request = grown(withChange(evaluator.request, candidate.change), RESERVE_PERCENT);
    const outcome = evaluator.evaluateVariant(request);
    const dead = outcome.guests.filter((guest) => guest.oomKilled).map((guest) => guest.name);
    return dead.concat(outcome.oomKills.filter((victim) => !dead.includes(victim)));
  };
  let allowed: number | undefined;
  while (rejected.size < REJECTIONS_MAX) {
    const pick = evaluator.evaluated
      .filter((candidate) => !rejected.has(candidate.candidate.id))
      .reduce((best, next) => (better(next, best) ? next : best), baseline);
    const advised = minimise(pick, evaluator, better, rejected);
    if (advised === baseline || changeCount(advised.change) === 0) break;
    allowed ??= killsGrown(baseline).length;
    const dead = killsGrown(advised);
    const safe = dead.length <= allowed;
    if (safe && better(advised, baseline)) return { advised, rejected };
    rejected.set(
      advised.candidate.id,
      safe
        ? 'Not better than the setting as it is.'
        : `With ${RESERVE_PERCENT} % more guest memory ${dead.join(', ')} would be killed.`,
    );
  }
  return { advised: baseline, rejected };
}

/** Drops settings one by one as long as no figure gets worse by more than its tolerance. */
function minimise(
  start: Evaluated,
  evaluator: Evaluator,
  better: (a: Evaluated, b: Evaluated) => boolean,
  rejected: Map<string, string>,
): Evaluated {
  let best = start;
  for (let shrunk = true; shrunk;) {
    shrunk = false;
    for (const { change } of reductions(best.change)) {
      const without = evaluator.evaluate(change);
      if (rejected.has(without.candidate.id) || !better(without, best)) continue;
      best = without;
      shrunk = true;
      break;
    }
  }
  return best;
}
