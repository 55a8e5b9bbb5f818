/** Which zones a request may use: its policy's nodemask, its cpuset, its class. */
import { ZONE_MOVABLE, ZONE_NORMAL } from './constants';
import type { KernelState } from './kernel-state';
import type { AllocContext } from './page-alloc';
import type { MemoryPolicy } from './types';
import type { Zone } from './zone';

/** Zones of one request in the order of its list. */
export interface AllocZones {
  /** Within policy and cpuset: the fast path, direct reclaim, and the last try before somebody is killed. */
  allowed: Zone[];
  /** The first zone of the fast path: statistics and the reach of node reclaim go by it. */
  preferred: Zone | undefined;
  /** Within the policy; from here on the slow path's first zone is the preferred one. */
  named: Zone[];
  /** Zones that the slow path may take from. */
  slow: Zone[];
}

/**
 * The zones of a request; made once for each context.
 * @kernel mm/page_alloc.c prepare_alloc_pages(), first_zones_zonelist()
 * @differs cpusets that are hardwalls or exclusive are not known: what may leave its cpuset may go anywhere
 */
export function allocZones(k: KernelState, ac: AllocContext): AllocZones {
  if (ac.zones) return ac.zones;
  const { cpusetMems, nodemask } = ac;
  const named = zonesOf(k, ac, nodemask);
  const allowed = cpusetMems ? named.filter(({ node }) => cpusetMems.has(node.id)) : named;
  ac.zones = {
    allowed,
    // Without a mask of its own the fast path takes the cpuset for one.
    preferred: nodemask ? named[0] : allowed[0],
    named,
    slow: ac.hardwall ? allowed : named,
  };
  return ac.zones;
}

/** A node's list without what the class, the mask or __GFP_THISNODE rule out. */
export function zonesOf(k: KernelState, ac: AllocContext, mask: Set<number> | null): Zone[] {
  return k.zonelists[ac.preferred.position]!.filter(
    ({ node, index }) =>
      index <= ac.classIndex &&
      (!ac.thisNode || node === ac.preferred) &&
      (mask?.has(node.id) ?? true),
  );
}

/**
 * Nodes that a policy limits a request to; null means no mask. A bind to nodes that the cpuset does not
 * have at all counts as none, and so does one for requests of lower zones than policies are about.
 * @param classIndex highest zone index that the request may use
 * @kernel mm/mempolicy.c policy_nodemask(), apply_policy_zone()
 */
export function policyNodemask(
  k: KernelState,
  policy: MemoryPolicy,
  cpusetMems: number[] | undefined,
  classIndex: number,
): Set<number> | null {
  if (policy.mode === 'preferred_many') return new Set(policy.nodes);
  if (policy.mode !== 'bind' || classIndex < policyZone(k, policy)) return null;
  const meets = !cpusetMems || policy.nodes.some((node) => cpusetMems.includes(node));
  return meets ? new Set(policy.nodes) : null;
}

/**
 * The lowest class that a bind holds for: the highest zone but Movable that the machine ever had; nodes that have nothing
 * else than Movable are for movable requests alone.
 * @kernel include/linux/mempolicy.h check_highest_zone()
 */
function policyZone(k: KernelState, policy: MemoryPolicy): number {
  const ordinary = k.zones.filter(({ index }) => index <= ZONE_NORMAL);
  if (!ordinary.some(({ node }) => policy.nodes.includes(node.id))) return ZONE_MOVABLE;
  return k.policyZone;
}
