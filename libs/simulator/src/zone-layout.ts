import { HUGE_ORDER, PAGES_PER_HUGE } from './constants';
import { InvariantError } from './errors';
import {
  at,
  edgesOf,
  feasibleCounts,
  geometryOf,
  LENDERS,
  MAX_BLOCK_PAGES,
  MAX_PAGE_ORDER,
  MOVABLE,
  NR_TYPES,
  overfull,
  pageblocksFor,
  pagesOf,
  row,
  sum,
  totalsOf,
  type Geometry,
} from './zone-room';

/** Kernel-held types first: their pageblocks lie at the start of the zone, where boot left the kernel. */
const TYPES_BY_ADDRESS = [0, 2, 3, 1];
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
  /** Huge pages on LRU lists, counted in 4 KiB pages: a multiple of 512. */
  hugeLruPages: number;
  /** Pages on per-CPU lists. */
  pcpPages: number;
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

export interface ZoneLayout {
  /** startPfn rounded down to a multiple of 1024, so that buddies of relative frames are those of pfns. */
  basePfn: number;
  /** Type of each pageblock of 512 pages from basePfn to the end of the zone; Movable in a hole. */
  pageblockTypes: Uint8Array;
  /** By order, then type; within one list from head to tail, which is ascending. */
  free: FreeBlock[];
  /** LRU base pages, ascending. */
  lru: Extent[];
  /** LRU huge pages: ascending runs of aligned 512-page frames. */
  huge: Extent[];
  /** Pages on per-CPU lists, ascending. */
  pcp: Extent[];
  /** What the input asked for that could not be placed as asked; [] normally. */
  notes: string[];
}

/** Where the pageblocks' contents are decided: free lists by order * 4 + type, and regions still open by pageblock type. */
interface Plan {
  types: Uint8Array;
  lists: number[][];
  /** open[type][order]: regions of 2^order pages that may hold free blocks of smaller orders. */
  open: number[][][];
  /** lone[type][order]: regions whose buddy is outside, so that they may be a free block of their own order. */
  lone: number[][][];
  /** Whole pageblocks without free pages, kernel's side first. */
  area: number[];
}

/**
 * Decrees where the pages of a running zone lie. From the start of the zone: pageblocks in which small free blocks (order < 9)
 * are packed densely between kernel pages, other kernel pages, per-CPU pages, LRU pages as one run, huge pages, free blocks of order 9
 * (each beside a pageblock that is not free), free blocks of order 10. What is neither free nor listed belongs to the kernel or
 * to a hole; a hole bigger than the pageblocks need is left at the end of the span.
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
  const span = geometryOf(start, start + input.spannedPages);
  const free = feasibleCounts(input.freeBlocks, span, notes);
  const usable = geometryOf(start, usableEnd(input, free, span));
  const plan = planPageblocks(input, free, usable, span.end, notes);
  placeSmallBlocks(free, plan);
  return { basePfn, pageblockTypes: plan.types, ...placeUsedPages(input, plan, notes), notes };
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
  whole(input.pcpPages, 'pcpPages', 1);
  for (let order = 0; order <= MAX_PAGE_ORDER; order++) {
    for (let type = 0; type < NR_TYPES; type++) {
      whole(input.freeBlocks[order]?.[type], `freeBlocks[${order}][${type}]`, 1);
    }
  }
  if (input.pageblocks !== undefined) {
    for (let type = 0; type < NR_TYPES; type++) {
      whole(input.pageblocks[type], `pageblocks[${type}]`, 1);
    }
  }
}

/** End of the part of the span that is laid out: the pageblocks the texts count, or managed pages, or what the contents need. */
function usableEnd(input: ZoneLayoutInput, free: number[][], span: Geometry): number {
  const totals = totalsOf(free);
  const used = input.lruPages + input.hugeLruPages + input.pcpPages;
  const mixed = sum(LENDERS.map((type) => pageblocksFor(free, type)));
  const endOf = (pageblock: number): number => Math.min(span.end, pageblock * PAGES_PER_HUGE);
  const enough = (pageblock: number): boolean => {
    const part = geometryOf(span.start, Math.max(span.start, endOf(pageblock)));
    const pages = part.end - part.start;
    const notFree =
      2 * part.slots +
      edgesOf(part.edges, HUGE_ORDER) -
      2 * at(totals, MAX_PAGE_ORDER) -
      at(totals, HUGE_ORDER);
    return (
      pages >= input.managedPages &&
      pages - pagesOf(free) >= used &&
      notFree - mixed >= input.hugeLruPages / PAGES_PER_HUGE &&
      overfull(totals, part) === undefined
    );
  };
  const counted = sum(input.pageblocks ?? []);
  let most = Math.ceil(span.end / PAGES_PER_HUGE);
  let least =
    counted > 0
      ? Math.floor(span.start / PAGES_PER_HUGE) + counted
      : 2 * Math.ceil((span.start + input.managedPages) / MAX_BLOCK_PAGES);
  if (least >= most || !enough(most)) return span.end;
  while (least < most) {
    const middle = Math.floor((least + most) / 2);
    if (enough(middle)) most = middle;
    else least = middle + 1;
  }
  return endOf(most);
}

/** Pageblocks of each type in the part that is laid out; what the texts do not count is Movable. */
function supplyOf(
  input: ZoneLayoutInput,
  pageblocks: number,
  wanted: readonly number[],
  notes: string[],
): number[] {
  const known = sum(input.pageblocks ?? []) > 0;
  const supply = known ? [...(input.pageblocks ?? [])] : [...wanted];
  if (!known) supply[MOVABLE] = 0;
  let excess = sum(supply) - pageblocks;
  if (known && excess > 0) {
    notes.push(`${excess} of ${sum(supply)} pageblocks lie outside the span of ${pageblocks}`);
  }
  if (excess < 0) supply[MOVABLE] = at(supply, MOVABLE) - excess;
  for (const type of LENDERS) {
    const cut = Math.min(at(supply, type), Math.max(0, excess));
    supply[type] = at(supply, type) - cut;
    excess -= cut;
  }
  return supply;
}

/**
 * Pageblock types and blocks of order >= 9; for smaller ones the pageblocks are chosen, not yet the frames.
 * Whole pageblocks that are not free come in this order: those beside a free block of order 9, those alone at an end of the zone,
 * the others ascending. Small free blocks take them from the front, LRU pages from the back.
 */
function planPageblocks(
  input: ZoneLayoutInput,
  free: number[][],
  usable: Geometry,
  spanEnd: number,
  notes: string[],
): Plan {
  const regions = (): number[][][] =>
    Array.from({ length: NR_TYPES }, () => Array.from({ length: MAX_PAGE_ORDER }, () => []));
  const plan: Plan = {
    types: new Uint8Array(Math.ceil(spanEnd / PAGES_PER_HUGE)).fill(MOVABLE),
    lists: Array.from({ length: (MAX_PAGE_ORDER + 1) * NR_TYPES }, () => []),
    open: regions(),
    lone: regions(),
    area: [],
  };
  const typeOf = (frame: number): number => at(plan.types, Math.floor(frame / PAGES_PER_HUGE));
  const setType = (frame: number, type: number): void => {
    plan.types[Math.floor(frame / PAGES_PER_HUGE)] = type;
  };
  const nrHuge = sum(row(free, HUGE_ORDER));
  const nrBiggest = sum(row(free, MAX_PAGE_ORDER));
  const wholeOf = (type: number): number =>
    2 * at(row(free, MAX_PAGE_ORDER), type) + at(row(free, HUGE_ORDER), type);

  const slots = usable.slots - nrBiggest;
  const beside = Math.min(slots, nrHuge);
  const single = usable.edges.filter((edge) => edge.order === HUGE_ORDER).map((edge) => edge.frame);
  const alone = single.splice(single.length - (nrHuge - beside));
  const slotFrame = (slot: number): number => (usable.firstSlot + slot) * MAX_BLOCK_PAGES;
  const notFree: number[] = [];
  for (let slot = slots - beside; slot < slots; slot++) notFree.push(slotFrame(slot));
  notFree.push(...single);
  for (let slot = 0; slot < slots - beside; slot++) {
    notFree.push(slotFrame(slot), slotFrame(slot) + PAGES_PER_HUGE);
  }

  const mixed = LENDERS.map((_, type) => pageblocksFor(free, type));
  const pageblocks =
    Math.ceil(usable.end / PAGES_PER_HUGE) - Math.floor(usable.start / PAGES_PER_HUGE);
  const wanted = mixed.map((need, type) => need + wholeOf(type));
  const supply = supplyOf(input, pageblocks, wanted, notes);
  const pieces = usable.edges.filter((edge) => edge.order < HUGE_ORDER);
  const cut = [...new Set(pieces.map((piece) => Math.floor(piece.frame / PAGES_PER_HUGE)))];
  const given: { frame: number; order: number }[][] = mixed.map(() => []);
  // A pageblock cut by an end of the zone goes to the type that then needs fewer whole ones.
  const unclaimed = cut.filter((pageblock) => {
    const here = pieces.filter((piece) => Math.floor(piece.frame / PAGES_PER_HUGE) === pageblock);
    for (const type of TYPES_BY_ADDRESS) {
      const edges = [...(given[type] ?? []), ...here];
      const need = pageblocksFor(free, type, edges);
      if (at(supply, type) <= wholeOf(type) || need >= at(mixed, type)) continue;
      given[type] = edges;
      mixed[type] = need;
      supply[type] = at(supply, type) - 1;
      plan.types[pageblock] = type;
      return false;
    }
    return true;
  });
  for (let over = sum(mixed) - notFree.length; over > 0; over--) {
    const most = mixed.indexOf(Math.max(...mixed));
    mixed[most] = at(mixed, most) - 1;
  }

  const known = sum(input.pageblocks ?? []) > 0;
  const own = supply.map((have, type) => Math.min(have, wholeOf(type) + at(mixed, type)));
  const surplus = supply.map((have, type) => have - at(own, type));
  if (!known) {
    const total = sum(surplus);
    surplus.fill(0);
    surplus[MOVABLE] = total;
  }
  const draw = (from: number[], order: readonly number[]): number => {
    const type = order.find((candidate) => at(from, candidate) > 0) ?? MOVABLE;
    from[type] = at(from, type) - 1;
    return type;
  };
  const drawFor = (type: number): number =>
    at(own, type) > 0 ? draw(own, [type]) : draw(surplus, LENDERS);

  let slot = slots;
  let nextBeside = slots - beside;
  for (const type of TYPES_BY_ADDRESS) {
    const biggestList = plan.lists[MAX_PAGE_ORDER * NR_TYPES + type] ?? [];
    for (let block = at(row(free, MAX_PAGE_ORDER), type); block > 0; block--, slot++) {
      biggestList.push(slotFrame(slot));
      setType(slotFrame(slot), drawFor(type));
      setType(slotFrame(slot) + PAGES_PER_HUGE, drawFor(type));
    }
    const hugeList = plan.lists[HUGE_ORDER * NR_TYPES + type] ?? [];
    for (let block = at(row(free, HUGE_ORDER), type); block > 0; block--) {
      const frame =
        nextBeside < slots ? slotFrame(nextBeside++) + PAGES_PER_HUGE : (alone.shift() ?? 0);
      hugeList.push(frame);
      setType(frame, drawFor(type));
    }
  }
  let next = 0;
  for (const type of TYPES_BY_ADDRESS) {
    for (let block = at(mixed, type); block > 0; block--, next++) {
      const frame = at(notFree, next);
      setType(frame, drawFor(type));
      plan.open[typeOf(frame)]?.[HUGE_ORDER]?.push(frame);
    }
  }
  for (const pageblock of unclaimed) plan.types[pageblock] = draw(surplus, TYPES_BY_ADDRESS);
  for (const { frame, order } of pieces) plan.lone[typeOf(frame)]?.[order]?.push(frame);
  plan.area = notFree.slice(next);
  for (const frame of plan.area) setType(frame, draw(surplus, TYPES_BY_ADDRESS));
  return plan;
}

/** Free blocks of order < 9, biggest first, each into the smallest region that has room for it, its own type's pageblocks first. */
function placeSmallBlocks(free: number[][], plan: Plan): void {
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
    for (let type = 0; type < NR_TYPES; type++) {
      plan.open[type]?.[order]?.push(...(plan.lone[type]?.[order]?.splice(0) ?? []));
    }
  }
}

/** Takes the upper end of the smallest open region, as splits for a request leave it; its lower parts stay open. */
function placeBlock(plan: Plan, from: number, order: number, type: number): boolean {
  const list = plan.lists[order * NR_TYPES + type];
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
      frame += 2 ** half;
    }
    list?.push(frame);
    return true;
  }
  return false;
}

/** LRU and per-CPU pages into pageblocks without free pages, from their end; only what is left over lies between small free blocks. */
function placeUsedPages(
  input: ZoneLayoutInput,
  plan: Plan,
  notes: string[],
): Pick<ZoneLayout, 'free' | 'lru' | 'huge' | 'pcp'> {
  const area: Extent[] = [];
  for (const frame of plan.area) {
    const last = area[area.length - 1];
    if (last !== undefined && last.frame + last.pages === frame) last.pages += PAGES_PER_HUGE;
    else area.push({ frame, pages: PAGES_PER_HUGE });
  }
  const areaPages = plan.area.length * PAGES_PER_HUGE;
  const hugePages = Math.min(input.hugeLruPages, areaPages);
  if (hugePages < input.hugeLruPages) {
    notes.push(
      `${input.hugeLruPages - hugePages} pages of huge pages lie as base pages: ` +
        `only ${hugePages} pages are in aligned runs without free pages`,
    );
  }
  const lruPages = input.lruPages + input.hugeLruPages - hugePages;
  const tight = hugePages + lruPages + input.pcpPages > areaPages;
  const ranges = tight ? gapsOf(plan).concat(area) : area;
  const take = (pages: number, what: string): Extent[] => {
    const taken: Extent[] = [];
    let left = pages;
    for (let range = ranges.pop(); range !== undefined; range = ranges.pop()) {
      const part = Math.min(left, range.pages);
      range.pages -= part;
      left -= part;
      if (part > 0) taken.push({ frame: range.frame + range.pages, pages: part });
      if (range.pages > 0) {
        ranges.push(range);
        break;
      }
    }
    if (left > 0) notes.push(`${left} of ${pages} ${what} do not fit beside the free pages`);
    return joined(taken);
  };
  const huge = take(hugePages, 'pages of huge pages');
  const lru = take(lruPages, 'LRU pages');
  const pcp = take(input.pcpPages, 'pages on per-CPU lists');
  const free = plan.lists.flatMap((frames, index) =>
    frames
      .sort((a, b) => a - b)
      .map((frame) => ({
        frame,
        order: Math.floor(index / NR_TYPES),
        type: index % NR_TYPES,
      })),
  );
  return { free, lru, huge, pcp };
}

/** Regions left between small free blocks, those to be filled first at the end: big ones, and the page last that keeps each from merging. */
function gapsOf(plan: Plan): Extent[] {
  const barriers: Extent[] = [];
  const gaps: Extent[] = [];
  for (let order = 0; order <= HUGE_ORDER; order++) {
    for (const open of plan.open) {
      for (const frame of open[order] ?? []) {
        barriers.push({ frame, pages: 1 });
        if (order > 0) gaps.push({ frame: frame + 1, pages: 2 ** order - 1 });
      }
    }
  }
  return barriers.concat(gaps);
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
