/** What a served request costs, and what a step tells of direct reclaim. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import type { KernelState } from './kernel-state';
import type { AllocContext } from './page-alloc';
import type { PcpRun } from './pcp-list';
import type { NodeState, Zone } from './zone';

/** What each request takes that a zone serves, its first use of memory apart. */
export function requestNs(k: KernelState, ac: AllocContext, zone: Zone): number {
  return k.cpus[ac.cpu]!.node === zone.node ? ac.costNs : ac.costNs + ac.remoteCostNs;
}

/** What an emulated machine's memory costs when it is used for the first time. */
export function freshNs(k: KernelState, ac: AllocContext, zone: Zone, runs: PcpRun[]): number {
  if (k.hardware.freshPageNs === 0 || (ac.costNs === 0 && !ac.cache)) return 0;
  let fresh = 0;
  zone.usedPages ??= new Uint16Array(zone.buddy.pageblocks);
  for (const { frame, count, step } of runs) {
    const pages = count << ac.order;
    let at = step === 1 ? frame : frame - ((count - 1) << ac.order);
    for (const end = at + pages; at < end;) {
      const block = at >>> PAGEBLOCK_ORDER;
      const until = Math.min((block + 1) * PAGEBLOCK_PAGES, end);
      const more = Math.min(until - at, PAGEBLOCK_PAGES - zone.usedPages[block]!);
      zone.usedPages[block]! += more;
      fresh += more;
      at = until;
    }
  }
  // Elsewhere what that costs is part of the read.
  if (ac.cache && k.hardware.freshReadNs === 0) return 0;
  const before = k.freshPages;
  k.freshPages += fresh;
  const free = k.hardware.freshFreePages;
  const dearPages = Math.max(k.freshPages - Math.max(before, free), 0);
  return dearPages * (ac.cache ? k.hardware.freshReadNs : k.hardware.freshPageNs);
}

/**
 * A step's direct reclaims of one guest for one order are one event.
 * @param freed pages; none where a zone was ready for compaction instead
 */
export function noteDirectReclaim(
  k: KernelState,
  ac: AllocContext,
  node: NodeState,
  { freed, isReady, startNs }: { freed: number; isReady: boolean; startNs: number },
): void {
  const { order } = ac;
  for (const event of k.events) {
    if (
      event.type === 'direct_reclaim' &&
      event.guest === k.current.name &&
      event.order === order
    ) {
      event.times += 1;
      event.reclaimedPages += freed;
      if (isReady) event.readyTimes += 1;
      return;
    }
  }
  k.events.push({
    type: 'direct_reclaim',
    timeNs: startNs,
    nodeId: node.id,
    order,
    times: 1,
    reclaimedPages: freed,
    readyTimes: isReady ? 1 : 0,
    guest: k.current.name,
  });
}
