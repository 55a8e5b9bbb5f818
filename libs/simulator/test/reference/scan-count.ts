import { isFile, isInactiveLow } from './lru';
import { ACTIVE_ANON, ACTIVE_FILE, INACTIVE_ANON, INACTIVE_FILE, sum } from './state';
import type { Node, SwapRequest, System, Zone } from './state';
import { wmarkPages } from './watermark';

/** @kernel mm/vmscan.c struct scan_control */
export interface ScanControl {
  nrToReclaim: number;
  order: number;
  priority: number;
  /** Pages of zones with a higher index are skipped. */
  reclaimIndex: number;
  mayWritepage: boolean;
  mayUnmap: boolean;
  maySwap: boolean;
  forceDeactivate: boolean;
  skippedDeactivate: boolean;
  mayDeactivateAnon: boolean;
  mayDeactivateFile: boolean;
  cacheTrimMode: boolean;
  fileIsTiny: boolean;
  anonCost: number;
  fileCost: number;
  /** Inactive pages that were looked at. */
  nrScanned: number;
  nrReclaimed: number;
  kswapd: boolean;
  /** Position of the CPU whose pcp takes the freed pages. */
  cpu: number;
  /** What was spent since it was last taken out. */
  costNs: number;
  /** Requests to the swap device that wait for the end of the pass. */
  plug: SwapRequest[];
}

export function scanControl(given: Partial<ScanControl>): ScanControl {
  return {
    nrToReclaim: 0,
    order: 0,
    priority: 12,
    reclaimIndex: 3,
    mayWritepage: false,
    mayUnmap: false,
    maySwap: false,
    forceDeactivate: false,
    skippedDeactivate: false,
    mayDeactivateAnon: false,
    mayDeactivateFile: false,
    cacheTrimMode: false,
    fileIsTiny: false,
    anonCost: 0,
    fileCost: 0,
    nrScanned: 0,
    nrReclaimed: 0,
    kswapd: false,
    cpu: 0,
    costNs: 0,
    plug: [],
    ...given,
  };
}

function pagesOn(node: Node, list: number): number {
  return node.lruPages[list] ?? 0;
}

/** @kernel mm/vmscan.c lruvec_lru_size() */
export function eligiblePages(node: Node, list: number, reclaimIndex: number): number {
  const zones = node.zones.filter((zone) => zone.index <= reclaimIndex);
  return sum(zones, (zone) => zone.lruPages[list] ?? 0);
}

/**
 * Looks at the node once per pass: what may be deactivated, which kind of pages is to be spared.
 * @kernel mm/vmscan.c prepare_scan_count()
 * @differs no refaults
 */
export function prepareScanCount(node: Node, sc: ScanControl): void {
  sc.anonCost = node.anonCost;
  sc.fileCost = node.fileCost;
  sc.mayDeactivateAnon = sc.forceDeactivate || isInactiveLow(node, INACTIVE_ANON);
  sc.mayDeactivateFile = sc.forceDeactivate || isInactiveLow(node, INACTIVE_FILE);
  const inactiveFile = pagesOn(node, INACTIVE_FILE);
  sc.cacheTrimMode = inactiveFile >> sc.priority > 0 && !sc.mayDeactivateFile;
  const file = inactiveFile + pagesOn(node, ACTIVE_FILE);
  const free = sum(node.zones, (zone: Zone) => zone.free);
  const high = sum(node.zones, (zone: Zone) => wmarkPages(zone, 'high'));
  sc.fileIsTiny =
    file + free <= high && !sc.mayDeactivateAnon && pagesOn(node, INACTIVE_ANON) >> sc.priority > 0;
}

type Balance = 'equal' | 'fract' | 'anon' | 'file';

function scanBalance(system: System, sc: ScanControl): Balance {
  if (!sc.maySwap || system.swapFree === 0) {
    return 'file';
  }
  if (sc.priority === 0 && system.sysctl.swappiness > 0) {
    return 'equal';
  }
  if (sc.fileIsTiny) {
    return 'anon';
  }
  return sc.cacheTrimMode ? 'file' : 'fract';
}

/**
 * How many pages of each list this pass shall scan.
 * @kernel mm/vmscan.c get_scan_count()
 * @returns by list: inactive anon, active anon, inactive file, active file
 */
export function getScanCount(system: System, node: Node, sc: ScanControl): number[] {
  const balance = scanBalance(system, sc);
  const swappiness = system.sysctl.swappiness;
  const bothCosts = sc.anonCost + sc.fileCost;
  const anonCost = bothCosts + sc.anonCost;
  const fileCost = bothCosts + sc.fileCost;
  const totalCost = anonCost + fileCost;
  const anonShare = Math.floor((swappiness * (totalCost + 1)) / (anonCost + 1));
  const fileShare = Math.floor(((200 - swappiness) * (totalCost + 1)) / (fileCost + 1));
  const shift = sc.priority + (system.mutation === 'scan shift off by one' ? 1 : 0);

  return [INACTIVE_ANON, ACTIVE_ANON, INACTIVE_FILE, ACTIVE_FILE].map((list) => {
    const scan = eligiblePages(node, list, sc.reclaimIndex) >> shift;
    switch (balance) {
      case 'equal':
        return scan;
      case 'anon':
        return isFile(list) ? 0 : scan;
      case 'file':
        return isFile(list) ? scan : 0;
      case 'fract':
        return Math.floor(
          (scan * (isFile(list) ? fileShare : anonShare)) / (anonShare + fileShare),
        );
    }
  });
}
