/** How fragmented a zone is for an order, as debugfs prints it. */

/**
 * External fragmentation index of a zone for an order.
 * @param freeBlocks free blocks by order
 * @returns -1 where a block of the order is free, 0 without any free block, else up to 1 in steps of 0.001:
 *   towards 0 memory is short, towards 1 it is scattered
 * @kernel mm/vmstat.c fill_contig_page_info(), __fragmentation_index()
 */
export function extfragIndex(freeBlocks: number[], order: number): number {
  let pages = 0;
  let blocks = 0;
  let suitable = 0;
  freeBlocks.forEach((count, at) => {
    blocks += count;
    pages += count * (1 << at);
    if (at >= order) suitable += count * (1 << (at - order));
  });
  if (blocks === 0) return 0;
  if (suitable > 0) return -1;
  const missing = Math.floor((1000 + Math.floor((pages * 1000) / (1 << order))) / blocks);
  return (1000 - missing) / 1000;
}

/**
 * Share of a zone's free pages that no request of an order can use, because their blocks are smaller.
 * @param freeBlocks free blocks by order
 * @returns 0 to 1 in steps of 0.001, rounded down; 1 without any free page
 * @kernel mm/vmstat.c unusable_free_index()
 */
export function unusableIndex(freeBlocks: number[], order: number): number {
  const pages = freeBlocks.reduce((sum, count, at) => sum + count * (1 << at), 0);
  if (pages === 0) return 1;
  const usable = freeBlocks.reduce(
    (sum, count, at) => sum + (at < order ? 0 : count * (1 << at)),
    0,
  );
  return Math.floor(((pages - usable) * 1000) / pages) / 1000;
}
