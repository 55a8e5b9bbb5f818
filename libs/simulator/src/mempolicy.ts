/** Memory policies: which node's list is walked, with which mask, for which page. */
import { PAGES_PER_HUGE } from './constants';
import { countVm, policyNodemask, type GuestState, type KernelState } from './kernel-state';
import { allocPages, type AllocContext, type Segment } from './page-alloc';
import type { MemoryPolicy } from './types';
import type { NodeState } from './zone';

/** A task's view of memory: its policy, its CPU, its cpuset. */
export interface PolicyContext {
  policy: MemoryPolicy;
  cpu: number;
  cpusetMems: Set<number> | null;
  cpusetList: number[] | undefined;
  guest?: GuestState;
  write: boolean;
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
  const ac: AllocContext = {
    cpu: pc.cpu,
    preferred,
    nodemask: policyNodemask(pc.policy, pc.cpusetList),
    cpusetMems: pc.cpusetMems,
    order: 0,
    directReclaim: true,
    wakeKswapd: true,
    thisNode: false,
    write: pc.write,
  };
  if (pc.guest) ac.guest = pc.guest;
  return ac;
}

/** Nodes of an interleave policy in ascending order, within the cpuset. */
export function interleaveNodes(k: KernelState, pc: PolicyContext): NodeState[] {
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
  const ac = baseContext(k, pc);
  if (pc.policy.mode !== 'preferred_many') return allocPages(k, ac, want);
  const first = allocPages(k, { ...ac, directReclaim: false }, want);
  return first ?? allocPages(k, { ...ac, nodemask: null }, want);
}

/** Allocates for an interleaved page whose turn is `target`'s: that node's own list, without a mask. */
export function allocInterleaved(
  k: KernelState,
  pc: PolicyContext,
  target: NodeState,
  want: number,
): Segment | undefined {
  const ac: AllocContext = { ...baseContext(k, pc), preferred: target, nodemask: null };
  const segment = allocPages(k, ac, want);
  if (segment?.zone.node === target) {
    target.numastat.interleaveHit += segment.pages;
    countVm(k, 'numa_interleave', segment.pages);
  }
  return segment;
}

/**
 * One huge page for a fault, or undefined: then base pages are used.
 * @param reclaim the fault may reclaim and compact (by `defrag` and madvise)
 * @param block 2 MiB index of the address, which picks the node under interleave
 * @kernel mm/mempolicy.c vma_alloc_folio()
 */
export function allocHuge(
  k: KernelState,
  pc: PolicyContext,
  block: number,
  reclaim: boolean,
  wakeKswapd: boolean,
): Segment | undefined {
  const base: AllocContext = {
    ...baseContext(k, pc),
    order: 9,
    directReclaim: reclaim,
    wakeKswapd,
  };
  if (pc.policy.mode === 'interleave') {
    const nodes = interleaveNodes(k, pc);
    const target = nodes[block % nodes.length]!;
    const segment = allocPages(k, { ...base, preferred: target, nodemask: null }, 1);
    if (segment?.zone.node === target) {
      target.numastat.interleaveHit += 1;
      countVm(k, 'numa_interleave');
    }
    return segment;
  }
  if (pc.policy.mode === 'preferred_many') {
    return (
      allocPages(k, { ...base, directReclaim: false }, 1) ??
      allocPages(k, { ...base, nodemask: null }, 1)
    );
  }
  const allowed = base.nodemask?.has(base.preferred.id) ?? true;
  if (!allowed) return allocPages(k, base, 1);
  // The local try neither retries nor reclaims after a failed compaction (6.1.y).
  const local = allocPages(k, { ...base, thisNode: true, noRetry: true }, 1);
  if (local || !reclaim) return local;
  return allocPages(k, base, 1);
}

/** Whole 2 MiB blocks of a region. */
export function blockCount(sizePages: number): number {
  return Math.ceil(sizePages / PAGES_PER_HUGE);
}
