/** LRU lists as runs of pages with equal state, oldest first. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import { PAGES_PER_HUGE } from './constants';
import {
  extract,
  hollow,
  join,
  nextHeld,
  partOf,
  pieceEnd,
  pieceStep,
  piecesOf,
  placeAt,
  placesOf,
  frameAt,
  reverse,
  sliceOf,
  truncate,
  type Run,
} from './lru-run';
import type { MemoryGroup } from './memcg';
import { MAX_PLACES, Places } from './places';
import type { Mapping } from './page-map';

export {
  frameAt,
  newRun,
  pagesBetween,
  partOf,
  piecesOf,
  plainRun,
  spanOf,
  type Run,
} from './lru-run';

export const LRU_INACTIVE_ANON = 0;
export const LRU_ACTIVE_ANON = 1;
export const LRU_INACTIVE_FILE = 2;
export const LRU_ACTIVE_FILE = 3;
export const LRU_UNEVICTABLE = 4;
export const NR_LRU_LISTS = 5;

/** One list, from the tail in the kernel's words (the oldest) to the head (the newest). */
export class Lru {
  private oldestRun: Run | undefined;
  private newestRun: Run | undefined;
  pages = 0;

  /** Pages by zone index; only kept for a group's list. */
  readonly zonePages = [0, 0, 0, 0];

  /** @param group the memory cgroup that its pages are charged to */
  constructor(
    readonly index: number,
    readonly group?: MemoryGroup,
  ) {}

  /** Puts pages at the head (newest), joining the newest run where nothing tells them apart. */
  push(run: Run): void {
    this.count(run, 1);
    const newest = this.newestRun;
    if (newest && joins(newest, run)) return;
    run.list = this;
    run.newer = undefined;
    run.older = newest;
    if (newest) newest.newer = run;
    else this.oldestRun = run;
    this.newestRun = run;
    own(run);
  }

  /**
   * Puts pages at the tail one after the other, each where reclaim looks next (finished write-outs), so
   * that they stand there in reverse.
   */
  pushOldest(run: Run): void {
    for (const piece of piecesOf(run)) {
      reverse(piece);
      this.count(piece, 1);
      const oldest = this.oldestRun;
      piece.list = this;
      piece.older = undefined;
      piece.newer = oldest;
      if (oldest) oldest.older = piece;
      else this.newestRun = piece;
      this.oldestRun = piece;
      own(piece);
    }
  }

  oldest(): Run | undefined {
    return this.oldestRun;
  }

  newest(): Run | undefined {
    return this.newestRun;
  }

  /** Takes up to `pages` of the oldest run's first piece; a huge page leaves whole. */
  take(pages: number): Run | undefined {
    const run = this.oldestRun;
    if (!run) return undefined;
    const most = run.huge ? Math.ceil(pages / PAGES_PER_HUGE) * PAGES_PER_HUGE : pages;
    const end = Math.min(pieceEnd(run, 0), most);
    if (end === run.pages && !run.places) return this.remove(run);
    const part = partOf(run, 0, end);
    if (end === run.pages) this.unlink(run);
    else hollow(run, 0, end, end);
    this.count(part, -1);
    return part;
  }

  /** Takes one of the list's runs off the list. */
  remove(run: Run): Run {
    this.unlink(run);
    this.count(run, -1);
    return run;
  }

  /**
   * Takes the pages of a run off the list whose owner's offset lies in [from, to); of a huge run whole blocks.
   * @returns them as one run, or undefined when there are none; what is left of the run stays in its place
   */
  cut(run: Run, from: number, to: number): Run | undefined {
    const unit = run.huge ? PAGES_PER_HUGE : 1;
    const first = Math.ceil(placeAt(run, from) / unit) * unit;
    const end = Math.floor(placeAt(run, to) / unit) * unit;
    return end > first ? this.cutPlaces(run, first, end) : undefined;
  }

  /** Takes the pages in places [first, end) of a run off the list. @returns as cut() */
  cutPlaces(run: Run, first: number, end: number): Run | undefined {
    const part = sliceOf(run, first, end);
    if (!part) return undefined;
    if (part.pages === run.pages) return this.remove(run);
    this.count(part, -1);
    this.leaveOut(run, first, end, part.pages);
    return part;
  }

  /** What is left of a run without places [from, to) and their `pages` pages. */
  private leaveOut(run: Run, from: number, to: number, pages: number): void {
    if (from === 0 || run.places) {
      hollow(run, from, to, pages);
    } else if (to === run.pages) {
      truncate(run, from);
    } else if (!run.huge && run.pages <= MAX_PLACES) {
      hollow(run, from, to, pages);
    } else if (run.older && joins(run.older, partOf(run, 0, from))) {
      hollow(run, 0, to, to);
    } else {
      this.insertAfter(run, partOf(run, to, run.pages - to));
      truncate(run, from);
    }
  }

  /**
   * Takes the pages of a run off the list whose owner's offset lies in [from, to) and is picked: of a huge run the
   * blocks that are picked whole.
   * @param take gets them in parts, ascending, each before the next is cut
   */
  cutPicked(
    run: Run,
    from: number,
    to: number,
    picks: (offset: number) => boolean,
    take: (part: Run) => void,
  ): void {
    if (run.huge) return this.cutBlocks(run, from, to, picks, take);
    for (let rest: Run | undefined = run; rest;) {
      const window: Run = rest;
      rest = undefined;
      if (!window.places) {
        const { offset, stride } = window;
        const end = placeAt(window, to);
        let first = placeAt(window, from);
        while (first < end && !picks(offset + first * stride)) first += 1;
        if (first >= end) return;
        if (first > 0) this.cutFront(window, first);
        rest = this.splitWindow(window, end - first, picks);
        window.places = Places.filled(window.pages);
      }
      const part = extract(window, from, to, picks);
      if (!part) continue;
      this.count(part, -1);
      if (window.pages === 0) this.unlink(window);
      take(part);
    }
  }

  /**
   * Leaves of a run as many places as a scattered run has, and ends it with a picked one, so that nothing is
   * cut that would have stayed in one piece.
   * @param end places of it that can be picked; the first one is
   * @returns the run behind it
   */
  private splitWindow(run: Run, end: number, picks: (offset: number) => boolean): Run | undefined {
    let last = Math.min(end, MAX_PLACES) - 1;
    while (!picks(run.offset + last * run.stride)) last -= 1;
    if (last + 1 === run.pages) return undefined;
    const rest = partOf(run, last + 1, run.pages - last - 1);
    this.insertAfter(run, rest);
    truncate(run, last + 1);
    return rest;
  }

  private cutBlocks(
    run: Run,
    from: number,
    to: number,
    picks: (offset: number) => boolean,
    take: (part: Run) => void,
  ): void {
    let rest = run;
    const last = run.offset + run.pages;
    for (let block = run.offset; block < last; block += PAGES_PER_HUGE) {
      let at = block;
      while (at < block + PAGES_PER_HUGE && at >= from && at < to && picks(at)) at += 1;
      if (at < block + PAGES_PER_HUGE) continue;
      const part = this.cut(rest, block, at)!;
      // What lies above the block became a run of its own, unless nothing was left below.
      if (at < last && rest.offset < block) rest = rest.newer!;
      take(part);
    }
  }

  /**
   * Makes the pages of a run whose owner's offset lies in [from, to) a run of their own, in their place.
   * @returns that run, or undefined when none does
   */
  isolatePart(run: Run, from: number, to: number): Run | undefined {
    const first = nextHeld(run, placeAt(run, from));
    const end = placeAt(run, to);
    if (end <= first) return undefined;
    const rest = sliceOf(run, end, placesOf(run));
    if (rest) {
      this.insertAfter(run, rest);
      truncate(run, end);
    }
    if (first === 0) return run;
    // The run ends with a page: empty places before `end` are not its own any more.
    const part = sliceOf(run, first, Math.min(end, placesOf(run)))!;
    truncate(run, first);
    this.insertAfter(run, part);
    return part;
  }

  /** Makes the newest pages of a run, at most so many, a run of their own, in its place. */
  isolateNewest(run: Run, pages: number): Run {
    let from = placesOf(run);
    for (let left = Math.min(pages, run.pages); left > 0; from -= 1) {
      if (nextHeld(run, from - 1) === from - 1) left -= 1;
    }
    return this.isolatePart(run, run.offset + from * run.stride, Infinity)!;
  }

  /** Joins a run whose marks have changed to its neighbours where nothing tells them apart any more. */
  rejoin(run: Run): void {
    const { older, newer } = run;
    if (newer && joins(run, newer)) this.unlink(newer);
    if (older && joins(older, run)) this.unlink(run);
  }

  /** Makes each page of a run a run of its own, in its place; huge runs stay as they are. */
  isolatePages(run: Run): Run[] {
    if (run.huge || run.pages === 1) return [run];
    const pages: Run[] = [];
    for (let place = placesOf(run) - 1; place > 0; place -= 1) {
      if (nextHeld(run, place) !== place) continue;
      const page = partOf(run, place, 1);
      this.insertAfter(run, page);
      pages.push(page);
    }
    truncate(run, 1);
    return [...pages, run];
  }

  /** Runs from the oldest to the newest. */
  runs(): Run[] {
    const runs: Run[] = [];
    for (let run = this.oldestRun; run; run = run.newer) runs.push(run);
    return runs;
  }

  private insertAfter(run: Run, next: Run): void {
    next.list = this;
    next.older = run;
    next.newer = run.newer;
    if (run.newer) run.newer.older = next;
    else this.newestRun = next;
    run.newer = next;
    own(next);
  }

  /** Makes the first places of a run that is not scattered part of the run before it, or a run of their own there. */
  private cutFront(run: Run, places: number): void {
    const front = partOf(run, 0, places);
    hollow(run, 0, places, places);
    if (run.older) {
      if (!joins(run.older, front)) this.insertAfter(run.older, front);
      return;
    }
    front.list = this;
    front.newer = run;
    run.older = front;
    this.oldestRun = front;
    own(front);
  }

  private unlink(run: Run): void {
    if (run.older) {
      run.older.newer = run.newer;
    } else {
      this.oldestRun = run.newer;
    }
    if (run.newer) {
      run.newer.older = run.older;
    } else {
      this.newestRun = run.older;
    }
    run.list = undefined;
    run.older = undefined;
    run.newer = undefined;
    run.owner.runs.delete(run);
    run.owner.writing.delete(run);
  }

  private count(run: Run, sign: 1 | -1): void {
    this.pages += sign * run.pages;
    run.zone.lruPages[this.index]! += sign * run.pages;
    if (this.group) this.zonePages[run.zone.index]! += sign * run.pages;
  }
}

/** join(), of which a compaction under way hears. */
function joins(newest: Run, run: Run): boolean {
  if (!join(newest, run)) return false;
  run.zone.lruFrames?.joined(newest, run);
  return true;
}

function own(run: Run): void {
  run.owner.runs.add(run);
  run.zone.lruFrames?.joined(run, run);
  if (run.writeback) run.owner.writing.add(run);
}

/** The list that a fresh or returning page of this owner belongs on. */
export function lruList({ lists }: { lists: Lru[] }, run: Run, active: boolean): Lru {
  const file = run.owner.kind === 'file';
  const index = (file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON) + (active ? 1 : 0);
  return lists[index]!;
}

/** NR_FILE_PAGES counts page cache, shared memory and swap cache. */
export function countsAsFile(owner: Mapping): boolean {
  return owner.kind === 'file' || owner.shmem || owner.swapCacheOf !== undefined;
}

/** Books pages to their owner, node and pageblocks when they are allocated (sign 1) or freed (-1). */
export function accountRun(run: Run, sign: 1 | -1): void {
  const { node } = run.zone;
  const pages = sign * run.pages;
  run.owner.pagesByNode[node.position]! += pages;
  if (countsAsFile(run.owner)) node.filePages += pages;
  else node.anonPages += pages;
  if (run.swapCached) node.filePages += pages;
  if (run.owner.shmem) node.shmemPages += pages;
  if (run.mapped && (run.owner.kind === 'file' || run.owner.shmem)) node.mappedPages += pages;
  if (run.dirty && run.owner.kind === 'file') node.dirtyPages += pages;
  if (run.writeback) node.writebackPages += pages;
  if (run.huge) {
    node.hugeAnonPages += pages;
    run.owner.hugePages += pages;
  }
  markPageblocks(run, sign);
}

/** Calls `look` with the frames [lowest, end) of each of a run's pieces, oldest first. */
export function eachPiece(run: Run, look: (lowest: number, end: number) => void): void {
  const piece = (place: number, end: number): void => {
    const first = frameAt(run, place);
    // The blocks of a huge run keep their order inside.
    const back = end - place - (run.huge ? PAGES_PER_HUGE : 1);
    const lowest = pieceStep(run, place, end) === 1 ? first : first - back;
    look(lowest, lowest + end - place);
  };
  if (run.places) run.places.eachPiece(piece);
  else piece(0, run.pages);
}

/** Counts a run's pages in the pageblocks that hold them. */
export function markPageblocks(run: Run, sign: 1 | -1): void {
  if (run.places && !run.places.listed) return markScattered(run, run.places, sign);
  const { lruPages } = run.zone.buddy;
  if (run.places) return eachPiece(run, (lowest, end) => markFrames(lruPages, lowest, end, sign));
  const back = run.step === 1 ? 0 : run.pages - (run.huge ? PAGES_PER_HUGE : 1);
  markFrames(lruPages, run.frame - back, run.frame - back + run.pages, sign);
}

function markFrames(lruPages: Uint16Array, lowest: number, end: number, sign: 1 | -1): void {
  for (let frame = lowest; frame < end;) {
    const block = frame >>> PAGEBLOCK_ORDER;
    const until = Math.min((block + 1) * PAGEBLOCK_PAGES, end);
    lruPages[block]! += sign * (until - frame);
    frame = until;
  }
}

/** The same for a run whose frames follow its places, pageblock by pageblock. */
function markScattered(run: Run, places: Places, sign: 1 | -1): void {
  const { lruPages } = run.zone.buddy;
  for (let place = 0; place < places.span;) {
    const frame = run.frame + run.step * place;
    const block = frame >>> PAGEBLOCK_ORDER;
    const left =
      run.step === 1 ? (block + 1) * PAGEBLOCK_PAGES - frame : frame - block * PAGEBLOCK_PAGES + 1;
    lruPages[block]! += sign * places.count(place, place + left);
    place += left;
  }
}
