import { shortfallPages } from './bounds';
import type { ResolvedDemand } from './demand';
import { resolveDemand } from './demand';
import type { Evaluated, Evaluator } from './evaluator';
import { formatMib, formatPercent } from './format';
import { tolerances } from './objective';
import { grown } from './growth';
import { lostNames, wouldLose } from './losses';
import type { AdviceRequest, Outcome, RecommendationContent } from './types';

const TESTED_PERCENT = 50;
const REMOTE_TOLERANCE = 0.01;

type Margin = RecommendationContent['evidence']['margin'];
/** What must hold under growth, with the words for it; `limit` 1 where only kills and swap count. */
interface Bar {
  limit: number;
  words: string;
  /** Swapped out already with today's demand, and what is no difference. */
  swapPages: number;
  /** Of a host that can swap. */
  swaps: boolean;
}

/**
 * The smallest whole percent of growth, up to 50, at which the advised configuration's verdict flips:
 * somebody dies, memory is swapped out that is not with today's demand, or, where nobody dies today, more
 * memory is remote than with today's setting (or as advised, where that is more) and today's demand. Bisection; between the tested points the verdict is
 * taken to flip once. Stops early where the search has used up its replays, and then says what it tested.
 */
export function margin(
  evaluator: Evaluator,
  baseline: Evaluated,
  advised: Evaluated,
  demand: ResolvedDemand,
): Margin {
  if (demand.planned.length === 0) {
    const verdict = 'No planned guest: no demand grows.';
    return { flipsAtPercent: null, testedPercent: 0, verdict };
  }
  if (lostNames(advised.candidate.outcome).length > 0) {
    const verdict = `Without any growth ${wouldLose(advised.candidate.outcome)}.`;
    return { flipsAtPercent: 0, testedPercent: 0, verdict };
  }
  return bisect(
    evaluator,
    advised,
    barOf(evaluator.request, baseline.candidate.outcome, advised.candidate.outcome),
  );
}

function barOf({ host }: AdviceRequest, today: Outcome, advised: Outcome): Bar {
  const swap = {
    swapPages: Math.max(today.swappedOutPages, advised.swappedOutPages) + tolerances(host).swap,
    swaps: host.swap.totalPages > 0,
  };
  if (lostNames(today).length > 0) return { ...swap, limit: 1, words: '' };
  const limit = Math.max(today.remoteShare, advised.remoteShare);
  const share = formatPercent(limit);
  const words =
    today.remoteShare >= advised.remoteShare ? `today's ${share}` : `the ${share} as advised`;
  return { ...swap, limit, words };
}

function bisect(evaluator: Evaluator, advised: Evaluated, bar: Bar): Margin {
  let holds = 0;
  let flips: { at: number; why: string } | undefined;
  const test = (percent: number): void => {
    const why = flipped(evaluator.evaluateGrown(advised.change, percent), bar);
    if (why === undefined) holds = percent;
    else flips = { at: percent, why };
  };
  // What the variations of the finals replayed already; the first of them that flips counts.
  for (let percent = 1; percent <= TESTED_PERCENT && flips === undefined; percent += 1) {
    if (evaluator.knowsGrown(advised.change, percent)) test(percent);
  }
  const crowdedAt = leastThatCannotFit(evaluator.request);
  for (;;) {
    const percent = flips === undefined ? highest(holds, crowdedAt) : middle(holds, flips.at);
    if (percent === undefined || !evaluator.canReplay()) return described(holds, flips, bar);
    test(percent);
  }
}

/**
 * The smallest whole percent of growth at which the guests want more than the host can give, whatever the configuration;
 * 50 where there is none up to there. Growth beyond it is seldom worth a replay, and those take longest.
 */
function leastThatCannotFit(request: AdviceRequest): number {
  let fits = 0;
  let short = TESTED_PERCENT;
  for (let at = middle(fits, short); at !== undefined; at = middle(fits, short)) {
    const more = grown(request, at);
    if (shortfallPages(more.host, resolveDemand(more)) > 0) short = at;
    else fits = at;
  }
  return short;
}

/** The growth to test where none flips so far: past the bound all the same where that held, as guests may stop on the way. */
function highest(holds: number, crowdedAt: number): number | undefined {
  if (holds < crowdedAt) return crowdedAt;
  return holds < TESTED_PERCENT ? TESTED_PERCENT : undefined;
}

/** The growth to test between two; undefined when the answer is known. */
function middle(holds: number, flips: number): number | undefined {
  return flips - holds > 1 ? Math.floor((holds + flips) / 2) : undefined;
}

function described(
  holds: number,
  flips: { at: number; why: string } | undefined,
  bar: Bar,
): Margin {
  if (flips !== undefined) {
    const gap = flips.at - holds > 1 ? ' (not tested in between)' : '';
    return {
      flipsAtPercent: flips.at,
      testedPercent: TESTED_PERCENT,
      verdict: `Holds up to ${holds} % more guest memory; at ${flips.at} % ${flips.why}${gap}.`,
    };
  }
  const swapped = bar.swaps ? `${bar.words === '' ? ' and' : ','} no more swapped out` : '';
  const remote = bar.words === '' ? '' : ` and no more remote than ${bar.words}`;
  return {
    flipsAtPercent: null,
    testedPercent: holds,
    verdict:
      holds === 0
        ? 'Growth was not tested: the search had used up its replays.'
        : `Holds up to ${holds} % more guest memory: nobody killed${swapped}${remote}.`,
  };
}

function flipped(outcome: Outcome, bar: Bar): string | undefined {
  if (lostNames(outcome).length > 0) return wouldLose(outcome);
  if (outcome.swappedOutPages > bar.swapPages) {
    return `${formatMib(outcome.swappedOutPages)} would be swapped out`;
  }
  if (outcome.remoteShare > bar.limit + REMOTE_TOLERANCE) {
    return `${formatPercent(outcome.remoteShare)} of guest memory would be remote, more than ${bar.words}`;
  }
  return undefined;
}
