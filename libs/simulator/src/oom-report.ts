/** The OOM killer's report as dmesg shows it, without the call trace. */
import { MAX_NR_ZONES, PAGE_KIB, PAGES_PER_HUGE } from './constants';
import { gfpMaskText, gfpZone } from './gfp-mask';
import {
  ZONE_NAMES,
  type HostNode,
  type LruPages,
  type MigrateTypeName,
  type OomConstraint,
  type ZoneName,
} from './types';

export interface OomReportZone {
  name: ZoneName;
  presentPages: number;
  managedPages: number;
  freePages: number;
  boostPages: number;
  /** Marks without boost. */
  minPages: number;
  lowPages: number;
  highPages: number;
  /** Pages in pageblocks that are kept for high-order atomic requests. */
  reservedHighatomicPages?: number;
  lru: LruPages;
  /** Dirty pages and pages under writeback. */
  writePendingPages?: number;
  mlockedPages?: number;
  /** Pages on the lists of all CPUs, and of the CPU that ran into the OOM killer. */
  pcpPages: number;
  localPcpPages: number;
  /** Reserve by class of the request; a missing entry for Device is that of the class before it. */
  protectionPages: number[];
  /** Free blocks by order 0..10 per migrate type. */
  freeBlocksByType: Partial<Record<MigrateTypeName, readonly number[]>>;
}

export interface OomReportNode {
  nodeId: number;
  /** Populated zones; empty for a node without memory. */
  zones: OomReportZone[];
  lru: LruPages;
  filePages: number;
  mappedPages: number;
  shmemPages: number;
  dirtyPages: number;
  writebackPages: number;
  slabReclaimablePages: number;
  slabUnreclaimablePages: number;
  /** Huge pages of 2 MiB. */
  anonTransparentHugepages: number;
  kernelStackKib?: number;
  pageTablePages?: number;
  /** kswapd has given the node up. */
  isUnreclaimable: boolean;
  hugepages: HostNode['hugepages'];
}

export interface OomReportTask {
  pid: number;
  /** The kernel keeps 15 characters. */
  name: string;
  uid: number;
  totalVmPages: number;
  anonRssPages: number;
  fileRssPages: number;
  shmemRssPages: number;
  pageTableBytes: number;
  swapEntries: number;
  /** -1000..1000. */
  oomScoreAdj: number;
}

/** A memory cgroup at its limit; Infinity where there is none. */
export interface OomReportGroup {
  path: string;
  usagePages: number;
  maxPages: number;
  /** Charges that met the limit. */
  failures: number;
  swapPages: number;
  swapMaxPages: number;
  anonPages: number;
  anonHugePages: number;
  filePages: number;
  kernelPages: number;
  pageTablePages: number;
  /** Charged slab objects. */
  objectBytes: number;
  lru: LruPages;
}

export interface OomReportInput {
  invokedBy: { name: string; oomScoreAdj: number };
  gfpMask: number;
  order: number;
  constraint: OomConstraint;
  /** The memory cgroup that is full: its numbers stand in place of the nodes'. */
  memcg?: OomReportGroup;
  /** Nodes of the request's policy; null when it has none. */
  nodemask: readonly number[] | null;
  /** The invoker's cpuset: name and nodes. */
  cpuset: { name: string; mems: readonly number[] };
  /** All nodes in ascending order. */
  nodes: readonly OomReportNode[];
  swap: { cachePages: number; freePages: number; totalPages: number };
  /** Processes that could be killed, in ascending order of their number. */
  tasks: readonly OomReportTask[];
  /** Number of the process that is killed; undefined when there is none to kill. */
  victimPid?: number;
  /** Memory cgroup of the victim. */
  victimMemcg?: string;
}

const COMM_LENGTH = 15;
const ORDERS = 11;

/**
 * The lines of a kill in their order: who asked for what, memory of the nodes that the request may use or of the
 * memory cgroup that is full, the candidates, the summary and the killed process.
 * @kernel mm/oom_kill.c dump_header(), dump_tasks(), dump_oom_summary(), __oom_kill_process();
 * mm/page_alloc.c __show_free_areas(); lib/show_mem.c __show_mem()
 * @differs no stack dump; no list of slab caches where unreclaimable slab outweighs all other memory
 */
export function oomReport(input: OomReportInput): string[] {
  const { invokedBy, gfpMask, order, tasks } = input;
  const mask = `0x${gfpMask.toString(16)}(${gfpMaskText(gfpMask)})`;
  const victim = tasks.find(({ pid }) => pid === input.victimPid);
  return [
    `${comm(invokedBy.name)} invoked oom-killer: gfp_mask=${mask}, order=${order}, ` +
      `oom_score_adj=${invokedBy.oomScoreAdj}`,
    ...(input.memcg ? memcgInfo(input.memcg) : memInfo(input)),
    'Tasks state (memory values in pages):',
    '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name',
    ...tasks.map(taskLine),
    ...(victim === undefined
      ? ['Out of memory and no killable processes...']
      : [summaryLine(input, victim), killedLine(victim, input.memcg !== undefined)]),
  ];
}

function comm(name: string): string {
  return name.slice(0, COMM_LENGTH);
}

function right(value: number, width: number): string {
  return String(value).padStart(width);
}

function kb(pages: number): string {
  return `${pages * PAGE_KIB}kB`;
}

/** Numbers as the kernel prints a set: `0-2,5`; `(null)` for no set at all. */
function nodeList(nodes: readonly number[] | null): string {
  if (nodes === null) return '(null)';
  const runs: [first: number, last: number][] = [];
  for (const node of [...nodes].sort((a, b) => a - b)) {
    const run = runs.at(-1);
    if (run !== undefined && run[1] === node - 1) run[1] = node;
    else runs.push([node, node]);
  }
  return runs.map(([first, last]) => (first === last ? `${first}` : `${first}-${last}`)).join(',');
}

function memInfo(input: OomReportInput): string[] {
  const { nodes, swap, gfpMask } = input;
  const allowed = new Set(input.nodemask ?? input.cpuset.mems);
  const highest = gfpZone(gfpMask);
  const shown = nodes
    .filter(({ nodeId }) => allowed.has(nodeId))
    .map((node) => ({
      ...node,
      zones: node.zones
        .filter(({ name }) => ZONE_NAMES.indexOf(name) <= highest)
        .sort((a, b) => ZONE_NAMES.indexOf(a.name) - ZONE_NAMES.indexOf(b.name)),
    }));
  const zones = shown.flatMap(({ nodeId, zones: list }) => list.map((zone) => ({ nodeId, zone })));
  const all = nodes.flatMap((node) => node.zones);
  const presentPages = sum(all, (zone) => zone.presentPages);
  return [
    'Mem-Info:',
    ...totalLines(
      nodes,
      sum(zones, ({ zone }) => zone.pcpPages),
    ),
    ...shown.filter((node) => node.zones.length > 0).map(nodeLine),
    ...zones.flatMap(({ nodeId, zone }) => zoneLines(nodeId, zone)),
    ...zones.map(({ nodeId, zone }) => blocksLine(nodeId, zone)),
    ...shown.flatMap(hugetlbLines),
    `${sum(nodes, (node) => node.filePages)} total pagecache pages`,
    `${swap.cachePages} pages in swap cache`,
    `Free swap  = ${kb(swap.freePages)}`,
    `Total swap = ${kb(swap.totalPages)}`,
    `${presentPages} pages RAM`,
    '0 pages HighMem/MovableOnly',
    `${presentPages - sum(all, (zone) => zone.managedPages)} pages reserved`,
  ];
}

/** What the kernel prints as the limit of a counter that has none. @kernel include/linux/page_counter.h PAGE_COUNTER_MAX */
const NO_LIMIT_KIB = '9007199254740988kB';
const PAGE_BYTES = 4096;

/**
 * @kernel mm/memcontrol.c mem_cgroup_print_oom_meminfo(), memory_stat_format()
 * @differs the states of memory.stat without its events; what the model does not split is 0
 */
function memcgInfo(memcg: OomReportGroup): string[] {
  const limit = (pages: number): string => (pages === Infinity ? NO_LIMIT_KIB : kb(pages));
  const { lru } = memcg;
  const states: [name: string, bytes: number][] = [
    ['anon', memcg.anonPages * PAGE_BYTES],
    ['file', memcg.filePages * PAGE_BYTES],
    ['kernel', memcg.kernelPages * PAGE_BYTES],
    ['kernel_stack', 0],
    ['pagetables', memcg.pageTablePages * PAGE_BYTES],
    ['anon_thp', memcg.anonHugePages * PAGE_BYTES],
    ['inactive_anon', lru.inactiveAnonPages * PAGE_BYTES],
    ['active_anon', lru.activeAnonPages * PAGE_BYTES],
    ['inactive_file', lru.inactiveFilePages * PAGE_BYTES],
    ['active_file', lru.activeFilePages * PAGE_BYTES],
    ['unevictable', lru.unevictablePages * PAGE_BYTES],
    ['slab_reclaimable', memcg.objectBytes],
    ['slab_unreclaimable', 0],
    ['slab', memcg.objectBytes],
  ];
  return [
    `memory: usage ${kb(memcg.usagePages)}, limit ${limit(memcg.maxPages)}, failcnt ${memcg.failures}`,
    `swap: usage ${kb(memcg.swapPages)}, limit ${limit(memcg.swapMaxPages)}, failcnt 0`,
    `Memory cgroup stats for ${memcg.path}:`,
    ...states.map(([name, bytes]) => `${name} ${bytes}`),
  ];
}

function sum<T>(items: readonly T[], value: (item: T) => number): number {
  return items.reduce((total, item) => total + value(item), 0);
}

/** One message of eight lines about all nodes; only `free_pcp` is of the nodes shown. */
function totalLines(nodes: readonly OomReportNode[], pcpPages: number): string[] {
  const of = (value: (node: OomReportNode) => number): number => sum(nodes, value);
  const lru = (name: keyof LruPages): number => of((node) => node.lru[name]);
  const freePages = of((node) => sum(node.zones, (zone) => zone.freePages));
  return [
    `active_anon:${lru('activeAnonPages')} inactive_anon:${lru('inactiveAnonPages')} isolated_anon:0`,
    ` active_file:${lru('activeFilePages')} inactive_file:${lru('inactiveFilePages')} isolated_file:0`,
    ` unevictable:${lru('unevictablePages')} dirty:${of((node) => node.dirtyPages)}` +
      ` writeback:${of((node) => node.writebackPages)}`,
    ` slab_reclaimable:${of((node) => node.slabReclaimablePages)}` +
      ` slab_unreclaimable:${of((node) => node.slabUnreclaimablePages)}`,
    ` mapped:${of((node) => node.mappedPages)} shmem:${of((node) => node.shmemPages)}` +
      ` pagetables:${of((node) => node.pageTablePages ?? 0)}`,
    ' sec_pagetables:0 bounce:0',
    ' kernel_misc_reclaimable:0',
    ` free:${freePages} free_pcp:${pcpPages} free_cma:0`,
  ];
}

function lruText(lru: LruPages): string {
  return (
    ` active_anon:${kb(lru.activeAnonPages)} inactive_anon:${kb(lru.inactiveAnonPages)}` +
    ` active_file:${kb(lru.activeFilePages)} inactive_file:${kb(lru.inactiveFilePages)}` +
    ` unevictable:${kb(lru.unevictablePages)}`
  );
}

function nodeLine(node: OomReportNode): string {
  return (
    `Node ${node.nodeId}${lruText(node.lru)} isolated(anon):0kB isolated(file):0kB` +
    ` mapped:${kb(node.mappedPages)} dirty:${kb(node.dirtyPages)}` +
    ` writeback:${kb(node.writebackPages)} shmem:${kb(node.shmemPages)}` +
    ' shmem_thp: 0kB shmem_pmdmapped: 0kB' +
    ` anon_thp: ${kb(node.anonTransparentHugepages * PAGES_PER_HUGE)}` +
    ` writeback_tmp:0kB kernel_stack:${node.kernelStackKib ?? 0}kB` +
    ` pagetables:${kb(node.pageTablePages ?? 0)} sec_pagetables:0kB` +
    ` all_unreclaimable? ${node.isUnreclaimable ? 'yes' : 'no'}`
  );
}

function zoneLines(nodeId: number, zone: OomReportZone): string[] {
  const { boostPages, protectionPages } = zone;
  const last = protectionPages.at(-1) ?? 0;
  const reserve = Array.from({ length: MAX_NR_ZONES }, (_, i) => protectionPages[i] ?? last);
  return [
    `Node ${nodeId} ${zone.name} free:${kb(zone.freePages)} boost:${kb(boostPages)}` +
      ` min:${kb(zone.minPages + boostPages)} low:${kb(zone.lowPages + boostPages)}` +
      ` high:${kb(zone.highPages + boostPages)}` +
      ` reserved_highatomic:${(zone.reservedHighatomicPages ?? 0) * PAGE_KIB}KB` +
      `${lruText(zone.lru)} writepending:${kb(zone.writePendingPages ?? 0)}` +
      ` present:${kb(zone.presentPages)} managed:${kb(zone.managedPages)}` +
      ` mlocked:${kb(zone.mlockedPages ?? 0)} bounce:0kB free_pcp:${kb(zone.pcpPages)}` +
      ` local_pcp:${kb(zone.localPcpPages)} free_cma:0kB`,
    `lowmem_reserve[]: ${reserve.join(' ')}`,
  ];
}

/** Letters by which a line of free blocks says which types have some, in the kernel's order. */
const TYPE_LETTERS: readonly (readonly [type: MigrateTypeName, letter: string])[] = [
  ['Unmovable', 'U'],
  ['Movable', 'M'],
  ['Reclaimable', 'E'],
  ['HighAtomic', 'H'],
  ['CMA', 'C'],
  ['Isolate', 'I'],
];

function blocksLine(nodeId: number, zone: OomReportZone): string {
  let totalPages = 0;
  const orders = Array.from({ length: ORDERS }, (_, order) => {
    const of = (type: MigrateTypeName): number => zone.freeBlocksByType[type]?.[order] ?? 0;
    const blocks = sum(TYPE_LETTERS, ([type]) => of(type));
    totalPages += blocks * 2 ** order;
    const letters = TYPE_LETTERS.filter(([type]) => of(type) > 0).map(([, letter]) => letter);
    const types = blocks > 0 ? `(${letters.join('')}) ` : '';
    return `${blocks}*${kb(2 ** order)} ${types}`;
  });
  return `Node ${nodeId} ${zone.name}: ${orders.join('')}= ${kb(totalPages)}`;
}

/** Sizes that x86-64 always has pools for, in the order of the kernel's list. */
const HUGETLB_SIZES_KIB = [1_048_576, 2048];

function hugetlbLines({ nodeId, hugepages }: OomReportNode): string[] {
  return HUGETLB_SIZES_KIB.map((sizeKib) => {
    const pool = hugepages.find((candidate) => candidate.sizeKib === sizeKib);
    return (
      `Node ${nodeId} hugepages_total=${pool?.totalPages ?? 0}` +
      ` hugepages_free=${pool?.freePages ?? 0} hugepages_surp=${pool?.surplusPages ?? 0}` +
      ` hugepages_size=${sizeKib}kB`
    );
  });
}

function rssPages(task: OomReportTask): number {
  return task.anonRssPages + task.fileRssPages + task.shmemRssPages;
}

function taskLine(task: OomReportTask): string {
  const cells = [
    `[${right(task.pid, 7)}]`,
    right(task.uid, 5),
    right(task.pid, 5),
    right(task.totalVmPages, 8),
    right(rssPages(task), 8),
    right(task.pageTableBytes, 8),
    right(task.swapEntries, 8),
    `        ${right(task.oomScoreAdj, 5)}`,
    comm(task.name),
  ];
  return cells.join(' ');
}

function summaryLine(input: OomReportInput, victim: OomReportTask): string {
  return [
    `oom-kill:constraint=${input.constraint}`,
    `nodemask=${nodeList(input.nodemask)}`,
    `cpuset=${input.cpuset.name}`,
    `mems_allowed=${nodeList(input.cpuset.mems)}`,
    input.memcg ? `oom_memcg=${input.memcg.path}` : 'global_oom',
    `task_memcg=${input.victimMemcg ?? '/'}`,
    `task=${comm(victim.name)}`,
    `pid=${victim.pid}`,
    `uid=${victim.uid}`,
  ].join(',');
}

function killedLine(task: OomReportTask, byMemcg: boolean): string {
  const what = byMemcg ? 'Memory cgroup out of memory' : 'Out of memory';
  return (
    `${what}: Killed process ${task.pid} (${comm(task.name)})` +
    ` total-vm:${kb(task.totalVmPages)}, anon-rss:${kb(task.anonRssPages)},` +
    ` file-rss:${kb(task.fileRssPages)}, shmem-rss:${kb(task.shmemRssPages)},` +
    ` UID:${task.uid} pgtables:${Math.floor(task.pageTableBytes / 1024)}kB` +
    ` oom_score_adj:${task.oomScoreAdj}`
  );
}
