/** How many pages of which list one pass of reclaim looks at. */
import type { KernelState } from './kernel-state';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_ANON, LRU_INACTIVE_FILE } from './lru';
import type { ScanControl } from './scan-control';
import { canSwap } from './swap';
import type { NodeState } from './zone';

/** @kernel mm/vmscan.c inactive_is_low() */
export function inactiveIsLow(node: NodeState, inactiveList: number): boolean {
  const inactive = node.lists[inactiveList]!.pages;
  const active = node.lists[inactiveList + 1]!.pages;
  const gib = Math.floor((inactive + active) / 262144);
  const ratio = gib > 0 ? Math.floor(Math.sqrt(10 * gib)) : 1;
  return inactive * ratio < active;
}

export interface ScanPlan {
  /** Pages to look at per list. */
  nr: [number, number, number, number];
  deactivateAnon: boolean;
  deactivateFile: boolean;
}

/** @kernel mm/vmscan.c prepare_scan_count(), get_scan_count() @differs no memory cgroups */
export function getScanCount(k: KernelState, node: NodeState, sc: ScanControl): ScanPlan {
  const sizes = [0, 0, 0, 0];
  const inClass = [0, 0, 0, 0];
  for (let list = 0; list < sizes.length; list += 1) {
    sizes[list] = node.lists[list]!.pages;
    for (const zone of node.zones) {
      if (zone.index <= sc.classIndex) inClass[list]! += zone.lruPages[list]!;
    }
  }
  const divisor = 2 ** sc.priority;
  const shifted = (list: number): number => Math.floor(inClass[list]! / divisor);
  const force = sc.forceDeactivate;
  const deactivateAnon =
    force || node.refaults[0] !== node.refaultsSeen[0] || inactiveIsLow(node, LRU_INACTIVE_ANON);
  const deactivateFile =
    force || node.refaults[1] !== node.refaultsSeen[1] || inactiveIsLow(node, LRU_INACTIVE_FILE);
  const cacheTrim = Math.floor(sizes[LRU_INACTIVE_FILE]! / divisor) > 0 && !deactivateFile;
  const plan = { deactivateAnon, deactivateFile };
  const share = (list: number, part: number, of: number): number =>
    part === of ? shifted(list) : Math.floor((shifted(list) * part) / Math.max(of, 1));
  const all = (anon: number, file: number, scale: boolean): ScanPlan => {
    const sum = scale ? anon + file : 1;
    return {
      ...plan,
      nr: [share(0, anon, sum), share(1, anon, sum), share(2, file, sum), share(3, file, sum)],
    };
  };
  const { swappiness } = k.sysctl;
  if (!sc.maySwap || !canSwap(k)) return all(0, 1, false);
  if (sc.priority === 0 && swappiness > 0) return all(1, 1, false);
  const anon = Math.floor(sizes[LRU_INACTIVE_ANON]! / divisor);
  if (fileIsTiny(node, sizes) && !deactivateAnon && anon > 0) {
    return all(1, 0, false);
  }
  if (cacheTrim) return all(0, 1, false);
  const total = node.anonCost + node.fileCost;
  const anonCost = total + node.anonCost;
  const fileCost = total + node.fileCost;
  const sum = anonCost + fileCost;
  const anonShare = Math.floor((swappiness * (sum + 1)) / (anonCost + 1));
  const fileShare = Math.floor(((200 - swappiness) * (sum + 1)) / (fileCost + 1));
  return all(anonShare, fileShare, true);
}

function fileIsTiny(node: NodeState, sizes: number[]): boolean {
  let highPages = 0;
  let free = 0;
  for (const zone of node.zones) {
    highPages += zone.high + zone.boost;
    free += zone.buddy.freePages;
  }
  return sizes[LRU_INACTIVE_FILE]! + sizes[LRU_ACTIVE_FILE]! + free <= highPages;
}
