/** Which LRU page stands at a frame: the LRU runs of one zone by pageblock, from one compaction of the zone to the next. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import { eachPiece, type Lru, type Run } from './lru';
import { frameAt, nextHeld, pieceEnd, pieceStep, placeAt, placesOf } from './lru-run';
import { lruvecsOf } from './lruvec';
import type { Zone } from './zone';

/** Pieces over more pageblocks are found by search, not entered block by block. */
const WIDE_BLOCKS = 16;

/** More of them that came later are looked at for every pageblock: making all anew is cheaper. */
const LATE_MAX = 32;
/** So much that came later is kept however little there was at first. */
const ENTERED_MIN = 1024;

/** A piece over many pageblocks, with the frames that it had when it was entered. */
interface WidePiece {
  run: Run;
  lowest: number;
  end: number;
}

/**
 * As long as it is its zone's (`Zone.lruFrames`) it hears of pages that join lists, whoever puts them there (`joined()`). An
 * entry whose run has lost pages, or has left its list, is recognized when its pageblock is looked at. It stays its zone's
 * until what came later is more than what it began with: then it is made anew, once somebody needs it.
 */
export class LruFrames {
  /** Most pageblocks hold pages of one run. */
  private readonly byBlock = new Map<number, Run | Set<Run>>();
  private readonly wide: WidePiece[] = [];
  /** Runs that got wide pieces later; few. */
  private readonly late = new Set<Run>();
  /** The run at each frame of the pageblock looked at last, and its owner's page there. */
  private table: (Run | undefined)[] = [];
  private offsets: number[] = [];
  private tableBlock = -1;
  private holders = 0;
  /** Pageblocks of pieces entered so far. */
  private entered = 0;
  private readonly enteredMax: number;

  /** The index of a zone, for as long as a compaction lasts; `release()` ends that. */
  static hold(zone: Zone): LruFrames {
    zone.lruFrames ??= new LruFrames(zone);
    const { lruFrames } = zone;
    lruFrames.resume();
    lruFrames.holders += 1;
    return lruFrames;
  }

  private constructor(private readonly zone: Zone) {
    for (const list of lruvecsOf(zone.node).flatMap(({ lists }) => lists)) {
      for (let run = list.oldest(); run; run = run.newer) {
        if (run.zone === zone) this.enterAll(run);
      }
    }
    this.wide.sort((a, b) => a.lowest - b.lowest);
    this.enteredMax = Math.max(ENTERED_MIN, 2 * this.entered);
  }

  release(): void {
    this.holders -= 1;
    this.leaveIfStale();
  }

  /** A frame at which it does not have what stands there; undefined where there is none. For checks: it looks at all. */
  static wrongFrame(zone: Zone): number | undefined {
    const { lruFrames } = zone;
    if (lruFrames === undefined) return undefined;
    lruFrames.resume();
    const anew = new LruFrames(zone);
    const last = zone.buddy.frames >>> PAGEBLOCK_ORDER;
    for (let block = zone.buddy.firstFrame >>> PAGEBLOCK_ORDER; block <= last; block += 1) {
      if (lruFrames.isHuge(block) !== anew.isHuge(block)) return block * PAGEBLOCK_PAGES;
      for (let i = 0; i < PAGEBLOCK_PAGES; i += 1) {
        const frame = block * PAGEBLOCK_PAGES + i;
        if (lruFrames.at(frame) !== anew.at(frame)) return frame;
        const small = anew.at(frame)?.huge === false;
        if (small && lruFrames.offsets[i] !== anew.offsets[i]) return frame;
      }
    }
    return undefined;
  }

  /** The run that holds a frame; undefined where no LRU page stands. */
  at(frame: number): Run | undefined {
    const block = frame >>> PAGEBLOCK_ORDER;
    if (block !== this.tableBlock) this.load(block);
    return this.table[frame & (PAGEBLOCK_PAGES - 1)];
  }

  /** Whether a pageblock is a huge page on the LRU, without a look at each of its frames. */
  isHuge(block: number): boolean {
    if (block === this.tableBlock) return this.table[0]?.huge ?? false;
    const start = block * PAGEBLOCK_PAGES;
    return this.someRun(block, (run) => run.huge && holdsBlock(run, start));
  }

  /** Whether a page stands at one of the frames from, from + every, ... below `end`, all of them in one pageblock. */
  standsAt(from: number, end: number, every: number): boolean {
    const block = from >>> PAGEBLOCK_ORDER;
    const start = block * PAGEBLOCK_PAGES;
    if (block === this.tableBlock) {
      for (let frame = from; frame < end; frame += every) {
        if (this.table[frame - start] !== undefined) return true;
      }
      return false;
    }
    return this.someRun(block, (run) => {
      if (run.huge) return from < end && holdsBlock(run, start);
      return someStretch(run, start, (place, until, frame, step) => {
        const lowest = step === 1 ? frame : frame - (until - place - 1);
        const asked = from + Math.ceil(Math.max(lowest - from, 0) / every) * every;
        return asked < Math.min(lowest + until - place, end);
      });
    });
  }

  /**
   * Frames from one on, at most `most`, that hold pages of one run next to each other in the order of its
   * owner too.
   */
  together(from: number, most: number): number {
    const run = this.at(from);
    const first = from & (PAGEBLOCK_PAGES - 1);
    const step = this.offsets[first + 1]! - this.offsets[first]!;
    let count = 1;
    while (
      count < most &&
      this.table[first + count] === run &&
      Math.abs(step) === Math.abs(run!.stride) &&
      this.offsets[first + count]! - this.offsets[first + count - 1]! === step
    ) {
      count += 1;
    }
    return count;
  }

  /** Takes [from, from + pages) off its list, which stand together. @returns these pages and the list they stood on */
  isolate(from: number, pages: number): { run: Run; list: Lru } {
    const run = this.at(from)!;
    const list = run.list!;
    const { older, newer } = run;
    const olderPages = older?.pages;
    const first = from & (PAGEBLOCK_PAGES - 1);
    const [a, b] = [this.offsets[first]!, this.offsets[first + pages - 1]!];
    // Runs of a swap cache may go down where their owner's pages go up.
    const [low, high] = [placeAt(run, a), placeAt(run, b)].sort((one, other) => one - other);
    const part = list.cutPlaces(run, low!, high! + 1)!;
    this.table.fill(undefined, first, first + pages);
    if (run.list === undefined) return { run: part, list };
    // What stood before or behind the part may belong to another run now.
    if ((older && older.pages !== olderPages) || run.newer !== newer) this.resume();
    return { run: part, list };
  }

  /** Puts one page at the head of a list. */
  push(list: Lru, page: Run): void {
    const { frame, offset } = page;
    list.push(page);
    if (frame >>> PAGEBLOCK_ORDER !== this.tableBlock) return;
    this.table[frame & (PAGEBLOCK_PAGES - 1)] = list.newest();
    this.offsets[frame & (PAGEBLOCK_PAGES - 1)] = offset;
  }

  /** Pages joined a list as a part of `holder`. */
  joined(holder: Run, part: Run): void {
    eachPiece(part, (lowest, end) => {
      if (end - lowest > WIDE_BLOCKS * PAGEBLOCK_PAGES) this.late.add(holder);
      else this.enter(holder, lowest, end);
    });
    this.leaveIfStale();
  }

  /** Others have acted: what is known of single frames is looked up anew. */
  resume(): void {
    this.tableBlock = -1;
  }

  private leaveIfStale(): void {
    const stale = this.entered > this.enteredMax || this.late.size > LATE_MAX;
    if (stale && this.holders === 0) this.zone.lruFrames = undefined;
  }

  private enterAll(run: Run): void {
    eachPiece(run, (lowest, end) => {
      if (end - lowest > WIDE_BLOCKS * PAGEBLOCK_PAGES) this.wide.push({ run, lowest, end });
      else this.enter(run, lowest, end);
    });
  }

  private enter(run: Run, lowest: number, end: number): void {
    const last = (end - 1) >>> PAGEBLOCK_ORDER;
    this.entered += last - (lowest >>> PAGEBLOCK_ORDER) + 1;
    for (let block = lowest >>> PAGEBLOCK_ORDER; block <= last; block += 1) {
      const runs = this.byBlock.get(block);
      if (runs === undefined) this.byBlock.set(block, run);
      else if (runs instanceof Set) runs.add(run);
      else if (runs !== run) this.byBlock.set(block, new Set([runs, run]));
    }
  }

  private load(block: number): void {
    if (this.table.length === 0) {
      this.table = new Array<Run | undefined>(PAGEBLOCK_PAGES);
      this.offsets = new Array<number>(PAGEBLOCK_PAGES).fill(0);
    }
    this.tableBlock = block;
    this.table.fill(undefined);
    this.someRun(block, (run) => {
      this.fill(run);
      return false;
    });
  }

  /** Whether one of the zone's runs that may have pages in a pageblock passes; later ones are not asked then. */
  private someRun(block: number, asks: (run: Run) => boolean): boolean {
    const start = block * PAGEBLOCK_PAGES;
    const passes = (run: Run): boolean =>
      run.list !== undefined && run.zone === this.zone && asks(run);
    for (let i = this.firstWide(start); i < this.wide.length; i += 1) {
      const { run, lowest } = this.wide[i]!;
      if (lowest >= start + PAGEBLOCK_PAGES) break;
      if (passes(run)) return true;
    }
    for (const run of this.late) if (passes(run)) return true;
    const own = this.byBlock.get(block);
    if (own === undefined) return false;
    if (!(own instanceof Set)) return passes(own);
    for (const run of own) if (passes(run)) return true;
    return false;
  }

  /** First wide piece that ends behind a frame. */
  private firstWide(frame: number): number {
    let low = 0;
    let high = this.wide.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (this.wide[middle]!.end <= frame) low = middle + 1;
      else high = middle;
    }
    return low;
  }

  /** Enters the pages of a run that lie in the table's pageblock. */
  private fill(run: Run): void {
    const start = this.tableBlock * PAGEBLOCK_PAGES;
    if (run.huge) {
      if (holdsBlock(run, start)) this.table.fill(run);
      return;
    }
    someStretch(run, start, (place, end, frame, step) => {
      for (let i = 0; i < end - place; i += 1) {
        this.table[frame + step * i - start] = run;
        this.offsets[frame + step * i - start] = run.offset + (place + i) * run.stride;
      }
      return false;
    });
  }
}

/**
 * Whether one of a run's stretches in the pageblock that begins at `start` passes; later ones are not asked then. A stretch
 * has places [place, end), the first one's page at `frame`, the others' one `step` further each. Not for huge runs.
 */
function someStretch(
  run: Run,
  start: number,
  passes: (place: number, end: number, frame: number, step: number) => boolean,
): boolean {
  if (run.places?.listed) {
    for (let place = 0; place < placesOf(run);) {
      const end = pieceEnd(run, place);
      const step = pieceStep(run, place, end);
      const frame = frameAt(run, place);
      const { first, last } = placesWithin(start, frame, step, end - place);
      const stands = first <= last;
      if (stands && passes(place + first, place + last + 1, frame + step * first, step))
        return true;
      place = nextHeld(run, end);
    }
    return false;
  }
  // Frames follow places: only those of the pageblock are gone through.
  const { first, last } = placesWithin(start, run.frame, run.step, placesOf(run));
  for (let place = nextHeld(run, first); place <= last;) {
    const end = Math.min(pieceEnd(run, place), last + 1);
    if (passes(place, end, frameAt(run, place), run.step)) return true;
    place = nextHeld(run, end);
  }
  return false;
}

/** Of so many places, the first one's page at `frame`, those whose frames lie in the pageblock at `start`; none: last < first. */
function placesWithin(
  start: number,
  frame: number,
  step: number,
  places: number,
): { first: number; last: number } {
  const [near, far] = [(start - frame) * step, (start + PAGEBLOCK_PAGES - 1 - frame) * step];
  return {
    first: Math.max(Math.min(near, far), 0),
    last: Math.min(Math.max(near, far), places - 1),
  };
}

/** Whether one of the huge pages of a run begins at a frame. */
function holdsBlock(run: Run, start: number): boolean {
  const place = (start - run.frame) * run.step;
  return place >= 0 && place < placesOf(run) && place % PAGEBLOCK_PAGES === 0;
}
