/** Pools of hugetlb pages: what they count, how a page enters and leaves them. */
import { MAX_ORDER, PAGEBLOCK_ORDER } from './buddy';
import { allocContigPages, freeContigRange } from './alloc-contig';
import { PAGE_KIB, PAGES_PER_HUGE } from './constants';
import { freeBlock } from './free-run';
import { countVm, passTime, type KernelState } from './kernel-state';
import { allocPages, type AllocContext } from './page-alloc';
import type { HostModel, HugepagePool } from './types';
import type { NodeState, Zone } from './zone';

/** A page of a pool; without a zone it is one of the host's whose address is not known. */
export interface HugetlbPage {
  node: NodeState;
  zone?: Zone;
  frame: number;
}

/** One node's part of a pool. */
export interface HugetlbNode {
  /** Pages that exist, surplus among them, and how many of them are surplus. */
  totalPages: number;
  surplusPages: number;
  /** Pages that nobody uses; the next one to be taken is the last. */
  free: HugetlbPage[];
}

/** Pages of one size, on all nodes (`struct hstate`). */
export interface Hstate {
  sizeKib: number;
  /** Base pages of one page, and their order. */
  basePages: number;
  order: number;
  /** By node position. */
  nodes: HugetlbNode[];
  reservedPages: number;
  overcommitPages: number;
  /** What was asked for last, as far as it was obtained. */
  maxPages: number;
  /** Node positions at which growing and shrinking go on. */
  nextToAlloc: number;
  nextToFree: number;
  /** Everything that maps its pages. */
  mappings: Set<PoolMapping>;
}

/** What maps pages of a pool: by index, and base pages by node position. */
export interface PoolMapping {
  pages: Map<number, HugetlbPage>;
  pagesByNode: number[];
}

/** Sizes that x86-64 has pools for. */
export const HUGETLB_SIZES_KIB = [2048, 1_048_576] as const;

/** Pools as the host has them; pages in use and free ones get their addresses from `placePoolPage()`. */
export function buildHstates(host: HostModel, nodes: readonly NodeState[]): Hstate[] {
  const first = Math.max(
    nodes.findIndex((node) => node.zones.length > 0),
    0,
  );
  return HUGETLB_SIZES_KIB.map((sizeKib) => {
    const basePages = sizeKib / PAGE_KIB;
    const h: Hstate = {
      sizeKib,
      basePages,
      order: Math.log2(basePages),
      nodes: nodes.map(() => ({ totalPages: 0, surplusPages: 0, free: [] })),
      reservedPages: 0,
      overcommitPages: 0,
      maxPages: 0,
      nextToAlloc: first,
      nextToFree: first,
      mappings: new Set(),
    };
    for (const node of nodes) {
      const { hugepages } = host.nodes.find(({ nodeId }) => nodeId === node.id)!;
      const pool = hugepages.find((candidate) => candidate.sizeKib === sizeKib);
      const own = h.nodes[node.position]!;
      own.totalPages = pool?.totalPages ?? 0;
      own.surplusPages = pool?.surplusPages ?? 0;
      const free = Math.min(pool?.freePages ?? 0, own.totalPages);
      own.free = Array.from({ length: free }, () => ({ node, frame: -1 }));
    }
    h.maxPages = persistentPages(h);
    return h;
  });
}

/** The pool of a size; undefined for one that x86-64 does not have. */
export function hstateOf(k: KernelState, sizeKib: number): Hstate | undefined {
  return k.hugetlb.find((h) => h.sizeKib === sizeKib);
}

/** Too large for the buddy allocator: such a page needs a range of its own. */
export function isGigantic(h: Hstate): boolean {
  return h.order >= MAX_ORDER;
}

export function totalPages(h: Hstate): number {
  return h.nodes.reduce((sum, node) => sum + node.totalPages, 0);
}

export function freePages(h: Hstate): number {
  return h.nodes.reduce((sum, { free }) => sum + free.length, 0);
}

export function surplusPages(h: Hstate): number {
  return h.nodes.reduce((sum, node) => sum + node.surplusPages, 0);
}

export function persistentPages(h: Hstate): number {
  return totalPages(h) - surplusPages(h);
}

/** A node's pools as the host's files print them; sizes without pages are left out. */
export function poolsOf(k: KernelState, node: NodeState): HugepagePool[] {
  return k.hugetlb.flatMap(({ sizeKib, nodes }) => {
    const { totalPages: total, surplusPages: surplus, free } = nodes[node.position]!;
    if (total === 0) return [];
    return [{ sizeKib, totalPages: total, freePages: free.length, surplusPages: surplus }];
  });
}

/**
 * Takes pages for a pool from the buddy allocator; they belong to the pool from then on, and are in nobody's use.
 * @param ac a request for one page
 * @param want most pages, one after the other
 * @returns the pages; none when the request fails
 * @kernel mm/hugetlb.c alloc_buddy_huge_page(), prep_new_huge_page()
 */
export function allocFreshPages(
  k: KernelState,
  h: Hstate,
  ac: AllocContext,
  want: number,
): HugetlbPage[] {
  const segment = allocPages(k, ac, want);
  if (!segment) {
    countVm(k, 'htlb_buddy_alloc_fail');
    return [];
  }
  const { zone } = segment;
  const pages = segment.runs.flatMap(({ frame, count, step }) =>
    Array.from({ length: count }, (_, i) => frame + step * i * h.basePages),
  );
  zone.kernelPages += segment.pages;
  h.nodes[zone.node.position]!.totalPages += pages.length;
  countVm(k, 'htlb_buddy_alloc_success', pages.length);
  return pages.map((frame) => {
    zone.hugetlbBlocks.add(frame >>> PAGEBLOCK_ORDER);
    return { node: zone.node, zone, frame };
  });
}

/** A page that was found for a pool's page of the host's own. */
export function placePoolPage(page: HugetlbPage, zone: Zone, frame: number, pages: number): void {
  page.zone = zone;
  page.frame = frame;
  zone.kernelPages += pages;
  zone.hugetlbBlocks.add(frame >>> PAGEBLOCK_ORDER);
}

/**
 * A page that is too large for the buddy allocator, from a range of a node that can be emptied.
 * @kernel mm/hugetlb.c alloc_gigantic_page(), prep_compound_gigantic_page()
 */
export function allocGiganticPage(
  k: KernelState,
  h: Hstate,
  node: NodeState,
  cpu: number,
): HugetlbPage | undefined {
  const place = allocContigPages(k, node, cpu, h.basePages);
  if (!place) return undefined;
  place.zone.giganticFrames.add(place.frame);
  h.nodes[node.position]!.totalPages += 1;
  passTime(k, (k.hardware.hugetlbPageNs * h.basePages) / PAGES_PER_HUGE, false);
  return { node, ...place };
}

/** The page leaves its pool. @kernel mm/hugetlb.c __update_and_free_page() */
export function returnToBuddy(k: KernelState, h: Hstate, page: HugetlbPage, cpu: number): void {
  const { zone, frame } = page;
  if (!zone) return;
  if (isGigantic(h)) {
    zone.giganticFrames.delete(frame);
    return freeContigRange(k, zone, cpu, frame, h.basePages);
  }
  zone.hugetlbBlocks.delete(frame >>> PAGEBLOCK_ORDER);
  freeBlock(k, zone, cpu, frame, h.order);
}

/**
 * Nobody uses a page any more: surplus goes back to the buddy allocator, the rest to the head of its node's list.
 * @kernel mm/hugetlb.c free_huge_page(), enqueue_huge_page()
 */
export function freeHugetlbPage(k: KernelState, h: Hstate, page: HugetlbPage, cpu: number): void {
  const own = h.nodes[page.node.position]!;
  if (own.surplusPages === 0) {
    own.free.push(page);
    return;
  }
  own.surplusPages -= 1;
  own.totalPages -= 1;
  returnToBuddy(k, h, page, cpu);
}

/** The page that was freed last on a node. @kernel mm/hugetlb.c dequeue_huge_page_node_exact() */
export function dequeuePage(h: Hstate, node: NodeState): HugetlbPage | undefined {
  return h.nodes[node.position]!.free.pop();
}

/**
 * A page beyond the pool's size, as far as overcommit allows.
 * @kernel mm/hugetlb.c alloc_surplus_huge_page()
 */
export function allocSurplusPage(
  k: KernelState,
  h: Hstate,
  ac: AllocContext,
): HugetlbPage | undefined {
  if (isGigantic(h) || surplusPages(h) >= h.overcommitPages) return undefined;
  const page = allocFreshPages(k, h, ac, 1)[0];
  if (page) h.nodes[page.node.position]!.surplusPages += 1;
  return page;
}

/**
 * Takes a free page out of the pool, node by node in turn.
 * @param allowed node positions, ascending
 * @param surplus only nodes that have surplus; the page counts as such
 * @kernel mm/hugetlb.c remove_pool_huge_page()
 */
export function removePoolPage(
  h: Hstate,
  allowed: readonly number[],
  surplus: boolean,
): HugetlbPage | undefined {
  for (let tries = 0; tries < allowed.length; tries += 1) {
    const own = h.nodes[nextToFree(h, allowed)]!;
    if ((surplus && own.surplusPages === 0) || own.free.length === 0) continue;
    own.totalPages -= 1;
    if (surplus) own.surplusPages -= 1;
    return own.free.pop();
  }
  return undefined;
}

/** The first allowed position behind one, around the end. @kernel mm/hugetlb.c next_node_allowed() */
function nextAllowed(position: number, allowed: readonly number[]): number {
  return allowed.find((candidate) => candidate > position) ?? allowed[0]!;
}

function validAllowed(position: number, allowed: readonly number[]): number {
  return allowed.includes(position) ? position : nextAllowed(position, allowed);
}

/** @kernel mm/hugetlb.c hstate_next_node_to_alloc() */
export function nextToAlloc(h: Hstate, allowed: readonly number[]): number {
  const position = validAllowed(h.nextToAlloc, allowed);
  h.nextToAlloc = nextAllowed(position, allowed);
  return position;
}

/** @kernel mm/hugetlb.c hstate_next_node_to_free() */
export function nextToFree(h: Hstate, allowed: readonly number[]): number {
  const position = validAllowed(h.nextToFree, allowed);
  h.nextToFree = nextAllowed(position, allowed);
  return position;
}

/** Positions of nodes that have memory (`node_states[N_MEMORY]`). */
export function memoryNodes(k: KernelState): number[] {
  return k.nodes.filter((node) => node.zones.length > 0).map(({ position }) => position);
}
