import { COMPACT_CONTINUE, COMPACT_SUCCESS } from './compact-control';
import { note } from './events';
import { compactGap, compactionSuitable } from './fragmentation';
import { letKswapdsAct } from './kswapd';
import { scanControl } from './scan-count';
import type { ScanControl } from './scan-count';
import { COSTLY_ORDER, SWAP_CLUSTER_MAX, ZONE_NAMES, count } from './state';
import type { Node, System, Zone } from './state';
import { shrinkNode } from './vmscan';
import { NO_RIGHTS, isWatermarkOk, wmarkPages } from './watermark';

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
 * Is so much free that the request needs compaction, not reclaim?
 * @kernel mm/vmscan.c compaction_ready()
 */
function isCompactionReady(system: System, zone: Zone, sc: ScanControl): boolean {
  const { order, reclaimIndex } = sc;
  const suitable = compactionSuitable(system, zone, order, NO_RIGHTS, reclaimIndex);
  if (suitable !== COMPACT_CONTINUE) {
    return suitable === COMPACT_SUCCESS;
  }
  const mark = wmarkPages(zone, 'high') + compactGap(order);
  return isWatermarkOk(system, zone, 0, mark, reclaimIndex, NO_RIGHTS, zone.free);
}

/**
 * Each node once, for a large block not those that are ready for compaction.
 * @kernel mm/vmscan.c shrink_zones()
 * @returns whether one is
 */
function shrinkZones(system: System, zonelist: readonly Zone[], sc: ScanControl): boolean {
  const spares = system.config.compaction !== undefined && sc.order > COSTLY_ORDER;
  let ready = false;
  let last: Node | null = null;
  for (const zone of zonelist) {
    if (spares && isCompactionReady(system, zone, sc)) {
      note(system, 'reclaim left to compaction');
      ready = true;
    } else if (zone.node !== last) {
      last = zone.node;
      shrinkNodeNow(system, zone.node, sc);
    }
  }
  return ready;
}

/**
 * Direct reclaim: all nodes of the zonelist at each priority, until 32 pages are reclaimed.
 * @kernel mm/vmscan.c try_to_free_pages(), do_try_to_free_pages(), shrink_zones()
 * @differs no throttling
 * @returns pages reclaimed; 1 where there are none, but a zone is ready for compaction
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
  let ready = false;
  for (;;) {
    count(system, `allocstall_${ZONE_NAMES[classIndex as 0 | 1 | 2 | 3]}`);
    for (sc.priority = 12; sc.priority >= 0; sc.priority--) {
      sc.nrScanned = 0;
      ready = shrinkZones(system, zonelist, sc) || ready;
      if (sc.nrReclaimed >= sc.nrToReclaim || ready) {
        break;
      }
    }
    if (sc.nrReclaimed === 0 && ready) {
      return 1;
    }
    if (sc.nrReclaimed > 0 || !sc.skippedDeactivate) {
      return sc.nrReclaimed;
    }
    sc.forceDeactivate = true;
    sc.skippedDeactivate = false;
  }
}
