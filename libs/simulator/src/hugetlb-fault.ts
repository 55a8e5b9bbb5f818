/** Guests on hugetlb pages: what mapping them reserves, what a touch takes, and what their end gives back. */
import { allocZones, policyNodemask } from './alloc-zones';
import { ZONE_MOVABLE } from './constants';
import {
  allocSurplusPage,
  dequeuePage,
  freeHugetlbPage,
  freePages,
  hstateOf,
  memoryNodes,
  removePoolPage,
  returnToBuddy,
  surplusPages,
  type Hstate,
  type HugetlbPage,
  type PoolMapping,
} from './hugetlb';
import { countVm, passTime, type GuestState, type KernelState } from './kernel-state';
import { hugetlbContext, type PolicyContext } from './mempolicy';
import { allocContext, type AllocContext } from './page-alloc';
import { PAGES_PER_HUGE } from './constants';
import { cpusOf } from './task-cpu';
import type { RegionSpec } from './types';
import type { NodeState } from './zone';

/** A guest's mapping of hugetlb pages. */
export interface HugetlbMapping extends PoolMapping {
  h: Hstate;
  /** Pages that are reserved and not touched yet. */
  reservedPages: number;
  /** Indices whose reserved page was taken: given back and touched again, they have none. */
  claimed: Set<number>;
}

/** CPUs of the threads that map and touch a region when its guest starts. */
export function populatingCpus(k: KernelState, guest: GuestState, index: number): number[] {
  const { hugetlb } = guest.spec.regions[index]!;
  if (!hugetlb?.cpuNodes) return guest.cpuPositions[index]!;
  return cpusOf(k, hugetlb.cpuNodes, guest.order, guest.spec.processPages !== undefined);
}

/**
 * Maps a region of hugetlb pages and reserves them, unless it asks for none.
 * @returns undefined when there are too few pages: mmap() fails with ENOMEM
 * @kernel mm/hugetlb.c hugetlb_reserve_pages(), hugetlb_acct_memory()
 */
export function mapHugetlb(
  k: KernelState,
  region: RegionSpec,
  cpu: number,
): HugetlbMapping | undefined {
  const { sizeKib, reserve } = region.hugetlb!;
  const h = hstateOf(k, sizeKib)!;
  const reservedPages = reserve ? Math.ceil(region.sizePages / h.basePages) : 0;
  if (!reservePages(k, h, reservedPages, region, cpu)) return undefined;
  return newHugetlbMapping(k, h, reservedPages);
}

/** A mapping without pages, known to its pool. */
export function newHugetlbMapping(
  k: KernelState,
  h: Hstate,
  reservedPages: number,
): HugetlbMapping {
  const pagesByNode = k.nodes.map(() => 0);
  const mapping = { h, pages: new Map(), reservedPages, claimed: new Set<number>(), pagesByNode };
  h.mappings.add(mapping);
  return mapping;
}

function reservePages(
  k: KernelState,
  h: Hstate,
  pages: number,
  region: RegionSpec,
  cpu: number,
): boolean {
  if (pages === 0) return true;
  if (!gatherSurplus(k, h, pages, region, cpu)) return false;
  if (pages <= allowedPages(k, h, region)) return true;
  unreserve(k, h, pages, cpu);
  return false;
}

/** Makes up for what the pool lacks. @kernel mm/hugetlb.c gather_surplus_pages() */
function gatherSurplus(
  k: KernelState,
  h: Hstate,
  pages: number,
  region: RegionSpec,
  cpu: number,
): boolean {
  const ac = surplusContext(k, h, region, cpu);
  const gained: HugetlbPage[] = [];
  while (h.reservedPages + pages > freePages(h) + gained.length) {
    const page = allocSurplusPage(k, h, ac);
    if (!page) {
      for (const spare of gained.reverse()) freeHugetlbPage(k, h, spare, cpu);
      return false;
    }
    gained.push(page);
  }
  h.reservedPages += pages;
  for (const page of gained.reverse()) h.nodes[page.node.position]!.free.push(page);
  return true;
}

/** A page for a reservation comes from the CPU's own node's list: the mapping has no policy yet. */
function surplusContext(k: KernelState, h: Hstate, region: RegionSpec, cpu: number): AllocContext {
  return allocContext({
    cpu,
    preferred: k.cpus[cpu]!.node,
    cpusetMems: region.cpusetMems ? new Set(region.cpusetMems) : null,
    order: h.order,
    retryMayFail: true,
    costNs: k.hardware.hugetlbPageNs,
  });
}

/** Free pages where the task may take them: within its cpuset, and within its own bind. @kernel mm/hugetlb.c allowed_mems_nr() */
function allowedPages(k: KernelState, h: Hstate, region: RegionSpec): number {
  const { policy, policyScope, cpusetMems } = region;
  const bound = policyScope === 'task' && policy.mode === 'bind';
  const mask = bound ? policyNodemask(k, policy, cpusetMems, ZONE_MOVABLE) : null;
  return k.nodes
    .filter(({ id }) => (mask?.has(id) ?? true) && (cpusetMems?.includes(id) ?? true))
    .reduce((sum, { position }) => sum + h.nodes[position]!.free.length, 0);
}

/** @kernel mm/hugetlb.c return_unused_surplus_pages() */
function unreserve(k: KernelState, h: Hstate, pages: number, cpu: number): void {
  h.reservedPages -= pages;
  const removed: HugetlbPage[] = [];
  for (let left = Math.min(pages, surplusPages(h)); left > 0; left -= 1) {
    const page = removePoolPage(h, memoryNodes(k), true);
    if (!page) break;
    removed.push(page);
  }
  for (const page of removed.reverse()) returnToBuddy(k, h, page, cpu);
}

/**
 * Touches [offset, offset + pages) of a region, upwards.
 * @param contexts the touching threads, which take huge pages in turn
 * @returns base pages touched; fewer than asked when there was no page: the guest gets SIGBUS
 * @kernel mm/hugetlb.c hugetlb_no_page(), alloc_huge_page(), vma_has_reserves()
 */
export function touchHugetlb(
  k: KernelState,
  mapping: HugetlbMapping,
  contexts: readonly PolicyContext[],
  offset: number,
  pages: number,
): number {
  const { basePages } = mapping.h;
  const end = offset + pages;
  const sources = contexts.map((pc) => sourceOf(k, mapping.h, pc));
  for (let at = offset; at < end;) {
    const index = Math.floor(at / basePages);
    const source = sources[index % sources.length]!;
    if (!mapping.pages.has(index) && !faultPage(k, mapping, source, index)) return at - offset;
    at = Math.min((index + 1) * basePages, end);
  }
  return pages;
}

/** Where a thread's huge pages come from. */
interface Source {
  pc: PolicyContext;
  /** Nodes in the order in which they are asked, where that is the same for all of a mapping. */
  nodes?: NodeState[];
}

function sourceOf(k: KernelState, h: Hstate, pc: PolicyContext): Source {
  if (pc.policy.mode === 'interleave') return { pc };
  const nodes = allocZones(k, hugetlbContext(k, pc, h.order, 0)).allowed.map(({ node }) => node);
  return { pc, nodes: [...new Set(nodes)] };
}

function faultPage(
  k: KernelState,
  mapping: HugetlbMapping,
  { pc, nodes }: Source,
  index: number,
): boolean {
  const { h } = mapping;
  countVm(k, 'pgfault');
  const reserved = mapping.reservedPages > 0 && !mapping.claimed.has(index);
  const page =
    (reserved || freePages(h) > h.reservedPages
      ? dequeueByPolicy(k, h, pc, index, nodes)
      : undefined) ?? surplusByPolicy(k, h, pc, index);
  if (!page) return false;
  if (reserved) {
    mapping.reservedPages -= 1;
    mapping.claimed.add(index);
    h.reservedPages -= 1;
  }
  mapping.pages.set(index, page);
  mapping.pagesByNode[page.node.position]! += h.basePages;
  passTime(k, (k.hardware.hugeFaultNs * h.basePages) / PAGES_PER_HUGE, false);
  return true;
}

/** The first node of the policy's list that has a free page. @kernel mm/hugetlb.c dequeue_huge_page_vma() */
function dequeueByPolicy(
  k: KernelState,
  h: Hstate,
  pc: PolicyContext,
  index: number,
  nodes: NodeState[] | undefined,
): HugetlbPage | undefined {
  const within = nodes
    ? dequeueFrom(h, nodes)
    : dequeueWithin(k, h, hugetlbContext(k, pc, h.order, index));
  if (within || pc.policy.mode !== 'preferred_many') return within;
  return dequeueWithin(k, h, hugetlbContext(k, pc, h.order, index, 'anywhere'));
}

function dequeueWithin(k: KernelState, h: Hstate, ac: AllocContext): HugetlbPage | undefined {
  return dequeueFrom(
    h,
    allocZones(k, ac).allowed.map(({ node }) => node),
  );
}

function dequeueFrom(h: Hstate, nodes: readonly NodeState[]): HugetlbPage | undefined {
  for (const node of nodes) {
    const page = dequeuePage(h, node);
    if (page) return page;
  }
  return undefined;
}

/** @kernel mm/hugetlb.c alloc_buddy_huge_page_with_mpol() */
function surplusByPolicy(
  k: KernelState,
  h: Hstate,
  pc: PolicyContext,
  index: number,
): HugetlbPage | undefined {
  if (pc.policy.mode !== 'preferred_many') {
    return allocSurplusPage(k, h, hugetlbContext(k, pc, h.order, index));
  }
  return (
    allocSurplusPage(k, h, hugetlbContext(k, pc, h.order, index, 'noReclaim')) ??
    allocSurplusPage(k, h, hugetlbContext(k, pc, h.order, index, 'anywhere'))
  );
}

/**
 * Gives back the huge pages that lie in [from, to) as a whole.
 * @returns base pages freed
 * @kernel mm/hugetlb.c __unmap_hugepage_range()
 */
export function zapHugetlb(
  k: KernelState,
  mapping: HugetlbMapping,
  from: number,
  to: number,
  cpu: number,
): number {
  const { h, pages } = mapping;
  const whole = [...pages.keys()]
    .filter((index) => index * h.basePages >= from && (index + 1) * h.basePages <= to)
    .sort((a, b) => a - b);
  for (const index of whole) {
    const page = pages.get(index)!;
    pages.delete(index);
    mapping.pagesByNode[page.node.position]! -= h.basePages;
    freeHugetlbPage(k, h, page, cpu);
  }
  return whole.length * h.basePages;
}

/** Page pointers that an unmap gathers: one for each huge page. */
export function hugetlbPointers(guest: GuestState): number {
  return guest.hugetlb.reduce((sum, mapping) => sum + (mapping?.pages.size ?? 0), 0);
}

/** The guest ends. */
export function exitHugetlb(k: KernelState, guest: GuestState, cpu: number): void {
  for (const mapping of guest.hugetlb) if (mapping) unmapHugetlb(k, mapping, cpu);
}

/**
 * A mapping's pages go back, and then what it had reserved and not touched.
 * @returns base pages freed
 * @kernel mm/hugetlb.c hugetlb_vm_op_close()
 */
export function unmapHugetlb(k: KernelState, mapping: HugetlbMapping, cpu: number): number {
  const freed = zapHugetlb(k, mapping, 0, Infinity, cpu);
  if (mapping.reservedPages > 0) unreserve(k, mapping.h, mapping.reservedPages, cpu);
  mapping.reservedPages = 0;
  mapping.h.mappings.delete(mapping);
  return freed;
}
