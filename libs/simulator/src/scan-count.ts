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
  const divisor = 2 ** sc.priority;
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
  const divisor = 2 ** sc.priority;
  const shifted = (list: number): number =>
    Math.floor(listPagesInClass(node, lruvec, list, sc.classIndex) / divisor);
  const { deactivateAnon, deactivateFile } = balance;
  const share = (list: number, part: number, of: number): number =>
    part === of ? shifted(list) : Math.floor((shifted(list) * part) / Math.max(of, 1));
  const all = (anon: number, file: number, scale: boolean): ScanPlan => {
    const sum = scale ? anon + file : 1;
    const nr: ScanPlan['nr'] = [
      share(LRU_INACTIVE_ANON, anon, sum),
      share(LRU_ACTIVE_ANON, anon, sum),
      share(LRU_INACTIVE_FILE, file, sum),
      share(LRU_ACTIVE_FILE, file, sum),
    ];
    return { deactivateAnon, deactivateFile, nr };
  };
  const { swappiness } = k.sysctl;
  if (!sc.maySwap || !canSwap(k, lruvec.group)) return all(0, 1, false);
  if (sc.group && swappiness === 0) return all(0, 1, false);
  if (sc.priority === 0 && swappiness > 0) return all(1, 1, false);
  if (balance.fileIsTiny) return all(1, 0, false);
  if (balance.cacheTrim) return all(0, 1, false);
  const total = balance.anonCost + balance.fileCost;
  const anonCost = total + balance.anonCost;
  const fileCost = total + balance.fileCost;
  const sum = anonCost + fileCost;
  const anonShare = Math.floor((swappiness * (sum + 1)) / (anonCost + 1));
  const fileShare = Math.floor(((200 - swappiness) * (sum + 1)) / (fileCost + 1));
  return all(anonShare, fileShare, true);
}
