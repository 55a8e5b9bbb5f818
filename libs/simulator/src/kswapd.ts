/** The background reclaimer of each node. */
import { DEF_PRIORITY, KSWAPD_MAX_FAILURES, SWAP_CLUSTER_MAX, ZONE_MOVABLE } from './constants';
import { countVm, type KernelState } from './kernel-state';
import { LRU_ACTIVE_ANON, LRU_INACTIVE_ANON } from './lru';
import { canSwap } from './swap';
import { scanControl, shrinkActiveList, shrinkNode } from './vmscan';
import { zoneWatermarkOk } from './watermark';
import type { NodeState } from './zone';

/** The rule by which kswapd and allocators take turns; printed with every result. */
export const SCHEDULE_RULE =
  'kswapd runs to completion when it is woken: an allocation that finds every allowed zone below its ' +
  'low mark wakes the kswapd of each of its nodes, each works until one zone of its node is above its ' +
  'high mark or it makes no progress, then the allocation goes on at the min mark';

/** One zone above its high mark is enough. @kernel mm/vmscan.c pgdat_balanced() */
export function pgdatBalanced(node: NodeState): boolean {
  if (node.zones.length === 0) return true;
  return node.zones.some((zone) => zoneWatermarkOk(zone, 0, zone.high, ZONE_MOVABLE));
}

/**
 * Wakes a node's kswapd, which works before anyone else goes on.
 * @returns true if it had something to do
 * @kernel mm/vmscan.c wakeup_kswapd(), balance_pgdat()
 */
export function wakeupKswapd(k: KernelState, node: NodeState): boolean {
  if (node.kswapdFailures >= KSWAPD_MAX_FAILURES) return false;
  const boosted = node.zones.some((zone) => zone.boost > 0);
  if (pgdatBalanced(node) && !boosted) return false;
  const wokenNs = k.timeNs;
  const reclaimed = balancePgdat(k, node);
  k.totals.kswapdReclaimedPages += reclaimed;
  noteKswapd(k, node, wokenNs, reclaimed);
  return true;
}

/** A step's first wake-up and its last sleep per node, with everything reclaimed in between. */
function noteKswapd(k: KernelState, node: NodeState, wokenNs: number, reclaimed: number): void {
  for (const event of k.events) {
    if (event.type === 'kswapd_sleep' && event.nodeId === node.id) {
      event.timeNs = k.timeNs;
      event.reclaimedPages += reclaimed;
      return;
    }
  }
  const { id: nodeId } = node;
  k.events.push({ type: 'kswapd_wake', timeNs: wokenNs, nodeId });
  k.events.push({
    type: 'kswapd_sleep',
    timeNs: k.timeNs,
    nodeId,
    reclaimedPages: reclaimed,
  });
}

function kswapdCpu(k: KernelState, node: NodeState): number {
  const own = k.cpus.find((cpu) => cpu.node === node);
  return (own ?? k.cpus[0]!).position;
}

function balancePgdat(k: KernelState, node: NodeState): number {
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
    const enough = kswapdShrinkNode(k, node, sc, boostPages > 0);
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
function kswapdShrinkNode(
  k: KernelState,
  node: NodeState,
  sc: ReturnType<typeof scanControl>,
  boosting: boolean,
): boolean {
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
  shrinkNode(k, node, sc);
  return sc.nrScanned >= sc.nrToReclaim || (boosting && sc.priority === DEF_PRIORITY - 2);
}
