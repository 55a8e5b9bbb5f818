/** One problem from end to end: advice, rivals, situations and, where it is small, its whole space. */
import { createHash } from 'node:crypto';
import { replay, type ReplayInput, type ReplayResult } from '@zonewise/simulator';
import { chooseWith } from '../src/advise';
import { changeCount, normalise, withChange } from '../src/change';
import { compileReplay } from '../src/compile';
import { resolveDemand } from '../src/demand';
import { lostAtLeast } from '../src/lost-at-least';
import { firstDifference, judgeOf, tolerances } from '../src/objective';
import { condense, isStalled } from '../src/outcome';
import { rivals } from '../src/rivals';
import { configurations, spaceOf } from '../src/space';
import { NO_BOUND, replayLimits, stallToBeat, type StallBound } from '../src/stall-bound';
import type { Variation } from '../src/advice-types';
import type { AdviceBudget, Change, Outcome, SimulationRequest } from '../src/types';
import { VariedJudge, type Tested } from '../src/varied-judge';
import { varied } from '../src/variation';
import { advisable, lostUnderVariations } from './advisable';
import {
  figuresOf,
  overall,
  type Figures,
  type ProblemResult,
  type SituationResult,
  type Tolerance,
} from './judge';
import type { Problem } from './problems';
import { situationsOf, type Situation } from './situations';

/** An enumerated problem's search may replay its whole space in full; the enumeration asks for the same replays. */
const SMALL_BUDGET: AdviceBudget = { replaysMax: 2000, workMax: 6e10 };
const BETTER_LISTED_MAX = 3;
/** Above the rounding of sums of times. */
const ROUNDING_NS = 1;

/** Snapshots of nodes that results are kept with: a few hundred MiB. A search of a thousand replays has many times that. */
const KEPT_NODE_SNAPSHOTS = 40_000;

interface Kept {
  result: ReplayResult;
  limitNs: number;
  excessNs: number;
}

/** Replays an input once, as long as its result is kept, however often search and comparison ask for it, as far as anybody wants to know. */
class Replays {
  /** Those asked for last come last. */
  private readonly known = new Map<string, Kept>();
  private nodeSnapshots = 0;

  readonly replay = (asked: ReplayInput): ReplayResult => {
    const { stallLimitNs: limitNs = Infinity, stallExcess, ...rest } = asked;
    const excessNs = stallExcess?.limitNs ?? Infinity;
    const input = { ...rest, stateHash: false };
    const key = createHash('sha256').update(JSON.stringify(input)).digest('base64');
    const found = this.known.get(key);
    // What came to its end did so whatever the limit.
    const wentFurther = found && found.limitNs >= limitNs && found.excessNs >= excessNs;
    if (found && (wentFurther || !isStalled(found.result))) {
      this.keep(key, found);
      return found.result;
    }
    const result = replay({ ...input, stallLimitNs: limitNs, ...(stallExcess && { stallExcess }) });
    this.keep(key, { result, limitNs, excessNs });
    return result;
  };

  private keep(key: string, kept: Kept): void {
    this.drop(key);
    this.known.set(key, kept);
    this.nodeSnapshots += nodeSnapshots(kept);
    for (const oldest of this.known.keys()) {
      if (this.nodeSnapshots <= KEPT_NODE_SNAPSHOTS) break;
      this.drop(oldest);
    }
  }

  private drop(key: string): void {
    const kept = this.known.get(key);
    if (kept === undefined) return;
    this.known.delete(key);
    this.nodeSnapshots -= nodeSnapshots(kept);
  }

  /** @param bound the replay ends once guests have waited longer than this; advice's own limit where that is less */
  outcome(request: SimulationRequest, bound: StallBound = NO_BOUND): Outcome {
    const input = { ...compileReplay(request).input, ...replayLimits(request, bound) };
    return condense(request, this.replay(input));
  }
}

function nodeSnapshots({ result: { initial, steps } }: Kept): number {
  return (steps.length + 1) * initial.nodes.length;
}

/** The outcome of a configuration in a situation. */
function outcomeOf(
  replays: Replays,
  problem: Problem,
  change: Change,
  situation: Situation,
  bound?: StallBound,
): Outcome {
  return replays.outcome(situation.apply(withChange(problem.request, change)), bound);
}

/** The rival that advice's gain is measured against: replayed to the end unless it kills, when there is no such gain. */
const MEASURE = 'libvirt-default';

/** What advice and rivals are measured by: their figures over the first so many situations. */
interface Measure {
  /** Guests that every configuration loses in each of them. */
  lostAtLeast: number[];
  advice: Figures;
}

/** How a rival stands in a measure after its first situations. */
function standing(
  so: Figures[],
  { lostAtLeast, advice }: Measure,
  tolerance: Tolerance,
): { lost: boolean; stallLimitNs: number } {
  const situations = lostAtLeast.length;
  const { swapPages, stallNs, remoteCost, ...found } = overall(so);
  const kills = lostAtLeast.slice(so.length).reduce((sum, lost) => sum + lost, found.kills);
  const waitable = advice.stallNs + tolerance.stall - stallNs;
  const remoteAtLeast = (remoteCost * so.length) / situations;
  const behind =
    swapPages > advice.swapPages + tolerance.swap ||
    waitable < 0 ||
    remoteAtLeast + tolerance.remote >= advice.remoteCost;
  return {
    lost: kills > advice.kills || (kills === advice.kills && behind),
    // Who may lose fewer guests in the end may do so however long it waits.
    stallLimitNs: kills >= advice.kills ? waitable + ROUNDING_NS : Infinity,
  };
}

/**
 * Advice and rivals in all situations. Every rival is replayed as asked. Its replays in the other situations are left out
 * once it loses more guests than the advice does in all, those that every configuration loses in the situations to come among
 * them. Where it loses as many, they are left out once it has swapped more or waited longer than the advice does in all, when
 * it is no peer any more, or where its memory would be no nearer than the advice's if all of it were local in those to come.
 * "In all" is over all situations, and over those alone that the search does not see, which come first: a rival goes on as
 * long as it may count in either.
 */
function compareAll(
  replays: Replays,
  problem: Problem,
  advised: Change,
  situations: Situation[],
): SituationResult[] {
  const { request } = problem;
  const tolerance = tolerances(request.host);
  const advice = situations.map((situation) =>
    figuresOf(outcomeOf(replays, problem, advised, situation)),
  );
  const leastLost = situations.map((situation) => lostAtLeast(situation.apply(request)));
  const unseen = situations.filter(({ seen }) => seen !== true).length;
  const measures = [unseen, situations.length].map((count): Measure => {
    return { lostAtLeast: leastLost.slice(0, count), advice: overall(advice.slice(0, count)) };
  });
  const results = situations.map(({ name, seen }, i): SituationResult => {
    const [own, least = 0] = [advice[i], leastLost[i]];
    if (own === undefined) throw new Error(`no figures in situation ${name}`);
    if (own.kills < least) {
      throw new Error(`${own.kills} guests lost in ${name}, where ${least} have no room`);
    }
    const lost = { ...(seen && { seen }), ...(least > 0 && { lostAtLeast: least }) };
    return { situation: name, ...lost, advice: own, rivals: [] };
  });
  const isMeasured = leastLost.every((least) => least === 0);
  for (const { name, change } of rivals(request)) {
    const so: Figures[] = [];
    for (const [i, situation] of situations.entries()) {
      const isMeasure = name === MEASURE && isMeasured && overall(so).kills === 0;
      const open = measures
        .filter((measure) => i < measure.lostAtLeast.length)
        .map((measure) => standing(so, measure, tolerance))
        .filter(({ lost }) => so.length === 0 || !lost);
      if (open.length === 0 && !isMeasure) break;
      const limit = isMeasure
        ? Infinity
        : Math.max(...open.map(({ stallLimitNs }) => stallLimitNs));
      const outcome = outcomeOf(replays, problem, normalise(request, change), situation, {
        stallNs: limit,
        excessNs: Infinity,
      });
      // Guests that had not started yet may start after all.
      const stopped = outcome.failedStarts.length > 0 && waitedNs(outcome) > limit;
      const figures = figuresOf(stopped ? { ...outcome, failedStarts: [] } : outcome);
      const found = { ...figures, kills: Math.max(figures.kills, leastLost[i] ?? 0) };
      so.push(found);
      results[i]?.rivals.push({ name, ...found, ...(stopped && { stopped }) });
    }
  }
  return results;
}

/** How long guests have waited in all. */
function waitedNs({ guests }: Outcome): number {
  return guests.reduce((sum, { stallNs }) => sum + stallNs, 0);
}

/**
 * Configurations of the whole space that may be advised and are better than the advice by more than a tolerance, as asked,
 * and by what the search compares finalists by. What may be advised: see `advisable`.
 */
function enumerate(
  replays: Replays,
  { request }: Problem,
  advised: Change,
  variations: readonly Variation[],
): NonNullable<ProblemResult['exhaustive']> {
  const asAsked = (change: Change, bound?: StallBound): Outcome =>
    replays.outcome(withChange(request, change), bound);
  const judge = judgeOf(request.host, request.options);
  const space = spaceOf(request, resolveDemand(request));
  const best = asAsked(advised);
  const outcome = (each: SimulationRequest): Outcome => replays.outcome(each);
  const asked = { request, variations, outcomeOf: outcome };
  const allowed = lostUnderVariations(asked, advised);
  const judges = new VariedJudge(judge, variations);
  const tested = (found: Outcome, change: Change): Tested => ({
    asAsked: found,
    varied: variations.map((each) => outcome(varied(withChange(request, change), each))),
    changes: changeCount(normalise(request, change)),
  });
  const own = tested(best, advised);
  // What waits longer is not better, whatever it comes to.
  const bound = stallToBeat(best, judge);
  const better: { configuration: string; by: string }[] = [];
  for (const change of configurations(space)) {
    const found = asAsked(change, bound);
    const difference = firstDifference(found, best, judge);
    if (difference?.better !== 'a') continue;
    // Who kills fewer as asked is better whatever variations do.
    const kills = difference.objective === 'kills';
    if (!advisable(asked, change, kills ? Infinity : allowed)) continue;
    if (!kills && judges.compare(tested(found, change), own) >= 0) continue;
    if (better.length < BETTER_LISTED_MAX) {
      const configuration = JSON.stringify(normalise(request, change));
      better.push({ configuration, by: difference.objective });
    }
  }
  return { configurations: space.size, better };
}

/** @param number decides the unseen variation */
export function compare(problem: Problem, number: number): ProblemResult {
  const replays = new Replays();
  const small = problem.kind === 'small';
  const chosen = chooseWith(replays.replay, {
    ...problem.request,
    ...(small && { options: { budget: SMALL_BUDGET } }),
  });
  const advised = normalise(problem.request, chosen.advised);
  return {
    id: problem.id,
    traits: problem.traits,
    situations: compareAll(replays, problem, advised, situationsOf(problem.request, number)),
    searchReplays: chosen.replays,
    ...(small && { exhaustive: enumerate(replays, problem, advised, chosen.variations) }),
  };
}
