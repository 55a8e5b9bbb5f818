/** One problem from end to end: advice, rivals, situations and, where it is small, its whole space. */
import { createHash } from 'node:crypto';
import { replay, type ReplayInput, type ReplayResult } from '@zonewise/simulator';
import { adviseWith } from '../src/advise';
import { normalise, withChange } from '../src/change';
import { compileReplay } from '../src/compile';
import { resolveDemand } from '../src/demand';
import { firstDifference, judgeOf } from '../src/objective';
import { condense } from '../src/outcome';
import { rivals } from '../src/rivals';
import { configurations, spaceOf } from '../src/space';
import type { AdviceBudget, Change, Outcome, SimulationRequest } from '../src/types';
import { advisable, lostUnderVariations } from './advisable';
import { figuresOf, type ProblemResult, type SituationResult } from './judge';
import type { Problem } from './problems';
import { AS_ASKED, situationsOf, type Situation } from './situations';

/** An enumerated problem's search may replay its whole space. */
const SMALL_BUDGET: AdviceBudget = { replaysMax: 1000, workMax: 6e9 };
const BETTER_LISTED_MAX = 3;

/** Replays each input once, however often search and comparison ask for it. */
class Replays {
  private readonly known = new Map<string, ReplayResult>();

  readonly replay = (input: ReplayInput): ReplayResult => {
    const key = createHash('sha256').update(JSON.stringify(input)).digest('base64');
    const found = this.known.get(key);
    if (found) return found;
    const result = replay(input);
    this.known.set(key, result);
    return result;
  };

  outcome(request: SimulationRequest): Outcome {
    return condense(request, this.replay(compileReplay(request).input));
  }
}

/** The outcome of a configuration in a situation. */
function outcomeOf(
  replays: Replays,
  problem: Problem,
  change: Change,
  situation: Situation,
): Outcome {
  return replays.outcome(situation.apply(withChange(problem.request, change)));
}

function compareIn(
  replays: Replays,
  problem: Problem,
  advised: Change,
  situation: Situation,
): SituationResult {
  const figures = (change: Change) => figuresOf(outcomeOf(replays, problem, change, situation));
  return {
    situation: situation.name,
    advice: figures(advised),
    rivals: rivals(problem.request).map(({ name, change }) => ({
      name,
      ...figures(normalise(problem.request, change)),
    })),
  };
}

/**
 * Configurations of the whole space that may be advised and are better than the advice by more than a tolerance.
 * What may be advised: see `advisable`.
 */
function enumerate(
  replays: Replays,
  problem: Problem,
  advised: Change,
): NonNullable<ProblemResult['exhaustive']> {
  const { request } = problem;
  const judge = judgeOf(request.host, request.options);
  const space = spaceOf(request, resolveDemand(request));
  const best = outcomeOf(replays, problem, advised, AS_ASKED);
  const outcome = (each: SimulationRequest): Outcome => replays.outcome(each);
  const allowed = lostUnderVariations(request, advised, outcome);
  const better: { configuration: string; by: string }[] = [];
  for (const change of configurations(space)) {
    const found = outcomeOf(replays, problem, change, AS_ASKED);
    const difference = firstDifference(found, best, judge);
    if (difference?.better !== 'a') continue;
    // Who kills fewer as asked is better whatever variations do.
    const kills = difference.objective === 'kills';
    if (!advisable(request, change, kills ? Infinity : allowed, outcome)) continue;
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
  const content = adviseWith(replays.replay, {
    ...problem.request,
    ...(small && { options: { budget: SMALL_BUDGET } }),
  });
  const advised = normalise(problem.request, content.evidence.advised);
  return {
    id: problem.id,
    traits: problem.traits,
    situations: situationsOf(number).map((each) => compareIn(replays, problem, advised, each)),
    searchReplays: content.evidence.replays,
    ...(small && { exhaustive: enumerate(replays, problem, advised) }),
  };
}
