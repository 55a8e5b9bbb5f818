/** Pageblocks that nobody is served from: before their memory goes offline, and until new memory is ready. */
import {
  MAX_ORDER,
  MIGRATE_ISOLATE,
  MIGRATE_MOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
} from './buddy';
import { ZONE_MOVABLE } from './constants';
import { moveFreepagesBlock } from './fallback';
import { noteFreeChange } from './free-count';
import { eachPiece } from './lru';
import { lruvecsOf } from './lruvec';
import type { Zone } from './zone';

/** Frames [from, to) of a zone, whole pageblocks, and the CPU position that works on them. */
export interface FrameRange {
  zone: Zone;
  from: number;
  to: number;
  cpu: number;
}

/** By frame of a range: 1 where a page of an LRU list stands. */
export function lruMarks({ zone, from, to }: FrameRange): Uint8Array {
  const marks = new Uint8Array(to - from);
  for (const list of lruvecsOf(zone.node).flatMap(({ lists }) => lists)) {
    for (let run = list.oldest(); run; run = run.newer) {
      if (run.zone !== zone) continue;
      eachPiece(run, (lowest, end) => {
        if (lowest < to && end > from) marks.fill(1, Math.max(lowest - from, 0), end - from);
      });
    }
  }
  return marks;
}

/** Is a frame the second half of a free block of two pageblocks? */
function inLargerBlock({ buddy }: Zone, frame: number): boolean {
  return (
    frame % (2 * PAGEBLOCK_PAGES) === PAGEBLOCK_PAGES &&
    buddy.orderAt(frame - PAGEBLOCK_PAGES) === MAX_ORDER - 1
  );
}

/**
 * The first frame of a pageblock whose page can neither be moved nor skipped, or -1. Pages of zone Movable pass unless
 * they were reserved at boot.
 * @param start first frame of the pageblock
 * @kernel mm/page_isolation.c has_unmovable_pages()
 * @differs which of a zone's pages boot reserved is not known: in zone Movable each that is on no list counts as such while there are any
 */
function unmovableFrame(range: FrameRange, start: number, marks: Uint8Array): number {
  const { zone, from } = range;
  if (zone.hugetlbBlocks.has(start >>> PAGEBLOCK_ORDER) || inLargerBlock(zone, start)) return -1;
  const reserved = zone.present - zone.managed - zone.memmapPages > 0;
  for (let frame = start; frame < start + PAGEBLOCK_PAGES; frame += 1) {
    const order = zone.buddy.orderAt(frame);
    if (order >= 0) frame += (1 << order) - 1;
    else if (marks[frame - from] === 0 && (reserved || zone.index !== ZONE_MOVABLE)) return frame;
  }
  return -1;
}

/** Splits a free block of two pageblocks, so that one of them can change its type alone. @returns whether there was one */
function splitLargeBuddy(zone: Zone, start: number, type: number): boolean {
  const { buddy } = zone;
  const head = start - (start % (2 * PAGEBLOCK_PAGES));
  if (buddy.orderAt(head) !== MAX_ORDER - 1) return false;
  buddy.remove(head, MAX_ORDER - 1);
  buddy.types[start >>> PAGEBLOCK_ORDER] = type;
  for (const half of [head, head + PAGEBLOCK_PAGES]) {
    buddy.free(half, PAGEBLOCK_ORDER, buddy.typeOf(half));
  }
  return true;
}

/** Gives a pageblock another type, and its free pages the list of that type. @kernel mm/page_alloc.c move_freepages_block_isolate() */
function retypeBlock({ zone, cpu }: FrameRange, start: number, type: number): void {
  const { buddy } = zone;
  const before = buddy.freePages;
  // Until 6.9 a block of two pageblocks goes as a whole.
  if (!zone.blockRule.retypesMerged || !splitLargeBuddy(zone, start, type)) {
    moveFreepagesBlock(zone, start, type);
    buddy.types[start >>> PAGEBLOCK_ORDER] = type;
  }
  noteFreeChange(zone, zone.pcps[cpu]!, buddy.freePages - before);
}

/**
 * A pageblock's free pages become Movable ones. A whole free pageblock merges with its neighbour, the others do not.
 * @kernel mm/page_isolation.c unset_migratetype_isolate()
 */
function unsetMigratetypeIsolate(range: FrameRange, start: number): void {
  const { zone, cpu } = range;
  const { buddy } = zone;
  if (buddy.typeOf(start) !== MIGRATE_ISOLATE) return;
  const other = start ^ PAGEBLOCK_PAGES;
  const alone =
    buddy.orderAt(start) === PAGEBLOCK_ORDER &&
    buddy.orderAt(other) === PAGEBLOCK_ORDER &&
    buddy.typeOf(other) !== MIGRATE_ISOLATE;
  if (!alone) return retypeBlock(range, start, MIGRATE_MOVABLE);
  buddy.remove(start, PAGEBLOCK_ORDER);
  buddy.types[start >>> PAGEBLOCK_ORDER] = MIGRATE_MOVABLE;
  buddy.free(start, PAGEBLOCK_ORDER, MIGRATE_MOVABLE, true);
  noteFreeChange(zone, zone.pcps[cpu]!, PAGEBLOCK_PAGES);
}

/**
 * Isolates the pageblocks of a range: the first, the last, then those between. Where one has a page that cannot be moved,
 * all are given back, as Movable ones whatever they were.
 * @returns the frame of that page, or -1
 * @kernel mm/page_isolation.c start_isolate_page_range(), set_migratetype_isolate()
 */
export function startIsolatePageRange(range: FrameRange): number {
  const { from, to } = range;
  const marks = lruMarks(range);
  const last = to - PAGEBLOCK_PAGES;
  const starts = last === from ? [from] : [from, last];
  for (let start = from + PAGEBLOCK_PAGES; start < last; start += PAGEBLOCK_PAGES) {
    starts.push(start);
  }
  for (const [i, start] of starts.entries()) {
    const frame = unmovableFrame(range, start, marks);
    if (frame < 0) {
      retypeBlock(range, start, MIGRATE_ISOLATE);
      continue;
    }
    const isolated = starts.slice(0, i);
    // The last pageblock is given back behind those between.
    if (i > 1) isolated.push(...isolated.splice(1, 1));
    for (const done of isolated) unsetMigratetypeIsolate(range, done);
    return frame;
  }
  return -1;
}

/** @kernel mm/page_isolation.c undo_isolate_page_range() */
export function undoIsolatePageRange(range: FrameRange): void {
  for (let start = range.from; start < range.to; start += PAGEBLOCK_PAGES) {
    unsetMigratetypeIsolate(range, start);
  }
}

/** The first frame of a range that is not free, or -1. @kernel mm/page_isolation.c test_pages_isolated() */
export function firstUsedFrame({ zone, from, to }: FrameRange): number {
  for (let frame = from; frame < to;) {
    const order = zone.buddy.orderAt(frame);
    if (order < 0) return frame;
    frame += 1 << order;
  }
  return -1;
}
