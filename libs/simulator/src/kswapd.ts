/** The background reclaimer of each node. */
import { DEF_PRIORITY, KSWAPD_MAX_FAILURES, SWAP_CLUSTER_MAX, ZONE_MOVABLE } from './constants';
import { countVm, type KernelState } from './kernel-state';
import { LRU_ACTIVE_ANON, LRU_INACTIVE_ANON } from './lru';
import { canSwap } from './swap';
import { scanControl, shrinkActiveList, shrinkNodeSteps, type ScanControl } from './vmscan';
import { zoneWatermarkOk } from './watermark';
import type { NodeState } from './zone';

/** Nap after balancing, before kswapd sleeps for good. @kernel mm/vmscan.c kswapd_try_to_sleep() */
const NAP_NS = 100_000_000;
/** Turn of each when kswapd and allocators share the node's CPUs: one tick of the scheduler (HZ=250). */
const SLICE_NS = 4_000_000;
/** After a step kswapd has this long to finish before the state is read. */
const STEP_END_NS = 1_000_000_000;

/** `allocatorCpu` while nobody allocates. */
const NO_CPU = -1;

/** The rule by which kswapd and allocators take turns; printed with every result. */
export const SCHEDULE_RULE =
  'kswapd of each node and the allocating task go on side by side in virtual time. An allocation that ' +
  'finds every allowed zone below its low mark wakes the kswapd of each of its nodes and goes on at the ' +
  'min mark; below that it reclaims directly. kswapd starts kswapdWakeNs later and works in batches of ' +
  '32 pages per list, each taking what the hardware profile says; whoever is behind in virtual time acts ' +
  'next (lower node first on a tie). It works until one zone of its node is above its high mark, naps ' +
  '100 ms, looks again and sleeps. When the only CPU of its node runs an allocator, kswapd preempts at once and ' +
  'both take turns of 4 ms. After a step kswapd has up to 1 s to finish before the state is read';

/** One zone above its high mark is enough. @kernel mm/vmscan.c pgdat_balanced() */
export function pgdatBalanced(node: NodeState): boolean {
  if (node.zones.length === 0) return true;
  return node.zones.some((zone) => zoneWatermarkOk(zone, 0, zone.high, ZONE_MOVABLE));
}

/**
 * Wakes a node's kswapd, unless it works already, is hopeless or has nothing to do.
 * @kernel mm/vmscan.c wakeup_kswapd()
 */
export function wakeupKswapd(k: KernelState, node: NodeState): void {
  const task = node.kswapd;
  if (task.state === 'running' || node.kswapdFailures >= KSWAPD_MAX_FAILURES) return;
  const boosted = node.zones.some((zone) => zone.boost > 0);
  if (pgdatBalanced(node) && !boosted) return;
  if (task.state === 'napping') countVm(k, 'kswapd_low_wmark_hit_quickly');
  const latencyNs = sharesCpu(k, node) ? 0 : k.hardware.kswapdWakeNs;
  startRun(k, node, k.timeNs + latencyNs);
  noteWake(k, node);
}

function startRun(k: KernelState, node: NodeState, atNs: number): void {
  node.kswapd = { state: 'running', nextNs: atNs, run: balancePgdat(k, node) };
}

/**
 * The node's only CPU runs an allocator, so that kswapd has to take turns with it.
 * @differs on nodes with more CPUs kswapd always finds one to itself
 */
function sharesCpu(k: KernelState, node: NodeState): boolean {
  if (node.cpus.length !== 1) return false;
  return [...k.busyCpus, k.allocatorCpu].some((at) => k.cpus[at]?.node === node);
}

function nextTask(k: KernelState): NodeState | undefined {
  let next: NodeState | undefined;
  for (const node of k.nodes) {
    if (node.kswapd.nextNs < (next?.kswapd.nextNs ?? Infinity)) next = node;
  }
  return next;
}

/** Lets every kswapd catch up with the virtual time of the allocating task. */
export function advanceKswapd(k: KernelState): void {
  for (let node = nextTask(k); node && node.kswapd.nextNs <= k.timeNs; node = nextTask(k)) {
    takeTurn(k, node);
  }
}

/** How many of `want` faults fit before some kswapd acts again. */
export function pagesBeforeKswapd(k: KernelState, want: number): number {
  const next = nextTask(k);
  if (!next) return want;
  const ns = (next.kswapd.nextNs - k.timeNs) * Math.max(k.busyCpus.length, 1);
  return Math.min(want, Math.max(Math.ceil(ns / k.hardware.faultNs), 1));
}

/** Time passes without allocations until no kswapd is at work, for a second at most. */
export function finishKswapd(k: KernelState): void {
  k.allocatorCpu = NO_CPU;
  const untilNs = k.timeNs + STEP_END_NS;
  for (let node = working(k); node; node = working(k)) {
    if (node.kswapd.nextNs > untilNs) return;
    k.timeNs = Math.max(k.timeNs, node.kswapd.nextNs);
    takeTurn(k, node);
  }
}

function working(k: KernelState): NodeState | undefined {
  let next: NodeState | undefined;
  for (const node of k.nodes) {
    if (node.kswapd.state !== 'running') continue;
    if (!next || node.kswapd.nextNs < next.kswapd.nextNs) next = node;
  }
  return next;
}

function takeTurn(k: KernelState, node: NodeState): void {
  const task = node.kswapd;
  if (task.state !== 'running') return wakeFromNap(k, node);
  const shared = sharesCpu(k, node);
  let spentNs = 0;
  let step = task.run!.next();
  while (!step.done) {
    spentNs += step.value;
    if (!shared || spentNs >= SLICE_NS) break;
    step = task.run!.next();
  }
  if (shared) k.timeNs += spentNs;
  task.nextNs = shared ? k.timeNs + SLICE_NS : task.nextNs + spentNs;
  if (step.done) endRun(k, node, step.value, shared ? k.timeNs : task.nextNs);
}

/** @kernel mm/vmscan.c kswapd_try_to_sleep(), prepare_kswapd_sleep() */
function endRun(k: KernelState, node: NodeState, reclaimed: number, nowNs: number): void {
  k.totals.kswapdReclaimedPages += reclaimed;
  noteSleep(k, node, reclaimed, nowNs);
  if (node.kswapdFailures >= KSWAPD_MAX_FAILURES) {
    node.kswapd = { state: 'asleep', nextNs: Infinity };
  } else if (pgdatBalanced(node)) {
    node.kswapd = { state: 'napping', nextNs: nowNs + NAP_NS };
  } else {
    countVm(k, 'kswapd_high_wmark_hit_quickly');
    startRun(k, node, nowNs + k.hardware.reclaimRoundNs);
  }
}

function wakeFromNap(k: KernelState, node: NodeState): void {
  if (pgdatBalanced(node)) {
    node.kswapd = { state: 'asleep', nextNs: Infinity };
    return;
  }
  countVm(k, 'kswapd_high_wmark_hit_quickly');
  startRun(k, node, node.kswapd.nextNs);
  noteWake(k, node);
}

/** A step's first wake-up per node; `noteSleep` follows with its last sleep and the sum reclaimed. */
function noteWake(k: KernelState, node: NodeState): void {
  const { id: nodeId } = node;
  if (k.events.some((event) => event.type === 'kswapd_wake' && event.nodeId === nodeId)) return;
  k.events.push({ type: 'kswapd_wake', timeNs: k.timeNs, nodeId });
}

function noteSleep(k: KernelState, node: NodeState, reclaimedPages: number, timeNs: number): void {
  for (const event of k.events) {
    if (event.type === 'kswapd_sleep' && event.nodeId === node.id) {
      event.timeNs = timeNs;
      event.reclaimedPages += reclaimedPages;
      return;
    }
  }
  k.events.push({ type: 'kswapd_sleep', timeNs, nodeId: node.id, reclaimedPages });
}

function kswapdCpu(k: KernelState, node: NodeState): number {
  const own = k.cpus.find((cpu) => cpu.node === node);
  return (own ?? k.cpus[0]!).position;
}

/**
 * Balances a node; yields the cost of each batch in ns and returns the pages reclaimed.
 * @kernel mm/vmscan.c balance_pgdat()
 */
function* balancePgdat(k: KernelState, node: NodeState): Generator<number, number> {
  countVm(k, 'pageoutrun');
  let boostPages = node.zones.reduce((sum, zone) => sum + zone.boost, 0);
  const boosts = node.zones.map((zone) => zone.boost);
  const sc = scanControl({ cpu: kswapdCpu(k, node), kswapd: true });
  for (const zone of node.zones) zone.reclaimActive = true;
  let balanced = false;
  while (sc.priority >= 1) {
    balanced = pgdatBalanced(node);
    if (!balanced && boostPages > 0) {
      boostPages = 0;
      sc.priority = DEF_PRIORITY;
    }
    if (balanced && boostPages === 0) break;
    const before = sc.nrReclaimed;
    const enough = yield* kswapdShrinkNode(k, node, sc, boostPages > 0);
    const gained = sc.nrReclaimed - before;
    if (boostPages > 0 && gained === 0) break;
    boostPages = Math.max(boostPages - gained, 0);
    if (!enough || gained === 0) sc.priority -= 1;
  }
  if (sc.nrReclaimed === 0 && !balanced) node.kswapdFailures += 1;
  node.zones.forEach((zone, i) => {
    zone.reclaimActive = false;
    zone.boost = Math.max(zone.boost - boosts[i]!, 0);
  });
  node.refaultsSeen = [...node.refaults];
  return sc.nrReclaimed;
}

/** @returns true if so much was scanned that a higher priority is not called for */
function* kswapdShrinkNode(
  k: KernelState,
  node: NodeState,
  sc: ScanControl,
  boosting: boolean,
): Generator<number, boolean> {
  sc.mayWritepage = !boosting;
  sc.maySwap = !boosting;
  if (canSwap(k) && node.lists[LRU_INACTIVE_ANON]!.pages < node.lists[LRU_ACTIVE_ANON]!.pages) {
    shrinkActiveList(k, node, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX);
  }
  sc.nrScanned = 0;
  sc.nrToReclaim = node.zones.reduce(
    (sum, zone) => sum + Math.max(zone.high + zone.boost, SWAP_CLUSTER_MAX),
    0,
  );
  const pass = shrinkNodeSteps(k, node, sc);
  while (!pass.next().done) yield settleCost(sc);
  yield settleCost(sc);
  return sc.nrScanned >= sc.nrToReclaim || (boosting && sc.priority === DEF_PRIORITY - 2);
}

function settleCost(sc: ScanControl): number {
  const { costNs } = sc;
  sc.costNs = 0;
  return costNs;
}
