import { PAGES_PER_HUGE, PAGE_KIB } from '@zonewise/simulator';
import type { SimulationRequest } from './types';

/**
 * The request with the planned guests' memory grown (a guest cannot touch more than it has), in whole
 * huge pages (of its pool, where it lies on one). What a guest touches of it keeps its share.
 */
export function grown<T extends SimulationRequest>(request: T, percent: number): T {
  const grow = (pages: number, step: number): number => {
    const exact = (pages * (100 + percent)) / 100;
    return percent === 0 ? pages : Math.ceil(exact / step) * step;
  };
  return {
    ...request,
    guests: request.guests.map((spec) => {
      if (spec.state === 'running') return spec;
      const regions = spec.guest.regions.map((region) => ({
        ...region,
        sizePages: grow(
          region.sizePages,
          region.hugetlb ? region.hugetlb.sizeKib / PAGE_KIB : PAGES_PER_HUGE,
        ),
      }));
      return { ...spec, guest: { ...spec.guest, regions } };
    }),
  };
}
