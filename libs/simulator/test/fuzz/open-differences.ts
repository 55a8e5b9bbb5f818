import type { Machine, MachineConfig, MachineOp } from '../machine';
import type { FuzzCase } from './arbitrary';

/**
 * Where simulator and reference are known to disagree, and what keeps a case away from it. The short test
 * runs on cases without them, so that it notices anything new; the long comparison leaves nothing out. An
 * entry goes when its difference is settled.
 */
const OPEN = {
  /** node_reclaim's view of the cache within one operation of many requests. */
  nodeReclaim: (config: MachineConfig): MachineConfig => ({
    ...config,
    sysctl: { ...config.sysctl, zone_reclaim_mode: 0 },
  }),
  /** Stealing from a pageblock of which the zone lacks the beginning. */
  partialPageblock: (config: MachineConfig): MachineConfig => ({
    ...config,
    nodes: config.nodes.map((node) => ({
      ...node,
      zones: node.zones.map((zone) => ({
        ...zone,
        startPfn: zone.startPfn - (zone.startPfn % 512),
      })),
    })),
  }),
  /** Which class a kswapd works for that was asked for another one while it ran. */
  twoClasses: (config: MachineConfig): MachineConfig => ({
    ...config,
    nodes: config.nodes.map((node) => ({
      ...node,
      zones: node.zones.map((zone) => (zone.index === 3 ? { ...zone, index: 2 as const } : zone)),
    })),
  }),
} as const;

/** A zone of each index may be there once: what became a second Normal zone is left out. */
function uniqueZones(config: MachineConfig): MachineConfig {
  return {
    ...config,
    nodes: config.nodes.map((node) => ({
      ...node,
      zones: node.zones.filter(
        (zone, at) => node.zones.findIndex((other) => other.index === zone.index) === at,
      ),
    })),
  };
}

/** The same operations without the ones that are open. */
function settled(op: MachineOp): MachineOp | null {
  if (op.op === 'sysctl' && op.name === 'zone_reclaim_mode') {
    return null;
  }
  if (op.op === 'reclaim' && op.policy.mode === 'preferred_many') {
    // Whether it is limited to the nodes of the policy.
    return null;
  }
  if (op.op !== 'alloc') {
    return op;
  }
  // kswapd's turn between the two passes of preferred_many; the cpuset in the slow path of atomic requests.
  const mode = op.policy.mode === 'preferred_many' ? 'bind' : op.policy.mode;
  const mems = op.kind === 'atomic' ? null : op.mems;
  return { ...op, mems, policy: { ...op.policy, mode } };
}

/** The case as far as the two are known to agree. */
export function withoutOpenDifferences({ config, ops }: FuzzCase): FuzzCase {
  const closed = Object.values(OPEN).reduce((before, change) => change(before), config);
  return {
    config: uniqueZones(closed),
    ops: ops.map(settled).filter((op) => op !== null),
  };
}

/** A machine that does not say how many blocks a `free` found: reclaimed pages are open. */
export function withoutFreeCounts(machine: Machine): Machine {
  return {
    run: (op) => {
      const answer = machine.run(op);
      return op.op === 'free' ? { done: 0 } : answer;
    },
    picture: () => machine.picture(),
  };
}
