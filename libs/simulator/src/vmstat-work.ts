/** The statistics work of each CPU, which once a second also gives up pages of other nodes that it no longer uses. */
import type { KernelState } from './kernel-state';
import { handOverFreeCounts } from './free-count';
import { drainPages } from './pcp';
import type { Pcp } from './pcp-rule';
import { decayPcpHigh } from './pcp-tuning';
import type { Zone } from './zone';

/** Interval of the work. @kernel mm/vmstat.c sysctl_stat_interval */
const INTERVAL_NS = 1e9;
/** Looks at unused lists until a part of them is given back. @kernel mm/vmstat.c refresh_cpu_vm_stats() */
const EXPIRE_LOOKS = 3;

/**
 * Does the work that fell due since the last call: a CPU's lists of a zone on another node lose one batch
 * when the CPU has not used them for three looks, once; the oldest pages of the first types go.
 * @kernel mm/vmstat.c vmstat_update(), mm/page_alloc.c drain_zone_pages()
 * @differs all CPUs look at the same moment, at the end of a step at the earliest
 */
export function updateVmstat(k: KernelState): void {
  const due = Math.max(Math.floor((k.timeNs - k.vmstatNs) / INTERVAL_NS) + 1, 0);
  k.vmstatNs += due * INTERVAL_NS;
  for (let look = 0; look < Math.min(due, EXPIRE_LOOKS + 1); look += 1) lookAtPcps(k);
}

/**
 * Reading the counters makes every CPU look once more, which shows only where lists tune themselves.
 * @kernel mm/vmstat.c vmstat_refresh()
 */
export function refreshVmstat(k: KernelState): void {
  if (k.profile.pcpHigh !== 'tuned') return;
  lookAtPcps(k);
  k.vmstatNs -= k.hardware.readoutNs;
}

/** The work falls due while somebody allocates: only lists that tune themselves notice before the step's end. */
export function vmstatDueNs(k: KernelState): number {
  return k.profile.pcpHigh === 'tuned' ? k.vmstatNs : Infinity;
}

function decay(zone: Zone, pcp: Pcp): void {
  for (let left = decayPcpHigh(zone, pcp); left > 0; left -= zone.pcpBatch) {
    drainPages(zone, pcp, Math.min(left, zone.pcpBatch), 0);
  }
}

function lookAtPcps(k: KernelState): void {
  const tuned = k.profile.pcpHigh === 'tuned';
  for (const zone of k.zones) {
    handOverFreeCounts(zone);
    zone.pcps.forEach((pcp, cpu) => {
      if (tuned) decay(zone, pcp);
      if (pcp.used) pcp.expire = EXPIRE_LOOKS;
      pcp.used = false;
      if (pcp.expire === 0 || pcp.pages === 0) return;
      if (k.cpus[cpu]!.node === zone.node) {
        pcp.expire = 0;
        return;
      }
      pcp.expire -= 1;
      if (pcp.expire === 0) drainPages(zone, pcp, Math.min(pcp.pages, zone.pcpBatch), 0);
    });
  }
}
