/** Giving back what a process or a mapping holds: exit, MADV_DONTNEED, drop_caches. */
import { PAGES_PER_HUGE } from './constants';
import { freeRun } from './free-run';
import { exitHugetlb, hugetlbPointers } from './hugetlb-fault';
import { freeKernelBlocks, guestCaller, type KernelCaller } from './kernel-block';
import { passTime, type GuestState, type KernelState } from './kernel-state';
import { partOf, piecesOf, spanOf, type Run } from './lru';
import { uncharge, unchargeKernel } from './memcg';
import { gathered, pointersOf, type GatherRounds } from './mmu-gather';
import { BlockCounts, type Mapping } from './page-map';
import { endProcess } from './process-pages';
import { ascending } from './run-order';
import { freeSwap, freeSwapCache } from './swap';
import { endWritesOf } from './swap-write';
import type { Zone } from './zone';

/** Which offsets of a range are freed: of every `stepPages` all but the first `keepPages`; 0 frees them all. */
export interface FreePattern {
  from: number;
  to: number;
  stepPages: number;
  keepPages: number;
}

/** Offsets [from, to) that are freed, unless `picks` says of some that they stay. */
export interface FreeRange {
  from: number;
  to: number;
  picks?: (offset: number) => boolean;
}

/** The offsets of a pattern. */
export function rangeOf({ from, to, stepPages, keepPages }: FreePattern): FreeRange {
  if (stepPages === 0) return { from, to };
  return { from, to, picks: (offset) => (offset - from) % stepPages >= keepPages };
}

/**
 * Frees an owner's resident pages of a range, upwards, frames of its swap cache among them.
 * @param cpu position of the CPU whose lists take them
 * @param rounds where not all pages can be freed at once
 * @returns pages freed
 */
export function freeOffsets(
  k: KernelState,
  mapping: Mapping,
  range: FreeRange,
  cpu: number,
  rounds?: GatherRounds,
): number {
  endWritesOf(k, mapping);
  const runs = within(mapping.runs, range);
  if (!separate(mapping, runs))
    return freeParts(k, mapping, ascending(partsOf(mapping, range), zoneOf), cpu, rounds);
  let freed = 0;
  for (const run of runs) {
    cutRange(run, range, (part) => {
      freed += freeParts(k, mapping, [part], cpu, rounds);
    });
  }
  return freed;
}

/** Runs that reach into a range, in the order in which an unmap meets them: by the owner's offset. */
function within(runs: Iterable<Run>, { from, to }: FreeRange): Run[] {
  return [...runs]
    .filter((run) => run.offset < to && run.offset + spanOf(run) > from)
    .sort((a, b) => a.offset - b.offset);
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

/** Takes a range's pages off a run's list, ascending, and hands out each part before the next is cut. */
function cutRange(run: Run, { from, to, picks }: FreeRange, take: (part: Run) => void): void {
  const list = run.list!;
  if (picks) return list.cutPicked(run, from, to, picks, take);
  const part = list.cut(run, from, to);
  if (part) take(part);
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
  endWritesOf(k, mapping);
  let freed = 0;
  const parts = [...ascending(partsOf(mapping, rangeOf(pattern)), zoneOf)];
  for (const call of callsOf(parts, pattern)) {
    gathered(k, caller, pointersOf(call), (rounds) => {
      freed += freeParts(k, mapping, call, caller.cpu, rounds);
    });
  }
  return freed;
}

const zoneOf = (run: Run): Zone => run.zone;

function freeParts(
  k: KernelState,
  mapping: Mapping,
  parts: Iterable<Run>,
  cpu: number,
  rounds?: GatherRounds,
): number {
  let freed = 0;
  for (const part of parts) {
    const swapped = part.owner === mapping.swapCache;
    for (const freeable of rounds?.pieces(part) ?? [part]) {
      for (const piece of mapping.present ? piecesOf(freeable) : []) {
        mapping.present!.spread(piece.offset, spanOf(piece), -piece.pages);
        if (swapped) mapping.swapped?.spread(piece.offset, spanOf(piece), -piece.pages);
      }
      if (swapped) freeSwap(k, mapping, freeable.pages);
      freeSwapCache(k, freeable);
      freed += freeable.pages;
      uncharge(mapping.group, freeable.pages);
      freeRun(k, freeable, cpu);
    }
  }
  return freed;
}

/** Takes a range's pages off their lists. */
function partsOf(mapping: Mapping, range: FreeRange): Run[] {
  // A swap cache's runs in single pages, so that their direction does not matter.
  const cached = [...(mapping.swapCache?.runs ?? [])].flatMap((run) => run.list!.isolatePages(run));
  for (const page of cached) if (!page.huge) page.stride = 1;
  const parts: Run[] = [];
  for (const run of within([...mapping.runs, ...cached], range)) {
    cutRange(run, range, (part) => parts.push(part));
  }
  return parts;
}

function* piecesOfAll(runs: Run[]): Generator<Run, void> {
  for (const run of runs) yield* piecesOf(run);
}

/** The parts that each madvise() frees: one call for every group, or for the whole range. */
function* callsOf(parts: Run[], { from, stepPages }: FreePattern): Generator<Run[], void> {
  if (stepPages === 0) {
    if (parts.length > 0) yield parts;
    return;
  }
  let call: Run[] = [];
  let group = -1;
  for (const part of piecesOfAll(parts)) {
    for (let at = 0; at < part.pages;) {
      const offset = part.offset + at * part.stride;
      const its = Math.floor((offset - from) / stepPages);
      const due = Math.ceil((from + (its + 1) * stepPages - offset) / part.stride);
      const whole = part.huge ? Math.ceil(due / PAGES_PER_HUGE) * PAGES_PER_HUGE : due;
      const pages = Math.min(whole, part.pages - at);
      if (its !== group && call.length > 0) {
        yield call;
        call = [];
      }
      group = its;
      call.push(pages === part.pages ? part : partOf(part, at, pages));
      at += pages;
    }
  }
  if (call.length > 0) yield call;
}

/** Frees everything of a mapping, swap included. */
export function freeMapping(
  k: KernelState,
  mapping: Mapping,
  cpu: number,
  rounds?: GatherRounds,
): number {
  const freed = freeOffsets(k, mapping, { from: 0, to: Infinity }, cpu, rounds);
  freeSwap(k, mapping, mapping.swapPages);
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
  const pointers = pointersOf(runs) + hugetlbPointers(guest) + guest.pageTables.length;
  gathered(k, guestCaller(guest, cpu), pointers, (rounds) => {
    for (const mapping of mappings) freed += freeMapping(k, mapping, cpu, rounds);
    exitHugetlb(k, guest, cpu);
    freeKernelBlocks(k, guest.pageTables, cpu);
    unchargeKernel(k, guest.group, cpu, guest.pageTables.length);
  });
  guest.pageTables = [];
  endProcess(k, guest.processPages, cpu);
  guest.processPages = [];
  guest.alive = false;
  passTime(k, freed * k.hardware.freeNs, false);
  return freed;
}
