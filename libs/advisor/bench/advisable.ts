import { withChange } from '../src/change';
import { ineligible } from '../src/eligible';
import { scoreOf } from '../src/objective';
import type { AdviceRequest, Change, Outcome, SimulationRequest } from '../src/types';
import { isLikely } from '../src/varied-judge';
import { varied, variationsOf } from '../src/variation';

/**
 * Guests that a configuration loses over the variations that the search replays for its finalists.
 * @param enough once it has lost more than these, the rest is not replayed
 */
export function lostUnderVariations(
  request: AdviceRequest,
  change: Change,
  outcomeOf: (request: SimulationRequest) => Outcome,
  enough = Infinity,
): number {
  let lost = 0;
  for (const variation of variationsOf(request)) {
    if (!isLikely(variation)) continue;
    if (lost > enough) break;
    lost += scoreOf(outcomeOf(varied(withChange(request, change), variation))).kills;
  }
  return lost;
}

/**
 * What every recommendation promises of itself: it kills no running guest that lives today, nor more guests than today's
 * setting. Where it is as good as another one as asked, it loses no more guests under variations.
 * @param allowed guests that may be lost under variations
 */
export function advisable(
  request: AdviceRequest,
  change: Change,
  allowed: number,
  outcomeOf: (request: SimulationRequest) => Outcome,
): boolean {
  const now = outcomeOf(request);
  if (ineligible(outcomeOf(withChange(request, change)), now) !== undefined) return false;
  if (allowed === Infinity) return true;
  return lostUnderVariations(request, change, outcomeOf, allowed) <= allowed;
}
