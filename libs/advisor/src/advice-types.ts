/** What advice may be asked for besides the replay, and what it reports about its search. Plain data throughout. */
import type { HostSysctls } from '@zonewise/simulator';
import type { Change } from './types';

/**
 * In which order configurations are compared once nobody is killed and nothing is swapped.
 *
 * - `balanced`: stalls within a budget, memory near its vCPUs, headroom
 * - `locality`: memory near its vCPUs whatever a start waits
 * - `density`: the most memory left in one place for another guest, then as `balanced`
 * - `latency`: the least waiting for reclaim, then as `balanced`
 */
export const ADVICE_PROFILES = ['balanced', 'locality', 'density', 'latency'] as const;
export type AdviceProfile = (typeof ADVICE_PROFILES)[number];

/** Figures that weights may be given to. */
export const WEIGHTED_FIGURES = ['swap', 'stall', 'remote', 'headroom', 'cache'] as const;
export type AdviceWeights = Partial<Record<(typeof WEIGHTED_FIGURES)[number], number>>;

/** Files of /sys/kernel/mm/transparent_hugepage that replays have. */
export const THP_FILES = ['enabled', 'defrag'] as const;
export type ThpFile = (typeof THP_FILES)[number];

export interface AdviceConstraints {
  /** Planned guests whose every setting stays as it is. */
  pinnedGuests?: string[];
  /** Nodes that no changed nodeset may name, and where advice leaves no more of the planned guests' memory than today's setting. */
  forbiddenNodes?: number[];
  /** Kernel settings that stay as they are. */
  fixedSysctls?: (keyof HostSysctls)[];
  /** Files of transparent huge pages that stay as they are. */
  fixedThp?: ThpFile[];
  /** Nodes whose pools of huge pages, of every size, stay as large as they are. */
  fixedHugepages?: number[];
  /**
   * Memory of all guests that are bound to a set of nodes may be at most this share of those nodes' memory, percent; a
   * change must not exceed it. Default: not limited.
   */
  maxOvercommitPercent?: number;
  /**
   * vCPUs per CPU of a node that a change may bring there; what a node carries as it is stays allowed. Default: one, or, where
   * the host has more vCPUs than CPUs, the node's even share and the largest guest on top, up to 5 (vcpu-load.ts).
   */
  vcpuOvercommitMax?: number;
}

export interface AdviceBudget {
  /** Most replays of the search, those of the variations and the margin included. */
  replaysMax?: number;
  /** Most work of all replays: pages touched plus 40 times the pages reclaimed, and what each replay, step and second of waiting takes. */
  workMax?: number;
}

export interface AdviceOptions {
  /** Default `balanced`. */
  profile?: AdviceProfile;
  /**
   * Instead of the profile's order behind kills: the weighted sum of the figures decides, each in units of its
   * tolerance (see docs/ADVICE.md). A figure without a weight counts nothing.
   */
  weights?: AdviceWeights;
  constraints?: AdviceConstraints;
  /** Of what the search draws; default the request's. */
  seed?: number;
  budget?: AdviceBudget;
}

/** What the search did. */
export interface SearchReport {
  /** All replays: configurations, variations and margin. */
  replays: number;
  /** Different configurations that were replayed. */
  candidates: number;
  /** Configurations of the whole space (space.ts); null where they are more than 2^53. */
  spaceSize: number | null;
  /** Configurations that were not replayed, by the arithmetic bound that ruled them out. */
  pruned: { bound: string; count: number; message: string }[];
  /** The whole space was replayed but for what bounds pruned. */
  exhaustive: boolean;
  seed: number;
  profile: AdviceProfile;
}

/** A configuration that nothing replayed beats in every figure. */
export interface ParetoPoint {
  id: string;
  kills: number;
  stallNs: number;
  remoteCost: number;
  remoteShare: number;
  headroomShare: number;
}

/** A demand that differs from the one asked about. */
export interface Variation {
  name: string;
  growthPercent?: number;
  reversedStart?: boolean;
  /** Guests start by how much memory they have, those of the same size in the order asked for. */
  startBySize?: 'largest-first' | 'smallest-first';
  /** Guests start in an order that this number and their names decide. */
  startShuffle?: number;
  /** At which guests touch their memory; null: full speed. */
  rateMibPerSecond?: number | null;
  /** Page cache that is read in before the guests, share of each node's memory. */
  cachePercent?: number;
}

/** The same variations for all finalists. */
export interface Robustness {
  variations: Variation[];
  finalists: {
    id: string;
    outcomes: {
      variation: string;
      kills: number;
      swappedOutPages: number;
      stallNs: number;
      remoteShare: number;
      remoteCost: number;
    }[];
  }[];
}

/** A rule of thumb or a neighbouring system's choice, replayed like every candidate. */
export interface Rival {
  name: string;
  change: Change;
}

export interface RivalFigures {
  name: string;
  /** The rule in one line. */
  title: string;
  /** Candidate of the same configuration. */
  id: string;
  /** It was replayed in miniature: sizes divided by this. */
  scale?: number;
  /** Guests killed or not started. */
  kills: number;
  swappedOutPages: number;
  stallNs: number;
  remoteShare: number;
  remoteCost: number;
  cacheLostPages: number;
}

/** A planned guest that fits nowhere. */
export interface Unplaced {
  guest: string;
  wantedPages: number;
  /** Room on the nodes that it may use, at best. */
  roomPages: number;
  shortPages: number;
}
