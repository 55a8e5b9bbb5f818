/** Guests touching their memory: faults by 2 MiB block, huge pages first where they are allowed. */
import { PAGEBLOCK_ORDER } from './buddy';
import { PAGES_PER_HUGE } from './constants';
import { countVm, isStalled, passTime, type GuestState, type KernelState } from './kernel-state';
import { accountRun, lruList, LRU_UNEVICTABLE, partOf, plainRun, type Run } from './lru';
import { allocTurns, eachTurnPiece, type Turns } from './interleave';
import { allocByPolicy, allocHuge, madeFor, type PolicyContext } from './mempolicy';
import { exitGuest } from './guest-exit';
import { touchHugetlb } from './hugetlb-fault';
import { allocKernelBlock, freeKernelBlocks, guestCaller, kernelContext } from './kernel-block';
import { lruvecOf } from './lruvec';
import { pagesBeforeReclaim } from './memcg';
import { flushMemcgStats } from './memcg-stats';
import {
  answerForHigh,
  chargeHuge,
  chargeKernel,
  chargeSegment,
  freeUnused,
  type ChargeEffort,
} from './memcg-charge';
import type { Segment } from './page-alloc';
import type { Mapping } from './page-map';
import { noteSpill } from './spill';
import { freeSwapCache, swapFullPages } from './swap';
import { thpMode, type ThpMode } from './thp';
import type { RegionSpec } from './types';
import { updateVmstat } from './vmstat-work';
import { workingsetRefault } from './workingset';
import type { Zone } from './zone';

export interface TouchTarget {
  guest: GuestState;
  region: RegionSpec;
  mapping: Mapping;
  index: number;
  /** The touch only reads. */
  readOnly?: boolean;
  /** CPUs of the threads that touch it; absent: the region's. */
  cpus?: readonly number[];
}

export function policyContext(
  k: KernelState,
  guest: GuestState,
  region: RegionSpec,
  cpu: number,
): PolicyContext {
  return {
    policy: region.policy,
    cpu,
    cpusetMems: region.cpusetMems ? new Set(region.cpusetMems) : null,
    cpusetList: region.cpusetMems,
    guest,
    group: guest.group,
    write: false,
    cache: false,
    costNs: k.hardware.faultNs,
    remoteCostNs: k.hardware.remoteFaultNs,
    made: undefined,
  };
}

/**
 * Touches [offset, offset + pages) of a region in ascending order.
 * @returns pages touched before the guest was killed or guests had waited too long, else all of them
 */
export function touchRange(
  k: KernelState,
  target: TouchTarget,
  offset: number,
  pages: number,
): number {
  const end = offset + pages;
  const { guest, region } = target;
  const contexts = (target.cpus ?? guest.cpuPositions[target.index]!).map((cpu) =>
    policyContext(k, guest, region, cpu),
  );
  const huge = guest.hugetlb[target.index];
  if (huge) {
    const touched = touchHugetlb(k, huge, contexts, offset, pages);
    if (touched === pages) return pages;
    guest.sigbus = true;
    exitGuest(k, guest);
    return touched;
  }
  let place = 0;
  let at = offset;
  while (at < end) {
    if (isStalled(k)) return at - offset;
    const block = Math.floor(at / PAGES_PER_HUGE);
    const until = Math.min((block + 1) * PAGES_PER_HUGE, end);
    updateVmstat(k);
    flushMemcgStats(k);
    place = region.roams ? quietPlace(k, contexts, place) : block % contexts.length;
    const done = touchBlock(k, target, contexts[place]!, block, at, until);
    if (done < until - at) return at - offset + done;
    at = until;
  }
  return pages;
}

/** Where a thread goes on that may run anywhere: it leaves a CPU that kswapd needs for one that rests. */
function quietPlace(k: KernelState, contexts: readonly PolicyContext[], place: number): number {
  const busy = ({ cpu }: PolicyContext): boolean => k.cpus[cpu]!.node.kswapd.state === 'running';
  if (!busy(contexts[place]!)) return place;
  const quiet = contexts.findIndex((context) => !busy(context));
  return quiet < 0 ? place : quiet;
}

/** The pages of [from, to) that do not exist yet; exact for memory that is touched upwards. */
function missingPages(target: TouchTarget, block: number, from: number, to: number): number {
  const present = target.mapping.present!.get(block);
  const start = from - block * PAGES_PER_HUGE;
  const length = to - from;
  if (length === PAGES_PER_HUGE) return PAGES_PER_HUGE - present;
  if (start >= present) return Math.min(length, PAGES_PER_HUGE - present);
  return Math.max(start + length - present, 0);
}

/** @returns pages of the block done; fewer than asked when the guest was killed */
function touchBlock(
  k: KernelState,
  target: TouchTarget,
  pc: PolicyContext,
  block: number,
  from: number,
  to: number,
): number {
  const { mapping } = target;
  const present = mapping.present!;
  const first = present.get(block) === 0;
  const swapped = swapInBlock(k, target, pc, block, from, to);
  if (swapped < 0) return 0;
  const missing = missingPages(target, block, from, to);
  if (missing === 0) return to - from;
  if (first && !allocPageTable(k, target, pc)) return 0;
  if (first && touchHuge(k, target, pc, block)) return to - from;
  const done = touchBasePages(k, target, pc, block, missing);
  return done === missing ? to - from : done;
}

/**
 * One page-table page per 2 MiB, also under a huge page (the deposited table). It follows the task's
 * policy, not that of the mapping.
 */
function allocPageTable(k: KernelState, target: TouchTarget, pc: PolicyContext): boolean {
  const { guest } = target;
  const { cpu } = pc;
  const made = madeFor(pc);
  const ac = (made.pageTable ??= kernelContext(k, guestCaller(guest, cpu), {
    costNs: k.hardware.faultNs,
  }));
  const page = allocKernelBlock(k, ac);
  if (page && !chargeKernel(k, { group: guest.group, cpu, guest }, 1)) {
    freeKernelBlocks(k, [page], cpu);
    return false;
  }
  if (page) guest.pageTables.push(page);
  return guest.alive && !k.current.killed;
}

function touchHuge(k: KernelState, target: TouchTarget, pc: PolicyContext, block: number): boolean {
  const { region, mapping } = target;
  if ((block + 1) * PAGES_PER_HUGE > region.sizePages) return false;
  const mode = thpMode(k, region.thp);
  if (!mode.eligible) return false;
  const segment = allocHuge(k, pc, block, mode);
  if (!segment) {
    countVm(k, 'thp_fault_fallback');
    return false;
  }
  const frame = segment.runs[0]!.frame;
  if (!chargeHuge(k, pc, PAGES_PER_HUGE, effortOf(mode))) {
    countVm(k, 'thp_fault_fallback');
    countVm(k, 'thp_fault_fallback_charge');
    freeUnused(k, segment, pc.cpu, PAGEBLOCK_ORDER);
    return false;
  }
  countVm(k, 'thp_fault_alloc');
  countVm(k, 'pgfault');
  mapping.present!.set(block, PAGES_PER_HUGE);
  const run = guestRun(mapping, segment.zone, PAGES_PER_HUGE, frame, block * PAGES_PER_HUGE);
  run.huge = true;
  placeRun(target, run);
  answerForHigh(k, pc);
  noteSpill(k, target.guest, pc, segment.zone, PAGEBLOCK_ORDER);
  return true;
}

/** What the charge of a huge page may do follows from the fault's own rights. */
function effortOf({ reclaim, noRetry }: ThpMode): ChargeEffort {
  if (!reclaim) return 'none';
  return noRetry ? 'once' : 'full';
}

function touchBasePages(
  k: KernelState,
  target: TouchTarget,
  pc: PolicyContext,
  block: number,
  missing: number,
): number {
  if (pc.policy.mode === 'interleave') return touchInterleaved(k, target, pc, block, missing);
  let done = 0;
  while (done < missing) {
    const want = pagesBeforeReclaim(k, pc.group, pc.cpu, missing - done);
    const segment = allocCharged(k, pc, want);
    if (!segment) return done;
    if (!target.guest.alive) return done;
    placeFault(k, target, pc, block, segment);
    done += segment.pages;
    answerForHigh(k, pc);
    // Where every page waits for reclaim in vain, a block of them would go on for minutes.
    if (isStalled(k)) break;
  }
  return done;
}

/** Pages that have been allocated and charged; undefined where one of both fails. */
function allocCharged(k: KernelState, pc: PolicyContext, want: number): Segment | undefined {
  const segment = allocByPolicy(k, pc, want);
  if (!segment || !pc.group) return segment;
  return chargeSegment(k, pc, segment) ? segment : undefined;
}

/** Pages of a block go to the policy's nodes in turn; each falls back by its own node's list. */
function touchInterleaved(
  k: KernelState,
  target: TouchTarget,
  pc: PolicyContext,
  block: number,
  missing: number,
): number {
  const start = block * PAGES_PER_HUGE + target.mapping.present!.get(block);
  const byTask = target.region.policyScope === 'task';
  const turn = byTask ? target.guest.ilPrev : start;
  let done = 0;
  for (let want = 0; done < missing;) {
    want = pagesBeforeReclaim(k, pc.group, pc.cpu, missing - done);
    let last = 0;
    const got = allocTurns(k, pc, turn + done, want, (segment, turns, placed) => {
      if (!target.guest.alive || !chargeSegment(k, pc, segment)) return false;
      placeInterleaved(k, target, segment, turns, { placed, shift: start - turn });
      noteSpill(k, target.guest, pc, segment.zone);
      if (isStalled(k)) last = segment.pages;
      return last === 0;
    });
    done += got + last;
    answerForHigh(k, pc);
    if (got < want) break;
  }
  if (byTask) target.guest.ilPrev = turn + done;
  return done;
}

/**
 * Pages of one zone's turns.
 * @param shift from a turn to its offset in the region
 * @param placed pages of these turns that were placed before
 */
function placeInterleaved(
  k: KernelState,
  target: TouchTarget,
  segment: Segment,
  turns: Turns,
  { placed, shift }: { placed: number; shift: number },
): void {
  const { mapping } = target;
  const present = mapping.present!;
  const block = Math.floor((turns.first + shift) / PAGES_PER_HUGE);
  present.set(block, present.get(block) + segment.pages);
  countVm(k, 'pgfault', segment.pages);
  eachTurnPiece(segment, turns, placed, ({ frame, step }, at, pages, turn, stride) => {
    const begin = (frame + step * at) | 0;
    placeRun(target, guestRun(mapping, segment.zone, pages, begin, turn + shift, step, stride));
  });
}

function placeFault(
  k: KernelState,
  target: TouchTarget,
  pc: PolicyContext,
  block: number,
  segment: Segment,
): void {
  const present = target.mapping.present!;
  let at = block * PAGES_PER_HUGE + present.get(block);
  present.set(block, present.get(block) + segment.pages);
  countVm(k, 'pgfault', segment.pages);
  for (const { frame, count, step } of segment.runs) {
    placeRun(target, guestRun(target.mapping, segment.zone, count, frame, at, step));
    at += count;
  }
  noteSpill(k, target.guest, pc, segment.zone);
}

/** Memory that a guest has just touched: mapped, young, dirty. */
function guestRun(
  owner: Mapping,
  zone: Zone,
  pages: number,
  frame: number,
  offset: number,
  step: 1 | -1 = 1,
  stride = 1,
): Run {
  const run = plainRun(owner, zone, pages, frame, step, offset, stride);
  run.mapped = true;
  run.young = true;
  run.dirty = true;
  return run;
}

function placeRun(target: TouchTarget, run: Run): void {
  accountRun(run, 1);
  const { node } = run.zone;
  const lruvec = lruvecOf(node, run.owner.group);
  if (target.region.pinned) lruvec.lists[LRU_UNEVICTABLE]!.push(run);
  else lruList(lruvec, run, false).push(run);
}

/** Small memory of the process itself, under its task policy. @returns false when the guest was killed */
export function touchOverhead(k: KernelState, guest: GuestState, pages: number): boolean {
  const region = guest.spec.regions[0]!;
  const own = region.policyScope === 'task' && region.policy.mode !== 'interleave';
  const pc = policyContext(k, guest, region, guest.cpuPositions[0]![0]!);
  if (!own) pc.policy = { mode: 'default', nodes: [] };
  let offset = 0;
  while (offset < pages) {
    const segment = allocCharged(k, pc, pagesBeforeReclaim(k, pc.group, pc.cpu, pages - offset));
    if (!segment || !guest.alive) return false;
    for (const { frame, count, step } of segment.runs) {
      const run = guestRun(guest.overhead, segment.zone, count, frame, offset, step);
      guest.overhead.present!.spread(offset, count, count);
      accountRun(run, 1);
      lruList(lruvecOf(segment.zone.node, guest.group), run, false).push(run);
      offset += count;
    }
    answerForHigh(k, pc);
  }
  return true;
}

/**
 * @returns pages read back from swap, -1 when the guest was killed on the way
 * @kernel mm/memory.c do_swap_page(), should_try_to_free_swap()
 * @differs pages of the swap cache are read like others, and each page by itself
 */
function swapInBlock(
  k: KernelState,
  target: TouchTarget,
  pc: PolicyContext,
  block: number,
  from: number,
  to: number,
): number {
  const { mapping } = target;
  const swapped = mapping.swapped!.get(block);
  if (swapped === 0) return 0;
  const due = Math.min(swapped, to - from);
  const swapIn = { ...pc, policy: swapPolicy(pc), made: undefined };
  let done = 0;
  while (done < due) {
    const want = pagesBeforeReclaim(k, pc.group, pc.cpu, due - done);
    const segment = allocCharged(k, swapIn, want);
    if (!segment || !target.guest.alive) return -1;
    const at = block * PAGES_PER_HUGE + done;
    mapping.swapped!.set(block, mapping.swapped!.get(block) - segment.pages);
    countVm(k, 'pswpin', segment.pages);
    passTime(k, segment.pages * k.hardware.swapInNs, false);
    placeReadBack(k, target, segment, at);
    done += segment.pages;
    answerForHigh(k, pc);
  }
  return done;
}

/** Pages that are only read keep their slots, unless swap is full. */
function placeReadBack(k: KernelState, target: TouchTarget, segment: Segment, at: number): void {
  const { mapping } = target;
  const { group } = mapping;
  const lruvec = lruvecOf(segment.zone.node, group);
  const block = Math.floor(at / PAGES_PER_HUGE);
  const refault = workingsetRefault(k, mapping, block, segment.pages, lruvec);
  mapping.swapPages -= segment.pages;
  let offset = at;
  for (const { frame, count, step } of segment.runs) {
    const full = target.readOnly ? Math.min(swapFullPages(k, group), count) : count;
    const run = guestRun(mapping, segment.zone, count, frame, offset, step);
    run.workingset = refault.workingset;
    run.swapCached = true;
    run.dirty = false;
    accountRun(run, 1);
    for (const [from, pages] of [
      [0, full],
      [full, count - full],
    ] as const) {
      if (pages === 0) continue;
      const part = partOf(run, from, pages);
      if (from < full) freeSwapCache(k, part);
      if (target.region.pinned) lruvec.lists[LRU_UNEVICTABLE]!.push(part);
      else lruList(lruvec, part, refault.activate).push(part);
    }
    offset += count;
  }
}

function swapPolicy(pc: PolicyContext): PolicyContext['policy'] {
  return pc.policy.mode === 'interleave' ? { mode: 'default', nodes: [] } : pc.policy;
}
