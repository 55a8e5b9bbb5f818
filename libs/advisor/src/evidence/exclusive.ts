import { deadNames } from '../explain';
import { formatList } from '../format';
import type { Change, Evaluated, Evaluator } from '../evaluator';
import type { Judge } from '../objective';
import { compareOutcomes } from '../objective';
import type { RecommendationContent } from '../types';

/** More than an operator compares. */
const EXCLUSIVE_MAX = 2;

/**
 * The best ways to better today's setting that decide otherwise than the advice and each other: by other numatune modes,
 * or by kernel settings instead. They set the same guests otherwise, so that at most one of them can be followed. Best first.
 *
 * Only what was replayed, kills no more than the advice and was not refused.
 */
export function exclusiveAlternatives(
  evaluator: Evaluator,
  judge: Judge,
  { baseline, advised }: { baseline: Evaluated; advised: Evaluated },
  refused: ReadonlySet<string>,
): Evaluated[] {
  if (advised === baseline || deadNames(advised.candidate.outcome).length > 0) return [];
  const seen = decisionsOf(advised.change);
  return evaluator.evaluated
    .filter(({ candidate }) => !refused.has(candidate.id))
    .filter((one) => isAlternative(one, baseline, judge))
    .sort((a, b) => compareOutcomes(a.candidate.outcome, b.candidate.outcome, judge))
    .filter(({ change }) => {
      const decisions = [...decisionsOf(change)];
      if (decisions.some((decision) => seen.has(decision))) return false;
      decisions.forEach((decision) => seen.add(decision));
      return true;
    })
    .slice(0, EXCLUSIVE_MAX);
}

/** Whether it betters today's setting and kills nobody. */
export function isAlternative(one: Evaluated, baseline: Evaluated, judge: Judge): boolean {
  const { outcome } = one.candidate;
  if (deadNames(outcome).length > 0) return false;
  return compareOutcomes(outcome, baseline.candidate.outcome, judge) < 0;
}

/**
 * What kinds of change it makes, whichever guests and nodes it is about. Pins and the like go along with a numatune
 * or a setting; they are a decision of their own only where there is neither.
 */
function decisionsOf(change: Change): Set<string> {
  const modes = Object.values(change.numatune).map(({ mode }) => `numatune ${mode}`);
  const main = [...modes, ...Object.keys(change.sysctl)];
  const parts = Object.keys(change).filter((part) => part !== 'numatune' && part !== 'sysctl');
  return new Set(main.length > 0 ? main : parts);
}

/** Growth that an alternative is replayed with, percent: the reserve first, then what tells most. */
const GROWTHS = { least: 5, more: 30, between: 20 };

/** What an alternative holds: the reserve that advice needs, and a few steps of growth instead of a bisection. */
export function reserveMargin(
  evaluator: Evaluator,
  change: Change,
  reservePercent: number,
): RecommendationContent['evidence']['margin'] {
  const tested = new Map<number, string[]>();
  const holds = (percent: number): boolean | undefined => {
    if (!evaluator.knowsGrown(change, percent) && !evaluator.canReplay()) return undefined;
    const dead = deadNames(evaluator.evaluateGrown(change, percent));
    tested.set(percent, dead);
    return dead.length === 0;
  };
  const reserve = holds(reservePercent);
  if (reserve === false) holds(GROWTHS.least);
  else if (reserve && holds(GROWTHS.more) === false) holds(GROWTHS.between);
  if (tested.size === 0) {
    const verdict = 'Growth was not tested: the search had no replay left.';
    return { flipsAtPercent: null, testedPercent: 0, verdict };
  }
  const steps = [...tested].sort(([a], [b]) => a - b);
  const flips = steps.find(([, dead]) => dead.length > 0);
  const held = Math.max(
    0,
    ...steps.filter(([at]) => at < (flips?.[0] ?? Infinity)).map(([at]) => at),
  );
  const least = held > 0 ? `Nobody is killed with ${held} % more guest memory; ` : '';
  if (flips === undefined) {
    return { flipsAtPercent: null, testedPercent: held, verdict: `${least}more was not tested.` };
  }
  const [percent, dead] = flips;
  const words = held > 0 ? `with ${percent} %` : `With ${percent} % more guest memory`;
  const rest = held > 0 ? 'between was not tested' : 'less was not tested';
  return {
    flipsAtPercent: percent,
    testedPercent: Math.max(...tested.keys()),
    verdict: `${least}${words} ${formatList(dead)} would be killed; ${rest}.`,
  };
}
