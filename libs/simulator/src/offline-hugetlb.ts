/** Huge pages of pools in memory that goes offline: those in use are moved, free ones leave their pool. */
import { MIGRATE_MOVABLE, PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import { PAGES_PER_HUGE } from './constants';
import {
  allocFreshPages,
  dequeuePage,
  freeHugetlbPage,
  freePages,
  hstateOf,
  returnToBuddy,
  type Hstate,
  type HugetlbPage,
  type PoolMapping,
} from './hugetlb';
import { countVm, passTime, type KernelState } from './kernel-state';
import { zonesOf } from './alloc-zones';
import { allocContext } from './page-alloc';
import type { FrameRange } from './page-isolation';

/** The pool whose pages have addresses. */
function poolOf(k: KernelState): Hstate {
  return hstateOf(k, 2048)!;
}

/** Frames of a range's huge pages, ascending. */
function hugetlbFrames({ zone, from, to }: FrameRange): number[] {
  const blocks = [...zone.hugetlbBlocks].sort((a, b) => a - b);
  return blocks
    .map((block) => block << PAGEBLOCK_ORDER)
    .filter((frame) => frame >= from && frame < to);
}

/** The free page of the pool at a frame. */
function freePageAt(k: KernelState, { zone }: FrameRange, frame: number): HugetlbPage | undefined {
  const { free } = poolOf(k).nodes[zone.node.position]!;
  return free.find((page) => page.zone === zone && page.frame === frame);
}

/** Frames of a range's huge pages that somebody uses, ascending. */
export function usedHugetlbFrames(k: KernelState, range: FrameRange): number[] {
  return hugetlbFrames(range).filter((frame) => !freePageAt(k, range, frame));
}

/** Who maps the page at a frame; nobody known where a process of the host's own does. */
function userOf(
  h: Hstate,
  { zone }: FrameRange,
  frame: number,
): { mapping: PoolMapping; index: number } | undefined {
  for (const mapping of h.mappings) {
    for (const [index, page] of mapping.pages) {
      if (page.zone === zone && page.frame === frame) return { mapping, index };
    }
  }
  return undefined;
}

/**
 * Moves the huge pages of a range that are in use, each to a free page of the pool or else to a fresh one.
 * @returns base pages moved, and whether one found no place
 * @kernel mm/migrate.c migrate_hugetlbs(), mm/hugetlb.c alloc_huge_page_nodemask(), move_hugetlb_state()
 */
export function migrateHugetlbs(
  k: KernelState,
  range: FrameRange,
  nodemask: Set<number>,
): { moved: number; failed: boolean } {
  const { zone, cpu } = range;
  const h = poolOf(k);
  const ac = allocContext({
    cpu,
    preferred: zone.node,
    nodemask,
    order: h.order,
    type: MIGRATE_MOVABLE,
    retryMayFail: true,
    costNs: k.hardware.hugetlbPageNs,
  });
  let moved = 0;
  for (const frame of usedHugetlbFrames(k, range)) {
    const nodes = zonesOf(k, ac, nodemask).map(({ node }) => node);
    const pooled = freePages(h) > h.reservedPages ? firstFree(h, nodes) : undefined;
    const target = pooled ?? allocFreshPages(k, h, ac, 1)[0];
    if (!target) {
      countVm(k, 'pgmigrate_fail', PAGES_PER_HUGE);
      return { moved, failed: true };
    }
    passTime(k, k.hardware.migrateNs * PAGES_PER_HUGE, false);
    const old: HugetlbPage = { node: zone.node, zone, frame };
    const user = userOf(h, range, frame);
    if (user) {
      user.mapping.pages.set(user.index, target);
      user.mapping.pagesByNode[zone.node.position]! -= h.basePages;
      user.mapping.pagesByNode[target.node.position]! += h.basePages;
    }
    if (pooled) freeHugetlbPage(k, h, old, cpu);
    else releaseTemporary(k, h, old, target, cpu);
    countVm(k, 'pgmigrate_success', PAGES_PER_HUGE);
    moved += PAGES_PER_HUGE;
  }
  return { moved, failed: false };
}

function firstFree(h: Hstate, nodes: readonly HugetlbPage['node'][]): HugetlbPage | undefined {
  for (const node of nodes) {
    const page = dequeuePage(h, node);
    if (page) return page;
  }
  return undefined;
}

/** A fresh page takes the old one's place in the pool, which was not its pool's to keep; surplus goes with it. */
function releaseTemporary(
  k: KernelState,
  h: Hstate,
  old: HugetlbPage,
  target: HugetlbPage,
  cpu: number,
): void {
  const [before, after] = [h.nodes[old.node.position]!, h.nodes[target.node.position]!];
  if (before !== after && before.surplusPages > 0) {
    before.surplusPages -= 1;
    after.surplusPages += 1;
  }
  before.totalPages -= 1;
  returnToBuddy(k, h, old, cpu);
}

/**
 * Free huge pages of a range leave their pool, which stays smaller.
 * @returns pages that left, and whether one could not: the pool has promised all that it has free
 * @kernel mm/hugetlb.c dissolve_free_huge_pages()
 */
export function dissolveFreeHugePages(
  k: KernelState,
  range: FrameRange,
): { dissolved: number; failed: boolean } {
  const { zone, cpu } = range;
  const h = poolOf(k);
  let dissolved = 0;
  for (const frame of hugetlbFrames(range)) {
    const page = freePageAt(k, range, frame);
    if (!page || freePages(h) <= h.reservedPages) return { dissolved, failed: true };
    const own = h.nodes[zone.node.position]!;
    own.free.splice(own.free.indexOf(page), 1);
    own.totalPages -= 1;
    h.maxPages -= 1;
    returnToBuddy(k, h, page, cpu);
    dissolved += h.basePages / PAGEBLOCK_PAGES;
  }
  return { dissolved, failed: false };
}
