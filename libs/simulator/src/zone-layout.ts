import { MAX_BLOCK_PAGES, MIGRATE_MOVABLE, MIGRATE_UNMOVABLE, NR_MIGRATE_TYPES } from './buddy';
import { HUGE_ORDER, PAGES_PER_HUGE } from './constants';
import { InvariantError } from './errors';
import type { KernelImage } from './kernel-image';
import { orderByAddress } from './zone-order';
import {
  planPageblocks,
  TYPES_BY_ADDRESS,
  type BootOrder,
  type PageblockPlan,
} from './zone-pageblocks';
import {
  at,
  feasibleCounts,
  geometryOf,
  LENDERS,
  MAX_PAGE_ORDER,
  row,
  sum,
  usableEnd,
} from './zone-room';

/** Pages of a zone that the allocator was never given. */
export interface ReservedPages {
  /** The kernel's image, where it lies at the start of the zone: what came free of it is on per-CPU lists first of all. */
  image: KernelImage | undefined;
  /** The zone is its node's last, whose pages were initialised late: reserved pageblocks at its end kept type Unmovable. */
  late: boolean;
}

/** What the texts of a running host say about one zone: counts, no addresses. */
export interface ZoneLayoutInput {
  /** First pfn of the zone; need not be aligned. */
  startPfn: number;
  spannedPages: number;
  managedPages: number;
  /** Free blocks: freeBlocks[order 0..10][type 0 Unmovable, 1 Movable, 2 Reclaimable, 3 HighAtomic]. */
  freeBlocks: number[][];
  /** Pageblocks by type 0..3 where known; else all that hold no other type's free block are Movable. */
  pageblocks?: number[];
  /** Base pages on LRU lists. */
  lruPages: number;
  /** Where the zone shall look as boot leaves it. */
  boot?: BootOrder;
  /** Huge pages on LRU lists, counted in 4 KiB pages: a multiple of 512. */
  hugeLruPages: number;
  /** Pages on per-CPU lists. */
  pcpPages: number;
  /** Where the pages lie that the allocator was never given; undefined: beside the kernel's other pages. */
  reserved?: ReservedPages;
}

/** A run of pages; `frame` is relative to the layout's `basePfn`. */
export interface Extent {
  frame: number;
  pages: number;
}

/** One free block; `frame` is relative to the layout's `basePfn`. */
export interface FreeBlock {
  frame: number;
  order: number;
  type: number;
}

/** A possible state of the zone; pages that are not listed belong to the kernel or to a hole. */
export interface ZoneLayout {
  /** startPfn rounded down to a multiple of 1024, so that buddies of relative frames are those of pfns. */
  basePfn: number;
  /** Type of each pageblock of 512 pages from basePfn to the end of the zone; Movable in a hole. */
  pageblockTypes: Uint8Array;
  /** By order, then type; within one list from head to tail, which is ascending. */
  free: FreeBlock[];
  /** LRU base pages, ascending. */
  lru: Extent[];
  /** Those that are locked, where the zone looks as boot leaves it; they are not among the others then. */
  locked: Extent[];
  /** LRU huge pages: ascending runs of aligned 512-page frames. */
  huge: Extent[];
  /** Pages on per-CPU lists, ascending. */
  pcp: Extent[];
  /** First frame of the pageblocks at the end of the zone that the allocator was never given; the zone's end where it has none. */
  reservedFrom: number;
  /** What the input asked for that could not be placed as asked; [] normally. */
  notes: string[];
}

/**
 * Decrees where the pages of a running zone lie. From the start of the zone: pageblocks in which small free blocks (order < 9)
 * are packed densely between kernel pages, other kernel pages, per-CPU pages, LRU pages as one run, huge pages, free blocks of order 9
 * (each beside a pageblock that is not free), free blocks of order 10. What is neither free nor listed belongs to the kernel or
 * to a hole; a hole bigger than the pageblocks need is left at the end of the span.
 *
 * As boot leaves a zone, free blocks of the kernel's types lie below those of Movable, whose smaller ones stand just below its big ones;
 * locked pages, those of the first processes, lie above all free blocks: these found the small blocks of the zone's end.
 *
 * The counts of free blocks by order and type are kept wherever the span has room for them without two mergeable buddies; otherwise
 * the number of free pages is kept, and a note says so.
 *
 * @kernel mm/page_alloc.c __free_one_page() for what may lie beside what; mm/vmstat.c pagetypeinfo_show() for the counts
 * @differs addresses are not known from /proc; free blocks of order 9 never share a slot, even where HighAtomic keeps them apart
 * @throws RangeError for counts that are no whole numbers or tables of the wrong shape
 * @cost O(pageblocks + free blocks); no per-page arrays
 */
export function layOutZone(input: ZoneLayoutInput): ZoneLayout {
  checkInput(input);
  const notes: string[] = [];
  const basePfn = input.startPfn - (input.startPfn % MAX_BLOCK_PAGES);
  const start = input.startPfn - basePfn;
  const counted = sum(input.pageblocks ?? []) > 0 ? input.pageblocks : undefined;
  const span = geometryOf(start, start + input.spannedPages);
  const free = feasibleCounts(input.freeBlocks, span, notes);
  const end = usableEnd(free, span, {
    managedPages: input.managedPages,
    pageblocks: counted && sum(counted),
    usedPages: input.lruPages + input.hugeLruPages + input.pcpPages,
    hugePages: input.hugeLruPages,
  });
  const lockedPages = Math.min(input.boot?.lockedPages ?? 0, input.lruPages);
  const otherPages = input.lruPages - lockedPages + input.hugeLruPages + input.pcpPages;
  const boot = input.boot && { lockedPages, otherPages };
  const usable = geometryOf(start, end);
  const plan = planPageblocks(free, usable, counted, boot, notes);
  if (input.reserved && !input.boot) {
    const reserved = Math.max(0, end - start - input.managedPages);
    const { pages = 0, freed = [] } = input.reserved.image ?? {};
    const kept = pages - freed.reduce((total, gap) => total + gap.pages, 0);
    const hasImage = reserved >= kept;
    orderByAddress(plan, usable, {
      start: hasImage ? Math.floor(pages / PAGES_PER_HUGE) : 0,
      end: Math.floor((hasImage ? reserved - kept : reserved) / PAGES_PER_HUGE),
      endType: input.reserved.late ? MIGRATE_UNMOVABLE : MIGRATE_MOVABLE,
    });
  }
  placeSmallBlocks(free, plan);
  const pageblockTypes = new Uint8Array(Math.ceil(span.end / PAGES_PER_HUGE)).fill(MIGRATE_MOVABLE);
  pageblockTypes.set(plan.types);
  return {
    basePfn,
    pageblockTypes,
    ...placeUsedPages(input, plan, notes),
    reservedFrom: plan.reservedFrom,
    notes,
  };
}

function checkInput(input: ZoneLayoutInput): void {
  const whole = (value: number | undefined, name: string, unit: number): void => {
    if (value === undefined || !Number.isSafeInteger(value) || value < 0 || value % unit !== 0) {
      const right =
        unit === 1 ? 'a whole number, 0 or more' : `a multiple of ${unit}, as huge pages are`;
      throw new RangeError(`${name} of a zone's layout is ${String(value)}; it must be ${right}`);
    }
  };
  whole(input.startPfn, 'startPfn', 1);
  whole(input.spannedPages, 'spannedPages', 1);
  whole(input.managedPages, 'managedPages', 1);
  whole(input.lruPages, 'lruPages', 1);
  whole(input.hugeLruPages, 'hugeLruPages', PAGES_PER_HUGE);
  whole(input.boot?.lockedPages ?? 0, 'boot.lockedPages', 1);
  whole(input.pcpPages, 'pcpPages', 1);
  for (let order = 0; order <= MAX_PAGE_ORDER; order++) {
    for (let type = 0; type < NR_MIGRATE_TYPES; type++) {
      whole(input.freeBlocks[order]?.[type], `freeBlocks[${order}][${type}]`, 1);
    }
  }
  if (input.pageblocks !== undefined) {
    for (let type = 0; type < NR_MIGRATE_TYPES; type++) {
      whole(input.pageblocks[type], `pageblocks[${type}]`, 1);
    }
  }
}

/** Free blocks of order < 9, biggest first, each into the smallest region that has room for it, its own type's pageblocks first. */
function placeSmallBlocks(free: number[][], plan: PageblockPlan): void {
  for (let order = HUGE_ORDER - 1; order >= 0; order--) {
    const left = [...row(free, order)];
    for (const lenders of [[], LENDERS]) {
      for (const type of TYPES_BY_ADDRESS) {
        for (const from of lenders.length === 0 ? [type] : lenders) {
          while (at(left, type) > 0 && placeBlock(plan, from, order, type)) {
            left[type] = at(left, type) - 1;
          }
        }
      }
    }
    if (sum(left) > 0) {
      throw new InvariantError(`${sum(left)} free blocks of order ${order} have no room`, 0, 0);
    }
    for (let type = 0; type < NR_MIGRATE_TYPES; type++) {
      plan.open[type]?.[order]?.push(...(plan.lone[type]?.[order]?.splice(0) ?? []));
    }
  }
}

/** Takes the upper end of the smallest open region, as splits for a request leave it; its lower parts stay open. */
function placeBlock(plan: PageblockPlan, from: number, order: number, type: number): boolean {
  const list = plan.lists[order * NR_MIGRATE_TYPES + type];
  const lone = plan.lone[from]?.[order]?.pop();
  if (lone !== undefined) {
    list?.push(lone);
    return true;
  }
  for (let size = order + 1; size <= HUGE_ORDER; size++) {
    let frame = plan.open[from]?.[size]?.pop();
    if (frame === undefined) continue;
    for (let half = size - 1; half >= order; half--) {
      plan.open[from]?.[half]?.push(frame);
      frame += 1 << half;
    }
    list?.push(frame);
    return true;
  }
  return false;
}

/**
 * Huge pages into pageblocks without free pages; LRU pages into Movable ones of these, then beside the free pages of Movable
 * pageblocks, per-CPU pages into what is left. Each takes from the end.
 */
function placeUsedPages(
  input: ZoneLayoutInput,
  plan: PageblockPlan,
  notes: string[],
): Pick<ZoneLayout, 'free' | 'lru' | 'locked' | 'huge' | 'pcp'> {
  const lockedPages = Math.min(input.boot?.lockedPages ?? 0, input.lruPages);
  const atTop = Math.min(lockedPages, plan.top.length * PAGES_PER_HUGE);
  const areaPages = plan.area.length * PAGES_PER_HUGE;
  const hugePages = Math.min(input.hugeLruPages, areaPages);
  if (hugePages < input.hugeLruPages) {
    notes.push(
      `${input.hugeLruPages - hugePages} pages of huge pages lie as base pages: ` +
        `only ${hugePages} pages are in aligned runs without free pages`,
    );
  }
  const lruPages = input.lruPages - lockedPages + input.hugeLruPages - hugePages;
  const lockedBelow = lockedPages - atTop;
  const take = (ranges: Extent[][], pages: number, what: string): Extent[] => {
    const taken: Extent[] = [];
    let left = pages;
    for (const some of ranges) {
      while (left > 0 && some.length > 0) {
        const range = some[some.length - 1]!;
        const part = Math.min(left, range.pages);
        range.pages -= part;
        left -= part;
        taken.push({ frame: range.frame + range.pages, pages: part });
        if (range.pages === 0) some.pop();
      }
    }
    if (left > 0) notes.push(`${left} of ${pages} ${what} do not fit beside the free pages`);
    return joined(taken);
  };
  const rooms = input.boot ? roomsAsBootLeft(plan) : roomsByType(input, plan);
  const huge = take(rooms.whole, hugePages, 'pages of huge pages');
  const locked = take([rooms.above], atTop, 'locked pages');
  const { lists, pcps } = rooms.forPages();
  locked.push(...take(lists, lockedBelow, 'locked pages'));
  const lru = take(lists, lruPages, 'LRU pages');
  const pcp = take(pcps, input.pcpPages, 'pages on per-CPU lists');
  const free = plan.lists.flatMap((frames, index) =>
    frames
      .sort((a, b) => a - b)
      .map((frame) => ({
        frame,
        order: Math.floor(index / NR_MIGRATE_TYPES),
        type: index % NR_MIGRATE_TYPES,
      })),
  );
  return { free, lru, locked: joined(locked), huge, pcp };
}

/** Regions left between small free blocks, those to be filled first at the end: big ones, and the page last that keeps each from merging. */
function gapsOf(plan: PageblockPlan, types: readonly number[]): Extent[] {
  const barriers: Extent[] = [];
  const gaps: Extent[] = [];
  for (let order = 0; order <= HUGE_ORDER; order++) {
    for (const type of types) {
      for (const frame of plan.open[type]?.[order] ?? []) {
        barriers.push({ frame, pages: 1 });
        if (order > 0) gaps.push({ frame: frame + 1, pages: (1 << order) - 1 });
      }
    }
  }
  return barriers.concat(gaps);
}

/** Where pages go, in order of preference; each range gives up its end first. */
interface Rooms {
  /** Pageblocks without free pages. */
  whole: Extent[][];
  /** Those above all free blocks. */
  above: Extent[];
  /** For pages on LRU lists and on per-CPU lists, once huge and locked pages have their place. */
  forPages(): { lists: Extent[][]; pcps: Extent[][] };
}

/** As boots of 6.12 were seen to leave them: pageblocks without free pages whatever their type. */
function roomsAsBootLeft(plan: PageblockPlan): Rooms {
  const area = pageblocksAsRuns(plan.area);
  const above = pageblocksAsRuns(plan.top);
  const lists = [area, above, gapsOf(plan, TYPES_BY_ADDRESS)];
  return { whole: [area], above, forPages: () => ({ lists, pcps: lists }) };
}

/** LRU pages beside the free pages of Movable pageblocks before they go to the kernel's, per-CPU pages to the image's gaps first. */
function roomsByType(input: ZoneLayoutInput, plan: PageblockPlan): Rooms {
  const isUsers = (frame: number, i: number): boolean =>
    i >= plan.reserved && plan.types[Math.floor(frame / PAGES_PER_HUGE)] === MIGRATE_MOVABLE;
  const users = pageblocksAsRuns(plan.area.filter(isUsers));
  const kernels = pageblocksAsRuns(plan.area.filter((frame, i) => !isUsers(frame, i)));
  const kernelTypes = TYPES_BY_ADDRESS.filter((type) => type !== MIGRATE_MOVABLE);
  return {
    whole: [users, kernels],
    above: [],
    forPages: () => {
      const image = imageGaps(input, plan, kernels);
      const others = [
        users,
        gapsOf(plan, [MIGRATE_MOVABLE]),
        without(kernels, image),
        gapsOf(plan, kernelTypes),
      ];
      return { lists: [...others, image], pcps: [image, ...others] };
    },
  };
}

/** What came free of the kernel's image, as far as its pages could be placed and are left; that with the lowest address comes last. */
function imageGaps(
  input: ZoneLayoutInput,
  { image }: PageblockPlan,
  left: readonly Extent[],
): Extent[] {
  const end = image.frame + image.pageblocks * PAGES_PER_HUGE;
  const isLeft = (gap: Extent): boolean =>
    left.some((run) => run.frame <= gap.frame && gap.frame + gap.pages <= run.frame + run.pages);
  return (input.reserved?.image?.freed ?? [])
    .map(({ frame, pages }) => ({ frame: image.frame + frame, pages }))
    .filter((gap) => gap.frame + gap.pages <= end && isLeft(gap))
    .reverse();
}

/** The runs without the extents, each of which lies inside one of them. */
function without(runs: readonly Extent[], extents: readonly Extent[]): Extent[] {
  return runs.flatMap((run) => {
    const left: Extent[] = [];
    let { frame } = run;
    const end = frame + run.pages;
    const inside = extents.filter((extent) => extent.frame >= frame && extent.frame < end);
    for (const extent of inside.sort((a, b) => a.frame - b.frame)) {
      if (extent.frame > frame) left.push({ frame, pages: extent.frame - frame });
      frame = extent.frame + extent.pages;
    }
    if (end > frame) left.push({ frame, pages: end - frame });
    return left;
  });
}

/** Pageblocks as runs, neighbours in one. */
function pageblocksAsRuns(frames: readonly number[]): Extent[] {
  const runs: Extent[] = [];
  for (const frame of frames) {
    const last = runs[runs.length - 1];
    if (last !== undefined && last.frame + last.pages === frame) last.pages += PAGES_PER_HUGE;
    else runs.push({ frame, pages: PAGES_PER_HUGE });
  }
  return runs;
}

function joined(extents: Extent[]): Extent[] {
  const result: Extent[] = [];
  for (const extent of extents.sort((a, b) => a.frame - b.frame)) {
    const last = result[result.length - 1];
    if (last !== undefined && last.frame + last.pages === extent.frame) last.pages += extent.pages;
    else result.push(extent);
  }
  return result;
}
