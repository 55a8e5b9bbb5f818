/** Which pages the per-CPU lists hold when a replay starts: their number is known, their types are not. */
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE, PAGEBLOCK_PAGES } from './buddy';
import { ZONE_NORMAL } from './constants';
import { orderToPindex } from './pcp';
import type { PcpRun } from './pcp-list';
import { fixedRefillBlocks } from './pcp-rule';
import type { Zone } from './zone';
import type { Extent } from './zone-layout';

/** Types of the kernel's own pages. */
const KERNEL_TYPES = [MIGRATE_UNMOVABLE, MIGRATE_RECLAIMABLE];
/**
 * Lengths of the pieces that a kernel's freed pages form between those in use, in turn. Hosts recorded
 * after boot gave back 63 such pages as 6 to 21 free blocks; these make it 11.
 */
const PIECE_PAGES = [1, 2, 4, 8, 16];

/** What a zone's pages are used for, where no list of free pages says it. */
export interface UsedPages {
  /** Pages on LRU lists. */
  lruPages: number;
  /** Pages in use that stand on no list: the kernel's own. */
  kernelPages: number;
  /** Pages on all CPUs' lists. */
  heldPages: number;
}

/** Pages of one CPU's lists by migrate type. */
export type TypeShares = [unmovable: number, movable: number, reclaimable: number];

/**
 * The likely types of a CPU's cached pages: what was freed last is like what is in use. The kernel's share is
 * split by the pageblocks of its types. On all lists together it does not exceed what the kernel still has in
 * the zone: a zone without much of it got its cached pages from memory that was handed over at boot.
 * @param pageblocks pageblocks by type, for Unmovable and Reclaimable at their index
 * @differs the kernel counts only all types together (/proc/zoneinfo)
 */
export function typeShares(
  held: number,
  used: UsedPages,
  pageblocks: readonly number[],
): TypeShares {
  const { lruPages, kernelPages, heldPages } = used;
  const unmovable = pageblocks[MIGRATE_UNMOVABLE]!;
  const kernelBlocks = unmovable + pageblocks[MIGRATE_RECLAIMABLE]!;
  if (kernelBlocks === 0 || kernelPages <= 0) return [0, held, 0];
  const kernel = Math.floor((held * kernelPages) / Math.max(kernelPages + lruPages, heldPages));
  const first = Math.round((kernel * unmovable) / kernelBlocks);
  return [first, held - kernel, kernel - first];
}

/** Pages of the kernel in pageblocks of one type, handed out in pieces with a page in use between them. */
export class KernelPieces {
  private block = -1;
  private at = 0;
  private end = 0;
  private gaps: Extent[] = [];
  private turn = 0;

  /** @param taken pageblocks that hold other pages in use, which are left alone */
  constructor(
    private readonly zone: Zone,
    private readonly type: number,
    private readonly taken: ReadonlySet<number>,
  ) {}

  /** @returns aligned blocks of one order, each a run of its own; fewer when the pageblocks have no more */
  takeBlocks(order: number, blocks: number): PcpRun[] {
    const pages = 1 << order;
    const runs: PcpRun[] = [];
    while (runs.length < blocks) {
      const frame = Math.ceil(this.at / pages) * pages;
      if (frame + pages <= this.end) {
        runs.push({ frame, count: 1, step: 1, type: this.type });
        this.at = frame + pages + 1;
      } else if (!this.nextGap()) break;
    }
    return runs;
  }

  /** @returns pieces of `pages` in all; fewer when the pageblocks have no more */
  take(pages: number): PcpRun[] {
    const pieces: PcpRun[] = [];
    for (let left = pages; left > 0;) {
      if (this.at >= this.end && !this.nextGap()) break;
      const room = this.end - this.at;
      const count = Math.min(left, room, PIECE_PAGES[this.turn % PIECE_PAGES.length]!);
      pieces.push({ frame: this.at, count, step: 1, type: this.type });
      this.turn += 1;
      this.at += count + 1;
      left -= count;
    }
    return pieces;
  }

  /** The next frames in use: the first and the last of them stay in use. */
  private nextGap(): boolean {
    const { buddy, usedPageblocks } = this.zone;
    while (this.gaps.length === 0) {
      this.block += 1;
      if (this.block >= usedPageblocks) return false;
      if (buddy.types[this.block] !== this.type || this.taken.has(this.block)) continue;
      this.gaps = gapsOf(this.zone, this.block);
    }
    const { frame, pages } = this.gaps.shift()!;
    this.at = frame + 1;
    this.end = frame + pages - 1;
    return true;
  }
}

/** Frames of a pageblock between its free blocks. */
function gapsOf(zone: Zone, block: number): Extent[] {
  const { buddy } = zone;
  const start = block * PAGEBLOCK_PAGES;
  const whole =
    buddy.orderAt(start) >= 9 || buddy.orderAt(start - (block % 2) * PAGEBLOCK_PAGES) >= 10;
  if (whole) return [];
  const gaps: Extent[] = [];
  let at = Math.max(start, buddy.firstFrame);
  for (const { frame, order } of buddy.blocksOf(block)) {
    if (frame - at > 2) gaps.push({ frame: at, pages: frame - at });
    at = frame + 2 ** order;
  }
  const end = Math.min(start + PAGEBLOCK_PAGES, buddy.frames);
  if (end - at > 2) gaps.push({ frame: at, pages: end - at });
  return gaps;
}

/** Pageblocks that extents touch. */
export function pageblocksOf(extents: readonly Extent[]): Set<number> {
  const blocks = new Set<number>();
  for (const { frame, pages } of extents) {
    const last = Math.floor((frame + pages - 1) / PAGEBLOCK_PAGES);
    for (let block = Math.floor(frame / PAGEBLOCK_PAGES); block <= last; block += 1) {
      blocks.add(block);
    }
  }
  return blocks;
}

/** Is it the zone that a CPU's kernel memory comes from first? */
function servesKernel(zone: Zone, cpu: number): boolean {
  const { cpus, zones } = zone.node;
  const highest = zones.filter(({ index, managed }) => index <= ZONE_NORMAL && managed > 0).at(-1);
  return zone === highest && cpus.includes(cpu);
}

/**
 * Fills the lists of all CPUs: those of order 0, and what is left of the last refill for tree nodes, the slabs that
 * a host takes in great number. Such a list is refilled when it is empty and found half full.
 * @param held pages by CPU position
 * @param slabOrder order of the slabs of tree nodes
 * @param movable hands out frames of Movable pageblocks
 */
export function fillPcps(
  zone: Zone,
  held: readonly number[],
  used: UsedPages,
  slabOrder: number,
  taken: ReadonlySet<number>,
  movable: (pages: number) => Extent[],
): void {
  const blocks = [0, 0, 0, 0];
  for (let block = 0; block < zone.usedPageblocks; block += 1)
    blocks[zone.buddy.types[block]!]! += 1;
  const pieces = KERNEL_TYPES.map((type) => new KernelPieces(zone, type, taken));
  zone.pcps.forEach((pcp, cpu) => {
    let left = held[cpu]!;
    // The host worked until it was looked at: what one look finds unused is due with the first one.
    pcp.expire = 1;
    const shares = typeShares(left, used, blocks);
    const fill = (order: number, type: number, runs: PcpRun[]): number => {
      const list = pcp.lists[orderToPindex(order, type)]!;
      list.refill(runs);
      const pages = list.count << order;
      left -= pages;
      pcp.pages += pages;
      return pages;
    };
    KERNEL_TYPES.forEach((type, i) => {
      let share = shares[type]!;
      const keepsSlabs = zone.pcpRule.keeps(slabOrder) && servesKernel(zone, cpu);
      if (type === MIGRATE_RECLAIMABLE && keepsSlabs) {
        const half = Math.floor(fixedRefillBlocks(zone, slabOrder) / 2);
        const slabs = Math.min(half, share >> slabOrder);
        share -= fill(slabOrder, type, pieces[i]!.takeBlocks(slabOrder, slabs));
      }
      fill(0, type, pieces[i]!.take(share));
    });
    const list = pcp.lists[orderToPindex(0, MIGRATE_MOVABLE)]!;
    list.refill(
      movable(left).map(({ frame, pages }) => ({
        frame,
        count: pages,
        step: 1,
        type: MIGRATE_MOVABLE,
      })),
    );
    pcp.pages += list.count;
  });
}
