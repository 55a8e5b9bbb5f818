/**
 * Free blocks of a zone by order and migrate type: split, merge, and the exact order of every list.
 * Frames are page numbers relative to `basePfn`, which is a multiple of the largest block, so that the
 * buddy of a frame is found as the kernel finds it.
 */

import { grown, log2, orderOfTag, tagOf, trailingZeros, typeOfTag } from './block-bits';
import type { BlockRun } from './block-bits';

export type { BlockRun } from './block-bits';

/** Orders 0..10 (6.1's MAX_ORDER is exclusive). */
export const MAX_ORDER = 11;
/** Pages of the largest block: frames of a zone count from a multiple of it. */
export const MAX_BLOCK_PAGES = 1 << (MAX_ORDER - 1);
export const PAGEBLOCK_ORDER = 9;
export const PAGEBLOCK_PAGES = 512;

export const MIGRATE_UNMOVABLE = 0;
export const MIGRATE_MOVABLE = 1;
export const MIGRATE_RECLAIMABLE = 2;
/** Also the number of types that have per-CPU lists. */
export const MIGRATE_HIGHATOMIC = 3;
export const NR_MIGRATE_TYPES = 4;
export const MIGRATE_PCPTYPES = 3;
/** Of pageblocks that are taken offline: their free pages do not count, and nobody is served from them. */
export const MIGRATE_ISOLATE = 4;
const NR_LISTS = 5;

/**
 * Entries of a pageblock's slot: one for each pair of pages, because two free pages side by side would have
 * merged, so that at most one block starts in a pair. Tag 0 is "no free block starts here".
 */
const SLOT_ENTRIES = PAGEBLOCK_PAGES / 2;
/** Set in a slot's tag where the block starts at the pair's second page; tags themselves are smaller. */
const SECOND_OF_PAIR = 128;
const NONE = -1;

/**
 * `zone->free_area` and the pageblock bitmap.
 *
 * Blocks of order 9 and 10 cost a few bytes per pageblock. Smaller ones live in a slot of 256 entries
 * that a pageblock has only while it holds some, so that uniform memory stays cheap.
 */
export class Buddy {
  readonly pageblocks: number;
  /** Migrate type of each pageblock. */
  readonly types: Uint8Array;
  /** Pages of each pageblock that are on LRU lists: what move_freepages() would count as movable. */
  readonly lruPages: Uint16Array;
  /** NR_FREE_PAGES. */
  freePages = 0;
  /** Free pages on the lists of each type. */
  readonly freePagesByType = new Array<number>(NR_LISTS).fill(0);
  /** The block that a direct compactor waits for, while it works; `frame` once it was freed. */
  capture: { order: number; frame: number } | undefined;

  private readonly bigTag: Uint8Array;
  private readonly bigNext: Int32Array;
  private readonly bigPrev: Int32Array;
  private readonly slotOf: Int32Array;
  private readonly slotBlocks: Uint16Array;
  private slotTag = new Uint8Array(0);
  private slotNext = new Int32Array(0);
  private slotPrev = new Int32Array(0);
  private readonly emptySlots: number[] = [];
  private slots = 0;
  private readonly heads = new Int32Array(MAX_ORDER * NR_LISTS).fill(NONE);
  private readonly tails = new Int32Array(MAX_ORDER * NR_LISTS).fill(NONE);
  private readonly counts = new Int32Array(MAX_ORDER * NR_LISTS);

  /**
   * @param frames frames from the base to the zone's end; what lies outside the zone is never free
   * @param firstFrame first frame of the zone; both borders move when memory comes or goes
   * @param retypesMerged pageblocks that merge take the type of the one that was freed last (6.10)
   * @param capacity frames that the zone may grow to
   */
  constructor(
    readonly basePfn: number,
    public frames: number,
    public firstFrame = 0,
    private readonly retypesMerged = false,
    capacity = frames,
  ) {
    this.pageblocks = Math.ceil(Math.max(capacity, frames) / PAGEBLOCK_PAGES);
    this.types = new Uint8Array(this.pageblocks).fill(MIGRATE_MOVABLE);
    this.lruPages = new Uint16Array(this.pageblocks);
    this.bigTag = new Uint8Array(this.pageblocks);
    this.bigNext = new Int32Array(this.pageblocks);
    this.bigPrev = new Int32Array(this.pageblocks);
    this.slotOf = new Int32Array(this.pageblocks).fill(NONE);
    this.slotBlocks = new Uint16Array(this.pageblocks);
  }

  /** Free blocks of one order and type. */
  count(order: number, type: number): number {
    return this.counts[order * NR_LISTS + type]!;
  }

  /** Free blocks by order, those of isolated memory included, as /proc/buddyinfo prints them. */
  blocksByOrder(): number[] {
    return Array.from({ length: MAX_ORDER }, (_, order) => {
      let blocks = 0;
      for (let type = 0; type < NR_LISTS; type += 1) blocks += this.count(order, type);
      return blocks;
    });
  }

  /** Is there a free block of at least this order on an ordinary list, or on the HighAtomic list? */
  hasBlock(order: number, highatomic: boolean): boolean {
    const types = highatomic ? NR_MIGRATE_TYPES : MIGRATE_PCPTYPES;
    for (let current = order; current < MAX_ORDER; current += 1) {
      for (let type = 0; type < types; type += 1) {
        if (this.counts[current * NR_LISTS + type] !== 0) return true;
      }
    }
    return false;
  }

  /** First block of a list, or -1. */
  first(order: number, type: number): number {
    return this.heads[order * NR_LISTS + type]!;
  }

  /** Blocks of a list from head to tail. */
  list(order: number, type: number): number[] {
    const frames: number[] = [];
    for (let at = this.first(order, type); at !== NONE; at = this.next(at, order)) frames.push(at);
    return frames;
  }

  /** Last block of a list, or -1. */
  last(order: number, type: number): number {
    return this.tails[order * NR_LISTS + type]!;
  }

  /** The block behind a block of the same list, or -1. */
  after(frame: number, order: number): number {
    return this.next(frame, order);
  }

  /** The block before a block of the same list, or -1. */
  before(frame: number, order: number): number {
    if (order >= PAGEBLOCK_ORDER) return this.bigPrev[frame >>> PAGEBLOCK_ORDER]!;
    return this.slotPrev[this.place(frame)]!;
  }

  /** Turns a block's list so that it starts with the block; the order round the ring stays. */
  rotateToHead(frame: number, order: number): void {
    const list = order * NR_LISTS + this.listTypeAt(frame);
    const head = this.heads[list]!;
    if (head === frame) return;
    const tail = this.tails[list]!;
    const newTail = this.before(frame, order);
    this.setNext(tail, order, head);
    this.setPrev(head, order, tail);
    this.setNext(newTail, order, NONE);
    this.setPrev(frame, order, NONE);
    this.heads[list] = frame;
    this.tails[list] = newTail;
  }

  /** Takes the free block that starts at a frame off its list, whole. */
  remove(frame: number, order: number): void {
    const type = this.listTypeAt(frame);
    this.unlink(frame, order, type);
    this.countFree(type, -(1 << order));
  }

  private countFree(type: number, pages: number): void {
    if (type !== MIGRATE_ISOLATE) this.freePages += pages;
  }

  /** May a pageblock hold free blocks below its own order? False where it surely has none. */
  hasSmallBlocks(block: number): boolean {
    return this.slotOf[block] !== NONE;
  }

  /** Order of the free block that starts at a frame, or -1. */
  orderAt(frame: number): number {
    const tag = this.tagAt(frame);
    return tag === 0 ? NONE : orderOfTag(tag);
  }

  /** List type of the free block that starts at a frame; meaningless where none starts. */
  listTypeAt(frame: number): number {
    return typeOfTag(this.tagAt(frame));
  }

  /** Migrate type of the pageblock that holds a frame. @kernel get_pfnblock_migratetype() */
  typeOf(frame: number): number {
    return this.types[frame >>> PAGEBLOCK_ORDER]!;
  }

  /** Bytes of the free lists and pageblock tables. */
  get bytes(): number {
    return this.pageblocks * 18 + this.slotTag.length * 9;
  }

  /** Puts a block on a list without merging. @kernel add_to_free_list(), add_to_free_list_tail() */
  add(frame: number, order: number, type: number, toTail: boolean): void {
    this.link(frame, order, type, toTail);
    this.countFree(type, 1 << order);
  }

  /** Moves a free block to the tail of another type's list. @kernel move_to_free_list() */
  moveToList(frame: number, order: number, type: number): void {
    this.remove(frame, order);
    this.add(frame, order, type, true);
  }

  /**
   * Takes up to `want` blocks of an order off one block of the smallest order that holds one: as many as
   * fit into it, the rest goes back to the heads of the lists below.
   * @returns undefined when no list of the type holds a block that large
   * @kernel mm/page_alloc.c __rmqueue_smallest(), expand()
   */
  take(order: number, type: number, want: number): BlockRun | undefined {
    for (let current = order; current < MAX_ORDER; current += 1) {
      const frame = this.heads[current * NR_LISTS + type]!;
      if (frame === NONE) continue;
      this.unlink(frame, current, type);
      const count = Math.min(want, 1 << (current - order));
      this.freePages -= count << order;
      this.putBackRest(frame + (count << order), frame + (1 << current), type);
      return { frame, count };
    }
    return undefined;
  }

  /** [from, to) was cut off the front of a block that ended at `to`: one block per order, largest last. */
  private putBackRest(from: number, to: number, type: number): void {
    // The kernel splits from the top, so that the larger halves are put back first; each list gets one.
    for (let at = from; at < to;) {
      const order = Math.min(trailingZeros(at), log2(to - at));
      this.link(at, order, type, false);
      at += 1 << order;
    }
  }

  /**
   * Frees one block and merges it with its buddies.
   * @param type list type of the page, usually its pageblock's
   * @kernel mm/page_alloc.c __free_one_page()
   */
  free(frame: number, order: number, type: number, toTail = false): void {
    this.countFree(type, 1 << order);
    let at = frame;
    let current = order;
    let buddy = at ^ (1 << current);
    while (current < MAX_ORDER - 1) {
      if (this.capture !== undefined && this.captured(at, current, type)) return;
      buddy = at ^ (1 << current);
      const tag = this.tagAt(buddy);
      if (tag === 0 || orderOfTag(tag) !== current) break;
      if (current >= PAGEBLOCK_ORDER && !this.mergeable(buddy, type)) break;
      this.unlink(buddy, current, typeOfTag(tag));
      if (this.retypesMerged && current >= PAGEBLOCK_ORDER) this.retype(buddy, current, type);
      at &= buddy;
      current += 1;
    }
    this.link(at, current, type, toTail || this.mergeLikely(at, current));
  }

  private retype(frame: number, order: number, type: number): void {
    const block = frame >>> PAGEBLOCK_ORDER;
    this.types.fill(type, block, block + (1 << (order - PAGEBLOCK_ORDER)));
  }

  /**
   * Frees [frame, frame + pages) as if page by page, upwards or downwards: chunks between aligned
   * borders cannot merge outwards before they are complete.
   */
  freeRange(frame: number, pages: number, type: number, descending = false): void {
    const end = frame + pages;
    // A larger piece would step over the order that is waited for.
    const limit = Math.min(
      type < MIGRATE_PCPTYPES ? MAX_ORDER - 1 : PAGEBLOCK_ORDER,
      this.capture?.order ?? MAX_ORDER,
    );
    if (descending) {
      for (let at = end; at > frame;) {
        const order = Math.min(trailingZeros(at), log2(at - frame), limit);
        at -= 1 << order;
        this.freeChunk(at, order, type);
      }
      return;
    }
    for (let at = frame; at < end;) {
      const order = Math.min(trailingZeros(at), log2(end - at), limit);
      this.freeChunk(at, order, type);
      at += 1 << order;
    }
  }

  /** Hands a block to the direct compactor instead of a list. @kernel mm/page_alloc.c compaction_capture() */
  private captured(frame: number, order: number, type: number): boolean {
    const { capture } = this;
    if (!capture || capture.frame !== NONE || order !== capture.order) return false;
    if (type === MIGRATE_ISOLATE) return false;
    if (order < PAGEBLOCK_ORDER && type === MIGRATE_MOVABLE) return false;
    capture.frame = frame;
    this.freePages -= 1 << order;
    return true;
  }

  /** A pair of pageblocks may only be freed in one piece where the halves would merge. */
  private freeChunk(frame: number, order: number, type: number): void {
    if (order > PAGEBLOCK_ORDER && !this.normalPair(frame)) {
      this.free(frame, PAGEBLOCK_ORDER, type);
      this.free(frame + PAGEBLOCK_PAGES, PAGEBLOCK_ORDER, type);
      return;
    }
    this.free(frame, order, type);
  }

  private normalPair(frame: number): boolean {
    const block = frame >>> PAGEBLOCK_ORDER;
    return this.types[block]! < MIGRATE_PCPTYPES && this.types[block + 1]! < MIGRATE_PCPTYPES;
  }

  /** @kernel migratetype_is_mergeable() at and above the pageblock order */
  private mergeable(buddy: number, type: number): boolean {
    const other = this.typeOf(buddy);
    return other === type || (type < MIGRATE_PCPTYPES && other < MIGRATE_PCPTYPES);
  }

  /** The next larger buddy is free: keep this block for last. @kernel buddy_merge_likely() */
  private mergeLikely(frame: number, order: number): boolean {
    if (order >= MAX_ORDER - 2) return false;
    const parent = frame & ~(1 << order);
    return this.orderAt(parent ^ (1 << (order + 1))) === order + 1;
  }

  /** Free blocks of a pageblock (order below 9), ascending. */
  blocksOf(block: number): { frame: number; order: number; type: number }[] {
    const slot = this.slotOf[block]!;
    const blocks: { frame: number; order: number; type: number }[] = [];
    if (slot === NONE) return blocks;
    for (let i = 0; i < SLOT_ENTRIES; i += 1) {
      const entry = this.slotTag[slot * SLOT_ENTRIES + i]!;
      if (entry === 0) continue;
      const tag = entry & (SECOND_OF_PAIR - 1);
      const order = orderOfTag(tag);
      const frame = block * PAGEBLOCK_PAGES + 2 * i + (entry === tag ? 0 : 1);
      blocks.push({ frame, order, type: typeOfTag(tag) });
      i += Math.max((1 << order) >> 1, 1) - 1;
    }
    return blocks;
  }

  private tagAt(frame: number): number {
    if (frame < 0 || frame >= this.frames) return 0;
    const block = frame >>> PAGEBLOCK_ORDER;
    const offset = frame & (PAGEBLOCK_PAGES - 1);
    if (offset === 0 && this.bigTag[block] !== 0) return this.bigTag[block]!;
    const slot = this.slotOf[block]!;
    if (slot === NONE) return 0;
    const entry = this.slotTag[slot * SLOT_ENTRIES + (offset >>> 1)]!;
    const second = (frame & 1) === 1 ? SECOND_OF_PAIR : 0;
    return (entry & SECOND_OF_PAIR) === second ? entry & (SECOND_OF_PAIR - 1) : 0;
  }

  private place(frame: number): number {
    const pair = (frame & (PAGEBLOCK_PAGES - 1)) >>> 1;
    return this.slotOf[frame >>> PAGEBLOCK_ORDER]! * SLOT_ENTRIES + pair;
  }

  private next(frame: number, order: number): number {
    if (order >= PAGEBLOCK_ORDER) return this.bigNext[frame >>> PAGEBLOCK_ORDER]!;
    return this.slotNext[this.place(frame)]!;
  }

  private setNext(frame: number, order: number, next: number): void {
    if (order >= PAGEBLOCK_ORDER) this.bigNext[frame >>> PAGEBLOCK_ORDER] = next;
    else this.slotNext[this.place(frame)] = next;
  }

  private setPrev(frame: number, order: number, prev: number): void {
    if (order >= PAGEBLOCK_ORDER) this.bigPrev[frame >>> PAGEBLOCK_ORDER] = prev;
    else this.slotPrev[this.place(frame)] = prev;
  }

  private link(frame: number, order: number, type: number, toTail: boolean): void {
    const list = order * NR_LISTS + type;
    const block = frame >>> PAGEBLOCK_ORDER;
    if (order >= PAGEBLOCK_ORDER) {
      this.bigTag[block] = tagOf(order, type);
    } else {
      if (this.slotOf[block] === NONE) this.slotOf[block] = this.newSlot();
      this.slotBlocks[block]! += 1;
      const second = (frame & 1) === 1 ? SECOND_OF_PAIR : 0;
      this.slotTag[this.place(frame)] = tagOf(order, type) | second;
    }
    const neighbour = toTail ? this.tails[list]! : this.heads[list]!;
    this.setPrev(frame, order, toTail ? neighbour : NONE);
    this.setNext(frame, order, toTail ? NONE : neighbour);
    if (neighbour === NONE) {
      this.heads[list] = frame;
      this.tails[list] = frame;
    } else if (toTail) {
      this.setNext(neighbour, order, frame);
      this.tails[list] = frame;
    } else {
      this.setPrev(neighbour, order, frame);
      this.heads[list] = frame;
    }
    this.counts[list]! += 1;
    this.freePagesByType[type]! += 1 << order;
  }

  private unlink(frame: number, order: number, type: number): void {
    const list = order * NR_LISTS + type;
    const block = frame >>> PAGEBLOCK_ORDER;
    const big = order >= PAGEBLOCK_ORDER;
    const place = big ? block : this.place(frame);
    const next = big ? this.bigNext[place]! : this.slotNext[place]!;
    const prev = big ? this.bigPrev[place]! : this.slotPrev[place]!;
    if (prev === NONE) this.heads[list] = next;
    else this.setNext(prev, order, next);
    if (next === NONE) this.tails[list] = prev;
    else this.setPrev(next, order, prev);
    this.counts[list]! -= 1;
    this.freePagesByType[type]! -= 1 << order;
    if (big) {
      this.bigTag[block] = 0;
      return;
    }
    this.slotTag[place] = 0;
    this.slotBlocks[block]! -= 1;
    if (this.slotBlocks[block] === 0) {
      this.emptySlots.push(this.slotOf[block]!);
      this.slotOf[block] = NONE;
    }
  }

  private newSlot(): number {
    const free = this.emptySlots.pop();
    if (free !== undefined) return free;
    const slot = this.slots;
    this.slots += 1;
    const needed = this.slots * SLOT_ENTRIES;
    if (needed > this.slotTag.length) {
      const size = Math.max(needed, Math.ceil(this.slotTag.length * 1.5), 4 * SLOT_ENTRIES);
      this.slotTag = grown(new Uint8Array(size), this.slotTag);
      this.slotNext = grown(new Int32Array(size), this.slotNext);
      this.slotPrev = grown(new Int32Array(size), this.slotPrev);
    }
    return slot;
  }
}
