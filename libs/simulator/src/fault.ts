/** Guests touching their memory: faults by 2 MiB block, huge pages first where they are allowed. */
import { PAGES_PER_HUGE } from './constants';
import { countVm, passTime, type GuestState, type KernelState } from './kernel-state';
import { accountRun, lruList, LRU_UNEVICTABLE, type Run } from './lru';
import {
  allocByPolicy,
  allocHuge,
  allocInterleaved,
  interleaveNodes,
  type PolicyContext,
} from './mempolicy';
import { allocKernelPage, type Segment } from './page-alloc';
import type { Mapping } from './page-map';
import { freeSwap } from './swap';
import { thpMode } from './thp';
import type { RegionSpec } from './types';
import type { Zone } from './zone';

export interface TouchTarget {
  guest: GuestState;
  region: RegionSpec;
  mapping: Mapping;
  index: number;
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
    write: false,
  };
}

/**
 * Touches [offset, offset + pages) of a region in ascending order.
 * @returns pages touched before the guest was killed, all of them when it lives
 */
export function touchRange(
  k: KernelState,
  target: TouchTarget,
  offset: number,
  pages: number,
): number {
  const end = offset + pages;
  let at = offset;
  while (at < end) {
    const block = Math.floor(at / PAGES_PER_HUGE);
    const until = Math.min((block + 1) * PAGES_PER_HUGE, end);
    const done = touchBlock(k, target, block, at, until);
    if (done < until - at) return at - offset + done;
    at = until;
  }
  return pages;
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
  block: number,
  from: number,
  to: number,
): number {
  const { guest, mapping, region } = target;
  const present = mapping.present!;
  const cpus = guest.cpuPositions[target.index]!;
  const cpu = cpus[block % cpus.length]!;
  const pc = policyContext(k, guest, region, cpu);
  const first = present.get(block) === 0;
  const swapped = swapInBlock(k, target, pc, block, from, to);
  if (swapped < 0) return 0;
  const missing = missingPages(target, block, from, to);
  if (missing === 0) return to - from;
  if (first && !allocPageTable(k, guest, cpu)) return 0;
  if (first && touchHuge(k, target, pc, block)) return to - from;
  const done = touchBasePages(k, target, pc, block, missing);
  return done === missing ? to - from : done;
}

/** One page-table page per 2 MiB, also under a huge page (the deposited table). */
function allocPageTable(k: KernelState, guest: GuestState, cpu: number): boolean {
  const zone = allocKernelPage(k, cpu, k.cpus[cpu]!.node, guest);
  if (zone) guest.pageTables.set(zone, (guest.pageTables.get(zone) ?? 0) + 1);
  return guest.alive && !k.current.killed;
}

function touchHuge(k: KernelState, target: TouchTarget, pc: PolicyContext, block: number): boolean {
  const { region, mapping } = target;
  if ((block + 1) * PAGES_PER_HUGE > region.sizePages) return false;
  const mode = thpMode(k, region.thp);
  if (!mode.eligible) return false;
  const segment = allocHuge(k, pc, block, mode.reclaim, mode.wakeKswapd);
  if (!segment) {
    countVm(k, 'thp_fault_fallback');
    return false;
  }
  countVm(k, 'thp_fault_alloc');
  countVm(k, 'pgfault');
  passTime(k, k.hardware.hugeFaultNs, false);
  mapping.present!.set(block, PAGES_PER_HUGE);
  placeRun(target, segment, block * PAGES_PER_HUGE, PAGES_PER_HUGE, true);
  noteSpill(k, target, pc, segment.zone);
  return true;
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
    const segment = allocByPolicy(k, pc, missing - done);
    if (!segment) return done;
    if (!target.guest.alive) return done;
    placeFault(k, target, pc, block, segment);
    done += segment.pages;
  }
  return done;
}

/** Pages of a block go to the policy's nodes in turn; each node's share falls back by its own list. */
function touchInterleaved(
  k: KernelState,
  target: TouchTarget,
  pc: PolicyContext,
  block: number,
  missing: number,
): number {
  const nodes = interleaveNodes(k, pc);
  const start = block * PAGES_PER_HUGE + target.mapping.present!.get(block);
  const turn = target.region.policyScope === 'task' ? target.guest.ilPrev : start;
  if (target.region.policyScope === 'task') target.guest.ilPrev += missing;
  let done = 0;
  for (let i = 0; i < nodes.length; i += 1) {
    const node = nodes[(turn + i) % nodes.length]!;
    let share = Math.floor((missing - i + nodes.length - 1) / nodes.length);
    while (share > 0) {
      const segment = allocInterleaved(k, pc, node, share);
      if (!segment || !target.guest.alive) return done;
      placeFault(k, target, pc, block, segment);
      share -= segment.pages;
      done += segment.pages;
    }
  }
  return done;
}

function placeFault(
  k: KernelState,
  target: TouchTarget,
  pc: PolicyContext,
  block: number,
  segment: Segment,
): void {
  const present = target.mapping.present!;
  const at = block * PAGES_PER_HUGE + present.get(block);
  present.set(block, present.get(block) + segment.pages);
  countVm(k, 'pgfault', segment.pages);
  const remote = segment.zone.node !== k.cpus[pc.cpu]!.node;
  const ns = k.hardware.faultNs + (remote ? k.hardware.remoteFaultNs : 0);
  passTime(k, segment.pages * ns, false);
  placeRun(target, segment, at, segment.pages, false);
  noteSpill(k, target, pc, segment.zone);
}

function placeRun(
  target: TouchTarget,
  segment: Segment,
  offset: number,
  span: number,
  huge: boolean,
): void {
  const run: Run = {
    owner: target.mapping,
    zone: segment.zone,
    pages: segment.pages,
    offset,
    span,
    mapped: true,
    young: true,
    referenced: false,
    workingset: false,
    dirty: true,
    huge,
  };
  accountRun(run, 1);
  const { node } = segment.zone;
  if (target.region.pinned) node.lists[LRU_UNEVICTABLE]!.push(run);
  else lruList(node, run, false).push(run);
}

/** @returns pages read back from swap, -1 when the guest was killed on the way */
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
  let done = 0;
  while (done < due) {
    const segment = allocByPolicy(k, { ...pc, policy: swapPolicy(pc) }, due - done);
    if (!segment || !target.guest.alive) return -1;
    mapping.swapped!.set(block, mapping.swapped!.get(block) - segment.pages);
    freeSwap(k, { owner: mapping }, segment.pages);
    countVm(k, 'pswpin', segment.pages);
    passTime(k, segment.pages * k.hardware.swapInNs, false);
    placeRun(target, segment, block * PAGES_PER_HUGE, PAGES_PER_HUGE, false);
    done += segment.pages;
  }
  return done;
}

function swapPolicy(pc: PolicyContext): PolicyContext['policy'] {
  return pc.policy.mode === 'interleave' ? { mode: 'default', nodes: [] } : pc.policy;
}

/** Once per guest: the first page outside its policy's nodes, or away from its CPU without a policy. */
function noteSpill(k: KernelState, target: TouchTarget, pc: PolicyContext, zone: Zone): void {
  const { guest } = target;
  if (guest.spilled) return;
  const { mode, nodes } = pc.policy;
  const local = k.cpus[pc.cpu]!.node;
  const wanted = mode === 'default' ? [local.id] : nodes;
  if (wanted.includes(zone.node.id) || wanted.length === 0) return;
  const from = k.nodes.find((node) => node.id === wanted[0]);
  const full = from?.zones[from.zones.length - 1];
  if (!from || !full) return;
  guest.spilled = true;
  const needed = full.low + full.boost + (full.protection[3] ?? 0);
  k.events.push({
    type: 'spill',
    timeNs: k.timeNs,
    guest: guest.spec.name,
    fromNode: from.id,
    toNode: zone.node.id,
    zone: full.name,
    freePages: full.free,
    neededPages: needed,
    reason: spillReason(k, from.cpus.length > 0 && local !== from),
  });
}

function spillReason(k: KernelState, remoteCpu: boolean): string {
  if ((k.sysctl.zone_reclaim_mode & 7) === 0) {
    return 'zone_reclaim_mode is 0: a zone below its low mark is skipped, its cache is left alone';
  }
  return remoteCpu
    ? 'zone reclaim never runs on a node that has CPUs from another node: the guest runs elsewhere'
    : 'zone reclaim found too little clean, unmapped cache (min_unmapped_ratio), or was not allowed';
}
