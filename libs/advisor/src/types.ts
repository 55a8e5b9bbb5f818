/**
 * The advisor's contract: a host, its guests and a demand go in; a recommendation whose every claim is
 * backed by a replay comes out. Plain data throughout.
 */
import type {
  GuestProcess,
  HostModel,
  HostSysctls,
  HotplugSpec,
  PolicyMode,
  ReplayResult,
  RunningGuest,
  SysctlName,
  ThpDefrag,
  ThpEnabled,
} from '@zonewise/simulator';
import type {
  AdviceOptions,
  Robustness,
  ParetoPoint,
  RivalFigures,
  SearchReport,
  Unplaced,
} from './advice-types';

import type { ReplayEvidence } from './evidence/explanation';
import type { Impact } from './evidence/impact';
import type { Risk } from './evidence/risks';
import type { GuestRoutes } from './evidence/routes';
import type { Shortfall } from './evidence/shortfall';

export type * from './advice-types';

/** libvirt's numatune modes; `none` is a domain without numatune. */
export type PlacementMode = 'strict' | 'preferred' | 'interleave' | 'restrictive' | 'none';

/** numatune of a whole domain: one mode and the host nodes it names. */
export interface NumatuneSetting {
  mode: PlacementMode;
  nodeset: number[];
}

/** A `<memnode>`: the host nodes of one guest cell. */
export interface MemnodeSetting extends NumatuneSetting {
  cellid: number;
}

/** numatune as it is written: `memnodes` where cells have nodes of their own, else the mode and nodes of all. */
export interface NumatuneValue extends NumatuneSetting {
  memnodes?: MemnodeSetting[];
}

/** vCPUs and emulator pinned to the CPUs of these host nodes; `cells` where a cell's vCPUs have nodes of their own. */
export interface PinningValue {
  nodes: number[];
  cells?: { cellid: number; nodes: number[] }[];
}

/** What a guest's memory lies on: base pages, transparent huge pages, or huge pages of a pool of this size. */
export type BackingValue = 'base' | 'thp' | 2048 | 1048576;

/** libvirt's disk cache modes that decide about the host's page cache: `none` leaves it out. */
export type DiskCacheMode = 'none' | 'writeback';

/** Settings on top of the host's and the guests' own, by guest name where they are a guest's. */
export interface Settings {
  sysctl: Partial<HostSysctls>;
  numatune: Record<string, NumatuneValue>;
  pinning?: Record<string, PinningValue>;
  backing?: Record<string, BackingValue>;
  diskCache?: Record<string, DiskCacheMode>;
  thp?: { enabled?: ThpEnabled; defrag?: ThpDefrag };
}

/** What a candidate changes; absent entries stay as the request has them. */
export interface Change extends Settings {
  /** Pools, by node and size; others stay as the demand has them. */
  hugepages?: HugepageDemand[];
  /** All planned guests in the order in which they shall start. */
  startOrder?: string[];
}

/** vCPUs, and the host nodes whose CPUs they run on. */
interface RunningVcpus {
  vcpus: number;
  nodes: number[];
}

/** Where the vCPUs of a guest run that pins some of them only: no advice moves the pinned ones. */
export interface PartlyPinned {
  unpinnedVcpus: number;
  /** By `cell` of the guest's regions, whose `cpuNodes` are the nodes of both together. */
  cells: { cell: number; pinned: RunningVcpus; unpinned: RunningVcpus }[];
}

/** A guest to place. Exactly one of the two forms, by whether its memory is already in the host model. */
export type GuestSpec = {
  /** numatune as configured today, for display and for deciding what can change. */
  numatune: { mode: PlacementMode; nodeset: number[] };
  diskCachePages: number;
  /** Nodes whose CPUs QEMU's own threads run on. Absent: those of its vCPUs. */
  emulatorNodes?: number[];
  /**
   * Whether vcpupin, cpuset or cputune hold the CPUs of all of the guest's vCPUs where they are. Absent: a guest whose
   * regions are touched from some of the host's CPU nodes only counts as pinned.
   */
  cpusPinned?: boolean;
  /** Present where vcpupin holds some of the vCPUs and nothing the others. */
  partlyPinned?: PartlyPinned;
  /** vCPUs that the guest starts with. Absent: not known, and pinning it anew is not measured by them. */
  vcpus?: number;
  /**
   * Regions, by `cell`, whose nodes the document names outside of numatune (memory devices with a nodemask
   * of their own). No advice moves them, and no `<memnode>` can name them.
   */
  ownNodesCells?: number[];
  assumptions: { code: string; message: string }[];
} & (
  | { state: 'planned'; guest: GuestProcess }
  | {
      state: 'running';
      guest: RunningGuest;
      residencySource: 'numa_maps' | 'numastat' | 'estimated';
    }
);

/** How the guests demand memory. Everything is optional; the values used are printed with the result. */
export interface DemandProfile {
  /** Share of each planned guest's memory that it touches. Default 100. */
  touchPercent?: number;
  /** MiB per second at which a guest faults its memory in. Default: the hardware profile's full speed. */
  rateMibPerSecond?: number;
  /** Planned guests in the order in which they start. Default: the order given. */
  startOrder?: string[];
  guests?: Record<string, { touchPercent?: number; diskCacheMib?: number }>;
  /** Page cache read in before the guests start. */
  backgroundCache?: { node: number; mib: number; access?: 'read' | 'write' }[];
  /** Memory blocks that come or go, in this order. */
  hotplug?: HotplugDemand[];
  /** Huge page pools that are written before the guests start (and behind the background cache), in this order. */
  hugepages?: HugepageDemand[];
  /** What happens once the first guests have started, in this order. */
  events?: GuestEvent[];
}

/**
 * A planned guest that boots only now; one that a migration brings (`incoming`: QEMU's own threads write its memory, and
 * no disk is read); a guest that ends; or one that a balloon leaves `memoryMib`.
 */
export interface GuestEvent {
  event: 'boot' | 'incoming' | 'stop' | 'balloon';
  guest: string;
  memoryMib?: number;
  /** For people. */
  label?: string;
}

/** A write to `nr_hugepages` of a node: what is asked for is not always what the kernel can make. */
export interface HugepageDemand {
  node: number;
  /** Default 2048. */
  sizeKib?: 2048 | 1048576;
  /** Huge pages that the node's pool shall have. */
  count: number;
}

/** Memory blocks of a node that go online or offline before the guests start or after the last one did. */
export interface HotplugDemand {
  action: HotplugSpec['action'];
  node: number;
  /** Physical address and size; multiples of a block. */
  startMib: number;
  mib: number;
  /** Default 128. */
  blockMib?: number;
  /** Default `end`. */
  at?: 'start' | 'end';
  memmapOnMemory?: boolean;
  timeoutSeconds?: number;
}

export interface SimulationRequest extends Partial<Settings> {
  host: HostModel;
  guests: GuestSpec[];
  demand: DemandProfile;
  seed: number;
  hardwareProfile?: string;
}

/** What `advise` is asked. */
export interface AdviceRequest extends SimulationRequest {
  options?: AdviceOptions;
}

/** One replay condensed to what a person compares. */
export interface Outcome {
  guests: {
    name: string;
    state: 'running' | 'planned';
    mode: PlacementMode;
    nodeset: number[];
    memoryPages: number;
    pagesByNode: { nodeId: number; pages: number }[];
    /** Pages on a node other than those whose CPUs use them, 0..1. */
    remoteShare: number;
    /**
     * How much further than its own node's memory the guest's memory is from its vCPUs on average: the SLIT distance from
     * each of its CPU nodes (each with the same share of the vCPUs) to each page, over the local distance, minus 1. 0:
     * all local; 1.1: all at distance 21.
     */
    remoteCost: number;
    oomKilled: boolean;
    stallNs: number;
    swapPages: number;
  }[];
  nodes: {
    nodeId: number;
    managedPages: number;
    freePages: number;
    fileCachePages: number;
    anonPages: number;
  }[];
  oomKills: string[];
  /** Planned guests that did not come up although nobody killed them: no huge page, no reservation. */
  failedStarts: string[];
  remoteShare: number;
  /** The guests' `remoteCost`, weighted by their resident pages. */
  remoteCost: number;
  /** What the fullest node with memory has left, free or page cache, as a share of it, 0..1. */
  headroomShare: number;
  stallNs: number;
  directReclaimedPages: number;
  nodeReclaimedPages: number;
  kswapdReclaimedPages: number;
  swappedOutPages: number;
  /** Clean page cache lost between the initial and the final state. */
  cacheLostPages: number;
  stateHash: string;
}

/** One configuration that was replayed. */
export interface Candidate extends Change {
  id: string;
  outcome: Outcome;
  /** It was replayed in miniature: sizes divided by this, counts and stalls multiplied back. Absent: in full. */
  scale?: number;
  /** Names of the rules that propose it, where it is what rivals would choose. */
  rival?: string;
  /** Why it was not chosen, in one sentence with numbers; absent for the chosen one. */
  whyNot?: string;
  /** Where it came short first; absent for the chosen one, and where every request was served where it was wanted. */
  shortfall?: Shortfall;
}

/** `thp` and `hugepages` are files of /sys, named by the operation's path. */
export type OperationResource = 'sysctl' | 'thp' | 'hugepages' | 'domain' | 'start-order';
export interface Operation {
  action: 'replace' | 'add' | 'remove' | 'test';
  resourceType: OperationResource;
  /** Name of the sysctl, file, node (`node0`) or domain; `host` for the order of starts. */
  resource: string;
  path: string;
  value: unknown;
  previousValue: unknown;
  /** One sentence: why. */
  reason: string;
  requiresRestart: boolean;
}

export interface RecommendationContent {
  recommenderSubtype: 'NUMA_MEMORY_PLACEMENT';
  finding:
    'OPTIMIZED' | 'REMOTE_MEMORY' | 'OOM_RISK' | 'RECLAIM_STALLS' | 'LOW_HEADROOM' | 'DOES_NOT_FIT';
  description: string;
  priority: 'P1' | 'P2' | 'P3' | 'P4';
  primaryImpact: Impact;
  /** The other measures that change. */
  additionalImpact: Impact[];
  content: { operationGroups: { description: string; operations: Operation[] }[] };
  /** Resident memory away from its CPUs, which the advice leaves there, and what moves it all the same. */
  immovable: { guest: string; nodeId: number; pages: number; message: string }[];
  /** The ways to move it all the same, and what each gains. */
  routes: GuestRoutes[];
  evidence: {
    demand: DemandProfile;
    seed: number;
    baseline: Candidate;
    advised: Candidate;
    /** The growth of demand, in percent, at which the advised configuration's verdict flips; null if not within `testedPercent`. */
    margin: { flipsAtPercent: number | null; testedPercent: number; verdict: string };
    /** The replay with today's setting, and the one with the advice. */
    before: ReplayEvidence;
    after: ReplayEvidence;
    /** What could make it wrong. */
    risks: Risk[];
    alternatives: Candidate[];
    replays: number;
    search: SearchReport;
    /** Of everything replayed, what nothing else is at least as good as in every figure; best in the profile's order first. */
    paretoFront: ParetoPoint[];
    robustness: Robustness;
    rivals: RivalFigures[];
    /** Planned guests that no configuration can hold; empty unless the plan cannot fit. */
    unplaced: Unplaced[];
    caveats: { code: string; message: string }[];
    assumptions: { code: string; message: string }[];
  };
}

/** What `advise` answers. */
export interface AdviceContent extends RecommendationContent {
  /** The best alternatives, best first, each a recommendation of its own: they and the advice exclude each other. */
  exclusive: RecommendationContent[];
}

export interface PlanLimits {
  /** Highest accepted share of remote pages of any guest, 0..1. Default 1 (not limited). */
  maxRemoteShare?: number;
  /** Highest accepted stall of any guest, milliseconds. Default: not limited. */
  maxStallMs?: number;
  maxSwapMib?: number;
}

export interface PlanVerdict {
  verdict: 'pass' | 'fail';
  violations: {
    code: 'oom-kill' | 'failed-start' | 'remote-share' | 'stall' | 'swap' | 'hugepage-pool';
    /** Empty where a node and no guest is concerned. */
    guest: string;
    node?: number;
    found: number;
    limit: number;
    /** Of a guest that did not start, pages that it did not get; of a killed process, pages that it held. */
    shortfallPages?: number;
    /** Where the shortfall is one of a pool: size of its huge pages. */
    sizeKib?: number;
    /** Position in the demand's events of the one during which it happened; absent: before them, or over the whole replay. */
    event?: number;
    message: string;
  }[];
  outcome: Outcome;
  /** The rules that were replayed, and whether they are those of the host's own kernel. */
  profile: Pick<ReplayResult['profile'], 'kernel' | 'validated' | 'hardware'>;
  demand: DemandProfile;
  seed: number;
  caveats: { code: string; message: string }[];
  assumptions: { code: string; message: string }[];
}

export type { HostModel, HostSysctls, PolicyMode, ReplayResult, SysctlName };
