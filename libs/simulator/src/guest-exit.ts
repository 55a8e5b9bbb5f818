/** Giving back what a process or a mapping holds: exit, MADV_DONTNEED, drop_caches. */
import { freeRun } from './free-run';
import { freeKernelBlocks, guestCaller, type KernelCaller } from './kernel-block';
import { passTime, type GuestState, type KernelState } from './kernel-state';
import { cutOffsets, partOf, spanOf, type Run } from './lru';
import { gathered, pointersOf } from './mmu-gather';
import { BlockCounts, type Mapping } from './page-map';
import { endProcess } from './process-pages';
import { freeSwap } from './swap';
import type { Zone } from './zone';

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
 * Frees an owner's resident pages of a pattern, upwards, frames of its swap cache among them.
 * @param cpu position of the CPU whose lists take them
 * @returns pages freed
 */
export function freeOffsets(
  k: KernelState,
  mapping: Mapping,
  pattern: FreePattern,
  cpu: number,
): number {
  const runs = byOffset(mapping.runs);
  if (pattern.stepPages === 0 || !separate(mapping, runs)) {
    return freeParts(k, mapping, inOrder(partsOf(mapping, pattern)), cpu);
  }
  let freed = 0;
  for (const run of runs) {
    cutUpwards(run, pattern, (part) => {
      freed += freeParts(k, mapping, [part], cpu);
    });
  }
  return freed;
}

/** Can each run's pages be freed before the next run is cut, without a zone getting its pages out of order? */
function separate(mapping: Mapping, runs: readonly Run[]): boolean {
  if (mapping.kind === 'file' || (mapping.swapCache?.runs.size ?? 0) > 0) return false;
  const ends = new Map<Zone, number>();
  for (const run of runs) {
    if (run.huge || run.offset < (ends.get(run.zone) ?? 0)) return false;
    ends.set(run.zone, run.offset + spanOf(run));
  }
  return true;
}

/** Takes a pattern's pages off a run's list, ascending, and hands out each part before the next is cut. */
function cutUpwards(run: Run, pattern: FreePattern, take: (part: Run) => void): void {
  const { from, to, stepPages, keepPages } = pattern;
  const end = run.offset + spanOf(run);
  const firstGroup = Math.floor((Math.max(run.offset, from) - from) / stepPages);
  let rest = run;
  for (let group = from + firstGroup * stepPages; group < Math.min(end, to); group += stepPages) {
    const part = cutOffsets(rest, group + keepPages, Math.min(group + stepPages, to));
    if (!part) continue;
    const partEnd = part.offset + spanOf(part);
    // What lies above the part became a run of its own, unless nothing was left below.
    if (partEnd < end && rest.offset < part.offset) rest = rest.newer!;
    take(part);
    if (partEnd >= end) return;
  }
}

/**
 * A process gives up a pattern of its pages, with one call for each group or for the whole range.
 * @returns pages freed
 * @kernel mm/madvise.c madvise_dontneed_single_vma()
 */
export function zapOffsets(
  k: KernelState,
  mapping: Mapping,
  pattern: FreePattern,
  caller: KernelCaller,
): number {
  let freed = 0;
  for (const call of callsOf(inOrder(partsOf(mapping, pattern)), pattern)) {
    gathered(k, caller, pointersOf(call), () => {
      freed += freeParts(k, mapping, call, caller.cpu);
    });
  }
  return freed;
}

function freeParts(k: KernelState, mapping: Mapping, parts: Run[], cpu: number): number {
  let freed = 0;
  for (const part of parts) {
    mapping.present?.spread(part.offset, spanOf(part), -part.pages);
    if (part.owner === mapping.swapCache) {
      mapping.swapped?.spread(part.offset, spanOf(part), -part.pages);
      freeSwap(k, mapping, part.pages);
    }
    freed += part.pages;
    freeRun(k, part, cpu);
  }
  return freed;
}

function partsOf(mapping: Mapping, pattern: FreePattern): Run[] {
  const cached = [...(mapping.swapCache?.runs ?? [])].flatMap(singlePages);
  const runs = [...mapping.runs, ...cached];
  return byOffset(runs).flatMap((run) => cutPattern(run, pattern));
}

/** A swap cache's run in pieces of one page, so that its direction does not matter. */
function singlePages(run: Run): Run[] {
  if (run.huge) return [run];
  const pieces: Run[] = [];
  while (run.pages > 1) {
    const offset = run.offset + run.stride * (run.pages - 1);
    const piece = run.list!.isolateLast(run);
    pieces.push(Object.assign(piece, { offset, stride: 1 }));
  }
  return [...pieces, Object.assign(run, { stride: 1 })];
}

/** Parts whose offsets interlock in one zone are taken apart, so that each zone gets its pages upwards. */
function inOrder(parts: Run[]): Run[] {
  const ends = new Map<Zone, number>();
  let interlocked = false;
  for (const part of parts) {
    if (part.offset < (ends.get(part.zone) ?? 0)) interlocked = true;
    ends.set(
      part.zone,
      Math.max(ends.get(part.zone) ?? 0, part.offset + spanOf(part) - part.stride + 1),
    );
  }
  if (!interlocked) return parts;
  const pages = parts.flatMap((part) =>
    part.huge ? [part] : Array.from({ length: part.pages }, (_, i) => partOf(part, i, 1)),
  );
  return pages.sort((a, b) => a.offset - b.offset);
}

/** The parts that each madvise() frees: one call for every group, or for the whole range. */
function callsOf(parts: Run[], { from, stepPages }: FreePattern): Run[][] {
  if (stepPages === 0) return parts.length > 0 ? [parts] : [];
  const calls: Run[][] = [];
  let group = -1;
  for (const part of parts) {
    const its = Math.floor((part.offset - from) / stepPages);
    if (its !== group) calls.push([]);
    group = its;
    calls[calls.length - 1]!.push(part);
  }
  return calls;
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
  const everything = { from: 0, to: Infinity, stepPages: 0, keepPages: 0 };
  const freed = freeOffsets(k, mapping, everything, cpu);
  k.swap.freePages += mapping.swapPages;
  mapping.swapPages = 0;
  if (mapping.present) mapping.present = new BlockCounts();
  if (mapping.swapped) mapping.swapped = new BlockCounts();
  return freed;
}

/** The process ends: killed by the OOM killer or by a step. @returns pages freed */
export function exitGuest(k: KernelState, guest: GuestState): number {
  const cpu = guest.cpuPositions[0]?.[0] ?? 0;
  const mappings = [...guest.mappings, guest.overhead];
  const runs = mappings.flatMap((mapping) => [...mapping.runs]);
  let freed = 0;
  gathered(k, guestCaller(guest, cpu), pointersOf(runs) + guest.pageTables.length, () => {
    for (const mapping of mappings) freed += freeMapping(k, mapping, cpu);
    freeKernelBlocks(k, guest.pageTables, cpu);
  });
  guest.pageTables = [];
  endProcess(k, guest.processPages, cpu);
  guest.processPages = [];
  guest.alive = false;
  passTime(k, freed * k.hardware.freeNs, false);
  return freed;
}
