/** Memory cgroups (v2): what a group is charged, and the pages that each CPU has charged ahead. */
import type { KernelState } from './kernel-state';
import { newLruvec, type Lruvec } from './lruvec';
import type { GroupLimits } from './types';

/** Pages that a CPU charges at once and keeps for the next charges. @kernel include/linux/memcontrol.h */
export const MEMCG_CHARGE_BATCH = 64;
const PAGE_BYTES = 4096;

/** A group below the root. Limits are in pages, Infinity where there is none. @differs groups have no groups below them */
export interface MemoryGroup {
  name: string;
  maxPages: number;
  highPages: number;
  swapMaxPages: number;
  cpusetMems?: number[];
  /** memory.current: what is charged, stocks included. */
  usagePages: number;
  /** Anonymous pages, page cache and swap cache among it. */
  userPages: number;
  /** Page tables, pages in pipes and pages for objects among it. */
  kernelPages: number;
  /** Slab objects; they are charged by the page. */
  objectBytes: number;
  /** memory.swap.current */
  swapPages: number;
  /** Charges that met the limit (`failcnt`). */
  failures: number;
  events: { high: number; max: number; oom: number; oomKill: number };
  /** By node position. */
  lruvecs: Lruvec[];
}

/** What a CPU has charged to one group ahead of need. @kernel mm/memcontrol.c struct memcg_stock_pcp */
export interface ChargeStock {
  group: MemoryGroup | undefined;
  pages: number;
}

/** Makes a group without limits. */
export function addGroup(k: KernelState, name: string): MemoryGroup {
  const group: MemoryGroup = {
    name,
    maxPages: Infinity,
    highPages: Infinity,
    swapMaxPages: Infinity,
    usagePages: 0,
    userPages: 0,
    kernelPages: 0,
    objectBytes: 0,
    swapPages: 0,
    failures: 0,
    events: { high: 0, max: 0, oom: 0, oomKill: 0 },
    lruvecs: [],
  };
  for (const node of k.nodes) {
    const lruvec = newLruvec(group);
    if (k.profile.reclaimStats === 'flushed')
      lruvec.flushed = { pages: [0, 0, 0, 0], refaults: [0, 0] };
    group.lruvecs.push(lruvec);
    node.groupLruvecs.push(lruvec);
  }
  k.groups.set(name, group);
  return group;
}

/** Takes over the limits that are given; null lifts one. */
export function setLimits(group: MemoryGroup, limits: GroupLimits): void {
  const { maxPages, highPages, swapMaxPages, cpusetMems } = limits;
  if (maxPages !== undefined) group.maxPages = maxPages ?? Infinity;
  if (highPages !== undefined) group.highPages = highPages ?? Infinity;
  if (swapMaxPages !== undefined) group.swapMaxPages = swapMaxPages ?? Infinity;
  if (cpusetMems !== undefined) group.cpusetMems = cpusetMems;
}

/** The group of this name; undefined for no name. @throws RangeError when it does not exist */
export function groupNamed(k: KernelState, name: string | undefined): MemoryGroup | undefined {
  if (name === undefined) return undefined;
  const group = k.groups.get(name);
  if (!group) throw new RangeError(`memory cgroup ${name} is not in the model`);
  return group;
}

/** Pages that can still be charged below the limit. @kernel mm/memcontrol.c mem_cgroup_margin() */
export function marginOf(group: MemoryGroup): number {
  return Math.max(group.maxPages - group.usagePages, 0);
}

/** What charging page after page comes to, up to the first that has to reclaim or takes the group above memory.high. */
export interface ChargePlan {
  /** Pages charged. */
  pages: number;
  usagePages: number;
  stockPages: number;
  failures: number;
  /** Pages that the last charge took when it left the group above memory.high; else 0. */
  overHighPages: number;
}

/**
 * Charges of single pages one after the other: from the CPU's stock, else by the batch, else, where no
 * batch fits below the limit, by the page.
 * @param stockPages what the CPU has charged to this group ahead
 * @returns the state after as many of `want` charges as need no reclaim
 * @kernel mm/memcontrol.c try_charge_memcg()
 */
export function planCharges(group: MemoryGroup, stockPages: number, want: number): ChargePlan {
  const { maxPages, highPages } = group;
  const plan: ChargePlan = {
    pages: 0,
    usagePages: group.usagePages,
    stockPages,
    failures: 0,
    overHighPages: 0,
  };
  while (plan.pages < want) {
    const left = want - plan.pages;
    if (plan.stockPages > 0) {
      const taken = Math.min(plan.stockPages, left);
      plan.stockPages -= taken;
      plan.pages += taken;
      continue;
    }
    const room = maxPages - plan.usagePages;
    if (room < 1) break;
    const batch = room >= MEMCG_CHARGE_BATCH ? MEMCG_CHARGE_BATCH : 1;
    const belowHigh = Math.floor((highPages - plan.usagePages) / batch);
    const charges = Math.max(
      Math.min(Math.ceil(left / batch), Math.floor(room / batch), belowHigh),
      1,
    );
    const taken = belowHigh < 1 ? 1 : Math.min(charges * batch, left);
    plan.usagePages += charges * batch;
    plan.stockPages = charges * batch - taken;
    plan.pages += taken;
    if (batch === 1) plan.failures += charges;
    if (belowHigh < 1) {
      plan.overHighPages = batch;
      break;
    }
  }
  return plan;
}

function stockPagesOf(k: KernelState, group: MemoryGroup, cpu: number): number {
  const stock = k.chargeStocks[cpu];
  return stock?.group === group ? stock.pages : 0;
}

/** Pages of `want` that can be asked for together: until the next charge reclaims or passes memory.high; at least one. */
export function pagesBeforeReclaim(
  k: KernelState,
  group: MemoryGroup | undefined,
  cpu: number,
  want: number,
): number {
  if (!group) return want;
  return Math.max(planCharges(group, stockPagesOf(k, group, cpu), want).pages, 1);
}

/**
 * Charges single pages as far as no reclaim is needed. What leaves the group above memory.high is
 * noted for the task's return to user space.
 * @returns pages charged
 */
export function chargeQuietly(
  k: KernelState,
  group: MemoryGroup,
  cpu: number,
  want: number,
): number {
  const plan = planCharges(group, stockPagesOf(k, group, cpu), want);
  const stock = stockOf(k, cpu);
  // Only a batch fills the stock, and a CPU has only one.
  const filled = plan.usagePages - group.usagePages >= MEMCG_CHARGE_BATCH;
  if (filled && stock.group !== group) drainStock(stock);
  group.usagePages = plan.usagePages;
  group.failures += plan.failures;
  k.overHighPages += plan.overHighPages;
  if (filled || stock.group === group) {
    stock.group = group;
    stock.pages = plan.stockPages;
  }
  return plan.pages;
}

/** Charges pages of one block at once. @returns false where they do not fit below the limit */
export function chargeBlock(k: KernelState, group: MemoryGroup, pages: number): boolean {
  if (marginOf(group) < pages) {
    group.failures += 1;
    return false;
  }
  group.usagePages += pages;
  if (group.usagePages > group.highPages) k.overHighPages += pages;
  return true;
}

/** Pages of anonymous memory or cache have been freed. @kernel mm/memcontrol.c uncharge_batch() */
export function uncharge(group: MemoryGroup | undefined, pages: number): void {
  if (!group) return;
  group.usagePages -= pages;
  group.userPages -= pages;
}

/** Kernel pages have been freed: the CPU keeps them charged for the next. @kernel mm/memcontrol.c obj_cgroup_uncharge_pages() */
export function unchargeKernel(
  k: KernelState,
  group: MemoryGroup | undefined,
  cpu: number,
  pages: number,
): void {
  if (!group) return;
  group.kernelPages -= pages;
  for (let i = 0; i < pages; i += 1) refillStock(k, group, cpu);
}

/** Slab objects of so many bytes have been freed. @kernel mm/memcontrol.c obj_cgroup_uncharge() */
export function unchargeObjects(
  k: KernelState,
  group: MemoryGroup,
  cpu: number,
  bytes: number,
): void {
  const before = objectPages(group.objectBytes);
  group.objectBytes -= bytes;
  unchargeKernel(k, group, cpu, before - objectPages(group.objectBytes));
}

/** Pages that objects of so many bytes are charged as. */
export function objectPages(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES);
}

/** A stock that has grown beyond a batch is given back. @kernel mm/memcontrol.c refill_stock() */
function refillStock(k: KernelState, group: MemoryGroup, cpu: number): void {
  const stock = stockOf(k, cpu);
  if (stock.group !== group) drainStock(stock);
  stock.group = group;
  stock.pages += 1;
  if (stock.pages > MEMCG_CHARGE_BATCH) drainStock(stock);
}

/** What all CPUs have charged to a group ahead is given back. @kernel mm/memcontrol.c drain_all_stock() */
export function drainStocks(k: KernelState, group: MemoryGroup): void {
  for (const stock of k.chargeStocks) if (stock.group === group) drainStock(stock);
}

/** Pages of a group that lie in stocks. */
export function stockPages(k: KernelState, group: MemoryGroup): number {
  let pages = 0;
  for (const stock of k.chargeStocks) if (stock.group === group) pages += stock.pages;
  return pages;
}

function stockOf(k: KernelState, cpu: number): ChargeStock {
  return k.chargeStocks[cpu]!;
}

function drainStock(stock: ChargeStock): void {
  if (stock.group) stock.group.usagePages -= stock.pages;
  stock.group = undefined;
  stock.pages = 0;
}
