/** Memory policies: which node's list is walked, with which mask, for which page. */
import { policyNodemask } from './alloc-zones';
import { HUGE_ORDER, PAGES_PER_HUGE, ZONE_MOVABLE } from './constants';
import { countVm, type GuestState, type KernelState } from './kernel-state';
import type { MemoryGroup } from './memcg';
import { allocContext, allocPages, type AllocContext, type Segment } from './page-alloc';
import type { ThpMode } from './thp';
import type { MemoryPolicy } from './types';
import type { NodeState } from './zone';

/** A task's view of memory: its policy, its CPU, its cpuset. */
export interface PolicyContext {
  policy: MemoryPolicy;
  cpu: number;
  cpusetMems: Set<number> | null;
  cpusetList: number[] | undefined;
  guest?: GuestState;
  /** The memory cgroup that the pages are charged to. */
  group?: MemoryGroup;
  write: boolean;
  /** The pages are for page cache. */
  cache?: boolean;
  /** Virtual time per base page on the CPU's own node, and what is added on others. */
  costNs: number;
  remoteCostNs: number;
  /** What was made before under this context. */
  made?: MadeContexts;
}

/** Requests of a task, so that their zonelists are filtered once, and what else its policy comes to. */
interface MadeContexts {
  page?: AllocContext;
  pageTable?: AllocContext;
  /** By position of the node whose turn it is. */
  turns: AllocContext[];
  /** The nodes that take turns. */
  nodes?: NodeState[];
  /** Others by their kind. */
  kinds: Map<string, AllocContext>;
}

/** What was made before under a context. */
export function madeFor(pc: PolicyContext): MadeContexts {
  return (pc.made ??= { turns: [], kinds: new Map() });
}

export function nodeById(k: KernelState, id: number): NodeState {
  const node = k.nodes.find((candidate) => candidate.id === id);
  if (!node) throw new RangeError(`node ${id} is not in the model`);
  return node;
}

/** @kernel mm/mempolicy.c policy_node(), policy_nodemask() */
function baseContext(k: KernelState, pc: PolicyContext): AllocContext {
  const local = k.cpus[pc.cpu]!.node;
  const first = pc.policy.nodes[0];
  const preferred =
    pc.policy.mode === 'preferred' && first !== undefined ? nodeById(k, first) : local;
  return allocContext({
    cpu: pc.cpu,
    preferred,
    nodemask: policyNodemask(k, pc.policy, pc.cpusetList, ZONE_MOVABLE),
    cpusetMems: pc.cpusetMems,
    write: pc.write,
    cache: pc.cache ?? false,
    costNs: pc.costNs,
    remoteCostNs: pc.remoteCostNs,
    guest: pc.guest,
  });
}

/** The context of a kind of request, made once. */
function contextFor(
  k: KernelState,
  pc: PolicyContext,
  kind: string,
  values: Partial<AllocContext>,
): AllocContext {
  return madeOnce(pc, kind, () => allocContext({ ...baseContext(k, pc), ...values }));
}

/** A request that a task makes again and again, with its zonelists filtered once. */
function madeOnce(pc: PolicyContext, kind: string, make: () => AllocContext): AllocContext {
  const { kinds } = madeFor(pc);
  let ac = kinds.get(kind);
  if (!ac) {
    ac = make();
    kinds.set(kind, ac);
  }
  return ac;
}

/** Nodes of an interleave policy in ascending order, within the cpuset. */
export function interleaveNodes(k: KernelState, pc: PolicyContext): readonly NodeState[] {
  return (madeFor(pc).nodes ??= nodesInTurn(k, pc));
}

function nodesInTurn(k: KernelState, pc: PolicyContext): NodeState[] {
  const ids = pc.policy.nodes.filter((id) => pc.cpusetMems?.has(id) ?? true);
  return (ids.length > 0 ? ids : pc.policy.nodes)
    .slice()
    .sort((a, b) => a - b)
    .map((id) => nodeById(k, id));
}

/**
 * Allocates order-0 pages by a policy other than interleave, one segment at a time.
 * @kernel mm/mempolicy.c alloc_pages_preferred_many(), __alloc_pages()
 */
export function allocByPolicy(
  k: KernelState,
  pc: PolicyContext,
  want: number,
): Segment | undefined {
  if (pc.policy.mode !== 'preferred_many') {
    return allocPages(k, (madeFor(pc).page ??= baseContext(k, pc)), want);
  }
  const within = contextFor(k, pc, 'page in the set', { directReclaim: false });
  return (
    allocPages(k, within, want) ??
    allocPages(k, contextFor(k, pc, 'page anywhere', { nodemask: null, secondPass: true }), 1)
  );
}

/** A request for a page whose turn is `target`'s: that node's own list, without a mask. */
export function turnContext(k: KernelState, pc: PolicyContext, target: NodeState): AllocContext {
  const { turns } = madeFor(pc);
  return (turns[target.position] ??= allocContext({
    ...baseContext(k, pc),
    preferred: target,
    nodemask: null,
  }));
}

/** Allocates for an interleaved page whose turn is `target`'s. */
export function allocInterleaved(
  k: KernelState,
  pc: PolicyContext,
  target: NodeState,
  want: number,
): Segment | undefined {
  const segment = allocPages(k, turnContext(k, pc, target), want);
  if (segment?.zone.node === target) {
    target.numastat.interleaveHit += segment.pages;
    countVm(k, 'numa_interleave', segment.pages);
  }
  return segment;
}

/**
 * One huge page for a fault, or undefined: then base pages are used.
 * @param mode what the fault may do (by `defrag` and madvise), the same for all faults under a context
 * @param block 2 MiB index of the address, which picks the node under interleave
 * @kernel mm/mempolicy.c vma_alloc_folio()
 */
export function allocHuge(
  k: KernelState,
  pc: PolicyContext,
  block: number,
  mode: ThpMode,
): Segment | undefined {
  const contextOf = (kind: string, values: Partial<AllocContext> = {}): AllocContext =>
    madeOnce(pc, kind, () =>
      allocContext({
        ...baseContext(k, pc),
        order: HUGE_ORDER,
        directReclaim: mode.reclaim,
        wakeKswapd: mode.wakeKswapd,
        noRetry: mode.noRetry,
        noMemalloc: true,
        costNs: k.hardware.hugeFaultNs,
        remoteCostNs: 0,
        ...values,
      }),
    );
  const request = (kind: string, values: Partial<AllocContext>): Segment | undefined =>
    allocPages(k, contextOf(kind, values), 1);
  if (pc.policy.mode === 'interleave') {
    const nodes = interleaveNodes(k, pc);
    const target = nodes[block % nodes.length]!;
    const segment = request(`huge on ${target.id}`, { preferred: target, nodemask: null });
    if (segment?.zone.node === target) {
      target.numastat.interleaveHit += 1;
      countVm(k, 'numa_interleave');
    }
    return segment;
  }
  if (pc.policy.mode === 'preferred_many') {
    return (
      request('huge in the set', { directReclaim: false }) ??
      request('huge anywhere', { nodemask: null, secondPass: true })
    );
  }
  const base = contextOf('huge');
  if (!(base.nodemask?.has(base.preferred.id) ?? true)) return allocPages(k, base, 1);
  // The local try neither retries nor reclaims after a failed compaction (6.1.y).
  const local = request('huge here', { thisNode: true, noRetry: true });
  if (local || !mode.reclaim) return local;
  return allocPages(k, base, 1);
}

/**
 * The request that a fault on hugetlb pages stands for: it says in which order nodes are asked for a free page, and takes a
 * surplus page itself.
 * @param index of the huge page in its mapping, which picks the node under interleave
 * @param wider `preferred_many`: without waiting inside the set, or anywhere
 * @kernel mm/mempolicy.c huge_node()
 */
export function hugetlbContext(
  k: KernelState,
  pc: PolicyContext,
  order: number,
  index: number,
  wider?: 'noReclaim' | 'anywhere',
): AllocContext {
  const common = { order, retryMayFail: true, remoteCostNs: 0, costNs: k.hardware.hugetlbPageNs };
  if (pc.policy.mode === 'interleave') {
    const nodes = interleaveNodes(k, pc);
    const preferred = nodes[index % nodes.length]!;
    return contextFor(k, pc, `hugetlb on ${preferred.id}`, {
      ...common,
      preferred,
      nodemask: null,
    });
  }
  const { mode, nodes } = pc.policy;
  return contextFor(k, pc, `hugetlb ${wider ?? ''}`, {
    ...common,
    // Unlike other requests this one stays bound where the cpuset leaves none of the nodes.
    ...(mode === 'bind' && { nodemask: new Set(nodes) }),
    ...(wider === 'noReclaim' && { directReclaim: false }),
    ...(wider === 'anywhere' && { nodemask: null, secondPass: true }),
  });
}

/** Whole 2 MiB blocks of a region. */
export function blockCount(sizePages: number): number {
  return Math.ceil(sizePages / PAGES_PER_HUGE);
}
