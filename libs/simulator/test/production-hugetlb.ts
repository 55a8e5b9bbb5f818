/** Operations of the machine on the pool of huge pages, by the simulator's own functions. */
import { PAGES_PER_HUGE } from '../src/constants';
import { mapHugetlb, touchHugetlb, unmapHugetlb, zapHugetlb } from '../src/hugetlb-fault';
import { writeHugepages, writeOvercommit } from '../src/hugetlb-pool';
import type { KernelState } from '../src/kernel-state';
import type { PolicyContext } from '../src/mempolicy';
import type { RegionSpec } from '../src/types';
import type { HugetlbOp, MachinePolicy } from './machine';
import type { HugeOwner } from './production-picture';

type MapOp = Extract<HugetlbOp, { op: 'mapHuge' }>;

function regionOf({ policy, mems, pages, reserve }: MapOp): RegionSpec {
  return {
    cell: 0,
    sizePages: pages * PAGES_PER_HUGE,
    policy,
    policyScope: 'task',
    cpuNodes: [],
    ...(mems && { cpusetMems: mems }),
    thp: 'none',
    hugetlb: { sizeKib: 2048, reserve },
    pinned: false,
  };
}

type ContextOf = (cpu: number, policy: MachinePolicy, mems: number[] | null) => PolicyContext;

/**
 * @param contextOf who faults
 * @returns the operation's answer
 */
export function hugetlbOperation(
  k: KernelState,
  mappings: Map<number, HugeOwner>,
  op: HugetlbOp,
  contextOf: ContextOf,
): number {
  switch (op.op) {
    case 'hugepages': {
      const { count, node, policy } = op;
      const step = { op: 'hugepages', count, policy } as const;
      return writeHugepages(k, node === null ? step : { ...step, nodeId: node }).obtained;
    }
    case 'overcommit':
      return writeOvercommit(k, { op: 'overcommit_hugepages', count: op.count }).obtained;
    case 'mapHuge': {
      if (mappings.has(op.mapping)) return 0;
      const { cpu } = contextOf(op.cpu, op.policy, op.mems);
      const mapping = mapHugetlb(k, regionOf(op), cpu);
      if (mapping) mappings.set(op.mapping, { mapping, pages: op.pages });
      return mapping ? 1 : 0;
    }
    case 'touchHuge':
    case 'zapHuge':
    case 'unmapHuge':
      return ofMapping(k, mappings, op, contextOf) / PAGES_PER_HUGE;
  }
}

/** @returns base pages touched or freed */
function ofMapping(
  k: KernelState,
  mappings: Map<number, HugeOwner>,
  op: Extract<HugetlbOp, { op: 'touchHuge' | 'zapHuge' | 'unmapHuge' }>,
  contextOf: ContextOf,
): number {
  const owner = mappings.get(op.mapping);
  if (!owner) return 0;
  const { mapping, pages } = owner;
  const { cpu } = contextOf(op.cpu, { mode: 'default', nodes: [] }, null);
  if (op.op === 'unmapHuge') {
    mappings.delete(op.mapping);
    return unmapHugetlb(k, mapping, cpu);
  }
  const from = op.from * PAGES_PER_HUGE;
  const size = Math.max(Math.min(op.count, pages - op.from), 0) * PAGES_PER_HUGE;
  if (op.op === 'zapHuge') return zapHugetlb(k, mapping, from, from + size, cpu);
  return touchHugetlb(k, mapping, [contextOf(op.cpu, op.policy, op.mems)], from, size);
}
