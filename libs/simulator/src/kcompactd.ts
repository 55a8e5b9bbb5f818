/** The background compactor of each node. */
import { HUGE_ORDER, ZONE_MOVABLE } from './constants';
import {
  compactZone,
  compactZoneSteps,
  type CompactOutcome,
  type CompactTask,
} from './compact-zone';
import { compactionDefer, compactionDeferred, compactionDeferReset } from './compaction-defer';
import { compactionSuitable } from './compaction-suitable';
import { fragmentationScoreNode, scoreHighMark } from './fragmentation-score';
import { countVm, type KernelState } from './kernel-state';
import { drainPcps } from './pcp';
import { endWrites } from './swap-write';
import type { NodeState, Zone } from './zone';

/**
 * How often it looks at its node's score: 500 ms, which the timer wheel rounds up to 128 ticks of 4 ms.
 * @kernel mm/compaction.c HPAGE_FRAG_CHECK_INTERVAL_MSEC
 */
const CHECK_NS = 512_000_000;
/** Looks left out after one that brought nothing. */
const FRUITLESS_CHECKS = 64;

/** A node's compactor as an actor in virtual time. */
export interface KcompactdTask {
  /** When it acts next; Infinity where nothing but a wake-up makes it. */
  nextNs: number;
  /** The largest order asked for since its last run, 0 when nobody asked; and the lowest class (`kcompactd_*`). */
  order: number;
  classIndex: number;
  /** vm.compaction_proactiveness was written: it looks at the score at once. */
  triggered: boolean;
  /** What it does at present; each step is one batch, its value the batch's cost in ns. It returns how long to wait then. */
  run?: Generator<number, number>;
}

/**
 * A compactor that waits for its first look.
 * @param usualNs when that is usually
 * @param goneBy share of an interval that has gone by besides
 */
export function waitingKcompactd(usualNs: number, goneBy = 0): KcompactdTask {
  const firstNs = goneBy === 0 ? usualNs : (usualNs + (1 - goneBy) * CHECK_NS) % CHECK_NS;
  return {
    nextNs: firstNs,
    order: 0,
    classIndex: ZONE_MOVABLE,
    triggered: false,
    run: undefined,
  };
}

/** CPU position that a node's background tasks run on. */
export function nodeCpu(k: KernelState, node: NodeState): number {
  const own = k.cpus.find((cpu) => cpu.node === node);
  return (own ?? k.cpus[0]!).position;
}

/**
 * Asks for a free block of an order; the compactor starts at once where compaction may help, else it remembers it.
 * @kernel mm/compaction.c wakeup_kcompactd(), kcompactd_node_suitable()
 */
export function wakeupKcompactd(
  k: KernelState,
  node: NodeState,
  order: number,
  classIndex: number,
  atNs: number,
): void {
  if (order === 0 || !k.compaction) return;
  const task = node.kcompactd;
  task.order = Math.max(task.order, order);
  task.classIndex = Math.min(task.classIndex, classIndex);
  const suitable = node.zones.some(
    (zone) =>
      zone.index <= task.classIndex &&
      compactionSuitable(k, zone, task.order, zone.min, task.classIndex) === 'continue',
  );
  // Who is at work finds it when that is done.
  if (suitable && !task.run) task.nextNs = Math.min(task.nextNs, atNs + k.hardware.kswapdWakeNs);
}

/** vm.compaction_proactiveness was written. @kernel mm/compaction.c compaction_proactiveness_sysctl_handler() */
export function triggerKcompactd(k: KernelState): void {
  if (!k.compaction || k.sysctl.compaction_proactiveness === 0) return;
  for (const { kcompactd, zones } of k.nodes) {
    // A node without memory has none yet: that one finds it when it starts.
    kcompactd.triggered = true;
    if (zones.length > 0 && !kcompactd.run) kcompactd.nextNs = Math.min(kcompactd.nextNs, k.timeNs);
  }
}

/**
 * What the compactor does when its moment has come: the next batch of its work.
 * @returns time that it worked, ns; its next moment is counted from the end of that
 */
export function kcompactdTurn(k: KernelState, node: NodeState): number {
  const task = node.kcompactd;
  task.run ??= kcompactd(k, node, task.nextNs);
  const step = task.run.next();
  if (!step.done) {
    task.nextNs += step.value;
    return step.value;
  }
  task.run = undefined;
  task.nextNs += step.value;
  return 0;
}

/**
 * The node has memory: it looks at its score for the first time after the usual while.
 * @kernel mm/compaction.c kcompactd_run()
 */
export function runKcompactd(k: KernelState, node: NodeState): void {
  const { triggered } = node.kcompactd;
  const waitNs = k.sysctl.compaction_proactiveness === 0 ? Infinity : CHECK_NS;
  const nextNs = k.timeNs + (triggered ? 0 : waitNs);
  node.kcompactd = { nextNs, order: 0, classIndex: node.nrZones - 1, triggered, run: undefined };
}

/** The node has no memory any more: its compactor ends what it is at in its zone. @kernel mm/compaction.c kcompactd_stop() */
export function stopKcompactd(k: KernelState, node: NodeState): void {
  const task = node.kcompactd;
  while (task.run) kcompactdTurn(k, node);
  task.nextNs = Infinity;
}

/** Lets every compactor finish what it is at. */
export function finishKcompactds(k: KernelState): void {
  for (const node of k.nodes) while (node.kcompactd.run) kcompactdTurn(k, node);
}

/**
 * One round of a compactor's work; yields the cost of each batch in ns.
 * @returns ns until it looks again
 * @kernel mm/compaction.c kcompactd()
 */
function* kcompactd(k: KernelState, node: NodeState, atNs: number): Generator<number, number> {
  const task = node.kcompactd;
  endWrites(k, atNs);
  let waitNs = CHECK_NS;
  if (task.order > 0 && !task.triggered) {
    yield* doWork(k, node);
  } else {
    if (shouldCompactProactively(k, node)) {
      const before = fragmentationScoreNode(node);
      yield* proactiveCompactNode(k, node);
      if (fragmentationScoreNode(node) >= before) waitNs = CHECK_NS * FRUITLESS_CHECKS;
    }
    task.triggered = false;
  }
  // What was asked for meanwhile, or before it was told to look at the score, is done at once.
  if (task.order > 0 || task.triggered) return 0;
  return k.sysctl.compaction_proactiveness === 0 ? Infinity : waitNs;
}

/** @kernel mm/compaction.c should_proactive_compact_node() */
function shouldCompactProactively(k: KernelState, node: NodeState): boolean {
  const proactiveness = k.sysctl.compaction_proactiveness;
  if (proactiveness === 0 || node.kswapd.state === 'running') return false;
  return fragmentationScoreNode(node) > scoreHighMark(proactiveness);
}

/** The node's zones up to a class, those that have memory when their turn comes. */
function* populatedZones(node: NodeState, classIndex: number): Generator<Zone, void> {
  for (let index = 0; index <= classIndex; index += 1) {
    const zone = node.zones.find((other) => other.index === index);
    if (zone) yield zone;
  }
}

/** @kernel mm/compaction.c proactive_compact_node() */
function* proactiveCompactNode(k: KernelState, node: NodeState): Generator<number, void> {
  const cpu = nodeCpu(k, node);
  for (const zone of populatedZones(node, ZONE_MOVABLE)) {
    const outcome = yield* compactZoneSteps(k, zone, {
      order: -1,
      mode: 'sync-light',
      cpu,
      proactive: true,
      wholeZone: true,
      ignoreSkipHint: true,
    });
    if (k.profile.finishesPageblocks) countScans(k, outcome);
  }
}

/** What the compactor looked at, besides what all compaction did. */
function countScans(k: KernelState, { migrateScanned, freeScanned }: CompactOutcome): void {
  countVm(k, 'compact_daemon_migrate_scanned', migrateScanned);
  countVm(k, 'compact_daemon_free_scanned', freeScanned);
}

/** Makes a block of the order that was asked for, zone by zone. @kernel mm/compaction.c kcompactd_do_work() */
function* doWork(k: KernelState, node: NodeState): Generator<number, void> {
  const task = node.kcompactd;
  const { order, classIndex } = task;
  const cpu = nodeCpu(k, node);
  countVm(k, 'compact_daemon_wake');
  // One task for all zones: what it learns in one it takes along to the next.
  const compact: CompactTask = { order, mode: 'sync-light', cpu, classIndex };
  for (const zone of populatedZones(node, classIndex)) {
    if (compactionDeferred(zone, order)) continue;
    if (compactionSuitable(k, zone, order, zone.min, zone.index) !== 'continue') continue;
    const outcome = yield* compactZoneSteps(k, zone, compact);
    if (outcome.result === 'success') {
      compactionDeferReset(zone, order, false);
    } else if (outcome.result === 'partial' || outcome.result === 'complete') {
      // Pages on the lists of CPUs may be what keeps blocks from merging.
      drainPcps(zone);
      compactionDefer(zone, order);
    }
    countScans(k, outcome);
  }
  // A larger order that was asked for meanwhile, or one for a lower class, is done next.
  if (task.order <= order) task.order = 0;
  if (task.classIndex >= classIndex) task.classIndex = node.nrZones - 1;
}

/** Compacts a node on request, whole zones, with patience. @kernel mm/compaction.c compact_node() */
export function compactNode(k: KernelState, node: NodeState, cpu: number): number {
  endWrites(k, k.timeNs);
  let costNs = 0;
  for (const zone of node.zones) {
    costNs += compactZone(k, zone, {
      order: -1,
      mode: 'sync',
      cpu,
      wholeZone: true,
      ignoreSkipHint: true,
    }).costNs;
  }
  return costNs;
}

/** Order that kswapd asks for after a boosted run: whole pageblocks. */
export const BOOST_COMPACT_ORDER = HUGE_ORDER;
