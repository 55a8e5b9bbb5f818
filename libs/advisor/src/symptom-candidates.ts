/** Settings that answer what a replay shows: waiting, swapping, guests that die or leave their nodes. */
import type { HostSysctls } from '@zonewise/simulator';
import { thpChanges } from './backing-candidates';
import { wantedPages } from './bounds';
import { NO_CHANGE, startOrder, withChange } from './change';
import { effectiveNumatune } from './compile';
import type { ResolvedDemand } from './demand';
import type { Change, Evaluated } from './evaluator';
import { kernelDefaults } from './kernel-defaults';
import { tolerances } from './objective';
import { isBound } from './placement';
import {
  leftCacheToKswapd,
  loweredMarks,
  nodeReclaimChanges,
  reserveChanges,
  sysctlOf,
  watermarkChanges,
  withSysctl,
} from './sysctl-candidates';
import type { AdviceRequest, Outcome } from './types';

/** What is wrong with a configuration, by its replay. */
interface Symptoms {
  /** Guests are killed or do not start. */
  dead: boolean;
  /** Guests wait for reclaim. */
  waits: boolean;
  /** Somebody reclaims, if only kswapd. */
  reclaims: boolean;
  /** Some memory is remote. */
  away: boolean;
  /** More of it than is no difference. */
  matters: boolean;
}

interface Troubled {
  request: AdviceRequest;
  demand: ResolvedDemand;
  best: Evaluated;
  change: Change;
  outcome: Outcome;
  /** In force with `change`. */
  sysctl: HostSysctls;
  symptoms: Symptoms;
}

/** In the order in which they are tried. */
const ANSWERS: readonly ((troubled: Troubled) => Change[])[] = [
  markChanges,
  boostChanges,
  reclaimModeChanges,
  swapChanges,
  shareChanges,
  reclaimingThpChanges,
  diskCacheChanges,
  remoteThpChanges,
];

export function symptomChanges(
  request: AdviceRequest,
  demand: ResolvedDemand,
  best: Evaluated,
): Change[] {
  const { change, candidate } = best;
  const { outcome } = candidate;
  const symptoms = symptomsOf(request, outcome);
  const sysctl = sysctlOf(request, change);
  const troubled = { request, demand, best, change, outcome, sysctl, symptoms };
  return ANSWERS.flatMap((answer) => answer(troubled));
}

function symptomsOf({ host }: AdviceRequest, outcome: Outcome): Symptoms {
  const waits = outcome.directReclaimedPages > 0 || outcome.stallNs > 0;
  return {
    dead: outcome.guests.some((guest) => guest.oomKilled) || outcome.failedStarts.length > 0,
    waits,
    reclaims: waits || outcome.kswapdReclaimedPages > 0,
    away: outcome.remoteCost > 0,
    matters: outcome.remoteCost > tolerances(host).remote,
  };
}

function markChanges({ request, best, change, symptoms }: Troubled): Change[] {
  const { dead, waits, reclaims, matters } = symptoms;
  return [
    ...(dead || matters || reclaims ? loweredMarks(request, change) : []),
    ...(waits || (matters && leftCacheToKswapd(best)) ? watermarkChanges(request, change) : []),
  ];
}

/** A boosted low mark sends guests away where there is nothing to reclaim, and keeps them where there is. */
function boostChanges({ request, change, sysctl, symptoms }: Troubled): Change[] {
  const { reclaims, away } = symptoms;
  if (!reclaims && !away) return [];
  if (sysctl.watermark_boost_factor > 0) return [withSysctl(change, { watermark_boost_factor: 0 })];
  const on = kernelDefaults(request).watermark_boost_factor;
  return away && on > 0 ? [withSysctl(change, { watermark_boost_factor: on })] : [];
}

function reclaimModeChanges({ request, demand, best, ...troubled }: Troubled): Change[] {
  const { change, sysctl, symptoms } = troubled;
  const { away, reclaims, matters } = symptoms;
  const keepsCache = sysctl.zone_reclaim_mode > 0 && sysctl.min_unmapped_ratio > 0;
  return [
    ...(away && keepsCache ? [withSysctl(change, { min_unmapped_ratio: 0 })] : []),
    ...(away && reclaims ? [3, 5, 7] : []).map((mode) =>
      withSysctl(change, { zone_reclaim_mode: mode }),
    ),
    ...(matters ? nodeReclaimChanges(request, demand, best) : []),
  ];
}

function swapChanges({ change, outcome, sysctl }: Troubled): Change[] {
  if (outcome.swappedOutPages === 0 || sysctl.swappiness === 0) return [];
  return [0, 10].map((swappiness) => withSysctl(change, { swappiness }));
}

/** Who gets the memory that is left: reserves of zones, and who starts first. */
function shareChanges({ request, demand, change, symptoms }: Troubled): Change[] {
  if (!symptoms.dead && !symptoms.away) return [];
  return [...reserveChanges(request, change), ...orderChanges(request, demand, change)];
}

function reclaimingThpChanges({ request, demand, change, symptoms }: Troubled): Change[] {
  return symptoms.waits ? thpChanges(request, demand, change) : [];
}

function diskCacheChanges({ demand, change, outcome, symptoms }: Troubled): Change[] {
  const { dead, away, waits } = symptoms;
  const cached = demand.planned.filter(({ diskCachePages }) => diskCachePages > 0);
  const hurts = dead || away || waits || outcome.cacheLostPages > 0;
  if (cached.length === 0 || !hurts) return [];
  const none = cached.map(({ spec }): [string, 'none'] => [spec.guest.name, 'none']);
  const diskCache: Change['diskCache'] = { ...change.diskCache, ...Object.fromEntries(none) };
  // What moved guests out of the way of that page cache is in their way without it.
  return [
    { ...change, diskCache },
    { ...NO_CHANGE, diskCache },
  ];
}

/** A fault that may reclaim for a huge page looks on all nodes for one before it takes base pages at home. */
function remoteThpChanges({ request, demand, change, symptoms }: Troubled): Change[] {
  const { away, waits } = symptoms;
  return away && !waits ? thpChanges(request, demand, change) : [];
}

/** The largest first, the smallest first, and those bound to nodes before those that may fall back to others. */
function orderChanges(request: AdviceRequest, demand: ResolvedDemand, change: Change): Change[] {
  const bySize = [...demand.planned]
    .sort((a, b) => wantedPages(b) - wantedPages(a))
    .map(({ spec }) => spec.guest.name);
  const changed = withChange(request, change);
  const first = startOrder(changed).filter((name) => bySize.includes(name));
  const bound = first.filter((name) => isBound(effectiveNumatune(changed, name).mode));
  const orders = [bySize, [...bySize].reverse()];
  if (bound.length > 0 && bound.length < first.length) {
    orders.push([...bound, ...first.filter((name) => !bound.includes(name))]);
  }
  return orders.map((names) => ({ ...change, startOrder: names }));
}
