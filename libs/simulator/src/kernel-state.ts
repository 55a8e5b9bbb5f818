/** The whole state that allocation and reclaim share. Built by kernel.ts, changed by the mechanisms. */
import type { KhugepagedTask } from './khugepaged';
import type { Flusher } from './flusher';
import type { HardwareProfile } from './hardware-profile';
import type { Hstate } from './hugetlb';
import type { HugetlbMapping } from './hugetlb-fault';
import type { KernelProfile } from './profile';
import type {
  GuestProcess,
  HostSysctls,
  ReplayEvent,
  ReplayInput,
  ThpSettings,
  UnseenState,
} from './types';
import type { EventCounts } from './event-counts';
import type { ChargeStock, MemoryGroup } from './memcg';
import type { Mapping } from './page-map';
import type { KernelBlock } from './page-alloc';
import type { SwapTree } from './cache-slab';
import type { SwapWrites } from './swap-write';
import type { Refusal } from './spill';
import type { NodeState, Zone } from './zone';

export interface Cpu {
  /** The host's CPU number. */
  id: number;
  position: number;
  node: NodeState;
  /** Its statistics work found something at its last look, so that it looks again. */
  looksAgain: boolean;
}

/** A simulated process that owns anonymous memory. */
export interface GuestState {
  spec: GuestProcess;
  /** The memory cgroup that it is charged to. */
  group?: MemoryGroup;
  alive: boolean;
  /** It ended because a touch found no huge page. */
  sigbus?: boolean;
  /** One mapping per region, same order, then the process's own memory. */
  mappings: Mapping[];
  overhead: Mapping;
  /** By region: its mapping of hugetlb pages, once it is mapped. */
  hugetlb: (HugetlbMapping | undefined)[];
  /** Page-table pages, in the order of their allocation. */
  pageTables: KernelBlock[];
  /** Pages that starting the process took besides its memory. */
  processPages: KernelBlock[];
  /** CPU position per region and cpuNode. */
  cpuPositions: number[][];
  stallNs: number;
  /** How long it may wait before that counts as excess. */
  stallBudgetNs: number;
  /** Position in task-policy interleaving. */
  ilPrev: number;
  /** Until its first spill: how each zone refused it last. */
  refusals: Map<Zone, Refusal> | undefined;
  order: number;
}

/** A process that fills pipes: kernel memory that cannot be moved. */
export interface PipeHolder {
  /** CPU position that it runs on. */
  cpu: number;
  pipes: Pipe[];
  /** Slabs of the pipes and their files, and the pages of the process. */
  slabs: PipeSlab[];
  processPages: KernelBlock[];
}

export interface PipeSlab extends KernelBlock {
  /** Counted as SReclaimable, from pageblocks of that type. */
  reclaimable: boolean;
}

export interface Pipe {
  /** Pages written and not read yet, oldest first. */
  pages: KernelBlock[];
  /** A page that was read and is kept for the next write (`tmp_page`). */
  spare?: KernelBlock;
}

export interface CachedFile {
  mapping: Mapping;
  /** Process that maps it, while alive. */
  mapper?: string;
  /** Slabs that its tree takes. */
  treeSlabs?: KernelBlock[];
  /** Pages that its tree has entries for: cached ones, and shadows of reclaimed ones. */
  treePages?: number;
  /** Bytes of its tree and buffer heads by the group that was charged for them. */
  chargedBytes?: Map<MemoryGroup, number>;
  /** What the process that maps it holds besides the file. */
  mapperPages?: KernelBlock[];
}

/** Running totals that the result reports. */
export interface Totals {
  oomKills: number;
  stallNs: number;
  directReclaimedPages: number;
  nodeReclaimedPages: number;
  kswapdReclaimedPages: number;
  swappedOutPages: number;
  /** Within memory cgroups over their limits. */
  cgroupReclaimedPages: number;
}

/** A memory block whose state has changed since the start of the replay (`struct memory_block`). */
export interface MemoryBlock {
  /** Its memmap where it was added later and lies elsewhere. */
  memmap: KernelBlock[];
  /** Pages at its start that hold its own memmap. */
  selfHostedPages: number;
}

export interface KernelState {
  profile: KernelProfile;
  hardware: HardwareProfile;
  /** Built with CONFIG_COMPACTION: reclaim for large blocks prepares it. */
  compaction: boolean;
  seed: number;
  nodes: NodeState[];
  /** All zones, node by node, ascending. */
  zones: Zone[];
  /** Zones without memory that a step may bring memory to, or has taken it from. */
  emptyZones: Zone[];
  /** Memory blocks that were added or taken offline, by their first pfn. */
  memoryBlocks: Map<number, MemoryBlock>;
  cpus: Cpu[];
  distances: number[][];
  /** Fallback zonelist per node position: nearest node first, high zones first. */
  zonelists: Zone[][];
  /** The highest zone but Movable that ever was in them (`policy_zone`). */
  policyZone: number;
  fallbackOrder: { nodeId: number; order: number[] }[];
  sysctl: Required<HostSysctls>;
  userMinFreeKbytes: number;
  thp: ThpSettings;
  /** What the host does not print, as this replay takes it. */
  unseen: UnseenState;
  swap: { totalPages: number; freePages: number };
  /** Tables of the swap areas that were added in the replay. */
  swapTables: KernelBlock[];
  swapWrites: SwapWrites;
  /** Of the swap cache. */
  swapTree: SwapTree;
  /** Pools of huge pages, one for each size. */
  hugetlb: Hstate[];
  guests: Map<string, GuestState>;
  /**
   * Ends a process and frees what it holds. @returns pages freed. It stands here for the OOM killer: the allocator calls
   * that one, and an exit allocates in turn.
   * @kernel kernel/exit.c do_exit()
   */
  exit: (k: KernelState, guest: GuestState) => number;
  files: Map<string, CachedFile>;
  pipeHolders: Map<string, PipeHolder>;
  /** Memory cgroups below the root, in the order in which they were made. */
  groups: Map<string, MemoryGroup>;
  /** What each CPU (by position) has charged ahead. */
  chargeStocks: ChargeStock[];
  /** Pages that the current task has charged to a group above memory.high since it last answered for it. */
  overHighPages: number;
  hostMappings: Mapping[];
  /** Writes dirty page cache back. */
  flusher: Flusher;
  khugepaged: KhugepagedTask;
  vmstat: EventCounts;
  timeNs: number;
  /** When the CPUs' statistics work is due next. */
  vmstatNs: number;
  /** When the statistics of memory cgroups are added up next. */
  statsFlushNs: number;
  /** Pages handed out for the first time, where the hardware profile asks for it. */
  freshPages: number;
  /** What the first reclaim of the machine takes besides; 0 once it has happened. */
  firstReclaimNs: number;
  /** CPUs (positions) that run allocators at the same time as the current one, in `touch_many`. */
  busyCpus: number[];
  /** CPU of the last request, -1 while nobody allocates. */
  allocatorCpu: number;
  totals: Totals;
  /** How long guests have waited so far, and may wait before the replay ends. */
  guestStallNs: number;
  stallLimitNs: number;
  /** How long guests have waited beyond their budgets so far, and may before the replay ends. */
  stallExcessNs: number;
  stallExcess: NonNullable<ReplayInput['stallExcess']>;
  events: ReplayEvent[];
  /** Whose fault is being served, for events and stall time. */
  current: { name: string; guest?: GuestState; killed: boolean };
  caveats: Map<string, string>;
}

/** Adds to a /proc/vmstat event counter. */
export function countVm({ vmstat }: KernelState, name: string, by = 1): void {
  if (by !== 0) vmstat.add(name, by);
}

/** Lets virtual time pass, in parallel on all busy CPUs; `stall` books it to the guest that waits. */
export function passTime(k: KernelState, ns: number, stall: boolean): void {
  k.timeNs += ns / Math.max(k.busyCpus.length, 1);
  if (!stall) return;
  k.totals.stallNs += ns;
  if (!k.current.guest) return;
  const { guest } = k.current;
  guest.stallNs += ns;
  k.guestStallNs += ns;
  if (guest.stallNs > guest.stallBudgetNs) {
    k.stallExcessNs += Math.min(ns, guest.stallNs - guest.stallBudgetNs);
  }
}

/** Whether guests have waited longer than the replay goes on for. */
export function isStalled(k: KernelState): boolean {
  return k.guestStallNs > k.stallLimitNs || k.stallExcessNs > k.stallExcess.limitNs;
}

/** States once why a number of this result is less certain than it looks. */
export function caveat(k: KernelState, code: string, message: string): void {
  if (!k.caveats.has(code)) k.caveats.set(code, message);
}
