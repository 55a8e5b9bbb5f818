import { PAGES_PER_MIB, type ReplayEvent } from '@zonewise/simulator';
import { formatCount, formatList, formatMib, formatMs } from '../format';
import { distanceBetween, nodesText } from '../host-nodes';
import type { HostModel } from '../types';
import type { StartTrace, Trace } from './trace';

export type CauseCode =
  | 'node-below-mark'
  | 'cache-left-alone'
  | 'memory-away'
  | 'all-where-wanted'
  | 'node-reclaim'
  | 'node-reclaim-failed'
  | 'kswapd-reclaim'
  | 'direct-reclaim'
  | 'oom-kill'
  | 'failed-start';

/** One link of the chain from a start to where its memory went, with the numbers of the replay that it names. */
export interface Cause {
  code: CauseCode;
  /** Step of the replay. */
  step: number;
  guest?: string;
  nodeId?: number;
  zone?: string;
  /** One plain sentence. */
  text: string;
  /** The numbers of the sentence: pages, nanoseconds, times. */
  figures: Record<string, number>;
}

/** A chain beyond this ends with what it leaves out. */
export const CAUSES_MAX = 120;

/** Less page cache than this keeps no guest from a node. */
const CACHE_WORTH_PAGES = PAGES_PER_MIB;

type EventOf<T extends ReplayEvent['type']> = Extract<ReplayEvent, { type: T }>;

/**
 * The causal chain of a replay: for every guest that starts, which zone refused, what was reclaimed or left alone,
 * and where its memory went; in the order in which it happened. Every number is the replay's.
 * @param wanted the nodes that a guest's settings name, or those of its CPUs; by guest name
 */
export function causesOf(
  trace: Trace,
  host: HostModel,
  wanted: ReadonlyMap<string, number[]>,
): { causes: Cause[]; leftOut: number } {
  const steps = new Map<number, { label: string; events: ReplayEvent[] }>();
  for (const { step, label, event } of trace.events) {
    const entry = steps.get(step) ?? { label, events: [] };
    entry.events.push(event);
    steps.set(step, entry);
  }
  const starts = new Map(trace.starts.map((start) => [start.step, start]));
  const numbers = [...new Set([...steps.keys(), ...starts.keys()])].sort((a, b) => a - b);
  const causes = numbers.flatMap((step) => {
    const { label = '', events = [] } = steps.get(step) ?? {};
    const start = starts.get(step);
    return [
      ...(start === undefined ? [] : spillCauses(start, events, host)),
      ...reclaimCauses(step, label, events),
      ...killCauses(step, events),
      ...(start === undefined ? [] : placeCauses(start, host, wanted.get(start.guest) ?? [])),
    ];
  });
  return { causes: causes.slice(0, CAUSES_MAX), leftOut: Math.max(0, causes.length - CAUSES_MAX) };
}

function spillCauses(start: StartTrace, events: ReplayEvent[], host: HostModel): Cause[] {
  const spill = events.find((event): event is EventOf<'spill'> => event.type === 'spill');
  if (spill === undefined) return [];
  const { fromNode: nodeId, zone, order, freePages, neededPages } = spill;
  const place = { step: start.step, guest: spill.guest, nodeId, zone };
  const causes: Cause[] = [
    {
      ...place,
      code: 'node-below-mark',
      text:
        `While ${spill.guest} touches its memory, ${belowText(spill)} (low mark with boost and reserve), so the zone ` +
        `is not used.`,
      figures: { order, freePages, neededPages },
    },
  ];
  const cachePages = pagesOn(start.cacheBefore, nodeId);
  if (cachePages >= CACHE_WORTH_PAGES) {
    causes.push({
      ...place,
      code: 'cache-left-alone',
      text:
        `Node ${nodeId} holds ${formatCount(cachePages)} pages (${formatMib(cachePages)}) of page cache when ` +
        `${spill.guest} starts; ${spill.reason}.`,
      figures: {
        cachePages,
        distance: distanceBetween(host, nodeId, spill.toNode),
      },
    });
  }
  return causes;
}

/** The count is that of the moment when the page had been placed elsewhere; reclaim may have freed some until then. */
function belowText({ fromNode, zone, order, freePages, neededPages }: EventOf<'spill'>): string {
  const needs = `a request of order ${order} needs more than ${formatCount(neededPages)} there`;
  return freePages <= neededPages
    ? `node ${fromNode} ${zone} is down to ${formatCount(freePages)} free pages; ${needs}`
    : `node ${fromNode} ${zone} is at its mark, and with what was reclaimed since has ${formatCount(freePages)} free pages; ${needs}`;
}

function reclaimCauses(step: number, label: string, events: ReplayEvent[]): Cause[] {
  const causes: Cause[] = [];
  const during = label === '' ? '' : ` (${label})`;
  for (const event of events) {
    if (event.type === 'node_reclaim' || event.type === 'node_reclaim_failed') {
      const { nodeId, guest, times, reclaimedPages } = event;
      const failed = event.type === 'node_reclaim_failed';
      causes.push({
        ...{ code: failed ? 'node-reclaim-failed' : 'node-reclaim', step, guest, nodeId },
        text: failed
          ? `zone_reclaim_mode lets ${guest} look for page cache on node ${nodeId} ${formatCount(times)} times in vain.`
          : `zone_reclaim_mode lets ${guest} reclaim ${formatCount(reclaimedPages)} pages (${formatMib(reclaimedPages)}) on node ${nodeId} itself, in ${formatCount(times)} runs, before it would go elsewhere.`,
        figures: { times, reclaimedPages },
      });
    } else if (event.type === 'direct_reclaim') {
      const { nodeId, guest, times, reclaimedPages } = event;
      causes.push({
        ...{ code: 'direct-reclaim' as const, step, guest, nodeId },
        text: `No zone that ${guest} may use has pages above its min mark: it reclaims ${formatCount(reclaimedPages)} pages (${formatMib(reclaimedPages)}) itself, first for node ${nodeId}, in ${formatCount(times)} runs, and waits for it.`,
        figures: { times, reclaimedPages },
      });
    }
  }
  return [...causes, ...kswapdCauses(step, during, events)];
}

function kswapdCauses(step: number, during: string, events: ReplayEvent[]): Cause[] {
  const byNode = new Map<number, { wakes: number; reclaimedPages: number }>();
  for (const event of events) {
    if (event.type !== 'kswapd_wake' && event.type !== 'kswapd_sleep') continue;
    const sum = byNode.get(event.nodeId) ?? { wakes: 0, reclaimedPages: 0 };
    if (event.type === 'kswapd_wake') sum.wakes += 1;
    else sum.reclaimedPages += event.reclaimedPages;
    byNode.set(event.nodeId, sum);
  }
  return [...byNode]
    .filter(([, { reclaimedPages }]) => reclaimedPages > 0)
    .map(([nodeId, { wakes, reclaimedPages }]) => ({
      ...{ code: 'kswapd-reclaim' as const, step, nodeId },
      text: `kswapd of node ${nodeId} reclaims ${formatCount(reclaimedPages)} pages (${formatMib(reclaimedPages)}) in the background${during}.`,
      figures: { wakes, reclaimedPages },
    }));
}

const CONSTRAINTS: Record<EventOf<'oom_kill'>['constraint'], string> = {
  CONSTRAINT_NONE: 'no node has a page left',
  CONSTRAINT_CPUSET: 'its cpuset allows no other node',
  CONSTRAINT_MEMORY_POLICY: 'its memory policy allows no other node',
  CONSTRAINT_MEMCG: 'its memory cgroup is at its limit',
};

function killCauses(step: number, events: ReplayEvent[]): Cause[] {
  return events.flatMap((event): Cause[] => {
    if (event.type !== 'oom_kill') return [];
    const { victim, victimPages, invokedBy, constraint, summary } = event;
    return [
      {
        ...{ code: 'oom-kill', step, guest: victim },
        text:
          `${invokedBy} needs a page and ${CONSTRAINTS[constraint]} (${constraint}): the OOM killer takes ${victim} ` +
          `with ${formatCount(victimPages)} pages (${formatMib(victimPages)}). ${summary}`,
        figures: { victimPages },
      },
    ];
  });
}

const FAILURES: Partial<Record<StartTrace['status'], string>> = {
  killed: 'it is killed',
  sigbus: 'there is no huge page for a touch (SIGBUS)',
  enomem: 'its huge pages cannot be reserved (ENOMEM)',
};

function placeCauses(start: StartTrace, host: HostModel, wanted: number[]): Cause[] {
  const { step, guest, pagesByNode, stallNs } = start;
  const failure = FAILURES[start.status];
  if (failure !== undefined) {
    const text = `${guest} does not come up: ${failure}.`;
    return [{ code: 'failed-start', step, guest, text, figures: {} }];
  }
  const total = pagesByNode.reduce((sum, { pages }) => sum + pages, 0);
  const away = pagesByNode.filter(({ nodeId }) => !wanted.includes(nodeId));
  const awayPages = away.reduce((sum, { pages }) => sum + pages, 0);
  const waits = stallNs > 0 ? `; it waited ${formatMs(stallNs)} for reclaim` : '';
  if (awayPages === 0) {
    const text = `All ${formatCount(total)} pages (${formatMib(total)}) of ${guest} are on ${nodesText(wanted)}${waits}.`;
    return [{ code: 'all-where-wanted', step, guest, text, figures: { pages: total, stallNs } }];
  }
  const where = away.map(
    ({ nodeId, pages }) =>
      `${formatMib(pages)} went to node ${nodeId} (distance ${nearest(host, wanted, nodeId)})`,
  );
  return [
    {
      ...{ code: 'memory-away', step, guest },
      text:
        `Of the ${formatMib(total)} of ${guest}, which belong on ${nodesText(wanted)}, ${formatList(where)}: ` +
        `${formatCount(awayPages)} of ${formatCount(total)} pages${waits}.`,
      figures: { pages: total, awayPages, stallNs },
    },
  ];
}

function nearest(host: HostModel, from: number[], to: number): number {
  return Math.min(...from.map((node) => distanceBetween(host, node, to)));
}

const pagesOn = (list: { nodeId: number; pages: number }[], nodeId: number): number =>
  list.reduce((sum, entry) => sum + (entry.nodeId === nodeId ? entry.pages : 0), 0);
