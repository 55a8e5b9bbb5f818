/** Where the kernel's slabs lie when a replay starts: compaction passes over each in one look. */
import {
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
} from './buddy';
import { PAGE_ALLOC_COSTLY_ORDER } from './constants';
import type { NodeState, Zone } from './zone';

/** What most of slab memory is in: large objects, whose caches take the largest slabs (`slub_max_order`). */
export const SLAB_PAGES = 1 << PAGE_ALLOC_COSTLY_ORDER;

/**
 * Spreads a node's slabs evenly over the kernel's pages of their migrate type, the highest zone's first.
 * @param reservedFrom by zone: first frame of the pages at its end that the allocator was never given
 * @kernel mm/slub.c allocate_slab(): a slab is one compound page
 * @differs /proc counts slab pages, not slabs: all are taken to be of the largest order
 */
export function placeSlabs(node: NodeState, reservedFrom: ReadonlyMap<Zone, number>): void {
  for (const [type, pages] of [
    [MIGRATE_RECLAIMABLE, node.slabReclaimable],
    [MIGRATE_UNMOVABLE, node.slabUnreclaimable],
  ] as const) {
    let left = pages;
    for (const zone of [...node.zones].reverse()) {
      left -= placeInZone(zone, type, left, reservedFrom.get(zone)!);
    }
  }
}

/** @returns slab pages that the zone has room for, at most `pages` */
function placeInZone(zone: Zone, type: number, pages: number, reservedFrom: number): number {
  const end = Math.min(zone.usedPageblocks, Math.floor(reservedFrom / PAGEBLOCK_PAGES));
  let room = 0;
  for (let block = 0; block < end; block += 1) room += kernelPagesOf(zone, block, type);
  const placed = Math.min(pages, room);
  if (placed < SLAB_PAGES) return placed;
  zone.slabs ??= new Uint8Array(zone.buddy.pageblocks);
  let owed = 0;
  for (let block = 0; block < end; block += 1) {
    owed += (kernelPagesOf(zone, block, type) * placed) / room;
    const slabs = Math.floor(owed / SLAB_PAGES);
    zone.slabs[block]! += slabs;
    owed -= slabs * SLAB_PAGES;
  }
  return placed;
}

/** Pages of a pageblock of one type that are neither free nor on an LRU list. */
function kernelPagesOf({ buddy }: Zone, block: number, type: number): number {
  if (buddy.types[block] !== type || type === MIGRATE_MOVABLE) return 0;
  const start = block << PAGEBLOCK_ORDER;
  if (buddy.orderAt(start) >= PAGEBLOCK_ORDER) return 0;
  if (buddy.orderAt(start - (block % 2) * PAGEBLOCK_PAGES) > PAGEBLOCK_ORDER) return 0;
  const free = buddy.hasSmallBlocks(block)
    ? buddy.blocksOf(block).reduce((sum, { order }) => sum + (1 << order), 0)
    : 0;
  return PAGEBLOCK_PAGES - free - buddy.lruPages[block]!;
}
