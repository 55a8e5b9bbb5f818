import type { Evaluated } from './evaluator';
import { changeText, deadNames } from './explain';
import { formatCount, formatList, formatMib, formatMs, formatPercent } from './format';
import { scoreOf } from './objective';
import type { Outcome, RecommendationContent } from './types';

type Verdict = Pick<
  RecommendationContent,
  'finding' | 'description' | 'priority' | 'primaryImpact'
>;

/** A share of remote memory from which on locality is more than a detail. */
const REMOTE_SHARE_HIGH = 0.25;

/**
 * The finding: what is wrong with the setting as it is, or OPTIMIZED when nothing replayed is better. When
 * even the advised configuration kills, the plan does not fit.
 */
export function verdict(baseline: Evaluated, advised: Evaluated, shortfall: number): Verdict {
  const after = advised.candidate.outcome;
  if (deadNames(after).length > 0) return doesNotFit(baseline, advised, shortfall);
  if (advised === baseline) return optimized(baseline);
  const before = baseline.candidate.outcome;
  const change = changeText(advised.change);
  const score = scoreOf(before);
  if (score.kills > 0) {
    const dead = formatList(deadNames(before));
    return {
      finding: 'OOM_RISK',
      priority: 'P1',
      description:
        `With the setting as it is ${dead} would be killed; with ${change} nobody is. ` +
        `${remoteText(before, after)} ${costText(baseline, advised)}`,
      primaryImpact: { category: 'RELIABILITY', description: `${dead} survives.` },
    };
  }
  const cost = costText(baseline, advised);
  const fewer = `Swapped out ${formatMib(before.swappedOutPages)} -> ${formatMib(after.swappedOutPages)}, waiting for reclaim ${formatMs(before.stallNs)} -> ${formatMs(after.stallNs)}.`;
  if (score.swap - scoreOf(after).swap > 0 || score['stall-excess'] > 0) {
    return {
      finding: 'RECLAIM_STALLS',
      priority: 'P2',
      description:
        `With the setting as it is guests wait ${formatMs(before.stallNs)} for reclaim and ` +
        `${formatMib(before.swappedOutPages)} are swapped out; with ${change} it is ` +
        `${formatMs(after.stallNs)} and ${formatMib(after.swappedOutPages)}. ${cost}`,
      primaryImpact: { category: 'PERFORMANCE', description: fewer },
    };
  }
  if (after.remoteShare < before.remoteShare - 0.005) {
    const [now, then] = [formatPercent(before.remoteShare), formatPercent(after.remoteShare)];
    return {
      finding: 'REMOTE_MEMORY',
      priority: before.remoteShare >= REMOTE_SHARE_HIGH ? 'P2' : 'P3',
      description: `${now} of guest memory is remote as configured, ${then} with ${change}. ${cost}`,
      primaryImpact: {
        category: 'PERFORMANCE',
        description: `Remote guest memory ${now} -> ${then}.`,
      },
    };
  }
  return {
    finding: 'RECLAIM_STALLS',
    priority: 'P4',
    description: `The setting as it is reclaims more than it has to; with ${change} less. ${cost}`,
    primaryImpact: {
      category: 'PERFORMANCE',
      description: `Page cache lost ${formatMib(before.cacheLostPages)} -> ${formatMib(after.cacheLostPages)}.`,
    },
  };
}

function optimized(baseline: Evaluated): Verdict {
  const { outcome } = baseline.candidate;
  const remote = formatPercent(outcome.remoteShare);
  return {
    finding: 'OPTIMIZED',
    priority: 'P4',
    description:
      `Leave it as it is: nobody is killed, ${remote} of guest memory is remote, and no other setting ` +
      'that was replayed is better by more than the tolerance.',
    primaryImpact: { category: 'PERFORMANCE', description: 'No change.' },
  };
}

function doesNotFit(baseline: Evaluated, advised: Evaluated, shortfall: number): Verdict {
  const dead = deadNames(advised.candidate.outcome);
  const unplaced = advised.candidate.outcome.guests
    .filter((guest) => guest.oomKilled)
    .reduce((sum, guest) => sum + guest.memoryPages, 0);
  const short =
    shortfall > 0
      ? `at least ${formatCount(shortfall)} pages (${formatMib(shortfall)}) are missing`
      : `added up the host has room, but no node for all of the ${formatMib(unplaced)} of the killed guests`;
  const before = deadNames(baseline.candidate.outcome);
  const partly =
    advised === baseline
      ? ' No configuration that was replayed kills fewer.'
      : ` With the setting as it is ${formatList(before)} would be; ${changeText(advised.change)} ` +
        `is no way to run the plan, it only kills fewer.`;
  return {
    finding: 'DOES_NOT_FIT',
    priority: 'P1',
    description:
      `The plan does not fit: in the best of all replayed configurations ${formatList(dead)} ` +
      `would be killed; ${short}.${partly}`,
    primaryImpact: { category: 'RELIABILITY', description: `${formatList(dead)} would be killed.` },
  };
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
