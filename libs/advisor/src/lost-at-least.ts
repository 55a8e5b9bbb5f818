import { wantedPages } from './bounds';
import { compileReplay } from './compile';
import { resolveDemand } from './demand';
import { managedPages } from './host-nodes';
import type { SimulationRequest } from './types';

/**
 * Guests that every configuration loses or does not start, whatever its settings: the fewest whose memory has to go for that of
 * the others to fit into all memory but unreclaimable slab, and swap. What else holds memory, marks and where it is are not
 * counted, so that more may be lost, and never fewer. 0 where guests stop or give memory back, since who comes later may
 * have it.
 */
export function lostAtLeast(request: SimulationRequest): number {
  const { host, runningGuests, steps } = compileReplay(request).input;
  if (steps.some(({ op }) => op === 'kill' || op === 'free')) return 0;
  const sizes = [
    ...resolveDemand(request).planned.map(wantedPages),
    ...runningGuests.map(
      ({ residency, swapPages }) => total(residency.map(({ pages }) => pages)) + swapPages,
    ),
  ].sort((a, b) => b - a);
  const plugged = steps.map((step) => (step.op === 'hotplug' ? step.pages : 0));
  const room = host.nodes.map((node) => managedPages(node) - node.slabUnreclaimablePages);
  let left = total(sizes) - total(room) - total(plugged) - host.swap.totalPages;
  let lost = 0;
  for (const pages of sizes) {
    if (left <= 0) break;
    left -= pages;
    lost += 1;
  }
  return lost;
}

const total = (pages: number[]): number => pages.reduce((sum, each) => sum + each, 0);
