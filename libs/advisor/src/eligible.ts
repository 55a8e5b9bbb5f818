import type { Evaluated } from './evaluator';
import { formatCount, formatList } from './format';
import { nodesText } from './host-nodes';
import { losesText, lostNames } from './losses';
import type { AdviceRequest, Outcome } from './types';

/**
 * Why a configuration is no advice although its figures may be better: it kills a running guest that lives today, or more
 * guests than today's setting, or puts more of the planned guests' memory on nodes that the constraints forbid. Which of the
 * planned guests stay away where not all can start is not decided here: it may be others than today. Undefined where it may be
 * advised.
 */
export function ineligible(
  { options }: AdviceRequest,
  candidate: Outcome,
  today: Outcome,
): string | undefined {
  const dead = lostNames(candidate);
  const alive = today.guests.filter((guest) => guest.state === 'running' && !guest.oomKilled);
  const victims = alive.map(({ name }) => name).filter((name) => dead.includes(name));
  if (victims.length > 0) return `Kills ${formatList(victims)}, which runs now and would survive.`;
  const deadNow = lostNames(today);
  if (dead.length > deadNow.length) {
    const instead = deadNow.length === 0 ? 'nobody' : formatList(deadNow);
    return `${losesText(candidate)}: more than as it is, where ${instead} ${deadNow.length > 1 ? 'are' : 'is'} lost.`;
  }
  const forbidden = options?.constraints?.forbiddenNodes ?? [];
  const there = plannedPagesOn(forbidden, candidate);
  const thereNow = plannedPagesOn(forbidden, today);
  if (there > thereNow) {
    return (
      `Leaves ${formatCount(there)} pages of planned guests on ${nodesText(forbidden)}, ` +
      `which the constraints forbid, and today's setting ${formatCount(thereNow)}.`
    );
  }
  return undefined;
}

function plannedPagesOn(nodes: readonly number[], { guests }: Outcome): number {
  return guests
    .filter(({ state }) => state === 'planned')
    .flatMap(({ pagesByNode }) => pagesByNode)
    .reduce((sum, { nodeId, pages }) => (nodes.includes(nodeId) ? sum + pages : sum), 0);
}

export function mayBeAdvised(
  request: AdviceRequest,
  { candidate }: Evaluated,
  baseline: Evaluated,
): boolean {
  return ineligible(request, candidate.outcome, baseline.candidate.outcome) === undefined;
}
