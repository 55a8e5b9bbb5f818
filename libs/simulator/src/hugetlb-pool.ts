/** Growing and shrinking a pool of hugetlb pages by its files. */
import {
  allocFreshPages,
  allocGiganticPage,
  freeHugetlbPage,
  freePages,
  hstateOf,
  isGigantic,
  memoryNodes,
  nextToAlloc,
  nextToFree,
  persistentPages,
  removePoolPage,
  returnToBuddy,
  surplusPages,
  totalPages,
  type HugetlbPage,
  type Hstate,
} from './hugetlb';
import { caveat, passTime, type KernelState } from './kernel-state';
import { nodeById } from './mempolicy';
import { allocContext, type AllocContext } from './page-alloc';
import type { MemoryPolicy, ReplayStep } from './types';

type HugepagesStep = Extract<ReplayStep, { op: 'hugepages' }>;
type OvercommitStep = Extract<ReplayStep, { op: 'overcommit_hugepages' }>;

/** Somebody writes from the host's first CPU. */
const WRITER_CPU = 0;
const DEFAULT_SIZE_KIB = 2048;

/** What a write to one of the files left. */
export interface PoolChange {
  /** What the file says afterwards, in huge pages. */
  obtained: number;
}

/**
 * Writes a pool's size: `nr_hugepages` of a node, that of the machine, or `nr_hugepages_mempolicy` of a task.
 * @kernel mm/hugetlb.c __nr_hugepages_store_common(), set_max_huge_pages()
 * @differs whoever writes runs on the host's first CPU
 */
export function writeHugepages(k: KernelState, step: HugepagesStep): PoolChange {
  const h = hstateOf(k, step.sizeKib ?? DEFAULT_SIZE_KIB)!;
  const node = step.nodeId === undefined ? undefined : nodeById(k, step.nodeId);
  const own = node && h.nodes[node.position]!;
  const read = (): number => own?.totalPages ?? h.maxPages;
  const allowed = node ? [node.position] : nodesOfPolicy(k, step.policy);
  if (allowed.length > 0) {
    const others = own ? totalPages(h) - own.totalPages : 0;
    setMaxHugePages(k, h, step.count + others, allowed);
  }
  return { obtained: read() };
}

/** Writes how many pages may be taken beyond a pool's size. */
export function writeOvercommit(k: KernelState, step: OvercommitStep): PoolChange {
  const h = hstateOf(k, step.sizeKib ?? DEFAULT_SIZE_KIB)!;
  if (!isGigantic(h)) h.overcommitPages = step.count;
  return { obtained: h.overcommitPages };
}

/** @kernel mm/mempolicy.c init_nodemask_of_mempolicy() */
function nodesOfPolicy(k: KernelState, policy: MemoryPolicy | undefined): number[] {
  const withMemory = memoryNodes(k);
  if (!policy || policy.mode === 'default') return withMemory;
  const named = policy.nodes.map((id) => nodeById(k, id).position).sort((a, b) => a - b);
  return named.filter((position) => withMemory.includes(position));
}

/**
 * Brings the pool to `count` pages that are not surplus, as far as memory allows.
 * @param allowed node positions that gain or lose pages, ascending
 */
function setMaxHugePages(
  k: KernelState,
  h: Hstate,
  count: number,
  allowed: readonly number[],
): void {
  let surplus = surplusPages(h);
  while (surplus > 0 && count > persistentPages(h)) {
    if (!adjustSurplus(h, allowed, -1)) break;
    surplus -= 1;
  }
  if (count > persistentPages(h)) growPool(k, h, count - persistentPages(h), allowed);
  else shrinkPool(k, h, count, allowed);
  h.maxPages = persistentPages(h);
}

/** @kernel mm/hugetlb.c adjust_pool_surplus() */
function adjustSurplus(h: Hstate, allowed: readonly number[], delta: 1 | -1): boolean {
  for (let tries = 0; tries < allowed.length; tries += 1) {
    const own = h.nodes[delta < 0 ? nextToAlloc(h, allowed) : nextToFree(h, allowed)]!;
    if (delta < 0 ? own.surplusPages === 0 : own.surplusPages >= own.totalPages) continue;
    own.surplusPages += delta;
    return true;
  }
  return false;
}

/**
 * Takes pages node by node in turn until a whole round has none.
 * @kernel mm/hugetlb.c alloc_pool_huge_page(): a node that failed is not tried hard again before it gave a page
 */
function growPool(k: KernelState, h: Hstate, missing: number, allowed: readonly number[]): void {
  if (isGigantic(h)) return growGigantic(k, h, missing, allowed);
  const hard = allowed.map((position) => poolContext(k, h, position, true));
  const easy = allowed.map((position) => poolContext(k, h, position, false));
  const tired = new Set<number>();
  const before = effortOf(k);
  let left = missing;
  let failures = 0;
  while (left > 0 && failures < allowed.length) {
    const turn = allowed.indexOf(nextToAlloc(h, allowed));
    const isTired = tired.has(turn);
    // Only a node that is alone has its turns one after the other.
    const want = allowed.length === 1 && !isTired ? left : 1;
    const pages = allocFreshPages(k, h, (isTired ? easy : hard)[turn]!, want);
    if (pages.length === 0) {
      tired.add(turn);
      failures += 1;
      continue;
    }
    tired.delete(turn);
    failures = 0;
    left -= pages.length;
    for (const page of pages) freeHugetlbPage(k, h, page, WRITER_CPU);
  }
  if (effortOf(k) === before) return;
  caveat(
    k,
    'hugepages-obtained-uncertain',
    'a pool grew into memory that had to be reclaimed or compacted first: how many pages that yields differs between boots of one and the same machine, in recordings up to five times',
  );
}

/** Pages of 1 GiB: a node that failed is tried again in its next turn. */
function growGigantic(
  k: KernelState,
  h: Hstate,
  missing: number,
  allowed: readonly number[],
): void {
  let failures = 0;
  for (let left = missing; left > 0 && failures < allowed.length;) {
    const page = allocGiganticPage(k, h, k.nodes[nextToAlloc(h, allowed)]!, WRITER_CPU);
    failures = page ? 0 : failures + 1;
    if (!page) continue;
    left -= 1;
    freeHugetlbPage(k, h, page, WRITER_CPU);
  }
}

/** How often requests had to reclaim or compact. */
function effortOf({ vmstat }: KernelState): number {
  return vmstat.get('allocstall_movable') + vmstat.get('compact_stall');
}

function poolContext(k: KernelState, h: Hstate, position: number, hard: boolean): AllocContext {
  return allocContext({
    cpu: WRITER_CPU,
    preferred: k.nodes[position]!,
    thisNode: true,
    order: h.order,
    retryMayFail: hard,
    costNs: k.hardware.hugetlbPageNs,
  });
}

/** Frees what is neither in use nor reserved; what is missing then becomes surplus. */
function shrinkPool(k: KernelState, h: Hstate, count: number, allowed: readonly number[]): void {
  const inUse = totalPages(h) - freePages(h);
  let left = persistentPages(h) - Math.max(count, h.reservedPages + inUse);
  const removed: HugetlbPage[] = [];
  for (; left > 0; left -= 1) {
    const page = removePoolPage(h, allowed, false);
    if (!page) break;
    removed.push(page);
  }
  // The list that they gather on is a stack.
  for (const page of removed.reverse()) returnToBuddy(k, h, page, WRITER_CPU);
  if (removed.some(({ zone }) => !zone)) {
    caveat(
      k,
      'hugepages-without-address',
      'pages left a pool whose addresses could not be laid out: their memory stays in use',
    );
  }
  // A page of 1 GiB is freed page by page.
  const freed = removed.length * (isGigantic(h) ? h.basePages : 1);
  passTime(k, freed * k.hardware.freeNs, false);
  for (let surplus = persistentPages(h) - count; surplus > 0; surplus -= 1) {
    if (!adjustSurplus(h, allowed, 1)) break;
  }
}
