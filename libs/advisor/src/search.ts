import type { RivalFigures, Robustness, SearchReport } from './advice-types';
import { crowded } from './bounds';
import { NO_CHANGE, normalise } from './change';
import { climbed } from './climb';
import { confirmed, type Confirmed } from './confirm';
import { violation } from './constraints';
import type { ResolvedDemand } from './demand';
import { ineligible, mayBeAdvised } from './eligible';
import { Estimator } from './estimate';
import type { Evaluated, Evaluator } from './evaluator';
import { WORK_PER_RECLAIMED_PAGE } from './evaluator';
import type { Finalist } from './finalists';
import { Finals } from './finalists';
import { besideAsAsked, type Frailty } from './frailty';
import { judgeOf } from './objective';
import { minimised } from './minimise';
import type { Note } from './placement';
import { guestMemoryPages } from './placement';
import { RIVAL_RULES, rivals as rivalsOf } from './rivals';
import { rivalsTold } from './rivals/figures';
import type { RoundContext } from './rounds';
import {
  EXHAUSTIVE_MAX,
  Pruned,
  answerPools,
  answerSymptoms,
  bestOf,
  exhaustive,
  isBetter,
  isPerfect,
  jointRound,
  packings,
  prunePerfect,
  pruneRest,
  refineGuests,
  rivalChanges,
} from './rounds';
import type { Refused } from './refused';
import { scaleFor } from './scale';
import { spaceOf } from './space';
import type { Candidate, Change } from './types';
import { variationAnswers } from './variation-answers';

/** Replays of all rounds, the variations and the margin, about; only progress depends on it. */
export const REPLAYS_EXPECTED = 50;
/** Shares of the budget that may be used up to the end of each phase; the rest is for margin and explanation. */
const ROUNDS_SHARE = 0.5;
const FINALS_SHARE = 0.75;
const TELLING_SHARE = 0.9;
const CONFIRMING_SHARE = 0.95;
/** Work of a space that is replayed one by one all the same. */
const EXHAUSTIVE_WORK_MAX = 3e9;

/** The demand without guests whose numatune changes nothing here: all their memory is in huge page pools. */
export function placeable(demand: ResolvedDemand): ResolvedDemand {
  const planned = demand.planned.filter(({ spec }) => guestMemoryPages(spec.guest) > 0);
  return { ...demand, planned };
}

export interface SearchResult {
  /** Today's setting and the advice, both replayed in full. */
  baseline: Evaluated;
  advised: Evaluated;
  /** Everything replayed, in full where it was, else in miniature. */
  evaluated: Evaluated[];
  /** Candidates that are no advice however good their figures are: id -> reason. */
  rejected: Map<string, string>;
  /** Candidates that variations decided against, though they lose no guests by them: id -> reason. */
  outranked: Map<string, string>;
  /** What variations do to today's setting and not to a configuration in full, where that comes before their figures as asked. */
  frailty: (chosen: Evaluated) => Frailty | undefined;
  notes: Note[];
  report: Pick<SearchReport, 'candidates' | 'spaceSize' | 'pruned' | 'exhaustive'>;
  robustness: Robustness;
  rivals: RivalFigures[];
  /** Where it was searched: for comparisons and the margin. The full evaluator where replays are short. */
  small: { evaluator: Evaluator; baseline: Evaluated; advised: Evaluated };
}

/** Called with every advice that is better than the one before, both replayed; the first one comes early. */
export type OnAnswer = (answer: {
  baseline: Candidate;
  advised: Candidate;
  replays: number;
}) => void;

/**
 * Bounded, deterministic, anytime search. Rounds: the setting as it is; placements that counting pages likes best; named
 * rivals; all guests alike with each zone_reclaim_mode; the whole space where it is small, else troubled guests one by one;
 * settings that answer what the best so far shows. A candidate must be better by more than the tolerance, or equal with
 * fewer changes, so a tie leaves things as they are. Where a replay is long the rounds are made in miniature (scale.ts),
 * and the winner is replayed in full beside today's setting.
 */
export function search(
  evaluator: Evaluator,
  demand: ResolvedDemand,
  onAnswer?: OnAnswer,
): SearchResult {
  const { request } = evaluator;
  const judge = judgeOf(request.host, request.options);
  const estimator = new Estimator(request, demand);
  evaluator.limitEarly(ROUNDS_SHARE);
  const space = spaceOf(request, demand);
  const work = predictedWork(demand, estimator);
  // A space that can be replayed in full needs no miniature, which shows small differences wrong.
  const isSmall = space.size <= EXHAUSTIVE_MAX && evaluator.affords(space.size * work);
  const small = evaluator.inMiniature(isSmall ? 1 : scaleFor(request, work));
  const today = small.evaluate(NO_CHANGE);
  const pruned = new Pruned();
  const context: RoundContext = {
    ...{ request, demand, judge, estimator, pruned },
    ...{ evaluator: small, baseline: today },
    onBetter: ({ candidate }) =>
      onAnswer?.({
        baseline: today.candidate,
        advised: candidate,
        replays: evaluator.replays,
      }),
  };
  const everyRival = rivalsOf(request, demand);
  const rivals = everyRival.filter(
    ({ change }) => violation(request, normalise(request, change))?.bound !== 'constraints',
  );
  const { best, ...rest } = rounds(context, rivalChanges(rivals));
  let { complete } = rest;
  evaluator.limitEarly(FINALS_SHARE);
  const finals = new Finals(small, judge, today);
  const named = new Set(rivals.flatMap(({ change }) => small.known(change) ?? []));
  let ranked = finals.ranked(candidates(context), named);
  if (isPerfect(best, judge) && ranked[0] && !isPerfect(ranked[0].one, judge)) {
    // Variations decided against what left nothing to be wished for: what is left to wish for has not been asked yet.
    complete = false;
    answerSymptoms(context, ranked[0].one);
    ranked = finals.ranked(candidates(context), named);
  }
  const hurt = finals.hurt(ranked);
  if (hurt.length > 0) {
    const answers = variationAnswers(request, hurt);
    bestOf(context, answers, best);
    const answering = new Set(answers.flatMap((change) => small.known(change) ?? []));
    ranked = finals.ranked(candidates(context), answering);
  }
  const [leader] = ranked;
  const climber = leader && climbed(context, finals, leader);
  // Where nothing is in miniature, nothing is left to be confirmed in full.
  if (small === evaluator) evaluator.limit(TELLING_SHARE);
  else evaluator.limitEarly(TELLING_SHARE);
  let first =
    climber && evaluator.beside(() => finals.toldApart(climber, candidates(context), named));
  // What tells them apart may let another one win, from which nobody was moved.
  if (first && first.one !== climber?.one) first = climbed(context, finals, first);
  const simplest = first && first.one !== today ? [minimised(context, finals, first), first] : [];
  evaluator.limit(CONFIRMING_SHARE);
  const baseline = evaluator.evaluate(NO_CHANGE);
  const winnerOf = (refused: Refused): Finalist | undefined => {
    const isLeft = (one: Evaluated): boolean => !refused.has(one);
    return (
      simplest.find(({ one }) => isLeft(one)) ??
      finals.bestOf(isLeft) ??
      finals.ranked(candidates(context).filter(isLeft), named)[0]
    );
  };
  const confirm = (): Confirmed => confirmed(context, evaluator, { finals, baseline }, winnerOf);
  const { advised, whyRefused } = finals.anyLoses ? evaluator.beside(confirm) : confirm();
  evaluator.limit(1);
  if (advised !== baseline) {
    const { replays } = evaluator;
    onAnswer?.({ baseline: baseline.candidate, advised: advised.candidate, replays });
  }
  const full = (one: Evaluated): Evaluated => evaluator.known(one.change) ?? one;
  const all = [...new Set([...small.evaluated.map(full), ...evaluator.evaluated])];
  const winner = finals.entered.find(({ one }) => full(one) === advised);
  const frailty = (chosen: Evaluated): Frailty | undefined => {
    const better = finals.entered.find(({ one }) => full(one) === chosen);
    const found = better && finals.frailty(today, better);
    return besideAsAsked(found, baseline.candidate.outcome, chosen.candidate.outcome, judge);
  };
  const inSpace = all.length;
  if (!complete) pruneRest(pruned, space, inSpace);
  const told = rivalsTold(everyRival, RIVAL_RULES, {
    replayOf: ({ change }) => evaluator.known(change) ?? small.known(change),
    whyNone: ({ change }) =>
      violation(request, normalise(request, change))?.message ??
      (small.wasGivenUp(change)
        ? 'guests had waited longer than with a known configuration when its replay was given up.'
        : 'the search had used up its replays.'),
  });
  return {
    ...{ baseline, advised },
    evaluated: all,
    ...refusals(context, all, { finals, advised, winner, full, whyRefused }),
    frailty,
    notes: [
      ...searchNotes(request.host, demand, small === evaluator ? 1 : (today.candidate.scale ?? 1)),
      ...finalsNotes(finals),
      ...told.notes,
    ],
    report: {
      candidates: all.length,
      spaceSize: space.size <= Number.MAX_SAFE_INTEGER ? space.size : null,
      pruned: pruned.list,
      exhaustive: complete,
    },
    small: { evaluator: small, baseline: today, advised: small.evaluate(advised.change) },
    robustness: finals.robustness((one) => full(one).candidate.id, evaluator),
    rivals: told.rivals,
  };
}

/** What one replay will cost, by counting. */
function predictedWork(demand: ResolvedDemand, estimator: Estimator): number {
  const draws = demand.planned.map((planned) => estimator.drawsOf(planned, NO_CHANGE));
  // What has no free page at home may be reclaimed by another configuration.
  const { reclaimed, missed, swap } = estimator.estimate(draws, {});
  const touched = draws.flat().reduce((sum, draw) => sum + draw.pages, 0);
  const background = demand.backgroundCache.reduce((sum, { pages }) => sum + pages, 0);
  return touched + background + WORK_PER_RECLAIMED_PAGE * (Math.max(reclaimed, missed) + swap);
}

function rounds(context: RoundContext, rivals: Change[]): { best: Evaluated; complete: boolean } {
  const { baseline, request, demand, judge } = context;
  let best = baseline;
  if (baseline.candidate.outcome.failedStarts.length > 0) best = answerPools(context, best);
  best = bestOf(context, packings(context), best);
  best = bestOf(context, rivals, best, 'told');
  best = jointRound(context, best);
  const space = spaceOf(request, demand);
  if (isPerfect(best, judge)) {
    prunePerfect(context, space);
    return { best, complete: true };
  }
  const draws = demand.planned.map((planned) => context.estimator.drawsOf(planned, NO_CHANGE));
  const touched = draws.flat().reduce((sum, draw) => sum + draw.pages, 0);
  const work = (touched / (baseline.candidate.scale ?? 1)) * space.size;
  if (space.size <= EXHAUSTIVE_MAX && work <= EXHAUSTIVE_WORK_MAX) {
    const all = exhaustive(context, space, best);
    best = all.best;
    if (!isPerfect(best, judge)) best = answerSymptoms(context, best);
    return { best, complete: all.complete };
  }
  best = refineGuests(context, best);
  if (!isPerfect(best, judge)) best = answerSymptoms(context, best);
  return { best, complete: false };
}

/** What may be advised, the best as asked first; what is no better than today's setting then may be so under variations. */
function candidates({ request, evaluator, baseline, judge }: RoundContext): Evaluated[] {
  return evaluator.evaluated
    .filter((one) => one !== baseline && mayBeAdvised(request, one, baseline))
    .sort((a, b) => (isBetter(a, b, judge) ? -1 : isBetter(b, a, judge) ? 1 : 0));
}

interface Losers {
  finals: Finals;
  advised: Evaluated;
  winner: Finalist | undefined;
  full: (one: Evaluated) => Evaluated;
  whyRefused: Confirmed['whyRefused'];
}

/** Why better figures are no advice. */
function refusals(
  { request, evaluator, baseline, judge }: RoundContext,
  all: Evaluated[],
  { finals, advised, winner, full, whyRefused }: Losers,
): Pick<SearchResult, 'rejected' | 'outranked'> {
  const rejected = new Map<string, string>();
  const outranked = new Map<string, string>();
  for (const one of all) {
    if (one === advised || one.change === baseline.change) continue;
    const why = ineligible(request, one.candidate.outcome, baseline.candidate.outcome);
    if (why !== undefined && isBetter(one, baseline, judge)) rejected.set(one.candidate.id, why);
  }
  for (const one of evaluator.evaluated) {
    const lost = full(one) === advised ? undefined : whyRefused(one);
    if (lost !== undefined) {
      // An alternative is named by what was found in miniature, or by its replay in full.
      const told = lost.loses ? rejected : outranked;
      for (const { candidate } of [one, full(one)]) told.set(candidate.id, lost.why);
      continue;
    }
    const frail = winner && one !== winner.one ? finals.frailty(one, winner) : undefined;
    const { id, outcome } = full(one).candidate;
    if (frail?.loses) rejected.set(id, frail.why);
    else if (frail && besideAsAsked(frail, outcome, advised.candidate.outcome, judge)) {
      outranked.set(id, frail.why);
    }
  }
  return { rejected, outranked };
}

function searchNotes(
  host: Evaluator['request']['host'],
  demand: ResolvedDemand,
  scale: number,
): Note[] {
  const { notes } = crowded(host, demand);
  if (scale === 1) return notes;
  const message =
    `A replay of this plan is long, so configurations were told apart in miniature, all sizes divided by ${scale}; ` +
    'the advised one and the setting as it is were replayed in full. Marks and free pages named for the others are those of the miniature.';
  return [...notes, { code: 'search-in-miniature', message }];
}

/** What the finals left out, where they did. */
function finalsNotes({ leftOut }: Finals): Note[] {
  if (leftOut.length === 0) return [];
  const message =
    `${leftOut.length} more configurations that could have been advised were not replayed under all variations: by what ` +
    'they had lost already they could not become better than the advice, whatever the other variations did.';
  return [{ code: 'finalists-decided-early', message }];
}
