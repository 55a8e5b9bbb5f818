/** Moves of single guests from the best finalist, where guests are lost: what spares the others shows under variations. */
import { onSingleNodes } from './candidates';
import { normalise, without } from './change';
import { violation } from './constraints';
import { mayBeAdvised } from './eligible';
import type { Change, Evaluated } from './evaluator';
import type { Finalist, Finals } from './finalists';
import { memoryNodes, nearestFirst } from './host-nodes';
import { guestCpuNodes, homeNodes } from './placement';
import type { RoundContext } from './rounds';
import { stallToBeat, type StallBound } from './stall-bound';
import { losesGuests } from './telling';
import type { Outcome } from './types';

/** Variations under which, or as asked, a move has to be better in something. */
const VARIATIONS_TO_HELP = 2;
/** Guests whose moves are tried from one finalist. */
const MOVED_MAX = 8;

/**
 * The best finalist that single moves lead to, each better than the one before as asked and under the likely variations, as
 * far as a budget of its own allows. Where nobody is lost the rounds before have looked where memory is remote.
 * @param start the best finalist so far
 */
export function climbed(context: RoundContext, finals: Finals, start: Finalist): Finalist {
  if (!losesGuests(start, finals.variations)) return start;
  const { evaluator, baseline, request, judge } = context;
  const { excessNs } = stallToBeat(baseline.candidate.outcome, judge);
  const bound: StallBound = { stallNs: Infinity, excessNs };
  const isAllowed = (change: Change): boolean =>
    violation(request, normalise(request, change)) === undefined;
  let best = start;
  // A budget goes further where it is not spent on moves that help nobody.
  const isHopeless = (soFar: Finalist): boolean =>
    !finals.judges.mayBeat(soFar, best) ||
    (soFar.varied.length >= VARIATIONS_TO_HELP && finals.judges.isNowhereBetter(soFar, best));
  /** Whether it is better than the best, which it is from then on. */
  const isStep = (one: Evaluated): boolean => {
    if (one === baseline || !mayBeAdvised(request, one, baseline)) return false;
    if (finals.enter(one, isHopeless) === undefined) return false;
    const next = finals.bestOf(() => true);
    if (next === undefined || next === best) return false;
    best = next;
    return true;
  };
  const tried = new Set<Evaluated>();
  const step = (): boolean => {
    for (const change of moves(context, best)) {
      if (!isAllowed(change)) continue;
      const one = evaluator.tryEvaluate(change, bound);
      if (one === undefined || tried.has(one)) continue;
      tried.add(one);
      if (isStep(one)) return true;
    }
    return false;
  };
  evaluator.beside(() => {
    while (step());
  });
  return best;
}

/** Who is lost or remote is moved first, to each node, nearest first. */
function moves({ request, demand }: RoundContext, best: Finalist): Change[] {
  const { host } = request;
  const { change } = best.one;
  const outcomes = [best.asAsked, ...best.varied];
  const guests = demand.planned
    .map(({ spec }) => ({ spec, trouble: troubleOf(spec.guest.name, outcomes) }))
    .sort((a, b) => b.trouble - a.trouble)
    .slice(0, MOVED_MAX);
  return guests.flatMap(({ spec }) => {
    const { name } = spec.guest;
    const from = guestCpuNodes(spec.guest)[0] ?? homeNodes(spec, host)[0] ?? 0;
    const asIs: Change = { ...change, numatune: without(change.numatune, name) };
    const nodes = nearestFirst(host, from, memoryNodes(host));
    return [...onSingleNodes(asIs, name, nodes, ['preferred', 'strict']), asIs];
  });
}

/** Its remote memory over all outcomes, all of it in those in which it is killed. */
function troubleOf(name: string, outcomes: Outcome[]): number {
  return outcomes.reduce((sum, { guests }) => {
    const guest = guests.find((one) => one.name === name);
    if (guest === undefined) return sum;
    return sum + (guest.oomKilled ? 1 : guest.remoteCost) * guest.memoryPages;
  }, 0);
}
