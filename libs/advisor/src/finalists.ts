/** From everything replayed to one advice: the same variations for all finalists, then the simplest that is as good. */
import type { Robustness, Variation } from './advice-types';
import { changeCount } from './change';
import type { Evaluated, Evaluator } from './evaluator';
import type { Frailty } from './frailty';
import { frailtyOf } from './frailty';
import { lostAtLeast } from './lost-at-least';
import type { Judge } from './objective';
import { compareOutcomes } from './objective';
import { isBound } from './placement';
import { isPerfect } from './rounds';
import { losesGuests, whatTells } from './telling';
import type { Outcome } from './types';
import { VariedJudge, isLikely, kills, type Tested } from './varied-judge';
import { varied, variationsOf } from './variation';

const FINALISTS_MAX = 6;
const FINALISTS_MIN = 3;
/** Replayed under a variation that costs the best finalist guests, to find who loses fewer. */
const SCREENED_MAX = 32;
/** Finalists that are asked for by name, whatever is better as asked. */
const NAMED_MAX = 4;
/** Finalists that are told apart. */
const TOLD_MAX = 8;

/** A finalist with its outcomes, one per variation. */
export interface Finalist extends Tested {
  one: Evaluated;
  varied: Outcome[];
}

function finalist(one: Evaluated): Finalist {
  return {
    ...{ one, varied: [] },
    asAsked: one.candidate.outcome,
    changes: changeCount(one.change),
  };
}

export class Finals {
  private tried: Variation[];
  private varied: VariedJudge;
  /** With the variations that were replayed before it was clear that they cannot win. */
  private readonly beaten = new Map<Evaluated, Finalist>();
  private readonly finalists = new Map<Evaluated, Finalist>();

  constructor(
    private readonly evaluator: Evaluator,
    private readonly judge: Judge,
    private readonly baseline: Evaluated,
  ) {
    const all = variationsOf(evaluator.request);
    // Where replays are too long for all of them, those that tell most.
    const affordable = all.filter((_, i) => evaluator.canReplay(FINALISTS_MIN * (i + 1)));
    this.tried = affordable.length > 0 ? affordable : all.slice(0, 1);
    this.varied = this.judgeUnder(this.tried);
  }

  private judgeUnder(variations: readonly Variation[]): VariedJudge {
    const { request } = this.evaluator;
    const least = variations.map((each) => lostAtLeast(varied(request, each)));
    return new VariedJudge(this.judge, variations, least);
  }

  /** What all finalists were replayed under. */
  get variations(): readonly Variation[] {
    return this.tried;
  }

  /** Compares them by these. */
  get judges(): VariedJudge {
    return this.varied;
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
    const tested = finalist(one);
    const isNew = (variation: Variation): boolean =>
      this.evaluator.knownVaried(one.change, variation) === undefined;
    const replays = this.tried.filter(isNew).length;
    const free = this.finalists.size < FINALISTS_MIN || replays === 0;
    if (!free && !this.evaluator.canReplay(replays - 1)) return undefined;
    for (const variation of this.tried) {
      if (isNew(variation) && hopeless(tested)) return undefined;
      tested.varied.push(this.evaluator.evaluateVaried(one.change, variation));
    }
    if (hopeless(tested)) return undefined;
    this.finalists.set(one, tested);
    return tested;
  }

  /**
   * The best advice among configurations in order of preference, and today's setting. What is worse than that as asked can
   * win where likely variations lose guests with it.
   * @param named those of them that nothing but remote memory tells from the best as asked enter the finals; they come first
   * where it is looked for who loses fewer guests
   * @returns finalists, the best first; today's setting is one of them where the budget allows any
   */
  ranked(allowed: Evaluated[], named: ReadonlySet<Evaluated>): Finalist[] {
    const today = this.enter(this.baseline);
    const ordered = today && this.dies(today) ? allowed : allowed.filter(this.isNoLoss);
    // Nothing can be better than what has every figure at its best and survives the likely variations.
    if (today && isPerfect(this.baseline, this.judge) && !this.dies(today)) return [today];
    const chosen = this.screened(this.diverse(ordered, named));
    const entered: Finalist[] = [];
    // Differences within tolerances are not transitive: everybody is held against today's setting first.
    const order = (): Finalist[] => [...this.gains(entered), ...(today ? [today] : [])];
    const challenge = (one: Evaluated): void => {
      const [best] = order();
      const next = this.enter(one, (soFar) => {
        const lost = best !== undefined && !this.varied.mayBeat(soFar, best);
        if (lost && !this.finalists.has(one)) this.beaten.set(one, soFar);
        return lost;
      });
      if (next) entered.push(next);
    };
    chosen.forEach(challenge);
    const rest = ordered.filter((one) => !chosen.includes(one) && one !== this.baseline);
    // Who is asked for decides otherwise than what is alike as asked, of which there may be more than are looked at.
    const asked = rest.filter((one) => named.has(one));
    const others = placementsFirst(rest.filter((one) => !named.has(one)));
    this.relieve([...asked, ...others], () => order()[0], challenge);
    return order();
  }

  /** Whether it is no worse than today's setting as asked. */
  private readonly isNoLoss = (one: Evaluated): boolean => this.isAsGood(one, this.baseline);

  /** The best of those that were replayed under all variations and are better than today's setting. */
  bestOf(isLeft: (one: Evaluated) => boolean): Finalist | undefined {
    return this.gains(this.entered.filter(({ one }) => isLeft(one)))[0];
  }

  /** Today's setting, where the budget allowed to replay it. */
  get today(): Finalist | undefined {
    return this.finalists.get(this.baseline);
  }

  /** Those that are better than today's setting, the best first. */
  private gains(among: Finalist[]): Finalist[] {
    const { today } = this;
    return among
      .filter((each) => !today || this.isGain(each, today))
      .sort((a, b) => this.varied.compare(a, b));
  }

  private isGain(finalist: Finalist, today: Finalist): boolean {
    if (this.varied.compare(finalist, today) >= 0) return false;
    return this.isNoLoss(finalist.one) || this.sparesGuests(finalist);
  }

  /** Whether likely variations lose fewer guests than with today's setting. */
  sparesGuests(finalist: Finalist): boolean {
    const { today } = this;
    return today !== undefined && this.deaths(finalist) < this.deaths(today);
  }

  /** Guests lost over the likely variations, weighted as `weightsOf` says. */
  private deaths(finalist: Finalist): number {
    return this.varied.deaths(finalist, false);
  }

  /**
   * Where the best loses guests, finalists are replayed under what tells them apart then, as far as the budget allows it: where
   * it loses more with one likely growth than with the one before, growths in between, which others may survive; and other
   * orders of starting, as who comes late finds no memory. As long as another one loses no more, growths between these.
   * @param start the best of what `ranked` returned
   * @returns the best then
   */
  toldApart(start: Finalist, ordered: Evaluated[], named: ReadonlySet<Evaluated>): Finalist {
    for (let best = start; ;) {
      const more = whatTells(best, this.tried, this.evaluator.request).filter((_, i) =>
        this.evaluator.canReplay((i + 1) * Math.min(this.finalists.size, TOLD_MAX)),
      );
      if (more.length === 0) return best;
      best = this.bestUnder(more, best, ordered, named);
      if (!this.isTied(best)) return best;
    }
  }

  private bestUnder(
    more: Variation[],
    best: Finalist,
    ordered: Evaluated[],
    named: ReadonlySet<Evaluated>,
  ): Finalist {
    // Who lost no more guests than the best, and only by something else, may do so by fewer guests now.
    const level = this.leftOut
      .filter((each) => named.has(each.one) && this.deaths(each) <= this.deaths(best))
      .sort((a, b) => this.varied.compare(a, b))
      .slice(0, NAMED_MAX);
    const gains = this.gains(this.entered).slice(0, TOLD_MAX);
    const entrants = [this.baseline, ...[...gains, ...level].map(({ one }) => one)];
    this.tried = [...this.tried, ...more];
    this.varied = this.judgeUnder(this.tried);
    this.finalists.clear();
    this.beaten.clear();
    entrants.forEach((one) => this.enter(one));
    return this.ranked(ordered, named)[0] ?? best;
  }

  /** Whether others lose no more guests than the best, as far as they were replayed: nothing but their memory decides. */
  private isTied(best: Finalist): boolean {
    return [...this.entered, ...this.leftOut].some(
      (each) =>
        each !== best &&
        kills(each.asAsked) <= kills(best.asAsked) &&
        this.deaths(each) <= this.deaths(best),
    );
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
        const better = this.varied.promisesMore(one.candidate.outcome, first);
        if (!better && lost <= Math.max(kills(asAsked), this.varied.leastLost(at))) continue;
        if (this.evaluator.knownVaried(one.change, variation) === undefined) {
          // Who is found has to be replayed under the others as well.
          if (left === 0 || !this.evaluator.canReplay(this.tried.length)) continue;
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
    return this.tried
      .map((variation, at) => {
        const more = all.map(({ one, varied }) => kills(varied[at]) - kills(one.candidate.outcome));
        return { variation, at, more: more.reduce((sum, each) => sum + Math.max(0, each), 0) };
      })
      .filter(({ variation, more }) => more > 0 && isLikely(variation))
      .sort((a, b) => b.more - a.more);
  }

  /** @param inFull has the outcomes of what was replayed in full as well */
  robustness(ids: (one: Evaluated) => string, inFull: Evaluator): Robustness {
    const { tried } = this;
    return {
      variations: tried,
      finalists: [...this.finalists.values()].map(({ one, varied }) => ({
        id: ids(one),
        outcomes: tried.flatMap((variation, i) => {
          const outcome = inFull.knownVaried(one.change, variation) ?? varied[i];
          return outcome === undefined ? [] : [outcomeUnder(variation, outcome)];
        }),
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

  /**
   * Those that likely variations hurt, as far as something may be done about it: all that are left where the best loses
   * guests, else the best where some of its memory is remote then; and the first that lost for nothing but its guests' deaths.
   */
  hurt(ranked: readonly Finalist[]): Finalist[] {
    const [best] = ranked;
    if (best === undefined) return [];
    const losing = this.dies(best) ? ranked : this.varied.isRemote(best) ? [best] : [];
    const frail = this.leftOut.find(
      (each) => this.dies(each) && !this.isBehind(each.one, best.one),
    );
    return [...losing, ...(frail ? [frail] : [])];
  }

  /** Whether anybody who was replayed under variations loses guests, then or as asked. */
  get anyLoses(): boolean {
    return [...this.entered, ...this.leftOut].some((each) => losesGuests(each, this.tried));
  }

  /** Whether likely variations kill somebody. */
  dies(finalist: Finalist): boolean {
    return this.deaths(finalist) > 0;
  }

  /** Why a configuration loses to the winner by what variations do to it, as far as it was replayed under them. */
  frailty(one: Evaluated, winner: Finalist): Frailty | undefined {
    const varied = this.tried.map((each) => this.evaluator.knownVaried(one.change, each));
    const loser = { asAsked: one.candidate.outcome, varied };
    return frailtyOf(loser, winner, this.tried, this.varied);
  }

  private isAsGood(one: Evaluated, than: Evaluated): boolean {
    return compareOutcomes(one.candidate.outcome, than.candidate.outcome, this.judge) <= 0;
  }

  /**
   * The first ones; among them the first that binds no guest, which survives where others die, those that are asked for,
   * which may be better than the best as soon as something comes another way than asked, and those that are known already.
   */
  private diverse(ordered: Evaluated[], named: ReadonlySet<Evaluated>): Evaluated[] {
    const others = ordered.filter((one) => one !== this.baseline);
    const [best, ...rest] = others.slice(0, FINALISTS_MAX - 1);
    if (best === undefined) return [];
    const unbound = others.find(
      ({ change }) => !Object.values(change.numatune).some(({ mode }) => isBound(mode)),
    );
    const level = others.filter((one) => !this.isBehind(one, best));
    const asked = level.filter((one) => named.has(one) && !this.finalists.has(one));
    const known = level.filter((one) => this.finalists.has(one));
    // In front, for a budget that ends early.
    return [
      ...new Set([
        best,
        ...(unbound ? [unbound] : []),
        ...known,
        ...asked.slice(0, NAMED_MAX),
        ...rest,
      ]),
    ];
  }

  /** Whether it loses to another one whatever variations do to its memory. */
  private isBehind(one: Evaluated, than: Evaluated): boolean {
    const { order, decisive } = this.varied.orderAsAsked(
      one.candidate.outcome,
      than.candidate.outcome,
    );
    return decisive && order > 0;
  }

  /**
   * Those that the first variation hurts least in front, of them that the demand as asked does not tell apart: who is
   * held against the best early needs few variations.
   */
  private screened(chosen: Evaluated[]): Evaluated[] {
    const [first] = chosen;
    const [variation] = this.tried;
    if (!first || !variation) return chosen;
    const behind = chosen.filter((one) => this.isBehind(one, first));
    const level = chosen.filter((one) => !behind.includes(one));
    if (level.length < 2 || !this.evaluator.canReplay(level.length)) return chosen;
    const hurt = new Map(
      level.map((one) => {
        const outcome = this.evaluator.evaluateVaried(one.change, variation);
        const remote = outcome.remoteCost + one.candidate.outcome.remoteCost;
        return [one, { lost: kills(outcome), remotePercent: Math.round(remote * 100) }];
      }),
    );
    const of = (one: Evaluated): { lost: number; remotePercent: number } =>
      hurt.get(one) ?? { lost: 0, remotePercent: 0 };
    const sorted = [...level].sort(
      (a, b) => of(a).lost - of(b).lost || of(a).remotePercent - of(b).remotePercent,
    );
    return [...sorted, ...behind];
  }
}

function outcomeUnder(variation: Variation, outcome: Outcome) {
  const { swappedOutPages, stallNs, remoteShare, remoteCost } = outcome;
  return {
    ...{ variation: variation.name, kills: kills(outcome) },
    ...{ swappedOutPages, stallNs, remoteShare, remoteCost },
  };
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
