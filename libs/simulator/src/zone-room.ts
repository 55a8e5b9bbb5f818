import { MAX_ORDER, MAX_BLOCK_PAGES, NR_MIGRATE_TYPES } from './buddy';
import { HUGE_ORDER, PAGES_PER_HUGE } from './constants';

/** Biggest buddy block (the kernel's MAX_ORDER - 1 in 6.1): 1024 pages, two pageblocks. */
export const MAX_PAGE_ORDER = MAX_ORDER - 1;
/** Whose pageblocks take what the right type has no room for: Movable ones, as in the kernel's fallback. */
export const LENDERS = [1, 0, 2, 3];

/** A frame range as buddies see it. */
export interface Geometry {
  start: number;
  end: number;
  /** First aligned 1024-page slot that lies wholly inside, and how many follow each other. */
  firstSlot: number;
  slots: number;
  /** Blocks at both ends whose buddies lie at least partly outside, ascending. */
  edges: Edge[];
}

/** An aligned block of order 0..9. */
export interface Edge {
  frame: number;
  order: number;
}

/** The pages of [start, end) as slots and edges; counts of pages and frames, `end` exclusive. */
export function geometryOf(start: number, end: number): Geometry {
  const headEnd = Math.min(end, Math.ceil(start / MAX_BLOCK_PAGES) * MAX_BLOCK_PAGES);
  const tailStart = Math.max(headEnd, Math.floor(end / MAX_BLOCK_PAGES) * MAX_BLOCK_PAGES);
  return {
    start,
    end,
    firstSlot: Math.floor(headEnd / MAX_BLOCK_PAGES),
    slots: Math.floor((tailStart - headEnd) / MAX_BLOCK_PAGES),
    edges: [...alignedBlocks(start, headEnd), ...alignedBlocks(tailStart, end)],
  };
}

/** The range as the fewest naturally aligned blocks; no two of them could merge unless they are of the highest order. */
function alignedBlocks(from: number, to: number): Edge[] {
  const blocks: Edge[] = [];
  for (let frame = from; frame < to;) {
    let order = 0;
    while (
      order < MAX_PAGE_ORDER &&
      frame % (1 << (order + 1)) === 0 &&
      frame + (1 << (order + 1)) <= to
    ) {
      order++;
    }
    blocks.push({ frame, order });
    frame += 1 << order;
  }
  return blocks;
}

/** Sum of a row. */
export const sum = (values: readonly number[]): number =>
  values.reduce((total, value) => total + value, 0);
/** Entry of a table whose bounds are fixed by construction. */
export const at = (values: ArrayLike<number>, index: number): number => values[index] ?? 0;
/** Row of a table whose bounds are fixed by construction. */
export const row = <T>(rows: readonly (readonly T[])[], index: number): readonly T[] =>
  rows[index] ?? [];
const totalsOf = (counts: readonly number[][]): number[] => counts.map(sum);
const pagesOf = (counts: readonly number[][]): number =>
  counts.reduce((pages, types, order) => pages + sum(types) * (1 << order), 0);
const edgesOf = (edges: readonly Edge[], order: number): number =>
  edges.filter((edge) => edge.order === order).length;

/**
 * A region of 2^(k+1) pages holds at most one free block of order k, whose other half is then a region for smaller orders only;
 * so the room for each order follows from the orders above it, wherever their blocks are put.
 * @returns the highest order with more blocks than room, and how many too many; undefined if all fit
 */
function overfull(
  totals: readonly number[],
  geometry: Geometry,
): { order: number; excess: number } | undefined {
  let regions = geometry.slots - at(totals, MAX_PAGE_ORDER);
  if (regions < 0) return { order: MAX_PAGE_ORDER, excess: -regions };
  for (let order = MAX_PAGE_ORDER - 1; order >= 0; order--) {
    const lone = edgesOf(geometry.edges, order);
    const excess = at(totals, order) - regions - lone;
    if (excess > 0) return { order, excess };
    regions = 2 * regions + lone - at(totals, order);
  }
  return undefined;
}

/**
 * Free blocks as counts[order][type] that the span has room for, with no two mergeable buddies.
 * @returns the counts asked for if possible; else with blocks split, or the same pages as few big blocks, and a note
 */
export function feasibleCounts(asked: number[][], span: Geometry, notes: string[]): number[][] {
  const counts = asked.map((types) => [...types]);
  let split = 0;
  for (let full = overfull(totalsOf(counts), span); full; full = overfull(totalsOf(counts), span)) {
    if (full.order === 0) return fewestBlocks(asked, span, notes);
    let left = full.excess;
    for (const type of LENDERS) {
      const here = counts[full.order] ?? [];
      const below = counts[full.order - 1] ?? [];
      const moved = Math.min(left, at(here, type));
      here[type] = at(here, type) - moved;
      below[type] = at(below, type) + 2 * moved;
      left -= moved;
    }
    split += full.excess;
  }
  if (split > 0) {
    notes.push(
      `${split} free blocks were split: a span of ${span.end - span.start} pages from frame ${span.start} ` +
        'has no aligned room for all free blocks of the given orders',
    );
  }
  return counts;
}

/** The free pages as one run at the end of the span, cut into the biggest blocks; types get their pages as nearly as these allow. */
function fewestBlocks(asked: number[][], span: Geometry, notes: string[]): number[][] {
  const spanned = span.end - span.start;
  const pages = Math.min(pagesOf(asked), spanned);
  notes.push(
    pages < pagesOf(asked)
      ? `${pagesOf(asked)} free pages do not fit in a span of ${spanned} pages: ${pages} are kept`
      : `free blocks were merged: a span of ${spanned} pages has no room for so many that are not buddies`,
  );
  const run = geometryOf(span.end - pages, span.end);
  const totals = Array.from({ length: MAX_PAGE_ORDER + 1 }, (_, order) =>
    order === MAX_PAGE_ORDER ? run.slots : edgesOf(run.edges, order),
  );
  const owed = Array.from({ length: NR_MIGRATE_TYPES }, (_, type) =>
    asked.reduce((held, types, order) => held + at(types, type) * (1 << order), 0),
  );
  const counts = totals.map(() => new Array<number>(NR_MIGRATE_TYPES).fill(0));
  for (let order = MAX_PAGE_ORDER; order >= 0; order--) {
    const types = counts[order] ?? [];
    for (let left = at(totals, order); left > 0;) {
      const type = LENDERS.reduce((best, next) => (at(owed, next) > at(owed, best) ? next : best));
      const blocks = Math.min(left, Math.max(1, Math.floor(at(owed, type) / (1 << order))));
      types[type] = at(types, type) + blocks;
      owed[type] = at(owed, type) - blocks * (1 << order);
      left -= blocks;
    }
  }
  return counts;
}

/** Fewest whole pageblocks that, besides `edges`, have room for one type's free blocks of order < 9. */
export function pageblocksFor(
  free: readonly number[][],
  type: number,
  edges: readonly Edge[] = [],
): number {
  let pageblocks = 0;
  let spare = 0;
  for (let order = HUGE_ORDER - 1; order >= 0; order--) {
    const lone = edgesOf(edges, order);
    const blocks = at(row(free, order), type);
    const perPageblock = 1 << (HUGE_ORDER - 1 - order);
    pageblocks = Math.max(pageblocks, Math.ceil((blocks - lone - spare) / perPageblock));
    spare = 2 * spare + lone - blocks;
  }
  return pageblocks;
}

/** What the part of a zone that is laid out has to hold. */
export interface ZoneNeed {
  managedPages: number;
  /** Pageblocks that the texts count, of all types; undefined if they do not. */
  pageblocks: number | undefined;
  /** All pages on LRU and per-CPU lists. */
  usedPages: number;
  /** Those among them that lie in whole aligned pageblocks. */
  hugePages: number;
}

/**
 * End frame of the part of the span that is laid out, the rest being a hole: as many pageblocks as the texts count (else as the
 * managed pages fill), more if the contents need them.
 * @cost O(log pageblocks)
 */
export function usableEnd(free: number[][], span: Geometry, need: ZoneNeed): number {
  const totals = totalsOf(free);
  const mixed = sum(LENDERS.map((type) => pageblocksFor(free, type)));
  const endOf = (pageblock: number): number =>
    Math.max(span.start, Math.min(span.end, pageblock * PAGES_PER_HUGE));
  const enough = (pageblock: number): boolean => {
    const part = geometryOf(span.start, endOf(pageblock));
    const pages = part.end - part.start;
    const whole = 2 * part.slots + edgesOf(part.edges, HUGE_ORDER);
    const notFree = whole - 2 * at(totals, MAX_PAGE_ORDER) - at(totals, HUGE_ORDER);
    return (
      pages >= need.managedPages &&
      pages - pagesOf(free) >= need.usedPages &&
      notFree - mixed >= need.hugePages / PAGES_PER_HUGE &&
      overfull(totals, part) === undefined
    );
  };
  let most = Math.ceil(span.end / PAGES_PER_HUGE);
  let least =
    need.pageblocks === undefined
      ? 2 * Math.ceil((span.start + need.managedPages) / MAX_BLOCK_PAGES)
      : Math.floor(span.start / PAGES_PER_HUGE) + need.pageblocks;
  if (least >= most || !enough(most)) return span.end;
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    if (enough(middle)) most = middle;
    else least = middle + 1;
  }
  return endOf(most);
}
