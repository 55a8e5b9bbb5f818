/** What was found in miniature is replayed in full before it is advised. */
import type { Variation } from './advice-types';
import { mayBeAdvised } from './eligible';
import type { Evaluated, Evaluator } from './evaluator';
import type { Finalist, Finals } from './finalists';
import { compareOutcomes } from './objective';
import { Refused } from './refused';
import type { RoundContext } from './rounds';
import { stallToBeat } from './stall-bound';
import { isLikely, kills, weightsOf } from './varied-judge';

/** Winners in miniature that are replayed in full until one holds. */
const CONFIRMED_MAX = 6;

interface Confirming {
  finals: Finals;
  /** Today's setting in full. */
  baseline: Evaluated;
}

/** How many guests are lost as asked, and then over the likely variations, weighted as `weightsOf` says. */
interface LostGuests {
  asAsked: number;
  varied: number;
}

/**
 * The first winner that is no worse in full than today's setting, or spares guests under variations, may be advised, and
 * loses no more guests than it did in miniature, as far as the budget allows to look and where any finalist loses guests: a
 * host on which all of them live is not so tight that the size would tell. Of several that all lose more the one that loses
 * fewest, and of as many the one that is better otherwise; today's setting where there is none.
 * @param winnerOf the best advice without those that were refused
 */
export function confirmed(
  { baseline: today, judge }: RoundContext,
  evaluator: Evaluator,
  { finals, baseline }: Confirming,
  winnerOf: (refused: Refused) => Finalist | undefined,
): Evaluated {
  const refused = new Refused(judge.tolerance.stall);
  const inFull = new VariedInFull(evaluator, finals.variations);
  // What is scanned in vain grows with the square of the size: a miniature shows too little of it.
  const bound = stallToBeat(baseline.candidate.outcome, judge);
  const isNoLoss = ({ candidate }: Evaluated): boolean =>
    compareOutcomes(candidate.outcome, baseline.candidate.outcome, judge) <= 0;
  /** The winner in full; undefined where it is refused. */
  const replayed = (winner: Finalist): Evaluated | undefined => {
    const { one } = winner;
    if (one === today) return baseline;
    const spares = finals.sparesGuests(winner);
    const waiting = { ...bound, ...(spares && { stallNs: Infinity }) };
    const full = evaluator.evaluateWithin(one.change, waiting);
    if (full && mayBeAdvised(full, baseline) && (spares || isNoLoss(full))) return full;
    refused.add(one, !full || full.candidate.outcome.stallNs > baseline.candidate.outcome.stallNs);
    return undefined;
  };
  let least: { full: Evaluated; lost: LostGuests; winner: Finalist } | undefined;
  for (let tries = 0; tries < CONFIRMED_MAX; tries += 1) {
    const winner = winnerOf(refused);
    if (winner === undefined || (winner.one === today && least === undefined)) break;
    const promised = { asAsked: kills(winner.asAsked), varied: finals.deaths(winner) };
    const isBeaten = beatenBy(least, least && finals.compareOtherwise(winner, least.winner) < 0);
    if (isBeaten(promised)) break;
    const full = replayed(winner);
    if (full === undefined) continue;
    if (!finals.anyLoses) return full;
    const lost = inFull.lost(full, winner, isBeaten);
    // Nothing tells that this one is not lost by what another of them was lost by.
    if (lost === undefined) break;
    if (compareLost(lost, promised) <= 0) return full;
    if (!isBeaten(lost)) least = { full, lost, winner };
    if (full === baseline) break;
    refused.add(winner.one, false);
  }
  return least?.full ?? baseline;
}

/** @param isBetter whether who loses as many guests is better otherwise */
function beatenBy(
  least: { lost: LostGuests } | undefined,
  isBetter = false,
): (lost: LostGuests) => boolean {
  if (least === undefined) return () => false;
  return (lost) => {
    const more = compareLost(lost, least.lost);
    return more > 0 || (more === 0 && !isBetter);
  };
}

function compareLost(a: LostGuests, b: LostGuests): number {
  return a.asAsked - b.asAsked || a.varied - b.varied;
}

/** Replays in full under the likely variations. */
class VariedInFull {
  private readonly likely: { variation: Variation; at: number; weight: number }[];
  /** How many more guests than in miniature were lost so far, by variation. */
  private readonly surprises = new Map<Variation, number>();

  constructor(
    private readonly evaluator: Evaluator,
    variations: readonly Variation[],
  ) {
    const weights = weightsOf(variations);
    this.likely = variations
      .map((variation, at) => ({ variation, at, weight: weights[at] ?? 0 }))
      .filter(({ variation }) => isLikely(variation));
  }

  /**
   * Those that surprised before come first; what else the budget does not allow to replay counts as it did in miniature.
   * @param isBeaten whether so many are too many: the rest is not replayed then
   * @returns undefined where it does not allow to replay what surprised before
   */
  lost(
    { change, candidate }: Evaluated,
    { varied }: Finalist,
    isBeaten: (lost: LostGuests) => boolean,
  ): LostGuests | undefined {
    const surprise = (variation: Variation): number => this.surprises.get(variation) ?? 0;
    const lost = {
      asAsked: kills(candidate.outcome),
      varied: this.likely.reduce((sum, { at, weight }) => sum + weight * kills(varied[at]), 0),
    };
    const order = [...this.likely].sort((a, b) => surprise(b.variation) - surprise(a.variation));
    for (const { variation, at, weight } of order) {
      if (isBeaten(lost)) break;
      const isKnown = this.evaluator.knownVaried(change, variation) !== undefined;
      if (!isKnown && !this.evaluator.canReplay()) {
        return surprise(variation) > 0 ? undefined : lost;
      }
      const more = kills(this.evaluator.evaluateVaried(change, variation)) - kills(varied[at]);
      lost.varied += weight * more;
      this.surprises.set(variation, surprise(variation) + more);
    }
    return lost;
  }
}
