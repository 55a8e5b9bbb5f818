import {
  COMPACT_COMPLETE,
  COMPACT_CONTINUE,
  COMPACT_PARTIAL_SKIPPED,
  COMPACT_SUCCESS,
  compactControl,
} from './compact-control';
import type { CompactControl } from './compact-control';
import { compactCostNs, compactZone } from './compact-zone';
import { deferCompaction, deferReset, isDeferred } from './compaction-defer';
import { note } from './events';
import {
  compactionSuitable,
  fragmentationScoreNode,
  fragmentationScoreWmark,
} from './fragmentation';
import { drainAllPages } from './pcp';
import { count } from './state';
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
  if (suitable) {
    note(system, 'kcompactd woken');
    task.nextNs = Math.min(task.nextNs, atNs + system.config.costs.kswapdWakeNs);
  }
}

/** @kernel mm/compaction.c compaction_proactiveness_sysctl_handler() */
export function triggerKcompactds(system: System): void {
  if (system.config.compaction === undefined || proactiveness(system) === 0) {
    return;
  }
  for (const { kcompactd, zones } of system.nodes) {
    if (zones.length > 0) {
      kcompactd.triggered = true;
      kcompactd.nextNs = Math.min(kcompactd.nextNs, system.timeNs);
    }
  }
}

/** @kernel mm/compaction.c kcompactd_do_work() @returns what it took */
function doWork(system: System, node: Node, first: Zone): number {
  const task = node.kcompactd;
  let costNs = 0;
  count(system, 'compact_daemon_wake');
  note(system, 'kcompactd worked');
  const cc: CompactControl = compactControl(first, {
    order: task.maxOrder,
    mode: 'sync-light',
    classIndex: task.highestZone,
    flags: NO_RIGHTS,
    cpu: cpuOf(system, node),
  });
  for (const zone of node.zones) {
    if (zone.index > cc.classIndex || isDeferred(system, zone, cc.order)) {
      continue;
    }
    if (compactionSuitable(system, zone, cc.order, NO_RIGHTS, zone.index) !== COMPACT_CONTINUE) {
      continue;
    }
    cc.zone = zone;
    const status = compactZone(system, cc);
    costNs += compactCostNs(system, cc);
    if (status === COMPACT_SUCCESS) {
      deferReset(system, zone, cc.order, false);
    } else if (status === COMPACT_PARTIAL_SKIPPED || status === COMPACT_COMPLETE) {
      drainAllPages(system, zone);
      deferCompaction(system, zone, cc.order);
    }
    count(system, 'compact_daemon_migrate_scanned', cc.totalMigrateScanned);
    count(system, 'compact_daemon_free_scanned', cc.totalFreeScanned);
  }
  task.maxOrder = 0;
  task.highestZone = node.zones.at(-1)?.index ?? 0;
  return costNs;
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

/** All zones of a node, whole. @returns what it took */
function compactWholeZones(
  system: System,
  node: Node,
  task: Pick<CompactControl, 'mode' | 'proactive' | 'cpu'>,
): number {
  let costNs = 0;
  for (const zone of node.zones) {
    const whole = { order: -1, flags: NO_RIGHTS, wholeZone: true, ignoreSkipHint: true };
    const cc = compactControl(zone, { ...whole, ...task });
    compactZone(system, cc);
    costNs += compactCostNs(system, cc);
  }
  return costNs;
}

/**
 * What it does when its moment has come.
 * @kernel mm/compaction.c kcompactd(), proactive_compact_node()
 * @returns what it took
 */
export function kcompactdTurn(system: System, node: Node): number {
  const task = node.kcompactd;
  const first = node.zones[0] as Zone;
  endWrites(system, task.nextNs);
  let waitNs = CHECK_NS;
  let costNs = 0;
  if (task.maxOrder > 0 && !task.triggered) {
    costNs = doWork(system, node, first);
  } else {
    if (shouldCompactProactively(system, node)) {
      note(system, 'proactive compaction');
      const before = fragmentationScoreNode(system, node);
      const how = { mode: 'sync-light' as const, proactive: true, cpu: cpuOf(system, node) };
      costNs = compactWholeZones(system, node, how);
      if (fragmentationScoreNode(system, node) >= before) {
        note(system, 'proactive compaction in vain');
        waitNs = CHECK_NS * FRUITLESS_CHECKS;
      }
    }
    task.triggered = false;
  }
  if (task.maxOrder > 0) {
    // What was asked for meanwhile, or before it was told to look at the score, is done at once.
    waitNs = 0;
  } else if (proactiveness(system) === 0) {
    waitNs = Infinity;
  }
  task.nextNs += costNs + waitNs;
  return costNs;
}

/** Somebody writes to a node's `compact`. @kernel mm/compaction.c compact_node() */
export function compactNode(system: System, node: Node, cpu: number): void {
  endWrites(system, system.timeNs);
  system.timeNs += compactWholeZones(system, node, { mode: 'sync', proactive: false, cpu });
}
