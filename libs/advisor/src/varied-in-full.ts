/** Winners in miniature under variations in full, as far as the budget allows it. */
import type { Variation } from './advice-types';
import type { Evaluated, Evaluator } from './evaluator';
import type { Finalist, Finals } from './finalists';
import type { Outcome } from './types';
import { isLikely, isOtherStart, kills, type Tested } from './varied-judge';

/** How much worse than in miniature configurations were under a variation so far. */
interface Surprise {
  kills: number;
  remoteCost: number;
}

/** Replays in full under the likely variations; other start orders, which only tell who is lost, stay in miniature. */
export class VariedInFull {
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
