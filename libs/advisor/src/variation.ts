import { createHash } from 'node:crypto';
import type { Variation } from './advice-types';
import { startOrder } from './change';
import { grown } from './growth';
import { managedPages, memoryNodes } from './host-nodes';
import { guestMemoryPages } from './placement';
import { pagesToMib } from '@zonewise/simulator';
import type { SimulationRequest } from './types';

/** One puts a given guest of three between the other two in a third of all cases, three of them in seven of ten. */
const SHUFFLES = 3;

/** Slower than any start, so that kswapd and the flusher keep up. */
const SLOW_MIB_PER_SECOND = 256;

/** The planned guests' memory grown. */
export function growthBy(percent: number): Variation {
  return { name: `growth-${percent}`, growthPercent: percent };
}

/**
 * Start orders by size, and shuffled ones: who is killed depends on who comes last and on who came before. None of them is
 * the order asked for or its reverse, and no two are the same.
 */
export function otherStarts(request: SimulationRequest): Variation[] {
  const asAsked = startOrder(request);
  const known = new Set([asAsked, [...asAsked].reverse()].map((order) => order.join()));
  const shuffles = Array.from({ length: SHUFFLES }, (_, i) => i + 1);
  const starts: Variation[] = [
    ...(['largest-first', 'smallest-first'] as const).map((first) => ({
      ...{ name: first, startBySize: first },
    })),
    ...shuffles.map((number) => ({ name: `shuffled-start-${number}`, startShuffle: number })),
  ];
  return starts.filter((start) => {
    const order = varied(request, start).demand.startOrder?.join() ?? '';
    return !known.has(order) && known.add(order) !== undefined;
  });
}

/** The same for the same names and number, on every machine. */
function shuffledOrder(request: SimulationRequest, number: number): string[] {
  const key = (name: string): string =>
    createHash('sha256').update(`${number} ${name}`).digest('hex');
  const keys = new Map(startOrder(request).map((name) => [name, key(name)] as const));
  const of = (name: string): string => keys.get(name) ?? '';
  return startOrder(request).sort((a, b) => (of(a) < of(b) ? -1 : 1));
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
  const { growthPercent, rateMibPerSecond, cachePercent } = variation;
  const { reversedStart, startBySize, startShuffle } = variation;
  const demand = { ...request.demand };
  if (reversedStart) demand.startOrder = startOrder(request).reverse();
  if (startBySize) demand.startOrder = orderBySize(request, startBySize);
  if (startShuffle !== undefined) demand.startOrder = shuffledOrder(request, startShuffle);
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
