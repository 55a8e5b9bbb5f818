import { letKswapdsAct } from './kswapd';
import { scanControl } from './scan-count';
import type { ScanControl } from './scan-count';
import { SWAP_CLUSTER_MAX, ZONE_NAMES, count } from './state';
import type { Node, System, Zone } from './state';
import { shrinkNode } from './vmscan';

/** A pass by a task that waits for it. */
export function shrinkNodeNow(system: System, node: Node, sc: ScanControl): void {
  const pass = shrinkNode(system, node, sc);
  for (let part = pass.next(); !part.done; part = pass.next()) {
    system.timeNs += part.value;
    letKswapdsAct(system);
  }
}

/** The nodes of a zonelist, each once. */
export function nodesOf(zonelist: readonly Zone[]): Node[] {
  return [...new Set(zonelist.map((zone) => zone.node))];
}

/**
 * Direct reclaim: all nodes of the zonelist at each priority, until 32 pages are reclaimed.
 * @kernel mm/vmscan.c try_to_free_pages(), do_try_to_free_pages(), shrink_zones()
 * @differs no throttling
 * @returns pages reclaimed
 */
export function tryToFreePages(
  system: System,
  zonelist: readonly Zone[],
  order: number,
  classIndex: number,
  cpu: number,
): number {
  const sc = scanControl({
    nrToReclaim: SWAP_CLUSTER_MAX,
    order,
    reclaimIndex: classIndex,
    mayWritepage: true,
    mayUnmap: true,
    maySwap: true,
    cpu,
  });
  for (;;) {
    count(system, `allocstall_${ZONE_NAMES[classIndex as 0 | 1 | 2 | 3]}`);
    for (sc.priority = 12; sc.priority >= 0; sc.priority--) {
      sc.nrScanned = 0;
      for (const node of nodesOf(zonelist)) {
        shrinkNodeNow(system, node, sc);
      }
      if (sc.nrReclaimed >= sc.nrToReclaim) {
        break;
      }
    }
    if (sc.nrReclaimed > 0 || !sc.skippedDeactivate) {
      return sc.nrReclaimed;
    }
    sc.forceDeactivate = true;
    sc.skippedDeactivate = false;
  }
}
