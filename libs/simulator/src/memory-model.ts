/**
 * Memory models: where the kernel keeps the `struct page` of each frame, and what that costs where
 * physical memory has holes. Nothing of it is needed to replay; it explains a host's layout.
 */
import type { Architecture } from './architecture';

export const MEMORY_MODELS = ['flatmem', 'discontigmem', 'sparsemem', 'sparsemem-vmemmap'] as const;
export type MemoryModelName = (typeof MEMORY_MODELS)[number];

/** Frames that exist, all of one node. Ranges do not overlap. */
export interface MemoryRange {
  nodeId: number;
  startPfn: number;
  pages: number;
}

/**
 * Arrays of `struct page` side by side: mem_map, node_mem_map of a node, or section_mem_map of
 * neighbouring sections. Many of one size are one entry: a large host has hundreds of thousands.
 */
export interface PageArrays {
  /** 0 for mem_map, the node's id, or the number of the first section. */
  firstId: number;
  count: number;
  /** Node whose memory holds them. */
  nodeId: number;
  startPfn: number;
  /** Frames of each. */
  pagesEach: number;
}

/** Numbers of sections, first and last included. */
export interface SectionRun {
  first: number;
  last: number;
}

export interface NodeSections {
  nodeId: number;
  /** Sections from the node's first frame to its last, with holes. */
  spannedSections: number;
  /** Sections that hold at least one frame of the node. */
  presentSections: number;
  runs: SectionRun[];
}

export interface MemmapCost {
  model: MemoryModelName;
  architecture: string;
  arrays: number;
  /** `struct page`s there are, with those of holes. */
  structPages: number;
  /** Frames that exist. */
  presentPages: number;
  /** `struct page`s without a frame behind them. */
  holePages: number;
  memmapBytes: number;
  holeBytes: number;
  /** Section entries and their roots; 0 where there are no sections. */
  tableBytes: number;
}

/** The kernel's start of the virtual memmap on x86-64 with four page table levels, not randomised. */
const VMEMMAP_START = 0xffffea0000000000n;
/** The buddy allocator needs ends at whole blocks of the largest order. */
const MAX_ORDER_NR_PAGES = 1024;

const down = (pfn: number, unit: number): number => Math.floor(pfn / unit) * unit;
const up = (pfn: number, unit: number): number => Math.ceil(pfn / unit) * unit;
const endOf = (range: { startPfn: number; pages: number }): number => range.startPfn + range.pages;
const pagesOf = (arrays: PageArrays): number => arrays.count * arrays.pagesEach;

/** Frames of a section. @kernel include/linux/mmzone.h PAGES_PER_SECTION */
export function pagesPerSection(architecture: Architecture): number {
  return 2 ** (architecture.sectionSizeBits - architecture.pageShift);
}

/** @kernel include/linux/mmzone.h pfn_to_section_nr() */
export function pfnToSection(pfn: number, architecture: Architecture): number {
  return Math.floor(pfn / pagesPerSection(architecture));
}

/**
 * The arrays of `struct page` that a model makes for these ranges, ascending.
 * @kernel mm/page_alloc.c alloc_node_mem_map(), mm/sparse.c memory_present(), sparse_init()
 * @differs DISCONTIGMEM left the kernel with 5.14; it is kept as it was: FLATMEM node by node
 */
export function pageArrays(
  model: MemoryModelName,
  ranges: MemoryRange[],
  architecture: Architecture,
): PageArrays[] {
  const ascending = ranges.filter(({ pages }) => pages > 0).sort((a, b) => a.startPfn - b.startPfn);
  if (ascending.length === 0) return [];
  if (model === 'flatmem') return [nodeMemMap(0, ascending)];
  if (model === 'discontigmem') {
    const ids = [...new Set(ascending.map(({ nodeId }) => nodeId))];
    return ids.map((id) =>
      nodeMemMap(
        id,
        ascending.filter(({ nodeId }) => nodeId === id),
      ),
    );
  }
  const pagesEach = pagesPerSection(architecture);
  return presentSections(ascending, architecture).map(({ first, last, nodeId }) => ({
    firstId: first,
    count: last - first + 1,
    nodeId,
    startPfn: first * pagesEach,
    pagesEach,
  }));
}

function nodeMemMap(firstId: number, ascending: MemoryRange[]): PageArrays {
  const startPfn = down(ascending[0]!.startPfn, MAX_ORDER_NR_PAGES);
  const endPfn = up(Math.max(...ascending.map(endOf)), MAX_ORDER_NR_PAGES);
  const { nodeId } = ascending[0]!;
  return { firstId, count: 1, nodeId, startPfn, pagesEach: endPfn - startPfn };
}

/** Sections with memory, ascending; where two nodes share one, it is the lower range's. */
function presentSections(
  ascending: MemoryRange[],
  architecture: Architecture,
): (SectionRun & { nodeId: number })[] {
  const runs: (SectionRun & { nodeId: number })[] = [];
  for (const range of ascending) {
    const { nodeId } = range;
    const last = pfnToSection(endOf(range) - 1, architecture);
    const run = runs.at(-1);
    const first = Math.max(pfnToSection(range.startPfn, architecture), (run?.last ?? -1) + 1);
    if (last < first) continue;
    if (run?.last === first - 1 && run.nodeId === nodeId) run.last = last;
    else runs.push({ first, last, nodeId });
  }
  return runs;
}

/** What a model's arrays cost, in bytes and in `struct page`s without a frame. */
export function memmapCost(
  model: MemoryModelName,
  ranges: MemoryRange[],
  architecture: Architecture,
): MemmapCost {
  const arrays = pageArrays(model, ranges, architecture);
  const structPages = arrays.reduce((sum, group) => sum + pagesOf(group), 0);
  const presentPages = ranges.reduce((sum, { pages }) => sum + pages, 0);
  const sparse = model.startsWith('sparsemem');
  return {
    model,
    architecture: architecture.name,
    arrays: arrays.reduce((sum, { count }) => sum + count, 0),
    structPages,
    presentPages,
    holePages: structPages - presentPages,
    memmapBytes: structPages * architecture.structPageBytes,
    holeBytes: (structPages - presentPages) * architecture.structPageBytes,
    tableBytes: sparse ? sectionTableBytes(arrays, architecture) : 0,
  };
}

/** Roots of one page each hold the entries of neighbouring sections. @kernel mm/sparse.c sparse_index_init() */
function sectionTableBytes(sections: PageArrays[], architecture: Architecture): number {
  const pageBytes = 2 ** architecture.pageShift;
  const perRoot = Math.floor(pageBytes / architecture.memSectionBytes);
  let roots = 0;
  let known = -1;
  for (const { firstId, count } of sections) {
    const last = Math.floor((firstId + count - 1) / perRoot);
    roots += Math.max(last - Math.max(Math.floor(firstId / perRoot), known + 1) + 1, 0);
    known = last;
  }
  return roots * pageBytes;
}

/** The sections of each node, ascending by node. */
export function nodeSections(ranges: MemoryRange[], architecture: Architecture): NodeSections[] {
  const ids = [...new Set(ranges.map(({ nodeId }) => nodeId))].sort((a, b) => a - b);
  return ids.map((id) => {
    const own = ranges
      .filter(({ nodeId, pages }) => nodeId === id && pages > 0)
      .sort((a, b) => a.startPfn - b.startPfn);
    const runs = presentSections(own, architecture).map(({ first, last }) => ({ first, last }));
    return {
      nodeId: id,
      spannedSections: runs.length === 0 ? 0 : runs.at(-1)!.last - runs[0]!.first + 1,
      presentSections: runs.reduce((sum, { first, last }) => sum + last - first + 1, 0),
      runs,
    };
  });
}

/** The place of a frame's `struct page`. */
export interface PagePlace {
  /** Id of its array: 0, a node, or a section. */
  array: number;
  /** Which `struct page` of the array. */
  index: number;
  /** Virtual address where the memmap is one range of them (vmemmap on x86-64); not randomised. */
  address?: string;
}

/**
 * From a frame to its `struct page`.
 * @returns undefined where no array has the frame (`pfn_valid()` says no)
 * @kernel include/asm-generic/memory_model.h __pfn_to_page()
 * @differs under DISCONTIGMEM a frame that two nodes span is the lower node's, whoever owns it
 */
export function pfnToPage(
  pfn: number,
  model: MemoryModelName,
  arrays: PageArrays[],
  architecture: Architecture,
): PagePlace | undefined {
  const group = arrays.find((one) => pfn >= one.startPfn && pfn < one.startPfn + pagesOf(one));
  if (group === undefined) return undefined;
  const offsetPages = pfn - group.startPfn;
  const place = {
    array: group.firstId + Math.floor(offsetPages / group.pagesEach),
    index: offsetPages % group.pagesEach,
  };
  if (model !== 'sparsemem-vmemmap' || architecture.name !== 'x86-64') return place;
  const offset = BigInt(pfn) * BigInt(architecture.structPageBytes);
  return { ...place, address: `0x${(VMEMMAP_START + offset).toString(16)}` };
}

/**
 * From a `struct page` back to its frame: the array is found in the page's flags (its node or section),
 * or by the difference of two addresses where there is one array or a virtual memmap.
 * @returns undefined where the array does not exist or is shorter
 * @kernel include/asm-generic/memory_model.h __page_to_pfn()
 */
export function pageToPfn(
  place: Pick<PagePlace, 'array' | 'index'>,
  arrays: PageArrays[],
): number | undefined {
  const group = arrays.find(
    ({ firstId, count }) => place.array >= firstId && place.array < firstId + count,
  );
  if (group === undefined || place.index < 0 || place.index >= group.pagesEach) return undefined;
  return group.startPfn + (place.array - group.firstId) * group.pagesEach + place.index;
}

/** Frames that the kernel counts for the memmap of a zone when it estimates what is left. @kernel mm/page_alloc.c calc_memmap_size() */
export function calcMemmapPages(
  spannedPages: number,
  presentPages: number,
  architecture: Architecture,
): number {
  const holes = spannedPages > presentPages + Math.floor(presentPages / 16);
  const bytes = (holes ? presentPages : spannedPages) * architecture.structPageBytes;
  return Math.ceil(bytes / 2 ** architecture.pageShift);
}
