/** Which of two configurations is the better advice, where outcomes under variations are known as well. */
import type { Variation } from './advice-types';
import type { Judge, Objective, Score } from './objective';
import {
  OBJECTIVES,
  compareOutcomes,
  firstDifference,
  firstScoreDifference,
  scoreOf,
} from './objective';
import type { Outcome } from './types';

/** Growth that is only looked at where nothing else tells finalists apart. */
const UNLIKELY = 'growth-30';

/** Of the tolerance, what is no difference at all. */
const SAME_SHARE = 0.2;

/** What the demand as asked counts, and a variation that stands alone. */
const WEIGHT = 10;

/**
 * What each variation counts. Growth as many as percents lie between it and the likely growth before, and start orders beside
 * the reversed one share what a variation counts: those that are replayed to tell where guests are lost tell that better and
 * make nothing of it weigh more.
 */
export function weightsOf(variations: readonly Variation[]): number[] {
  const growths = variations.flatMap((each) =>
    each.growthPercent !== undefined && isLikely(each) ? [each.growthPercent] : [],
  );
  const starts = variations.filter(isOtherStart).length;
  return variations.map((variation) => {
    const { growthPercent } = variation;
    // In whole numbers, so that sums of as much in another order are the same.
    if (isOtherStart(variation)) return Math.round(WEIGHT / starts);
    if (growthPercent === undefined || !isLikely(variation)) return WEIGHT;
    return growthPercent - Math.max(0, ...growths.filter((each) => each < growthPercent));
  });
}

/** A start order beside the reversed one. */
export function isOtherStart({ startBySize, startShuffle }: Variation): boolean {
  return startBySize !== undefined || startShuffle !== undefined;
}

/** Outcomes by variation, as far as they are known. */
export type Varied = readonly (Outcome | undefined)[];

/** A configuration with its outcomes, in the order of the variations. */
export interface Tested {
  asAsked: Outcome;
  varied: Varied;
  /** How many settings it changes. */
  changes: number;
}

/** Of a figure that is there anyway, what another start order or a little growth moves it by. */
const NOISE_SHARE = 0.05;

/** Tolerances with the noise of what both have. */
function widened(tolerance: Score, left: Score, right: Score): Score {
  const wide = OBJECTIVES.map((objective) => [
    objective,
    tolerance[objective] + NOISE_SHARE * Math.max(left[objective], right[objective]),
  ]);
  return Object.fromEntries(wide) as Score;
}

type Remote = Pick<Tested, 'asAsked' | 'varied'>;

export function isLikely({ name }: Variation): boolean {
  return name !== UNLIKELY;
}

export function kills(outcome: Outcome | undefined): number {
  return outcome === undefined ? 0 : scoreOf(outcome).kills;
}

/**
 * Guests lost as asked decide, then guests lost under the likely variations, then what the judge's order has before remote
 * memory (swap and stalls over the budget where the profile is balanced), as asked and then in the mean over the likely
 * variations. Remote memory is compared by its mean over the demand as asked and the likely variations: what is near
 * only as long as everything comes as planned is not near. Then guests lost under the unlikely variation, the judge's whole
 * order as asked, and the number of changes. Where the request weighs figures, their weighted sum stands for all of the order,
 * as asked and then in the mean.
 */
export class VariedJudge {
  private readonly weights: readonly number[];
  /** What counts more than remote memory, but for kills. */
  private readonly beforeRemote: Judge;

  constructor(
    private readonly judge: Judge,
    private readonly variations: readonly Variation[],
    /** Guests that every configuration loses under each of them. */
    private readonly lostAtLeast: readonly number[] = [],
  ) {
    this.weights = weightsOf(variations);
    const { order } = judge;
    const before = order.slice(0, order.indexOf('remote'));
    this.beforeRemote = { ...judge, order: before.filter((objective) => objective !== 'kills') };
  }

  /** What is no difference between outcomes. */
  get tolerance(): Judge['tolerance'] {
    return this.judge.tolerance;
  }

  /** The request weighs figures, and nothing else decides but who is lost. */
  get isWeighed(): boolean {
    return this.judge.weights !== undefined;
  }

  /** Negative where `a` is the better advice. */
  compare(a: Tested, b: Tested): number {
    const lost = this.compareLost(a, b);
    if (lost !== 0) return lost;
    const { order, decisive } = this.orderAsAsked(a.asAsked, b.asAsked);
    if (decisive) return order;
    const before = this.compareBeforeRemote(a, b);
    if (before.order !== 0) return before.order;
    if (!this.isWeighed) {
      const remote = this.compareRemote(a, b);
      if (remote !== 0) return remote;
    }
    const unlikely = this.deaths(a, true) - this.deaths(b, true);
    return unlikely || order || a.changes - b.changes;
  }

  /**
   * By what counts more than remote memory, in the mean over the demand as asked and the likely variations.
   * @returns order negative where `a` is better, and the figure that decides
   */
  compareBeforeRemote(a: Remote, b: Remote): { order: number; objective?: Objective } {
    const [left, right] = [this.meanScore(a), this.meanScore(b)];
    const { beforeRemote } = this;
    const tolerance = beforeRemote.weights
      ? beforeRemote.tolerance
      : widened(this.tolerance, left, right);
    const difference = firstScoreDifference(left, right, { ...beforeRemote, tolerance });
    if (difference === undefined) return { order: 0 };
    return { order: difference.better === 'a' ? -1 : 1, objective: difference.objective };
  }

  /** Negative where `a` loses fewer guests. */
  compareLost(a: Tested, b: Tested): number {
    return kills(a.asAsked) - kills(b.asAsked) || this.deaths(a, false) - this.deaths(b, false);
  }

  /**
   * Whether `compare` may still find one better whose first variations are known: those to come only add to how remote it is,
   * and to whom it loses beyond those that have no room.
   */
  mayBeat(soFar: Tested, best: Tested): boolean {
    return this.compare(soFar, best) < 0;
  }

  /** Whether no outcome that is known of both is better, as asked or under a variation. */
  isNowhereBetter(soFar: Tested, best: Tested): boolean {
    const pairs = soFar.varied.map((outcome, at) => [outcome, best.varied[at]] as const);
    return [[soFar.asAsked, best.asAsked] as const, ...pairs].every(
      ([own, other]) => !own || !other || compareOutcomes(own, other, this.judge) >= 0,
    );
  }

  /** Order of two outcomes of the demand as asked, and whether variations can change nothing about it. */
  orderAsAsked(left: Outcome, right: Outcome): { order: number; decisive: boolean } {
    const difference = firstDifference(left, right, this.judge);
    if (difference === undefined) return { order: 0, decisive: false };
    const { order, weights } = this.judge;
    const decisive =
      weights !== undefined || order.indexOf(difference.objective) < order.indexOf('remote');
    return { order: difference.better === 'a' ? -1 : 1, decisive };
  }

  /**
   * Whether a configuration that is known as asked alone is better than the best by what decides there, or no further from
   * its memory as asked and nearer in the mean if variations do not change that.
   */
  promisesMore(left: Outcome, best: Tested): boolean {
    const right = best.asAsked;
    const { order, decisive } = this.orderAsAsked(left, right);
    if (decisive) return order < 0;
    if (left.remoteCost > right.remoteCost + this.judge.tolerance.remote) return false;
    return this.compareRemote({ asAsked: left, varied: [] }, best) < 0;
  }

  /** Whether some of its memory is remote, in the mean. */
  isRemote(tested: Remote): boolean {
    return this.remoteCost(tested) > this.judge.tolerance.remote;
  }

  /** Negative where `a`'s memory is nearer, 0 where the means are as good as the same. */
  compareRemote(a: Remote, b: Remote): number {
    const difference = this.remoteCost(a) - this.remoteCost(b);
    return Math.abs(difference) > this.judge.tolerance.remote ? difference : 0;
  }

  /** Whether `a`'s memory is further, also where that is within the tolerance: it is not to be used up step by step. */
  isFurther(a: Remote, b: Remote): boolean {
    return this.remoteCost(a) - this.remoteCost(b) > this.judge.tolerance.remote * SAME_SHARE;
  }

  /** Guests that every configuration loses under a variation, by its place among them. */
  leastLost(at: number): number {
    return this.lostAtLeast[at] ?? 0;
  }

  /**
   * Guests lost under the likely variations, or under the unlikely ones, by the weights of `weightsOf`: at least as many as have
   * no room where it was not replayed.
   */
  deaths({ varied }: Pick<Tested, 'varied'>, unlikely: boolean): number {
    return this.variations.reduce((sum, variation, at) => {
      const counts = isLikely(variation) !== unlikely;
      const outcome = varied[at];
      const lost = outcome === undefined ? this.leastLost(at) : kills(outcome);
      return counts ? sum + (this.weights[at] ?? 0) * lost : sum;
    }, 0);
  }

  /** Mean of remote cost as `meanOf` weighs it. */
  private remoteCost(tested: Remote): number {
    return this.meanOf(tested, ({ remoteCost }) => remoteCost);
  }

  /** Mean of every figure but kills, which have weights of their own. */
  private meanScore(tested: Remote): Score {
    const scores = new Map(
      [tested.asAsked, ...tested.varied].flatMap((outcome) =>
        outcome === undefined ? [] : [[outcome, scoreOf(outcome)]],
      ),
    );
    const mean = (objective: Objective): number =>
      objective === 'kills'
        ? 0
        : this.meanOf(tested, (outcome) => scores.get(outcome)?.[objective] ?? 0);
    const figures = OBJECTIVES.map((objective) => [objective, mean(objective)]);
    return Object.fromEntries(figures) as Score;
  }

  /**
   * Mean by weight over the demand as asked and the likely variations but start orders beside the reversed one, which only
   * tell who is lost; those that were not replayed add nothing.
   */
  private meanOf({ asAsked, varied }: Remote, figureOf: (outcome: Outcome) => number): number {
    let [sum, weights] = [WEIGHT * figureOf(asAsked), WEIGHT];
    for (const [at, variation] of this.variations.entries()) {
      if (!isLikely(variation) || isOtherStart(variation)) continue;
      const weight = this.weights[at] ?? 0;
      weights += weight;
      const outcome = varied[at];
      sum += outcome === undefined ? 0 : weight * figureOf(outcome);
    }
    return sum / weights;
  }
}
