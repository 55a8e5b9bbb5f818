import { PAGE_KIB, PAGES_PER_HUGE } from '@zonewise/simulator';
import { kib, right, textOf } from './layout';
import { allZones, zoneSum, type NodeState, type PrintedState } from './printed-state';
import { availablePages } from './reserves';
import { nodeStat, zoneStat } from './vmstat';

/** Size of the default hugetlb page on x86-64, the only one with counts of its own here. */
const DEFAULT_HUGE_KIB = 2048;
/** Address space that 4-level paging leaves for vmalloc: 32 TiB less one byte, in whole KiB. */
const VMALLOC_TOTAL_KIB = 34359738367;
const OVERCOMMIT_RATIO_PERCENT = 50;

/** Name with its colon and a value in 8 columns. */
function kibLine(name: string, value: number, nameWidth = 16): string {
  return `${`${name}:`.padEnd(nameWidth)}${right(value, 8)} kB`;
}

type Hugepages = NodeState['hugepages'];

function hugeSum(
  hugepages: readonly Hugepages[number][],
  value: (pool: Hugepages[number]) => number,
): number {
  return hugepages.reduce((sum, pool) => sum + value(pool), 0);
}

function defaultPools(hugepages: Hugepages): Hugepages {
  return hugepages.filter(({ sizeKib }) => sizeKib === DEFAULT_HUGE_KIB);
}

/**
 * /proc/meminfo.
 * @kernel fs/proc/meminfo.c meminfo_proc_show(), mm/hugetlb.c hugetlb_report_meminfo(),
 * arch/x86/mm/pat/set_memory.c arch_report_meminfo()
 * @differs CommitLimit follows vm.overcommit_ratio 50; Committed_AS does not see the replay's guests
 */
export function printMeminfo(state: PrintedState): string {
  const carried = (name: string): number => state.carried.meminfo?.[name] ?? 0;
  const node = (name: Parameters<typeof nodeStat>[1]): number => nodeStat(state, name);
  const zones = allZones(state);
  const managed = zoneSum(zones, (zone) => zone.managedPages);
  const file = node('nr_file_pages');
  const swapCache = node('nr_swapcached');
  // Block device pages are page cache too; they cannot be more than is left of it.
  const buffers = Math.min(carried('Buffers') / PAGE_KIB, Math.max(file - swapCache, 0));
  const slabReclaimable = node('nr_slab_reclaimable');
  const slabUnreclaimable = node('nr_slab_unreclaimable');
  const reclaimable = slabReclaimable + node('nr_kernel_misc_reclaimable');
  return textOf([
    kibLine('MemTotal', kib(managed)),
    kibLine('MemFree', kib(zoneSum(zones, (zone) => zone.freePages))),
    kibLine('MemAvailable', kib(availablePages(state, reclaimable))),
    kibLine('Buffers', kib(buffers)),
    kibLine('Cached', kib(Math.max(file - swapCache - buffers, 0))),
    kibLine('SwapCached', kib(swapCache)),
    ...lruLines(node, zoneStat(state, 'nr_mlock')),
    kibLine('SwapTotal', kib(state.swap.totalPages)),
    kibLine('SwapFree', kib(state.swap.freePages)),
    ...optionalLines(state, ['Zswap', 'Zswapped']),
    kibLine('Dirty', kib(node('nr_dirty'))),
    kibLine('Writeback', kib(node('nr_writeback'))),
    kibLine('AnonPages', kib(node('nr_anon_pages'))),
    kibLine('Mapped', kib(node('nr_mapped'))),
    kibLine('Shmem', kib(node('nr_shmem'))),
    kibLine('KReclaimable', kib(reclaimable)),
    kibLine('Slab', kib(slabReclaimable + slabUnreclaimable)),
    kibLine('SReclaimable', kib(slabReclaimable)),
    kibLine('SUnreclaim', kib(slabUnreclaimable)),
    kibLine('KernelStack', node('nr_kernel_stack')),
    kibLine('PageTables', kib(node('nr_page_table_pages'))),
    kibLine('SecPageTables', kib(node('nr_sec_page_table_pages'))),
    kibLine('NFS_Unstable', 0),
    kibLine('Bounce', kib(zoneStat(state, 'nr_bounce'))),
    kibLine('WritebackTmp', kib(node('nr_writeback_temp'))),
    kibLine('CommitLimit', kib(commitLimitPages(state, managed))),
    kibLine('Committed_AS', carried('Committed_AS')),
    kibLine('VmallocTotal', state.carried.meminfo?.VmallocTotal ?? VMALLOC_TOTAL_KIB),
    kibLine('VmallocUsed', carried('VmallocUsed')),
    kibLine('VmallocChunk', 0),
    kibLine('Percpu', carried('Percpu')),
    ...hardwareCorrupted(state),
    ...hugeStatLines(node),
    ...hugetlbLines(state),
    ...['DirectMap4k', 'DirectMap2M'].map((name) => kibLine(name, carried(name))),
    ...optionalLines(state, ['DirectMap1G']),
  ]);
}

type NodeCount = (name: Parameters<typeof nodeStat>[1]) => number;

function lruLines(count: NodeCount, mlocked: number, start = ''): string[] {
  const line = (name: string, pages: number): string => start + kibLine(name, kib(pages));
  const [activeAnon, inactiveAnon] = [count('nr_active_anon'), count('nr_inactive_anon')];
  const [activeFile, inactiveFile] = [count('nr_active_file'), count('nr_inactive_file')];
  return [
    line('Active', activeAnon + activeFile),
    line('Inactive', inactiveAnon + inactiveFile),
    line('Active(anon)', activeAnon),
    line('Inactive(anon)', inactiveAnon),
    line('Active(file)', activeFile),
    line('Inactive(file)', inactiveFile),
    line('Unevictable', count('nr_unevictable')),
    line('Mlocked', mlocked),
  ];
}

/** The counters stand in units of 2 MiB, as /proc/vmstat prints them. */
function hugeStatLines(count: NodeCount): string[] {
  const hugeKib = (pages: number): number => kib(pages * PAGES_PER_HUGE);
  return [
    kibLine('AnonHugePages', hugeKib(count('nr_anon_transparent_hugepages'))),
    kibLine('ShmemHugePages', hugeKib(count('nr_shmem_hugepages'))),
    kibLine('ShmemPmdMapped', hugeKib(count('nr_shmem_pmdmapped'))),
    kibLine('FileHugePages', hugeKib(count('nr_file_hugepages'))),
    kibLine('FilePmdMapped', hugeKib(count('nr_file_pmdmapped'))),
  ];
}

function isPrinted(state: PrintedState, name: string): boolean {
  const { meminfo } = state.carried;
  return meminfo === undefined || meminfo[name] !== undefined;
}

function optionalLines(state: PrintedState, names: readonly string[]): string[] {
  return names
    .filter((name) => isPrinted(state, name))
    .map((name) => kibLine(name, state.carried.meminfo?.[name] ?? 0));
}

function hardwareCorrupted(state: PrintedState): string[] {
  if (!isPrinted(state, 'HardwareCorrupted')) return [];
  const value = state.carried.meminfo?.HardwareCorrupted ?? 0;
  return [`HardwareCorrupted: ${right(value, 5)} kB`];
}

function commitLimitPages(state: PrintedState, managedPages: number): number {
  const hugetlb = hugeSum(
    state.nodes.flatMap((node) => node.hugepages),
    (pool) => (pool.sizeKib / PAGE_KIB) * pool.totalPages,
  );
  const share = Math.floor(((managedPages - hugetlb) * OVERCOMMIT_RATIO_PERCENT) / 100);
  return share + state.swap.totalPages;
}

function hugetlbLines(state: PrintedState): string[] {
  const pools = state.nodes.flatMap((node) => node.hugepages);
  const own = defaultPools(pools);
  const carried = (name: string): number => state.carried.meminfo?.[name] ?? 0;
  const reserved = state.hugetlb?.find(
    ({ sizeKib }) => sizeKib === DEFAULT_HUGE_KIB,
  )?.reservedPages;
  const line = (name: string, count: number): string => `${name.padEnd(19)}${right(count, 5)}`;
  return [
    line(
      'HugePages_Total:',
      hugeSum(own, (pool) => pool.totalPages),
    ),
    line(
      'HugePages_Free:',
      hugeSum(own, (pool) => pool.freePages),
    ),
    line('HugePages_Rsvd:', reserved ?? carried('HugePages_Rsvd')),
    line(
      'HugePages_Surp:',
      state.hugetlb ? hugeSum(own, (pool) => pool.surplusPages ?? 0) : carried('HugePages_Surp'),
    ),
    kibLine('Hugepagesize', DEFAULT_HUGE_KIB),
    kibLine(
      'Hugetlb',
      hugeSum(pools, (pool) => pool.sizeKib * pool.totalPages),
    ),
  ];
}

/**
 * /sys/devices/system/node/nodeN/meminfo.
 * @kernel drivers/base/node.c node_read_meminfo(), mm/hugetlb.c hugetlb_report_node_meminfo()
 */
export function printNodeMeminfo(node: NodeState): string {
  return textOf(nodeMeminfoLines(node));
}

function nodeMeminfoLines(node: NodeState): string[] {
  const start = `Node ${node.nodeId} `;
  const count: NodeCount = (name) => node.stats[name] ?? 0;
  const line = (name: string, value: number, width = 16): string =>
    start + kibLine(name, value, width);
  const managed = zoneSum(node.zones, (zone) => zone.managedPages);
  const free = zoneSum(node.zones, (zone) => zone.freePages);
  const ofZones = (name: 'nr_mlock' | 'nr_bounce'): number =>
    zoneSum(node.zones, (zone) => zone.stats[name] ?? 0);
  const slabReclaimable = count('nr_slab_reclaimable');
  const slabUnreclaimable = count('nr_slab_unreclaimable');
  const pools = defaultPools(node.hugepages);
  const pool = (name: string, value: number): string => `${start}${name} ${right(value, 5)}`;
  return [
    line('MemTotal', kib(managed)),
    line('MemFree', kib(free)),
    line('MemUsed', kib(managed - free)),
    line('SwapCached', kib(count('nr_swapcached'))),
    ...lruLines(count, ofZones('nr_mlock'), start),
    line('Dirty', kib(count('nr_dirty'))),
    line('Writeback', kib(count('nr_writeback'))),
    line('FilePages', kib(count('nr_file_pages'))),
    line('Mapped', kib(count('nr_mapped'))),
    line('AnonPages', kib(count('nr_anon_pages'))),
    line('Shmem', kib(count('nr_shmem'))),
    line('KernelStack', count('nr_kernel_stack')),
    line('PageTables', kib(count('nr_page_table_pages'))),
    line('SecPageTables', kib(count('nr_sec_page_table_pages'))),
    line('NFS_Unstable', 0),
    line('Bounce', kib(ofZones('nr_bounce'))),
    line('WritebackTmp', kib(count('nr_writeback_temp'))),
    line('KReclaimable', kib(slabReclaimable + count('nr_kernel_misc_reclaimable'))),
    line('Slab', kib(slabReclaimable + slabUnreclaimable)),
    line('SReclaimable', kib(slabReclaimable)),
    line('SUnreclaim', kib(slabUnreclaimable)),
    ...nodeHugeStatLines(count, start),
    pool(
      'HugePages_Total:',
      hugeSum(pools, (p) => p.totalPages),
    ),
    pool(
      'HugePages_Free: ',
      hugeSum(pools, (p) => p.freePages),
    ),
    pool(
      'HugePages_Surp: ',
      hugeSum(pools, (p) => p.surplusPages ?? 0),
    ),
  ];
}

/** The two lines on file huge pages have one column less than all others. */
function nodeHugeStatLines(count: NodeCount, start: string): string[] {
  return hugeStatLines(count).map(
    (line) => start + (line.startsWith('File') ? line.replace(': ', ':') : line),
  );
}
