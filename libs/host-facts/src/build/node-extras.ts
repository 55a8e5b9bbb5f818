import { PAGE_KIB, type HostNode, type HostZone, type Numastat } from '@zonewise/simulator';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';

/** Counters beyond this, years of uptime, are of no use to a replay, which counts on from them. */
const MAX_COUNTER = 2 ** 42;

/** numastat of a node: the sum over zoneinfo's zones, else nodeNumastat, else zeros. */
export function readNumastat(facts: HostFacts, nodeId: number, ledger: Ledger): Numastat {
  const counters = printedNumastat(facts, nodeId, ledger);
  if (Object.values(counters).every((count: number) => count <= MAX_COUNTER)) return counters;
  ledger.default(`nodes.${nodeId}.numastat`, 'counters above 2^42: counting starts at 0');
  return { ...NO_COUNTS };
}

const NO_COUNTS: Numastat = {
  numaHit: 0,
  numaMiss: 0,
  numaForeign: 0,
  interleaveHit: 0,
  localNode: 0,
  otherNode: 0,
};

function printedNumastat(facts: HostFacts, nodeId: number, ledger: Ledger): Numastat {
  const path = `nodes.${nodeId}.numastat`;
  const zones = (facts.zoneinfo?.zones ?? []).filter(
    (zone) => zone.nodeId === nodeId && zone.stats.numa_hit !== undefined,
  );
  if (zones.length > 0) {
    ledger.read(path, 'zoneinfo');
    const sum = (name: string): number =>
      zones.reduce((total, zone) => total + (zone.stats[name] ?? 0), 0);
    return {
      numaHit: sum('numa_hit'),
      numaMiss: sum('numa_miss'),
      numaForeign: sum('numa_foreign'),
      interleaveHit: sum('numa_interleave'),
      localNode: sum('numa_local'),
      otherNode: sum('numa_other'),
    };
  }
  const own = facts.nodeNumastat.get(nodeId);
  if (own !== undefined) {
    ledger.read(path, 'nodeNumastat');
    return own;
  }
  ledger.default(path, 'not given: counting starts at 0');
  return { ...NO_COUNTS };
}

const DEFAULT_HUGE_KIB = 2048;

/**
 * hugetlb pools of a node: the default size from nodeMeminfo (its size is meminfo's Hugepagesize, else
 * 2 MiB), other sizes from capabilities, which do not tell how many are free: all are taken as free.
 */
export function readHugepages(
  facts: HostFacts,
  nodeId: number,
  ledger: Ledger,
): HostNode['hugepages'] {
  const pools = new Map<number, { sizeKib: number; totalPages: number; freePages: number }>();
  const path = `nodes.${nodeId}.hugepages`;
  for (const { sizeKib, count } of facts.capabilities?.nodes.find((n) => n.id === nodeId)?.pages ??
    []) {
    if (sizeKib <= PAGE_KIB || count === 0) continue;
    pools.set(sizeKib, { sizeKib, totalPages: count, freePages: count });
    ledger.read(path, 'capabilities', 'free pages of the pools are not given: all');
  }
  const own = facts.nodeMeminfo.get(nodeId);
  const total = own?.HugePages_Total ?? 0;
  if (own !== undefined && total > 0) {
    const sizeKib = facts.meminfo?.Hugepagesize ?? DEFAULT_HUGE_KIB;
    const freePages = Math.min(own.HugePages_Free ?? 0, total);
    pools.set(sizeKib, { sizeKib, totalPages: total, freePages });
    ledger.read(path, 'nodeMeminfo');
  }
  return [...pools.values()].sort((a, b) => a.sizeKib - b.sizeKib);
}

/** Pages of a node that are neither free nor on per-CPU lists nor in hugetlb pools. */
export function usedPages(zones: HostZone[], hugepages: HostNode['hugepages']): number {
  let used = 0;
  for (const zone of zones) {
    const held = zone.pagesets.reduce((sum, pageset) => sum + pageset.countPages, 0);
    used += zone.managedPages - zone.freePages - held;
  }
  for (const pool of hugepages) used -= (pool.totalPages * pool.sizeKib) / PAGE_KIB;
  return Math.max(Math.floor(used), 0);
}
