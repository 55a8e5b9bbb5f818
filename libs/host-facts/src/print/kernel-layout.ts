/**
 * Which lines a host's kernel prints, and in which form: those of its own texts where it was imported from them,
 * else those of its release. Fields come and go: a host of 2.6.32 has no managed pages, one of 6.12 has promo marks.
 */
import type { HostModel } from '@zonewise/simulator';
import type { Meminfo } from '../parse/meminfo';
import type { Zoneinfo } from '../parse/zoneinfo';
import { counterNames, NUMA_EVENT_NAMES, releaseNumber } from './counter-names';

/** One of the lines behind the per-CPU lists of a zone, with its label as printed: `  start_pfn:           `. */
export interface TailLine {
  name: string;
  label: string;
}

export interface KernelLayout {
  /** Lines of sizes and marks of a zone, behind `free`. */
  zoneSizes: readonly string[];
  /** Counters of a zone, NUMA events among them. */
  zoneStats: readonly string[];
  /** Counters of a node; none before 4.8. */
  nodeStats: readonly string[];
  /** Blanks before a counter of a zone: 6, before 4.8 4. */
  statIndent: number;
  /** The reserves stand behind the counters, as before 4.12. */
  protectionLast: boolean;
  /** Entries of `protection:`: as many as there are zone types. */
  zoneTypes: number;
  /** Zone types that every node lists, with sizes of 0 where it has none; null: only populated zones. */
  listedZones: readonly string[] | null;
  /** Marks of zone Movable where it is empty: since 6.8 it has a minimum of its own. */
  emptyMovableMarkPages: number;
  tail: readonly TailLine[];
  vmstat: readonly string[];
  meminfo: readonly string[];
  nodeMeminfo: readonly string[];
  /** Columns between name and value of `FileHugePages` in a node's meminfo: one less up to 6.6. */
  shortFileLines: boolean;
  /** Migrate types of /proc/pagetypeinfo. */
  migrateTypes: readonly string[];
}

/** A host's own texts, as the parsers read them: names stand in the order of the text. */
export interface OwnTexts {
  zoneinfo?: { parsed: Zoneinfo; text: string };
  vmstat?: Readonly<Record<string, number>>;
  meminfo?: Meminfo;
  /** Types in the order of the text. */
  migrateTypes?: readonly string[];
}

/** @kernel mm/page_alloc.c __setup_per_zone_wmarks(), whose least for a zone of its own kind it is */
const SWAP_CLUSTER_MAX = 32;

const ZONE_TYPES = ['DMA', 'DMA32', 'Normal', 'Movable'];

/** @param own what of the host's texts is known */
export function kernelLayout(
  { kernelRelease, kernelProfile }: Pick<HostModel, 'kernelRelease' | 'kernelProfile'>,
  own: OwnTexts = {},
): KernelLayout {
  const release = releaseNumber(kernelRelease ?? kernelProfile);
  const meminfo = own.meminfo === undefined ? meminfoNames(release) : Object.keys(own.meminfo);
  return {
    ...zoneinfoLayout(release),
    ...(own.zoneinfo === undefined ? {} : zoneinfoOf(own.zoneinfo)),
    vmstat: own.vmstat === undefined ? vmstatNames(release) : Object.keys(own.vmstat),
    meminfo,
    nodeMeminfo: nodeMeminfoNames(release, own.meminfo),
    shortFileLines: release <= 6006,
    migrateTypes: own.migrateTypes ?? migrateTypes(release),
  };
}

type ZoneinfoLayout = Pick<
  KernelLayout,
  | 'zoneSizes'
  | 'zoneStats'
  | 'nodeStats'
  | 'statIndent'
  | 'protectionLast'
  | 'zoneTypes'
  | 'listedZones'
  | 'emptyMovableMarkPages'
  | 'tail'
>;

/** @kernel mm/vmstat.c zoneinfo_show_print() */
function zoneinfoLayout(release: number): ZoneinfoLayout {
  const { zone, node } = counterNames(release);
  const has = (since: number, names: string[]): string[] => (release >= since ? names : []);
  return {
    zoneSizes: [
      ...has(5014, ['boost']),
      ...['min', 'low', 'high'],
      ...has(6011, ['promo']),
      ...(release < 4008 ? ['scanned'] : release < 4012 ? ['node_scanned'] : []),
      ...['spanned', 'present'],
      ...has(3008, ['managed']),
      ...has(5013, ['cma']),
    ],
    zoneStats: zone,
    nodeStats: node,
    statIndent: release < 4008 ? 4 : 6,
    protectionLast: release < 4012,
    listedZones: release < 4011 ? null : [...ZONE_TYPES, ...has(4005, ['Device'])],
    zoneTypes: release < 4005 ? 4 : 5,
    emptyMovableMarkPages: release >= 6008 ? SWAP_CLUSTER_MAX : 0,
    tail: tailLines(release),
  };
}

function tailLines(release: number): TailLine[] {
  const line = (name: string, width: number): TailLine => ({
    name,
    label: `  ${`${name}:`.padEnd(width)}`,
  });
  if (release >= 4012) return [line('node_unreclaimable', 21), line('start_pfn', 21)];
  if (release >= 4008) {
    return ['node_unreclaimable', 'start_pfn', 'node_inactive_ratio'].map((name) => line(name, 21));
  }
  // prev_priority went with 2.6.37.
  const names = ['all_unreclaimable', 'prev_priority', 'start_pfn', 'inactive_ratio'];
  return names
    .filter((name) => release < 3000 || name !== 'prev_priority')
    .map((name) => line(name, 19));
}

/** What a text of the host shows of its kernel. */
function zoneinfoOf({ parsed, text }: NonNullable<OwnTexts['zoneinfo']>): Partial<ZoneinfoLayout> {
  const populated = parsed.zones.find(({ pages }) => (pages.present ?? 0) > 0);
  if (populated === undefined) return {};
  const [first] = parsed.nodeStats.values();
  const firstNode = parsed.zones.filter(({ nodeId }) => nodeId === parsed.zones[0]?.nodeId);
  const listsEmpty = parsed.zones.some(({ pages }) => (pages.present ?? 0) === 0);
  const emptyMovable = parsed.zones.find(
    ({ name, pages }) => name === 'Movable' && pages.present === 0,
  );
  const head = text.slice(0, text.indexOf('pagesets'));
  const tail = [...new Set([...text.matchAll(TAIL)].map(([, label = '']) => label))];
  return {
    zoneSizes: Object.keys(populated.pages).filter((name) => name !== 'free'),
    zoneStats: Object.keys(populated.stats),
    nodeStats: first === undefined ? [] : Object.keys(first),
    statIndent: /^( *)nr_free_pages /m.exec(text)?.[1]?.length ?? 6,
    protectionLast: head.lastIndexOf('protection:') > head.lastIndexOf('nr_free_pages'),
    zoneTypes: populated.protectionPages?.length ?? 5,
    listedZones: listsEmpty ? firstNode.map(({ name }) => name) : null,
    emptyMovableMarkPages: emptyMovable?.pages.min ?? 0,
    tail: tail.map((label) => ({ name: label.trim().replace(/:.*$/, ''), label })),
  };
}

const TAIL =
  /^( {2}(?:node_unreclaimable|all_unreclaimable|prev_priority|temp_priority|start_pfn|inactive_ratio|node_inactive_ratio): *)\d+$/gm;

/** @kernel mm/vmstat.c vmstat_start() */
function vmstatNames(release: number): string[] {
  const { zone, node, thresholds, events } = counterNames(release);
  // In 2.6.32 to 4.7 huge pages and the working set are counted behind the NUMA events.
  const names = [...zone, ...node, ...thresholds, ...events];
  return release >= 5008 ? [...names, 'nr_unstable'] : names;
}

/** @kernel fs/proc/meminfo.c meminfo_proc_show(), mm/hugetlb.c, arch/x86/mm/pat/set_memory.c */
function meminfoNames(release: number): string[] {
  const has = (since: number, ...names: string[]): string[] => (release >= since ? names : []);
  return [
    ...['MemTotal', 'MemFree', ...has(3014, 'MemAvailable'), 'Buffers', 'Cached', 'SwapCached'],
    ...['Active', 'Inactive', 'Active(anon)', 'Inactive(anon)', 'Active(file)', 'Inactive(file)'],
    ...['Unevictable', 'Mlocked', 'SwapTotal', 'SwapFree', ...has(5019, 'Zswap', 'Zswapped')],
    ...['Dirty', 'Writeback', 'AnonPages', 'Mapped', 'Shmem', ...has(4020, 'KReclaimable')],
    ...['Slab', 'SReclaimable', 'SUnreclaim', 'KernelStack', 'PageTables'],
    ...[...has(6001, 'SecPageTables'), 'NFS_Unstable', 'Bounce', 'WritebackTmp', 'CommitLimit'],
    ...['Committed_AS', 'VmallocTotal', 'VmallocUsed', 'VmallocChunk', ...has(5001, 'Percpu')],
    ...['HardwareCorrupted', ...has(3000, 'AnonHugePages')],
    ...has(4008, 'ShmemHugePages', 'ShmemPmdMapped'),
    ...has(5004, 'FileHugePages', 'FilePmdMapped'),
    ...has(6005, 'Unaccepted'),
    ...['HugePages_Total', 'HugePages_Free', 'HugePages_Rsvd', 'HugePages_Surp', 'Hugepagesize'],
    ...[...has(4019, 'Hugetlb'), 'DirectMap4k', 'DirectMap2M', 'DirectMap1G'],
  ];
}

/** Lines of a node that stand or fall with those of the host. */
const SHARED = new Set(['SwapCached', 'SecPageTables', 'KReclaimable', 'Unaccepted']);

/** @kernel drivers/base/node.c node_read_meminfo() */
function nodeMeminfoNames(release: number, own: Meminfo | undefined): string[] {
  const has = (since: number, ...names: string[]): string[] => (release >= since ? names : []);
  const names = [
    ...['MemTotal', 'MemFree', 'MemUsed', ...has(5012, 'SwapCached')],
    ...['Active', 'Inactive', 'Active(anon)', 'Inactive(anon)', 'Active(file)', 'Inactive(file)'],
    ...['Unevictable', 'Mlocked', 'Dirty', 'Writeback', 'FilePages', 'Mapped', 'AnonPages'],
    ...['Shmem', 'KernelStack', 'PageTables', ...has(6001, 'SecPageTables')],
    ...['NFS_Unstable', 'Bounce', 'WritebackTmp', ...has(4020, 'KReclaimable')],
    ...['Slab', 'SReclaimable', 'SUnreclaim', ...has(3000, 'AnonHugePages')],
    ...has(4008, 'ShmemHugePages', 'ShmemPmdMapped'),
    ...has(5004, 'FileHugePages', 'FilePmdMapped'),
    ...has(6005, 'Unaccepted'),
    ...['HugePages_Total', 'HugePages_Free', 'HugePages_Surp'],
  ];
  return own === undefined
    ? names
    : names.filter((name) => !SHARED.has(name) || name === 'SwapCached' || own[name] !== undefined);
}

/** @kernel mm/page_alloc.c migratetype_names[] */
function migrateTypes(release: number): string[] {
  if (release < 4004) return ['Unmovable', 'Reclaimable', 'Movable', 'Reserve', 'Isolate'];
  return ['Unmovable', 'Movable', 'Reclaimable', 'HighAtomic', 'Isolate'];
}

/** Whether a line of a zone counts NUMA events. */
export function isNumaEvent(name: string): name is (typeof NUMA_EVENT_NAMES)[number] {
  return (NUMA_EVENT_NAMES as readonly string[]).includes(name);
}
