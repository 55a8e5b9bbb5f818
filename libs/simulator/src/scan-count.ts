/** How many pages of which list one pass of reclaim looks at. */
import type { KernelState } from './kernel-state';
import { LRU_ACTIVE_ANON, LRU_ACTIVE_FILE, LRU_INACTIVE_ANON, LRU_INACTIVE_FILE } from './lru';
import { listPages, listPagesInClass, statPages, statRefaults, type Lruvec } from './lruvec';
import type { ScanControl } from './scan-control';
import { canSwap } from './swap';
import type { NodeState } from './zone';

/** @kernel mm/vmscan.c inactive_is_low() */
export function inactiveIsLow(lruvec: Lruvec, inactiveList: number): boolean {
  const inactive = statPages(lruvec, inactiveList);
  const active = statPages(lruvec, inactiveList + 1);
  const gib = Math.floor((inactive + active) / 262144);
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
  return inactive * ratio < active;
}

/** What one pass decides for all lists that it visits, by the node or the group that it works for. */
export interface ScanBalance {
  deactivateAnon: boolean;
  deactivateFile: boolean;
  /** There is so much idle cache that nothing else is looked at. */
  cacheTrim: boolean;
  /** There is so little cache that only anonymous pages are. */
  fileIsTiny: boolean;
  anonCost: number;
  fileCost: number;
}

/**
 * @param target lists of the group that is over its limit, or the node's own
 * @kernel mm/vmscan.c prepare_scan_count()
 */
export function prepareScanCount(node: NodeState, target: Lruvec, sc: ScanControl): ScanBalance {
  const divisor = 1 << sc.priority;
  const force = sc.forceDeactivate;
  const [anonRefaults, fileRefaults] = statRefaults(target);
  const deactivateAnon =
    force || anonRefaults !== target.refaultsSeen[0] || inactiveIsLow(target, LRU_INACTIVE_ANON);
  const deactivateFile =
    force || fileRefaults !== target.refaultsSeen[1] || inactiveIsLow(target, LRU_INACTIVE_FILE);
  const idleFile = Math.floor(statPages(target, LRU_INACTIVE_FILE) / divisor);
  return {
    deactivateAnon,
    deactivateFile,
    cacheTrim: idleFile > 0 && !deactivateFile && !sc.noCacheTrim,
    fileIsTiny:
      !sc.group &&
      !deactivateAnon &&
      Math.floor(listPages(node, LRU_INACTIVE_ANON) / divisor) > 0 &&
      fileIsTiny(node),
    anonCost: target.anonCost,
    fileCost: target.fileCost,
  };
}

function fileIsTiny(node: NodeState): boolean {
  let highPages = 0;
  let free = 0;
  for (const zone of node.zones) {
    highPages += zone.high + zone.boost;
    free += zone.buddy.freePages;
  }
  return listPages(node, LRU_INACTIVE_FILE) + listPages(node, LRU_ACTIVE_FILE) + free <= highPages;
}

export interface ScanPlan {
  /** Pages to look at per list. */
  nr: [number, number, number, number];
  deactivateAnon: boolean;
  deactivateFile: boolean;
}

/** @kernel mm/vmscan.c get_scan_count() @differs no memory.min and memory.low */
export function getScanCount(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  sc: ScanControl,
  balance: ScanBalance,
): ScanPlan {
  const all = (anon: 0 | 1, file: 0 | 1): ScanPlan =>
    planOf(node, lruvec, sc, balance, anon, file, 1);
  const { swappiness } = k.sysctl;
  if (!sc.maySwap || !canSwap(k, lruvec.group)) return all(0, 1);
  if (sc.group && swappiness === 0) return all(0, 1);
  if (sc.priority === 0 && swappiness > 0) return all(1, 1);
  if (balance.fileIsTiny) return all(1, 0);
  if (balance.cacheTrim) return all(0, 1);
  const total = balance.anonCost + balance.fileCost;
  const anonCost = total + balance.anonCost;
  const fileCost = total + balance.fileCost;
  const sum = anonCost + fileCost;
  const anonShare = Math.floor((swappiness * (sum + 1)) / (anonCost + 1));
  const fileShare = Math.floor(((200 - swappiness) * (sum + 1)) / (fileCost + 1));
  return planOf(node, lruvec, sc, balance, anonShare, fileShare, anonShare + fileShare);
}

/** The parts of `of` of each kind's lists, at a priority. */
function planOf(
  node: NodeState,
  lruvec: Lruvec,
  sc: ScanControl,
  { deactivateAnon, deactivateFile }: ScanBalance,
  anon: number,
  file: number,
  of: number,
): ScanPlan {
  return {
    deactivateAnon,
    deactivateFile,
    nr: [
      shareOf(node, lruvec, LRU_INACTIVE_ANON, sc, anon, of),
      shareOf(node, lruvec, LRU_ACTIVE_ANON, sc, anon, of),
      shareOf(node, lruvec, LRU_INACTIVE_FILE, sc, file, of),
      shareOf(node, lruvec, LRU_ACTIVE_FILE, sc, file, of),
    ],
  };
}

function shareOf(
  node: NodeState,
  lruvec: Lruvec,
  list: number,
  { classIndex, priority }: ScanControl,
  part: number,
  of: number,
): number {
  if (part === 0) return 0;
  const shifted = Math.floor(listPagesInClass(node, lruvec, list, classIndex) / (1 << priority));
  return part === of ? shifted : Math.floor((shifted * part) / Math.max(of, 1));
}

/** After the goal is met: drop the smaller type, cut the other in proportion. False: stop. */
export function rebalance(nr: number[], targets: readonly number[]): boolean {
  const file = nr[LRU_INACTIVE_FILE]! + nr[LRU_ACTIVE_FILE]!;
  const anon = nr[LRU_INACTIVE_ANON]! + nr[LRU_ACTIVE_ANON]!;
  if (file === 0 || anon === 0) return false;
  const small = file > anon ? LRU_INACTIVE_ANON : LRU_INACTIVE_FILE;
  const big = small === LRU_INACTIVE_ANON ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON;
  const percentage = Math.floor(
    (Math.min(file, anon) * 100) / (targets[small]! + targets[small + 1]! + 1),
  );
  nr[small] = 0;
  nr[small + 1] = 0;
  for (const list of [big, big + 1]) {
    const scanned = targets[list]! - nr[list]!;
    const kept = Math.floor((targets[list]! * (100 - percentage)) / 100);
    nr[list] = Math.max(kept - scanned, 0);
  }
  return true;
}
