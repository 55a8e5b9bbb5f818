/** In which order the contents of a zone lie: as boot fills one. */
import {
  MAX_BLOCK_PAGES,
  MIGRATE_HIGHATOMIC,
  MIGRATE_MOVABLE,
  MIGRATE_RECLAIMABLE,
  MIGRATE_UNMOVABLE,
  NR_MIGRATE_TYPES,
} from './buddy';
import { HUGE_ORDER, PAGES_PER_HUGE } from './constants';
import type { PageblockPlan } from './zone-pageblocks';
import { at, MAX_PAGE_ORDER, type Geometry } from './zone-room';

/** Pages that never came to the allocator, in whole pageblocks. */
export interface ReservedPageblocks {
  /** At the start of the zone: the kernel's image. */
  start: number;
  /** At its end, from which memblock takes what boot needs: the memmap above all. */
  end: number;
  /** Migrate type of those at the end. */
  endType: number;
}

/** What a pageblock, or a pair of them with a large free block, is used for; within a type they lie in this order. */
const DENSE = 0;
const MIXED = 1;
const WITH_HUGE = 2;
const BIGGEST = 3;

const RANK_IMAGE = 0;
/** The first block of order 10 that the kernel claimed for pages that nobody can move. */
const RANK_FIRST_CLAIM = 1;
const RANK_RESERVED = 21;
const RANKS = 22;
/** Where the contents of each migrate type begin: Reclaimable pages claim theirs once the first Unmovable ones have. */
const TYPE_RANK: readonly number[] = rankByType();

function rankByType(): number[] {
  const ranks = new Array<number>(NR_MIGRATE_TYPES).fill(0);
  ranks[MIGRATE_RECLAIMABLE] = 2;
  ranks[MIGRATE_HIGHATOMIC] = 6;
  ranks[MIGRATE_UNMOVABLE] = 10;
  ranks[MIGRATE_MOVABLE] = 14;
  return ranks;
}

/**
 * Moves the pageblocks of a plan to where boot would have put their contents, from the zone's start: the kernel's image, the
 * kernel's pages by migrate type, pages of users, free blocks, what memblock reserved. Slots of two pageblocks are alike, so that any
 * order of them keeps every count; blocks of order 9 keep their buddy beside them.
 *
 * @kernel mm/page_alloc.c memmap_init_range(), deferred_init_maxorder(), __rmqueue_fallback(): all memory begins as Movable blocks on
 *   ascending lists, and whoever needs another type claims the largest block from the head
 * @differs Reclaimable pages have one place; hosts that ran for long have their pages anywhere
 * @cost O(pageblocks)
 */
export function orderByAddress(
  plan: PageblockPlan,
  usable: Geometry,
  reserved: ReservedPageblocks,
): void {
  const count = usable.slots * 2;
  if (count === 0) return;
  const first = usable.firstSlot * 2;
  const { ranks, paired } = ranksOf(plan, first, count, reserved);
  const placed = placesOf(ranks, paired);
  const inside = (frame: number): boolean => {
    const block = frame / PAGES_PER_HUGE - first;
    return block >= 0 && block < count;
  };
  const moved = (frame: number): number =>
    inside(frame) ? (first + at(placed, frame / PAGES_PER_HUGE - first)) * PAGES_PER_HUGE : frame;
  const types = plan.types.slice(first, first + count);
  types.forEach((type, block) => (plan.types[first + at(placed, block)] = type));
  for (let type = 0; type < NR_MIGRATE_TYPES; type += 1) {
    for (const order of [HUGE_ORDER, MAX_PAGE_ORDER]) {
      const list = order * NR_MIGRATE_TYPES + type;
      plan.lists[list] = plan.lists[list]!.map(moved);
    }
    plan.open[type]![HUGE_ORDER] = plan.open[type]![HUGE_ORDER]!.map(moved);
  }
  const rankAt = (frame: number): number =>
    inside(frame) ? at(ranks, frame / PAGES_PER_HUGE - first) : RANK_FIRST_CLAIM;
  // Pages of users come from the end of the area: reserved pageblocks last of all.
  const keepsOut = (rank: number): boolean => rank === RANK_IMAGE || rank === RANK_RESERVED;
  const area = plan.area.map((frame) => ({ frame: moved(frame), out: keepsOut(rankAt(frame)) }));
  area.sort((a, b) => Number(b.out) - Number(a.out) || a.frame - b.frame);
  plan.area = area.map(({ frame }) => frame);
  plan.reserved = area.filter(({ out }) => out).length;
  const nrOf = (wanted: number): number =>
    ranks.reduce((blocks, rank) => blocks + Number(rank === wanted), 0);
  plan.image.pageblocks = nrOf(RANK_IMAGE);
  const ends = nrOf(RANK_RESERVED);
  if (ends > 0) plan.reservedFrom = (first + count - ends) * PAGES_PER_HUGE;
}

/** Rank of each pageblock, and whether the slot of two is one unit. */
function ranksOf(
  plan: PageblockPlan,
  first: number,
  count: number,
  reserved: ReservedPageblocks,
): { ranks: Uint8Array; paired: Uint8Array } {
  const ranks = new Uint8Array(count);
  const paired = new Uint8Array(count / 2);
  const blockOf = (frame: number): number => frame / PAGES_PER_HUGE - first;
  let image = reserved.start;
  let claim = MAX_BLOCK_PAGES / PAGES_PER_HUGE;
  const ends = reservedAtEnd(plan, reserved);
  for (const frame of plan.area) {
    const block = blockOf(frame);
    if (block < 0 || block >= count) continue;
    const type = at(plan.types, first + block);
    if (ends.has(frame)) ranks[block] = RANK_RESERVED;
    else if (type === MIGRATE_MOVABLE && image > 0) {
      ranks[block] = RANK_IMAGE;
      image -= 1;
    } else if (type === MIGRATE_UNMOVABLE && claim > 0) {
      ranks[block] = RANK_FIRST_CLAIM;
      claim -= 1;
    } else ranks[block] = at(TYPE_RANK, type) + DENSE;
  }
  for (let type = 0; type < NR_MIGRATE_TYPES; type += 1) {
    for (const frame of plan.open[type]?.[HUGE_ORDER] ?? []) {
      const block = blockOf(frame);
      if (block >= 0 && block < count) ranks[block] = at(TYPE_RANK, type) + MIXED;
    }
    for (const [order, use] of [
      [HUGE_ORDER, WITH_HUGE],
      [MAX_PAGE_ORDER, BIGGEST],
    ] as const) {
      for (const frame of plan.lists[order * NR_MIGRATE_TYPES + type] ?? []) {
        const block = blockOf(frame);
        if (block < 0 || block >= count) continue;
        const slot = Math.floor(block / 2);
        paired[slot] = 1;
        ranks.fill(at(TYPE_RANK, type) + use, slot * 2, slot * 2 + 2);
      }
    }
  }
  return { ranks, paired };
}

/** Pageblocks without free pages that stand for what is reserved at the end. */
function reservedAtEnd(
  { area, types }: PageblockPlan,
  { start, end, endType }: ReservedPageblocks,
): Set<number> {
  const chosen = new Set<number>();
  let image = start;
  for (const frame of area) {
    if (chosen.size >= end) break;
    const type = at(types, Math.floor(frame / PAGES_PER_HUGE));
    if (type === MIGRATE_MOVABLE && image > 0) image -= 1;
    else if (type === endType) chosen.add(frame);
  }
  return chosen;
}

/** New index of each pageblock: by rank; a slot that is one unit stays aligned. */
function placesOf(ranks: Uint8Array, paired: Uint8Array): Int32Array {
  const singles = byRank(ranks, (block) => paired[block >> 1] === 0, 1);
  const pairs = byRank(ranks, (block) => paired[block >> 1] === 1, 2);
  const placed = new Int32Array(ranks.length);
  let single = 0;
  let pair = 0;
  for (let next = 0; next < ranks.length;) {
    const pairFirst =
      pair < pairs.length &&
      next % 2 === 0 &&
      (single >= singles.length || ranks[pairs[pair]!]! < ranks[singles[single]!]!);
    if (pairFirst) {
      const block = pairs[pair++]!;
      placed[block] = next;
      placed[block + 1] = next + 1;
      next += 2;
    } else {
      placed[singles[single++]!] = next++;
    }
  }
  return placed;
}

/** Units of one size in order of their ranks, ascending within one. */
function byRank(ranks: Uint8Array, isUnit: (block: number) => boolean, blocks: number): Int32Array {
  const starts = new Int32Array(RANKS + 1);
  for (let block = 0; block < ranks.length; block += blocks) {
    if (isUnit(block)) starts[ranks[block]! + 1]! += 1;
  }
  for (let rank = 0; rank < RANKS; rank += 1) starts[rank + 1]! += starts[rank]!;
  const sorted = new Int32Array(starts[RANKS]!);
  for (let block = 0; block < ranks.length; block += blocks) {
    if (isUnit(block)) sorted[starts[ranks[block]!]!++] = block;
  }
  return sorted;
}
