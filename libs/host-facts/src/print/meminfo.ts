import { PAGE_KIB, PAGES_PER_HUGE } from '@zonewise/simulator';
import { kib, right, textOf } from './layout';
import { allZones, zoneSum, type NodeState, type PrintedState } from './printed-state';
import { availablePages } from './reserves';
import { anyStat } from './vmstat';

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

/** Values in KiB by printed name; of `HugePages_*` in pages. */
type Values = Record<string, number>;

/**
 * /proc/meminfo.
 * @kernel fs/proc/meminfo.c meminfo_proc_show(), mm/hugetlb.c hugetlb_report_meminfo(),
 * arch/x86/mm/pat/set_memory.c arch_report_meminfo()
 * @differs CommitLimit follows vm.overcommit_ratio 50; Committed_AS does not see the replay's guests
 */
export function printMeminfo(state: PrintedState): string {
  const values = hostValues(state);
  const carried = state.carried.meminfo ?? {};
  return textOf(state.layout.meminfo.map((name) => line(name, values[name] ?? carried[name] ?? 0)));
}

function line(name: string, value: number): string {
  if (/^HugePages_/.test(name)) return `${`${name}:`.padEnd(19)}${right(value, 5)}`;
  if (name === 'HardwareCorrupted') return `HardwareCorrupted: ${right(value, 5)} kB`;
  return kibLine(name, value);
}

type Count = (name: string) => number;

function hostValues(state: PrintedState): Values {
  const count: Count = (name) => anyStat(state, name);
  const carried = (name: string): number => state.carried.meminfo?.[name] ?? 0;
  const zones = allZones(state);
  const managed = zoneSum(zones, (zone) => zone.managedPages);
  const file = count('nr_file_pages');
  // Before 5.12 no counter has the swap cache.
  const swapCache = state.layout.nodeStats.includes('nr_swapcached')
    ? count('nr_swapcached')
    : carried('SwapCached') / PAGE_KIB;
  // Block device pages are page cache too; they cannot be more than is left of it.
  const buffers = Math.min(carried('Buffers') / PAGE_KIB, Math.max(file - swapCache, 0));
  const reclaimable = count('nr_slab_reclaimable') + count('nr_kernel_misc_reclaimable');
  return {
    ...sharedValues(count),
    MemTotal: kib(managed),
    MemFree: kib(zoneSum(zones, (zone) => zone.freePages)),
    MemAvailable: kib(availablePages(state, reclaimable)),
    Buffers: kib(buffers),
    Cached: kib(Math.max(file - swapCache - buffers, 0)),
    SwapCached: kib(swapCache),
    SwapTotal: kib(state.swap.totalPages),
    SwapFree: kib(state.swap.freePages),
    CommitLimit: kib(commitLimitPages(state, managed)),
    VmallocTotal: state.carried.meminfo?.VmallocTotal ?? VMALLOC_TOTAL_KIB,
    VmallocChunk: state.carried.meminfo?.VmallocChunk ?? 0,
    ...hugetlbValues(state),
  };
}

/** What a host's meminfo and a node's have alike. */
function sharedValues(count: Count): Values {
  const [activeAnon, inactiveAnon] = [count('nr_active_anon'), count('nr_inactive_anon')];
  const [activeFile, inactiveFile] = [count('nr_active_file'), count('nr_inactive_file')];
  const slabReclaimable = count('nr_slab_reclaimable');
  const slabUnreclaimable = count('nr_slab_unreclaimable');
  // The counters stand in units of 2 MiB, as /proc/vmstat prints them.
  const hugeKib = (name: string): number => kib(count(name) * PAGES_PER_HUGE);
  return {
    Active: kib(activeAnon + activeFile),
    Inactive: kib(inactiveAnon + inactiveFile),
    'Active(anon)': kib(activeAnon),
    'Inactive(anon)': kib(inactiveAnon),
    'Active(file)': kib(activeFile),
    'Inactive(file)': kib(inactiveFile),
    Unevictable: kib(count('nr_unevictable')),
    Mlocked: kib(count('nr_mlock')),
    Dirty: kib(count('nr_dirty')),
    Writeback: kib(count('nr_writeback')),
    AnonPages: kib(count('nr_anon_pages')),
    Mapped: kib(count('nr_mapped')),
    Shmem: kib(count('nr_shmem')),
    KReclaimable: kib(slabReclaimable + count('nr_kernel_misc_reclaimable')),
    Slab: kib(slabReclaimable + slabUnreclaimable),
    SReclaimable: kib(slabReclaimable),
    SUnreclaim: kib(slabUnreclaimable),
    // Counted in KiB.
    KernelStack: count('nr_kernel_stack'),
    PageTables: kib(count('nr_page_table_pages')),
    SecPageTables: kib(count('nr_sec_page_table_pages')),
    NFS_Unstable: kib(count('nr_unstable')),
    Bounce: kib(count('nr_bounce')),
    WritebackTmp: kib(count('nr_writeback_temp')),
    AnonHugePages: hugeKib('nr_anon_transparent_hugepages'),
    ShmemHugePages: hugeKib('nr_shmem_hugepages'),
    ShmemPmdMapped: hugeKib('nr_shmem_pmdmapped'),
    FileHugePages: hugeKib('nr_file_hugepages'),
    FilePmdMapped: hugeKib('nr_file_pmdmapped'),
    Unaccepted: kib(count('nr_unaccepted')),
  };
}

function commitLimitPages(state: PrintedState, managedPages: number): number {
  const hugetlb = hugeSum(
    state.nodes.flatMap((node) => node.hugepages),
    (pool) => (pool.sizeKib / PAGE_KIB) * pool.totalPages,
  );
  const share = Math.floor(((managedPages - hugetlb) * OVERCOMMIT_RATIO_PERCENT) / 100);
  return share + state.swap.totalPages;
}

function hugetlbValues(state: PrintedState): Values {
  const pools = state.nodes.flatMap((node) => node.hugepages);
  const own = defaultPools(pools);
  const carried = (name: string): number => state.carried.meminfo?.[name] ?? 0;
  const reserved = state.hugetlb?.find(
    ({ sizeKib }) => sizeKib === DEFAULT_HUGE_KIB,
  )?.reservedPages;
  return {
    HugePages_Total: hugeSum(own, (pool) => pool.totalPages),
    HugePages_Free: hugeSum(own, (pool) => pool.freePages),
    HugePages_Rsvd: reserved ?? carried('HugePages_Rsvd'),
    HugePages_Surp: state.hugetlb
      ? hugeSum(own, (pool) => pool.surplusPages ?? 0)
      : carried('HugePages_Surp'),
    Hugepagesize: DEFAULT_HUGE_KIB,
    Hugetlb: hugeSum(pools, (pool) => pool.sizeKib * pool.totalPages),
  };
}

/**
 * /sys/devices/system/node/nodeN/meminfo.
 * @kernel drivers/base/node.c node_read_meminfo(), mm/hugetlb.c hugetlb_report_node_meminfo()
 */
export function printNodeMeminfo(node: NodeState, { layout }: PrintedState): string {
  const values = nodeValues(node);
  return textOf(
    layout.nodeMeminfo.map((name) => {
      const value = values[name] ?? 0;
      return `Node ${node.nodeId} ${nodeLine(name, value, layout.shortFileLines)}`;
    }),
  );
}

/** Up to 6.6 the two lines on file huge pages have one column less than all others. */
function nodeLine(name: string, value: number, shortFileLines: boolean): string {
  if (/^HugePages_/.test(name)) return `${`${name}:`.padEnd(16)} ${right(value, 5)}`;
  const text = kibLine(name, value);
  const isShort = shortFileLines && (name === 'FileHugePages' || name === 'FilePmdMapped');
  return isShort ? text.replace(': ', ':') : text;
}

function nodeValues(node: NodeState): Values {
  const count: Count = (name) =>
    node.stats[name] ?? zoneSum(node.zones, (zone) => zone.stats[name] ?? 0);
  const managed = zoneSum(node.zones, (zone) => zone.managedPages);
  const free = zoneSum(node.zones, (zone) => zone.freePages);
  const pools = defaultPools(node.hugepages);
  return {
    ...sharedValues(count),
    MemTotal: kib(managed),
    MemFree: kib(free),
    MemUsed: kib(managed - free),
    SwapCached: kib(count('nr_swapcached')),
    FilePages: kib(count('nr_file_pages')),
    HugePages_Total: hugeSum(pools, (pool) => pool.totalPages),
    HugePages_Free: hugeSum(pools, (pool) => pool.freePages),
    HugePages_Surp: hugeSum(pools, (pool) => pool.surplusPages ?? 0),
  };
}
