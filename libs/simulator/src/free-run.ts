/** Giving page frames back to the allocator. */
import { PAGES_PER_HUGE } from './constants';
import { PAGEBLOCK_ORDER } from './buddy';
import { countVm, type KernelState } from './kernel-state';
import { accountRun } from './lru';
import { frameAt, pieceStep, piecesOf, type Run } from './lru-run';
import { freeToPcp } from './pcp';
import type { Zone } from './zone';

/**
 * Frees the pages of a run that has left its list, through a CPU's lists.
 * @param reversed last page first, as reclaim frees an isolated batch
 */
export function freeRun(k: KernelState, run: Run, cpu: number, reversed = false): void {
  accountRun(run, -1);
  countVm(k, 'pgfree', run.pages);
  releaseBufferHeads(k, run, cpu);
  if (!run.places) freePiece(run, cpu, reversed);
  else if (reversed) for (const piece of piecesOf(run).reverse()) freePiece(piece, cpu, true);
  else {
    // It may have as many pieces as pages: they are not made into runs.
    run.places.eachPiece((place, end) => {
      const step = pieceStep(run, place, end);
      freeToPcp(run.zone, cpu, 0, frameAt(run, place), end - place, step);
    });
  }
}

function freePiece(run: Run, cpu: number, reversed: boolean): void {
  const step = reversed ? (-run.step as 1 | -1) : run.step;
  if (run.huge) {
    const blocks = run.pages / PAGES_PER_HUGE;
    const first = reversed ? frameAt(run, run.pages - PAGES_PER_HUGE) : run.frame;
    freeToPcp(run.zone, cpu, PAGEBLOCK_ORDER, first, blocks, step);
    return;
  }
  const first = reversed ? frameAt(run, run.pages - 1) : run.frame;
  run.zone.pcps[cpu]!.counted = true;
  freeToPcp(run.zone, cpu, 0, first, run.pages, step);
}

/** Written pages of a file per slab of their buffer heads (104 bytes each). @kernel fs/buffer.c buffer_init() */
export const BUFFER_HEADS_PER_SLAB = 39;

/**
 * A written page that leaves the cache gives its buffer head back; an empty slab returns to the allocator.
 * @kernel fs/buffer.c try_to_free_buffers(), mm/slub.c __slab_free()
 * @differs heads leave in the order in which they came; pages that were only read count as written ones
 * while the file has some
 */
function releaseBufferHeads(k: KernelState, run: Run, cpu: number): void {
  const heads = run.owner.bufferHeads;
  if (!heads || heads.pages === 0) return;
  heads.pages -= Math.min(heads.pages, run.pages);
  const kept = Math.ceil(heads.pages / BUFFER_HEADS_PER_SLAB);
  const emptied = Math.max(heads.slabs.length - kept, 0);
  for (const { zone, frame, order } of heads.slabs.splice(0, emptied)) {
    zone.node.slabReclaimable -= 1 << order;
    freeBlock(k, zone, cpu, frame, order);
  }
}

/** Frees one block of the kernel's own. */
export function freeBlock(
  k: KernelState,
  zone: Zone,
  cpu: number,
  frame: number,
  order: number,
): void {
  zone.kernelPages -= 1 << order;
  countVm(k, 'pgfree', 1 << order);
  freeToPcp(zone, cpu, order, frame, 1, 1);
}
