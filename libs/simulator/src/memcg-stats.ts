/** What reclaim knows of list lengths and refaults: the statistics of memory cgroups, which newer kernels add up now and then. */
import type { HardwareProfile } from './hardware-profile';
import type { KernelState } from './kernel-state';
import { EVICTABLE_LISTS, listPages, lruvecsOf, type Lruvec } from './lruvec';
import type { KernelProfile } from './profile';

/**
 * Between two sums: 2 s, which the timer wheel rounds up to 504 ticks of 4 ms.
 * @kernel mm/memcontrol.c FLUSH_TIME, flush_memcg_stats_dwork()
 */
export const FLUSH_INTERVAL_NS = 2_016_000_000;

/**
 * When the sums are due first; Infinity under a kernel whose reclaim adds up before it reads.
 * @param goneBy share of the interval that has gone by besides
 */
export function firstFlushNs(
  { reclaimStats }: KernelProfile,
  { statsFlushPhaseNs }: HardwareProfile,
  goneBy: number,
): number {
  if (reclaimStats === 'exact') return Infinity;
  if (goneBy === 0) return statsFlushPhaseNs;
  return (statsFlushPhaseNs + (1 - goneBy) * FLUSH_INTERVAL_NS) % FLUSH_INTERVAL_NS;
}

/**
 * Adds up where that fell due since the last call.
 * @kernel mm/memcontrol.c do_flush_stats()
 * @differs memory cgroups are always built in; the work is never late, so that reclaim never has to add up itself
 */
export function flushMemcgStats(k: KernelState): void {
  if (k.timeNs < k.statsFlushNs) return;
  const missed = Math.floor((k.timeNs - k.statsFlushNs) / FLUSH_INTERVAL_NS);
  k.statsFlushNs += (missed + 1) * FLUSH_INTERVAL_NS;
  addUp(k);
}

/** The start of a replay counts as a sum. */
export function startMemcgStats(k: KernelState): void {
  if (k.profile.reclaimStats === 'flushed') addUp(k);
}

function addUp(k: KernelState): void {
  for (const node of k.nodes) {
    for (const lruvec of lruvecsOf(node)) sum(lruvec);
  }
}

/** Reading the files of the groups adds up theirs. @kernel mm/memcontrol.c memory_stat_format() */
export function readGroupStats(k: KernelState): void {
  if (k.profile.reclaimStats !== 'flushed') return;
  for (const { groupLruvecs } of k.nodes) groupLruvecs.forEach(sum);
}

function sum(lruvec: Lruvec): void {
  lruvec.flushed = {
    pages: EVICTABLE_LISTS.map((list) => listPages(lruvec, list)),
    refaults: [...lruvec.refaults],
  };
}
