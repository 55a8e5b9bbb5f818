/**
 * NR_FREE_PAGES as the watermark check reads it: each CPU collects its changes and hands them over when they
 * pass a threshold, so that the number runs a few pages behind the free lists.
 */
import type { Pcp } from './pcp-rule';
import type { Watermarks } from './watermark';
import type { NodeState, Zone } from './zone';

/** Most that a CPU may hold back. */
const MAX_THRESHOLD = 125;
const PAGES_PER_128_MIB = 32768;

/** @kernel fls() */
function bits(value: number): number {
  return value === 0 ? 0 : 32 - Math.clz32(value);
}

/**
 * Pages of change that a CPU holds back while the node's kswapd sleeps.
 * @kernel mm/vmstat.c calculate_normal_threshold()
 */
export function statThreshold(managedPages: number, onlineCpus: number): number {
  const size = Math.floor(managedPages / PAGES_PER_128_MIB);
  return Math.min(2 * bits(onlineCpus) * (1 + bits(size)), MAX_THRESHOLD);
}

/**
 * Free pages below which a zone's count is read exactly where it matters, and its CPUs hold back less while
 * kswapd is awake: all CPUs together could hide the way from low to min.
 * @param marks as the kernel sets them when it boots
 * @returns 0 where they could not
 * @kernel mm/vmstat.c refresh_zone_stat_thresholds(): percpu_drift_mark
 */
export function percpuDriftMark(
  marks: Watermarks,
  managedPages: number,
  onlineCpus: number,
): number {
  const mostDrift = onlineCpus * statThreshold(managedPages, onlineCpus);
  return mostDrift > marks.lowPages - marks.minPages ? marks.highPages + mostDrift : 0;
}

/**
 * Pages of change that a CPU holds back while kswapd is awake.
 * @kernel mm/vmstat.c calculate_pressure_threshold()
 */
export function pressureThreshold(zone: Zone, onlineCpus: number): number {
  return Math.min(Math.max(1, Math.floor((zone.low - zone.min) / onlineCpus)), MAX_THRESHOLD);
}

/** kswapd wakes up, or goes to sleep for good. @kernel mm/vmstat.c set_pgdat_percpu_threshold() */
export function setPercpuThreshold(node: NodeState, onlineCpus: number, awake: boolean): void {
  for (const zone of node.zones) {
    if (zone.percpuDriftMark === 0) continue;
    zone.statThreshold = awake
      ? pressureThreshold(zone, onlineCpus)
      : statThreshold(zone.managed, onlineCpus);
  }
}

/** Books a change of the free lists on the CPU that made it. @kernel mm/vmstat.c __mod_zone_page_state() */
export function noteFreeChange(zone: Zone, pcp: Pcp, change: number): void {
  const held = pcp.freeDiff + change;
  zone.freeDrift -= change;
  pcp.freeDiff = held;
  if (Math.abs(held) <= zone.statThreshold) return;
  zone.freeDrift += held;
  pcp.freeDiff = 0;
}

/** Books blocks that came or went one after the other, each a change of `pages`. */
export function noteBlocks(zone: Zone, pcp: Pcp, blocks: number, pages: number): void {
  // After the first hand-over the CPU hands over again each time it has collected as much.
  const perHandOver = Math.ceil((zone.statThreshold + 1) / Math.abs(pages));
  let left = blocks;
  while (left > 0 && pcp.freeDiff !== 0) {
    noteFreeChange(zone, pcp, pages);
    left -= 1;
  }
  for (let rest = left % perHandOver; rest > 0; rest -= 1) noteFreeChange(zone, pcp, pages);
}

/** A CPU hands over what it holds back. @kernel mm/vmstat.c refresh_cpu_vm_stats() */
export function handOverFreeCount(zone: Zone, pcp: Pcp): void {
  zone.freeDrift += pcp.freeDiff;
  pcp.freeDiff = 0;
}
