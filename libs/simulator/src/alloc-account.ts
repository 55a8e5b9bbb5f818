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

/** A step's direct reclaims of one guest are one event. */
export function noteDirectReclaim(
  k: KernelState,
  node: NodeState,
  freed: number,
  startNs: number,
): void {
  for (const event of k.events) {
    if (event.type === 'direct_reclaim' && event.guest === k.current.name) {
      event.times += 1;
      event.reclaimedPages += freed;
      return;
    }
  }
  k.events.push({
    type: 'direct_reclaim',
    timeNs: startNs,
    nodeId: node.id,
    times: 1,
    reclaimedPages: freed,
    guest: k.current.name,
  });
}
