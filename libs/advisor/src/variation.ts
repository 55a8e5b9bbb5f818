import type { Variation } from './advice-types';
import { startOrder } from './change';
import { grown } from './growth';
import { managedPages, memoryNodes } from './host-nodes';
import { guestMemoryPages } from './placement';
import { pagesToMib } from '@zonewise/simulator';
import type { SimulationRequest } from './types';

/** Slower than any start, so that kswapd and the flusher keep up. */
const SLOW_MIB_PER_SECOND = 256;

/** The planned guests' memory grown. */
export function growthBy(percent: number): Variation {
  return { name: `growth-${percent}`, growthPercent: percent };
}

/** Start orders by size that are neither the one asked for nor its reverse. */
export function startsBySize(request: SimulationRequest): Variation[] {
  const asAsked = startOrder(request);
  const known = [asAsked, [...asAsked].reverse()].map((order) => order.join());
  return (['largest-first', 'smallest-first'] as const)
    .filter((first) => !known.includes(orderBySize(request, first).join()))
    .map((first) => ({ name: first, startBySize: first }));
}

function orderBySize(
  request: SimulationRequest,
  first: NonNullable<Variation['startBySize']>,
): string[] {
  const sign = first === 'largest-first' ? -1 : 1;
  const pages = new Map(
    request.guests.map(({ guest }) => [guest.name, guestMemoryPages(guest)] as const),
  );
  const size = (name: string): number => pages.get(name) ?? 0;
  return startOrder(request).sort((a, b) => sign * (size(a) - size(b)));
}

/** Growths at thirds between two others, in whole percents: one where they are 2 apart, none where they are neighbours. */
export function growthsBetween(lowerPercent: number, upperPercent: number): Variation[] {
  const third = (upperPercent - lowerPercent) / 3;
  const percents = [lowerPercent + third, upperPercent - third].map(Math.round);
  const between = percents.filter((each) => each > lowerPercent && each < upperPercent);
  return [...new Set(between)].map(growthBy);
}

/**
 * What finalists are replayed under: demand, pace and cache are never exactly as asked. Those that tell finalists apart most
 * often are in front, for a budget that does not allow all of them.
 */
export function variationsOf({ demand }: SimulationRequest): Variation[] {
  return [
    growthBy(20),
    { name: 'reversed-start', reversedStart: true },
    growthBy(10),
    demand.rateMibPerSecond === undefined
      ? { name: 'slow-touch', rateMibPerSecond: SLOW_MIB_PER_SECOND }
      : { name: 'full-speed', rateMibPerSecond: null },
    { name: 'cache-10', cachePercent: 10 },
    growthBy(30),
  ];
}

/** The request under a variation. */
export function varied<T extends SimulationRequest>(request: T, variation: Variation): T {
  const { growthPercent, reversedStart, startBySize, rateMibPerSecond, cachePercent } = variation;
  const demand = { ...request.demand };
  if (reversedStart) demand.startOrder = startOrder(request).reverse();
  if (startBySize) demand.startOrder = orderBySize(request, startBySize);
  if (rateMibPerSecond === null) delete demand.rateMibPerSecond;
  else if (rateMibPerSecond !== undefined) demand.rateMibPerSecond = rateMibPerSecond;
  if (cachePercent !== undefined) {
    const { host } = request;
    const more = memoryNodes(host).map((node) => {
      const pages = managedPages(host.nodes.find(({ nodeId }) => nodeId === node)!);
      return { node, mib: pagesToMib(Math.floor((pages * cachePercent) / 100)) };
    });
    demand.backgroundCache = [...(demand.backgroundCache ?? []), ...more];
  }
  const changed = { ...request, demand };
  return growthPercent === undefined ? changed : grown(changed, growthPercent);
}
