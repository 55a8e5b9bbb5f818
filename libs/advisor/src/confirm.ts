/** What was found in miniature is replayed in full before it is advised. */
import type { Variation } from './advice-types';
import { ineligible, mayBeAdvised } from './eligible';
import type { Evaluated, Evaluator } from './evaluator';
import { whyNot } from './explain';
import type { Finalist, Finals } from './finalists';
import { besideAsAsked, frailtyOf, type Frailty } from './frailty';
import { compareOutcomes } from './objective';
import { Refused } from './refused';
import type { RoundContext } from './rounds';
import { stallToBeat } from './stall-bound';
import type { Outcome } from './types';
import { isLikely, isOtherStart, kills, type Tested } from './varied-judge';

/** Winners in miniature that are replayed in full until one holds. */
const CONFIRMED_MAX = 6;

interface Confirming {
  finals: Finals;
  /** Today's setting in full. */
  baseline: Evaluated;
}

export interface Confirmed {
  /** In full. */
  advised: Evaluated;
  /** What a winner in miniature lost when it was replayed in full; undefined where that is not what decided against it. */
  whyRefused: (one: Evaluated) => Lost | undefined;
}

/** Why it was refused, and whether it loses more guests. */
type Lost = Pick<Frailty, 'why' | 'loses'>;

/** A winner in full, with its outcomes under variations. */
interface InFull {
  full: Evaluated;
  tested: Tested;
}

/**
 * The first winner that is no worse in full than today's setting, or spares guests under variations, may be advised, and
 * keeps what it promised in miniature: it loses no more guests and its memory is no further, as far as the budget allows to
 * look and where any finalist loses guests. A host on which all of them live is not so tight that the size would tell. Of
 * several that promised more than they keep the best in full; today's setting where there is none.
 * @param winnerOf the best advice without those that were refused
 */
export function confirmed(
  { baseline: today, judge, request }: RoundContext,
  evaluator: Evaluator,
  { finals, baseline }: Confirming,
  winnerOf: (refused: Refused) => Finalist | undefined,
): Confirmed {
  const refused = new Refused(judge.tolerance.stall);
  const { judges } = finals;
  const inFull = new VariedInFull(evaluator, finals);
  // What is scanned in vain grows with the square of the size: a miniature shows too little of it.
  const bound = stallToBeat(baseline.candidate.outcome, judge);
  const isNoLoss = ({ candidate }: Evaluated): boolean =>
    compareOutcomes(candidate.outcome, baseline.candidate.outcome, judge) <= 0;
  /** Replayed in full under variations. */
  const tests = new Map<Evaluated, InFull>();
  /** Refused for what they are as asked, in full; undefined where the replay was given up. */
  const seen = new Map<Evaluated, Evaluated | undefined>();
  /** The winner in full; undefined where it is refused. */
  const replayed = (winner: Finalist): Evaluated | undefined => {
    const { one } = winner;
    if (one === today) return baseline;
    const spares = finals.sparesGuests(winner);
    const waiting = { ...bound, ...(spares && { stallNs: Infinity }) };
    const full = evaluator.evaluateWithin(one.change, waiting);
    if (full && mayBeAdvised(request, full, baseline) && (spares || isNoLoss(full))) return full;
    seen.set(one, full);
    refused.add(one, !full || full.candidate.outcome.stallNs > baseline.candidate.outcome.stallNs);
    return undefined;
  };
  /** Than today's setting, both in full. */
  const whyWorse = (full: Evaluated): string =>
    ineligible(request, full.candidate.outcome, baseline.candidate.outcome) ??
    inFullText(whyNot(full, baseline, judge));
  const answer = (advised: Evaluated): Confirmed => ({
    advised,
    whyRefused: (one) => {
      const own = tests.get(one);
      const won = [...tests.values()].find(({ full }) => full === advised);
      if (own && won && own.full !== one) return whyBehind(own, won);
      if (own || one === today || !refused.has(one)) return undefined;
      const full = seen.get(one);
      if (seen.has(one) && !full) return { why: GIVEN_UP, loses: false };
      // Figures that are behind those of the advice tell by themselves.
      const { outcome } = (full ?? one).candidate;
      if (compareOutcomes(outcome, advised.candidate.outcome, judge) >= 0) return undefined;
      if (full) return { why: whyWorse(full), loses: false };
      return evaluator.known(one.change) ? undefined : { why: WAITS_ALIKE, loses: false };
    },
  });
  const whyBehind = (own: InFull, won: InFull): Lost | undefined => {
    const frailty = frailtyOf(own.tested, won.tested, finals.variations, judges);
    const [lost, better] = [own.tested.asAsked, won.tested.asAsked];
    if (frailty === undefined) return undefined;
    if (!frailty.loses && !besideAsAsked(frailty, lost, better, judge)) return undefined;
    const { why, loses, frail } = frailty;
    return { why: inFull.has(frail) ? inFullText(why) : why, loses };
  };
  let best: InFull | undefined;
  const isBeaten = (by: Tested): boolean =>
    best !== undefined && judges.compare(by, best.tested) >= 0;
  for (let tries = 0; tries < CONFIRMED_MAX; tries += 1) {
    const winner = winnerOf(refused);
    if (winner === undefined || (winner.one === today && best === undefined)) break;
    if (isBeaten(winner)) break;
    const full = replayed(winner);
    if (full === undefined) continue;
    if (!finals.anyLoses) return answer(full);
    const tested = inFull.tested(full, winner, isBeaten);
    // Nothing tells that this one is not hurt by what another of them was hurt by.
    if (tested === undefined) break;
    tests.set(winner.one, { full, tested });
    if (!isBeaten(tested)) {
      if (judges.compareLost(tested, winner) <= 0 && judges.compareRemote(tested, winner) <= 0) {
        return answer(full);
      }
      best = { full, tested };
    }
    if (full === baseline) break;
    refused.add(winner.one, false);
  }
  return answer(best?.full ?? baseline);
}

const GIVEN_UP =
  'Replayed in full, guests wait longer than with the setting as it is: the replay was given up.';
const WAITS_ALIKE =
  'Guests wait as long in miniature as with another configuration, which was refused for how long they wait in full.';

/** @param sentence what a configuration comes short in */
function inFullText(sentence: string): string {
  const first = sentence.slice(0, 1);
  const rest = sentence.slice(1);
  return `Replayed in full: ${first.toLowerCase()}${rest}`;
}

/** How much worse than in miniature configurations were under a variation so far. */
interface Surprise {
  kills: number;
  remoteCost: number;
}

/** Replays in full under the likely variations; other start orders, which only tell who is lost, stay in miniature. */
class VariedInFull {
  private readonly likely: { variation: Variation; at: number }[];
  private readonly surprises = new Map<Variation, Surprise>();
  private readonly outcomes = new Set<Outcome>();

  constructor(
    private readonly evaluator: Evaluator,
    private readonly finals: Finals,
  ) {
    this.likely = finals.variations
      .map((variation, at) => ({ variation, at }))
      .filter(({ variation }) => isLikely(variation) && !isOtherStart(variation));
  }

  /**
   * Those that surprised before come first; what else the budget does not allow to replay stays as it was in miniature.
   * @param isBeaten whether it is beaten as far as it is known: the rest is not replayed then
   * @returns undefined where it does not allow to replay what surprised before
   */
  tested(
    { change, candidate }: Evaluated,
    { varied, changes }: Finalist,
    isBeaten: (soFar: Tested) => boolean,
  ): Tested | undefined {
    const known = [...varied];
    const tested: Tested = { asAsked: candidate.outcome, varied: known, changes };
    const order = [...this.likely].sort((a, b) =>
      compareSurprise(this.surprise(b.variation), this.surprise(a.variation)),
    );
    for (const { variation, at } of order) {
      if (isBeaten(tested)) break;
      const isKnown = this.evaluator.knownVaried(change, variation) !== undefined;
      if (!isKnown && !this.evaluator.canReplay()) {
        return this.isSurprising(variation) ? undefined : tested;
      }
      const [small, full] = [varied[at], this.evaluator.evaluateVaried(change, variation)];
      this.outcomes.add(full);
      const before = this.surprise(variation);
      this.surprises.set(variation, {
        kills: before.kills + kills(full) - kills(small),
        remoteCost: before.remoteCost + full.remoteCost - (small?.remoteCost ?? 0),
      });
      known[at] = full;
    }
    return tested;
  }

  /** Whether an outcome is one in full. */
  has(outcome: Outcome): boolean {
    return this.outcomes.has(outcome);
  }

  private surprise(variation: Variation): Surprise {
    return this.surprises.get(variation) ?? { kills: 0, remoteCost: 0 };
  }

  private isSurprising(variation: Variation): boolean {
    const { kills: more, remoteCost } = this.surprise(variation);
    return more > 0 || remoteCost > this.finals.judges.tolerance.remote;
  }
}

function compareSurprise(a: Surprise, b: Surprise): number {
  return a.kills - b.kills || a.remoteCost - b.remoteCost;
}
