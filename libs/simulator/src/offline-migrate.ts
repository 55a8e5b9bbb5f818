/** Moving what stands in memory that goes offline to other nodes, or within the node where there is no other. */
import { MIGRATE_MOVABLE, PAGEBLOCK_ORDER } from './buddy';
import { PAGES_PER_HUGE, ZONE_MOVABLE, ZONE_NORMAL } from './constants';
import { countVm, type KernelState } from './kernel-state';
import { accountRun, countsAsFile, partOf, type Lru, type Run } from './lru';
import { frameAt, nextHeld, placesOf } from './lru-run';
import { lruvecOf, lruvecsOf } from './lruvec';
import { migrateHugetlbs, usedHugetlbFrames } from './offline-hugetlb';
import { allocContext, allocPages, type AllocContext } from './page-alloc';
import type { FrameRange } from './page-isolation';
import { freeToPcp } from './pcp';

/** A page, or a huge page, off its list. */
export interface Source {
  frame: number;
  run: Run;
  list: Lru;
}

/** What one round did. */
export interface MigrateRound {
  /** Base pages that were moved. */
  moved: number;
  /** Pages and huge pages that would still have to be. */
  left: number;
  /** Base pages that are left because they are being written. */
  writing: number;
}

/** Pages that somebody holds, or a device writes to, cannot leave their place. */
function isPinned(k: KernelState, run: Run): boolean {
  if (run.owner.held === true) return true;
  const guest = run.owner.guest === undefined ? undefined : k.guests.get(run.owner.guest);
  const region = guest?.mappings.indexOf(run.owner) ?? -1;
  return guest?.spec.regions[region]?.pinned === true;
}

/** The first frame of a range with a page that would have to be moved, or -1. @kernel mm/memory_hotplug.c scan_movable_pages() */
export function scanMovablePages(k: KernelState, range: FrameRange): number {
  let first = usedHugetlbFrames(k, range)[0] ?? Infinity;
  for (const run of runsIn(range)) {
    for (const place of placesIn(run, range)) first = Math.min(first, frameAt(run, place));
  }
  return first === Infinity ? -1 : first;
}

/** Runs that hold a page of a range. */
function runsIn(range: FrameRange): Run[] {
  return lruvecsOf(range.zone.node)
    .flatMap(({ lists }) => lists.flatMap((list) => list.runs()))
    .filter((run) => run.zone === range.zone && placesIn(run, range).length > 0);
}

/** Places of a run whose frames lie in a range; of a huge run the first of each huge page. */
function placesIn(run: Run, { from, to }: FrameRange): number[] {
  const unit = run.huge ? PAGES_PER_HUGE : 1;
  const places: number[] = [];
  if (!run.places) {
    const blocks = run.pages / unit;
    const [a, b] = [(from - run.frame) / unit, (to - unit - run.frame) / unit];
    const low = Math.max(Math.ceil(run.step === 1 ? a : -b), 0);
    const high = Math.min(Math.floor(run.step === 1 ? b : -a), blocks - 1);
    for (let i = low; i <= high; i += 1) places.push(i * unit);
    return places;
  }
  for (let at = nextHeld(run, 0); at < placesOf(run); at = nextHeld(run, at + 1)) {
    const frame = frameAt(run, at);
    if (frame >= from && frame < to) places.push(at);
  }
  return places;
}

/** Takes the pages of a range off their lists, those that are pinned or being written excepted; ascending frames. */
export function isolateSources(
  k: KernelState,
  range: FrameRange,
): { sources: Source[]; writing: number } {
  const sources: Source[] = [];
  let writing = 0;
  for (const run of runsIn(range)) {
    const unit = run.huge ? PAGES_PER_HUGE : 1;
    const places = placesIn(run, range);
    if (run.writeback) writing += places.length * unit;
    if (run.writeback || isPinned(k, run)) continue;
    const list = run.list!;
    const take = (part: Run): void => {
      for (let at = nextHeld(part, 0); at < placesOf(part); at = nextHeld(part, at + unit)) {
        const page = partOf(part, at, unit);
        page.step = 1;
        sources.push({ frame: page.frame, run: page, list });
      }
    };
    if (run.stride < 0) {
      for (const page of list.isolatePages(run)) {
        if (placesIn(page, range).length > 0) take(list.remove(page));
      }
      continue;
    }
    const offsets = new Set<number>();
    for (const place of places) {
      for (let i = 0; i < unit; i += 1) offsets.add(run.offset + (place + i) * run.stride);
    }
    list.cutPicked(run, -Infinity, Infinity, (offset) => offsets.has(offset), take);
  }
  sources.sort((a, b) => a.frame - b.frame);
  return { sources, writing };
}

/** Node ids that pages may move to: all others with memory, or the own one if there is none. */
function targetNodes(k: KernelState, { zone }: FrameRange): Set<number> {
  const others = k.nodes.filter((node) => node !== zone.node && node.zones.length > 0);
  return new Set((others.length > 0 ? others : [zone.node]).map(({ id }) => id));
}

/**
 * Takes what stands in a range off its lists and moves it, huge pages of pools first, then by ascending frame. A page that finds no place ends the
 * round; a huge page that finds none is split, and its pages are moved next. What was not moved returns to its list.
 * @kernel mm/memory_hotplug.c do_migrate_range(), mm/migrate.c migrate_pages(), alloc_migration_target()
 * @differs attempts on pinned pages are not counted
 */
export function doMigrateRange(k: KernelState, range: FrameRange): MigrateRound {
  const nodemask = targetNodes(k, range);
  const { sources, writing } = isolateSources(k, range);
  const { moved, failed } = migrateHugetlbs(k, range, nodemask);
  const round = { moved, left: 0, writing };
  if (!failed) round.moved += migrateSources(k, range, nodemask, sources);
  for (const { run, list } of sources) list.push(run);
  for (const run of runsIn(range)) round.left += placesIn(run, range).length;
  round.left += usedHugetlbFrames(k, range).length;
  return round;
}

/**
 * Moves pages in their order, until one finds no place.
 * @param nodemask nodes that they may move to; null: every node, from their own on
 * @param sources what is moved leaves this list
 * @returns base pages moved
 * @kernel mm/migrate.c migrate_pages(), alloc_migration_target()
 */
export function migrateSources(
  k: KernelState,
  range: FrameRange,
  nodemask: Set<number> | null,
  sources: Source[],
): number {
  const { zone, cpu } = range;
  const request = (values: Partial<AllocContext>): AllocContext =>
    allocContext({
      cpu,
      preferred: zone.node,
      nodemask,
      type: MIGRATE_MOVABLE,
      retryMayFail: true,
      costNs: k.hardware.migrateNs,
      // What arrives on a node is there for the next request's node reclaim, as far as that counts it.
      cache: sources.some(({ run }) => countsAsFile(run.owner) || run.swapCached),
      ...values,
    });
  const base = request({ classIndex: zone.index === ZONE_MOVABLE ? ZONE_MOVABLE : ZONE_NORMAL });
  const huge = request({
    order: PAGEBLOCK_ORDER,
    wakeKswapd: false,
    noMemalloc: true,
    costNs: k.hardware.migrateNs * PAGES_PER_HUGE,
  });
  let moved = 0;
  while (sources.length > 0) {
    const first = sources[0]!;
    if (first.run.huge) {
      const segment = allocPages(k, huge, 1);
      if (segment) {
        move(k, range, first, segment.zone, segment.runs[0]!.frame);
        countVm(k, 'thp_migration_success');
        moved += PAGES_PER_HUGE;
        sources.shift();
      } else sources.splice(0, 1, ...splitHuge(k, first));
      continue;
    }
    const next = sources.findIndex(({ run }) => run.huge);
    const segment = allocPages(k, base, next < 0 ? sources.length : next);
    if (!segment) {
      countVm(k, 'pgmigrate_fail');
      return moved;
    }
    const taken = sources.splice(0, segment.pages);
    let i = 0;
    for (const { frame, count, step } of segment.runs) {
      for (let n = 0; n < count; n += 1, i += 1) {
        move(k, range, taken[i]!, segment.zone, frame + step * n);
      }
    }
    moved += segment.pages;
  }
  return moved;
}

/** @kernel mm/migrate.c migrate_folio_move(): the new page joins the head of the list that the old one left */
function move(
  k: KernelState,
  { zone: from, cpu }: FrameRange,
  { run, list, frame: old }: Source,
  zone: Run['zone'],
  frame: number,
): void {
  const { pages } = run;
  accountRun(run, -1);
  run.zone = zone;
  run.frame = frame;
  accountRun(run, 1);
  lruvecOf(zone.node, list.group).lists[list.index]!.push(run);
  for (const touched of [from, zone]) touched.pcps[cpu]!.counted = true;
  freeToPcp(from, cpu, pages === 1 ? 0 : PAGEBLOCK_ORDER, old, 1, 1);
  countVm(k, 'pgfree', pages);
  countVm(k, 'pgmigrate_success', pages);
}

/** @kernel mm/migrate.c try_split_folio() */
function splitHuge(k: KernelState, { run, list }: Source): Source[] {
  accountRun(run, -1);
  run.huge = false;
  accountRun(run, 1);
  countVm(k, 'thp_migration_fail');
  countVm(k, 'thp_migration_split');
  countVm(k, 'thp_split_page');
  return Array.from({ length: PAGES_PER_HUGE }, (_, i) => {
    const page = partOf(run, i, 1);
    return { frame: page.frame, run: page, list };
  });
}
