/** Per-CPU lists that tune themselves (6.7): between two borders they grow with use and shrink with time. */
import { PAGE_ALLOC_COSTLY_ORDER, PCP_BATCH_SCALE_MAX, ZONE_MOVABLE } from './constants';
import { noteBlocks } from './free-count';
import { pcpAllowedOrder, type Pcp, type PcpRule } from './pcp-rule';
import { zoneWatermarkOk } from './watermark';
import type { Zone } from './zone';

/** Most pages that a refill asks for or a drain gives up at once. */
function mostMoved(zone: Zone): number {
  return zone.pcpBatch << PCP_BATCH_SCALE_MAX;
}

function clampHigh(zone: Zone, pcp: Pcp): number {
  pcp.high = Math.min(Math.max(pcp.high, zone.pcpHigh), zone.pcpHighMax);
  return pcp.high;
}

/**
 * Sizes between `zone.pcpHigh` (high_min) and `zone.pcpHighMax`, refills that double, and shorter lists
 * while the zone is below its high mark. Kernels from 6.7 on.
 * @differs the CPU's share of the last cache is taken to hold three batches (PCPF_FREE_HIGH_BATCH)
 */
export const tunedPcp: PcpRule = {
  keeps: pcpAllowedOrder,
  drainsInTurns: false,
  rereadsTypes: true,
  highPages: (_, pcp) => pcp.high,

  noteRequests(pcp, requests) {
    pcp.freeCount = requests > 30 ? 0 : pcp.freeCount >> requests;
  },

  refillBlocks: nrPcpAlloc,

  quietRefillPages(zone, pcp, want, mostPages) {
    let pages = 0;
    while (pages < want) {
      const { high, allocFactor } = pcp;
      const blocks = nrPcpAlloc(zone, pcp, 0);
      if (pages + blocks > mostPages) {
        pcp.high = high;
        pcp.allocFactor = allocFactor;
        break;
      }
      pages += blocks;
    }
    return pages;
  },

  foreseenPages: () => 0,

  noteRefill: (zone, pcp, blocks, order) => noteBlocks(zone, pcp, blocks, -(1 << order)),

  noteRefills: (zone, pcp, pages) => noteBlocks(zone, pcp, pages, -1),

  roomFor(zone, pcp, order) {
    if (order > 0) return 1;
    const high = clampHigh(zone, pcp);
    if (zone.reclaimActive) return Math.max(Math.min(zone.pcpBatch << 2, high) - pcp.pages, 1);
    const limit = zone.belowHigh ? zone.pcpHigh : high;
    return Math.max(limit - pcp.pages, 1);
  },

  /** Every page but the last found room. */
  noteFreed(zone, pcp, order, blocks) {
    pcp.allocFactor = blocks > 30 ? 0 : pcp.allocFactor >> blocks;
    let freeHigh = false;
    if (order > 0 && order <= PAGE_ALLOC_COSTLY_ORDER) {
      freeHigh = pcp.freeCount >= zone.pcpBatch && pcp.freedHighOrder && pcp.pages >= zone.pcpBatch;
      pcp.freedHighOrder = true;
    } else {
      pcp.freedHighOrder = false;
    }
    let left = blocks;
    // Each page shortens the lists, until they are as short as they get.
    for (; left > 1 && shrinks(zone, pcp); left -= 1) {
      countFreed(zone, pcp, order, 1);
      nrPcpHigh(zone, pcp, freeHigh);
    }
    countFreed(zone, pcp, order, left);
    const high = nrPcpHigh(zone, pcp, freeHigh);
    return pcp.pages >= high ? nrPcpFree(zone, pcp, high, freeHigh) : 0;
  },

  noteDrained(zone) {
    if (!zone.belowHigh) return;
    const request = { order: 0, classIndex: ZONE_MOVABLE, flags: 0 };
    if (zoneWatermarkOk(zone, zone.high, request)) zone.belowHigh = false;
  },
};

/** Does each page that is freed shorten the lists? */
function shrinks(zone: Zone, pcp: Pcp): boolean {
  return (zone.reclaimActive || zone.belowHigh) && pcp.high !== zone.pcpHigh;
}

/** The count stops growing at a bound that the last block may still overstep. */
function countFreed(zone: Zone, pcp: Pcp, order: number, blocks: number): void {
  const room = Math.ceil((mostMoved(zone) - pcp.freeCount) / (1 << order));
  if (room > 0) pcp.freeCount += Math.min(blocks, room) << order;
}

/** Blocks that a refill asks for. @kernel mm/page_alloc.c nr_pcp_alloc() */
function nrPcpAlloc(zone: Zone, pcp: Pcp, order: number): number {
  const base = zone.pcpBatch;
  let high = clampHigh(zone, pcp);
  if (high < base) return 1;
  let batch = order > 0 ? base : base << pcp.allocFactor;
  if (zone.pcpHigh !== zone.pcpHighMax && !zone.belowHigh) {
    high = Math.min(high + batch, zone.pcpHighMax);
    pcp.high = high;
  }
  if (order === 0) {
    const most = Math.max(high - pcp.pages - base, base);
    if (batch <= most && pcp.allocFactor < PCP_BATCH_SCALE_MAX) pcp.allocFactor += 1;
    batch = Math.min(batch, most);
  }
  return batch > 1 ? Math.max(batch >> order, 2) : batch;
}

/** Pages that the lists may hold when a block has come to them. @kernel mm/page_alloc.c nr_pcp_high() */
function nrPcpHigh(zone: Zone, pcp: Pcp, freeHigh: boolean): number {
  const least = zone.pcpHigh;
  const high = clampHigh(zone, pcp);
  if (high === 0) return 0;
  if (freeHigh) {
    pcp.high = Math.max(high - mostMoved(zone), least);
    return 0;
  }
  const freed = Math.max(pcp.freeCount, zone.pcpBatch);
  if (zone.reclaimActive) {
    pcp.high = Math.max(high - freed, least);
    return Math.min(zone.pcpBatch << 2, pcp.high);
  }
  if (least === zone.pcpHighMax) return high;
  if (zone.belowHigh) {
    pcp.high = Math.max(high - freed, least);
    return Math.max(pcp.pages, least);
  }
  const need = pcp.freeCount + zone.pcpBatch;
  if (pcp.pages >= high && high < need) {
    pcp.high = Math.min(Math.max(need, least), zone.pcpHighMax);
  }
  return high;
}

/** Pages to drain when the lists are full. @kernel mm/page_alloc.c nr_pcp_free() */
function nrPcpFree(zone: Zone, pcp: Pcp, high: number, freeHigh: boolean): number {
  const batch = zone.pcpBatch;
  if (freeHigh) return Math.min(pcp.pages, mostMoved(zone));
  if (high < batch) return 1;
  return Math.min(Math.max(pcp.freeCount, batch), high - batch);
}

/**
 * A look of the statistics work lets a list that grew come down again.
 * @returns pages that the CPU has to give up
 * @kernel mm/page_alloc.c decay_pcp_high()
 */
export function decayPcpHigh(zone: Zone, pcp: Pcp): number {
  if (pcp.high > zone.pcpHigh) {
    pcp.high = Math.max(pcp.pages - mostMoved(zone), pcp.high - (pcp.high >> 3), zone.pcpHigh);
  }
  return Math.max(pcp.pages - pcp.high, 0);
}
