/** Page cache: reading, writing and mapping files. */
import { PAGES_PER_HUGE } from './constants';
import { countVm, passTime, type CachedFile, type KernelState } from './kernel-state';
import { growBufferHeads, growTree } from './cache-slab';
import { balanceDirtyPages, dirtyCached, noteDirtied } from './flusher';
import type { KernelCaller } from './kernel-block';
import {
  LRU_ACTIVE_FILE,
  LRU_INACTIVE_FILE,
  accountRun,
  lruList,
  plainRun,
  spanOf,
  type Run,
} from './lru';
import { allocByPolicy, allocInterleaved, interleaveNodes, type PolicyContext } from './mempolicy';
import { ageNonresident, lruvecOf } from './lruvec';
import { flushMemcgStats } from './memcg-stats';
import { pagesBeforeReclaim, type MemoryGroup } from './memcg';
import { answerForHigh, chargeSegment } from './memcg-charge';
import type { Segment } from './page-alloc';
import { newMapping, type Mapping } from './page-map';
import { ascending } from './run-order';
import { workingsetRefault } from './workingset';
import { updateVmstat } from './vmstat-work';

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
    updateVmstat(k);
    flushMemcgStats(k);
    const have = present.get(block);
    const hit = length === PAGES_PER_HUGE ? have : Math.min(have, length);
    const extent = hit > 0 ? cachedExtent(file, at, hitEnd(k, at, end), until) : until;
    if (hit > 0) markAccessed(k, file.mapping, at, extent);
    if (hit > 0 && access.write) dirtyCached(k, file.mapping, at, extent);
    const missing = Math.min(length - hit, PAGES_PER_HUGE - have);
    const done = addToCache(k, file, block, missing, access);
    if (done < missing) return at - offset + hit + done;
    const hits = hit === length ? extent - at : hit;
    passTime(k, hits * k.hardware.cacheHitNs + done * k.hardware.cacheReadNs, false);
    if (access.write) balanceDirtyPages(k, access.pc.group);
    at = hit === length ? extent : until;
  }
  return pages;
}

/** Where a read of cached pages is when the lists are counted next: it goes no further before that. */
function hitEnd(k: KernelState, at: number, end: number): number {
  const { cacheHitNs } = k.hardware;
  if (k.statsFlushNs === Infinity || cacheHitNs === 0) return end;
  const pages = Math.ceil((k.statsFlushNs - k.timeNs) / cacheHitNs);
  return Math.min(end, at + Math.max(pages, 1));
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
export function markAccessed(k: KernelState, mapping: Mapping, from: number, to: number): void {
  const runs = [...mapping.runs]
    .filter((run) => run.offset < to && run.offset + spanOf(run) > from)
    .sort((a, b) => a.offset - b.offset);
  const seen = new Map<MemoryGroup | undefined, Run[]>();
  for (const run of runs) {
    const list = run.list!;
    if (list.index === LRU_ACTIVE_FILE) {
      if (!run.referenced) markReferenced(run, from, to);
      continue;
    }
    if (list.index !== LRU_INACTIVE_FILE) continue;
    if (!run.referenced) {
      markReferenced(run, from, to);
      continue;
    }
    const part = list.cut(run, from, to);
    if (!part) continue;
    const others = seen.get(list.group);
    if (others) others.push(part);
    else seen.set(list.group, [part]);
  }
  for (const [group, parts] of seen) {
    for (const part of ascending(parts, ({ zone }) => zone.node)) {
      const { node } = part.zone;
      const lruvec = lruvecOf(node, group);
      part.referenced = false;
      ageNonresident(node, lruvec, part.pages);
      countVm(k, 'pgactivate', part.pages);
      lruvec.lists[LRU_ACTIVE_FILE]!.push(part);
    }
  }
}

/** Sets PG_referenced where a run stands, on the part that was looked at. */
function markReferenced(run: Run, from: number, to: number): void {
  const part = run.list!.isolatePart(run, from, to);
  if (part) part.referenced = true;
}

function addToCache(
  k: KernelState,
  file: CachedFile,
  block: number,
  missing: number,
  access: CacheAccess,
): number {
  const { pc } = access;
  const slabCaller = callerOf(pc);
  let done = 0;
  while (done < missing) {
    const want = pagesBeforeReclaim(k, pc.group, pc.cpu, missing - done);
    const segment = allocCache(k, pc, want, block * PAGES_PER_HUGE + done);
    if (!segment || !chargeSegment(k, pc, segment)) return done;
    const known = file.mapping.evicted?.has(block) ?? false;
    placeCache(k, file, block, segment, access);
    growTree(k, file, known ? 0 : segment.pages, slabCaller);
    if (access.write) growBufferHeads(k, file.mapping, segment.pages, slabCaller);
    done += segment.pages;
    answerForHigh(k, pc);
    if (k.current.killed) return done;
  }
  return done;
}

/** The same task, as its kernel memory is asked for. */
export function callerOf(pc: PolicyContext): KernelCaller {
  const { cpu, policy, cpusetList, guest, group } = pc;
  return {
    cpu,
    policy,
    ...(cpusetList && { cpusetList }),
    ...(guest && { guest }),
    ...(group && { group }),
  };
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

function placeCache(
  k: KernelState,
  file: CachedFile,
  block: number,
  segment: Segment,
  { write: dirty, pc }: CacheAccess,
): void {
  const { zone, pages } = segment;
  const { node } = zone;
  const present = file.mapping.present!;
  const lruvec = lruvecOf(node, pc.group);
  const shadow = workingsetRefault(k, file.mapping, block, pages, lruvec);
  for (const { frame, count, step } of segment.runs) {
    const offset = block * PAGES_PER_HUGE + present.get(block);
    const run = plainRun(file.mapping, zone, count, frame, step, offset);
    // The read itself marks the page once; an activated refault starts without the mark.
    run.referenced = !shadow.activate;
    run.workingset = shadow.workingset;
    run.dirty = dirty;
    present.set(block, present.get(block) + count);
    accountRun(run, 1);
    lruList(lruvec, run, shadow.activate).push(run);
  }
  if (dirty) noteDirtied(k, file.mapping, pages);
}

/** Sets or clears "mapped and touched" for a whole file (a process maps it, or ends). */
export function setMapped(file: CachedFile, mapped: boolean): void {
  for (const run of file.mapping.runs) {
    if (run.mapped === mapped) continue;
    run.mapped = mapped;
    run.young = mapped;
    run.zone.node.mappedPages += mapped ? run.pages : -run.pages;
  }
}
