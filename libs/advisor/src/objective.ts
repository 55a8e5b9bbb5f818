import type { HostModel } from '@zonewise/simulator';
import type { AdviceOptions, AdviceProfile, AdviceWeights } from './advice-types';
import { managedPages } from './host-nodes';
import type { Outcome } from './types';

/**
 * Waiting for reclaim that a start may cost, seconds per GiB of a guest's memory. It is paid once, remote
 * memory as long as the guest runs: only a start slower than 256 MiB/s outweighs locality.
 */
export const STALL_BUDGET_SECONDS_PER_GIB = 4;
const PAGES_PER_GIB = 262144;
/** Times the budget of all guests together after which a replay ends. */
const STALL_BUDGETS_MAX = 4;

/** Differences below these are noise of the model, not a reason to change a host. */
const SWAP_TOLERANCE_PAGES = 256;
const STALL_EXCESS_TOLERANCE_NS = 100e6;
/** Stalls within the budget are paid once; a few hundred modelled milliseconds change no host. */
const STALL_TOLERANCE_NS = 500e6;
/** Of the distance to local memory: one page in two thousand at twice the distance. */
const REMOTE_TOLERANCE = 0.0005;
const HEADROOM_TOLERANCE_SHARE = 0.05;
/** What is left beyond this share of a node is no reason to change a host. */
const HEADROOM_ENOUGH_SHARE = 0.25;
const CACHE_TOLERANCE_SHARE = 0.02;

/** What configurations are compared by; `room` only where a profile asks for it. */
export const OBJECTIVES = [
  'kills',
  'swap',
  'stall-excess',
  'remote',
  'headroom',
  'room',
  'cache',
  'stall',
] as const;
export type Objective = (typeof OBJECTIVES)[number];

export type Score = Record<Objective, number>;

/** How two outcomes are compared. */
export interface Judge {
  /** The first of them that differs by more than its tolerance decides. */
  order: readonly Objective[];
  tolerance: Score;
  /** Instead of the order behind kills. */
  weights?: AdviceWeights;
}

const ORDERS: Record<AdviceProfile, readonly Objective[]> = {
  balanced: ['kills', 'swap', 'stall-excess', 'remote', 'headroom', 'cache', 'stall'],
  locality: ['kills', 'swap', 'remote', 'stall-excess', 'headroom', 'cache', 'stall'],
  density: ['kills', 'swap', 'room', 'stall-excess', 'remote', 'cache', 'stall'],
  latency: ['kills', 'swap', 'stall', 'remote', 'cache', 'headroom'],
};

/** The objective that a weighted figure is. */
const WEIGHTED: Record<keyof AdviceWeights, Objective> = {
  swap: 'swap',
  stall: 'stall',
  remote: 'remote',
  headroom: 'headroom',
  cache: 'cache',
};

/** The order and tolerances of a host under a profile or weights. */
export function judgeOf(
  host: HostModel,
  options: Pick<AdviceOptions, 'profile' | 'weights'> = {},
): Judge {
  return {
    order: ORDERS[options.profile ?? 'balanced'],
    tolerance: tolerances(host),
    ...(options.weights && { weights: options.weights }),
  };
}

/** The figures of an outcome that decide, each the smaller the better. */
export function scoreOf(outcome: Outcome): Score {
  const dead = outcome.guests.filter((guest) => guest.oomKilled).map(({ name }) => name);
  const lost = new Set([...dead, ...outcome.failedStarts]);
  const strangers = outcome.oomKills.filter((victim) => !lost.has(victim));
  return {
    kills: lost.size + strangers.length,
    swap: outcome.swappedOutPages,
    'stall-excess': outcome.guests.reduce(
      (sum, guest) => sum + Math.max(0, guest.stallNs - stallBudgetNs(guest.memoryPages)),
      0,
    ),
    remote: outcome.remoteCost,
    headroom: Math.max(0, HEADROOM_ENOUGH_SHARE - outcome.headroomShare),
    room: 1 - largestRoomShare(outcome),
    cache: outcome.cacheLostPages,
    stall: outcome.stallNs,
  };
}

/** What one node has left, free or page cache, at most, as a share of the host's memory. */
function largestRoomShare({ nodes }: Outcome): number {
  const memory = nodes.reduce((sum, node) => sum + node.managedPages, 0);
  const room = Math.max(0, ...nodes.map((node) => node.freePages + node.fileCachePages));
  return memory > 0 ? room / memory : 0;
}

/** Stall that a guest of this size may have without counting against a configuration. */
export function stallBudgetNs(memoryPages: number): number {
  return (memoryPages / PAGES_PER_GIB) * STALL_BUDGET_SECONDS_PER_GIB * 1e9;
}

/**
 * How long guests of these sizes may wait in all before a replay ends: the guest that starts then counts as not started.
 * Beyond 16 s per GiB (64 MiB/s) nobody waits for a start, and what is so slow takes as long to replay.
 */
export function stallLimitNs(memoryPages: number): number {
  return STALL_BUDGETS_MAX * stallBudgetNs(memoryPages);
}

/** How much of each figure counts as a difference on this host. */
export function tolerances(host: HostModel): Score {
  const memory = host.nodes.reduce((sum, node) => sum + managedPages(node), 0);
  return {
    kills: 0,
    swap: SWAP_TOLERANCE_PAGES,
    'stall-excess': STALL_EXCESS_TOLERANCE_NS,
    remote: REMOTE_TOLERANCE,
    headroom: HEADROOM_TOLERANCE_SHARE,
    room: HEADROOM_TOLERANCE_SHARE,
    cache: memory * CACHE_TOLERANCE_SHARE,
    stall: STALL_TOLERANCE_NS,
  };
}

/** The figure that decides between two outcomes; undefined when none does. */
export function firstDifference(
  a: Outcome,
  b: Outcome,
  judge: Judge,
): { objective: Objective; better: 'a' | 'b' } | undefined {
  return firstScoreDifference(scoreOf(a), scoreOf(b), judge);
}

/** The same of two scores. */
export function firstScoreDifference(
  left: Score,
  right: Score,
  judge: Judge,
): { objective: Objective; better: 'a' | 'b' } | undefined {
  if (judge.weights && left.kills === right.kills) return weighed(left, right, judge);
  for (const objective of judge.order) {
    const difference = left[objective] - right[objective];
    if (Math.abs(difference) > judge.tolerance[objective]) {
      return { objective, better: difference < 0 ? 'a' : 'b' };
    }
  }
  return undefined;
}

/** The weighted sum decides; named is the figure that speaks most for the better one. */
function weighed(
  left: Score,
  right: Score,
  { weights = {}, tolerance }: Judge,
): { objective: Objective; better: 'a' | 'b' } | undefined {
  const parts = Object.entries(weights).map(([figure, weight]) => {
    const objective = WEIGHTED[figure as keyof AdviceWeights];
    const units = (left[objective] - right[objective]) / tolerance[objective];
    return { objective, weight: weight * units };
  });
  const sum = parts.reduce((total, part) => total + part.weight, 0);
  if (!(Math.abs(sum) > 1)) return undefined;
  const decisive = parts.reduce((most, part) =>
    part.weight * Math.sign(sum) > most.weight * Math.sign(sum) ? part : most,
  );
  return { objective: decisive.objective, better: sum < 0 ? 'a' : 'b' };
}

/** Negative when `a` is better, positive when `b` is, 0 when no figure differs by more than its tolerance. */
export function compareOutcomes(a: Outcome, b: Outcome, judge: Judge): number {
  const difference = firstDifference(a, b, judge);
  if (!difference) return 0;
  return difference.better === 'a' ? -1 : 1;
}
