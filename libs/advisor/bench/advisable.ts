import { withChange } from '../src/change';
import { ineligible } from '../src/eligible';
import { scoreOf } from '../src/objective';
import type { Variation } from '../src/advice-types';
import type { AdviceRequest, Change, Outcome, SimulationRequest } from '../src/types';
import { isLikely } from '../src/varied-judge';
import { varied } from '../src/variation';

/** What was asked about, and how it is answered. */
export interface Asked {
  request: AdviceRequest;
  variations: readonly Variation[];
  outcomeOf: (request: SimulationRequest) => Outcome;
}

/**
 * Guests that a configuration loses over the likely ones of the variations that the search replayed for its finalists.
 * @param enough once it has lost more than these, the rest is not replayed
 */
export function lostUnderVariations(
  { request, variations, outcomeOf }: Asked,
  change: Change,
  enough = Infinity,
): number {
  let lost = 0;
  for (const variation of variations.filter(isLikely)) {
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
export function advisable(asked: Asked, change: Change, allowed: number): boolean {
  const { request, outcomeOf } = asked;
  const now = outcomeOf(request);
  if (ineligible(request, outcomeOf(withChange(request, change)), now) !== undefined) return false;
  if (allowed === Infinity) return true;
  return lostUnderVariations(asked, change, allowed) <= allowed;
}
