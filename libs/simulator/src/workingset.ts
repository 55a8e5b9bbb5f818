/** Shadows of evicted pages: what was just thrown out and is read again belongs to the working set. */
import { PAGES_PER_HUGE } from './constants';
import { countVm, type KernelState } from './kernel-state';
import {
  LRU_ACTIVE_ANON,
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_ANON,
  LRU_INACTIVE_FILE,
  spanOf,
  type Run,
} from './lru';
import { ageNonresident, statPages, lruvecOf, noteCost, noteRefaults, type Lruvec } from './lruvec';
import type { Mapping, Shadow } from './page-map';
import { canSwap } from './swap';
import type { NodeState } from './zone';

/** What a page that comes back is marked with. */
export interface Refault {
  activate: boolean;
  workingset: boolean;
}

/**
 * Leaves a shadow behind for a run that is freed, so that a later read knows how long ago its pages left.
 * @param lruvec at whose level reclaim works: that of the group under its limit, or the node
 * @param owner whose pages they are; for a page of a swap cache the process
 * @kernel mm/workingset.c workingset_eviction()
 */
export function workingsetEviction(
  node: NodeState,
  lruvec: Lruvec,
  run: Run,
  owner: Mapping,
): void {
  ageNonresident(node, lruvec, run.pages);
  if (!owner.evicted) return;
  // In a swap cache offsets may descend.
  const { offset, workingset } = run;
  const end = offset + spanOf(run) - run.stride;
  const first = Math.floor(Math.min(offset, end) / PAGES_PER_HUGE);
  const last = Math.floor(Math.max(offset, end) / PAGES_PER_HUGE);
  const { nonresidentAge: age, group } = lruvec;
  for (let block = first; block <= last; block += 1) {
    const shadow: Shadow = { nodePosition: node.position, age, workingset };
    if (group) shadow.group = group;
    owner.evicted.set(block, shadow);
  }
}

/**
 * Pages of a block are read again.
 * @param lruvec that they join
 * @kernel mm/workingset.c workingset_refault()
 */
export function workingsetRefault(
  k: KernelState,
  { kind, evicted }: Mapping,
  block: number,
  pages: number,
  lruvec: Lruvec,
): Refault {
  const shadow = evicted?.get(block);
  if (!shadow) return { activate: false, workingset: false };
  const file = kind === 'file';
  const node = k.nodes[shadow.nodePosition]!;
  countVm(k, file ? 'workingset_refault_file' : 'workingset_refault_anon', pages);
  const evictedFrom = lruvecOf(node, shadow.group);
  let workingset = statPages(evictedFrom, LRU_ACTIVE_FILE);
  if (!file) workingset += statPages(evictedFrom, LRU_INACTIVE_FILE);
  if (canSwap(k, lruvec.group)) {
    workingset += statPages(evictedFrom, LRU_ACTIVE_ANON);
    if (file) workingset += statPages(evictedFrom, LRU_INACTIVE_ANON);
  }
  const activate = evictedFrom.nonresidentAge - shadow.age <= workingset;
  if (activate) {
    noteRefaults(node, lruvec, file ? 1 : 0, pages);
    ageNonresident(node, lruvec, pages);
    countVm(k, file ? 'workingset_activate_file' : 'workingset_activate_anon', pages);
    if (shadow.workingset) {
      noteCost(k, node, lruvec, kind, pages, 0);
      countVm(k, file ? 'workingset_restore_file' : 'workingset_restore_anon', pages);
    }
  }
  return { activate, workingset: activate && shadow.workingset };
}
