/** Taking pages of one zone: through the CPU's list where the order has one, else from the buddy lists. */
import { noteFreeChange } from './free-count';
import { MIGRATE_HIGHATOMIC, MIGRATE_MOVABLE } from './buddy';
import { orderToPindex, refillPcp } from './pcp';
import type { Pcp } from './pcp-rule';
import type { PcpRun } from './pcp-list';
import { ALLOC_HIGHATOMIC, ALLOC_NON_BLOCK } from './watermark';
import type { Zone } from './zone';

/** What is asked of a zone after its mark was found good. */
export interface ZoneRequest {
  /** CPU position. */
  cpu: number;
  order: number;
  type: number;
  flags: number;
  boostFactor: number;
  /** Free pages that must stay above for the next request to pass the same mark. */
  neededPages: number;
}

/**
 * Takes up to `want` blocks, as many as requests that follow each other would get without anything but
 * refills happening in between.
 * @returns blocks in the order of the requests; [] when the zone has none
 * @kernel mm/page_alloc.c rmqueue()
 */
export function rmqueue(zone: Zone, request: ZoneRequest, want: number): PcpRun[] {
  if (zone.pcpRule.keeps(request.order)) {
    const runs = rmqueuePcplist(zone, request, want);
    if (runs.length > 0) return runs;
  }
  const run = rmqueueBuddy(zone, request);
  return run ? [run] : [];
}

/** @kernel mm/page_alloc.c rmqueue_pcplist(), __rmqueue_pcplist() */
function rmqueuePcplist(zone: Zone, request: ZoneRequest, want: number): PcpRun[] {
  const pcp = zone.pcps[request.cpu]!;
  pcp.used = true;
  if (request.type === MIGRATE_MOVABLE) pcp.counted = true;
  const runs = takeCached(zone, pcp, request, want);
  let taken = 0;
  for (const run of runs) taken += run.count;
  zone.pcpRule.noteRequests(pcp, Math.max(taken, 1));
  return runs;
}

function takeCached(zone: Zone, pcp: Pcp, request: ZoneRequest, want: number): PcpRun[] {
  const { order, type, flags, boostFactor } = request;
  const list = pcp.lists[orderToPindex(order, type)]!;
  let most = want;
  if (list.count === 0) {
    const pages = order === 0 ? quietRefills(zone, pcp, request, want) : 0;
    if (pages > 0) return streamRefills(zone, pcp, request, pages, want);
    const blocks = zone.pcpRule.refillBlocks(zone, pcp, order);
    const quiet = zone.buddy.freePagesByType[type]! >= blocks && order === 0;
    refillPcp(zone, pcp, { order, type, flags, boostFactor, stealing: false }, blocks);
    // After a steal, or below the mark, the next request has to look at the zone anew.
    if (!quiet || zone.buddy.freePages <= request.neededPages) most = 1;
  }
  // Nearly always one run: an array that begins empty gets room for seventeen with its first.
  const first = list.takeHead(most);
  if (!first) return [];
  pcp.pages -= first.count << order;
  const runs = [first];
  for (let left = most - first.count; left > 0;) {
    const run = list.takeHead(left);
    if (!run) break;
    runs.push(run);
    left -= run.count;
    pcp.pages -= run.count << order;
  }
  return runs;
}

/** Pages of whole refills that the wish, the mark and the type's own blocks allow. */
function quietRefills(zone: Zone, pcp: Pcp, request: ZoneRequest, want: number): number {
  const { buddy } = zone;
  const own = buddy.freePagesByType[request.type]!;
  const most = Math.min(buddy.freePages - request.neededPages - 1, own);
  return zone.pcpRule.quietRefillPages(zone, pcp, want, most);
}

/** Many refills as one stream; what the last one has too much stays on the list. */
function streamRefills(
  zone: Zone,
  pcp: Pcp,
  request: ZoneRequest,
  pages: number,
  want: number,
): PcpRun[] {
  const { type } = request;
  let runs: PcpRun[] | undefined;
  const rest: PcpRun[] = [];
  let due = Math.min(want, pages);
  for (let left = pages; left > 0;) {
    const run = zone.buddy.take(0, type, left)!;
    left -= run.count;
    const now = Math.min(run.count, due);
    due -= now;
    if (now > 0) {
      if (runs) appendRun(runs, run.frame, now, type);
      else runs = [{ frame: run.frame, count: now, step: 1, type }];
    }
    if (now < run.count) {
      rest.push({ frame: run.frame + now, count: run.count - now, step: 1, type });
    }
  }
  pcp.lists[orderToPindex(0, type)]!.refill(rest);
  pcp.pages += Math.max(pages - want, 0);
  zone.pcpRule.noteRefills(zone, pcp, pages);
  return runs ?? [];
}

function appendRun(runs: PcpRun[], frame: number, count: number, type: number): void {
  const last = runs[runs.length - 1];
  if (last && last.frame + last.count === frame) last.count += count;
  else runs.push({ frame, count, step: 1, type });
}

/** @kernel mm/page_alloc.c rmqueue_buddy() */
function rmqueueBuddy(zone: Zone, request: ZoneRequest): PcpRun | undefined {
  const { order, type, flags, boostFactor } = request;
  const reserve = (): PcpRun | undefined => {
    const run = zone.buddy.take(order, MIGRATE_HIGHATOMIC, 1);
    if (run) noteFreeChange(zone, zone.pcps[request.cpu]!, -(1 << order));
    return run && { ...run, step: 1, type: MIGRATE_HIGHATOMIC };
  };
  if ((flags & ALLOC_HIGHATOMIC) !== 0) {
    const run = reserve();
    if (run) return run;
  }
  const search = { order, type, flags, boostFactor, stealing: false };
  const run = zone.blockRule.take(zone, search, 1);
  if (run) {
    noteFreeChange(zone, zone.pcps[request.cpu]!, -(1 << order));
    return { ...run, step: 1, type };
  }
  return (flags & ALLOC_NON_BLOCK) !== 0 ? reserve() : undefined;
}
