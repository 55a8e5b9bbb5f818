/** Pages that an unmap takes for a moment to remember what it has to free. */
import { PAGES_PER_HUGE } from './constants';
import {
  allocKernelBlocks,
  freeKernelBlocks,
  kernelContext,
  type KernelCaller,
} from './kernel-block';
import type { KernelState } from './kernel-state';
import { partOf, piecesOf, type Run } from './lru';
import type { AllocContext, KernelBlock } from './page-alloc';

/** Page pointers that fit into the structure itself. @kernel include/asm-generic/tlb.h MMU_GATHER_BUNDLE */
const BUNDLE_POINTERS = 8;
/** Page pointers on one page, behind its header of 16 bytes. @kernel MAX_GATHER_BATCH */
const BATCH_POINTERS = 510;
/** Pages of pointers before everything is flushed and they are used again. @kernel MAX_GATHER_BATCH_COUNT */
const MAX_BATCHES = 19;

/**
 * Pages of pointers that one call takes which unmaps this many pages.
 * @param pointers pages to free, a huge page counted once
 * @kernel mm/mmu_gather.c tlb_next_batch(): the page is taken as soon as the last free place is used
 */
export function gatherBatches(pointers: number): number {
  if (pointers < BUNDLE_POINTERS) return 0;
  return Math.min(1 + Math.floor((pointers - BUNDLE_POINTERS) / BATCH_POINTERS), MAX_BATCHES);
}

/** Page pointers that runs take. */
export function pointersOf(runs: readonly Run[]): number {
  return runs.reduce((sum, run) => sum + (run.huge ? run.pages / PAGES_PER_HUGE : run.pages), 0);
}

/**
 * What one call unmaps where memory for pages of pointers is short: it is freed in rounds of as many pages as there are places for, and
 * each round asks for another page of pointers.
 */
export class GatherRounds {
  /** Page pointers that still find a place in this round. */
  private room = 0;

  /**
   * @param batches pages of pointers so far
   * @param left page pointers of the call
   */
  constructor(
    private readonly k: KernelState,
    private readonly ac: AllocContext,
    private readonly batches: KernelBlock[],
    private left: number,
  ) {
    this.room = placesOf(batches);
  }

  /** Cuts a run that stands on no list into what is freed at once; the next piece is handed out when the last is free. */
  *pieces(run: Run): Generator<Run, void> {
    for (const piece of piecesOf(run)) {
      const unit = piece.huge ? PAGES_PER_HUGE : 1;
      for (let at = 0; at < piece.pages;) {
        if (this.room === 0) this.nextRound();
        const pages = Math.min(this.room * unit, piece.pages - at);
        yield pages === piece.pages ? piece : partOf(piece, at, pages);
        at += pages;
        this.room -= pages / unit;
        this.left -= pages / unit;
      }
    }
  }

  private nextRound(): void {
    const wanted = gatherBatches(this.left) - this.batches.length;
    if (wanted > 0) this.batches.push(...allocKernelBlocks(this.k, this.ac, wanted));
    this.room = placesOf(this.batches);
  }
}

function placesOf(batches: readonly KernelBlock[]): number {
  return BUNDLE_POINTERS + batches.length * BATCH_POINTERS;
}

/**
 * Frees what one call unmaps: the pages of pointers are taken before, and given back after it.
 * @param free frees it; in rounds where it is given them
 * @kernel mm/mmu_gather.c tlb_finish_mmu(), tlb_batch_list_free()
 * @differs a call of more than 9698 pages also takes all its batches before the first page is freed
 */
export function gathered(
  k: KernelState,
  caller: KernelCaller,
  pointers: number,
  free: (rounds: GatherRounds | undefined) => void,
): void {
  const count = gatherBatches(pointers);
  const ac = kernelContext(k, caller, { directReclaim: false });
  const batches = count > 0 ? allocKernelBlocks(k, ac, count) : [];
  free(batches.length < count ? new GatherRounds(k, ac, batches, pointers) : undefined);
  freeKernelBlocks(k, batches, caller.cpu);
}
