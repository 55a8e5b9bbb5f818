import type { ReplayEvent } from '@zonewise/simulator';

/** Where a configuration that lost came short: the first zone that refused a request. */
export interface Shortfall {
  guest: string;
  nodeId: number;
  zone: string;
  /** Of the request: its 2^order pages come on top of the mark. */
  order: number;
  /** `low`: a request went to another node; `min`: nobody was left to serve it; `high`: nor at the last look before a kill. */
  mark: 'low' | 'min' | 'high';
  /** Mark with boost and the reserve for the request's class. */
  markPages: number;
  freePages: number;
  /** `larger-blocks`: enough free pages, but none of them in a block of the order or above. */
  refusedBy: 'free-pages' | 'larger-blocks';
  /** Free pages that were missing for the request to be served there; 0 where only a block was. */
  shortPages: number;
}

type Spill = Extract<ReplayEvent, { type: 'spill' }>;

/**
 * Free pages that a request needs more than.
 * @kernel mm/page_alloc.c __zone_watermark_ok(): refused while free - (2^order - 1) <= mark + reserve
 */
export function neededFor(order: number, markPages: number): number {
  return markPages + 2 ** order - 1;
}

export function shortfallOf(spill: Spill): Shortfall {
  const { guest, fromNode, zone, order, mark, refusedBy, freePages, neededPages } = spill;
  return {
    ...{ guest, nodeId: fromNode, zone, order, mark, markPages: neededPages, freePages, refusedBy },
    shortPages: missing(order, neededPages, freePages),
  };
}

const missing = (order: number, markPages: number, freePages: number): number =>
  Math.max(0, neededFor(order, markPages) + 1 - freePages);

type Kill = Extract<ReplayEvent, { type: 'oom_kill' }>;

/**
 * Of the highest zones of the nodes that the request may use, the first that is at its min mark. Where none is, since pages
 * came free while the request was given up, the first zone with what refused it at the last look: its high mark, or
 * that no block is large enough. Undefined where a memory cgroup is full.
 * @kernel mm/page_alloc.c __alloc_pages_may_oom(): one more look at the high mark before somebody is killed
 */
export function shortfallOfKill({ invokedBy, order, zones }: Kill): Shortfall | undefined {
  const highest = zones.filter(
    (zone, i) => !zones.slice(i + 1).some(({ nodeId }) => nodeId === zone.nodeId),
  );
  const atMin = highest.find(({ minPages, freePages }) => missing(order, minPages, freePages) > 0);
  const short = atMin ?? highest[0];
  if (short === undefined) return undefined;
  const { nodeId, zone, freePages, minPages, highPages } = short;
  const markPages = atMin ? minPages : highPages;
  const shortPages = missing(order, markPages, freePages);
  return {
    ...{ guest: invokedBy, nodeId, zone, order, mark: atMin ? 'min' : 'high', markPages },
    ...{ freePages, refusedBy: shortPages > 0 ? 'free-pages' : 'larger-blocks', shortPages },
  };
}
