/** The statistics work of each CPU, which also gives up pages of other nodes that the CPU does not use. */
import type { KernelState } from './kernel-state';
import { handOverFreeCount } from './free-count';
import { readGroupStats } from './memcg-stats';
import { drainPages } from './pcp';
import type { Pcp } from './pcp-rule';
import { decayPcpHigh } from './pcp-tuning';
import type { Zone } from './zone';

/** Interval of the work. @kernel mm/vmstat.c sysctl_stat_interval */
export const STAT_INTERVAL_NS = 1e9;
/** Looks at an unused list until a part of it is given back. @kernel mm/vmstat.c refresh_cpu_vm_stats() */
const EXPIRE_LOOKS = 3;

/**
 * Does the work that fell due since the last call, once a second. A CPU looks while it has counts to hand over, and once more after a
 * look at which it had some; one that rests does not look.
 * @kernel mm/vmstat.c vmstat_update(), vmstat_shepherd()
 * @differs all CPUs look at the same moment: at the next 2 MiB that a step touches or reads, or at its end
 */
export function updateVmstat(k: KernelState): void {
  const tuned = k.profile.pcpHigh === 'tuned';
  while (k.timeNs >= k.vmstatNs) {
    k.vmstatNs += STAT_INTERVAL_NS;
    let looked = false;
    k.cpus.forEach((cpu, at) => {
      if (!tuned && !cpu.looksAgain && !hasCounts(k, at)) return;
      cpu.looksAgain = lookAtZones(k, at);
      looked = true;
    });
    if (looked) continue;
    const resting = Math.max(Math.ceil((k.timeNs - k.vmstatNs) / STAT_INTERVAL_NS), 0);
    k.vmstatNs += resting * STAT_INTERVAL_NS;
  }
}

/**
 * Reading the counters makes every CPU look once more. Where much hangs on what falls due, it takes its time as well.
 * @kernel mm/vmstat.c vmstat_refresh()
 */
export function refreshVmstat(k: KernelState): void {
  k.cpus.forEach((_, at) => lookAtZones(k, at));
  readGroupStats(k);
  if (k.profile.pcpHigh !== 'tuned') return;
  const { readoutNs } = k.hardware;
  k.vmstatNs -= readoutNs;
  k.statsFlushNs -= readoutNs;
  for (const { kcompactd } of k.nodes) kcompactd.nextNs -= readoutNs;
}

/** The work falls due while somebody allocates: only lists that tune themselves notice before the next 2 MiB. */
export function vmstatDueNs(k: KernelState): number {
  return k.profile.pcpHigh === 'tuned' ? k.vmstatNs : Infinity;
}

/** @returns true if pages left */
function decay(zone: Zone, pcp: Pcp): boolean {
  const pages = decayPcpHigh(zone, pcp);
  for (let left = pages; left > 0; left -= zone.pcpBatch) {
    drainPages(zone, pcp, Math.min(left, zone.pcpBatch), 0);
  }
  return pages > 0;
}

/** @kernel mm/vmstat.c need_update() */
function hasCounts(k: KernelState, cpu: number): boolean {
  return k.zones.some(({ pcps }) => pcps[cpu]!.counted || pcps[cpu]!.freeDiff !== 0);
}

/**
 * A CPU hands over its counts and looks at its lists of zones on other nodes. A list whose zone had any counts has three looks from then
 * on; at the third in a row without any, its first types give up one batch of their oldest pages. What they give up is itself such
 * a count, so that an unused list shrinks by a batch every three looks.
 * @returns true if there was anything to hand over or to give up
 * @kernel mm/vmstat.c refresh_cpu_vm_stats(), mm/page_alloc.c drain_zone_pages()
 */
function lookAtZones(k: KernelState, cpu: number): boolean {
  const tuned = k.profile.pcpHigh === 'tuned';
  let changed = false;
  for (const zone of k.zones) {
    const pcp = zone.pcps[cpu]!;
    if (tuned && decay(zone, pcp)) changed = true;
    if (pcp.counted || pcp.freeDiff !== 0) {
      pcp.expire = EXPIRE_LOOKS;
      changed = true;
    }
    pcp.used = false;
    pcp.counted = false;
    handOverFreeCount(zone, pcp);
    if (pcp.expire === 0 || pcp.pages === 0) continue;
    pcp.expire = k.cpus[cpu]!.node === zone.node ? 0 : pcp.expire - 1;
    if (pcp.expire > 0 || k.cpus[cpu]!.node === zone.node) continue;
    drainPages(zone, pcp, Math.min(pcp.pages, zone.pcpBatch), 0);
    changed = true;
  }
  return changed;
}
