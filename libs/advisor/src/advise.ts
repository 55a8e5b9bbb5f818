import type { ReplayControl } from '@zonewise/simulator';
import { hardwareProfiles, replay } from '@zonewise/simulator';
import { shortfallPages } from './bounds';
import { pureChanges } from './candidates';
import { uniqueNotes } from './compile';
import type { ResolvedDemand } from './demand';
import { resolveDemand } from './demand';
import type { Budget, Evaluated, Replay } from './evaluator';
import { changeCount } from './change';
import { checkAdvisable } from './constraints';
import { Evaluator } from './evaluator';
import { exclusiveAlternatives, reserveMargin } from './evidence/exclusive';
import { replayEvidence } from './evidence/explanation';
import type { PaceSensitivity } from './evidence/risks';
import { risksOf } from './evidence/risks';
import { routesOf } from './evidence/routes';
import { explainedCandidate, whyNot } from './explain';
import { verdict } from './finding';
import { formatList } from './format';
import { immovable } from './immovable';
import { margin } from './margin';
import { STALL_BUDGET_SECONDS_PER_GIB, compareOutcomes, judgeOf, type Judge } from './objective';
import { operationGroups } from './operations';
import type { Note } from './placement';
import { paretoFront } from './pareto';
import { spaceOf } from './space';
import { RESERVE_PERCENT, expectedReplays, placeable, search } from './search';
import type { AdviceContent, AdviceRequest, Candidate, RecommendationContent } from './types';

const ALTERNATIVES_MAX = 24;
/** The simulator's own default. */
const DEFAULT_HARDWARE = 'generic-2s';

/**
 * About a minute's work for one recommendation: pages touched plus pages reclaimed, a count and not a
 * clock, so that the same request gets the same advice everywhere. The first replays (today's setting, the
 * simplest changes, growth) are made whatever they cost.
 */
const SEARCH_BUDGET: Budget = { replaysMin: 7, workMax: 2e9 };

/**
 * Searches placements and kernel settings with the simulator and answers with the best configuration that
 * was replayed, or with "leave it as it is". Objectives in order: nobody killed, no swap, stalls within
 * 4 s per GiB of guest memory, least remote memory, least page cache lost, least stall, fewest changes.
 * Advice that would kill more guests than today's setting when demand grows by 10 %, as many as it kills now,
 * or a running guest that lives today, is not given.
 *
 * The request's own sysctl and numatune overrides count as the setting as it is.
 *
 * @throws AdvisorInputError, SimulatorInputError for bad input; ReplayCancelled when `control` says stop
 */
export function advise(request: AdviceRequest, control?: ReplayControl): AdviceContent {
  return adviseWith(replay, request, control);
}

/** `advise` with a given replay function; the search itself does not care who replays. */
export function adviseWith(
  replayFn: Replay,
  request: AdviceRequest,
  control?: ReplayControl,
): AdviceContent {
  checkAdvisable(request);
  const demand = resolveDemand(request);
  const evaluator = new Evaluator(
    request,
    replayFn,
    expectedReplays(demand),
    control,
    SEARCH_BUDGET,
  );
  const judge = judgeOf(request.host, request.options);
  const { baseline, advised, rejected, notes } = search(evaluator, placeable(demand));
  const flips = margin(evaluator, baseline, advised, demand);
  const groups = operationGroups(evaluator, advised, judge);
  const others = alternatives(evaluator, placeable(demand), judge, { baseline, advised });
  const explained = (candidate: Evaluated): Candidate => ({
    ...explainedCandidate(candidate, advised, judge),
    ...(rejected.has(candidate.candidate.id) && {
      whyNot: rejected.get(candidate.candidate.id) ?? '',
    }),
  });
  const sensitivity = paceSensitivity(request, replayFn, evaluator, advised);
  const shared = {
    demand: request.demand,
    seed: request.seed,
    before: replayEvidence(request, baseline),
    paretoFront: paretoFront([advised, ...others]),
    robustness: { variations: [], finalists: [] },
    rivals: [],
    unplaced: [],
    caveats: evaluator.caveats,
  };
  const contentOf = (
    chosen: Evaluated,
    chosenMargin: Margin,
    operations: Groups,
  ): RecommendationContent => {
    const found = verdict(baseline, chosen, shortfallPages(request.host, demand), judge);
    return {
      recommenderSubtype: 'NUMA_MEMORY_PLACEMENT',
      ...found,
      description: `${found.description}${riskText(chosen, chosenMargin)}`,
      content: { operationGroups: operations },
      immovable: immovable(request),
      routes: routesOf(request, chosen.candidate.outcome),
      evidence: {
        ...shared,
        baseline:
          baseline === chosen ? baseline.candidate : explainedCandidate(baseline, chosen, judge),
        advised: chosen.candidate,
        margin: chosenMargin,
        after: replayEvidence(request, chosen),
        risks: risksOf(request, evaluator.caveats, chosen, {
          margin: chosenMargin,
          ...(chosen === advised && { sensitivity }),
        }),
        alternatives: chosen === advised ? others.slice(0, ALTERNATIVES_MAX).map(explained) : [],
        replays: evaluator.replays,
        search: {
          replays: evaluator.replays,
          candidates: evaluator.evaluated.length,
          spaceSize: finite(spaceOf(request, demand).size),
          pruned: [],
          exhaustive: false,
          seed: request.options?.seed ?? request.seed,
          profile: request.options?.profile ?? 'balanced',
        },
        assumptions: uniqueNotes([
          ...baseline.assumptions,
          ...chosen.assumptions,
          ...notes,
          ...searchNotes(request),
          ...boundNotes(evaluator, demand, others.length),
        ]),
      },
    };
  };
  const rivals = exclusiveAlternatives(
    evaluator,
    judge,
    { baseline, advised },
    new Set(rejected.keys()),
  );
  const exclusive = rivals.map((one) => ({
    one,
    margin: reserveMargin(evaluator, one.change, RESERVE_PERCENT),
    operations: operationGroups(evaluator, one, judge, false),
  }));
  const content = contentOf(advised, flips, groups);
  const result = {
    ...content,
    exclusive: exclusive.map(({ one, margin: reserve, operations }) => {
      const other = contentOf(one, reserve, operations);
      const behind = ` As an alternative: ${whyNot(one, advised, judge)}`;
      return { ...other, description: other.description + behind };
    }),
  };
  const { replays } = evaluator;
  control?.onProgress?.({ step: replays, steps: replays, fraction: 1 });
  return result;
}

type Margin = RecommendationContent['evidence']['margin'];
type Groups = RecommendationContent['content']['operationGroups'];

/** The advised configuration at the pace of other hardware, where the search has a replay left. */
function paceSensitivity(
  request: AdviceRequest,
  replayFn: Replay,
  evaluator: Evaluator,
  advised: Evaluated,
): PaceSensitivity | undefined {
  const names = Object.keys(hardwareProfiles);
  const own = request.hardwareProfile ?? DEFAULT_HARDWARE;
  const hardware = names.find((name) => name !== own);
  if (hardware === undefined || !evaluator.canReplay()) return undefined;
  const other = new Evaluator({ ...request, hardwareProfile: hardware }, replayFn, 1);
  return { hardware, outcome: other.evaluate(advised.change).candidate.outcome };
}

/** A count that a JSON document can carry. */
function finite(count: number): number | null {
  return count <= Number.MAX_SAFE_INTEGER ? count : null;
}

/** Strict and restrictive have no fallback: where the advice chooses them, its margin is part of it. */
function riskText(advised: Evaluated, flips: RecommendationContent['evidence']['margin']): string {
  const limited = Object.values(advised.change.numatune).some(
    ({ mode }) => mode === 'strict' || mode === 'restrictive',
  );
  return limited
    ? ` Guests limited to their nodes cannot fall back to others. ${flips.verdict}`
    : '';
}

/**
 * Everything else that was replayed: first what an operator asks about first, then the rest, each with
 * the closest to the advice in front; of equals the one with fewer changes.
 */
function alternatives(
  evaluator: Evaluator,
  demand: ResolvedDemand,
  judge: Judge,
  { baseline, advised }: { baseline: Evaluated; advised: Evaluated },
): Evaluated[] {
  const { host, sysctl } = evaluator.request;
  const pure = pureChanges(host, { ...host.sysctl, ...sysctl }, demand).flatMap(
    (change) => evaluator.known(change) ?? [],
  );
  const behind = (one: Evaluated): number => (pure.includes(one) ? 0 : 1);
  return evaluator.evaluated
    .filter((one) => one !== baseline && one !== advised)
    .sort(
      (a, b) =>
        behind(a) - behind(b) ||
        compareOutcomes(a.candidate.outcome, b.candidate.outcome, judge) ||
        changeCount(a.change) - changeCount(b.change),
    );
}

function searchNotes(request: AdviceRequest): Note[] {
  const overridden =
    Object.keys(request.sysctl ?? {}).length + Object.keys(request.numatune ?? {}).length > 0;
  return [
    {
      code: 'objective-order',
      message:
        `Configurations are compared by: guests killed, memory swapped out, stalls over ` +
        `${STALL_BUDGET_SECONDS_PER_GIB} s per GiB of a guest's memory, remote memory, page cache lost, stalls, number of changes. Advice must not kill ` +
        `more than today's setting when guests grow by ${RESERVE_PERCENT} %, nor as many as it kills now, nor a running guest that lives today.`,
    },
    ...(overridden
      ? [
          {
            code: 'overrides-in-baseline',
            message: 'The overrides of the request count as the setting as it is.',
          },
        ]
      : []),
  ];
}

/** What limits of the search left out, where they did. */
function boundNotes(evaluator: Evaluator, demand: ResolvedDemand, others: number): Note[] {
  const notes: Note[] = [];
  if (evaluator.skipped > 0) {
    notes.push({
      code: 'search-replays-bounded',
      message:
        `A replay of this plan is long, so the search stopped after ${evaluator.replays} replays and left out ` +
        `${evaluator.skipped} more configurations or comparisons; there may be better advice.`,
    });
  }
  if (others > ALTERNATIVES_MAX) {
    notes.push({
      code: 'alternatives-bounded',
      message: `${others} other configurations were replayed; the ${ALTERNATIVES_MAX} that matter most are listed.`,
    });
  }
  const kept = new Set(placeable(demand).planned);
  const left = demand.planned.filter((planned) => !kept.has(planned));
  if (left.length > 0) {
    notes.push({
      code: 'search-hugepages-left',
      message:
        `${formatList(left.map(({ spec }) => spec.guest.name))}: all memory comes out of huge page pools, ` +
        'so the numatune is left as it is.',
    });
  }
  return notes;
}
