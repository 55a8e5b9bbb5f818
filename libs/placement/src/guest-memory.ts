/** What a guest's memory takes besides itself. */

/** Entries of a table; a table is a page. */
const ENTRIES = 512;

/**
 * Tables that map so much guest memory, pages: one for every 512 pages, mapped by huge pages or not (a huge
 * page keeps the table that splitting it would need), and the levels above.
 * @kernel mm/huge_memory.c pgtable_trans_huge_deposit(), mm/memory.c __pte_alloc()
 */
export function pageTablePages(memoryPages: number): number {
  let tables = 0;
  let below = memoryPages;
  while (below > 1) {
    below = Math.ceil(below / ENTRIES);
    tables += below;
  }
  return tables;
}
