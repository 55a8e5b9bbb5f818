import { PAGE_KIB, type HostNode } from '@zonewise/simulator';
import { compileReplay } from './compile';
import type { SimulationRequest } from './types';

/**
 * Guests that every configuration loses or does not start, whatever its settings: the fewest whose memory has to go for that of
 * the others to fit into everything that is free, may be reclaimed, is the guests' own, or is swap. Marks, page tables and
 * where the memory is are not counted, so that more may be lost, and never fewer.
 */
export function lostAtLeast(request: SimulationRequest): number {
  const { host, runningGuests, steps } = compileReplay(request).input;
  const sizes = [
    ...steps.flatMap((step) =>
      step.op === 'guest' ? [total(step.touchPages) + step.guest.overheadPages] : [],
    ),
    ...runningGuests.map(
      ({ residency, swapPages }) => total(residency.map(({ pages }) => pages)) + swapPages,
    ),
  ].sort((a, b) => b - a);
  let left = total(sizes) - total(host.nodes.map(roomPages)) - host.swap.totalPages;
  let lost = 0;
  for (const pages of sizes) {
    if (left <= 0) break;
    left -= pages;
    lost += 1;
  }
  return lost;
}

/** Pages of a node that guests may have at best, those that running guests have among them. */
function roomPages({ zones, lru, slabReclaimablePages, hugepages }: HostNode): number {
  const onLists = zones.flatMap(({ pagesets }) => pagesets.map(({ countPages }) => countPages));
  const pools = hugepages.map(({ sizeKib, totalPages }) => totalPages * (sizeKib / PAGE_KIB));
  const free = total(zones.map(({ freePages }) => freePages));
  const held =
    lru.inactiveAnonPages +
    lru.activeAnonPages +
    lru.inactiveFilePages +
    lru.activeFilePages +
    lru.unevictablePages;
  return free + total(onLists) + held + slabReclaimablePages + total(pools);
}

const total = (pages: number[]): number => pages.reduce((sum, each) => sum + each, 0);
