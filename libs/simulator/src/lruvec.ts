/** LRU lists by node and memory cgroup (`struct lruvec`): each reclaims and ages by itself. */
import { SWAP_CLUSTER_MAX } from './constants';
import type { KernelState } from './kernel-state';
import {
  Lru,
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  NR_LRU_LISTS,
} from './lru';
import type { MemoryGroup } from './memcg';
import type { NodeState } from './zone';

/** The lists that reclaim takes pages from. */
export const EVICTABLE_LISTS: readonly number[] = [
  LRU_INACTIVE_ANON,
  LRU_ACTIVE_ANON,
  LRU_INACTIVE_FILE,
  LRU_ACTIVE_FILE,
];

/** The counts of one lruvec when they were added up last. */
export interface FlushedStats {
  /** Pages by list, for the lists that reclaim takes pages from. */
  pages: number[];
  /** Refault activations, anon and file. */
  refaults: [number, number];
}

/**
 * The lists of one node for the pages of one group, and what reclaim remembers of them. A node's own are
 * those of pages that no group is charged for; its ages, costs and refaults count those of the groups too.
 */
export interface Lruvec {
  group?: MemoryGroup;
  lists: Lru[];
  /** Evictions and activations so far, by which the age of a shadow is told. */
  nonresidentAge: number;
  anonCost: number;
  fileCost: number;
  /** Refault activations, anon and file, and how many of them the last reclaim saw. */
  refaults: [number, number];
  refaultsSeen: [number, number];
  /** What reclaim knows of all this where it does not count; absent: it knows the present state. */
  flushed?: FlushedStats;
}

export function newLruvec(group?: MemoryGroup): Lruvec {
  return {
    group,
    lists: Array.from({ length: NR_LRU_LISTS }, (_, index) => new Lru(index, group)),
    nonresidentAge: 0,
    anonCost: 0,
    fileCost: 0,
    refaults: [0, 0],
    refaultsSeen: [0, 0],
    flushed: undefined,
  };
}

/** @kernel include/linux/memcontrol.h mem_cgroup_lruvec() */
export function lruvecOf(node: NodeState, group: MemoryGroup | undefined): Lruvec {
  return group ? group.lruvecs[node.position]! : node;
}

/** All of a node, its own first, then the groups' in the order in which they were made. @kernel mm/memcontrol.c mem_cgroup_iter() */
export function lruvecsOf(node: NodeState): Lruvec[] {
  return [node, ...node.groupLruvecs];
}

/** Pages on a list; the node's own counts the groups' too. @kernel include/linux/memcontrol.h lruvec_page_state() */
export function listPages(lruvec: Lruvec, list: number): number {
  let pages = lruvec.lists[list]!.pages;
  if (isNode(lruvec)) for (const below of lruvec.groupLruvecs) pages += below.lists[list]!.pages;
  return pages;
}

/** Pages on a list as the decisions of reclaim see them. @kernel mm/memcontrol.c lruvec_page_state() */
export function statPages(lruvec: Lruvec, list: number): number {
  return lruvec.flushed?.pages[list] ?? listPages(lruvec, list);
}

/** Refault activations as the decisions of reclaim see them. @kernel mm/memcontrol.c lruvec_page_state() */
export function statRefaults({ flushed, refaults }: Lruvec): [number, number] {
  return [...(flushed?.refaults ?? refaults)];
}

/**
 * Pages on a list that lie in zones up to a class, without those of groups below.
 * @kernel mm/vmscan.c lruvec_lru_size()
 */
export function listPagesInClass(
  node: NodeState,
  lruvec: Lruvec,
  list: number,
  classIndex: number,
): number {
  let pages = 0;
  for (const { index, lruPages } of node.zones) {
    if (index > classIndex) continue;
    if (lruvec !== node) {
      pages += lruvec.lists[list]!.zonePages[index]!;
      continue;
    }
    pages += lruPages[list]!;
    for (const below of node.groupLruvecs) pages -= below.lists[list]!.zonePages[index]!;
  }
  return pages;
}

/** @kernel mm/workingset.c workingset_age_nonresident() */
export function ageNonresident(node: NodeState, lruvec: Lruvec, pages: number): void {
  lruvec.nonresidentAge += pages;
  if (lruvec !== node) node.nonresidentAge += pages;
}

/** Refaults that were found to belong to the working set. @param type 0 anonymous, 1 file */
export function noteRefaults(node: NodeState, lruvec: Lruvec, type: 0 | 1, pages: number): void {
  lruvec.refaults[type] += pages;
  if (lruvec !== node) node.refaults[type] += pages;
}

/**
 * Books what keeping or bringing back pages of a kind has cost, by which the kinds are weighed.
 * @param ioPages pages written or read
 * @param rotatedPages pages that were looked at and stayed; they count from 6.2 on
 * @kernel mm/swap.c lru_note_cost()
 */
export function noteCost(
  k: KernelState,
  node: NodeState,
  lruvec: Lruvec,
  type: 'anon' | 'file',
  ioPages: number,
  rotatedPages: number,
): void {
  const rotations = k.profile.lruCost === 'io-and-rotations';
  const cost = rotations ? ioPages * SWAP_CLUSTER_MAX + rotatedPages : ioPages;
  if (lruvec !== node) addCost(lruvec, type, cost);
  addCost(node, type, cost);
}

function addCost(level: Lruvec, type: 'anon' | 'file', cost: number): void {
  if (type === 'anon') level.anonCost += cost;
  else level.fileCost += cost;
  let lruPages = 0;
  for (const list of EVICTABLE_LISTS) lruPages += statPages(level, list);
  if (level.anonCost + level.fileCost <= Math.floor(lruPages / 4)) return;
  level.anonCost = Math.floor(level.anonCost / 2);
  level.fileCost = Math.floor(level.fileCost / 2);
}

function isNode(lruvec: Lruvec): lruvec is NodeState {
  return lruvec.group === undefined;
}
