import type {
  ReplayEvent,
  ReplayInput,
  ReplayResult,
  Snapshot,
  StepResult,
} from '@zonewise/simulator';
import { DEFAULT_HUGEPAGE_KIB } from '../hugepages';

/** More points than a person or a chart can use; a trace beyond is thinned. */
export const TRACE_POINTS_MAX = 400;

/** The host after a step of a replay; counts of events are those of the step alone. */
export interface TracePoint {
  /** 0: before the first step. */
  step: number;
  op: string;
  label: string;
  status: StepResult['status'];
  /** Virtual time at its end. */
  timeNs: number;
  nodes: { nodeId: number; freePages: number; fileCachePages: number; anonPages: number }[];
  scannedPages: { kswapd: number; direct: number };
  stolenPages: { kswapd: number; direct: number };
  swappedOutPages: number;
  /** Waiting for reclaim of all guests. */
  stallNs: number;
}

/** Counters of a whole replay, in the kernel's names. */
export interface Counters {
  vmstat: Record<string, number>;
  numastat: { nodeId: number; numaHit: number; numaMiss: number; numaForeign: number }[];
}

/** A guest's start as the replay saw it. */
export interface StartTrace {
  step: number;
  guest: string;
  status: StepResult['status'];
  /** Guest memory by node when the step ended. */
  pagesByNode: { nodeId: number; pages: number }[];
  /** The same by region. */
  regions: { cell: number; pagesByNode: { nodeId: number; pages: number }[] }[];
  stallNs: number;
  /** Page cache by node before it started. */
  cacheBefore: { nodeId: number; pages: number }[];
}

/** What of a replay its explanation needs. */
export interface Trace {
  points: TracePoint[];
  /** Steps whose points were left out; their counts are in the next point. */
  leftOut: number;
  counters: Counters;
  starts: StartTrace[];
  /** Reclaim, kills and spills with the step that they happened in. */
  events: { step: number; label: string; op: StepResult['op']; event: ReplayEvent }[];
  /** Steps whose requests waited for compaction: how often, and how often that gave a free block or did not. */
  compactions: { step: number; label: string; stalls: number; success: number; fail: number }[];
  /** Writes to a node's pool of huge pages: what was asked for, and what the file said afterwards, in huge pages. */
  pools: { step: number; nodeId: number; sizeKib: number; asked: number; obtained: number }[];
}

/**
 * The time series, counters and events of a replay.
 * @param input what was replayed: its steps name the guests
 */
export function traceOf(input: ReplayInput, result: ReplayResult): Trace {
  const stride = Math.max(1, Math.ceil(result.steps.length / TRACE_POINTS_MAX));
  const points = [initialPoint(result.initial)];
  const starts: StartTrace[] = [];
  let shown = result.initial;
  let before = result.initial;
  const compactions: Trace['compactions'] = [];
  result.steps.forEach((step, i) => {
    compactions.push(...compactionOf(step, before));
    const start = startOf(input, i, step, before);
    if (start !== undefined) starts.push(start);
    before = step.snapshot;
    if ((i + 1) % stride !== 0 && i + 1 !== result.steps.length) return;
    points.push(pointOf(step, shown));
    shown = step.snapshot;
  });
  return {
    points,
    leftOut: result.steps.length + 1 - points.length,
    counters: countersOf(result.initial, before),
    starts,
    events: result.steps.flatMap((step) =>
      step.events.map((event) => ({
        ...{ step: step.n, label: step.label ?? step.op, op: step.op, event },
      })),
    ),
    compactions,
    pools: result.steps.flatMap((step, i) => poolOf(input, i, step)),
  };
}

function initialPoint(snapshot: Snapshot): TracePoint {
  const none = { kswapd: 0, direct: 0 };
  return {
    ...{ step: 0, op: 'start', label: 'before the first step', status: 'ok' as const },
    ...{ timeNs: snapshot.timeNs, nodes: nodesOf(snapshot) },
    ...{ scannedPages: none, stolenPages: none, swappedOutPages: 0, stallNs: 0 },
  };
}

function pointOf(step: StepResult, before: Snapshot): TracePoint {
  const { snapshot } = step;
  const delta = (name: string): number => (snapshot.vmstat[name] ?? 0) - (before.vmstat[name] ?? 0);
  return {
    ...{ step: step.n, op: step.op, label: step.label ?? step.op, status: step.status },
    ...{ timeNs: snapshot.timeNs, nodes: nodesOf(snapshot) },
    scannedPages: { kswapd: delta('pgscan_kswapd'), direct: delta('pgscan_direct') },
    stolenPages: { kswapd: delta('pgsteal_kswapd'), direct: delta('pgsteal_direct') },
    swappedOutPages: delta('pswpout'),
    stallNs: stallOf(snapshot) - stallOf(before),
  };
}

const stallOf = ({ guests }: Snapshot): number =>
  guests.reduce((sum, guest) => sum + guest.stallNs, 0);

function nodesOf(snapshot: Snapshot): TracePoint['nodes'] {
  return snapshot.nodes.map(({ nodeId, zones, lru, anonPages }) => ({
    nodeId,
    freePages: zones.reduce((sum, zone) => sum + zone.freePages + zone.pcpPages, 0),
    fileCachePages: lru.activeFilePages + lru.inactiveFilePages,
    anonPages,
  }));
}

function compactionOf(
  { n, label, op, snapshot }: StepResult,
  before: Snapshot,
): Trace['compactions'] {
  const delta = (name: string): number => (snapshot.vmstat[name] ?? 0) - (before.vmstat[name] ?? 0);
  const stalls = delta('compact_stall');
  if (stalls === 0) return [];
  const [success, fail] = [delta('compact_success'), delta('compact_fail')];
  return [{ step: n, label: label ?? op, stalls, success, fail }];
}

function poolOf(input: ReplayInput, index: number, { n, obtained }: StepResult): Trace['pools'] {
  const step = input.steps[index];
  if (step?.op !== 'hugepages' || step.nodeId === undefined || obtained === undefined) return [];
  const { nodeId, sizeKib = DEFAULT_HUGEPAGE_KIB, count } = step;
  return [{ step: n, nodeId, sizeKib, asked: count, obtained }];
}

function startOf(
  input: ReplayInput,
  index: number,
  { n, status, snapshot }: StepResult,
  before: Snapshot,
): StartTrace | undefined {
  const step = input.steps[index];
  if (step?.op !== 'guest') return undefined;
  const guest = snapshot.guests.find(({ name }) => name === step.guest.name);
  return {
    ...{ step: n, guest: step.guest.name, status },
    pagesByNode: guest?.pagesByNode.filter(({ pages }) => pages > 0) ?? [],
    regions: guest?.regions ?? [],
    stallNs: guest?.stallNs ?? 0,
    cacheBefore: nodesOf(before).map(({ nodeId, fileCachePages }) => ({
      nodeId,
      pages: fileCachePages,
    })),
  };
}

function countersOf(initial: Snapshot, final: Snapshot): Counters {
  return {
    vmstat: { ...final.vmstat },
    numastat: final.nodes.map(({ nodeId, numastat }) => {
      const start = initial.nodes.find((node) => node.nodeId === nodeId)?.numastat;
      return {
        nodeId,
        numaHit: numastat.numaHit - (start?.numaHit ?? 0),
        numaMiss: numastat.numaMiss - (start?.numaMiss ?? 0),
        numaForeign: numastat.numaForeign - (start?.numaForeign ?? 0),
      };
    }),
  };
}
