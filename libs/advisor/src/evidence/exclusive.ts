import type { Change, Evaluated, Evaluator } from '../evaluator';
import { lostNames } from '../losses';
import type { Judge } from '../objective';
import { compareOutcomes } from '../objective';

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
  if (advised === baseline || lostNames(advised.candidate.outcome).length > 0) return [];
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
  if (lostNames(outcome).length > 0) return false;
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
