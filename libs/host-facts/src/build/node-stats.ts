import { PAGE_KIB, PAGES_PER_HUGE, type HostNode, type LruPages } from '@zonewise/simulator';
import type { HostFacts } from '../facts';
import type { Ledger } from '../ledger';
import type { Meminfo } from '../parse/meminfo';
import { lruFrom } from './zones';

/** What a node's memory is used for. */
export type NodeUse = Pick<
  HostNode,
  | 'lru'
  | 'filePages'
  | 'mappedPages'
  | 'shmemPages'
  | 'anonPages'
  | 'dirtyPages'
  | 'writebackPages'
  | 'slabReclaimablePages'
  | 'slabUnreclaimablePages'
>;

/**
 * How the memory of each node is used: zoneinfo's per-node stats (per zone before 4.8), else nodeMeminfo,
 * nodeVmstat or numastatMeminfo, else the whole host's meminfo or vmstat, shared by used memory where the host has several nodes, else
 * everything in use counts as anonymous memory that nothing can reclaim.
 * @param usedPages managed minus free, per-CPU and hugetlb pages of each node
 */
export function nodeUses(
  facts: HostFacts,
  nodeIds: number[],
  usedPages: Map<number, number>,
  ledger: Ledger,
): Map<number, NodeUse> {
  const allUsed = nodeIds.reduce((sum, id) => sum + (usedPages.get(id) ?? 0), 0);
  const uses = new Map<number, NodeUse>();
  for (const nodeId of nodeIds) {
    const used = usedPages.get(nodeId) ?? 0;
    const share = nodeIds.length === 1 ? 1 : allUsed === 0 ? 0 : used / allUsed;
    const use = readUse(facts, nodeId, share, used, ledger);
    uses.set(nodeId, fit(use, used, nodeId, ledger));
  }
  return uses;
}

function readUse(
  facts: HostFacts,
  nodeId: number,
  share: number,
  used: number,
  ledger: Ledger,
): NodeUse {
  const path = `nodes.${nodeId}.lru`;
  const stats = zoneinfoStats(facts, nodeId);
  if (stats !== null) {
    noteStats(path, facts, ledger);
    return fromCounters(stats, 1);
  }
  const unlisted = facts.report?.unlisted;
  if (unlisted?.nodeId === nodeId) {
    ledger.derived(path, 'kernelLog', "the host's counts without those of the nodes listed");
    return fromCounters(unlisted.stats, 1);
  }
  const own = facts.nodeMeminfo.get(nodeId);
  if (own !== undefined) {
    ledger.read(path, 'nodeMeminfo', 'and the other counts of the node');
    return fromMeminfo(own, 1, own.FilePages);
  }
  const vmstat = facts.nodeVmstat.get(nodeId);
  if (vmstat?.nr_inactive_file !== undefined) {
    ledger.read(path, 'nodeVmstat', 'and the other counts of the node');
    return fromCounters(vmstat, 1);
  }
  const table = facts.numastatMeminfo?.get(nodeId);
  if (table?.['Inactive(file)'] !== undefined) {
    ledger.read(path, 'numastatMeminfo', 'rounded to hundredths of a MB, and the other counts');
    return fromMeminfo(table, 1, table.FilePages);
  }
  const whole = wholeHost(facts, share);
  if (whole !== null) {
    if (share === 1) ledger.read(path, whole.source, 'and the other counts of the node');
    else {
      ledger.derived(
        path,
        whole.source,
        "the host's counts, shared by the used memory of each node",
      );
      ledger.caveat(
        'node-use-shared',
        `${whole.source} counts the whole host: page cache and anonymous memory are shared out by the used memory of each node.`,
      );
    }
    return whole.use;
  }
  ledger.default(path, 'memory in use counts as anonymous and unreclaimable');
  if (used > 0) {
    ledger.caveat(
      'use-unknown',
      'No source tells what the memory in use is: all of it counts as anonymous memory of other processes that cannot be reclaimed. Page cache that could be dropped is not seen.',
    );
  }
  return { ...emptyUse(), anonPages: used, lru: { ...emptyUse().lru, unevictablePages: used } };
}

/** What a log does not print is told from what it does. */
function noteStats(path: string, facts: HostFacts, ledger: Ledger): void {
  if (facts.zoneSource === 'zoneinfo') {
    ledger.read(path, 'zoneinfo', 'and the other counts of the node');
    return;
  }
  ledger.read(path, 'kernelLog', 'and mapped, dirty and shared memory of the node');
  const node = path.replace(/\.lru$/, '');
  ledger.derived(`${node}.anonPages`, 'kernelLog', 'the lists of anonymous memory without shmem');
  ledger.derived(`${node}.filePages`, 'kernelLog', 'the lists of files with shmem');
  ledger.derived(
    `${node}.slabReclaimablePages`,
    'kernelLog',
    "the host's slab by the used memory of the node where the log has no other; unreclaimable alike",
  );
}

function emptyUse(): NodeUse {
  return fromCounters({}, 1);
}

function zoneinfoStats(facts: HostFacts, nodeId: number): Record<string, number> | null {
  if (facts.zoneinfo === undefined) return null;
  const stats = facts.zoneinfo.nodeStats.get(nodeId);
  const zones = facts.zoneinfo.zones.filter((zone) => zone.nodeId === nodeId);
  if (zones.length === 0) return null;
  const sum = new Map<string, number>();
  for (const zone of zones)
    for (const [name, count] of Object.entries(zone.stats))
      sum.set(name, (sum.get(name) ?? 0) + count);
  if (stats === undefined && sum.has('nr_anon_pages')) {
    // Before 4.8 huge pages were counted beside nr_anon_pages, not in it.
    const huge = (sum.get('nr_anon_transparent_hugepages') ?? 0) * PAGES_PER_HUGE;
    sum.set('nr_anon_pages', (sum.get('nr_anon_pages') ?? 0) + huge);
  }
  return { ...Object.fromEntries(sum), ...stats };
}

function wholeHost(facts: HostFacts, share: number): { source: string; use: NodeUse } | null {
  const { vmstat, meminfo } = facts;
  if (vmstat?.nr_inactive_file !== undefined)
    return { source: 'vmstat', use: fromCounters(vmstat, share) };
  if (meminfo?.['Inactive(file)'] !== undefined) {
    const { Cached = 0, Buffers = 0, SwapCached = 0 } = meminfo;
    return { source: 'meminfo', use: fromMeminfo(meminfo, share, Cached + Buffers + SwapCached) };
  }
  return null;
}

/** From nr_* counts in pages. */
function fromCounters(stats: Record<string, number>, share: number): NodeUse {
  const count = (name: string): number | undefined => {
    const value = stats[`nr_${name}`];
    return value === undefined ? undefined : Math.floor(value * share);
  };
  return {
    lru: lruFrom(count),
    filePages: count('file_pages') ?? 0,
    mappedPages: count('mapped') ?? 0,
    shmemPages: count('shmem') ?? 0,
    anonPages: count('anon_pages') ?? 0,
    dirtyPages: count('dirty') ?? 0,
    writebackPages: count('writeback') ?? 0,
    slabReclaimablePages: count('slab_reclaimable') ?? 0,
    slabUnreclaimablePages: count('slab_unreclaimable') ?? 0,
  };
}

/** From meminfo's KiB; `fileKib` is called FilePages per node and is a sum in /proc/meminfo. */
function fromMeminfo(values: Meminfo, share: number, fileKib: number | undefined): NodeUse {
  const pages = (kib: number | undefined): number => Math.floor(((kib ?? 0) * share) / PAGE_KIB);
  return {
    lru: {
      inactiveAnonPages: pages(values['Inactive(anon)']),
      activeAnonPages: pages(values['Active(anon)']),
      inactiveFilePages: pages(values['Inactive(file)']),
      activeFilePages: pages(values['Active(file)']),
      unevictablePages: pages(values.Unevictable),
    },
    filePages: pages(fileKib),
    mappedPages: pages(values.Mapped),
    shmemPages: pages(values.Shmem),
    anonPages: pages(values.AnonPages),
    dirtyPages: pages(values.Dirty),
    writebackPages: pages(values.Writeback),
    slabReclaimablePages: pages(values.SReclaimable),
    slabUnreclaimablePages: pages(values.SUnreclaim),
  };
}

export function lruSum(lru: LruPages): number {
  return (
    lru.inactiveAnonPages +
    lru.activeAnonPages +
    lru.inactiveFilePages +
    lru.activeFilePages +
    lru.unevictablePages
  );
}

/** Scales the lists of a count down by `factor`. */
export function scaleLru(lru: LruPages, factor: number): LruPages {
  const part = (pages: number): number => Math.floor(pages * factor);
  return {
    inactiveAnonPages: part(lru.inactiveAnonPages),
    activeAnonPages: part(lru.activeAnonPages),
    inactiveFilePages: part(lru.inactiveFilePages),
    activeFilePages: part(lru.activeFilePages),
    unevictablePages: part(lru.unevictablePages),
  };
}

/** Counts from other moments or other sources can name more memory than is in use: all shrink alike. */
function fit(use: NodeUse, used: number, nodeId: number, ledger: Ledger): NodeUse {
  const named = lruSum(use.lru) + use.slabReclaimablePages + use.slabUnreclaimablePages;
  const factor = named > used ? used / named : 1;
  const part = (pages: number): number => Math.min(Math.floor(pages * factor), used);
  if (factor < 1) {
    ledger.differ(
      `nodes.${nodeId}.lru`,
      { source: 'managed minus free', value: used },
      { source: 'sum of the LRU lists and slab', value: named },
      'memory in use is managed minus free; lists that name more are scaled down together',
    );
  }
  return {
    lru: scaleLru(use.lru, factor),
    filePages: part(use.filePages),
    mappedPages: part(use.mappedPages),
    shmemPages: part(use.shmemPages),
    anonPages: part(use.anonPages),
    dirtyPages: part(use.dirtyPages),
    writebackPages: part(use.writebackPages),
    slabReclaimablePages: part(use.slabReclaimablePages),
    slabUnreclaimablePages: part(use.slabUnreclaimablePages),
  };
}
