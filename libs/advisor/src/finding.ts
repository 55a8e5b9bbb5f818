import type { Change, Evaluated } from './evaluator';
import { OBJECTIVE_LABELS, changeText, roomText, shareTells } from './explain';
import { formatCount, formatMib, formatMs, formatPercent, formatSome } from './format';
import type { ImpactMeasure } from './evidence/impact';
import { impactOf, otherImpacts } from './evidence/impact';
import type { Frailty } from './frailty';
import { lossesOf, lostNames, sparedText, wouldLose } from './losses';
import type { Judge, Objective } from './objective';
import { firstDifference, scoreOf } from './objective';
import type { NotObtained } from './pools';
import type { Outcome, RecommendationContent, Unplaced } from './types';

type Verdict = Pick<
  RecommendationContent,
  'finding' | 'description' | 'priority' | 'primaryImpact' | 'additionalImpact'
>;

/** A share of remote memory from which on locality is more than a detail. */
const REMOTE_SHARE_HIGH = 0.25;

/** What a deciding figure means for the setting as it is. */
const FOUND: Record<Objective, Pick<Verdict, 'finding' | 'priority'> & { measure: ImpactMeasure }> =
  {
    kills: { finding: 'OOM_RISK', priority: 'P1', measure: 'guests-killed' },
    swap: { finding: 'RECLAIM_STALLS', priority: 'P2', measure: 'swapped-out' },
    'stall-excess': { finding: 'RECLAIM_STALLS', priority: 'P2', measure: 'stall' },
    remote: { finding: 'REMOTE_MEMORY', priority: 'P3', measure: 'remote-memory' },
    headroom: { finding: 'LOW_HEADROOM', priority: 'P4', measure: 'headroom' },
    room: { finding: 'LOW_HEADROOM', priority: 'P4', measure: 'largest-room' },
    cache: { finding: 'RECLAIM_STALLS', priority: 'P4', measure: 'page-cache-lost' },
    stall: { finding: 'RECLAIM_STALLS', priority: 'P4', measure: 'stall' },
  };

/** What the finding follows from besides the two replays. */
export interface FoundBy {
  judge: Judge;
  /** Pages that are missing by counting. */
  shortfall: number;
  /** Guests that every configuration loses, by counting. */
  leastLost?: number;
  /** Guests that the nodes that they may use cannot hold, by counting. */
  unplaced: readonly Unplaced[];
  /** What of running guests would make room for those that the advised configuration loses; a sentence without its end. */
  fitting?: string | undefined;
  /** Pools of huge pages that the advised replay did not get in full. */
  pools?: NotObtained | undefined;
  /** What variations do to the setting as it is and not to the advice, where that comes before the figures as asked. */
  frailty?: Frailty | undefined;
  /** What is better than the setting as it is as asked and yet no advice: how many, and why not the best of them. */
  refused?: { count: number; change: Change; why: string } | undefined;
}

/**
 * The finding: what is wrong with the setting as it is by the figure that decides, under a variation where that comes before
 * what decides as asked, or OPTIMIZED when nothing replayed is better. When even the advised configuration kills, the plan does not fit.
 */
export function verdict(baseline: Evaluated, advised: Evaluated, by: FoundBy): Verdict {
  const { judge, frailty } = by;
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  if (lostNames(after).length > 0) return doesNotFit(baseline, advised, by);
  if (advised === baseline) return optimized(baseline, by);
  if (frailty) return frail(baseline, advised, frailty);
  const objective = firstDifference(before, after, judge)?.objective ?? 'cache';
  const { finding, measure, priority } = FOUND[objective];
  const much = objective === 'remote' && before.remoteShare >= REMOTE_SHARE_HIGH;
  const gain = scoreOf(before)[objective] - scoreOf(after)[objective];
  // By weights several small gains decide together, none of which is urgent.
  const isDetail = gain <= judge.tolerance[objective];
  // Nearer memory may be as remote as before, only not as far away.
  const nearer = measure === 'remote-memory' && after.remoteShare > before.remoteShare - 0.005;
  const primary = nearer ? 'remote-cost' : measure;
  return {
    finding,
    priority: isDetail ? 'P4' : much ? 'P2' : priority,
    description: DESCRIBE[objective](baseline, advised),
    primaryImpact: impactOf(primary, before, after),
    additionalImpact: otherImpacts(primary, before, after),
  };
}

type Describe = (baseline: Evaluated, advised: Evaluated) => string;

const kills: Describe = (baseline, advised) => {
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  const { notStarted } = lossesOf(before);
  const spared = notStarted.length === 0 ? 'nobody is' : sparedText(after, before);
  return (
    `With the setting as it is ${wouldLose(before)}; with ${changeText(advised.change)} ${spared}. ` +
    `${remoteText(before, after)} ${costText(baseline, advised)}`
  );
};

const waiting: Describe = (baseline, advised) => {
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  return (
    `With the setting as it is guests wait ${formatMs(before.stallNs)} for reclaim and ` +
    `${formatMib(before.swappedOutPages)} are swapped out; with ${changeText(advised.change)} it is ` +
    `${formatMs(after.stallNs)} and ${formatMib(after.swappedOutPages)}. ${costText(baseline, advised)}`
  );
};

const remote: Describe = (baseline, advised) => {
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  const [now, then] = [formatPercent(before.remoteShare), formatPercent(after.remoteShare)];
  const change = changeText(advised.change);
  const cost = costText(baseline, advised);
  if (after.remoteShare < before.remoteShare - 0.005) {
    return `${now} of guest memory is remote as configured, ${then} with ${change}. ${cost}`;
  }
  const shares = now === then ? '' : ` (${now} -> ${then} on nodes without its vCPUs)`;
  return (
    `Guest memory is on average ${before.remoteCost.toFixed(3)} of the local distance further from its vCPUs than ` +
    `local memory as configured, ${after.remoteCost.toFixed(3)} with ${change}${shares}. ${cost}`
  );
};

const headroom: Describe = (baseline, advised) => {
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  return (
    `The fullest node keeps ${formatPercent(before.headroomShare)} of its memory free or as page cache as configured, ` +
    `${formatPercent(after.headroomShare)} with ${changeText(advised.change)}. ${costText(baseline, advised)}`
  );
};

const room: Describe = (baseline, advised) => {
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  return (
    `The node with the most room has ${roomText(before)} of the host's memory free or as page cache as configured, ` +
    `${roomText(after)} with ${changeText(advised.change)}. ${remoteText(before, after)} ${costText(baseline, advised)}`
  );
};

const reclaim: Describe = (baseline, advised) =>
  `The setting as it is reclaims more than it has to; with ${changeText(advised.change)} less. ` +
  costText(baseline, advised);

const DESCRIBE: Record<Objective, Describe> = {
  kills,
  swap: waiting,
  'stall-excess': waiting,
  remote,
  headroom,
  room,
  cache: reclaim,
  stall: waiting,
};

/** Better as soon as things come otherwise, which counts more than what it is as asked. */
function frail(baseline: Evaluated, advised: Evaluated, frailty: Frailty): Verdict {
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  const { why, loses, condition, objective } = frailty;
  const isLoss = objective === 'kills';
  const { finding, measure } = FOUND[objective];
  const told = objective === 'remote' ? 'remote-cost' : measure;
  const impact = impactOf(told, frailty.frail, frailty.better);
  const isLess = objective !== 'remote' || shareTells(frailty.frail, frailty.better);
  const nearer = isLess ? 'less of it is' : 'it is nearer';
  return {
    finding,
    priority: loses ? 'P2' : 'P3',
    description:
      `${why} That is with the setting as it is; with ${changeText(advised.change)} ` +
      `${isLoss ? sparedText(frailty.better, frailty.frail) : nearer}. As asked: ` +
      `${remoteText(before, after)} ${costText(baseline, advised)}`,
    primaryImpact: { ...impact, description: `${condition}: ${impact.description}` },
    additionalImpact: otherImpacts('guests-killed', before, after),
  };
}

function optimized(baseline: Evaluated, { refused, pools }: FoundBy): Verdict {
  const { outcome } = baseline.candidate;
  const remote = formatPercent(outcome.remoteShare);
  const others =
    refused === undefined
      ? ', and no other setting that was replayed is better by more than the tolerance.'
      : `. ${betterText(refused.count)}, ${changeText(refused.change)}: ${refused.why}`;
  if (pools && pools.guests.length > 0) {
    const names = pools.guests;
    return {
      finding: 'REMOTE_MEMORY',
      priority: outcome.remoteShare >= REMOTE_SHARE_HIGH ? 'P2' : 'P3',
      description:
        `For want of huge pages where ${formatSome(names)} ${names.length === 1 ? 'wants its' : 'want their'} memory, ` +
        `${remote} of guest memory is remote. The setting as it is is the best found: nobody is killed${others}`,
      primaryImpact: impactOf('remote-memory', outcome, outcome),
      additionalImpact: [],
    };
  }
  return {
    finding: 'OPTIMIZED',
    priority: 'P4',
    description: `Leave it as it is: nobody is killed, ${remote} of guest memory is remote${others}`,
    primaryImpact: impactOf('remote-memory', outcome, outcome),
    additionalImpact: [],
  };
}

function betterText(count: number): string {
  return count === 1
    ? 'One setting that was replayed is better as asked, but no advice'
    : `${count} settings that were replayed are better as asked, but no advice; the best of them`;
}

function doesNotFit(
  baseline: Evaluated,
  advised: Evaluated,
  { shortfall, judge, frailty, unplaced, fitting, leastLost = 0 }: FoundBy,
): Verdict {
  const [before, after] = [baseline.candidate.outcome, advised.candidate.outcome];
  const dead = lossesOf(after);
  const short =
    shortfall > 0
      ? `at least ${formatCount(shortfall)} pages (${formatMib(shortfall)}) are missing`
      : `added up the host has room, but ${noRoomText(after, unplaced)}`;
  const fewer =
    dead.notStarted.length + lossesOf(before).notStarted.length === 0 ? 'kills' : 'loses';
  const saves = lostNames(after).length < lostNames(before).length;
  const gain = saves
    ? `${fewer} fewer`
    : frailty
      ? `does better when things come otherwise. As it is: ${frailty.why.replace(/\.$/, '')}`
      : `lowers ${loweredText(before, after, judge)}`;
  const least =
    lostNames(after).length <= leastLost
      ? ` Counting pages says that no configuration ${fewer} fewer.`
      : '';
  const partly =
    advised === baseline
      ? least || ` No configuration that was replayed ${fewer} fewer.`
      : ` With the setting as it is ${wouldLose(before)}; ${changeText(advised.change)} ` +
        `is no way to run the plan, it only ${gain}.${least}`;
  return {
    finding: 'DOES_NOT_FIT',
    priority: 'P1',
    description:
      `The plan does not fit${fitting === undefined ? ': in' : ` as it is, but ${fitting}. In`} ` +
      `the best of all replayed configurations ${wouldLose(after)}; ` +
      `${short}.${partly}`,
    primaryImpact: impactOf('guests-killed', before, after),
    additionalImpact: otherImpacts('guests-killed', before, after),
  };
}

function noRoomText(after: Outcome, unplaced: readonly Unplaced[]): string {
  if (unplaced.length > 0) return unplacedText(unplaced);
  return lossesOf(after).killed.length > 0
    ? noNodeText(after)
    : 'not in the pools of huge pages of these guests';
}

function unplacedText(unplaced: readonly Unplaced[]): string {
  const texts = unplaced.map(
    ({ guest, wantedPages, roomPages, shortPages }) =>
      `${guest} wants ${formatMib(wantedPages)} and the nodes that it may use have room for ${formatMib(roomPages)} at best, ` +
      `${formatCount(shortPages)} pages (${formatMib(shortPages)}) short`,
  );
  return `not where these guests may be: ${formatSome(texts)}`;
}

/** By how much the node with the most room comes short of all who were killed; their own memory is free again there. */
function noNodeText({ guests, nodes }: Outcome): string {
  const wanted = guests
    .filter((guest) => guest.oomKilled)
    .reduce((sum, guest) => sum + guest.memoryPages, 0);
  const room = Math.max(0, ...nodes.map((node) => node.freePages + node.fileCachePages));
  const short = wanted - room;
  const most =
    short > 0
      ? `: the one with the most room has ${formatMib(room)} left, ${formatCount(short)} pages (${formatMib(short)}) short`
      : '';
  return `no node for all of the ${formatMib(wanted)} of these guests${most}`;
}

/** What a configuration gains that kills as many. */
function loweredText(before: Outcome, after: Outcome, judge: Judge): string {
  const objective = firstDifference(before, after, judge)?.objective;
  return objective === undefined ? 'the number of changes' : OBJECTIVE_LABELS[objective];
}

function remoteText(before: Outcome, after: Outcome): string {
  return `Remote guest memory: ${formatPercent(before.remoteShare)} -> ${formatPercent(after.remoteShare)}.`;
}

function costText(baseline: Evaluated, advised: Evaluated): string {
  const before = baseline.candidate.outcome;
  const after = advised.candidate.outcome;
  return (
    `Page cache lost: ${formatMib(before.cacheLostPages)} -> ${formatMib(after.cacheLostPages)} of ` +
    `${formatMib(baseline.cacheBeforePages)}; stalls: ${formatMs(before.stallNs)} -> ` +
    `${formatMs(after.stallNs)} (modelled time).`
  );
}
