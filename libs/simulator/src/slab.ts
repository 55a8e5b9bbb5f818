/** Slabs: how many pages one takes, and how many objects it holds. */
import { PAGE_ALLOC_COSTLY_ORDER } from './constants';

const PAGE_BYTES = 4096;
/** Least share of a slab that may be left over: tried in turn. */
const LEFTOVER_SHARES = [16, 8, 4];

export interface SlabShape {
  /** Order of the block that one slab takes. */
  order: number;
  objects: number;
}

/**
 * The slabs of a cache. The more CPUs a host has, the more objects a slab shall hold, and the larger it gets.
 * @param objectBytes what one object takes with its free pointer (`objsize` in /proc/slabinfo), at most 32 KiB
 * @param cpus CPUs that are present
 * @kernel mm/slub.c calculate_order()
 * @differs a host with a single CPU counts as one that can have no more
 */
export function slabShape(objectBytes: number, cpus: number): SlabShape {
  const shape = (order: number): SlabShape => ({
    order,
    objects: Math.floor((PAGE_BYTES << order) / objectBytes),
  });
  const most = shape(PAGE_ALLOC_COSTLY_ORDER).objects;
  // fls(cpus) + 1, four objects each.
  const wished = 4 * (Math.floor(Math.log2(cpus)) + 2);
  for (let objects = Math.min(wished, most); objects > 1; objects -= 1) {
    for (const share of LEFTOVER_SHARES) {
      const order = orderFor(objectBytes, objects, share);
      if (order <= PAGE_ALLOC_COSTLY_ORDER) return shape(order);
    }
  }
  return shape(orderFor(objectBytes, 1, 1));
}

/** Smallest order with room for the objects that wastes no more than a share. @kernel mm/slub.c calc_slab_order() */
function orderFor(objectBytes: number, objects: number, share: number): number {
  let order = Math.max(Math.ceil(Math.log2((objects * objectBytes) / PAGE_BYTES)), 0);
  for (; order <= PAGE_ALLOC_COSTLY_ORDER; order += 1) {
    const slabBytes = PAGE_BYTES << order;
    if (slabBytes % objectBytes <= slabBytes / share) break;
  }
  return order;
}
