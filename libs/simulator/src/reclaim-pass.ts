/** One pass of reclaim over a node, batch by batch: others act in between. */
import { compactGap, compactionSuitable } from './compaction-suitable';
import { DEF_PRIORITY, PAGE_ALLOC_COSTLY_ORDER, SWAP_CLUSTER_MAX } from './constants';
import type { KernelState } from './kernel-state';
import { LRU_ACTIVE_ANON, LRU_ACTIVE_FILE, LRU_INACTIVE_ANON, LRU_INACTIVE_FILE } from './lru';
import { listPages, lruvecOf, lruvecsOf, type Lruvec } from './lruvec';
import type { ScanControl } from './scan-control';
import {
  getScanCount,
  inactiveIsLow,
  prepareScanCount,
  rebalance,
  type ScanBalance,
  type ScanPlan,
} from './scan-count';
import { canAgeAnon, canSwap } from './swap';
import { endWrites, flushPlug } from './swap-write';
import { localNs, shrinkActiveList, shrinkList } from './vmscan';
import type { NodeState } from './zone';

/**
 * Reclaim over a node, one batch per list (SWAP_CLUSTER_MAX pages) at each step; again and again where
 * it prepares compaction. Its place is kept in fields: a generator in a generator takes several times as long a step.
 * @kernel mm/vmscan.c shrink_node()
 */
export class ReclaimPass {
  private readonly start: number;
  private begun = false;
  /** Of the round under way: what it decided, what was reclaimed before it, its lists and which of them come next. */
  private balance: ScanBalance | undefined;
  private before = 0;
  private lruvecs: readonly Lruvec[] = [];
  private next = 0;
  /** Of the lists under way, undefined between two. */
  private plan: ScanPlan | undefined;
  private lruvec: Lruvec;
  /** Pages left to look at by list, and whether a batch was looked at. */
  private nr: number[] = [];
  private looked = false;
  private reclaimed = 0;

  constructor(
    private readonly k: KernelState,
    private readonly node: NodeState,
    private readonly sc: ScanControl,
  ) {
    this.start = sc.nrReclaimed;
    this.lruvec = node;
  }

  /** Goes on until after the next batch. @returns true when the pass is over */
  step(): boolean {
    const { k, sc } = this;
    if (!this.begun) {
      this.begun = true;
      if (k.firstReclaimNs > 0) {
        // Passes before the first page is taken: allocators go on meanwhile.
        sc.costNs += k.firstReclaimNs;
        k.firstReclaimNs = 0;
        return false;
      }
    }
    for (;;) {
      if (this.plan) {
        if (this.goesOn(this.plan)) {
          this.shrinkBatch(this.plan);
          return false;
        }
        this.endLruvec();
      }
      if (this.balance && this.next < this.lruvecs.length) this.beginLruvec(this.balance);
      else if (!this.balance || this.continues()) this.beginRound();
      else return this.end();
    }
  }

  private beginRound(): void {
    const { k, node, sc } = this;
    this.before = sc.nrReclaimed;
    endWrites(k, localNs(k, node, sc));
    this.balance = prepareScanCount(node, lruvecOf(node, sc.group), sc);
    this.lruvecs = sc.group ? [lruvecOf(node, sc.group)] : lruvecsOf(node);
    this.next = 0;
  }

  private continues(): boolean {
    const { k, node, sc } = this;
    return shouldContinueReclaim(k, node, sc, sc.nrReclaimed - this.before);
  }

  private end(): true {
    const { node, sc } = this;
    if (sc.nrReclaimed > this.start) node.kswapdFailures = 0;
    else if (this.balance!.cacheTrim) sc.cacheTrimFailed = true;
    return true;
  }

  /** One look at the four lists begins. @kernel mm/vmscan.c shrink_lruvec() */
  private beginLruvec(balance: ScanBalance): void {
    const { k, node, sc } = this;
    this.lruvec = this.lruvecs[this.next]!;
    this.next += 1;
    this.plan = getScanCount(k, node, this.lruvec, sc, balance);
    this.nr = [...this.plan.nr];
    this.looked = false;
    this.reclaimed = 0;
    sc.costNs += k.hardware.reclaimRoundNs;
  }

  /** Is there a batch left to look at, and a reason to? */
  private goesOn(plan: ScanPlan): boolean {
    const { nr, sc } = this;
    if (this.looked && this.reclaimed >= sc.nrToReclaim) {
      const all = sc.priority === DEF_PRIORITY && !sc.kswapd && !sc.group;
      if (!all && !rebalance(nr, plan.nr)) return false;
    }
    return nr[LRU_INACTIVE_ANON]! + nr[LRU_ACTIVE_FILE]! + nr[LRU_INACTIVE_FILE]! > 0;
  }

  private shrinkBatch(plan: ScanPlan): void {
    const { k, node, sc, lruvec, nr } = this;
    for (let list = LRU_INACTIVE_ANON; list <= LRU_ACTIVE_FILE; list += 1) {
      if (nr[list]! <= 0) continue;
      const batch = Math.min(nr[list]!, SWAP_CLUSTER_MAX);
      nr[list]! -= batch;
      this.reclaimed += shrinkList(k, node, lruvec, list, batch, sc, plan);
    }
    this.looked = true;
  }

  private endLruvec(): void {
    const { k, node, sc, lruvec } = this;
    flushPlug(k, sc.plug, localNs(k, node, sc));
    sc.nrReclaimed += this.reclaimed;
    if (canAgeAnon(k) && inactiveIsLow(lruvec, LRU_INACTIVE_ANON)) {
      shrinkActiveList(k, node, lruvec, LRU_ACTIVE_ANON, SWAP_CLUSTER_MAX, sc);
    }
    this.plan = undefined;
  }
}

/** @kernel mm/vmscan.c should_continue_reclaim(), in_reclaim_compaction() */
function shouldContinueReclaim(
  k: KernelState,
  node: NodeState,
  sc: ScanControl,
  reclaimed: number,
): boolean {
  const { order, classIndex } = sc;
  const prepares = order > PAGE_ALLOC_COSTLY_ORDER || sc.priority < DEF_PRIORITY - 2;
  if (!k.compaction || order === 0 || !prepares || reclaimed === 0) return false;
  for (const zone of node.zones) {
    if (zone.index > classIndex) continue;
    if (compactionSuitable(k, zone, order, zone.min, classIndex) !== 'skipped') return false;
  }
  const anon = canSwap(k, sc.group) ? listPages(node, LRU_INACTIVE_ANON) : 0;
  return listPages(node, LRU_INACTIVE_FILE) + anon > compactGap(order);
}
