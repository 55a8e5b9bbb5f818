/** Demands that configurations are compared under: as asked, variations that the search sees, and others. */
import { grown } from '../src/growth';
import { resolveDemand } from '../src/demand';
import type { SimulationRequest } from '../src/types';
import { managedPages } from '../src/host-nodes';
import { isLikely } from '../src/varied-judge';
import { varied, variationsOf } from '../src/variation';
import { PAGES_PER_MIB } from '@zonewise/simulator';

export interface Situation {
  name: string;
  /** Among the variations of the search. */
  seen?: true;
  apply(request: SimulationRequest): SimulationRequest;
}

const GROWTH_PERCENT = 15;
const SLOW_MIB_PER_SECOND = 1000;
const MORE_CACHE_PERCENT = 7;

export const AS_ASKED: Situation = { name: 'as-asked', apply: (request) => request };

/** What guests want most often turns out to be more. */
export const GROWN: Situation = {
  name: `growth-${GROWTH_PERCENT}`,
  apply: (request) => grown(request, GROWTH_PERCENT),
};

/** None of them, nor `GROWN`, is among the variations of the search. */
export const UNSEEN: readonly Situation[] = [
  { name: 'second-half-first', apply: secondHalfFirst },
  {
    name: `rate-${SLOW_MIB_PER_SECOND}`,
    apply: (request) => ({
      ...request,
      demand: { ...request.demand, rateMibPerSecond: SLOW_MIB_PER_SECOND },
    }),
  },
  { name: `cache-${MORE_CACHE_PERCENT}`, apply: moreCache },
];

/** The guests of the second half of the start order start before those of the first. */
function secondHalfFirst(request: SimulationRequest): SimulationRequest {
  const order = resolveDemand(request).planned.map(({ spec }) => spec.guest.name);
  const half = Math.ceil(order.length / 2);
  const startOrder = [...order.slice(half), ...order.slice(0, half)];
  return { ...request, demand: { ...request.demand, startOrder } };
}

/** More page cache is read in on every node before the guests start. */
function moreCache(request: SimulationRequest): SimulationRequest {
  const more = request.host.nodes
    .filter((node) => managedPages(node) > 0)
    .map((node) => ({
      node: node.nodeId,
      mib: Math.floor((managedPages(node) / PAGES_PER_MIB) * (MORE_CACHE_PERCENT / 100)),
    }));
  const backgroundCache = [...(request.demand.backgroundCache ?? []), ...more];
  return { ...request, demand: { ...request.demand, backgroundCache } };
}

/**
 * As asked, with growth, in one more unseen situation, taken in turn, and under the variations that the search replays for
 * its finalists and holds to be likely.
 */
export function situationsOf(request: SimulationRequest, number: number): Situation[] {
  const unseen = UNSEEN[number % UNSEEN.length];
  const seen = variationsOf(request)
    .filter(isLikely)
    .map((variation): Situation => ({
      name: variation.name,
      seen: true,
      apply: (each) => varied(each, variation),
    }));
  return [AS_ASKED, GROWN, ...(unseen === undefined ? [] : [unseen]), ...seen];
}
