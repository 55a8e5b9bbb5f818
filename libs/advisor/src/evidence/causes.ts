import { PAGES_PER_MIB, type ReplayEvent } from '@zonewise/simulator';
import { formatCount, formatList, formatMib, formatMs } from '../format';
import { distanceBetween, nodesText } from '../host-nodes';
import type { HostModel } from '../types';
import { notObtainedText } from '../pools';
import { neededFor } from './shortfall';
import type { StartTrace, Trace } from './trace';

export type CauseCode =
  | 'node-below-mark'
  | 'node-fragmented'
  | 'cache-left-alone'
  | 'memory-away'
  | 'all-where-wanted'
  | 'away-by-policy'
  | 'node-reclaim'
  | 'node-reclaim-failed'
  | 'kswapd-reclaim'
  | 'direct-reclaim'
  | 'compaction'
  | 'pool-not-obtained'
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

/** Where a guest's settings want its memory. */
export interface Wanted {
  /** Nodes that its settings name, or those of its CPUs. */
  nodes: number[];
  /** Nodes of its CPUs by cell. */
  cpuNodes: ReadonlyMap<number, number[]>;
  /** Its setting in words. */
  setting: string;
  /** The setting lets no page choose between its nodes: they take turns, or none of them has the guest's CPUs. */
  isFixed: boolean;
}

type TracedEvent = Trace['events'][number];
type NodeReclaim = Extract<ReplayEvent, { mayLeave: boolean }>;
type EventOf<T extends ReplayEvent['type']> = Extract<ReplayEvent, { type: T }>;

/**
 * The causal chain of a replay: for every guest that starts, which zone refused, what was reclaimed or left alone,
 * and where its memory went; in the order in which it happened. Every number is the replay's.
 * @param wanted by guest name
 */
export function causesOf(
  trace: Trace,
  host: HostModel,
  wanted: ReadonlyMap<string, Wanted>,
): { causes: Cause[]; leftOut: number } {
  const starts = new Map(trace.starts.map((start) => [start.step, start]));
  const compactions = new Map(trace.compactions.map((one) => [one.step, one]));
  const steps = new Map<number, TracedEvent[]>();
  for (const entry of trace.events) {
    const entries = steps.get(entry.step) ?? [];
    entries.push(entry);
    steps.set(entry.step, entries);
  }
  const poolSteps = trace.pools.map(({ step }) => step);
  const numbers = [
    ...new Set([...steps.keys(), ...starts.keys(), ...compactions.keys(), ...poolSteps]),
  ];
  const causes = numbers
    .sort((a, b) => a - b)
    .flatMap((step) => {
      const entries = steps.get(step) ?? [];
      const events = entries.map(({ event }) => event);
      const label = entries[0]?.label ?? '';
      const start = starts.get(step);
      const compaction = compactions.get(step);
      return [
        ...(start === undefined ? [] : spillCauses(start, events, host)),
        ...reclaimCauses(entries),
        ...(compaction === undefined ? [] : [compactionCause(compaction)]),
        ...kswapdCauses(step, label, events),
        ...trace.pools.flatMap((pool) => (pool.step === step ? poolCauses(pool) : [])),
        ...killCauses(step, events),
        ...(start === undefined ? [] : placeCauses(start, host, wanted.get(start.guest))),
      ];
    });
  return { causes: causes.slice(0, CAUSES_MAX), leftOut: Math.max(0, causes.length - CAUSES_MAX) };
}

function spillCauses(start: StartTrace, events: ReplayEvent[], host: HostModel): Cause[] {
  const spill = events.find((event): event is EventOf<'spill'> => event.type === 'spill');
  if (spill === undefined) return [];
  const { fromNode: nodeId, zone } = spill;
  const place = { step: start.step, guest: spill.guest, nodeId, zone };
  const causes: Cause[] = [{ ...place, ...refusalOf(spill) }];
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

function refusalOf(spill: EventOf<'spill'>): Pick<Cause, 'code' | 'text' | 'figures'> {
  const { guest, fromNode, zone, order, mark, freePages, neededPages, largestFreeOrder } = spill;
  const zoneText = `While ${guest} touches its memory, node ${fromNode} ${zone}`;
  if (spill.refusedBy === 'larger-blocks') {
    const largest = largestFreeOrder < 0 ? '' : ` (the largest is of order ${largestFreeOrder})`;
    return {
      code: 'node-fragmented',
      text:
        `${zoneText} has ${formatCount(freePages)} free pages, more than its ${mark} mark asks for, but no free block of ` +
        `order ${order} or above${largest}, so the zone is not used.`,
      figures: { order, freePages, neededPages, largestFreeOrder },
    };
  }
  const needed = neededFor(order, neededPages);
  const block =
    order > 0 ? `, and the other ${formatCount(2 ** order - 1)} pages of the block` : '';
  return {
    code: 'node-below-mark',
    text:
      `${zoneText} is down to ${formatCount(freePages)} free pages; a request of order ${order} needs more than ` +
      `${formatCount(needed)} there (${mark} mark with boost and reserve${block}), so the zone is not used.`,
    figures: { order, freePages, neededPages: needed },
  };
}

function reclaimCauses(entries: TracedEvent[]): Cause[] {
  return entries.flatMap((entry): Cause[] => {
    const { step, event } = entry;
    if (event.type === 'direct_reclaim') {
      const { nodeId, guest, order, times, reclaimedPages, readyTimes } = event;
      const text = directText(subjectOf(entry, guest), event);
      const figures = { order, times, reclaimedPages, readyTimes };
      return [{ code: 'direct-reclaim', step, guest, nodeId, text, figures }];
    }
    if (event.type !== 'node_reclaim' && event.type !== 'node_reclaim_failed') return [];
    const { nodeId, guest, times, reclaimedPages } = event;
    const failed = event.type === 'node_reclaim_failed';
    return [
      {
        ...{ code: failed ? 'node-reclaim-failed' : 'node-reclaim', step, guest, nodeId },
        text: nodeReclaimText(subjectOf(entry, guest), event),
        figures: { times, reclaimedPages },
      },
    ];
  });
}

/** Who reclaims: a guest by its name, a pool of huge pages by what the step says. */
function subjectOf({ op, label }: TracedEvent, name: string): string {
  if (op === 'hugepages') return `the ${label}`;
  return name === 'host' && op !== 'guest' ? 'the host' : name;
}

function nodeReclaimText(
  who: string,
  { type, nodeId, times, reclaimedPages, mayLeave }: NodeReclaim,
): string {
  if (type === 'node_reclaim_failed') {
    return `zone_reclaim_mode lets ${who} look for page cache on node ${nodeId} ${formatCount(times)} times in vain.`;
  }
  const pages = `${formatCount(reclaimedPages)} pages (${formatMib(reclaimedPages)})`;
  const runs = `${formatCount(times)} ${times === 1 ? 'run' : 'runs'}`;
  const then = mayLeave ? ', before it would go elsewhere' : '; it may use no other node';
  return `zone_reclaim_mode lets ${who} reclaim ${pages} on node ${nodeId} itself, in ${runs}${then}.`;
}

function directText(who: string, event: EventOf<'direct_reclaim'>): string {
  const { nodeId, order, times, reclaimedPages, readyTimes } = event;
  const why =
    order === 0
      ? `No zone that ${who} may use has pages above its min mark`
      : `No zone that ${who} may use serves a request of order ${order} at its min mark`;
  const runs = `in ${formatCount(times)} ${times === 1 ? 'run' : 'runs'}`;
  const ready = `a zone has enough free pages for compaction`;
  if (reclaimedPages > 0) {
    const left = readyTimes > 0 ? ` In ${formatCount(readyTimes)} of them ${ready}.` : '';
    return `${why}: it reclaims ${formatCount(reclaimedPages)} pages (${formatMib(reclaimedPages)}) itself, first for node ${nodeId}, ${runs}, and waits for it.${left}`;
  }
  return readyTimes > 0
    ? `${why}: nothing is reclaimed for it ${runs}, as ${ready}.`
    : `${why}: it finds nothing to reclaim ${runs}.`;
}

function compactionCause({ step, label, ...figures }: Trace['compactions'][number]): Cause {
  const { stalls, success, fail } = figures;
  return {
    ...{ code: 'compaction', step, figures },
    text:
      `Requests wait for compaction ${formatCount(stalls)} ${stalls === 1 ? 'time' : 'times'} (${label}): ` +
      `it makes a free block ${formatCount(success)} ${success === 1 ? 'time' : 'times'} and fails ${formatCount(fail)} ${fail === 1 ? 'time' : 'times'}.`,
  };
}

function poolCauses(pool: Trace['pools'][number]): Cause[] {
  const { step, nodeId, asked, obtained } = pool;
  const text = notObtainedText(pool);
  const figures = { asked, obtained };
  return text === undefined ? [] : [{ code: 'pool-not-obtained', step, nodeId, text, figures }];
}

function kswapdCauses(step: number, label: string, events: ReplayEvent[]): Cause[] {
  const during = label === '' ? '' : ` (${label})`;
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
  CONSTRAINT_NONE: 'no zone of any node can serve it',
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

function placeCauses(start: StartTrace, host: HostModel, want: Wanted | undefined): Cause[] {
  const wanted = want?.nodes ?? [];
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
    return [
      { code: 'all-where-wanted', step, guest, text, figures: { pages: total, stallNs } },
      ...policyCauses(start, want),
    ];
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
    ...policyCauses(start, want),
  ];
}

/** Memory that is on nodes which the settings name and away from the vCPUs of its cell. */
function policyCauses({ step, guest, regions }: StartTrace, want: Wanted | undefined): Cause[] {
  if (want === undefined) return [];
  const { nodes, cpuNodes, setting, isFixed } = want;
  const places = regions.flatMap(({ cell, pagesByNode }) =>
    pagesByNode.filter(
      ({ nodeId }) => nodes.includes(nodeId) && !(cpuNodes.get(cell) ?? [nodeId]).includes(nodeId),
    ),
  );
  const pages = places.reduce((sum, place) => sum + place.pages, 0);
  if (pages === 0) return [];
  const on = nodesText([...new Set(places.map(({ nodeId }) => nodeId))].sort((a, b) => a - b));
  const verb = isFixed ? 'puts' : 'lets the kernel put';
  return [
    {
      ...{ code: 'away-by-policy', step, guest },
      text:
        `${formatCount(pages)} pages (${formatMib(pages)}) of ${guest} are on ${on}, away from its vCPUs: ` +
        `${setting} ${verb} them there.`,
      figures: { pages },
    },
  ];
}

function nearest(host: HostModel, from: number[], to: number): number {
  return Math.min(...from.map((node) => distanceBetween(host, node, to)));
}

const pagesOn = (list: { nodeId: number; pages: number }[], nodeId: number): number =>
  list.reduce((sum, entry) => sum + (entry.nodeId === nodeId ? entry.pages : 0), 0);
