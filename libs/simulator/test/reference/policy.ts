import { isUserKind } from '../machine';
import type { MachinePolicy, MigrateType, RequestKind } from '../machine';
import { MOVABLE, UNMOVABLE, ZONE_MOVABLE, ZONE_NORMAL } from './state';
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
  /** __GFP_RETRY_MAYFAIL: goes on for a large block too, as long as there is progress. */
  retryMayFail?: boolean;
  /** The zones that may serve, in order. */
  zonelist: Zone[];
  /** Statistics and node reclaim go by its node; not always one that may serve. */
  preferred: Zone | undefined;
}

/** The slow path looks at several lists. */
export interface SlowContext extends AllocContext {
  /** Without the cpuset. */
  named: Zone[];
  /** Within the cpuset. */
  within: Zone[];
  /** Without policy and cpuset. */
  everywhere: Zone[];
}

/** One call of the page allocator for a request. */
export interface AllocTry {
  /** First attempt: within policy and cpuset. */
  fast: AllocContext;
  /** Slow path: kernel memory may leave the cpuset. */
  slow: SlowContext;
  /** Served by this node counts as interleave; null: not interleaved. */
  interleaveNode: Node | null;
}

/** A node's zones in the order of its list, within a mask and a class. */
export function filtered(node: Node, mask: readonly number[] | null, classIndex: number): Zone[] {
  return node.zonelist.filter(
    (zone) => zone.index <= classIndex && (mask === null || mask.includes(zone.node.id)),
  );
}

/**
 * Does a bind hold for this class? Not below the highest zone but Movable that the machine ever had, and for nodes with
 * nothing but Movable only for movable requests.
 * @kernel mm/mempolicy.c apply_policy_zone(), include/linux/mempolicy.h check_highest_zone()
 */
function bindHolds(system: System, ids: readonly number[], classIndex: number): boolean {
  if (system.mutation === 'bind holds for every class') {
    return true;
  }
  const onlyMovable = ids.every((id) =>
    nodeOf(system, id).zones.every((zone) => zone.index === ZONE_MOVABLE),
  );
  return classIndex >= (onlyMovable ? ZONE_MOVABLE : system.policyZone);
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
 * @differs no cpuset but the root is a hardwall
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
    highest?: 0 | 1;
  },
): AllocTry[] {
  const { kind, policy, mems } = request;
  const user = isUserKind(kind);
  const atomic = kind === 'atomic';
  const classIndex = user ? ZONE_MOVABLE : (request.highest ?? ZONE_NORMAL);
  const cpuNode = (system.cpus[request.cpu] as Cpu).node;
  policy.nodes.forEach((id) => nodeOf(system, id));
  const inMems = policy.nodes.filter((id) => mems === null || mems.includes(id));

  const make = (
    node: Node,
    mask: readonly number[] | null,
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
    const named = filtered(node, mask, classIndex);
    const within = named.filter((zone) => mems === null || mems.includes(zone.node.id));
    const hardwall = user || system.mutation === 'kernel memory stays in the cpuset';
    return {
      // Where the policy gives no mask, the fast path takes the cpuset for one.
      fast: { ...context, zonelist: within, preferred: mask === null ? within[0] : named[0] },
      slow: {
        ...context,
        zonelist: hardwall ? within : named,
        preferred: named[0],
        named,
        within,
        everywhere: filtered(node, null, classIndex),
      },
      interleaveNode,
    };
  };

  switch (policy.mode) {
    case 'default':
      return [make(cpuNode, null, true)];
    case 'preferred':
      return [make(nodeOf(system, policy.nodes[0]), null, true)];
    case 'bind':
      return inMems.length > 0 && bindHolds(system, policy.nodes, classIndex)
        ? [make(cpuNode, policy.nodes, true)]
        : [make(cpuNode, null, true)];
    case 'preferred_many':
      return [make(cpuNode, policy.nodes, false), make(cpuNode, null, true)];
    case 'interleave': {
      if (!user) {
        return [make(cpuNode, null, true)];
      }
      const nodes = inMems.length > 0 ? inMems : policy.nodes;
      const index = request.index + (system.mutation === 'interleave index off by one' ? 1 : 0);
      const node = nodeOf(system, nodes[index % nodes.length]);
      return [make(node, null, true, node)];
    }
  }
}
