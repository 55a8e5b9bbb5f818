/** What was found in miniature is replayed in full before it is advised. */
import { ineligible, mayBeAdvised } from './eligible';
import type { Evaluated, Evaluator } from './evaluator';
import { whyNot } from './explain';
import type { Finalist, Finals } from './finalists';
import { besideAsAsked, frailtyOf, type Frailty } from './frailty';
import { compareOutcomes } from './objective';
import { Refused } from './refused';
import type { RoundContext } from './rounds';
import { stallToBeat } from './stall-bound';
import { VariedInFull } from './varied-in-full';
import type { Tested } from './varied-judge';

/** Winners in miniature that are replayed in full until one holds. */
const CONFIRMED_MAX = 6;

interface Finalists {
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
  context: RoundContext,
  evaluator: Evaluator,
  finalists: Finalists,
  winnerOf: (refused: Refused) => Finalist | undefined,
): Confirmed {
  const confirming = new Confirming(context, evaluator, finalists);
  const advised = confirming.first(winnerOf);
  return { advised, whyRefused: (one) => confirming.whyRefused(one, advised) };
}

class Confirming {
  private readonly refused: Refused;
  private readonly inFull: VariedInFull;
  /** Replayed in full under variations. */
  private readonly tests = new Map<Evaluated, InFull>();
  /** Refused for what they are as asked, in full; undefined where the replay was given up. */
  private readonly seen = new Map<Evaluated, Evaluated | undefined>();
  private best: InFull | undefined;

  constructor(
    private readonly context: RoundContext,
    private readonly evaluator: Evaluator,
    private readonly finalists: Finalists,
  ) {
    this.refused = new Refused(context.judge.tolerance.stall);
    this.inFull = new VariedInFull(evaluator, finalists.finals);
  }

  first(winnerOf: (refused: Refused) => Finalist | undefined): Evaluated {
    const { finals, baseline } = this.finalists;
    const today = this.context.baseline;
    for (let tries = 0; tries < CONFIRMED_MAX; tries += 1) {
      const winner = winnerOf(this.refused);
      if (winner === undefined || (winner.one === today && this.best === undefined)) break;
      if (this.isBeaten(winner)) break;
      const full = winner.one === today ? baseline : this.replayed(winner);
      if (full === undefined) continue;
      if (!finals.anyLoses) return full;
      const tested = this.inFull.tested(full, winner, (soFar) => this.isBeaten(soFar));
      // Nothing tells that this one is not hurt by what another of them was hurt by.
      if (tested === undefined) break;
      this.tests.set(winner.one, { full, tested });
      if (!this.isBeaten(tested)) {
        if (this.keepsPromise(tested, winner)) return full;
        this.best = { full, tested };
      }
      if (full === baseline) break;
      this.refused.add(winner.one, false);
    }
    return this.best?.full ?? baseline;
  }

  private isBeaten(by: Tested): boolean {
    const { best } = this;
    return best !== undefined && this.finalists.finals.judges.compare(by, best.tested) >= 0;
  }

  private keepsPromise(tested: Tested, winner: Finalist): boolean {
    const { judges } = this.finalists.finals;
    return judges.compareLost(tested, winner) <= 0 && judges.compareRemote(tested, winner) <= 0;
  }

  /** The winner in full; undefined where it is refused for what it is as asked. */
  private replayed(winner: Finalist): Evaluated | undefined {
    const { one } = winner;
    const { judge, request } = this.context;
    const { finals, baseline } = this.finalists;
    const today = baseline.candidate.outcome;
    const spares = finals.sparesGuests(winner);
    // What is scanned in vain grows with the square of the size: a miniature shows too little of it.
    const bound = { ...stallToBeat(today, judge), ...(spares && { stallNs: Infinity }) };
    const full = this.evaluator.evaluateWithin(one.change, bound);
    if (full && mayBeAdvised(request, full, baseline)) {
      if (spares || compareOutcomes(full.candidate.outcome, today, judge) <= 0) return full;
    }
    this.seen.set(one, full);
    this.refused.add(one, !full || full.candidate.outcome.stallNs > today.stallNs);
    return undefined;
  }

  /** @param advised what `first` returned */
  whyRefused(one: Evaluated, advised: Evaluated): Lost | undefined {
    const own = this.tests.get(one);
    const won = [...this.tests.values()].find(({ full }) => full === advised);
    if (own && won && own.full !== one) return this.whyBehind(own, won);
    if (own || one === this.context.baseline || !this.refused.has(one)) return undefined;
    const full = this.seen.get(one);
    if (this.seen.has(one) && !full) return { why: GIVEN_UP, loses: false };
    // Figures that are behind those of the advice tell by themselves.
    const { outcome } = (full ?? one).candidate;
    if (compareOutcomes(outcome, advised.candidate.outcome, this.context.judge) >= 0) {
      return undefined;
    }
    if (full) return { why: this.whyWorse(full), loses: false };
    return this.evaluator.known(one.change) ? undefined : { why: WAITS_ALIKE, loses: false };
  }

  /** Than today's setting, both in full. */
  private whyWorse(full: Evaluated): string {
    const { baseline } = this.finalists;
    const { request, judge } = this.context;
    return (
      ineligible(request, full.candidate.outcome, baseline.candidate.outcome) ??
      inFullText(whyNot(full, baseline, judge))
    );
  }

  private whyBehind(own: InFull, won: InFull): Lost | undefined {
    const { judges, variations } = this.finalists.finals;
    const frailty = frailtyOf(own.tested, won.tested, variations, judges);
    if (frailty === undefined) return undefined;
    const [lost, better] = [own.tested.asAsked, won.tested.asAsked];
    if (!frailty.loses && !besideAsAsked(frailty, lost, better, this.context.judge)) {
      return undefined;
    }
    const { why, loses, frail } = frailty;
    return { why: this.inFull.has(frail) ? inFullText(why) : why, loses };
  }
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
