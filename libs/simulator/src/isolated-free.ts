/** Free pages that a compaction took off the lists and has not used yet. */
import { MAX_ORDER } from './buddy';

/** Hands back a block: its first frame and its order. */
export type GiveBack = (frame: number, order: number) => void;

/** Free pages taken for a run (`cc->freepages`). */
export interface IsolatedFree {
  /** Pages that are left. */
  readonly pages: number;
  add(frame: number, order: number): void;
  /** The next single page to move to, or -1. */
  take(): number;
  /** A page that was taken was not used: it is the next to be taken. */
  giveBack(frame: number): void;
  /** Returns what is left, in the order in which the kernel frees it. @returns the highest first frame of a block, or -1 */
  release(giveBack: GiveBack): number;
}

/**
 * Blocks split into single pages as soon as they are there: the last block is used first, from its end.
 * Kernels until 6.8.
 * @kernel mm/compaction.c split_map_pages(), compaction_free(), release_freepages()
 */
export class SplitFree implements IsolatedFree {
  pages = 0;
  private readonly pieces: { frame: number; count: number }[] = [];

  add(frame: number, order: number): void {
    this.pieces.push({ frame, count: 1 << order });
    this.pages += 1 << order;
  }

  take(): number {
    const last = this.pieces.at(-1);
    if (!last) return -1;
    last.count -= 1;
    this.pages -= 1;
    if (last.count === 0) this.pieces.pop();
    return last.frame + last.count;
  }

  giveBack(frame: number): void {
    this.add(frame, 0);
  }

  release(giveBack: GiveBack): number {
    let highest = -1;
    for (let piece = this.pieces.pop(); piece; piece = this.pieces.pop()) {
      highest = Math.max(highest, piece.frame + piece.count - 1);
      for (let i = piece.count - 1; i >= 0; i -= 1) giveBack(piece.frame + i, 0);
    }
    this.pages = 0;
    return highest;
  }
}

/**
 * Blocks by order, as they were free: a page comes from the smallest, the first one of its order, from its start; what
 * is not needed returns as blocks. Kernels from 6.9 on.
 * @kernel mm/compaction.c compaction_alloc(), compaction_free(), release_free_list()
 */
export class WholeFree implements IsolatedFree {
  pages = 0;
  private readonly lists: number[][] = Array.from({ length: MAX_ORDER }, () => []);

  add(frame: number, order: number): void {
    this.lists[order]!.push(frame);
    this.pages += 1 << order;
  }

  take(): number {
    let order = this.lists.findIndex((list) => list.length > 0);
    if (order < 0) return -1;
    const frame = this.lists[order]!.shift()!;
    while (order > 0) {
      order -= 1;
      this.lists[order]!.unshift(frame + (1 << order));
    }
    this.pages -= 1;
    return frame;
  }

  giveBack(frame: number): void {
    this.lists[0]!.unshift(frame);
    this.pages += 1;
  }

  release(giveBack: GiveBack): number {
    let highest = -1;
    this.lists.forEach((list, order) => {
      for (const frame of list.splice(0)) {
        highest = Math.max(highest, frame);
        giveBack(frame, order);
      }
    });
    this.pages = 0;
    return highest;
  }
}
