/** Per-CPU page lists (pcp): sizes, refill, drain. */
import {
  MIGRATE_ISOLATE,
  MIGRATE_MOVABLE,
  MIGRATE_PCPTYPES,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
} from './buddy';
import { PAGE_ALLOC_COSTLY_ORDER } from './constants';
import type { BlockSearch } from './fallback';
import { noteBlocks, noteFreeChange } from './free-count';
import type { PcpRun } from './pcp-list';
import { NR_LOWORDER_PCP_LISTS, NR_PCP_LISTS, type Pcp } from './pcp-rule';
import { takeTurns } from './pcp-singles';
import { kernelProfiles, type KernelProfile } from './profile';
import type { Zone } from './zone';

/** @kernel mm/page_alloc.c order_to_pindex() */
export function orderToPindex(order: number, type: number): number {
  if (order > PAGE_ALLOC_COSTLY_ORDER) {
    return NR_LOWORDER_PCP_LISTS + (type === MIGRATE_MOVABLE ? 1 : 0);
  }
  return MIGRATE_PCPTYPES * order + type;
}

/**
 * Pages moved per refill of an order-0 list.
 * @kernel mm/page_alloc.c zone_batchsize()
 */
export function pcpBatch(
  managedPages: number,
  profile: KernelProfile = kernelProfiles['6.1.y'],
): number {
  const share = Math.min(Math.floor(managedPages / 1024), profile.pcpBatchBasePages);
  const batch = Math.max(Math.floor(share / 4), 1);
  return Math.max((1 << Math.floor(Math.log2(batch + Math.floor(batch / 2)))) - 1, 1);
}

/**
 * Pages that one CPU's lists may hold.
 * @param lowPages the zone's stored low mark (without boost)
 * @param nodeCpus CPUs of the zone's node; `onlineCpus` is taken where the node has none
 * @kernel mm/page_alloc.c zone_highsize()
 */
export function pcpHigh(input: {
  managedPages: number;
  lowPages: number;
  batchPages: number;
  nodeCpus: number;
  onlineCpus: number;
  percpuPagelistHighFraction: number;
}): number {
  const { percpuPagelistHighFraction: fraction } = input;
  const total = fraction > 0 ? Math.floor(input.managedPages / fraction) : input.lowPages;
  const cpus = input.nodeCpus > 0 ? input.nodeCpus : Math.max(input.onlineCpus, 1);
  return Math.max(Math.floor(total / cpus), input.batchPages * 4);
}

/**
 * Fills an empty list with `blocks` from the buddy lists, stealing where it must.
 * @returns blocks obtained
 * @kernel mm/page_alloc.c rmqueue_bulk()
 */
export function refillPcp(zone: Zone, pcp: Pcp, search: BlockSearch, blocks: number): number {
  const { order, type } = search;
  const pieces: PcpRun[] = [];
  let left = blocks;
  let obtained = 0;
  while (left > 0) {
    const run = zone.blockRule.take(zone, search, left);
    if (!run) break;
    pieces.push({ frame: run.frame, count: run.count, step: 1, type });
    left -= run.count;
    obtained += run.count;
  }
  pcp.lists[orderToPindex(order, type)]!.refill(pieces);
  pcp.pages += obtained << order;
  zone.pcpRule.noteRefill(zone, pcp, obtained, order);
  return obtained;
}

/**
 * Frees blocks one after the other through a CPU's lists: the first at `frame`, each next one `step`
 * blocks further. Each goes to the list of its pageblock's type, or to
 * the zone itself where that is isolated.
 * @kernel mm/page_alloc.c free_unref_page(), free_unref_page_commit()
 */
export function freeToPcp(
  zone: Zone,
  cpu: number,
  order: number,
  frame: number,
  count: number,
  step: 1 | -1,
): void {
  if (!zone.pcpRule.keeps(order)) return freeToZone(zone, cpu, order, frame, count, step);
  zone.pcps[cpu]!.used = true;
  let at = frame;
  let left = count;
  while (left > 0) {
    const type = zone.buddy.typeOf(at);
    if (type === MIGRATE_ISOLATE) {
      freeToZone(zone, cpu, order, at, 1, step);
      at += step << order;
      left -= 1;
      continue;
    }
    const alike = left === 1 ? 1 : Math.min(left, blocksOfType(zone, order, at, left, step, type));
    freeAlike(zone, zone.pcps[cpu]!, order, at, alike, step, type);
    at += (step * alike) << order;
    left -= alike;
  }
}

/** Frees blocks one after the other to the zone itself. @kernel mm/page_alloc.c free_one_page() */
function freeToZone(
  zone: Zone,
  cpu: number,
  order: number,
  frame: number,
  count: number,
  step: 1 | -1,
): void {
  for (let i = 0; i < count; i += 1) {
    const at = frame + ((step * i) << order);
    const type = zone.buddy.typeOf(at);
    zone.buddy.free(at, order, type);
    if (type !== MIGRATE_ISOLATE) noteFreeChange(zone, zone.pcps[cpu]!, 1 << order);
  }
}

/** How many blocks from `at` on lie in pageblocks of one type. */
function blocksOfType(
  zone: Zone,
  order: number,
  at: number,
  count: number,
  step: 1 | -1,
  type: number,
): number {
  const { types } = zone.buddy;
  let block = at >>> PAGEBLOCK_ORDER;
  let frames = step === 1 ? (block + 1) * PAGEBLOCK_PAGES - at : at - block * PAGEBLOCK_PAGES + 1;
  const wanted = count << order;
  while (frames < wanted) {
    block += step;
    if (types[block] !== type) break;
    frames += PAGEBLOCK_PAGES;
  }
  return order === 0 ? frames : Math.max(Math.ceil(frames / (1 << order)), 1);
}

function freeAlike(
  zone: Zone,
  pcp: Pcp,
  order: number,
  frame: number,
  count: number,
  step: 1 | -1,
  type: number,
): void {
  const pindex = orderToPindex(order, type < MIGRATE_PCPTYPES ? type : MIGRATE_MOVABLE);
  const list = pcp.lists[pindex]!;
  const rule = zone.pcpRule;
  let at = frame;
  let left = count;
  while (left > 0) {
    const pushed = Math.min(rule.roomFor(zone, pcp, order), left);
    const last = at + ((step * (pushed - 1)) << order);
    list.push(last, pushed, step === 1 ? -1 : 1, type);
    pcp.pages += pushed << order;
    at = last + (step << order);
    left -= pushed;
    const drained = rule.noteFreed(zone, pcp, order, pushed);
    if (drained > 0) {
      drainPages(zone, pcp, drained, pindex);
      rule.noteDrained(zone);
    }
  }
}

/**
 * Gives pages of a CPU's lists back to the buddy lists, oldest first, starting with one list and going
 * round the others.
 * @kernel mm/page_alloc.c free_pcppages_bulk()
 */
export function drainPages(zone: Zone, pcp: Pcp, pages: number, pindex: number): void {
  if (zone.pcpRule.drainsInTurns)
    return takeTurns(pcp, pages, (index, due) => drainList(zone, pcp, index, due));
  let left = Math.min(pcp.pages, pages);
  let index = pindex - 1;
  let lowest = 0;
  let highest = NR_PCP_LISTS - 1;
  while (left > 0) {
    for (;;) {
      index += 1;
      if (index > highest) index = lowest;
      if (pcp.lists[index]!.count > 0) break;
      if (index === highest) highest -= 1;
      if (index === lowest) lowest += 1;
    }
    left -= drainList(zone, pcp, index, left);
  }
}

/** Gives back the oldest blocks of one list. @returns pages of those blocks */
function drainList(zone: Zone, pcp: Pcp, index: number, pages: number): number {
  const list = pcp.lists[index]!;
  const { order } = list;
  const taken = list.takeTail(Math.ceil(pages / (1 << order)), (frame, count, step, type) => {
    giveBack(zone, order, frame, count, step, type);
  });
  noteBlocks(zone, pcp, taken, 1 << order);
  pcp.pages -= taken << order;
  return taken << order;
}

function giveBack(
  zone: Zone,
  order: number,
  frame: number,
  count: number,
  step: number,
  type: number,
): void {
  if (zone.pcpRule.rereadsTypes) return giveBackByType(zone, order, frame, count, step);
  if (order === 0 && count > 1 && Math.abs(step) === 1) {
    const down = step === -1;
    zone.buddy.freeRange(down ? frame - count + 1 : frame, count, type, down);
    return;
  }
  for (let i = 0; i < count; i += 1) {
    zone.buddy.free(frame + ((step * i) << order), order, type);
  }
}

/** Each page joins the list of the type that its pageblock has by now. @kernel free_pcppages_bulk() */
function giveBackByType(
  zone: Zone,
  order: number,
  frame: number,
  count: number,
  step: number,
): void {
  const { buddy } = zone;
  let at = frame;
  for (let left = count; left > 0;) {
    const type = buddy.typeOf(at);
    if (order > 0 || (step !== 1 && step !== -1)) {
      buddy.free(at, order, type);
      at += step << order;
      left -= 1;
      continue;
    }
    const alike = Math.min(left, blocksOfType(zone, 0, at, left, step, type));
    buddy.freeRange(step === -1 ? at - alike + 1 : at, alike, type, step === -1);
    at += step * alike;
    left -= alike;
  }
}

/** Empties every CPU's lists of a zone. @kernel mm/page_alloc.c drain_pages_zone() */
export function drainPcps(zone: Zone): void {
  for (const pcp of zone.pcps) {
    if (pcp.pages > 0) drainPages(zone, pcp, pcp.pages, 0);
  }
}

export function pcpPages(zone: Zone): number {
  return zone.pcps.reduce((sum, pcp) => sum + pcp.pages, 0);
}
