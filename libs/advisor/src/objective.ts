import type { HostModel } from '@zonewise/simulator';
import { managedPages } from './host-nodes';
import type { Outcome } from './types';

/**
 * Waiting for reclaim that a start may cost, seconds per GiB of a guest's memory. It is paid once, remote
 * memory as long as the guest runs: only a start slower than 256 MiB/s outweighs locality.
 */
export const STALL_BUDGET_SECONDS_PER_GIB = 4;
const PAGES_PER_GIB = 262144;

/** Differences below these are noise of the model, not a reason to change a host. */
const SWAP_TOLERANCE_PAGES = 256;
const STALL_EXCESS_TOLERANCE_NS = 100e6;
/** Stalls within the budget are paid once; a few hundred modelled milliseconds change no host. */
const STALL_TOLERANCE_NS = 500e6;
const REMOTE_TOLERANCE = 0.01;
const CACHE_TOLERANCE_SHARE = 0.02;

/** What configurations are compared by, in this order. */
export const OBJECTIVES = ['kills', 'swap', 'stall-excess', 'remote', 'cache', 'stall'] as const;
export type Objective = (typeof OBJECTIVES)[number];

export type Score = Record<Objective, number>;

/** The figures of an outcome that decide, each the smaller the better. */
export function scoreOf(outcome: Outcome): Score {
  const dead = outcome.guests.filter((guest) => guest.oomKilled);
  const strangers = outcome.oomKills.filter((victim) => !dead.some((g) => g.name === victim));
  return {
    kills: dead.length + strangers.length,
    swap: outcome.swappedOutPages,
    'stall-excess': outcome.guests.reduce(
      (sum, guest) => sum + Math.max(0, guest.stallNs - stallBudgetNs(guest.memoryPages)),
      0,
    ),
    remote: outcome.remoteShare,
    cache: outcome.cacheLostPages,
    stall: outcome.stallNs,
  };
}

/** Stall that a guest of this size may have without counting against a configuration. */
export function stallBudgetNs(memoryPages: number): number {
  return (memoryPages / PAGES_PER_GIB) * STALL_BUDGET_SECONDS_PER_GIB * 1e9;
}

/** How much of each figure counts as a difference on this host. */
export function tolerances(host: HostModel): Score {
  const memory = host.nodes.reduce((sum, node) => sum + managedPages(node), 0);
  return {
    kills: 0,
    swap: SWAP_TOLERANCE_PAGES,
    'stall-excess': STALL_EXCESS_TOLERANCE_NS,
    remote: REMOTE_TOLERANCE,
    cache: memory * CACHE_TOLERANCE_SHARE,
    stall: STALL_TOLERANCE_NS,
  };
}

/** The first figure, in order, that differs by more than its tolerance; undefined when none does. */
export function firstDifference(
  a: Outcome,
  b: Outcome,
  tolerance: Score,
): { objective: Objective; better: 'a' | 'b' } | undefined {
  const left = scoreOf(a);
  const right = scoreOf(b);
  for (const objective of OBJECTIVES) {
    const difference = left[objective] - right[objective];
    if (Math.abs(difference) > tolerance[objective]) {
      return { objective, better: difference < 0 ? 'a' : 'b' };
    }
  }
  return undefined;
}

/** Negative when `a` is better, positive when `b` is, 0 when no figure differs by more than its tolerance. */
export function compareOutcomes(a: Outcome, b: Outcome, tolerance: Score): number {
  const difference = firstDifference(a, b, tolerance);
  if (!difference) return 0;
  return difference.better === 'a' ? -1 : 1;
}
