/** Charging a memory cgroup that is at its limit: reclaim within it, memory.high, its OOM killer. */
import {
  DEF_PRIORITY,
  MAX_RECLAIM_RETRIES,
  PAGE_ALLOC_COSTLY_ORDER,
  SWAP_CLUSTER_MAX,
} from './constants';
import { deactivationPasses, shrinkNode } from './direct-reclaim';
import { countVm, passTime, type GuestState, type KernelState } from './kernel-state';
import {
  chargeBlock,
  chargeQuietly,
  drainStocks,
  marginOf,
  MEMCG_CHARGE_BATCH,
  objectPages,
  setLimits,
  type MemoryGroup,
} from './memcg';
import { memcgOutOfMemory } from './oom';
import { statRefaults } from './lruvec';
import type { Segment } from './page-alloc';
import { freeToPcp } from './pcp';
import { scanControl } from './scan-control';
import type { GroupLimits } from './types';
import type { NodeState } from './zone';

/** Ticks per second of the distribution kernels. */
const HZ = 250;
/** Longest wait on one return to user space. @kernel mm/memcontrol.c MEMCG_MAX_HIGH_DELAY_JIFFIES */
const MAX_DELAY_TICKS = 2 * HZ;
/** A shorter one is not worth it. */
const MIN_DELAY_TICKS = Math.floor(HZ / 100);
/** Fixed point of an overage. @kernel mm/memcontrol.c MEMCG_DELAY_PRECISION_SHIFT, MEMCG_DELAY_SCALING_SHIFT */
const PRECISION = 2 ** 20;
const SCALING = 2 ** 14;

/** Who is charged, and what its request may do. */
export interface Charger {
  group?: MemoryGroup | undefined;
  /** CPU position. */
  cpu: number;
  /** The process that dies with a failed charge. */
  guest?: GuestState | undefined;
}

/** Reclaim that a charge of one block may do: none, one round, or until it fits. */
export type ChargeEffort = 'none' | 'once' | 'full';

/**
 * Charges single user pages that have been allocated.
 * @returns false when a charge failed, after the OOM killer of the group has taken its own process
 */
export function chargePages(k: KernelState, charger: Charger, pages: number): boolean {
  const { group } = charger;
  if (!group) return true;
  if (!chargeSingles(k, charger, group, pages)) return false;
  group.userPages += pages;
  return true;
}

/** The same for a whole segment. @returns false when that failed: its pages are free again */
export function chargeSegment(k: KernelState, charger: Charger, segment: Segment): boolean {
  if (chargePages(k, charger, segment.pages)) return true;
  freeUnused(k, segment, charger.cpu, 0);
  return false;
}

/** Gives blocks of a segment back through a CPU's lists before anybody has used them. */
export function freeUnused(k: KernelState, segment: Segment, cpu: number, order: number): void {
  countVm(k, 'pgfree', segment.pages);
  for (const { frame, count, step } of segment.runs) {
    freeToPcp(segment.zone, cpu, order, frame, count, step);
  }
}

/** Charges a huge page at once. @returns false when it does not fit: base pages are used */
export function chargeHuge(
  k: KernelState,
  charger: Charger,
  pages: number,
  effort: ChargeEffort,
): boolean {
  const { group } = charger;
  if (!group) return true;
  if (!tryCharge(k, charger, group, pages, effort)) return false;
  group.userPages += pages;
  return true;
}

/** Charges single pages of kernel memory. */
export function chargeKernel(k: KernelState, charger: Charger, pages: number): boolean {
  const { group } = charger;
  if (!group) return true;
  if (!chargeSingles(k, charger, group, pages)) return false;
  group.kernelPages += pages;
  return true;
}

/** Charges slab objects, by the page. @kernel mm/memcontrol.c obj_cgroup_charge() */
export function chargeObjects(k: KernelState, charger: Charger, bytes: number): boolean {
  const { group } = charger;
  if (!group) return true;
  const before = objectPages(group.objectBytes);
  if (!chargeKernel(k, charger, objectPages(group.objectBytes + bytes) - before)) return false;
  group.objectBytes += bytes;
  return true;
}

function chargeSingles(
  k: KernelState,
  charger: Charger,
  group: MemoryGroup,
  pages: number,
): boolean {
  for (let done = 0; done < pages;) {
    const quiet = chargeQuietly(k, group, charger.cpu, pages - done);
    done += quiet;
    if (k.overHighPages > MEMCG_CHARGE_BATCH) answerForHigh(k, charger);
    if (quiet > 0) continue;
    if (!tryCharge(k, charger, group, 1, 'full')) return false;
    done += 1;
  }
  return true;
}

/**
 * One charge, with reclaim until it fits, is given up or its own process is killed.
 * @kernel mm/memcontrol.c try_charge_memcg()
 * @differs a process that was killed for the charge has left before it fails
 */
function tryCharge(
  k: KernelState,
  charger: Charger,
  group: MemoryGroup,
  pages: number,
  effort: ChargeEffort,
): boolean {
  const costly = pages > 2 ** PAGE_ALLOC_COSTLY_ORDER;
  let retries = MAX_RECLAIM_RETRIES;
  let drained = false;
  // A single page was first asked for with its batch.
  if (pages < MEMCG_CHARGE_BATCH) group.failures += 1;
  while (!chargeBlock(k, group, pages)) {
    if (effort === 'none') return false;
    group.events.max += 1;
    const freed = tryToFreeGroupPages(k, group, pages, charger.cpu);
    if (marginOf(group) >= pages) continue;
    if (!drained) {
      drainStocks(k, group);
      drained = true;
      continue;
    }
    if (effort === 'once') return false;
    if (freed > 0 && !costly) continue;
    if (retries > 0) {
      retries -= 1;
      continue;
    }
    if (costly) return false;
    const victim = memcgOutOfMemory(k, { group, cpu: charger.cpu, ...guestOf(charger) });
    if (!victim || victim === charger.guest) {
      // The dying process tries as often again before it gives up.
      if (victim) group.events.max += MAX_RECLAIM_RETRIES + 1;
      k.current.killed = true;
      return false;
    }
    retries = MAX_RECLAIM_RETRIES;
  }
  return true;
}

function guestOf({ guest }: Charger): { guest?: GuestState } {
  return guest ? { guest } : {};
}

/**
 * Reclaims pages of a group on all nodes, the CPU's own first.
 * @returns pages freed
 * @kernel mm/vmscan.c try_to_free_mem_cgroup_pages(), do_try_to_free_pages()
 */
export function tryToFreeGroupPages(
  k: KernelState,
  group: MemoryGroup,
  pages: number,
  cpu: number,
): number {
  const startNs = k.timeNs;
  const nodes = [...new Set(k.zonelists[k.cpus[cpu]!.node.position]!.map(({ node }) => node))];
  const sc = scanControl({ cpu, group, nrToReclaim: Math.max(pages, SWAP_CLUSTER_MAX) });
  for (const forceDeactivate of deactivationPasses(k)) {
    if (forceDeactivate && !sc.skippedDeactivate) break;
    sc.forceDeactivate = forceDeactivate;
    for (sc.priority = DEF_PRIORITY; sc.priority >= 0; sc.priority -= 1) {
      for (const node of nodes) shrinkNode(k, node, sc);
      if (sc.nrReclaimed >= sc.nrToReclaim) break;
    }
    for (const node of nodes) snapshotRefaults(group, node);
    if (sc.nrReclaimed > 0) break;
  }
  k.totals.cgroupReclaimedPages += sc.nrReclaimed;
  noteGroupReclaim(k, group, sc.nrReclaimed, startNs);
  return sc.nrReclaimed;
}

function snapshotRefaults(group: MemoryGroup, node: NodeState): void {
  const lruvec = group.lruvecs[node.position]!;
  lruvec.refaultsSeen = statRefaults(lruvec);
}

/** One event per step and group, with totals. */
function noteGroupReclaim(
  k: KernelState,
  group: MemoryGroup,
  reclaimedPages: number,
  timeNs: number,
): void {
  const { name: guest } = k.current;
  for (const event of k.events) {
    if (event.type !== 'cgroup_reclaim' || event.cgroup !== group.name || event.guest !== guest) {
      continue;
    }
    event.times += 1;
    event.reclaimedPages += reclaimedPages;
    return;
  }
  const type = 'cgroup_reclaim';
  k.events.push({ type, timeNs, cgroup: group.name, times: 1, reclaimedPages, guest });
}

/**
 * A task that has taken its group above memory.high reclaims as much on its way back to user space, and
 * waits where that is not enough.
 * @kernel mm/memcontrol.c mem_cgroup_handle_over_high()
 */
export function answerForHigh(k: KernelState, { group, cpu }: Charger): void {
  if (!group || k.overHighPages === 0) return;
  const pages = k.overHighPages;
  k.overHighPages = 0;
  let wanted = pages;
  for (let retries = MAX_RECLAIM_RETRIES; ; wanted = SWAP_CLUSTER_MAX) {
    let freed = 0;
    if (group.usagePages > group.highPages) {
      group.events.high += 1;
      freed = tryToFreeGroupPages(k, group, wanted, cpu);
    }
    const ticks = highDelayTicks(group.usagePages, group.highPages, pages);
    if (ticks <= MIN_DELAY_TICKS) return;
    if (freed === 0) retries -= 1;
    if (freed > 0 || retries >= 0) continue;
    passTime(k, (ticks * 1e9) / HZ, true);
    return;
  }
}

/**
 * How long a task waits that has charged pages to a group above memory.high.
 * @returns ticks of the scheduler
 * @kernel mm/memcontrol.c calculate_high_delay(), calculate_overage()
 */
export function highDelayTicks(usagePages: number, highPages: number, pages: number): number {
  if (usagePages <= highPages) return 0;
  const overage = Math.floor(((usagePages - highPages) * PRECISION) / Math.max(highPages, 1));
  const penalty = Math.floor((overage * overage * HZ) / PRECISION / SCALING);
  return Math.min(Math.floor((penalty * pages) / MEMCG_CHARGE_BATCH), MAX_DELAY_TICKS);
}

/**
 * Writes limits. A limit below what is charged is enforced at once: by reclaim and, for memory.max, by kills.
 * @kernel mm/memcontrol.c memory_high_write(), memory_max_write()
 */
export function writeLimits(k: KernelState, group: MemoryGroup, limits: GroupLimits): void {
  setLimits(group, limits);
  const cpu = 0;
  if (limits.maxPages !== undefined) enforceMax(k, group, cpu);
  if (limits.highPages === undefined || group.usagePages <= group.highPages) return;
  drainStocks(k, group);
  for (let retries = MAX_RECLAIM_RETRIES; group.usagePages > group.highPages;) {
    const freed = tryToFreeGroupPages(k, group, group.usagePages - group.highPages, cpu);
    if (freed > 0) continue;
    if (retries === 0) return;
    retries -= 1;
  }
}

function enforceMax(k: KernelState, group: MemoryGroup, cpu: number): void {
  if (group.usagePages > group.maxPages) drainStocks(k, group);
  let retries = MAX_RECLAIM_RETRIES;
  while (group.usagePages > group.maxPages) {
    if (retries > 0) {
      const freed = tryToFreeGroupPages(k, group, group.usagePages - group.maxPages, cpu);
      if (freed === 0) retries -= 1;
    } else if (!memcgOutOfMemory(k, { group, cpu })) return;
  }
}
