/** From everything replayed to one advice: the same variations for all finalists, then the simplest that is as good. */
import type { Robustness } from './advice-types';
import type { Variation } from './advice-types';
import { changeCount, normalise, reductions, without } from './change';
import { violation } from './constraints';
import { ineligible } from './eligible';
import type { Change, Evaluated, Evaluator } from './evaluator';
import { FIGURES } from './explain';
import { wouldLose } from './losses';
import type { Judge, Objective } from './objective';
import { compareOutcomes, firstDifference, scoreOf } from './objective';
import { isBetter, isPerfect } from './rounds';
import type { Outcome } from './types';
import { variationsOf } from './variation';

const FINALISTS_MAX = 6;
const FINALISTS_MIN = 3;
/** Replayed under a variation that costs the best finalist guests, to find who loses fewer. */
const SCREENED_MAX = 32;
/** Growth that is only looked at where nothing else tells finalists apart. */
const UNLIKELY = 'growth-30';
/** What variations may differ by without telling finalists apart, of the distance to local memory. */
const VARIED_REMOTE_TOLERANCE = 0.002;
/** What counts more than remote memory under variations. */
const BEFORE_VARIATIONS: readonly Objective[] = ['kills', 'swap', 'stall-excess', 'remote', 'room'];
const REDUCTIONS_MAX = 24;

/** A finalist with its outcomes, one per variation, in the order of the variations. */
export interface Finalist {
  one: Evaluated;
  varied: Outcome[];
}

/** Outcomes by variation, as far as they are known. */
type Varied = readonly (Outcome | undefined)[];

export class Finals {
  readonly variations: Variation[];
  /** With the variations that were replayed before it was clear that they cannot win. */
  private readonly beaten = new Map<Evaluated, Finalist>();
  private readonly finalists = new Map<Evaluated, Finalist>();

  constructor(
    private readonly evaluator: Evaluator,
    private readonly judge: Judge,
    private readonly baseline: Evaluated,
  ) {
    const all = variationsOf(evaluator.request);
    // Where replays are too long for all of them, growth by the reserve tells most.
    const affordable = evaluator.canReplay(FINALISTS_MIN * all.length);
    this.variations = affordable ? all : all.slice(0, 1);
  }

  /**
   * Replays a configuration under all variations; undefined where the budget does not allow it (it always does for the
   * first three), or where it turns out to be hopeless.
   * @param hopeless asked before every replay and at the end, with the outcomes so far
   */
  enter(
    one: Evaluated,
    hopeless: (soFar: Finalist) => boolean = () => false,
  ): Finalist | undefined {
    const known = this.finalists.get(one);
    if (known) return hopeless(known) ? undefined : known;
    const finalist: Finalist = { one, varied: [] };
    const isNew = (variation: Variation): boolean =>
      this.evaluator.knownVaried(one.change, variation) === undefined;
    const replays = this.variations.filter(isNew).length;
    const free = this.finalists.size < FINALISTS_MIN || replays === 0;
    if (!free && !this.evaluator.canReplay(replays - 1)) return undefined;
    for (const variation of this.variations) {
      if (isNew(variation) && hopeless(finalist)) return undefined;
      finalist.varied.push(this.evaluator.evaluateVaried(one.change, variation));
    }
    if (hopeless(finalist)) return undefined;
    this.finalists.set(one, finalist);
    return finalist;
  }

  /**
   * Whether `compare` may still find one better whose first variations are known: those to come only add to whom it loses
   * and to how remote it is.
   */
  private mayBeat(soFar: Finalist, best: Finalist): boolean {
    const [left, right] = [soFar.one.candidate.outcome, best.one.candidate.outcome];
    const kills = scoreOf(left).kills - scoreOf(right).kills;
    if (kills !== 0) return kills < 0;
    const likely = this.deaths(soFar, false) - this.deaths(best, false);
    if (likely !== 0) return likely < 0;
    const { order, decisive } = this.asAsked(left, right);
    if (decisive) return order < 0;
    const remote = this.remote(soFar) - this.remote(best);
    if (Math.abs(remote) > VARIED_REMOTE_TOLERANCE) return remote < 0;
    const unlikely = this.deaths(soFar, true) - this.deaths(best, true);
    if (unlikely !== 0) return unlikely < 0;
    return (order || changeCount(soFar.one.change) - changeCount(best.one.change)) < 0;
  }

  /** Negative where `a` is the better advice. */
  compare(a: Finalist, b: Finalist): number {
    const [left, right] = [a.one.candidate.outcome, b.one.candidate.outcome];
    const kills = scoreOf(left).kills - scoreOf(right).kills;
    if (kills !== 0) return kills;
    const likely = this.deaths(a, false) - this.deaths(b, false);
    if (likely !== 0) return likely;
    const { order, decisive } = this.asAsked(left, right);
    if (decisive) return order;
    const remote = this.remote(a) - this.remote(b);
    if (Math.abs(remote) > VARIED_REMOTE_TOLERANCE) return remote;
    const unlikely = this.deaths(a, true) - this.deaths(b, true);
    return unlikely || order || changeCount(a.one.change) - changeCount(b.one.change);
  }

  /** Order of two outcomes of the demand as asked, and whether variations can change nothing about it. */
  private asAsked(left: Outcome, right: Outcome): { order: number; decisive: boolean } {
    const difference = firstDifference(left, right, this.judge);
    if (difference === undefined) return { order: 0, decisive: false };
    const decisive =
      this.judge.weights !== undefined || BEFORE_VARIATIONS.includes(difference.objective);
    return { order: difference.better === 'a' ? -1 : 1, decisive };
  }

  /**
   * The best advice among configurations in order of preference, and today's setting.
   * @returns finalists, the best first; today's setting is one of them where the budget allows any
   */
  ranked(ordered: Evaluated[]): Finalist[] {
    const today = this.enter(this.baseline);
    // Nothing can be better than what has every figure at its best and survives the likely variations.
    if (today && isPerfect(this.baseline, this.judge) && !this.dies(today)) return [today];
    const chosen = this.screened(this.diverse(ordered));
    const entered: Finalist[] = [];
    // Differences within tolerances are not transitive: everybody is held against today's setting first.
    const order = (): Finalist[] => {
      const gains = entered.filter((one) => !today || this.compare(one, today) < 0);
      return [...gains.sort((a, b) => this.compare(a, b)), ...(today ? [today] : [])];
    };
    const challenge = (one: Evaluated): void => {
      const [best] = order();
      const next = this.enter(one, (soFar) => {
        const lost = best !== undefined && !this.mayBeat(soFar, best);
        if (lost && !this.finalists.has(one)) this.beaten.set(one, soFar);
        return lost;
      });
      if (next) entered.push(next);
    };
    chosen.forEach(challenge);
    const rest = ordered.filter((one) => !chosen.includes(one) && one !== this.baseline);
    this.relieve(placementsFirst(rest), () => order()[0], challenge);
    return order();
  }

  /**
   * Challenges the best with who loses fewer guests under the variations that cost finalists guests, or as few and is better
   * as asked. Configurations that are alike as asked mostly die alike, so many are looked at, under one variation each.
   */
  private relieve(
    rest: Evaluated[],
    best: () => Finalist | undefined,
    challenge: (one: Evaluated) => void,
  ): void {
    let left = SCREENED_MAX;
    for (const { variation, at } of this.deadly()) {
      for (const one of rest) {
        const first = best();
        if (first === undefined) return;
        const asAsked = first.one.candidate.outcome;
        const lost = kills(first.varied[at]);
        const { order, decisive } = this.asAsked(one.candidate.outcome, asAsked);
        const better = decisive && order < 0;
        if (!better && lost <= kills(asAsked)) continue;
        if (this.evaluator.knownVaried(one.change, variation) === undefined) {
          // Who is found has to be replayed under the others as well.
          if (left === 0 || !this.evaluator.canReplay(this.variations.length)) continue;
          left -= 1;
        }
        const less = lost - kills(this.evaluator.evaluateVaried(one.change, variation));
        if (less > 0 || (less === 0 && better)) challenge(one);
      }
    }
  }

  /** The likely variations that take more guests off finalists than the demand as asked does, the worst first. */
  private deadly(): { variation: Variation; at: number }[] {
    const all = [...this.entered, ...this.leftOut];
    return this.variations
      .map((variation, at) => {
        const more = all.map(({ one, varied }) => kills(varied[at]) - kills(one.candidate.outcome));
        return { variation, at, more: more.reduce((sum, each) => sum + Math.max(0, each), 0) };
      })
      .filter(({ variation, more }) => more > 0 && variation.name !== UNLIKELY)
      .sort((a, b) => b.more - a.more);
  }

  /**
   * The configuration without whatever can be left out with no figure worse, today's demand and under variations; groups
   * of settings first.
   */
  minimised(best: Finalist): Finalist {
    let kept = best;
    let tries = 0;
    const gains = isBetter(best.one, this.baseline, this.judge);
    const attempt = (change: Change): boolean => {
      if (tries >= REDUCTIONS_MAX || changeCount(change) >= changeCount(kept.one.change))
        return false;
      // A pin less may bring vCPUs back to where others have been pinned.
      const { request } = this.evaluator;
      if (violation(request, normalise(request, change)) !== undefined) return false;
      tries += 1;
      const one = this.evaluator.tryEvaluate(change);
      if (!one || !this.isAsGood(one, best)) return false;
      const today = this.baseline.candidate.outcome;
      if (one !== this.baseline && ineligible(one.candidate.outcome, today)) return false;
      const finalist = this.enter(one, (soFar) => this.isFrailer(soFar, best));
      if (!finalist) return false;
      // "Equal with fewer changes" is not transitive: every step is held against today's setting as well.
      if (gains && !isBetter(one, this.baseline, this.judge)) return false;
      const asItIs = this.finalists.get(this.baseline);
      if (asItIs && finalist !== asItIs && this.compare(finalist, asItIs) >= 0) return false;
      kept = finalist;
      return true;
    };
    const names = (): string[] => Object.keys(kept.one.change.numatune);
    const drop = (group: string[]): void => {
      if (group.length === 0 || attempt(withoutGuests(kept.one.change, group))) return;
      if (group.length === 1) return;
      const half = Math.ceil(group.length / 2);
      drop(group.slice(0, half));
      drop(group.slice(half));
    };
    if (names().length > 2) drop(names());
    for (let shrunk = true; shrunk;) {
      shrunk = reductions(kept.one.change).some(({ change }) => attempt(change));
    }
    return kept;
  }

  robustness(ids: (one: Evaluated) => string): Robustness {
    return {
      variations: this.variations,
      finalists: [...this.finalists.values()].map(({ one, varied }) => ({
        id: ids(one),
        outcomes: varied.map((outcome, i) => ({
          variation: this.variations[i]?.name ?? '',
          kills: scoreOf(outcome).kills,
          swappedOutPages: outcome.swappedOutPages,
          stallNs: outcome.stallNs,
          remoteShare: outcome.remoteShare,
          remoteCost: outcome.remoteCost,
        })),
      })),
    };
  }

  /** Those that lost before all variations were replayed. */
  get leftOut(): Finalist[] {
    return [...this.beaten.values()];
  }

  /** Everybody replayed under all variations, today's setting first. */
  get entered(): Finalist[] {
    return [...this.finalists.values()];
  }

  /** Whether likely variations kill somebody. */
  dies(finalist: Finalist): boolean {
    return this.deaths(finalist, false) > 0;
  }

  /**
   * Why a configuration loses to the winner by what variations do to it, as far as it was replayed under them; undefined
   * where its own figures decide, or too few variations are known.
   * @returns the sentence, and whether likely variations lose more guests with it
   */
  whyFrail(one: Evaluated, winner: Finalist): { why: string; loses: boolean } | undefined {
    const [left, right] = [one.candidate.outcome, winner.one.candidate.outcome];
    if (scoreOf(left).kills !== scoreOf(right).kills) return undefined;
    const known = this.variations.map((each) => this.evaluator.knownVaried(one.change, each));
    const loser = { varied: known };
    const [likely, unlikely] = [false, true].map(
      (rare) => this.deaths(loser, rare) - this.deaths(winner, rare),
    ) as [number, number];
    if (likely > 0) return { why: this.lossText(known, winner, false), loses: true };
    if (likely < 0 || this.asAsked(left, right).decisive) return undefined;
    const remote = this.remote(loser) - this.remote(winner);
    if (remote > VARIED_REMOTE_TOLERANCE) {
      return { why: this.remoteText(known, winner), loses: false };
    }
    if (remote < -VARIED_REMOTE_TOLERANCE || unlikely <= 0) return undefined;
    return { why: this.lossText(known, winner, true), loses: false };
  }

  /** Whom the first variation that loses more guests than with the winner loses. */
  private lossText(known: Varied, winner: Finalist, rare: boolean): string {
    const at = known.findIndex(
      (outcome, i) =>
        (this.variations[i]?.name === UNLIKELY) === rare &&
        kills(outcome) > kills(winner.varied[i]),
    );
    const outcome = known[at];
    return `${this.conditionText(at)} ${outcome ? wouldLose(outcome) : ''}.`;
  }

  /** The likely variation under which most memory is remote that is not with the winner. */
  private remoteText(known: Varied, winner: Finalist): string {
    const further = known.map((outcome, i) => {
      const other = winner.varied[i];
      const likely = this.variations[i]?.name !== UNLIKELY;
      return likely && outcome && other ? outcome.remoteCost - other.remoteCost : 0;
    });
    const at = further.indexOf(Math.max(...further));
    const [then, now] = [known[at], winner.varied[at]];
    if (then === undefined || now === undefined) return '';
    return `${this.conditionText(at)} ${FIGURES.remote(then)} of guest memory is remote against ${FIGURES.remote(now)}.`;
  }

  private conditionText(at: number): string {
    const { name, growthPercent } = this.variations[at] ?? { name: '' };
    return growthPercent === undefined
      ? `Under the variation ${name}`
      : `With ${growthPercent} % more guest memory`;
  }

  private isAsGood(one: Evaluated, best: Finalist): boolean {
    return compareOutcomes(one.candidate.outcome, best.one.candidate.outcome, this.judge) <= 0;
  }

  private isFrailer(finalist: Finalist, than: Finalist): boolean {
    const deaths = this.deaths(finalist, false) > this.deaths(than, false);
    return deaths || this.remote(finalist) > this.remote(than) + VARIED_REMOTE_TOLERANCE;
  }

  /** The first ones, the first that binds no guest among them: it survives where others die. */
  private diverse(ordered: Evaluated[]): Evaluated[] {
    const others = ordered.filter((one) => one !== this.baseline);
    const first = others.slice(0, FINALISTS_MAX - 1);
    const unbound = others.find(
      ({ change }) =>
        !Object.values(change.numatune).some(
          ({ mode }) => mode === 'strict' || mode === 'restrictive',
        ),
    );
    const [best, ...rest] = first;
    // In front, for a budget that ends early.
    return best && unbound && unbound !== best
      ? [best, unbound, ...rest.filter((one) => one !== unbound)]
      : first;
  }

  /**
   * Those that the first variation hurts least in front, of them that the demand as asked does not tell apart: who is
   * held against the best early needs few variations.
   */
  private screened(chosen: Evaluated[]): Evaluated[] {
    const [first] = chosen;
    const [variation] = this.variations;
    if (!first || !variation) return chosen;
    const isBehind = (one: Evaluated): boolean => {
      const { order, decisive } = this.asAsked(one.candidate.outcome, first.candidate.outcome);
      return decisive && order > 0;
    };
    const level = chosen.filter((one) => !isBehind(one));
    if (level.length < 2 || !this.evaluator.canReplay(level.length)) return chosen;
    const hurt = new Map(
      level.map((one) => {
        const outcome = this.evaluator.evaluateVaried(one.change, variation);
        const remotePercent = Math.round(outcome.remoteCost * 100);
        return [one, { kills: scoreOf(outcome).kills, remotePercent }];
      }),
    );
    const kills = (one: Evaluated): number => hurt.get(one)?.kills ?? 0;
    const remote = (one: Evaluated): number => hurt.get(one)?.remotePercent ?? 0;
    const sorted = [...level].sort((a, b) => kills(a) - kills(b) || remote(a) - remote(b));
    return [...sorted, ...chosen.filter(isBehind)];
  }

  private deaths({ varied }: { varied: Varied }, unlikely: boolean): number {
    return varied.reduce<number>((sum, outcome, i) => {
      const counts = unlikely === (this.variations[i]?.name === UNLIKELY);
      return counts ? sum + kills(outcome) : sum;
    }, 0);
  }

  /** Mean remote cost under the likely variations; those that were not replayed add nothing. */
  private remote({ varied }: { varied: Varied }): number {
    const likely = varied.filter((_, i) => this.variations[i]?.name !== UNLIKELY);
    const count = this.variations.filter(({ name }) => name !== UNLIKELY).length;
    const sum = likely.reduce<number>((so, outcome) => so + (outcome?.remoteCost ?? 0), 0);
    return sum / Math.max(1, count);
  }
}

function kills(outcome: Outcome | undefined): number {
  return outcome === undefined ? 0 : scoreOf(outcome).kills;
}

/** Those that differ from all before them by more than kernel settings in front: these seldom decide who dies. */
function placementsFirst(ordered: Evaluated[]): Evaluated[] {
  const seen = new Set<string>();
  const isNew = ({ change }: Evaluated): boolean => {
    const key = JSON.stringify({ ...change, sysctl: {} });
    return !seen.has(key) && seen.add(key) !== undefined;
  };
  const first = ordered.filter(isNew);
  return [...first, ...ordered.filter((one) => !first.includes(one))];
}

function withoutGuests(change: Change, names: string[]): Change {
  const rest = { ...change };
  for (const name of names) {
    rest.numatune = without(rest.numatune, name);
    if (rest.pinning) rest.pinning = without(rest.pinning, name);
  }
  return rest;
}
