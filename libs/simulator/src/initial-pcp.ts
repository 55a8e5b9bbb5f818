/** Which pages the per-CPU lists hold when a replay starts: their number is known, their types are not. */
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE, PAGEBLOCK_PAGES } from './buddy';
import { orderToPindex } from './pcp';
import type { PcpRun } from './pcp-list';
import type { Pcp } from './pcp-rule';
import type { UnseenState } from './types';
import { isOnlineBlock, type Zone } from './zone';
import type { Extent } from './zone-layout';

/** Types of the kernel's own pages. */
const KERNEL_TYPES = [MIGRATE_UNMOVABLE, MIGRATE_RECLAIMABLE];
/**
 * Lengths of the pieces that a kernel's freed pages form between those in use, in turn. Hosts recorded
 * after boot gave back 63 such pages as 6 to 21 free blocks; these make it 11.
 */
const PIECE_PAGES = [1, 2, 4, 8, 16];

/** Looks until the first of these lists gives up pages: one of three was made when the state was read. */
const FIRST_LOOKS = 2;

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
 * @param kernelShare 0.5 for the kernel's likely share, 0 for none of it, 1 for twice as much
 * @differs the kernel counts only all types together (/proc/zoneinfo)
 */
export function typeShares(
  held: number,
  used: UsedPages,
  pageblocks: readonly number[],
  kernelShare = 0.5,
): TypeShares {
  const { lruPages, kernelPages, heldPages } = used;
  const unmovable = pageblocks[MIGRATE_UNMOVABLE]!;
  const kernelBlocks = unmovable + pageblocks[MIGRATE_RECLAIMABLE]!;
  if (kernelBlocks === 0 || kernelPages < heldPages) return [0, held, 0];
  const likely = (held * kernelPages) / (kernelPages + lruPages);
  const kernel = Math.min(Math.floor(likely * 2 * kernelShare), held);
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
    private readonly taken: Pageblocks,
  ) {}

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

  /**
   * Blocks next to each other, as one refill leaves them.
   * @returns no more than one gap between free blocks has room for, perhaps none
   */
  takeRun(order: number, blocks: number): PcpRun[] {
    const size = 1 << order;
    if (this.end - this.at < size * 2 && !this.nextGap()) return [];
    const first = Math.ceil(this.at / size) * size;
    const count = Math.min(blocks, Math.floor((this.end - first) / size));
    if (count <= 0) return [];
    this.at = first + count * size + 1;
    return [{ frame: first, count, step: 1, type: this.type }];
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
    at = frame + (1 << order);
  }
  const end = Math.min(start + PAGEBLOCK_PAGES, buddy.frames);
  if (end - at > 2) gaps.push({ frame: at, pages: end - at });
  return gaps;
}

/** Pageblocks of a zone. */
export type Pageblocks = Pick<ReadonlySet<number>, 'has'>;

/** Pageblocks that extents touch. */
export function pageblocksOf({ buddy }: Zone, lists: readonly (readonly Extent[])[]): Pageblocks {
  const touched = new Uint8Array(buddy.pageblocks);
  for (const extents of lists) {
    for (const { frame, pages } of extents) {
      const first = Math.floor(frame / PAGEBLOCK_PAGES);
      touched.fill(1, first, Math.floor((frame + pages - 1) / PAGEBLOCK_PAGES) + 1);
    }
  }
  return { has: (block) => touched[block] === 1 };
}

/** Kernel lists that a refill leaves half a batch on: order and type. */
const REFILLED: readonly [order: number, type: number][] = [
  [0, MIGRATE_UNMOVABLE],
  [0, MIGRATE_RECLAIMABLE],
  [1, MIGRATE_UNMOVABLE],
  [1, MIGRATE_RECLAIMABLE],
  [2, MIGRATE_UNMOVABLE],
  [2, MIGRATE_RECLAIMABLE],
  [3, MIGRATE_UNMOVABLE],
];

/**
 * Fills the lists of all CPUs. Each list that the kernel uses has half a batch of its last refill left, in one piece; so has the Movable
 * list of a CPU of the node itself. What a CPU holds besides was freed page by page.
 * @param held pages by CPU position
 * @param local whether the CPU at a position is one of the zone's node
 * @param movable hands out frames of Movable pageblocks
 * @param unseen what the last refill left of a batch, and how much is of the kernel's types
 */
export function fillPcps(
  zone: Zone,
  held: readonly number[],
  local: readonly boolean[],
  used: UsedPages,
  taken: Pageblocks,
  movable: (pages: number) => Extent[],
  { listShare, kernelShare }: UnseenState,
): void {
  const blocks = [0, 0, 0, 0];
  for (let block = 0; block < zone.usedPageblocks; block += 1)
    if (isOnlineBlock(zone, block)) blocks[zone.buddy.types[block]!]! += 1;
  const pieces = new Map(
    KERNEL_TYPES.map((type) => [type, new KernelPieces(zone, type, taken)] as const),
  );
  const put = (pcp: Pcp, order: number, type: number, runs: PcpRun[]): void => {
    const list = pcp.lists[orderToPindex(order, type)]!;
    for (const run of [...runs].reverse()) {
      list.pushHead(run);
      pcp.pages += run.count << order;
    }
  };
  const putMovable = (pcp: Pcp, pages: number): void =>
    put(
      pcp,
      0,
      MIGRATE_MOVABLE,
      movable(pages).map(({ frame, pages: count }) => ({
        frame,
        count,
        step: 1,
        type: MIGRATE_MOVABLE,
      })),
    );
  zone.pcps.forEach((pcp, cpu) => {
    const [unmovable, , reclaimable] = typeShares(held[cpu]!, used, blocks, kernelShare);
    const share = Math.min(
      Math.floor(zone.pcpBatch * listShare),
      Math.floor(held[cpu]! / (REFILLED.length + (local[cpu] ? 1 : 0))),
    );
    for (const [order, type] of REFILLED) {
      if (!zone.pcpRule.keeps(order)) continue;
      if ((type === MIGRATE_UNMOVABLE ? unmovable : reclaimable) === 0) continue;
      put(pcp, order, type, pieces.get(type)!.takeRun(order, share >> order));
    }
    if (local[cpu] && unmovable + reclaimable > 0) putMovable(pcp, share);
    const rest = typeShares(held[cpu]! - pcp.pages, used, blocks, kernelShare);
    for (const type of KERNEL_TYPES) put(pcp, 0, type, pieces.get(type)!.take(rest[type]!));
    putMovable(pcp, held[cpu]! - pcp.pages);
  });
}

/**
 * Which lists of other nodes wait for looks when a replay starts: those of the CPUs that were at work last. These are the first one,
 * from which the state was read, and the one with most pages on its lists. A list that its CPU has not used for long waits for none.
 */
export function startExpiry(zones: readonly Zone[], cpus: number, tuned: boolean): void {
  if (tuned) {
    for (const zone of zones) for (const pcp of zone.pcps) pcp.expire = 1;
    return;
  }
  const held = Array.from({ length: cpus }, (_, cpu) =>
    zones.reduce((sum, zone) => sum + zone.pcps[cpu]!.pages, 0),
  );
  const busiest = held.indexOf(Math.max(...held));
  for (const zone of zones) {
    for (const cpu of new Set([0, busiest])) zone.pcps[cpu]!.expire = FIRST_LOOKS;
  }
}
