import { resetIsolationSuitable } from './compaction-defer';
import { note } from './events';
import { kcompactdTurn, wakeupKcompactd } from './kcompactd';
import { isInactiveLow } from './lru';
import { scanControl } from './scan-count';
import type { ScanControl } from './scan-count';
import {
  ACTIVE_ANON,
  INACTIVE_ANON,
  MAX_RECLAIM_RETRIES,
  PAGEBLOCK_ORDER,
  SWAP_CLUSTER_MAX,
  count,
  sum,
} from './state';
import type { Node, System, Zone } from './state';
import { endWrites } from './swap-write';
import { shrinkActiveList, shrinkNode } from './vmscan';
import { NO_RIGHTS, isWatermarkOk, wmarkPages } from './watermark';

const TICK_NS = 4_000_000;
/** HZ/10: the light sleep before the deep one. */
const NAP_NS = 100_000_000;
const SETTLE_NS = 1_000_000_000;

function zonesUpTo(node: Node, classIndex: number): Zone[] {
  return node.zones.filter((zone) => zone.index <= classIndex);
}

/**
 * One zone that passes its high mark is enough; a node without zones of the class is balanced.
 * @kernel mm/vmscan.c pgdat_balanced()
 */
export function isBalanced(system: System, node: Node, order: number, classIndex: number): boolean {
  const zones = zonesUpTo(node, classIndex);
  const mark = system.mutation === 'kswapd stops at low' ? 'low' : 'high';
  return (
    zones.length === 0 ||
    zones.some((zone) =>
      isWatermarkOk(system, zone, order, wmarkPages(zone, mark), classIndex, NO_RIGHTS, zone.free),
    )
  );
}

/** @kernel mm/vmscan.c pgdat_watermark_boosted() */
function isBoosted(node: Node, classIndex: number): boolean {
  return zonesUpTo(node, classIndex).some((zone) => zone.boost > 0);
}

/**
 * One pass, aiming at the sum of the high marks.
 * @kernel mm/vmscan.c kswapd_shrink_node()
 * @returns whether as many pages were scanned as should be reclaimed
 */
function* kswapdShrinkNode(
  system: System,
  node: Node,
  sc: ScanControl,
): Generator<number, boolean> {
  sc.nrToReclaim = sum(zonesUpTo(node, sc.reclaimIndex), (zone) =>
    Math.max(wmarkPages(zone, 'high'), SWAP_CLUSTER_MAX),
  );
  yield* shrinkNode(system, node, sc);
  if (sc.order > 0 && sc.nrReclaimed >= 2 << sc.order) {
    sc.order = 0;
  }
  return sc.nrScanned >= sc.nrToReclaim;
}

/**
 * Reclaims until one zone is above its high mark, or until what the boosts ask for is reclaimed.
 * @kernel mm/vmscan.c balance_pgdat()
 * @returns the order it ended with
 */
function* balancePgdat(
  system: System,
  node: Node,
  order: number,
  classIndex: number,
): Generator<number, number> {
  const zones = zonesUpTo(node, classIndex);
  const boosts = zones.map((zone) => zone.boost);
  const sc = scanControl({
    order,
    mayUnmap: true,
    kswapd: true,
    reclaimIndex: classIndex,
    cpu: Math.max(
      system.cpus.findIndex((cpu) => cpu.node === node),
      0,
    ),
  });
  let boostReclaim = sum(boosts, (boost) => boost);
  count(system, 'pageoutrun');
  note(system, 'kswapd run');
  note(system, 'kswapd run for a boost', boostReclaim > 0 ? 1 : 0);
  zones.forEach((zone) => (zone.reclaimActive = true));

  let satisfied = false;
  while (sc.priority >= 1) {
    const before = sc.nrReclaimed;
    const balanced = isBalanced(system, node, sc.order, classIndex);
    if (!balanced && boostReclaim > 0) {
      boostReclaim = 0;
      sc.priority = 12;
      continue;
    }
    if (boostReclaim === 0 && balanced) {
      satisfied = true;
      break;
    }
    let raisePriority = !(boostReclaim > 0 && sc.priority === 10);
    sc.mayWritepage = boostReclaim === 0 || sc.priority < 10;
    sc.maySwap = boostReclaim === 0;
    endWrites(system, node.kswapd.nowNs);
    if (system.config.swapPages > 0 && isInactiveLow(node, INACTIVE_ANON)) {
      shrinkActiveList(system, node, sc, ACTIVE_ANON, SWAP_CLUSTER_MAX);
    }
    sc.nrScanned = 0;
    if (yield* kswapdShrinkNode(system, node, sc)) {
      raisePriority = false;
    }
    if (!node.hasMemory) {
      break;
    }
    const reclaimed = sc.nrReclaimed - before;
    boostReclaim -= Math.min(boostReclaim, reclaimed);
    if (boostReclaim > 0 && reclaimed === 0) {
      break;
    }
    if (raisePriority || reclaimed === 0) {
      sc.priority--;
    }
  }
  if (!satisfied && sc.nrReclaimed === 0) {
    node.kswapd.failures++;
    note(system, 'kswapd gave up', node.kswapd.failures === MAX_RECLAIM_RETRIES ? 1 : 0);
  }
  zonesUpTo(node, classIndex).forEach((zone) => (zone.reclaimActive = false));
  zones.forEach((zone, i) => (zone.boost -= Math.min(zone.boost, boosts[i] ?? 0)));
  if (boosts.some((boost) => boost > 0)) {
    wakeupKcompactd(system, node, PAGEBLOCK_ORDER, classIndex, node.kswapd.nowNs);
  }
  return sc.order;
}

/** Does this kswapd compete for its only CPU with the task that allocates? */
function sharesCpu(system: System, node: Node): boolean {
  const running = system.cpus[system.runningCpu];
  return node.cpus.length === 1 && running !== undefined && running.node === node;
}

/** It is woken: it goes to work when it gets a CPU. */
function startRun(system: System, node: Node, atNs: number): void {
  const kswapd = node.kswapd;
  kswapd.state = 'running';
  kswapd.nextNs = atNs;
  kswapd.run = system.mutation === 'kswapd runs for what woke it' ? beginRun(system, node) : null;
}

/**
 * A run for the order and class asked for since the last one began; nobody asked: order 0, the last class. What is asked for
 * between the wake-up and this moment counts.
 * @kernel mm/vmscan.c kswapd(), kswapd_highest_zoneidx()
 */
function beginRun(system: System, node: Node): Iterator<number, number> {
  const kswapd = node.kswapd;
  const wanted = system.mutation === 'kswapd runs for every class' ? 3 : kswapd.wantedClass;
  kswapd.order = kswapd.wantedOrder;
  kswapd.class = wanted === -1 ? kswapd.class : wanted;
  kswapd.wantedOrder = 0;
  kswapd.wantedClass = -1;
  return balancePgdat(system, node, kswapd.order, kswapd.class);
}

/**
 * @kernel mm/vmscan.c wakeup_kswapd()
 * @param directReclaim the request may reclaim and compact by itself
 */
export function wakeupKswapd(
  system: System,
  node: Node,
  order: number,
  classIndex: number,
  directReclaim: boolean,
): void {
  const kswapd = node.kswapd;
  kswapd.wantedClass = Math.max(kswapd.wantedClass, classIndex);
  kswapd.wantedOrder = Math.max(kswapd.wantedOrder, order);
  if (kswapd.state === 'running') {
    return;
  }
  const hopeless = kswapd.failures >= MAX_RECLAIM_RETRIES;
  if (hopeless || (isBalanced(system, node, order, classIndex) && !isBoosted(node, classIndex))) {
    if (!directReclaim) {
      wakeupKcompactd(system, node, order, classIndex, system.timeNs);
    }
    return;
  }
  if (kswapd.state === 'napping') {
    note(system, 'kswapd woken from its nap');
    count(system, 'kswapd_low_wmark_hit_quickly');
    kswapd.wantedOrder = Math.max(kswapd.wantedOrder, kswapd.restOrder);
  }
  note(system, 'kswapd woken');
  const delay = sharesCpu(system, node) ? 0 : system.config.costs.kswapdWakeNs;
  startRun(system, node, system.timeNs + delay);
}

/** @kernel mm/vmscan.c prepare_kswapd_sleep() */
function mayRest(system: System, node: Node): boolean {
  const { failures, restOrder, restClass } = node.kswapd;
  return failures >= MAX_RECLAIM_RETRIES || isBalanced(system, node, restOrder, restClass);
}

/**
 * What a kswapd does when its run is over. If it was for single pages in the end, though more was wanted, it
 * rests when these are there; else what was asked for since it began counts.
 * @kernel mm/vmscan.c kswapd(), kswapd_try_to_sleep()
 * @param order the order it ended with
 */
function endRun(system: System, node: Node, atNs: number, order: number): void {
  const kswapd = node.kswapd;
  kswapd.run = null;
  kswapd.restOrder = order;
  kswapd.restClass = kswapd.class;
  if (order === kswapd.order && system.mutation !== 'kswapd forgets wake-ups while it runs') {
    kswapd.restOrder = kswapd.wantedOrder;
    kswapd.restClass = kswapd.wantedClass === -1 ? kswapd.class : kswapd.wantedClass;
  }
  if (mayRest(system, node)) {
    note(system, 'kswapd napped');
    kswapd.state = 'napping';
    kswapd.nextNs = atNs + NAP_NS;
    if (system.config.compaction !== undefined) {
      resetIsolationSuitable(system, node);
      const wanted = order === kswapd.order ? kswapd.restOrder : kswapd.order;
      wakeupKcompactd(system, node, wanted, kswapd.restClass, atNs);
    }
  } else {
    note(system, 'kswapd run went on');
    count(system, 'kswapd_high_wmark_hit_quickly');
    startRun(system, node, atNs + system.config.costs.reclaimRoundNs);
  }
}

/** The node has memory: kswapd looks around, finds nothing to do and naps. @kernel mm/vmscan.c kswapd_run() */
export function runKswapd(system: System, node: Node): void {
  const { kswapd } = node;
  Object.assign(kswapd, { wantedOrder: 0, wantedClass: -1, order: 0, class: 3, run: null });
  endRun(system, node, system.timeNs, 0);
}

/** The node has no memory any more: a run under way ends as it is. @kernel mm/vmscan.c kswapd_stop() */
export function stopKswapd(node: Node): void {
  const { kswapd } = node;
  while (kswapd.run !== null && kswapd.run.next().done !== true) {
    // Its lists are empty.
  }
  Object.assign(kswapd, { state: 'asleep', nextNs: Infinity, run: null });
}

function wakeFromNap(system: System, node: Node): void {
  const kswapd = node.kswapd;
  if (mayRest(system, node)) {
    note(system, 'kswapd fell asleep');
    kswapd.state = 'asleep';
    kswapd.nextNs = Infinity;
    return;
  }
  count(system, 'kswapd_high_wmark_hit_quickly');
  startRun(system, node, sharesCpu(system, node) ? system.timeNs : kswapd.nextNs);
}

/**
 * How long a kswapd that shares its CPU with the allocating task runs, and then lets it run: its share of a period of 6, 12, 18 or
 * 24 ms (1, 2, 4, 8 CPUs and more) is half; it is sent away at the first tick at which it had more.
 */
function sliceNs(system: System): number {
  let period = 6_000_000;
  for (let cpus = 2; cpus <= Math.min(system.cpus.length, 8); cpus *= 2) {
    period += 6_000_000;
  }
  let slice = 0;
  while (slice <= period / 2) {
    slice += TICK_NS;
  }
  return slice;
}

/** Lets a kswapd act once: a slice on a shared CPU, else one step on its own. */
function turn(system: System, node: Node): void {
  const kswapd = node.kswapd;
  if (kswapd.state !== 'running') {
    wakeFromNap(system, node);
    return;
  }
  const shares = sharesCpu(system, node);
  const slice = sliceNs(system);
  let spent = 0;
  kswapd.nowNs = shares ? system.timeNs : kswapd.nextNs;
  kswapd.run ??= beginRun(system, node);
  const { run } = kswapd;
  let step = run.next();
  while (!step.done) {
    spent += step.value;
    if (!shares || spent >= slice) {
      break;
    }
    kswapd.nowNs = system.timeNs + spent;
    step = run.next();
  }
  if (shares) {
    system.timeNs += spent;
    kswapd.nextNs = system.timeNs + slice;
  } else {
    kswapd.nextNs += spent;
  }
  if (step.done) {
    endRun(system, node, shares ? system.timeNs : kswapd.nextNs, step.value);
  }
}

/** The kswapd that is to act first; of equals the one of the lower node. */
function earliest(nodes: readonly Node[]): Node | undefined {
  return nodes.reduce<Node | undefined>(
    (best, node) => (best === undefined || node.kswapd.nextNs < best.kswapd.nextNs ? node : best),
    undefined,
  );
}

/** The kcompactd that is to act first; of equals the one of the lower node. */
function earliestCompactor(nodes: readonly Node[]): Node | undefined {
  return nodes.reduce<Node | undefined>(
    (best, node) =>
      best === undefined || node.kcompactd.nextNs < best.kcompactd.nextNs ? node : best,
    undefined,
  );
}

/** Lets every kswapd and every kcompactd act whose time has come; of equals kswapd first. */
export function letKswapdsAct(system: System): void {
  for (;;) {
    const node = earliest(system.nodes);
    const compactor = earliestCompactor(system.nodes);
    if (node === undefined || compactor === undefined) {
      break;
    }
    if (Math.min(node.kswapd.nextNs, compactor.kcompactd.nextNs) > system.timeNs) {
      break;
    }
    if (node.kswapd.nextNs <= compactor.kcompactd.nextNs) {
      turn(system, node);
    } else {
      const costNs = kcompactdTurn(system, compactor);
      system.timeNs += sharesCpu(system, compactor) ? costNs : 0;
    }
  }
  endWrites(system, system.timeNs);
}

/** Time passes until no kswapd runs, for a second at most. */
export function settle(system: System): void {
  const limitNs = system.timeNs + SETTLE_NS;
  for (;;) {
    const node = earliest(system.nodes.filter((n) => n.kswapd.state === 'running'));
    if (node === undefined || node.kswapd.nextNs > limitNs) {
      break;
    }
    system.timeNs = Math.max(system.timeNs, node.kswapd.nextNs);
    turn(system, node);
  }
  endWrites(system, system.timeNs);
}
