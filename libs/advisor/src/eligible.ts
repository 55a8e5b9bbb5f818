import type { Evaluated } from './evaluator';
import { formatList } from './format';
import { losesText, lostNames } from './losses';
import type { Outcome } from './types';

/**
 * Why a configuration is no advice although its figures may be better: it kills a running guest that lives today, or more
 * guests than today's setting. Which of the planned guests stay away where not all can start is not decided here: it may
 * be others than today. Undefined where it may be advised.
 */
export function ineligible(candidate: Outcome, today: Outcome): string | undefined {
  const dead = lostNames(candidate);
  const alive = today.guests.filter((guest) => guest.state === 'running' && !guest.oomKilled);
  const victims = alive.map(({ name }) => name).filter((name) => dead.includes(name));
  if (victims.length > 0) return `Kills ${formatList(victims)}, which runs now and would survive.`;
  const deadNow = lostNames(today);
  if (dead.length > deadNow.length) {
    const instead = deadNow.length === 0 ? 'nobody' : formatList(deadNow);
    return `${losesText(candidate)}: more than as it is, where ${instead} ${deadNow.length > 1 ? 'are' : 'is'} lost.`;
  }
  return undefined;
}

export function mayBeAdvised(candidate: Evaluated, baseline: Evaluated): boolean {
  return ineligible(candidate.candidate.outcome, baseline.candidate.outcome) === undefined;
}
