/** The background reclaimer of each node. */
import { compactGap } from './compaction-suitable';
import { resetIsolationSuitable } from './compaction-defer';
import { DEF_PRIORITY, KSWAPD_MAX_FAILURES, SWAP_CLUSTER_MAX, ZONE_MOVABLE } from './constants';
import { advanceFlusher, flusherTurn } from './flusher';
import { setPercpuThreshold } from './free-count';
import { BOOST_COMPACT_ORDER, kcompactdTurn, nodeCpu, wakeupKcompactd } from './kcompactd';
import { countVm, type KernelState } from './kernel-state';
import { LRU_ACTIVE_ANON, LRU_INACTIVE_ANON } from './lru';
import { lruvecsOf, statRefaults } from './lruvec';
import { flushMemcgStats } from './memcg-stats';
import type { KernelProfile } from './profile';
import { canAgeAnon } from './swap';
import { ReclaimPass } from './reclaim-pass';
import { scanControl, type ScanControl } from './scan-control';
import { inactiveIsLow } from './scan-count';
import { endWrites } from './swap-write';
import { shrinkActiveList } from './vmscan';
import { vmstatDueNs } from './vmstat-work';
import { zoneWatermarkOkSafe } from './watermark';
import type { KswapdRun, KswapdTask, NodeState } from './zone';

/** Nap after balancing, before kswapd sleeps for good. @kernel mm/vmscan.c kswapd_try_to_sleep() */
const NAP_NS = 100_000_000;
/** The scheduler looks at running tasks at each tick (HZ=250). */
const TICK_NS = 4_000_000;

/** `allocatorCpu` while nobody allocates. */
const NO_CPU = -1;
/** Nobody asked for a class since the last run began. */
const NO_CLASS = -1;

/** A kswapd that has not been woken yet. */
export function sleepingKswapd(): KswapdTask {
  return {
    state: 'asleep',
    awake: false,
    nextNs: Infinity,
    nowNs: 0,
    order: 0,
    classIndex: NO_CLASS,
    runOrder: 0,
    runClass: ZONE_MOVABLE,
    restOrder: 0,
    restClass: ZONE_MOVABLE,
    run: undefined,
  };
}

/** The rule by which kswapd and allocators take turns; printed with every result. */
export const SCHEDULE_RULE =
  'kswapd of each node and the allocating task go on side by side in virtual time. An allocation that ' +
  'finds every allowed zone below its low mark wakes the kswapd of each of its nodes and goes on at the ' +
  'min mark; below that it reclaims directly. kswapd starts kswapdWakeNs later, for the largest order and ' +
  'highest class asked for until then, and works in batches of 32 pages per list, each taking what the hardware profile says; whoever is behind in virtual time acts ' +
  'next (lower node first on a tie). It works until one zone of its node is above its high mark, naps ' +
  '100 ms, looks again and sleeps. When the only CPU of its node runs an allocator, kswapd preempts at once and ' +
  'both take turns of one scheduler slice. The state after a step is read 30 ms later; a settle step waits until every kswapd rests, 8 s at most. ' +
  'The flusher takes part in the same way: woken by reclaim that meets only dirty pages, by dirty cache above ' +
  'its background threshold or by its timer, it writes file by file at writebackPagesPerSecond';

/** One zone above its high mark is enough. @kernel mm/vmscan.c pgdat_balanced() */
export function pgdatBalanced(node: NodeState, order = 0, classIndex = ZONE_MOVABLE): boolean {
  const request = { order, classIndex, flags: 0 };
  let eligible = false;
  for (const zone of node.zones) {
    if (zone.index > classIndex) continue;
    eligible = true;
    if (zoneWatermarkOkSafe(zone, zone.high, request)) return true;
  }
  return !eligible;
}

/**
 * Wakes a node's kswapd, unless it works already, is hopeless or has nothing to do.
 * @param order, classIndex what the failing request asked for
 * @param directReclaim the request may reclaim and compact itself
 * @kernel mm/vmscan.c wakeup_kswapd()
 */
export function wakeupKswapd(
  k: KernelState,
  node: NodeState,
  order: number,
  classIndex: number,
  directReclaim = true,
): void {
  const task = node.kswapd;
  task.order = Math.max(task.order, order);
  task.classIndex = Math.max(task.classIndex, classIndex);
  if (task.state === 'running') return;
  const boosted = node.zones.some((zone) => zone.index <= classIndex && zone.boost > 0);
  const hopeless = node.kswapdFailures >= KSWAPD_MAX_FAILURES;
  if (hopeless || (pgdatBalanced(node, order, classIndex) && !boosted)) {
    // Enough is free, only not in one piece: who cannot compact itself leaves that to kcompactd.
    if (!directReclaim) wakeupKcompactd(k, node, order, classIndex, k.timeNs);
    return;
  }
  if (task.state === 'napping') {
    countVm(k, 'kswapd_low_wmark_hit_quickly');
    task.order = Math.max(task.order, task.restOrder);
  }
  const latencyNs = sharesCpu(k, node) ? 0 : k.hardware.kswapdWakeNs;
  startRun(node, k.timeNs + latencyNs);
  noteWake(k, node);
}

/** A further wake-up changes nothing: it works already, or is hopeless. */
export function isSettled(node: NodeState): boolean {
  return node.kswapd.state === 'running' || node.kswapdFailures >= KSWAPD_MAX_FAILURES;
}

/** It goes to work as soon as it has a CPU. */
function startRun(node: NodeState, atNs: number): void {
  const task = node.kswapd;
  task.state = 'running';
  task.nextNs = atNs;
  task.run = undefined;
}

/**
 * It has its CPU: a run for all that was asked for since the last one began; what nobody asked for stays as it was.
 * @kernel mm/vmscan.c kswapd(), kswapd_highest_zoneidx()
 */
function beginRun(k: KernelState, node: NodeState): Generator<number, KswapdRun> {
  const task = node.kswapd;
  task.runOrder = task.order;
  if (task.classIndex >= 0) task.runClass = task.classIndex;
  task.order = 0;
  task.classIndex = NO_CLASS;
  return balancePgdat(k, node, task.runOrder, task.runClass);
}

/**
 * The node's only CPU runs an allocator, so that kswapd has to take turns with it.
 * @differs on nodes with more CPUs kswapd always finds one to itself
 */
function sharesCpu(k: KernelState, node: NodeState): boolean {
  if (node.cpus.length !== 1) return false;
  if (k.cpus[k.allocatorCpu]?.node === node) return true;
  return k.busyCpus.some((at) => k.cpus[at]!.node === node);
}

/**
 * Turn of each of two tasks on one CPU: the profile's, which grows with the machine up to eight CPUs, until the tick after it.
 * @kernel kernel/sched/fair.c check_preempt_tick(), get_update_sysctl_factor()
 */
export function sliceNs({ schedTurnNs }: KernelProfile, cpus: number): number {
  const turn = schedTurnNs * (1 + Math.floor(Math.log2(Math.min(cpus, 8))));
  return (Math.floor(turn / TICK_NS) + 1) * TICK_NS;
}

/** When a kswapd, a kcompactd or the flusher acts next. */
function nextTurnNs(k: KernelState): number {
  let { nextNs } = k.flusher;
  const { compaction } = k;
  for (const { kswapd, kcompactd } of k.nodes) {
    if (kswapd.nextNs < nextNs) nextNs = kswapd.nextNs;
    if (compaction && kcompactd.nextNs < nextNs) nextNs = kcompactd.nextNs;
  }
  return nextNs;
}

/** The node whose kcompactd acts next. */
function nextCompactor(k: KernelState): NodeState | undefined {
  let next: NodeState | undefined;
  if (!k.compaction) return next;
  let nextNs = Infinity;
  for (const node of k.nodes) {
    if (node.kcompactd.nextNs >= nextNs) continue;
    next = node;
    ({ nextNs } = node.kcompactd);
  }
  return next;
}

/** Lets every kswapd, every kcompactd and the flusher catch up with the virtual time of the allocating task. */
export function advanceKswapd(k: KernelState): void {
  flushMemcgStats(k);
  for (;;) {
    const nextNs = nextTurnNs(k);
    if (nextNs > k.timeNs) break;
    const node = k.nodes.find(({ kswapd }) => kswapd.nextNs === nextNs);
    if (node) {
      takeTurn(k, node);
      continue;
    }
    const compactor = nextCompactor(k);
    if (compactor?.kcompactd.nextNs === nextNs) compact(k, compactor);
    else flusherTurn(k);
  }
  endWrites(k, k.timeNs);
}

/** A kcompactd acts; where the node's only CPU runs an allocator, that waits meanwhile. */
function compact(k: KernelState, node: NodeState): void {
  const shared = sharesCpu(k, node);
  const costNs = kcompactdTurn(k, node);
  if (shared) k.timeNs += costNs;
}

/** Lets every kcompactd that is due act. */
export function advanceKcompactd(k: KernelState): void {
  for (let node = nextCompactor(k); node; node = nextCompactor(k)) {
    if (node.kcompactd.nextNs > k.timeNs) return;
    compact(k, node);
  }
}

/** How many requests of a cost fit before some kswapd or the flusher acts again. */
export function pagesBeforeKswapd(k: KernelState, costNs: number): number {
  const nextNs = Math.min(nextTurnNs(k), vmstatDueNs(k), k.statsFlushNs);
  if (nextNs === Infinity || costNs <= 0) return Infinity;
  const ns = (nextNs - k.timeNs) * Math.max(k.busyCpus.length, 1);
  return Math.max(Math.ceil(ns / costNs), 1);
}

/** Time passes without allocations until no kswapd is at work, for `mostNs` at most. */
export function finishKswapd(k: KernelState, mostNs: number): void {
  k.allocatorCpu = NO_CPU;
  const untilNs = k.timeNs + mostNs;
  for (let node = working(k); node; node = working(k)) {
    if (node.kswapd.nextNs > untilNs) break;
    k.timeNs = Math.max(k.timeNs, node.kswapd.nextNs);
    advanceFlusher(k);
    takeTurn(k, node);
  }
  endWrites(k, k.timeNs);
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
  if (!task.awake) {
    task.awake = true;
    setPercpuThreshold(node, k.cpus.length, true);
  }
  const shared = sharesCpu(k, node);
  const slice = sliceNs(k.profile, k.cpus.length);
  let spentNs = 0;
  task.nowNs = shared ? k.timeNs : task.nextNs;
  const run = (task.run ??= beginRun(k, node));
  let step = run.next();
  while (!step.done) {
    spentNs += step.value;
    if (!shared || spentNs >= slice) break;
    task.nowNs = k.timeNs + spentNs;
    step = run.next();
  }
  if (shared) k.timeNs += spentNs;
  task.nextNs = shared ? k.timeNs + slice : task.nextNs + spentNs;
  if (step.done) endRun(k, node, step.value, shared ? k.timeNs : task.nextNs);
}

/** @kernel mm/vmscan.c kswapd(), kswapd_try_to_sleep() */
function endRun(k: KernelState, node: NodeState, result: KswapdRun, nowNs: number): void {
  const task = node.kswapd;
  k.totals.kswapdReclaimedPages += result.reclaimed;
  noteSleep(k, node, result.reclaimed, nowNs);
  // What was asked for meanwhile decides, unless reclaim fell back to single pages.
  const fellBack = result.order < task.runOrder;
  task.restOrder = fellBack ? result.order : task.order;
  task.restClass = fellBack || task.classIndex === NO_CLASS ? task.runClass : task.classIndex;
  rest(k, node, fellBack ? task.runOrder : task.restOrder, nowNs);
}

/**
 * It naps if all is well, and goes on if not.
 * @param compactOrder what is asked of kcompactd
 * @kernel mm/vmscan.c kswapd_try_to_sleep()
 */
function rest(k: KernelState, node: NodeState, compactOrder: number, nowNs: number): void {
  const task = node.kswapd;
  if (mayRest(node)) {
    task.state = 'napping';
    task.nextNs = nowNs + NAP_NS;
    prepareCompaction(k, node, compactOrder, nowNs);
  } else {
    countVm(k, 'kswapd_high_wmark_hit_quickly');
    startRun(node, nowNs + k.hardware.reclaimRoundNs);
  }
}

/** It is hopeless, or what it looks at before it rests is in balance. @kernel mm/vmscan.c prepare_kswapd_sleep() */
function mayRest(node: NodeState): boolean {
  const { restOrder, restClass } = node.kswapd;
  return node.kswapdFailures >= KSWAPD_MAX_FAILURES || pgdatBalanced(node, restOrder, restClass);
}

/** Memory was freed: compaction may begin anew, also for an order that reclaim gave up. */
function prepareCompaction(k: KernelState, node: NodeState, order: number, nowNs: number): void {
  resetIsolationSuitable(k, node);
  wakeupKcompactd(k, node, order, node.kswapd.restClass, nowNs);
}

/** The node has memory: kswapd looks around, finds nothing to do and naps. @kernel mm/vmscan.c kswapd_run() */
export function runKswapd(k: KernelState, node: NodeState): void {
  node.kswapd = sleepingKswapd();
  rest(k, node, 0, k.timeNs);
}

/** The node has no memory any more: a run under way ends as it is. @kernel mm/vmscan.c kswapd_stop() */
export function stopKswapd(node: NodeState): void {
  const { run } = node.kswapd;
  while (run && run.next().done !== true);
  node.kswapd = sleepingKswapd();
}

function wakeFromNap(k: KernelState, node: NodeState): void {
  const task = node.kswapd;
  if (mayRest(node)) {
    sleep(k, node);
    return;
  }
  countVm(k, 'kswapd_high_wmark_hit_quickly');
  // Where it has to wait for its CPU, who is due meanwhile comes first.
  startRun(node, sharesCpu(k, node) ? k.timeNs : task.nextNs);
  noteWake(k, node);
}

function sleep(k: KernelState, node: NodeState): void {
  const task = node.kswapd;
  task.state = 'asleep';
  task.awake = false;
  task.nextNs = Infinity;
  setPercpuThreshold(node, k.cpus.length, false);
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

/**
 * Balances a node; yields the cost of each batch in ns.
 * @kernel mm/vmscan.c balance_pgdat()
 */
function* balancePgdat(
  k: KernelState,
  node: NodeState,
  order: number,
  classIndex: number,
): Generator<number, KswapdRun> {
  countVm(k, 'pageoutrun');
  const zones = node.zones.filter((zone) => zone.index <= classIndex);
  const boosts = zones.map((zone) => zone.boost);
  let boostPages = boosts.reduce((sum, boost) => sum + boost, 0);
  const sc = scanControl({ cpu: nodeCpu(k, node), kswapd: true, order, classIndex });
  for (const zone of zones) zone.reclaimActive = true;
  let done = false;
  while (mayGoOn(k, sc)) {
    const balanced = pgdatBalanced(node, sc.order, classIndex);
    if (!balanced && boostPages > 0) {
      boostPages = 0;
      sc.priority = DEF_PRIORITY;
    }
    done = balanced && boostPages === 0;
    if (done) break;
    const before = sc.nrReclaimed;
    const enough = yield* kswapdShrinkNode(k, node, sc, boostPages > 0);
    // It was told to stop.
    if (node.zones.length === 0) break;
    if (sc.order > 0 && sc.nrReclaimed >= compactGap(sc.order)) sc.order = 0;
    const gained = sc.nrReclaimed - before;
    boostPages = Math.max(boostPages - gained, 0);
    if (boostPages > 0 && gained === 0) break;
    if (!enough || gained === 0) sc.priority -= 1;
  }
  if (!done && sc.nrReclaimed === 0) node.kswapdFailures += 1;
  for (const zone of node.zones) if (zone.index <= classIndex) zone.reclaimActive = false;
  zones.forEach((zone, i) => (zone.boost = Math.max(zone.boost - boosts[i]!, 0)));
  if (boosts.some((boost) => boost > 0)) {
    wakeupKcompactd(k, node, BOOST_COMPACT_ORDER, classIndex, node.kswapd.nowNs);
  }
  node.refaultsSeen = statRefaults(node);
  return { reclaimed: sc.nrReclaimed, order: sc.order };
}

/**
 * Is there a priority left? Who went through all of them in vain because only idle cache was looked at starts over (6.10).
 * @kernel mm/vmscan.c balance_pgdat()
 */
function mayGoOn(k: KernelState, sc: ScanControl): boolean {
  if (sc.priority >= 1) return true;
  const { retriesVainReclaim: retries } = k.profile;
  if (!retries || sc.nrReclaimed > 0 || sc.noCacheTrim || !sc.cacheTrimFailed) return false;
  sc.noCacheTrim = true;
  sc.priority = DEF_PRIORITY;
  return true;
}

/** @returns true if so much was scanned that a higher priority is not called for */
function* kswapdShrinkNode(
  k: KernelState,
  node: NodeState,
  sc: ScanControl,
  boosting: boolean,
): Generator<number, boolean> {
  const { priority } = sc;
  sc.mayWritepage = !boosting || priority < DEF_PRIORITY - 2;
  sc.maySwap = !boosting;
  endWrites(k, node.kswapd.nowNs);
  if (canAgeAnon(k) && inactiveIsLow(node, LRU_INACTIVE_ANON)) {
    for (const lruvec of lruvecsOf(node)) {
      shrinkActiveList(k, node, lruvec, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX, sc);
    }
  }
  sc.nrScanned = 0;
  sc.nrToReclaim = node.zones
    .filter((zone) => zone.index <= sc.classIndex)
    .reduce((sum, zone) => sum + Math.max(zone.high + zone.boost, SWAP_CLUSTER_MAX), 0);
  const pass = new ReclaimPass(k, node, sc);
  while (!pass.step()) yield settleCost(sc);
  yield settleCost(sc);
  return sc.nrScanned >= sc.nrToReclaim || (boosting && priority === DEF_PRIORITY - 2);
}

function settleCost(sc: ScanControl): number {
  const { costNs } = sc;
  sc.costNs = 0;
  return costNs;
}
