/** How long a CPU's lists may get and how much moves at once: what kernels before 6.7 fix and 6.7 and later tune. */
import { MIGRATE_PCPTYPES, PAGEBLOCK_ORDER } from './buddy';
import { PAGE_ALLOC_COSTLY_ORDER, PCP_BATCH_SCALE_MAX } from './constants';
import { noteFreeChange } from './free-count';
import { PcpList } from './pcp-list';
import type { Zone } from './zone';

/** Lists of orders 0..3 by type, then two for huge pages: other types, movable. */
export const NR_LOWORDER_PCP_LISTS = MIGRATE_PCPTYPES * (PAGE_ALLOC_COSTLY_ORDER + 1);
export const NR_PCP_LISTS = NR_LOWORDER_PCP_LISTS + 2;

/** One CPU's lists of a zone. Pages here are not free to anyone else and not in NR_FREE_PAGES. */
export class Pcp {
  /** Pages on all lists. */
  pages = 0;
  /** Doublings of the next drain (`free_factor`, until 6.6). */
  freeFactor = 0;
  /** Pages that the lists may hold now (`high`, tuned from 6.7 on). */
  high = 0;
  /** Doublings of the next refill (`alloc_factor`, from 6.7 on). */
  allocFactor = 0;
  /** Pages freed without many requests in between (`free_count`, from 6.7 on). */
  freeCount = 0;
  /** The last block freed was one of order 1 to 3 (`PCPF_PREV_FREE_HIGH_ORDER`, from 6.7 on). */
  freedHighOrder = false;
  /** Change of NR_FREE_PAGES that this CPU has not handed over yet (`vm_stat_diff`). */
  freeDiff = 0;
  /** Looks of the statistics work until an unused list of another node loses a batch; 0: none is due. */
  expire = 0;
  /** Pages of LRU lists came or went since the last look, so that the CPU has counts of the zone to hand over. */
  counted = false;
  /** Pages came or went since the last look, of any kind. */
  used = false;
  readonly lists: PcpList[] = [];

  constructor() {
    for (let i = 0; i < NR_PCP_LISTS; i += 1) {
      const order = i < NR_LOWORDER_PCP_LISTS ? Math.floor(i / MIGRATE_PCPTYPES) : PAGEBLOCK_ORDER;
      this.lists.push(new PcpList(order));
    }
  }
}

/** What a kernel decides about its per-CPU lists; each call may change what the next one answers. */
export interface PcpRule {
  /** Do blocks of an order go through the lists? The others are taken from and returned to the zone at once. */
  keeps(order: number): boolean;
  /** Do drains take a few pages of each list in turn, or empty one list after the other? */
  drainsInTurns: boolean;
  /** Pages that a CPU's lists may hold, as /proc/zoneinfo prints it. */
  highPages(zone: Zone, pcp: Pcp): number;
  /** So many requests looked at a CPU's lists. @kernel rmqueue_pcplist() */
  noteRequests(pcp: Pcp, requests: number): void;
  /** Blocks that the next refill asks for. */
  refillBlocks(zone: Zone, pcp: Pcp, order: number): number;
  /**
   * Pages of whole refills, one after the other, for up to `want` single pages, of which the type's own
   * blocks and the mark together allow `mostPages`; 0 where the first refill is too large for that.
   */
  quietRefillPages(zone: Zone, pcp: Pcp, want: number, mostPages: number): number;
  /** Pages that whole refills hand out for `mostPages` pages, where that can be said beforehand. */
  foreseenPages(zone: Zone, mostPages: number): number;
  /** Books on NR_FREE_PAGES what one refill took. */
  noteRefill(zone: Zone, pcp: Pcp, blocks: number, order: number): void;
  /** Books on NR_FREE_PAGES what refills of single pages took that followed each other. */
  noteRefills(zone: Zone, pcp: Pcp, pages: number): void;
  /** Blocks that can be freed to a CPU's lists before one of them may find the lists full; at least 1. */
  roomFor(zone: Zone, pcp: Pcp, order: number): number;
  /** Blocks were put on the lists; returns the pages that are drained for it. @kernel free_unref_page_commit() */
  noteFreed(zone: Zone, pcp: Pcp, order: number, blocks: number): number;
  /** Pages went from a CPU's lists to the free lists because there was no room. */
  noteDrained(zone: Zone): void;
  /** Does a page return to the list of its pageblock's present type, or of the type it was handed out for? */
  rereadsTypes: boolean;
}

/** Does an order go through the per-CPU lists? Kernels from 5.13 on. @kernel mm/page_alloc.c pcp_allowed_order() */
export function pcpAllowedOrder(order: number): boolean {
  return order <= PAGE_ALLOC_COSTLY_ORDER || order === PAGEBLOCK_ORDER;
}

/** Sizes from the zone's low mark, and drains that double. Kernels 5.13 to 6.6. */
export const fixedPcp: PcpRule = {
  keeps: pcpAllowedOrder,
  drainsInTurns: false,
  rereadsTypes: false,
  highPages: (zone) => zone.pcpHigh,

  noteRequests(pcp, requests) {
    pcp.freeFactor = requests > 30 ? 0 : pcp.freeFactor >> requests;
  },

  refillBlocks: (zone, _, order) => fixedRefillBlocks(zone, order),

  quietRefillPages(zone, _, want, mostPages) {
    const batch = fixedRefillBlocks(zone, 0);
    return Math.min(Math.ceil(want / batch), Math.floor(mostPages / batch)) * batch;
  },

  foreseenPages: (zone, mostPages) => Math.floor(mostPages / zone.pcpBatch) * zone.pcpBatch,

  noteRefill: (zone, pcp, blocks, order) => noteFreeChange(zone, pcp, 0 - (blocks << order)),

  noteRefills(zone, pcp, pages) {
    const batch = fixedRefillBlocks(zone, 0);
    if (batch > zone.statThreshold) pcp.freeDiff = settledDiff(zone, pcp);
    else for (let left = pages; left > 0; left -= batch) noteFreeChange(zone, pcp, -batch);
  },

  roomFor(zone, pcp, order) {
    const limit = fixedLimit(zone, pcp, order);
    return Math.max(Math.ceil((limit - pcp.pages) / (1 << order)), 1);
  },

  noteFreed(zone, pcp, order) {
    const limit = fixedLimit(zone, pcp, order);
    if (pcp.pages < limit) return 0;
    return nrPcpFree(pcp, limit, zone.pcpBatch, freesHigh(pcp, order));
  },

  noteDrained: () => undefined,
};

/** @kernel mm/page_alloc.c __rmqueue_pcplist() */
export function fixedRefillBlocks(zone: Zone, order: number): number {
  return zone.pcpBatch > 1 ? Math.max(zone.pcpBatch >> order, 2) : zone.pcpBatch;
}

/** A refill larger than the threshold hands everything over at once. */
function settledDiff(zone: Zone, pcp: Pcp): number {
  zone.freeDrift += pcp.freeDiff;
  return 0;
}

function freesHigh(pcp: Pcp, order: number): boolean {
  return pcp.freeFactor > 0 && order > 0 && order <= PAGE_ALLOC_COSTLY_ORDER;
}

/** @kernel mm/page_alloc.c nr_pcp_high() */
function fixedLimit(zone: Zone, pcp: Pcp, order: number): number {
  if (freesHigh(pcp, order)) return 0;
  return zone.reclaimActive ? Math.min(zone.pcpBatch * 4, zone.pcpHigh) : zone.pcpHigh;
}

/**
 * Pages to drain when the lists are full.
 * @kernel mm/page_alloc.c nr_pcp_free()
 */
function nrPcpFree(pcp: Pcp, high: number, batch: number, freeHigh: boolean): number {
  if (freeHigh) return pcp.pages;
  if (high < batch) return 1;
  const most = high - batch;
  const wanted = batch * (1 << pcp.freeFactor);
  if (wanted < most && pcp.freeFactor < PCP_BATCH_SCALE_MAX) pcp.freeFactor += 1;
  // The kernel's clamp() lets the lower border win only where the upper one allows it.
  return Math.min(Math.max(wanted, batch), most);
}
