/** numastat and pgalloc counters: who got memory where it was wanted. */
import { countVm, type KernelState } from './kernel-state';
import type { Zone } from './zone';

const PGALLOC = ['pgalloc_dma', 'pgalloc_dma32', 'pgalloc_normal', 'pgalloc_movable'];

/**
 * Counts requests that a zone served: hits and misses once for each, whatever its order.
 * @param cpu position of the CPU that asked
 * @param preferred the zone that they would have had first
 * @param times requests
 * @param pages base pages of all of them
 * @kernel mm/page_alloc.c zone_statistics()
 */
export function zoneStatistics(
  k: KernelState,
  cpu: number,
  preferred: Zone,
  zone: Zone,
  times: number,
  pages: number,
): void {
  countVm(k, PGALLOC[zone.index]!, pages);
  const stats = zone.node.numastat;
  if (zone.node === preferred.node) {
    stats.numaHit += times;
    countVm(k, 'numa_hit', times);
  } else {
    stats.numaMiss += times;
    preferred.node.numastat.numaForeign += times;
    countVm(k, 'numa_miss', times);
    countVm(k, 'numa_foreign', times);
  }
  if (k.cpus[cpu]!.node === zone.node) {
    stats.localNode += times;
    countVm(k, 'numa_local', times);
  } else {
    stats.otherNode += times;
    countVm(k, 'numa_other', times);
  }
}
