/** How long guests may wait before a replay is given up: what waits longer can win nothing any more. */
import type { ReplayInput, ReplayResult } from '@zonewise/simulator';
import { placedGuest } from './compile';
import type { Judge } from './objective';
import { scoreOf, stallBudgetNs, stallLimitNs } from './objective';
import { isStalled } from './outcome';
import { guestMemoryPages } from './placement';
import type { Outcome, SimulationRequest } from './types';

export interface StallBound {
  /** Waiting of all guests. */
  stallNs: number;
  /** Waiting of all guests beyond their budgets (`stall-excess`). */
  excessNs: number;
}

export const NO_BOUND: StallBound = { stallNs: Infinity, excessNs: Infinity };

/**
 * Waiting beyond which no outcome is better than this one, nor as good; Infinity where something that counts more than
 * waiting could still be better.
 */
export function stallToBeat(outcome: Outcome, { order, tolerance, weights }: Judge): StallBound {
  if (weights !== undefined) return NO_BOUND;
  const score = scoreOf(outcome);
  const at = order.findIndex((objective) => score[objective] > tolerance[objective]);
  const before = at < 0 ? order : order.slice(0, at + 1);
  const most = (objective: 'stall' | 'stall-excess'): number =>
    before.includes(objective) ? score[objective] + tolerance[objective] : Infinity;
  return { stallNs: most('stall'), excessNs: most('stall-excess') };
}

/**
 * The limits of a request's replay: as long as anybody would wait, or up to a bound.
 * @param scale sizes and times of the request are those of the whole divided by this
 */
export function replayLimits(
  request: SimulationRequest,
  bound: StallBound,
  scale = 1,
): Pick<ReplayInput, 'stallLimitNs' | 'stallExcess'> {
  const limits = { stallLimitNs: Math.min(longestStallNs(request), bound.stallNs / scale) };
  if (bound.excessNs === Infinity) return limits;
  const budgets = request.guests.map(({ guest: { name } }): [string, number] => [
    name,
    stallBudgetNs(guestMemoryPages(placedGuest(request, name))),
  ]);
  const budgetNs = Object.fromEntries(budgets);
  return { ...limits, stallExcess: { budgetNs, limitNs: bound.excessNs / scale } };
}

/** Whether a replay ended for a bound, and not because nobody would wait any longer. */
export function gaveUp(request: SimulationRequest, result: ReplayResult): boolean {
  const guests = result.steps.at(-1)?.snapshot.guests ?? [];
  const waitedNs = guests.reduce((sum, { stallNs }) => sum + stallNs, 0);
  return isStalled(result) && waitedNs <= longestStallNs(request);
}

function longestStallNs({ guests }: SimulationRequest): number {
  return stallLimitNs(guests.reduce((sum, { guest }) => sum + guestMemoryPages(guest), 0));
}
