import type { ReplayEvent } from '@zonewise/simulator';

/** Where a configuration that lost came short: the first zone that refused a request. */
export interface Shortfall {
  guest: string;
  nodeId: number;
  zone: string;
  /** Of the request: its 2^order pages come on top of the mark. */
  order: number;
  /** `low`: a request went to another node; `min`: nobody was left to serve it. */
  mark: 'low' | 'min';
  /** Mark with boost and the reserve for the request's class. */
  markPages: number;
  freePages: number;
  /** Free pages that were missing for the request to be served there. */
  shortPages: number;
}

type Spill = Extract<ReplayEvent, { type: 'spill' }>;

/**
 * @kernel mm/page_alloc.c __zone_watermark_ok(): refused while free - (2^order - 1) <= mark + reserve
 */
export function shortfallOf(spill: Spill): Shortfall {
  const { guest, fromNode, zone, order, freePages, neededPages } = spill;
  return {
    ...{ guest, nodeId: fromNode, zone, order, mark: 'low', markPages: neededPages, freePages },
    shortPages: Math.max(0, neededPages + 2 ** order - freePages),
  };
}

type Kill = Extract<ReplayEvent, { type: 'oom_kill' }>;

const ZONE_IN_SUMMARY = /node (\d+) (\w+): free (\d+), min (\d+) \+ reserve (\d+)/g;
const ORDER_IN_REPORT = /order=(-?\d+)/;

/** The zone that the request would have had first: the highest one of the first node; undefined where none was allowed. */
export function shortfallOfKill({ invokedBy, summary, report }: Kill): Shortfall | undefined {
  const order = Math.max(0, Number(ORDER_IN_REPORT.exec(report[0] ?? '')?.[1] ?? 0));
  const zones = [...summary.matchAll(ZONE_IN_SUMMARY)].map(
    ([, nodeId, zone = '', free, min, reserve]): Shortfall => {
      const markPages = Number(min) + Number(reserve);
      return {
        ...{ guest: invokedBy, nodeId: Number(nodeId), zone, order, mark: 'min', markPages },
        freePages: Number(free),
        shortPages: Math.max(0, markPages + 2 ** order - Number(free)),
      };
    },
  );
  return zones.findLast(({ nodeId }) => nodeId === zones[0]?.nodeId);
}
