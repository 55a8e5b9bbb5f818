import {
  COMPACT_COMPLETE,
  COMPACT_CONTINUE,
  COMPACT_PARTIAL_SKIPPED,
  COMPACT_SUCCESS,
  compactControl,
} from './compact-control';
import type { CompactControl } from './compact-control';
import { compactCostNs, compactInTurns, compactZone } from './compact-zone';
import { deferCompaction, deferReset, isDeferred } from './compaction-defer';
import { note } from './events';
import {
  compactionSuitable,
  fragmentationScoreNode,
  fragmentationScoreWmark,
} from './fragmentation';
import { drainAllPages } from './pcp';
import { ZONE_MOVABLE, count } from './state';
import type { Node, System, Zone } from './state';
import { endWrites } from './swap-write';
import { NO_RIGHTS } from './watermark';

/** 500 ms on the timer wheel. */
const CHECK_NS = 512_000_000;
const FRUITLESS_CHECKS = 64;

/** Its first CPU; one without CPUs is served by the machine's first. */
function cpuOf(system: System, node: Node): number {
  return Math.max(
    system.cpus.findIndex((cpu) => cpu.node === node),
    0,
  );
}

function proactiveness(system: System): number {
  return system.sysctl.compaction_proactiveness ?? 0;
}

/** @kernel mm/compaction.c wakeup_kcompactd(), kcompactd_node_suitable() @param atNs the clock of who wakes it */
export function wakeupKcompactd(
  system: System,
  node: Node,
  order: number,
  classIndex: number,
  atNs: number,
): void {
  if (order === 0 || system.config.compaction === undefined) {
    return;
  }
  const task = node.kcompactd;
  task.maxOrder = Math.max(task.maxOrder, order);
  task.highestZone = Math.min(task.highestZone, classIndex);
  const suitable = node.zones.some(
    (zone) =>
      zone.index <= task.highestZone &&
      compactionSuitable(system, zone, task.maxOrder, NO_RIGHTS, task.highestZone) ===
        COMPACT_CONTINUE,
  );
  if (suitable && task.run === null) {
    note(system, 'kcompactd woken');
    task.nextNs = Math.min(task.nextNs, atNs + system.config.costs.kswapdWakeNs);
  }
}

/** @kernel mm/compaction.c compaction_proactiveness_sysctl_handler() */
export function triggerKcompactds(system: System): void {
  if (system.config.compaction === undefined || proactiveness(system) === 0) {
    return;
  }
  for (const { kcompactd } of system.nodes) {
    // Where there is none yet, it finds this when it starts.
    kcompactd.triggered = true;
    if (kcompactd.exists && kcompactd.run === null) {
      kcompactd.nextNs = Math.min(kcompactd.nextNs, system.timeNs);
    }
  }
}

/** The node's zones up to a class, as long as each has memory when its turn comes. */
function* populatedZones(node: Node, highest: number): Generator<Zone, void> {
  for (const zone of node.allZones) {
    if (zone.index <= highest && zone.present > 0) {
      yield zone;
    }
  }
}

/** @kernel mm/compaction.c kcompactd_do_work() */
function* doWork(system: System, node: Node, first: Zone): Generator<number, void> {
  const task = node.kcompactd;
  count(system, 'compact_daemon_wake');
  note(system, 'kcompactd worked');
  const cc: CompactControl = compactControl(first, {
    order: task.maxOrder,
    mode: 'sync-light',
    classIndex: task.highestZone,
    flags: NO_RIGHTS,
    cpu: cpuOf(system, node),
  });
  for (const zone of populatedZones(node, cc.classIndex)) {
    if (isDeferred(system, zone, cc.order)) {
      continue;
    }
    if (compactionSuitable(system, zone, cc.order, NO_RIGHTS, zone.index) !== COMPACT_CONTINUE) {
      continue;
    }
    cc.zone = zone;
    const { status, restNs } = yield* compactInTurns(system, cc);
    if (restNs > 0) {
      yield restNs;
    }
    if (status === COMPACT_SUCCESS) {
      deferReset(system, zone, cc.order, false);
    } else if (status === COMPACT_PARTIAL_SKIPPED || status === COMPACT_COMPLETE) {
      drainAllPages(system, zone);
      deferCompaction(system, zone, cc.order);
    }
    count(system, 'compact_daemon_migrate_scanned', cc.totalMigrateScanned);
    count(system, 'compact_daemon_free_scanned', cc.totalFreeScanned);
  }
  if (task.maxOrder <= cc.order) {
    task.maxOrder = 0;
  }
  if (task.highestZone >= cc.classIndex) {
    task.highestZone = node.nrZones - 1;
  }
}

/** @kernel mm/compaction.c should_proactive_compact_node() */
function shouldCompactProactively(system: System, node: Node): boolean {
  if (proactiveness(system) === 0 || node.kswapd.state === 'running') {
    return false;
  }
  const low = system.mutation === 'proactive compaction begins at the low mark';
  const mark = fragmentationScoreWmark(proactiveness(system), low);
  return fragmentationScoreNode(system, node) > mark;
}

/** How a zone is compacted from one end to the other. */
function wholeZone(
  zone: Zone,
  task: Pick<CompactControl, 'mode' | 'proactive' | 'cpu'>,
): CompactControl {
  const whole = { order: -1, flags: NO_RIGHTS, wholeZone: true, ignoreSkipHint: true };
  return compactControl(zone, { ...whole, ...task });
}

/** @kernel mm/compaction.c proactive_compact_node() */
function* proactiveCompactNode(system: System, node: Node): Generator<number, void> {
  const how = { mode: 'sync-light' as const, proactive: true, cpu: cpuOf(system, node) };
  for (const zone of populatedZones(node, ZONE_MOVABLE)) {
    const { restNs } = yield* compactInTurns(system, wholeZone(zone, how));
    if (restNs > 0) {
      yield restNs;
    }
  }
}

/**
 * What it does when its moment has come; yields what that costs, bit by bit.
 * @kernel mm/compaction.c kcompactd()
 * @returns how long it waits then
 */
function* round(system: System, node: Node): Generator<number, number> {
  const task = node.kcompactd;
  const first = node.zones[0] as Zone;
  endWrites(system, task.nextNs);
  let waitNs = CHECK_NS;
  if (task.maxOrder > 0 && !task.triggered) {
    yield* doWork(system, node, first);
  } else {
    if (shouldCompactProactively(system, node)) {
      note(system, 'proactive compaction');
      const before = fragmentationScoreNode(system, node);
      yield* proactiveCompactNode(system, node);
      if (fragmentationScoreNode(system, node) >= before) {
        note(system, 'proactive compaction in vain');
        waitNs = CHECK_NS * FRUITLESS_CHECKS;
      }
    }
    task.triggered = false;
  }
  if (task.maxOrder > 0 || task.triggered) {
    // What was asked for meanwhile, or before it was told to look at the score, is done at once.
    return 0;
  }
  return proactiveness(system) === 0 ? Infinity : waitNs;
}

/** Lets it go on, or begin. @returns what that took */
export function kcompactdTurn(system: System, node: Node): number {
  const task = node.kcompactd;
  task.run ??= round(system, node);
  const step = task.run.next();
  task.nextNs += step.value;
  if (!step.done) {
    return step.value;
  }
  task.run = null;
  return 0;
}

/** The node has memory: it looks at its score for the first time after the usual while. @kernel mm/compaction.c kcompactd_run() */
export function runKcompactd(system: System, node: Node): void {
  const task = node.kcompactd;
  if (system.config.compaction === undefined || task.exists) {
    return;
  }
  Object.assign(task, { exists: true, maxOrder: 0, highestZone: node.nrZones - 1 });
  const waitNs = proactiveness(system) === 0 ? Infinity : CHECK_NS;
  task.nextNs = system.timeNs + (task.triggered ? 0 : waitNs);
}

/** The node has no memory any more: it ends what it is at in its zone. @kernel mm/compaction.c kcompactd_stop() */
export function stopKcompactd(node: Node): void {
  const task = node.kcompactd;
  task.exists = false;
  while (task.run !== null && task.run.next().done !== true) {
    // Nothing is left that it could move.
  }
  task.run = null;
  task.nextNs = Infinity;
}

/** Somebody writes to a node's `compact`. @kernel mm/compaction.c compact_node() */
export function compactNode(system: System, node: Node, cpu: number): void {
  endWrites(system, system.timeNs);
  for (const zone of node.zones) {
    const cc = wholeZone(zone, { mode: 'sync', proactive: false, cpu });
    compactZone(system, cc);
    system.timeNs += compactCostNs(system, cc);
  }
}
