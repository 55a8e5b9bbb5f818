/** The pool of huge pages of order 9, and mappings on it, page by page as mm/hugetlb.c of 6.1 keeps them. */
import type { HugetlbOp, MachinePolicy } from '../machine';
import { note } from './events';
import { allocPages } from './page-alloc';
import { freePage } from './pcp';
import { filtered } from './policy';
import type { AllocTry } from './policy';
import { MOVABLE, ZONE_MOVABLE, count, sum, zoneOf } from './state';
import type { Cpu, HugetlbMapping, HugetlbPool, Node, System } from './state';
import { letKswapdsAct } from './kswapd';

const HUGE_ORDER = 9;
/** Somebody writes the pool's files there. */
const WRITER_CPU = 0;
export const NO_PAGE = -1;

type Op<K extends HugetlbOp['op']> = Extract<HugetlbOp, { op: K }>;

/** An empty pool. @kernel mm/hugetlb.c hugetlb_add_hstate() */
export function createPool(nodes: readonly Node[]): HugetlbPool {
  const first = nodes.find((node) => node.zones.length > 0)?.id ?? 0;
  return {
    reserved: 0,
    overcommit: 0,
    max: 0,
    nextToAlloc: first,
    nextToFree: first,
    nodes: nodes.map(() => ({ total: 0, surplus: 0, free: [] })),
    mappings: new Map(),
  };
}

const totalOf = (pool: HugetlbPool): number => sum(pool.nodes, ({ total }) => total);
export const freeOf = (pool: HugetlbPool): number => sum(pool.nodes, ({ free }) => free.length);
const surplusOf = (pool: HugetlbPool): number => sum(pool.nodes, ({ surplus }) => surplus);
const persistentOf = (pool: HugetlbPool): number => totalOf(pool) - surplusOf(pool);

export function nodeOfPage(system: System, page: number): HugetlbPool['nodes'][number] {
  return system.hugetlb.nodes[zoneOf(system, page).node.id] as HugetlbPool['nodes'][number];
}

/** Who asks for a fresh page, and where it may lie. */
interface FreshRequest {
  cpu: number;
  node: Node;
  mask: readonly number[] | null;
  mems: readonly number[] | null;
  /** __GFP_THISNODE */
  thisNode: boolean;
  directReclaim: boolean;
  /** Nodes that failed before, which are not tried hard again. */
  failed?: Set<Node>;
}

function attemptOf(system: System, request: FreshRequest): AllocTry {
  const { cpu, node, mask, mems, thisNode, directReclaim, failed } = request;
  const named = filtered(node, mask, ZONE_MOVABLE).filter(
    (zone) => !thisNode || zone.node === node,
  );
  const within = named.filter((zone) => mems === null || mems.includes(zone.node.id));
  const context = {
    cpu,
    order: HUGE_ORDER,
    type: MOVABLE,
    classIndex: ZONE_MOVABLE,
    atomic: false,
    directReclaim,
    retryMayFail: failed?.has(node) !== true,
    zonelist: within,
  } as const;
  return {
    fast: { ...context, preferred: mask === null ? within[0] : named[0] },
    slow: {
      ...context,
      preferred: named[0],
      named,
      within,
      everywhere: filtered(node, null, ZONE_MOVABLE),
    },
    interleaveNode: null,
  };
}

/**
 * Takes a page from the buddy allocator and counts it for its node.
 * @kernel mm/hugetlb.c alloc_fresh_huge_page(), alloc_buddy_huge_page(), prep_new_huge_page()
 */
export function allocFresh(system: System, request: FreshRequest, goesOn = false): number {
  if (!goesOn) {
    letKswapdsAct(system);
  }
  const page = allocPages(system, attemptOf(system, request));
  if (page === NO_PAGE) {
    request.failed?.add(request.node);
    count(system, 'htlb_buddy_alloc_fail');
    note(system, 'huge page not to be had');
    return NO_PAGE;
  }
  count(system, 'htlb_buddy_alloc_success');
  request.failed?.delete(request.node);
  system.pages.huge[page] = 1;
  system.timeNs += system.config.costs.hugetlbPageNs;
  nodeOfPage(system, page).total += 1;
  return page;
}

/** @kernel mm/hugetlb.c __update_and_free_page() */
export function giveBack(system: System, page: number, cpu: number): void {
  system.pages.huge[page] = 0;
  freePage(system, page, HUGE_ORDER, cpu);
}

/** @kernel mm/hugetlb.c enqueue_huge_page() */
function enqueue(system: System, page: number): void {
  nodeOfPage(system, page).free.unshift(page);
}

/** @kernel mm/hugetlb.c free_huge_page() */
export function freeHugePage(system: System, page: number, cpu: number): void {
  const own = nodeOfPage(system, page);
  if (own.surplus > 0 && system.mutation !== 'surplus huge page stays in its pool') {
    own.total -= 1;
    own.surplus -= 1;
    note(system, 'surplus huge page freed');
    giveBack(system, page, cpu);
    return;
  }
  enqueue(system, page);
}

/** The node at which a walk goes on, and the one behind it. @kernel mm/hugetlb.c get_valid_node_allowed(), next_node_allowed() */
function turnOf(next: number, allowed: readonly number[]): { node: number; behind: number } {
  const behindOf = (id: number): number =>
    allowed.find((other) => other > id) ?? (allowed[0] as number);
  const node = allowed.includes(next) ? next : behindOf(next);
  return { node, behind: behindOf(node) };
}

/** Calls `look` for each allowed node from where the last walk ended, until it returns true. */
function walk(
  system: System,
  which: 'nextToAlloc' | 'nextToFree',
  allowed: readonly number[],
  look: (own: HugetlbPool['nodes'][number], id: number) => boolean,
): boolean {
  const pool = system.hugetlb;
  for (let left = allowed.length; left > 0; left--) {
    const { node, behind } = turnOf(pool[which], allowed);
    pool[which] = system.mutation === 'huge page walk stays at its node' ? node : behind;
    if (look(pool.nodes[node] as HugetlbPool['nodes'][number], node)) {
      return true;
    }
  }
  return false;
}

/** @kernel mm/hugetlb.c adjust_pool_surplus() */
function adjustSurplus(system: System, allowed: readonly number[], delta: 1 | -1): boolean {
  const which = delta < 0 ? 'nextToAlloc' : 'nextToFree';
  return walk(system, which, allowed, (own) => {
    const fits = delta < 0 ? own.surplus > 0 : own.surplus < own.total;
    if (fits) {
      own.surplus += delta;
      note(system, delta < 0 ? 'surplus huge page kept' : 'huge page made surplus');
    }
    return fits;
  });
}

/** @kernel mm/hugetlb.c remove_pool_huge_page() */
function removeFree(system: System, allowed: readonly number[], surplus: boolean): number {
  let page = NO_PAGE;
  walk(system, 'nextToFree', allowed, (own) => {
    if ((surplus && own.surplus === 0) || own.free.length === 0) {
      return false;
    }
    page = own.free.shift() as number;
    own.total -= 1;
    own.surplus -= surplus ? 1 : 0;
    return true;
  });
  return page;
}

function growByOne(system: System, allowed: readonly number[], failed: Set<Node>): boolean {
  return walk(system, 'nextToAlloc', allowed, (_, id) => {
    const page = allocFresh(system, {
      cpu: WRITER_CPU,
      node: system.nodes[id] as Node,
      mask: allowed,
      mems: null,
      thisNode: true,
      directReclaim: true,
      failed,
    });
    if (page === NO_PAGE) {
      return false;
    }
    freeHugePage(system, page, WRITER_CPU);
    note(system, 'huge page pool grown');
    return true;
  });
}

/** @kernel mm/hugetlb.c set_max_huge_pages() */
function setMax(system: System, wanted: number, allowed: readonly number[]): void {
  const pool = system.hugetlb;
  while (surplusOf(pool) > 0 && wanted > persistentOf(pool)) {
    if (!adjustSurplus(system, allowed, -1)) {
      break;
    }
  }
  const failed = new Set<Node>();
  while (wanted > persistentOf(pool)) {
    if (!growByOne(system, allowed, failed)) {
      pool.max = persistentOf(pool);
      return;
    }
  }
  const kept = system.mutation === 'shrinking frees reserved huge pages' ? 0 : pool.reserved;
  const least = Math.max(wanted, kept + totalOf(pool) - freeOf(pool));
  const gone: number[] = [];
  while (least < persistentOf(pool)) {
    const page = removeFree(system, allowed, false);
    if (page === NO_PAGE) {
      break;
    }
    gone.unshift(page);
  }
  note(system, 'huge page pool shrunk', gone.length);
  for (const page of gone) {
    giveBack(system, page, WRITER_CPU);
  }
  system.timeNs += gone.length * system.config.costs.freeNs;
  while (wanted < persistentOf(pool)) {
    if (!adjustSurplus(system, allowed, 1)) {
      break;
    }
  }
  pool.max = persistentOf(pool);
}

function memoryNodes(system: System): number[] {
  return system.nodes.filter(({ hasMemory }) => hasMemory).map(({ id }) => id);
}

/** @kernel mm/hugetlb.c __nr_hugepages_store_common(), mm/mempolicy.c init_nodemask_of_mempolicy() */
function writeSize(system: System, op: Op<'hugepages'>): number {
  const pool = system.hugetlb;
  if (op.node !== null) {
    const own = pool.nodes[op.node] as HugetlbPool['nodes'][number];
    setMax(system, op.count + totalOf(pool) - own.total, [op.node]);
    return own.total;
  }
  const withMemory = memoryNodes(system);
  const named = op.policy.mode === 'default' ? withMemory : op.policy.nodes;
  const allowed = named.filter((id) => withMemory.includes(id)).sort((a, b) => a - b);
  if (allowed.length > 0) {
    setMax(system, op.count, allowed);
  }
  return pool.max;
}

/** @kernel mm/hugetlb.c alloc_surplus_huge_page() */
function allocSurplus(system: System, request: FreshRequest, goesOn = false): number {
  if (surplusOf(system.hugetlb) >= system.hugetlb.overcommit) {
    return NO_PAGE;
  }
  const page = allocFresh(system, request, goesOn);
  if (page !== NO_PAGE) {
    nodeOfPage(system, page).surplus += 1;
    note(system, 'surplus huge page taken');
  }
  return page;
}

/** @kernel mm/hugetlb.c gather_surplus_pages() */
function gatherSurplus(system: System, op: Op<'mapHuge'>, cpu: number): boolean {
  const pool = system.hugetlb;
  const gathered: number[] = [];
  const request = {
    ...{ cpu, node: (system.cpus[cpu] as Cpu).node, mask: null, mems: op.mems },
    ...{ thisNode: false, directReclaim: true },
  };
  while (pool.reserved + op.pages > freeOf(pool) + gathered.length) {
    const page = allocSurplus(system, request);
    if (page === NO_PAGE) {
      gathered.forEach((spare) => freeHugePage(system, spare, cpu));
      return false;
    }
    gathered.unshift(page);
  }
  pool.reserved += op.pages;
  gathered.forEach((page) => enqueue(system, page));
  return true;
}

/** @kernel mm/hugetlb.c return_unused_surplus_pages() */
function unreserve(system: System, pages: number, cpu: number): void {
  const pool = system.hugetlb;
  pool.reserved -= pages;
  const gone: number[] = [];
  for (let left = Math.min(pages, surplusOf(pool)); left > 0; left--) {
    const page = removeFree(system, memoryNodes(system), true);
    if (page === NO_PAGE) {
      break;
    }
    gone.unshift(page);
  }
  for (const page of gone) {
    giveBack(system, page, cpu);
  }
}

/** Free pages within the task's cpuset and bind. @kernel mm/hugetlb.c allowed_mems_nr() */
function allowedFree(system: System, op: Op<'mapHuge'>): number {
  const { mode, nodes } = op.policy;
  const binds = mode === 'bind' && nodes.some((id) => op.mems?.includes(id) ?? true);
  return sum(
    system.nodes.filter(
      ({ id }) => (op.mems?.includes(id) ?? true) && (!binds || nodes.includes(id)),
    ),
    ({ id }) => system.hugetlb.nodes[id]?.free.length ?? 0,
  );
}

/** @kernel mm/hugetlb.c hugetlb_reserve_pages(), hugetlb_acct_memory() */
function map(system: System, op: Op<'mapHuge'>, cpu: number): number {
  const { mappings } = system.hugetlb;
  if (mappings.has(op.mapping)) {
    return 0;
  }
  if (op.reserve && op.pages > 0) {
    if (!gatherSurplus(system, op, cpu)) {
      note(system, 'huge page mapping refused');
      return 0;
    }
    if (op.pages > allowedFree(system, op)) {
      note(system, 'huge page mapping refused');
      unreserve(system, op.pages, cpu);
      return 0;
    }
  }
  const each = <T>(value: T): T[] => new Array<T>(op.pages).fill(value);
  mappings.set(op.mapping, { pages: each(NO_PAGE), reserves: each(op.reserve) });
  return 1;
}

/** Where a fault looks, in order. @kernel mm/mempolicy.c huge_node() */
function placesOf(
  system: System,
  policy: MachinePolicy,
  mems: readonly number[] | null,
  cpu: number,
  index: number,
): { node: Node; mask: readonly number[] | null }[] {
  const { node } = system.cpus[cpu] as Cpu;
  const nodeAt = (id: number | undefined): Node => system.nodes[id ?? -1] as Node;
  switch (policy.mode) {
    case 'default':
      return [{ node, mask: null }];
    case 'preferred':
      return [{ node: nodeAt(policy.nodes[0]), mask: null }];
    case 'bind':
      return [{ node, mask: policy.nodes }];
    case 'preferred_many':
      return [
        { node, mask: policy.nodes },
        { node, mask: null },
      ];
    case 'interleave': {
      const within = policy.nodes.filter((id) => mems?.includes(id) ?? true);
      const nodes = within.length > 0 ? within : policy.nodes;
      return [{ node: nodeAt(nodes[index % nodes.length]), mask: null }];
    }
  }
}

/** @kernel mm/hugetlb.c dequeue_huge_page_nodemask() */
export function dequeue(
  system: System,
  node: Node,
  mask: readonly number[] | null,
  mems: readonly number[] | null,
): number {
  const zones = filtered(node, mask, ZONE_MOVABLE);
  for (const zone of zones.filter((other) => mems?.includes(other.node.id) ?? true)) {
    const page = system.hugetlb.nodes[zone.node.id]?.free.shift();
    if (page !== undefined) {
      return page;
    }
  }
  return NO_PAGE;
}

/** @kernel mm/hugetlb.c hugetlb_no_page(), alloc_huge_page(), dequeue_huge_page_vma(), alloc_buddy_huge_page_with_mpol() */
function fault(
  system: System,
  op: Op<'touchHuge'>,
  mapping: HugetlbMapping,
  cpu: number,
  index: number,
): boolean {
  count(system, 'pgfault');
  const pool = system.hugetlb;
  const reserves = mapping.reserves[index] === true;
  const places = placesOf(system, op.policy, op.mems, cpu, index);
  let page = NO_PAGE;
  const ignored = system.mutation === 'huge page faults ignore reservations';
  if (reserves || ignored || freeOf(pool) > pool.reserved) {
    for (const { node, mask } of places) {
      page = page === NO_PAGE ? dequeue(system, node, mask, op.mems) : page;
    }
    note(system, 'huge page fault served by the pool', page === NO_PAGE ? 0 : 1);
  }
  places.forEach(({ node, mask }, i) => {
    if (page === NO_PAGE) {
      // Before the last place there is no waiting.
      const directReclaim = i === places.length - 1;
      const request = { cpu, node, mask, mems: op.mems, thisNode: false, directReclaim };
      page = allocSurplus(system, request, i > 0);
    }
  });
  if (page === NO_PAGE) {
    note(system, 'huge page fault refused');
    return false;
  }
  if (reserves) {
    mapping.reserves[index] = false;
    pool.reserved -= 1;
  }
  mapping.pages[index] = page;
  system.timeNs += system.config.costs.hugeFaultNs;
  return true;
}

function touch(system: System, op: Op<'touchHuge'>, cpu: number): number {
  const mapping = system.hugetlb.mappings.get(op.mapping);
  const end = Math.min(op.from + op.count, mapping?.pages.length ?? 0);
  let done = 0;
  for (let index = op.from; mapping !== undefined && index < end; index++) {
    if (mapping.pages[index] === NO_PAGE && !fault(system, op, mapping, cpu, index)) {
      break;
    }
    done++;
  }
  return done;
}

/** @kernel mm/hugetlb.c __unmap_hugepage_range() */
function zap(system: System, number: number, from: number, to: number, cpu: number): number {
  const mapping = system.hugetlb.mappings.get(number);
  let done = 0;
  for (let index = from; index < Math.min(to, mapping?.pages.length ?? 0); index++) {
    const page = mapping?.pages[index] ?? NO_PAGE;
    if (mapping !== undefined && page !== NO_PAGE) {
      mapping.pages[index] = NO_PAGE;
      freeHugePage(system, page, cpu);
      done++;
    }
  }
  return done;
}

/** @kernel mm/hugetlb.c hugetlb_vm_op_close() */
function unmap(system: System, number: number, cpu: number): number {
  const done = zap(system, number, 0, Infinity, cpu);
  const mapping = system.hugetlb.mappings.get(number);
  const unused = mapping?.reserves.filter((reserves) => reserves).length ?? 0;
  if (unused > 0) {
    unreserve(system, unused, cpu);
  }
  system.hugetlb.mappings.delete(number);
  return done;
}

/** @param cpuOf position of the CPU with a number */
export function runHugetlb(system: System, op: HugetlbOp, cpuOf: (cpu: number) => number): number {
  const cpu = 'cpu' in op ? cpuOf(op.cpu) : WRITER_CPU;
  system.runningCpu = cpu;
  switch (op.op) {
    case 'hugepages':
      return writeSize(system, op);
    case 'overcommit':
      system.hugetlb.overcommit = op.count;
      return op.count;
    case 'mapHuge':
      return map(system, op, cpu);
    case 'touchHuge':
      return touch(system, op, cpu);
    case 'zapHuge':
      return zap(system, op.mapping, op.from, op.from + op.count, cpu);
    case 'unmapHuge':
      return unmap(system, op.mapping, cpu);
  }
}
