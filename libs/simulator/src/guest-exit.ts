/** Giving back what a process or a mapping holds: exit, MADV_DONTNEED, drop_caches. */
import { freeBlock, freeRun } from './free-run';
import { passTime, type GuestState, type KernelState } from './kernel-state';
import { cutOffsets, spanOf, type Run } from './lru';
import { BlockCounts, type Mapping } from './page-map';

/** Runs in the order in which an unmap meets them: by the owner's offset. */
function byOffset(runs: Iterable<Run>): Run[] {
  return [...runs].sort((a, b) => a.offset - b.offset);
}

/** Which offsets of a range are freed: of every `stepPages` all but the first `keepPages`; 0 frees them all. */
export interface FreePattern {
  from: number;
  to: number;
  stepPages: number;
  keepPages: number;
}

/**
 * Frees an owner's resident pages of a pattern, upwards.
 * @param cpu position of the CPU whose lists take them
 * @returns pages freed
 * @differs pages of interleaved runs are freed run by run
 */
export function freeOffsets(
  k: KernelState,
  mapping: Mapping,
  pattern: FreePattern,
  cpu: number,
): number {
  let freed = 0;
  for (const run of byOffset(mapping.runs)) {
    for (const part of cutPattern(run, pattern)) {
      mapping.present?.spread(part.offset, spanOf(part), -part.pages);
      freed += part.pages;
      freeRun(k, part, cpu);
    }
  }
  return freed;
}

/** Takes a pattern's pages off a run's list, ascending; cut from above, so that the run keeps its start. */
function cutPattern(run: Run, { from, to, stepPages, keepPages }: FreePattern): Run[] {
  const start = Math.max(run.offset, from);
  const end = Math.min(run.offset + spanOf(run), to);
  const parts: Run[] = [];
  if (end <= start) return parts;
  if (stepPages === 0) {
    const part = cutOffsets(run, start, end);
    return part ? [part] : [];
  }
  const first = Math.floor((start - from) / stepPages);
  const last = Math.floor((end - 1 - from) / stepPages);
  for (let group = last; group >= first; group -= 1) {
    const at = from + group * stepPages;
    const part = cutOffsets(run, at + keepPages, Math.min(at + stepPages, to));
    if (part) parts.push(part);
  }
  return parts.reverse();
}

/** Frees everything of a mapping, swap included. */
export function freeMapping(k: KernelState, mapping: Mapping, cpu: number): number {
  let freed = 0;
  for (const owner of mapping.swapCache ? [mapping, mapping.swapCache] : [mapping]) {
    for (const run of byOffset(owner.runs)) {
      run.list!.cut(run, 0, run.pages);
      freed += run.pages;
      freeRun(k, run, cpu);
    }
  }
  k.swap.freePages += mapping.swapPages;
  mapping.swapPages = 0;
  if (mapping.present) mapping.present = new BlockCounts();
  if (mapping.swapped) mapping.swapped = new BlockCounts();
  return freed;
}

/** The process ends: killed by the OOM killer or by a step. @returns pages freed */
export function exitGuest(k: KernelState, guest: GuestState): number {
  const cpu = guest.cpuPositions[0]?.[0] ?? 0;
  let freed = 0;
  for (const mapping of [...guest.mappings, guest.overhead]) freed += freeMapping(k, mapping, cpu);
  for (const { zone, frame, order } of guest.pageTables) freeBlock(k, zone, cpu, frame, order);
  guest.pageTables = [];
  guest.alive = false;
  passTime(k, freed * k.hardware.freeNs, false);
  return freed;
}
