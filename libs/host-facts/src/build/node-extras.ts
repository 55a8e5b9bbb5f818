import { PAGE_KIB, type HostNode, type HostZone, type Numastat } from '@zonewise/simulator';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';

/** Counters beyond this, years of uptime, are of no use to a replay, which counts on from them. */
const MAX_COUNTER = 2 ** 42;

/** numastat of a node: the sum over zoneinfo's zones, else nodeNumastat, numastat, nodeVmstat, else zeros. */
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
    return countersFrom((name) =>
      zones.reduce((total, zone) => total + (zone.stats[name] ?? 0), 0),
    );
  }
  const own = facts.nodeNumastat.get(nodeId);
  if (own !== undefined) {
    ledger.read(path, 'nodeNumastat');
    return own;
  }
  const column = facts.numastat?.get(nodeId);
  if (column !== undefined) {
    ledger.read(path, 'numastat');
    return column;
  }
  const vmstat = facts.nodeVmstat.get(nodeId);
  if (vmstat?.numa_hit !== undefined) {
    ledger.read(path, 'nodeVmstat');
    return countersFrom((name) => vmstat[name] ?? 0);
  }
  ledger.default(path, 'not given: counting starts at 0');
  return { ...NO_COUNTS };
}

/** From the names of /proc/vmstat and /proc/zoneinfo. */
function countersFrom(count: (name: string) => number): Numastat {
  return {
    numaHit: count('numa_hit'),
    numaMiss: count('numa_miss'),
    numaForeign: count('numa_foreign'),
    interleaveHit: count('numa_interleave'),
    localNode: count('numa_local'),
    otherNode: count('numa_other'),
  };
}

const DEFAULT_HUGE_KIB = 2048;

type Pool = HostNode['hugepages'][number];

/**
 * hugetlb pools of a node: nodeHugepages; else the default size from nodeMeminfo (its size is meminfo's
 * Hugepagesize, else 2 MiB) and other sizes from capabilities, of which freepages tells how many are free. A
 * pool whose free pages nothing tells is taken as free.
 */
export function readHugepages(facts: HostFacts, nodeId: number, ledger: Ledger): Pool[] {
  const path = `nodes.${nodeId}.hugepages`;
  const printed = facts.nodeHugepages.get(nodeId);
  if (printed !== undefined) {
    ledger.read(path, 'nodeHugepages');
    return printed
      .filter(({ totalPages }) => totalPages > 0)
      .map(({ surplusPages, ...pool }) => (surplusPages > 0 ? { ...pool, surplusPages } : pool));
  }
  const pools = new Map<number, Pool>();
  const freePagesOf = freePools(facts, nodeId);
  for (const { sizeKib, count } of facts.capabilities?.nodes.find((n) => n.id === nodeId)?.pages ??
    []) {
    if (sizeKib <= PAGE_KIB || count === 0) continue;
    const free = freePagesOf.get(sizeKib);
    pools.set(sizeKib, { sizeKib, totalPages: count, freePages: Math.min(free ?? count, count) });
    if (free === undefined)
      ledger.read(path, 'capabilities', 'free pages of the pools are not given: all');
    else ledger.read(path, 'capabilities', 'free pages of the pools from freepages');
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

/** Free pages of a node's pools by size, as `virsh freepages --all` has them. */
function freePools(facts: HostFacts, nodeId: number): Map<number, number> {
  const pages = facts.freepages?.find((node) => node.nodeId === nodeId)?.pages ?? [];
  return new Map(pages.map(({ sizeKib, freePages }) => [sizeKib, freePages]));
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
