import type { HugetlbPicture } from '../machine';
import { NO_PAGE } from './hugetlb';
import { pfnOf } from './state';
import type { System } from './state';

/** The pool as a picture shows it. */
export function hugetlbPicture(system: System): HugetlbPicture {
  const { reserved, overcommit, max, nextToAlloc, nextToFree, nodes, mappings } = system.hugetlb;
  const frame = (page: number): number => (page === NO_PAGE ? NO_PAGE : pfnOf(system, page));
  return {
    ...{ reserved, overcommit, max, nextToAlloc, nextToFree },
    nodes: nodes.map(({ total, surplus, free }) => ({ total, surplus, free: free.map(frame) })),
    mappings: [...mappings]
      .sort(([a], [b]) => a - b)
      .map(([mapping, { pages, reserves }]) => ({
        mapping,
        reserved: reserves.filter((is) => is).length,
        frames: pages.map(frame),
      })),
  };
}

/** Huge pages of the pool, in use or not. */
export function hugePagesOf(system: System): number[] {
  const { nodes, mappings } = system.hugetlb;
  const mapped = [...mappings.values()].flatMap(({ pages }) => pages);
  return [...nodes.flatMap(({ free }) => free), ...mapped].filter((page) => page !== NO_PAGE);
}
