import { withChange } from '../src/change';
import { grown } from '../src/growth';
import { RESERVE_PERCENT } from '../src/search';
import type { Change, Outcome, SimulationRequest } from '../src/types';

/** Guests that are killed or do not start. */
function lost({ guests, failedStarts }: Outcome): Set<string> {
  const dead = guests.filter(({ oomKilled }) => oomKilled).map(({ name }) => name);
  return new Set([...dead, ...failedStarts]);
}

/**
 * What every recommendation promises of itself: it kills no running guest that lives today, not as many guests as today's
 * setting where that kills any, and with guests grown by 10 % no more of them than today's setting does.
 */
export function advisable(
  request: SimulationRequest,
  change: Change,
  outcomeOf: (request: SimulationRequest) => Outcome,
): boolean {
  const now = outcomeOf(request);
  const changed = withChange(request, change);
  const then = lost(outcomeOf(changed));
  const victims = now.guests.filter(
    ({ name, state, oomKilled }) => state === 'running' && !oomKilled && then.has(name),
  );
  if (victims.length > 0) return false;
  if (then.size > 0 && then.size >= lost(now).size) return false;
  const grownNow = lost(outcomeOf(grown(request, RESERVE_PERCENT)));
  return lost(outcomeOf(grown(changed, RESERVE_PERCENT))).size <= grownNow.size;
}
