/** LRU lists as runs of pages with equal state, oldest first. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import { PAGES_PER_HUGE } from './constants';
import type { Mapping } from './page-map';
import type { NodeState, Zone } from './zone';

export const LRU_INACTIVE_ANON = 0;
export const LRU_ACTIVE_ANON = 1;
export const LRU_INACTIVE_FILE = 2;
export const LRU_ACTIVE_FILE = 3;
export const LRU_UNEVICTABLE = 4;
export const NR_LRU_LISTS = 5;

/**
 * Pages that one look of reclaim treats alike, oldest first: page i lies at `frame + i * step` and is its
 * owner's page `offset + i * stride` (a negative stride only in a swap cache). Huge runs hold whole 2 MiB pages; there `step` moves by blocks.
 */
export interface Run {
  owner: Mapping;
  zone: Zone;
  pages: number;
  /** First page (of a huge run: first page of the first block), relative to the zone's base. */
  frame: number;
  step: 1 | -1;
  offset: number;
  stride: number;
  /** Mapped by a process. */
  mapped: boolean;
  /** Page-table young bit. */
  young: boolean;
  /** PG_referenced. */
  referenced: boolean;
  /** Was active before (PG_workingset). */
  workingset: boolean;
  dirty: boolean;
  /** PG_writeback: on its way to its file; dirty again if it was written to meanwhile. */
  writeback: boolean;
  /** PG_reclaim: reclaim met it dirty; when its write ends it goes to the tail. */
  reclaim: boolean;
  /** Transparent huge pages: `pages` is a multiple of 512 and leaves the list in whole ones. */
  huge: boolean;
  /** The list it stands on, and its neighbours there. */
  list: Lru | undefined;
  newer: Run | undefined;
  older: Run | undefined;
}

/** What a run needs to be made; marks that are not given are clear. */
export function newRun(
  values: Pick<Run, 'owner' | 'zone' | 'pages' | 'frame' | 'offset'> & Partial<Run>,
): Run {
  // Field by field, always in this order: a spread would be many times as slow, and runs are made all the time.
  return {
    owner: values.owner,
    zone: values.zone,
    pages: values.pages,
    frame: values.frame,
    step: values.step ?? 1,
    offset: values.offset,
    stride: values.stride ?? 1,
    mapped: values.mapped ?? false,
    young: values.young ?? false,
    referenced: values.referenced ?? false,
    workingset: values.workingset ?? false,
    dirty: values.dirty ?? false,
    writeback: values.writeback ?? false,
    reclaim: values.reclaim ?? false,
    huge: values.huge ?? false,
    list: undefined,
    newer: undefined,
    older: undefined,
  };
}

/** Owner's pages from the first to the last of a run, gaps included. */
export function spanOf(run: Run): number {
  return run.pages * run.stride;
}

/** Frame of a run's page `index`. */
export function frameAt(run: Run, index: number): number {
  if (!run.huge) return run.frame + run.step * index;
  const block = Math.floor(index / PAGES_PER_HUGE);
  return run.frame + run.step * block * PAGES_PER_HUGE + (index % PAGES_PER_HUGE);
}

function alike(a: Run, b: Run): boolean {
  return (
    a.owner === b.owner &&
    a.zone === b.zone &&
    a.mapped === b.mapped &&
    a.young === b.young &&
    a.referenced === b.referenced &&
    a.workingset === b.workingset &&
    a.dirty === b.dirty &&
    a.writeback === b.writeback &&
    a.reclaim === b.reclaim &&
    a.huge === b.huge
  );
}

/** Widest gap between neighbours of one run, in the owner's pages: that of interleaving over so many nodes. */
const MAX_STRIDE = 64;

/** Appends `run` to `newest` where it goes on in both address spaces. */
function join(newest: Run, run: Run): boolean {
  if (!alike(newest, run)) return false;
  if (newest.huge) {
    if (newest.step !== run.step || frameAt(newest, newest.pages) !== run.frame) return false;
    if (newest.offset + newest.pages !== run.offset) return false;
    newest.pages += run.pages;
    return true;
  }
  const step = run.frame - frameAt(newest, newest.pages - 1);
  const stride = run.offset - (newest.offset + (newest.pages - 1) * newest.stride);
  if ((step !== 1 && step !== -1) || stride < 1 || stride > MAX_STRIDE) return false;
  const fits = (part: Run): boolean =>
    part.pages === 1 || (part.step === step && part.stride === stride);
  if (!fits(newest) || !fits(run)) return false;
  newest.step = step;
  newest.stride = stride;
  newest.pages += run.pages;
  return true;
}

/** One list, from the tail in the kernel's words (the oldest) to the head (the newest). */
export class Lru {
  private oldestRun: Run | undefined;
  private newestRun: Run | undefined;
  pages = 0;

  constructor(readonly index: number) {}

  /** Puts pages at the head (newest), joining the newest run where nothing tells them apart. */
  push(run: Run): void {
    this.count(run, 1);
    const newest = this.newestRun;
    if (newest && join(newest, run)) return;
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
    reverse(run);
    this.count(run, 1);
    const oldest = this.oldestRun;
    run.list = this;
    run.older = undefined;
    run.newer = oldest;
    if (oldest) oldest.older = run;
    else this.newestRun = run;
    this.oldestRun = run;
    own(run);
  }

  oldest(): Run | undefined {
    return this.oldestRun;
  }

  /** Takes up to `pages` from the oldest run; a huge page leaves whole. */
  take(pages: number): Run | undefined {
    const run = this.oldestRun;
    return (
      run && this.cut(run, 0, run.huge ? Math.ceil(pages / PAGES_PER_HUGE) * PAGES_PER_HUGE : pages)
    );
  }

  /**
   * Takes pages [from, from + pages) of one of the list's runs off the list; of a huge run whole blocks.
   * @returns the part that was taken; what is left of the run stays in its place
   */
  cut(run: Run, from: number, pages: number): Run {
    const count = Math.min(pages, run.pages - from);
    if (from === 0 && count === run.pages) {
      this.unlink(run);
      this.count(run, -1);
      return run;
    }
    const taken = partOf(run, from, count);
    const rest = run.pages - from - count;
    if (from === 0) {
      run.offset += count * run.stride;
      run.frame = frameAt(run, count);
      run.pages = rest;
    } else {
      if (rest > 0) this.insertAfter(run, partOf(run, from + count, rest));
      run.pages = from;
    }
    this.count(taken, -1);
    return taken;
  }

  /**
   * Makes the pages of a run whose owner's offset lies in [from, to) a run of their own, in their place.
   * @returns that run, or undefined when none does
   */
  isolatePart(run: Run, from: number, to: number): Run | undefined {
    const first = Math.max(Math.ceil((from - run.offset) / run.stride), 0);
    const end = Math.min(Math.ceil((to - run.offset) / run.stride), run.pages);
    if (end <= first) return undefined;
    if (end < run.pages) this.insertAfter(run, partOf(run, end, run.pages - end));
    run.pages = end;
    if (first === 0) return run;
    const part = partOf(run, first, end - first);
    run.pages = first;
    this.insertAfter(run, part);
    return part;
  }

  /** Joins a run whose marks have changed to its neighbours where nothing tells them apart any more. */
  rejoin(run: Run): void {
    const { older, newer } = run;
    if (newer && join(run, newer)) this.unlink(newer);
    if (older && join(older, run)) this.unlink(run);
  }

  /** Makes the newest page of a run a run of its own, in its place. */
  isolateLast(run: Run): Run {
    const last = partOf(run, run.pages - 1, 1);
    run.pages -= 1;
    this.insertAfter(run, last);
    return last;
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
  }
}

function own(run: Run): void {
  run.owner.runs.add(run);
  if (run.writeback) run.owner.writing.add(run);
}

/** Turns a run's page order around; the blocks of a huge run keep theirs inside. */
function reverse(run: Run): void {
  if (run.huge) {
    run.frame = frameAt(run, run.pages - PAGES_PER_HUGE);
  } else {
    run.frame = frameAt(run, run.pages - 1);
    run.offset += (run.pages - 1) * run.stride;
    run.stride = -run.stride;
  }
  run.step = run.step === 1 ? -1 : 1;
}

/** A copy of some pages of a run that stands on no list. */
export function partOf(run: Run, from: number, pages: number): Run {
  const copy = newRun(run);
  copy.frame = frameAt(run, from);
  copy.offset = run.offset + from * run.stride;
  copy.pages = pages;
  return copy;
}

/**
 * Takes the pages whose owner's offset lies in [from, to) off a run's list; of a huge run whole blocks.
 * @returns undefined when none does
 */
export function cutOffsets(run: Run, from: number, to: number): Run | undefined {
  const { list } = run;
  if (!list) return undefined;
  const unit = run.huge ? PAGES_PER_HUGE : 1;
  let first = Math.max(Math.ceil((from - run.offset) / run.stride), 0);
  let end = Math.min(Math.ceil((to - run.offset) / run.stride), run.pages);
  first = Math.ceil(first / unit) * unit;
  end = Math.floor(end / unit) * unit;
  return end > first ? list.cut(run, first, end - first) : undefined;
}

/** The list that a fresh or returning page of this owner belongs on. */
export function lruList(node: NodeState, run: Run, active: boolean): Lru {
  const file = run.owner.kind === 'file';
  const index = (file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON) + (active ? 1 : 0);
  return node.lists[index]!;
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

/** Frames of a run, lowest first: [lowest, end). */
export function framesOf(run: Run): { lowest: number; end: number } {
  const span = run.huge ? run.pages - PAGES_PER_HUGE : run.pages - 1;
  const lowest = run.step === 1 ? run.frame : run.frame - span;
  return { lowest, end: lowest + run.pages };
}

/** Counts a run's pages in the pageblocks that hold them. */
function markPageblocks(run: Run, sign: 1 | -1): void {
  const { lruPages } = run.zone.buddy;
  const { lowest, end } = framesOf(run);
  for (let frame = lowest; frame < end;) {
    const block = frame >>> PAGEBLOCK_ORDER;
    const until = Math.min((block + 1) * PAGEBLOCK_PAGES, end);
    lruPages[block]! += sign * (until - frame);
    frame = until;
  }
}
