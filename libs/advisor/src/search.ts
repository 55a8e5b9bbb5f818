import type { HostSysctls } from '@zonewise/simulator';
import { crowded } from './bounds';
import {
  guestChanges,
  jointChanges,
  moveChanges,
  packedChanges,
  watermarkChanges,
} from './candidates';
import type { ResolvedDemand } from './demand';
import type { Change, Evaluated, Evaluator } from './evaluator';
import { NO_CHANGE, changeCount, reductions } from './change';
import { deadNames } from './explain';
import { formatList } from './format';
import { compareOutcomes, judgeOf, scoreOf } from './objective';
import type { Note } from './placement';
import { guestMemoryPages } from './placement';

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
/** Replays that the search leaves to the checks with grown demand. */
const KEPT_FOR_GROWTH = 2;
/** Replays left to packing all guests anew, where their nodes are too small. */
const KEPT_FOR_PACKING = 2;

/** How many replays a search is likely to need; only progress depends on it. */
export function expectedReplays(demand: ResolvedDemand): number {
  return COMMON_REPLAYS + REPLAYS_PER_GUEST * Math.min(demand.planned.length, REFINED_GUESTS_MAX);
}

/** The demand without guests whose numatune changes nothing here: all their memory is in huge page pools. */
export function placeable(demand: ResolvedDemand): ResolvedDemand {
  const planned = demand.planned.filter(({ spec }) => guestMemoryPages(spec.guest) > 0);
  return { ...demand, planned };
}

export interface SearchResult {
  baseline: Evaluated;
  advised: Evaluated;
  /** Candidates that are no advice however good their figures are: id -> reason. */
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
  const judge = judgeOf(host, evaluator.request.options);
  const notes: Note[] = [];
  const better = (a: Evaluated, b: Evaluated): boolean => {
    const order = compareOutcomes(a.candidate.outcome, b.candidate.outcome, judge);
    return order < 0 || (order === 0 && changeCount(a.change) < changeCount(b.change));
  };
  const bestOf = (changes: Change[], start: Evaluated, keep = KEPT_FOR_GROWTH): Evaluated =>
    changes
      .flatMap((change) => evaluator.tryEvaluate(change, keep) ?? [])
      .filter((candidate) => ineligible(candidate, baseline) === undefined)
      .reduce((best, next) => (better(next, best) ? next : best), start);

  const tight = crowded(host, demand);
  notes.push(...tight.notes);
  const keep = KEPT_FOR_GROWTH + (tight.guests.size > 0 ? KEPT_FOR_PACKING : 0);
  let best = bestOf(jointChanges(evaluator.request, demand), baseline, keep);
  if (tight.guests.size > 0) best = bestOf(packedChanges(best.change, demand, host), best);
  best = refineGuests(best, demand, bestOf, evaluator, notes);
  best = moveGuests(best, demand, { bestOf, evaluator, notes, tight: tight.guests });
  const { directReclaimedPages, stallNs } = best.candidate.outcome;
  if (directReclaimedPages > 0 || stallNs > 0) bestOf(watermarkChanges(best.change, sysctl), best);

  const chosen = choose(evaluator, baseline, better);
  return { baseline, ...chosen, notes: [...notes, ...chosen.notes] };
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
        `At most the first ${REFINED_GUESTS_MAX} planned guests were varied one by one; all others only ` +
        'together with the rest.',
    });
  }
  return refined.reduce(
    (best, { spec }) => bestOf(guestChanges(best.change, spec, evaluator.request.host), best),
    start,
  );
}

interface MoveContext {
  bestOf: BestOf;
  evaluator: Evaluator;
  notes: Note[];
  /** Guests whose home nodes are too small. */
  tight: Set<string>;
}

function moveGuests(
  start: Evaluated,
  demand: ResolvedDemand,
  { bestOf, evaluator, notes, tight }: MoveContext,
): Evaluated {
  const { host } = evaluator.request;
  const score = scoreOf(start.candidate.outcome);
  const troubled = score.kills > 0 || score.swap > 0 || score['stall-excess'] > 0;
  if (tight.size === 0 && !troubled) return start;
  const packed = bestOf(packedChanges(start.change, demand, host), start);
  const concerned = demand.planned.filter(({ spec }) => troubled || tight.has(spec.guest.name));
  if (concerned.length > MOVED_GUESTS_MAX) {
    notes.push({
      code: 'search-moves-bounded',
      message:
        `Of ${concerned.length} planned guests that might go to another node at most the first ` +
        `${MOVED_GUESTS_MAX} to start were tried there one by one, each on at most ${MOVE_NODES_MAX} ` +
        'other nodes.',
    });
  }
  return concerned
    .slice(0, MOVED_GUESTS_MAX)
    .reduce(
      (best, planned) => bestOf(moveChanges(best.change, planned, host, MOVE_NODES_MAX), best),
      packed,
    );
}

/**
 * Why a candidate is no advice although its figures may be better: it kills a running guest that lives
 * today, or the same number of guests as today's setting, only others.
 */
function ineligible(candidate: Evaluated, baseline: Evaluated): string | undefined {
  if (candidate === baseline) return undefined;
  const [now, then] = [baseline.candidate.outcome, candidate.candidate.outcome];
  const dead = deadNames(then);
  const alive = now.guests.filter((guest) => guest.state === 'running' && !guest.oomKilled);
  const victims = alive.map(({ name }) => name).filter((name) => dead.includes(name));
  if (victims.length > 0) return `Kills ${formatList(victims)}, which runs now and would survive.`;
  const deadNow = deadNames(now);
  if (dead.length > 0 && dead.length >= deadNow.length) {
    return `Kills ${formatList(dead)} instead of ${formatList(deadNow)}: no fewer than as it is.`;
  }
  return undefined;
}

/**
 * The best of everything replayed that may be advised, freed of settings that gain nothing, if a little
 * more demand does not kill more guests than under today's setting; otherwise the next best.
 */
function choose(
  evaluator: Evaluator,
  baseline: Evaluated,
  better: (a: Evaluated, b: Evaluated) => boolean,
): Omit<SearchResult, 'baseline'> {
  const rejected = new Map<string, string>();
  const refuse = (candidate: Evaluated): boolean => {
    const id = candidate.candidate.id;
    if (rejected.has(id)) return true;
    const why = ineligible(candidate, baseline);
    // What is worse anyway is explained by its figures.
    if (why !== undefined && better(candidate, baseline)) rejected.set(id, why);
    return why !== undefined;
  };
  // "Equal with fewer changes" is not transitive: every step is held against today's setting as well.
  const gains = (candidate: Evaluated): boolean =>
    candidate === baseline || (!refuse(candidate) && better(candidate, baseline));
  const killsGrown = (candidate: Evaluated): string[] =>
    deadNames(evaluator.evaluateGrown(candidate.change, RESERVE_PERCENT));
  let allowed: number | undefined;
  for (let rejections = 0; ; rejections += 1) {
    const pick = evaluator.evaluated
      .filter(gains)
      .reduce((best, next) => (better(next, best) ? next : best), baseline);
    const advised = minimise(pick, evaluator, better, gains);
    if (advised === baseline) return { advised, rejected, notes: [] };
    if (rejections >= REJECTIONS_MAX || !evaluator.canReplay(allowed === undefined ? 1 : 0)) {
      return { advised: baseline, rejected, notes: [uncheckedNote(rejections)] };
    }
    allowed ??= killsGrown(baseline).length;
    const dead = killsGrown(advised);
    if (dead.length <= allowed) return { advised, rejected, notes: [] };
    rejected.set(
      advised.candidate.id,
      `With ${RESERVE_PERCENT} % more guest memory ${formatList(dead)} would be killed.`,
    );
  }
}

function uncheckedNote(rejections: number): Note {
  return {
    code: 'search-reserve-bounded',
    message:
      `${rejections} configurations with better figures were refused because guests grown by ` +
      `${RESERVE_PERCENT} % would be killed; the next ones were not checked, so none is advised.`,
  };
}

/** Drops settings one by one as long as no figure gets worse by more than its tolerance. */
function minimise(
  start: Evaluated,
  evaluator: Evaluator,
  better: (a: Evaluated, b: Evaluated) => boolean,
  gains: (candidate: Evaluated) => boolean,
): Evaluated {
  let best = start;
  for (let shrunk = true; shrunk;) {
    shrunk = false;
    for (const { change } of reductions(best.change)) {
      const without = evaluator.tryEvaluate(change, KEPT_FOR_GROWTH);
      if (without === undefined || !gains(without) || !better(without, best)) continue;
      best = without;
      shrunk = true;
      break;
    }
  }
  return best;
}
