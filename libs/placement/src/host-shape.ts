/** What each node of a host can give a guest that is bound to it: free memory after marks and reserves, pools, CPUs. */
import type { HostModel, HostNode, HostZone } from '@zonewise/simulator';
import type { NodeShape } from './types';

/** `protectionPages[3]`: requests of user memory may use every zone up to Movable. */
const ZONE_MOVABLE = 3;

export interface CapacityOptions {
  /** vCPUs per CPU. Default 1, as where CPUs are not shared. */
  cpuAllocationRatio?: number;
  /** Page cache that each node keeps, pages; the rest of its clean cache counts as obtainable. Default 0. */
  pageCachePages?: number;
  /** Memory of each node that is kept free for other uses, pages. Default 0. */
  reservedPages?: number;
  /** CPUs of each node that guests do not get. Default 0. */
  reservedCpus?: number;
}

/** How a zone counts: what it holds above the mark at which its kswapd wakes. */
export interface ZoneCapacity {
  zone: HostZone['name'];
  freePages: number;
  /** `low` and the zone's protection against user memory. */
  lowPages: number;
  protectionPages: number;
  /** Free pages above both, negative where there are fewer. */
  abovePages: number;
}

export interface NodeCapacity extends NodeShape {
  zones: ZoneCapacity[];
  /** Clean page cache beyond what the node keeps. */
  reclaimablePages: number;
}

function zoneCapacity({
  name,
  freePages,
  pagesets,
  lowPages,
  protectionPages,
}: HostZone): ZoneCapacity {
  const held = pagesets.reduce((sum, { countPages }) => sum + countPages, 0);
  const protection = protectionPages[ZONE_MOVABLE] ?? 0;
  const free = freePages + held;
  return {
    zone: name,
    freePages: free,
    lowPages,
    protectionPages: protection,
    abovePages: free - lowPages - protection,
  };
}

/** Page cache that reclaim drops without writing: on the file lists, not dirty, not under writeback, not held. */
function cleanCachePages({ lru, dirtyPages, writebackPages, heldFilePages = 0 }: HostNode): number {
  const listed = lru.inactiveFilePages + lru.activeFilePages;
  return Math.max(0, listed - dirtyPages - writebackPages - heldFilePages);
}

/**
 * What a node can give without waking kswapd for good: pages above low and the lowmem reserve of each zone,
 * and clean page cache that reclaim may drop. A zone below its mark takes from no other, but the node's
 * largest zone is refilled by reclaim first.
 * @differs an estimate by adding up, made to be checked by a replay: fragmentation and order do not count
 */
function nodeCapacity(node: HostNode, options: CapacityOptions): NodeCapacity {
  const {
    cpuAllocationRatio = 1,
    pageCachePages = 0,
    reservedPages = 0,
    reservedCpus = 0,
  } = options;
  const zones = node.zones.map(zoneCapacity);
  const largest = node.zones.reduce(
    (best, zone, i) => (zone.managedPages > (node.zones[best]?.managedPages ?? 0) ? i : best),
    0,
  );
  const reclaimablePages = Math.max(0, cleanCachePages(node) - pageCachePages);
  const free = zones.reduce(
    (sum, { abovePages }, i) => sum + (i === largest ? abovePages : Math.max(0, abovePages)),
    0,
  );
  return {
    nodeId: node.nodeId,
    memoryPages: Math.max(0, Math.floor(free + reclaimablePages - reservedPages)),
    vcpus: Math.max(0, Math.floor((node.cpus.length - reservedCpus) * cpuAllocationRatio)),
    hugepages: node.hugepages.map(({ sizeKib, freePages }) => ({ sizeKib, pages: freePages })),
    zones,
    reclaimablePages,
  };
}

/** Every node with what it can give, in the model's order. */
export function hostCapacity(model: HostModel, options: CapacityOptions = {}): NodeCapacity[] {
  return model.nodes.map((node) => nodeCapacity(node, options));
}
