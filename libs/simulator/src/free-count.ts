/**
 * NR_FREE_PAGES as the watermark check reads it: each CPU collects its changes and hands them over when they
 * pass a threshold, so that the number runs a few pages behind the free lists.
 */
import type { Pcp } from './pcp';
import type { Zone } from './zone';

/** Most that a CPU may hold back. */
const MAX_THRESHOLD = 125;
const PAGES_PER_128_MIB = 32768;

/** @kernel fls() */
function bits(value: number): number {
  return value === 0 ? 0 : 32 - Math.clz32(value);
}

/**
 * Pages of change that a CPU holds back.
 * @kernel mm/vmstat.c calculate_normal_threshold()
 * @differs the threshold under pressure, while kswapd is awake, is not used
 */
export function statThreshold(managedPages: number, onlineCpus: number): number {
  const size = Math.floor(managedPages / PAGES_PER_128_MIB);
  return Math.min(2 * bits(onlineCpus) * (1 + bits(size)), MAX_THRESHOLD);
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

/** Books pages that came back one after the other. */
export function noteFreed(zone: Zone, pcp: Pcp, blocks: number, pages: number): void {
  // After the first hand-over the CPU hands over again each time it has collected as much.
  const perHandOver = Math.ceil((zone.statThreshold + 1) / pages);
  let left = blocks;
  while (left > 0 && pcp.freeDiff !== 0) {
    noteFreeChange(zone, pcp, pages);
    left -= 1;
  }
  for (let rest = left % perHandOver; rest > 0; rest -= 1) noteFreeChange(zone, pcp, pages);
}

/** Every CPU hands over what it holds back. @kernel mm/vmstat.c refresh_cpu_vm_stats() */
export function handOverFreeCounts(zone: Zone): void {
  for (const pcp of zone.pcps) pcp.freeDiff = 0;
  zone.freeDrift = 0;
}
