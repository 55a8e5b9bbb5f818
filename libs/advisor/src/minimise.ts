/** What can be left out of a configuration with no figure worse. */
import { changeCount, normalise, reductions, without } from './change';
import { violation } from './constraints';
import { mayBeAdvised } from './eligible';
import type { Change } from './evaluator';
import type { Finalist, Finals } from './finalists';
import { compareOutcomes } from './objective';
import { isBetter, type RoundContext } from './rounds';

const REDUCTIONS_MAX = 24;

/**
 * The configuration without whatever can be left out with no figure worse, today's demand and under variations; groups
 * of settings first.
 */
export function minimised(
  { evaluator, baseline, judge }: Pick<RoundContext, 'evaluator' | 'baseline' | 'judge'>,
  finals: Finals,
  best: Finalist,
): Finalist {
  const { judges } = finals;
  let kept = best;
  let tries = 0;
  const gains = isBetter(best.one, baseline, judge);
  const isFrailer = (soFar: Finalist): boolean =>
    judges.deaths(soFar, false) > judges.deaths(best, false) ||
    judges.compareBeforeRemote(soFar, best).order > 0 ||
    judges.isFurther(soFar, best);
  const attempt = (change: Change): boolean => {
    if (tries >= REDUCTIONS_MAX || changeCount(change) >= changeCount(kept.one.change))
      return false;
    // A pin less may bring vCPUs back to where others have been pinned.
    const { request } = evaluator;
    if (violation(request, normalise(request, change)) !== undefined) return false;
    tries += 1;
    const one = evaluator.tryEvaluate(change);
    if (!one || compareOutcomes(one.candidate.outcome, best.asAsked, judge) > 0) return false;
    if (one !== baseline && !mayBeAdvised(request, one, baseline)) return false;
    const finalist = finals.enter(one, isFrailer);
    if (!finalist) return false;
    // "Equal with fewer changes" is not transitive: every step is held against today's setting as well.
    if (gains && !isBetter(one, baseline, judge)) return false;
    const { today } = finals;
    if (today && finalist !== today && judges.compare(finalist, today) >= 0) return false;
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

function withoutGuests(change: Change, names: string[]): Change {
  const rest = { ...change };
  for (const name of names) {
    rest.numatune = without(rest.numatune, name);
    if (rest.pinning) rest.pinning = without(rest.pinning, name);
  }
  return rest;
}
