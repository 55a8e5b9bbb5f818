/** Per-CPU lists of single pages, as they were until 5.12: six batches long, drained a batch at a time. */
import { MIGRATE_PCPTYPES } from './buddy';
import { fixedPcp, fixedRefillBlocks, type Pcp, type PcpRule } from './pcp-rule';

/**
 * Only single pages wait on a CPU's lists. A list that got too long gives one batch, whatever came before,
 * and whether or not kswapd works. Kernels up to 5.12.
 */
export const singlesPcp: PcpRule = {
  ...fixedPcp,
  keeps: (order) => order === 0,
  drainsInTurns: true,

  noteRequests: () => undefined,

  refillBlocks: (zone) => fixedRefillBlocks(zone, 0),

  /** A page that finds the lists full joins them first, so that lists for none pass each page on. */
  roomFor: (zone, pcp) => Math.max(zone.pcpHigh - pcp.pages, 1),

  noteFreed: (zone, pcp) => (pcp.pages < zone.pcpHigh ? 0 : zone.pcpBatch),
};

/**
 * Which lists give how many pages, oldest first: each in its turn, and the more the longer no empty one came by.
 * @param take takes so many pages from a list
 * @kernel mm/page_alloc.c free_pcppages_bulk()
 */
export function takeTurns(
  pcp: Pcp,
  pages: number,
  take: (index: number, pages: number) => void,
): void {
  let left = Math.min(pcp.pages, pages);
  let type = 0;
  let atOnce = 0;
  while (left > 0) {
    do {
      atOnce += 1;
      type = (type + 1) % MIGRATE_PCPTYPES;
    } while (pcp.lists[type]!.count === 0);
    // The only list that is left gives all of them.
    if (atOnce === MIGRATE_PCPTYPES) atOnce = left;
    const taken = Math.min(left, atOnce, pcp.lists[type]!.count);
    take(type, taken);
    atOnce -= taken;
    left -= taken;
  }
}
