/** Zones and nodes as the simulator keeps them. */
import type { Buddy } from './buddy';
import type { CompactState } from './compact-control';
import type { BlockRule } from './fallback';
import type { KcompactdTask } from './kcompactd';
import type { LruFrames } from './lru-frames';
import type { Lruvec } from './lruvec';
import type { Pcp, PcpRule } from './pcp-rule';
import type { Numastat, ZoneName } from './types';

export interface Zone {
  node: NodeState;
  name: ZoneName;
  /** DMA 0, DMA32 1, Normal 2, Movable 3. */
  index: number;
  startPfn: number;
  spanned: number;
  managed: number;
  present: number;
  /** Pageblocks of 512 pages from the buddy's base that hold memory; a hole behind them is not counted. */
  usedPageblocks: number;
  /** By pageblock: 1 where no memory is online. Only kept where memory comes or goes. */
  absent?: Uint8Array;
  /** Present pages that hold the memmap of their own memory block, and are not managed. */
  memmapPages: number;
  /** Free lists and pageblock types; `buddy.freePages` is NR_FREE_PAGES. */
  buddy: Buddy;
  /** How far NR_FREE_PAGES runs ahead of the free lists. */
  freeDrift: number;
  /** Pages of change that a CPU may hold back. */
  statThreshold: number;
  /** Below so many free pages kswapd reads the count exactly; 0: nowhere. */
  percpuDriftMark: number;
  boost: number;
  /** Marks without boost. */
  min: number;
  low: number;
  high: number;
  protection: number[];
  pcpBatch: number;
  /** Pages that a CPU's lists may hold; where they tune themselves, the least (`high_min`). */
  pcpHigh: number;
  /** The most where they tune themselves (`high_max`). */
  pcpHighMax: number;
  pcpRule: PcpRule;
  blockRule: BlockRule;
  /** By CPU position. */
  pcps: Pcp[];
  /** LRU pages of the zone by list. */
  lruPages: number[];
  /** Page tables, slab and other kernel pages that the replay allocated. */
  kernelPages: number;
  /** Pages in use that no list of the model holds: constant over a replay. */
  otherPages: number;
  /** kswapd works on the node: pcp lists are kept short. */
  reclaimActive: boolean;
  /** ZONE_BELOW_HIGH: a request found the zone below its high mark; kernels that do not look never clear it. */
  belowHigh: boolean;
  /** ZONE_BOOSTED_WATERMARK: the next allocation in the zone wakes kswapd. */
  boostedWatermark: boolean;
  /** nr_reserved_highatomic. */
  reservedHighatomic: number;
  /** Pageblocks that a page of a hugetlb pool fills. */
  hugetlbBlocks: Set<number>;
  /** First frames of pages of 1 GiB that pools took while the replay ran. */
  giganticFrames: Set<number>;
  /** Slabs in each pageblock of the kernel's, where there are any (see initial-slab.ts). */
  slabs?: Uint8Array;
  /** Where LRU pages stand, as the last compaction of the zone left it: it has to hear of new ones. */
  lruFrames?: LruFrames;
  /** Free pages that such a compaction holds. */
  isolatedFreePages: number;
  /** What compaction remembers, once it has looked at the zone. */
  compaction?: CompactState;
  /** Pages of each pageblock that were ever handed out, where the hardware profile asks for it. */
  usedPages?: Uint16Array;
}

/** The node's background reclaimer as an actor in virtual time. */
export interface KswapdTask {
  state: 'asleep' | 'napping' | 'running';
  /** It has come to work since it last slept for good, and the CPUs know. */
  awake: boolean;
  /** When it acts next; Infinity while it sleeps. */
  nextNs: number;
  /** Its own time while it acts. */
  nowNs: number;
  /** The largest order and class asked for since its last run (`kswapd_order`, `kswapd_highest_zoneidx`). */
  order: number;
  classIndex: number;
  /** What the run under way works for. */
  runOrder: number;
  runClass: number;
  /** For what it has to be in balance to rest, and to go on resting after its nap. */
  restOrder: number;
  restClass: number;
  /** The balancing that is under way; each step is one batch, its value the batch's cost in ns. */
  run?: Generator<number, KswapdRun>;
}

/** What a run of balance_pgdat() ended with. */
export interface KswapdRun {
  reclaimed: number;
  /** Order that it still worked for at its end. */
  order: number;
}

export interface NodeState extends Lruvec {
  id: number;
  /** Array position, used for masks and distances. */
  position: number;
  cpus: number[];
  /** Those with memory, ascending. */
  zones: Zone[];
  /** One more than the highest zone that it ever had memory in (`pglist_data.nr_zones`). */
  nrZones: number;
  /** Those of memory cgroups, in the order in which these were made. */
  groupLruvecs: Lruvec[];
  filePages: number;
  mappedPages: number;
  shmemPages: number;
  anonPages: number;
  dirtyPages: number;
  writebackPages: number;
  slabReclaimable: number;
  slabUnreclaimable: number;
  hugeAnonPages: number;
  numastat: Numastat;
  minUnmappedPages: number;
  minSlabPages: number;
  kswapdFailures: number;
  kswapd: KswapdTask;
  kcompactd: KcompactdTask;
}

/** Does a pageblock of the zone hold memory? */
export function isOnlineBlock(zone: Zone, block: number): boolean {
  return block < zone.usedPageblocks && zone.absent?.[block] !== 1;
}
