/** Which of a host's hugetlb pages lie where, and which of them running guests use. */
import { PAGES_PER_HUGE } from './constants';
import { hstateOf, placePoolPage, type HugetlbPage, type Hstate } from './hugetlb';
import { newHugetlbMapping } from './hugetlb-fault';
import { caveat, type KernelState } from './kernel-state';
import type { ReplayInput } from './types';
import type { NodeState, Zone } from './zone';
import type { Extent } from './zone-layout';

/** Pages of 2 MiB that each zone of a node holds: high zones first, as far as they have room. */
export function planPool(
  k: KernelState,
  node: NodeState,
  rooms: Map<Zone, number>,
): Map<Zone, number> {
  const plan = new Map<Zone, number>();
  let left = hstateOf(k, 2048)!.nodes[node.position]!.totalPages;
  for (const zone of [...node.zones].reverse()) {
    const pages = Math.min(left, Math.floor(rooms.get(zone)! / PAGES_PER_HUGE));
    plan.set(zone, pages);
    left -= pages;
  }
  return plan;
}

/** Gives pages of a node's pool their frames: used ones first, free ones so that the highest is taken first. */
export function placePool(k: KernelState, zone: Zone, extents: readonly Extent[]): void {
  const h = hstateOf(k, 2048)!;
  const unplaced = [...hostPages(k, h, zone.node), ...h.nodes[zone.node.position]!.free].filter(
    (page) => !page.zone,
  );
  const frames = extents.flatMap(({ frame, pages }) =>
    Array.from(
      { length: Math.floor(pages / PAGES_PER_HUGE) },
      (_, i) => frame + i * PAGES_PER_HUGE,
    ),
  );
  unplaced.slice(0, frames.length).forEach((page, i) => {
    placePoolPage(page, zone, frames[i]!, PAGES_PER_HUGE);
  });
}

/** Pages in use at the start that a running guest holds. */
function hostPages(k: KernelState, h: Hstate, node: NodeState): HugetlbPage[] {
  return [...k.guests.values()].flatMap(({ hugetlb }) =>
    hugetlb.flatMap((mapping) =>
      mapping?.h === h ? [...mapping.pages.values()].filter((page) => page.node === node) : [],
    ),
  );
}

/** Running guests on hugetlb pages hold those that their residency names, as far as their nodes' pools have any in use. */
export function attachHugetlb(k: KernelState, input: ReplayInput): void {
  for (const running of input.runningGuests) {
    const guest = k.guests.get(running.name)!;
    running.regions.forEach((region, i) => {
      if (!region.hugetlb) return;
      const h = hstateOf(k, region.hugetlb.sizeKib)!;
      const mapping = newHugetlbMapping(k, h, 0);
      guest.hugetlb[i] = mapping;
      for (const { cell, nodeId, pages } of running.residency) {
        const node = k.nodes.find(({ id }) => id === nodeId);
        if (cell !== region.cell || !node) continue;
        const wanted = Math.floor(pages / h.basePages);
        const own = h.nodes[node.position]!;
        const held = Math.min(wanted, own.totalPages - own.free.length - heldPages(k, h, node));
        for (let n = 0; n < held; n += 1)
          mapping.pages.set(mapping.pages.size, { node, frame: -1 });
        mapping.pagesByNode[node.position]! += held * h.basePages;
        if (held < wanted) missingPages(k, running.name, wanted - held, nodeId);
      }
    });
  }
}

function heldPages(k: KernelState, h: Hstate, node: NodeState): number {
  return hostPages(k, h, node).length;
}

function missingPages(k: KernelState, name: string, pages: number, nodeId: number): void {
  caveat(
    k,
    'residency-exceeds-hugepages',
    `${name} is said to hold ${pages} huge pages more on node ${nodeId} than its pool has in use; they are left out`,
  );
}
