/** Page cache: reading, writing and mapping files. */
import { PAGES_PER_HUGE } from './constants';
import { countVm, passTime, type CachedFile, type KernelState } from './kernel-state';
import { LRU_INACTIVE_FILE, accountRun, lruList, type Run } from './lru';
import { allocByPolicy, allocInterleaved, interleaveNodes, type PolicyContext } from './mempolicy';
import { allocKernelPage, type Segment } from './page-alloc';
import { newMapping } from './page-map';
import { noteFileCost } from './vmscan';

/** File pages per slab page of the page cache's own tree (64 per node, 7 nodes per page). */
const FILE_PAGES_PER_SLAB_PAGE = 448;
/** Written pages per slab page of their buffer heads (104 bytes each). */
const WRITTEN_PAGES_PER_SLAB_PAGE = 39;

export function openFile(k: KernelState, name: string): CachedFile {
  let file = k.files.get(name);
  if (!file) {
    file = { mapping: newMapping('file', name, k.nodes.length, true) };
    k.files.set(name, file);
  }
  return file;
}

/** How the pages are used. */
export interface CacheAccess {
  write: boolean;
  pc: PolicyContext;
}

/**
 * Reads (or writes) [offset, offset + pages) of a file once.
 * @returns pages done; fewer when the reader was killed
 */
export function readFile(
  k: KernelState,
  file: CachedFile,
  offset: number,
  pages: number,
  access: CacheAccess,
): number {
  const end = offset + pages;
  const present = file.mapping.present!;
  let at = offset;
  while (at < end) {
    const block = Math.floor(at / PAGES_PER_HUGE);
    const until = Math.min((block + 1) * PAGES_PER_HUGE, end);
    const length = until - at;
    const have = present.get(block);
    const hit = length === PAGES_PER_HUGE ? have : Math.min(have, length);
    if (hit > 0) markAccessed(k, file, at, cachedExtent(file, at, end, until));
    const missing = Math.min(length - hit, PAGES_PER_HUGE - have);
    const done = addToCache(k, file, block, missing, access);
    if (done < missing) return at - offset + hit + done;
    passTime(k, length * k.hardware.cacheReadNs, false);
    at = hit === length ? cachedExtent(file, at, end, until) : until;
  }
  return pages;
}

/** End of the wholly cached blocks from `at` on: they are marked in one walk. */
function cachedExtent(file: CachedFile, at: number, end: number, until: number): number {
  let extent = until;
  while (extent < end && file.mapping.present!.get(extent / PAGES_PER_HUGE) === PAGES_PER_HUGE) {
    extent = Math.min(extent + PAGES_PER_HUGE, end);
  }
  return extent;
}

/**
 * A second look makes a referenced inactive page active.
 * @kernel mm/swap.c folio_mark_accessed()
 */
function markAccessed(k: KernelState, file: CachedFile, from: number, to: number): void {
  for (const node of k.nodes) {
    const list = node.lists[LRU_INACTIVE_FILE]!;
    const inRange = (run: Run): number => {
      if (run.owner !== file.mapping) return 0;
      const start = Math.max(run.offset, from);
      const stop = Math.min(run.offset + run.span, to);
      if (stop <= start) return 0;
      return Math.floor((run.pages * (stop - start)) / run.span);
    };
    for (const run of list.remove(inRange)) {
      if (!run.referenced) {
        run.referenced = true;
        list.push(run);
        continue;
      }
      run.referenced = false;
      node.nonresidentAge += run.pages;
      countVm(k, 'pgactivate', run.pages);
      lruList(node, run, true).push(run);
    }
  }
}

function addToCache(
  k: KernelState,
  file: CachedFile,
  block: number,
  missing: number,
  access: CacheAccess,
): number {
  const { pc } = access;
  const present = file.mapping.present!;
  let done = 0;
  while (done < missing) {
    const segment = allocCache(k, pc, missing - done, block * PAGES_PER_HUGE + done);
    if (!segment) return done;
    placeCache(k, file, block, segment, access.write);
    present.set(block, present.get(block) + segment.pages);
    if (access.write) file.writtenPages = (file.writtenPages ?? 0) + segment.pages;
    growTree(k, file, pc);
    done += segment.pages;
  }
  return done;
}

function allocCache(
  k: KernelState,
  pc: PolicyContext,
  want: number,
  offset: number,
): Segment | undefined {
  if (pc.policy.mode !== 'interleave') return allocByPolicy(k, pc, want);
  const nodes = interleaveNodes(k, pc);
  return allocInterleaved(k, pc, nodes[offset % nodes.length]!, 1);
}

/**
 * The tree that finds cached pages grows with the file, and written pages get buffer heads.
 * @differs neither shrinks when pages leave
 */
function growTree(k: KernelState, file: CachedFile, pc: PolicyContext): void {
  const grown = file.mapping.present!.total;
  const wanted =
    Math.floor(grown / FILE_PAGES_PER_SLAB_PAGE) +
    Math.floor((file.writtenPages ?? 0) / WRITTEN_PAGES_PER_SLAB_PAGE);
  const slab = (file.slabPages ??= []);
  while (slab.length < wanted) {
    const zone = allocKernelPage(k, pc.cpu, k.cpus[pc.cpu]!.node, pc.guest);
    if (!zone) return;
    zone.node.slabReclaimable += 1;
    slab.push(zone);
  }
}

function placeCache(
  k: KernelState,
  file: CachedFile,
  block: number,
  segment: Segment,
  dirty: boolean,
): void {
  const { zone, pages } = segment;
  const { node } = zone;
  const shadow = refault(k, file, block, pages);
  const run: Run = {
    owner: file.mapping,
    zone,
    pages,
    offset: block * PAGES_PER_HUGE + file.mapping.present!.get(block),
    span: pages,
    mapped: false,
    young: false,
    // The read itself marks the page once; an activated refault starts without the mark.
    referenced: !shadow.activate,
    workingset: shadow.workingset,
    dirty,
    huge: false,
  };
  accountRun(run, 1);
  if (dirty) countVm(k, 'nr_dirtied', pages);
  lruList(node, run, shadow.activate).push(run);
}

/** @kernel mm/workingset.c workingset_refault() */
function refault(
  k: KernelState,
  file: CachedFile,
  block: number,
  pages: number,
): { activate: boolean; workingset: boolean } {
  const shadow = file.mapping.evicted?.get(block);
  if (!shadow) return { activate: false, workingset: false };
  const node = k.nodes[shadow.nodePosition]!;
  countVm(k, 'workingset_refault_file', pages);
  const sizes = node.lists.map((list) => list.pages);
  const workingset = sizes[3]! + (k.swap.freePages > 0 ? sizes[0]! + sizes[1]! : 0);
  const activate = node.nonresidentAge - shadow.age <= workingset;
  if (activate) {
    node.refaults[1] += pages;
    node.nonresidentAge += pages;
    countVm(k, 'workingset_activate_file', pages);
    if (shadow.workingset) {
      noteFileCost(node, pages);
      countVm(k, 'workingset_restore_file', pages);
    }
  }
  return { activate, workingset: activate && shadow.workingset };
}

/** Sets or clears "mapped and touched" for a whole file (a process maps it, or ends). */
export function setMapped(k: KernelState, file: CachedFile, mapped: boolean): void {
  for (const node of k.nodes) {
    for (const list of node.lists) {
      for (const run of list.runs()) {
        if (run.owner !== file.mapping || run.mapped === mapped) continue;
        run.mapped = mapped;
        run.young = mapped;
        node.mappedPages += mapped ? run.pages : -run.pages;
      }
    }
  }
}

/** Writes dirty file pages back until at most `keep` are left, oldest first. */
export function writeBackDirty(k: KernelState, keep: number): void {
  let dirty = k.nodes.reduce((sum, node) => sum + node.dirtyPages, 0);
  for (const node of k.nodes) {
    for (const list of node.lists) {
      for (const run of list.runs()) {
        if (dirty <= keep) return;
        if (!run.dirty || run.owner.kind !== 'file') continue;
        run.dirty = false;
        dirty -= run.pages;
        node.dirtyPages -= run.pages;
        countVm(k, 'nr_written', run.pages);
        passTime(k, run.pages * k.hardware.pageoutNs, false);
      }
    }
  }
}

/** Pages of dirty cache at which the flushers start. @kernel mm/page-writeback.c domain_dirty_limits() */
export function dirtyBackgroundThresh(k: KernelState): number {
  let dirtyable = 0;
  for (const zone of k.zones) {
    const reserve = Math.min(zone.managed, zone.high + Math.max(...zone.protection, 0));
    dirtyable += Math.max(zone.free - reserve, 0) + zone.lruPages[2]! + zone.lruPages[3]!;
  }
  const share = (ratio: number): number =>
    Math.floor((Math.floor((ratio * 4096) / 100) * dirtyable) / 4096);
  const thresh = share(k.sysctl.dirty_ratio);
  const background = share(k.sysctl.dirty_background_ratio);
  return background >= thresh ? Math.floor(thresh / 2) : background;
}
