/** Reclaim by the task that allocates, which waits for it while kswapd and the flusher go on. */
import { compactGap, compactionSuitable } from './compaction-suitable';
import { DEF_PRIORITY, PAGE_ALLOC_COSTLY_ORDER } from './constants';
import { countVm, passTime, type KernelState } from './kernel-state';
import { advanceKswapd } from './kswapd';
import { statRefaults } from './lruvec';
import type { AllocContext } from './page-alloc';
import { ReclaimPass } from './reclaim-pass';
import { scanControl, type ScanControl } from './scan-control';
import { zoneWatermarkOk } from './watermark';
import type { NodeState, Zone } from './zone';

/**
 * One pass of reclaim over a node by the allocating task. Between its batches everybody else does what is
 * due by then: a kswapd that is awake works on the same lists at the same time.
 */
export function shrinkNode(k: KernelState, node: NodeState, sc: ScanControl): void {
  const pass = new ReclaimPass(k, node, sc);
  for (let done = false; !done;) {
    done = pass.step();
    settleCost(k, sc);
    advanceKswapd(k);
  }
}

function settleCost(k: KernelState, sc: ScanControl): void {
  passTime(k, sc.costNs, true);
  sc.costNs = 0;
}

/**
 * Does each pass over all priorities deactivate by force? The next one follows where the last brought nothing, a forced one only
 * where a list was left alone. From 6.11 on a pass may end before the last group, so that one in vain is repeated over all of them.
 * @kernel mm/vmscan.c do_try_to_free_pages()
 */
export function deactivationPasses(k: KernelState): readonly boolean[] {
  return k.profile.retriesVainReclaim ? [false, false, true] : [false, true];
}

const ALLOCSTALL = [
  'allocstall_dma',
  'allocstall_dma32',
  'allocstall_normal',
  'allocstall_movable',
];

/**
 * Direct reclaim of the allocating task over the nodes of its zonelist.
 * @returns pages freed; 1 where there are none but a zone is ready for compaction
 * @kernel mm/vmscan.c try_to_free_pages(), do_try_to_free_pages()
 * @differs no throttling on pfmemalloc reserves
 */
export function tryToFreePages(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
): number {
  const nodes = [...new Set(zonelist.map((zone) => zone.node))];
  const sc = scanControl({ cpu: ac.cpu, order: ac.order, classIndex: ac.classIndex });
  let ready = false;
  for (const forceDeactivate of deactivationPasses(k)) {
    if (forceDeactivate && !sc.skippedDeactivate) break;
    countVm(k, ALLOCSTALL[ac.classIndex]!);
    sc.forceDeactivate = forceDeactivate;
    for (sc.priority = DEF_PRIORITY; sc.priority >= 0; sc.priority -= 1) {
      ready = shrinkZones(k, ac, zonelist, sc);
      if (sc.nrReclaimed >= sc.nrToReclaim || ready) break;
    }
    for (const node of nodes) node.refaultsSeen = statRefaults(node);
    if (sc.nrReclaimed > 0 || ready) break;
  }
  k.totals.directReclaimedPages += sc.nrReclaimed;
  return sc.nrReclaimed === 0 && ready ? 1 : sc.nrReclaimed;
}

/**
 * Each node of a zonelist once; for a costly order not those whose zones are ready for compaction.
 * @returns true if some zone is
 * @kernel mm/vmscan.c shrink_zones(), compaction_ready()
 */
function shrinkZones(
  k: KernelState,
  ac: AllocContext,
  zonelist: readonly Zone[],
  sc: ScanControl,
): boolean {
  let ready = false;
  let last: NodeState | undefined;
  for (const zone of zonelist) {
    if (k.compaction && ac.order > PAGE_ALLOC_COSTLY_ORDER && compactionReady(k, zone, ac)) {
      ready = true;
      continue;
    }
    if (zone.node === last) continue;
    last = zone.node;
    shrinkNode(k, zone.node, sc);
  }
  return ready;
}

function compactionReady(k: KernelState, zone: Zone, { order, classIndex }: AllocContext): boolean {
  const suitable = compactionSuitable(k, zone, order, zone.min, classIndex);
  if (suitable !== 'continue') return suitable === 'success';
  return zoneWatermarkOk(zone, zone.high + compactGap(order), { order: 0, classIndex, flags: 0 });
}
