import type { Evaluated } from './evaluator';
import { deadNames } from './explain';
import { formatList } from './format';
import type { Outcome } from './types';

/**
 * Why a configuration is no advice although its figures may be better: it kills a running guest that lives
 * today, or the same number of guests as today's setting, only others. Undefined where it may be advised.
 */
export function ineligible(candidate: Outcome, today: Outcome): string | undefined {
  const dead = deadNames(candidate);
  const alive = today.guests.filter((guest) => guest.state === 'running' && !guest.oomKilled);
  const victims = alive.map(({ name }) => name).filter((name) => dead.includes(name));
  if (victims.length > 0) return `Kills ${formatList(victims)}, which runs now and would survive.`;
  const deadNow = deadNames(today);
  if (dead.length > 0 && dead.length >= deadNow.length) {
    return `Kills ${formatList(dead)} instead of ${formatList(deadNow)}: no fewer than as it is.`;
  }
  return undefined;
}

/** The rule for a replayed candidate; today's setting itself may always be advised. */
export function ineligibleAs(candidate: Evaluated, baseline: Evaluated): string | undefined {
  const same = Object.keys(candidate.change.sysctl).length === 0 && candidate === baseline;
  return same ? undefined : ineligible(candidate.candidate.outcome, baseline.candidate.outcome);
}
