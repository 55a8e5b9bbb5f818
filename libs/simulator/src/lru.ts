/** LRU lists as runs of pages with equal state, oldest first. */
import type { Mapping } from './page-map';
import type { NodeState, Zone } from './zone';

export const LRU_INACTIVE_ANON = 0;
export const LRU_ACTIVE_ANON = 1;
export const LRU_INACTIVE_FILE = 2;
export const LRU_ACTIVE_FILE = 3;
export const LRU_UNEVICTABLE = 4;
export const NR_LRU_LISTS = 5;

/** Pages that one look of reclaim treats alike. `offset` and `span` say where in the owner they lie. */
export interface Run {
  owner: Mapping;
  zone: Zone;
  pages: number;
  offset: number;
  span: number;
  /** Mapped by a process. */
  mapped: boolean;
  /** Page-table young bit. */
  young: boolean;
  /** PG_referenced. */
  referenced: boolean;
  /** Was active before (PG_workingset). */
  workingset: boolean;
  dirty: boolean;
  /** Transparent huge pages: `pages` is a multiple of 512 and leaves the list in whole ones. */
  huge: boolean;
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
    a.huge === b.huge
  );
}

/** One list: a queue of runs. Index 0 of `runs()` is the tail in the kernel's words, the oldest. */
export class Lru {
  private queue: Run[] = [];
  private first = 0;
  pages = 0;

  constructor(readonly index: number) {}

  /** Puts pages at the head (newest), joining the newest run where nothing tells them apart. */
  push(run: Run): void {
    this.pages += run.pages;
    run.zone.lruPages[this.index]! += run.pages;
    const newest = this.queue[this.queue.length - 1];
    if (newest && this.first < this.queue.length && alike(newest, run)) {
      if (newest.offset + newest.span === run.offset) {
        newest.pages += run.pages;
        newest.span += run.span;
        return;
      }
      if (newest.offset === run.offset && newest.span === run.span) {
        newest.pages += run.pages;
        return;
      }
    }
    this.queue.push(run);
  }

  /** Puts pages at the tail, where reclaim looks next (a finished write-out of reclaim). */
  pushOldest(run: Run): void {
    this.pages += run.pages;
    run.zone.lruPages[this.index]! += run.pages;
    if (this.first > 0) {
      this.first -= 1;
      this.queue[this.first] = run;
    } else {
      this.queue.unshift(run);
    }
  }

  oldest(): Run | undefined {
    return this.queue[this.first];
  }

  /** Takes up to `pages` from the oldest run; a huge page leaves whole. */
  take(pages: number): Run | undefined {
    const run = this.queue[this.first];
    if (!run) return undefined;
    const wanted = run.huge ? Math.ceil(pages / 512) * 512 : pages;
    let taken = run;
    if (wanted >= run.pages) {
      this.first += 1;
      if (this.first > 1024 && this.first * 2 > this.queue.length) {
        this.queue = this.queue.slice(this.first);
        this.first = 0;
      }
    } else {
      taken = splitRun(run, wanted);
    }
    this.pages -= taken.pages;
    taken.zone.lruPages[this.index]! -= taken.pages;
    return taken;
  }

  runs(): Run[] {
    return this.queue.slice(this.first);
  }

  /**
   * Walks all runs, oldest first, and lets `part` say how many pages of each to remove.
   * @returns the removed pages, as runs
   */
  remove(part: (run: Run) => number): Run[] {
    const removed: Run[] = [];
    const kept: Run[] = [];
    for (let i = this.first; i < this.queue.length; i += 1) {
      const run = this.queue[i]!;
      const pages = Math.min(part(run), run.pages);
      if (pages <= 0) {
        kept.push(run);
        continue;
      }
      if (pages < run.pages) kept.push(run);
      const taken = pages < run.pages ? splitRun(run, pages) : run;
      this.pages -= taken.pages;
      taken.zone.lruPages[this.index]! -= taken.pages;
      removed.push(taken);
    }
    this.queue = kept;
    this.first = 0;
    return removed;
  }
}

/** Cuts the first `pages` off a run. */
function splitRun(run: Run, pages: number): Run {
  const span = Math.max(Math.floor((run.span * pages) / run.pages), 1);
  const part: Run = { ...run, pages, span };
  run.offset += span;
  run.span = Math.max(run.span - span, 1);
  run.pages -= pages;
  return part;
}

/** The list that a fresh or returning page of this owner belongs on. */
export function lruList(node: NodeState, run: Run, active: boolean): Lru {
  const file = run.owner.kind === 'file';
  const index = (file ? LRU_INACTIVE_FILE : LRU_INACTIVE_ANON) + (active ? 1 : 0);
  return node.lists[index]!;
}

/** Books pages to their owner and node when they are allocated (sign 1) or freed (-1). */
export function accountRun(run: Run, sign: 1 | -1): void {
  const { node } = run.zone;
  const pages = sign * run.pages;
  run.owner.pagesByNode[node.position]! += pages;
  if (run.owner.kind === 'file' || run.owner.shmem) node.filePages += pages;
  else node.anonPages += pages;
  if (run.owner.shmem) node.shmemPages += pages;
  if (run.mapped && (run.owner.kind === 'file' || run.owner.shmem)) node.mappedPages += pages;
  if (run.dirty && run.owner.kind === 'file') node.dirtyPages += pages;
  if (run.huge) {
    node.hugeAnonPages += pages;
    run.owner.hugePages += pages;
  }
}
