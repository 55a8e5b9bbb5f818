/** Why a configuration loses to another one by what variations do to it, in a sentence and with the figures. */
import type { Variation } from './advice-types';
import { FIGURES, OBJECTIVE_LABELS, remoteAgainst } from './explain';
import { wouldLose } from './losses';
import type { Judge, Objective } from './objective';
import { firstDifference, scoreOf } from './objective';
import type { Outcome } from './types';
import { isLikely, kills, type Tested, type Varied, type VariedJudge } from './varied-judge';

/** What a variation does to one configuration and not, or less so, to a better one. */
export interface Frailty {
  /** `With 20 % more guest memory web-1 would be killed.` */
  why: string;
  /** Likely variations lose more guests with it. */
  loses: boolean;
  /** What it comes short in then. */
  objective: Objective;
  /** The variation that tells: `With 20 % more guest memory`. */
  condition: string;
  /** Under that variation. */
  frail: Outcome;
  better: Outcome;
}

/**
 * @param loser some of its variations may not be known
 * @param variations those that both were replayed under, in the order of the outcomes
 * @returns undefined where its own figures decide, or too few variations are known
 */
export function frailtyOf(
  loser: Pick<Tested, 'asAsked' | 'varied'>,
  winner: Tested,
  variations: readonly Variation[],
  judge: VariedJudge,
): Frailty | undefined {
  if (kills(loser.asAsked) !== kills(winner.asAsked)) return undefined;
  const [likely, unlikely] = [false, true].map(
    (rare) => judge.deaths(loser, rare) - judge.deaths(winner, rare),
  ) as [number, number];
  const pair = { frail: loser.varied, better: winner.varied, variations };
  if (likely > 0) return told(pair, costliest(pair, true), LOST);
  if (likely < 0 || judge.orderAsAsked(loser.asAsked, winner.asAsked).decisive) return undefined;
  const before = judge.compareBeforeRemote(loser, winner);
  if (before.order < 0) return undefined;
  if (before.objective !== undefined)
    return told(pair, worst(pair, before.objective), shortIn(before.objective));
  const remote = judge.isWeighed ? 0 : judge.compareRemote(loser, winner);
  if (remote > 0) return told(pair, worst(pair, 'remote'), shortIn('remote'));
  if (remote < 0 || unlikely <= 0) return undefined;
  return told(pair, costliest(pair, false), { ...LOST, loses: false });
}

/**
 * Leaves out what a variation says where figures as asked come first: guests lost as asked come before everything, guests lost
 * under likely variations before all else; what decides as asked up to remote memory comes before the rest.
 * @param loser as asked, in the same size as `winner`
 */
export function besideAsAsked(
  frailty: Frailty | undefined,
  loser: Outcome,
  winner: Outcome,
  judge: Judge,
): Frailty | undefined {
  if (frailty === undefined || kills(loser) > kills(winner)) return undefined;
  const difference = firstDifference(loser, winner, judge);
  if (frailty.loses || difference?.better !== 'b') return frailty;
  const { order, weights } = judge;
  const isBehind = order.indexOf(difference.objective) > order.indexOf('remote');
  return weights === undefined && isBehind ? frailty : undefined;
}

interface Pair {
  frail: Varied;
  better: Varied;
  variations: readonly Variation[];
}

interface Told extends Pick<Frailty, 'loses' | 'objective'> {
  text: (frail: Outcome, better: Outcome) => string;
}

const LOST: Told = { loses: true, objective: 'kills', text: (frail) => wouldLose(frail) };

/** What a figure says behind its condition, before the better one; others by their labels. */
const SAYS: Partial<Record<Objective, (figure: string) => string>> = {
  swap: (figure) => `${figure} would be swapped out`,
  'stall-excess': (figure) => `guests would wait ${figure} beyond their budgets`,
  stall: (figure) => `guests would wait ${figure}`,
};

function shortIn(objective: Objective): Told {
  const figure = FIGURES[objective];
  const says = SAYS[objective] ?? ((of: string) => `${OBJECTIVE_LABELS[objective]} would be ${of}`);
  const text = (frail: Outcome, better: Outcome): string =>
    objective === 'remote'
      ? remoteAgainst(frail, better)
      : `${says(figure(frail))} against ${figure(better)}`;
  return { loses: false, objective, text };
}

/** @param at index of the variation; -1 where none tells */
function told(
  { frail, better, variations }: Pair,
  at: number,
  { text, ...kind }: Told,
): Frailty | undefined {
  const [variation, then, now] = [variations[at], frail[at], better[at]];
  if (variation === undefined || then === undefined || now === undefined) return undefined;
  const condition = conditionText(variation);
  return { why: `${condition} ${text(then, now)}.`, ...kind, condition, frail: then, better: now };
}

function conditionText({ name, growthPercent }: Variation): string {
  return growthPercent === undefined
    ? `Under the variation ${name}`
    : `With ${growthPercent} % more guest memory`;
}

/** The variation that loses more guests: the least growth that does, else the first one; -1 where none does. */
function costliest({ frail, better, variations }: Pair, likely: boolean): number {
  const growth = (at: number): number => variations[at]?.growthPercent ?? Infinity;
  const [at = -1] = variations
    .flatMap((variation, i) => (isLikely(variation) === likely ? [i] : []))
    .filter((i) => kills(frail[i]) > kills(better[i]))
    .sort((a, b) => (growth(a) === growth(b) ? a - b : growth(a) - growth(b)));
  return at;
}

/** The likely variation under which a figure is worse by most; -1 where there is none. */
function worst({ frail, better, variations }: Pair, objective: Objective): number {
  const worse = variations.map((variation, i) => {
    const [then, now] = [frail[i], better[i]];
    return isLikely(variation) && then && now
      ? scoreOf(then)[objective] - scoreOf(now)[objective]
      : 0;
  });
  const most = Math.max(...worse);
  return most > 0 ? worse.indexOf(most) : -1;
}
