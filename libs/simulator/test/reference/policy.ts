import type { MachinePolicy, MigrateType, RequestKind } from '../machine';
import { MOVABLE, UNMOVABLE } from './state';
import type { Cpu, Node, System, Zone } from './state';

/** What the page allocator works with. @kernel mm/internal.h struct alloc_context */
export interface AllocContext {
  /** Position of the CPU that asks. */
  cpu: number;
  order: number;
  type: MigrateType;
  /** Highest zone index that may serve. */
  classIndex: number;
  /** GFP_ATOMIC. */
  atomic: boolean;
  /** May reclaim by itself. */
  directReclaim: boolean;
  /** Filtered by policy and cpuset; its first zone is the preferred one. */
  zonelist: Zone[];
}

/** One call of the page allocator for a request. */
export interface AllocTry {
  /** First attempt: within policy and cpuset. */
  fast: AllocContext;
  /** Slow path: atomic requests leave the cpuset. */
  slow: AllocContext;
  /** Served by this node counts as interleave; null: not interleaved. */
  interleaveNode: Node | null;
}

function filtered(node: Node, mask: readonly number[] | null, classIndex: number): Zone[] {
  return node.zonelist.filter(
    (zone) => zone.index <= classIndex && (mask === null || mask.includes(zone.node.id)),
  );
}

function nodeOf(system: System, id: number | undefined): Node {
  const node = system.nodes[id ?? -1];
  if (node === undefined) {
    throw new RangeError(`node ${String(id)} is not one of the ${system.nodes.length} nodes`);
  }
  return node;
}

/**
 * The tries a request makes, one after the other, under a policy and a cpuset.
 * @kernel mm/mempolicy.c policy_nodemask(), policy_node(), alloc_pages_preferred_many(), offset_il_node()
 * @differs the cpuset's nodes are part of the nodemask instead of being checked zone by zone
 * @param index the index the owner's page will have, which decides its node when interleaved
 */
export function allocTries(
  system: System,
  request: {
    kind: RequestKind;
    order: number;
    type: MigrateType;
    policy: MachinePolicy;
    mems: readonly number[] | null;
    cpu: number;
    index: number;
  },
): AllocTry[] {
  const { kind, policy, mems } = request;
  const user = kind === 'anon' || kind === 'file';
  const atomic = kind === 'atomic';
  const classIndex = user ? 3 : 2;
  const cpuNode = (system.cpus[request.cpu] as Cpu).node;
  policy.nodes.forEach((id) => nodeOf(system, id));
  const inMems = policy.nodes.filter((id) => mems === null || mems.includes(id));

  const make = (
    node: Node,
    mask: readonly number[] | null,
    slowMask: readonly number[] | null,
    directReclaim: boolean,
    interleaveNode: Node | null = null,
  ): AllocTry => {
    const context = {
      cpu: request.cpu,
      order: request.order,
      type: user ? MOVABLE : kind === 'kernel' ? request.type : UNMOVABLE,
      classIndex,
      atomic,
      directReclaim: directReclaim && !atomic,
    };
    return {
      fast: { ...context, zonelist: filtered(node, mask, classIndex) },
      slow: { ...context, zonelist: filtered(node, atomic ? slowMask : mask, classIndex) },
      interleaveNode,
    };
  };

  switch (policy.mode) {
    case 'default':
      return [make(cpuNode, mems, null, true)];
    case 'preferred':
      return [make(nodeOf(system, policy.nodes[0]), mems, null, true)];
    case 'bind':
      return inMems.length > 0
        ? [make(cpuNode, inMems, policy.nodes, true)]
        : [make(cpuNode, mems, null, true)];
    case 'preferred_many': {
      const second = make(cpuNode, mems, null, true);
      // Atomic requests leave the cpuset in the slow path of the first pass already.
      return inMems.length > 0 || atomic
        ? [make(cpuNode, inMems, policy.nodes, false), second]
        : [second];
    }
    case 'interleave': {
      if (!user) {
        return [make(cpuNode, mems, null, true)];
      }
      const nodes = inMems.length > 0 ? inMems : policy.nodes;
      const index = request.index + (system.mutation === 'interleave index off by one' ? 1 : 0);
      const node = nodeOf(system, nodes[index % nodes.length]);
      return [make(node, mems, null, true, node)];
    }
  }
}
