/** Per-CPU page lists (pcp) as counts: sizes, refill and drain. */
import { PCP_BATCH_SCALE_MAX } from './constants';
import { kernelProfiles, type KernelProfile } from './profile';

/** One CPU's list of a zone. Pages here are not free to anyone else and not in `free`. */
export interface Pcp {
  /** Movable order-0 pages: what guest memory and page cache are taken from. */
  pages: number;
  /** Pages of an order-9 list, kept apart because order-0 requests never take them. */
  hugePages: number;
  freeFactor: number;
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
  return Math.max(2 ** Math.floor(Math.log2(batch + Math.floor(batch / 2))) - 1, 1);
}

/**
 * Pages that one CPU's list may hold.
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

/** @kernel mm/page_alloc.c nr_pcp_free() */
function nrPcpFree(pcp: Pcp, high: number, batch: number): number {
  if (high < batch) return 1;
  const most = high - batch;
  const wanted = batch * 2 ** pcp.freeFactor;
  if (wanted < most && pcp.freeFactor < PCP_BATCH_SCALE_MAX) pcp.freeFactor += 1;
  return Math.max(Math.min(wanted, most), Math.min(batch, most));
}

/**
 * Puts freed order-0 pages on a list and drains it as the kernel does.
 * @returns pages that went on to the buddy lists
 * @kernel mm/page_alloc.c free_unref_page_commit()
 */
export function freeToPcp(pcp: Pcp, pages: number, high: number, batch: number): number {
  let left = pages;
  let drained = 0;
  while (left > 0) {
    const held = pcp.pages + pcp.hugePages;
    const room = Math.max(high - held, 1);
    if (left < room) {
      pcp.pages += left;
      return drained;
    }
    pcp.pages += room;
    left -= room;
    const wanted = nrPcpFree(pcp, high, batch);
    const most = high - batch;
    if (wanted === most && pcp.freeFactor >= PCP_BATCH_SCALE_MAX) {
      // The factor no longer moves: every further `wanted` pages push out as many.
      const cycles = Math.floor(left / Math.max(wanted, 1));
      left -= cycles * wanted;
      drained += cycles * wanted;
    }
    const freed = Math.min(wanted, pcp.pages);
    pcp.pages -= freed;
    drained += freed;
  }
  return drained;
}
