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
} from '@zonewise/simulator';

/** libvirt's numatune modes; `none` is a domain without numatune. */
export type PlacementMode = 'strict' | 'preferred' | 'interleave' | 'restrictive' | 'none';

/** numatune of a whole domain: one mode and the host nodes it names. */
export interface NumatuneSetting {
  mode: PlacementMode;
  nodeset: number[];
}

/** A guest to place. Exactly one of the two forms, by whether its memory is already in the host model. */
export type GuestSpec = {
  /** numatune as configured today, for display and for deciding what can change. */
  numatune: { mode: PlacementMode; nodeset: number[] };
  diskCachePages: number;
  /**
   * Whether vcpupin, cpuset or cputune hold the guest's CPUs where they are. Absent: a guest whose regions
   * are touched from some of the host's CPU nodes only counts as pinned.
   */
  cpusPinned?: boolean;
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

export interface SimulationRequest {
  host: HostModel;
  guests: GuestSpec[];
  demand: DemandProfile;
  sysctl?: Partial<HostSysctls>;
  /** By guest name. */
  numatune?: Record<string, { mode: PlacementMode; nodeset: number[] }>;
  seed: number;
  hardwareProfile?: string;
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
    oomKilled: boolean;
    stallNs: number;
    swapPages: number;
  }[];
  nodes: {
    nodeId: number;
    freePages: number;
    fileCachePages: number;
    anonPages: number;
  }[];
  oomKills: string[];
  remoteShare: number;
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
export interface Candidate {
  id: string;
  sysctl: Partial<HostSysctls>;
  numatune: Record<string, { mode: PlacementMode; nodeset: number[] }>;
  outcome: Outcome;
  /** Why it was not chosen, in one sentence with numbers; absent for the chosen one. */
  whyNot?: string;
}

/** `value` of a domain operation: what its numatune becomes; `memnodes` where cells have nodes of their own. */
export interface NumatuneValue extends NumatuneSetting {
  memnodes?: { cellid: number; mode: PlacementMode; nodeset: number[] }[];
}

export type OperationResource = 'sysctl' | 'domain';
export interface Operation {
  action: 'replace' | 'add' | 'remove' | 'test';
  resourceType: OperationResource;
  /** sysctl name or domain name. */
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
  finding: 'OPTIMIZED' | 'REMOTE_MEMORY' | 'OOM_RISK' | 'RECLAIM_STALLS' | 'DOES_NOT_FIT';
  description: string;
  priority: 'P1' | 'P2' | 'P3' | 'P4';
  primaryImpact: { category: 'RELIABILITY' | 'PERFORMANCE'; description: string };
  content: { operationGroups: { description: string; operations: Operation[] }[] };
  /** What no setting can move without a restart or a migration. */
  immovable: { guest: string; nodeId: number; pages: number; message: string }[];
  evidence: {
    demand: DemandProfile;
    seed: number;
    baseline: Candidate;
    advised: Candidate;
    /** The growth of demand, in percent, at which the advised configuration's verdict flips; null if not within `testedPercent`. */
    margin: { flipsAtPercent: number | null; testedPercent: number; verdict: string };
    alternatives: Candidate[];
    replays: number;
    caveats: { code: string; message: string }[];
    assumptions: { code: string; message: string }[];
  };
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
