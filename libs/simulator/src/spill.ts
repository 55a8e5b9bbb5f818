/** Guest memory that leaves its nodes: which zone refused it there, and why. */
import { MAX_ORDER } from './buddy';
import { ZONE_MOVABLE } from './constants';
import type { GuestState, KernelState } from './kernel-state';
import type { PolicyContext } from './mempolicy';
import type { AllocContext } from './page-alloc';
import { neededPages } from './watermark';
import type { Zone } from './zone';
import type { Mark, Walk } from './zone-walk';

/** How a zone refused a request. */
export interface Refusal {
  order: number;
  mark: Mark;
  /** `free-pages`: too few; `larger-blocks`: enough, but none of them in a block that is large enough. */
  refusedBy: 'free-pages' | 'larger-blocks';
  /** What the check counts as free. */
  freePages: number;
  /** Mark with boost, less what the request's rights take off, and reserves. */
  neededPages: number;
  /** Of the free blocks; -1 where there is none. */
  largestFreeOrder: number;
}

/**
 * Keeps what a zone's refusal rests on, for the highest zone of a node and until the guest's first spill.
 * @param mark pages, without boost
 */
export function noteRefusal(ac: AllocContext, zone: Zone, mark: number, walk: Walk): void {
  const refusals = ac.guest?.refusals;
  if (!refusals || ac.classIndex !== ZONE_MOVABLE || zone !== zone.node.zones.at(-1)) return;
  const { order } = walk;
  const free = zone.buddy.freePages + zone.freeDrift;
  const needed = neededPages(zone, mark, walk);
  const short = free - ((1 << order) - 1) <= needed;
  refusals.set(zone, {
    order,
    mark: walk.mark,
    refusedBy: short ? 'free-pages' : 'larger-blocks',
    freePages: free,
    neededPages: needed,
    largestFreeOrder: short ? -1 : largestFreeOrder(zone),
  });
}

function largestFreeOrder({ buddy }: Zone): number {
  for (let order = MAX_ORDER - 1; order >= 0; order -= 1) {
    // A block of a higher order would have been found before.
    if (buddy.hasBlock(order, false)) return order;
  }
  return -1;
}

/**
 * Once per guest: the first page outside its policy's nodes, or away from its CPU without a policy. Nodes that its cpuset
 * leaves out were not asked: nothing spills from there.
 */
export function noteSpill(
  k: KernelState,
  guest: GuestState,
  pc: PolicyContext,
  zone: Zone,
  order = 0,
): void {
  const { refusals } = guest;
  if (!refusals) return;
  const { mode, nodes } = pc.policy;
  const local = k.cpus[pc.cpu]!.node;
  const wanted = mode === 'default' ? [local.id] : nodes;
  if (wanted.includes(zone.node.id) || wanted.length === 0) return;
  for (const id of wanted) {
    const from = k.nodes.find((node) => node.id === id);
    const full = from?.zones.at(-1);
    const refusal = full && refusals.get(full);
    if (!from || !full || refusal?.order !== order) continue;
    guest.refusals = undefined;
    k.events.push({
      type: 'spill',
      timeNs: k.timeNs,
      guest: guest.spec.name,
      fromNode: from.id,
      toNode: zone.node.id,
      zone: full.name,
      ...refusal,
      reason: spillReason(k, refusal, from.cpus.length > 0 && local !== from),
    });
    return;
  }
}

function spillReason(
  k: KernelState,
  { order, mark, refusedBy }: Refusal,
  remoteCpu: boolean,
): string {
  if ((k.sysctl.zone_reclaim_mode & 7) === 0) {
    const zone =
      refusedBy === 'free-pages'
        ? `a zone below its ${mark} mark`
        : `a zone without a free block of order ${order}`;
    return `zone_reclaim_mode is 0: ${zone} is skipped, its cache is left alone`;
  }
  return remoteCpu
    ? 'zone reclaim never runs on a node that has CPUs from another node: the guest runs elsewhere'
    : 'zone reclaim found too little clean, unmapped cache (min_unmapped_ratio), or was not allowed';
}
