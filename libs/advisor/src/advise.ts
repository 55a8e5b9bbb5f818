import type { ReplayControl } from '@zonewise/simulator';
import { hardwareProfiles, replay } from '@zonewise/simulator';
import type { Variation } from './advice-types';
import { shortfallPages, unplaced } from './bounds';
import { pureChanges } from './candidates';
import { uniqueNotes } from './compile';
import type { ResolvedDemand } from './demand';
import { resolveDemand } from './demand';
import type { Budget, Change, Evaluated, Replay } from './evaluator';
import { changeCount, normalise, withChange } from './change';
import { checkAdvisable } from './constraints';
import { Evaluator } from './evaluator';
import { exclusiveAlternatives, isAlternative } from './evidence/exclusive';
import { replayEvidence } from './evidence/explanation';
import { fittingText } from './evidence/fitting-routes';
import type { PaceSensitivity } from './evidence/risks';
import { followsPace, risksOf } from './evidence/risks';
import { routesOf } from './evidence/routes';
import { explainedCandidate, whyNot } from './explain';
import { verdict } from './finding';
import { formatList } from './format';
import { immovable } from './immovable';
import { lostAtLeast } from './lost-at-least';
import { margin } from './margin';
import { matchingPinsText } from './matching-pins';
import { STALL_BUDGET_SECONDS_PER_GIB, compareOutcomes, judgeOf, type Judge } from './objective';
import { operationGroups } from './operations';
import type { Note } from './placement';
import { isBound } from './placement';
import { paretoFront } from './pareto';
import { notObtained, poolNotes } from './pools';
import type { OnAnswer, SearchResult } from './search';
import { REPLAYS_EXPECTED, placeable, search } from './search';
import type { AdviceContent, AdviceRequest, Candidate, RecommendationContent } from './types';
import { vcpuNotes } from './vcpu-load';

const ALTERNATIVES_MAX = 24;
/** The simulator's own default. */
const DEFAULT_HARDWARE = 'generic-2s';

/** Replays that are made whatever they cost. */
const REPLAYS_MIN = 12;
/** Some seconds' work at most on a small host, about a minute's on one of 8 nodes and 128 guests; half of it for confirming. */
const WORK_PER_DECISION = 4e7;
const KEPT_SHARE = 0.5;
/** Beside that where guests are lost: for moves of single guests, and at least for telling finalists apart and confirming. */
const WORK_WHERE_LOST = 2e9;
const DECISIONS_MIN = 64;
const DECISIONS_MAX = 256;

/**
 * What one recommendation may cost: more where more guests may go to more nodes. Pages touched plus pages reclaimed, a
 * count and not a clock, so that the same request gets the same advice everywhere.
 */
function budgetOf({ host, options }: AdviceRequest, demand: ResolvedDemand): Budget {
  const decisions = host.nodes.length * demand.planned.length;
  const counted = Math.min(DECISIONS_MAX, Math.max(DECISIONS_MIN, decisions));
  const { workMax, replaysMax } = options?.budget ?? {};
  return {
    replaysMin: REPLAYS_MIN,
    workMax: workMax ?? WORK_PER_DECISION * counted,
    ...(replaysMax !== undefined && { replaysMax }),
    // A budget that somebody set is for the search; what is left of it is for confirming.
    ...(workMax === undefined &&
      replaysMax === undefined && { keptShare: KEPT_SHARE, besideWork: WORK_WHERE_LOST }),
  };
}

/** Progress and cancellation of advice, and every answer that is better than the one before. */
export interface AdviceControl extends ReplayControl {
  onAnswer?: OnAnswer;
}

/**
 * Searches placements and kernel settings with the simulator and answers with the best configuration that
 * was replayed, or with "leave it as it is". Objectives of the balanced profile in order: nobody killed, nobody killed
 * under the likely variations, no swap, stalls within 4 s per GiB of guest memory, least remote memory by distance,
 * least of it under variations, headroom, least page cache lost, least stall, fewest changes. Advice that would kill
 * more guests than today's setting kills now, or a running guest that lives today, is not given.
 *
 * The request's own sysctl and numatune overrides count as the setting as it is.
 *
 * @throws AdvisorInputError, SimulatorInputError for bad input; ReplayCancelled when `control` says stop
 */
export function advise(request: AdviceRequest, control?: AdviceControl): AdviceContent {
  return adviseWith(replay, request, control);
}

interface Chosen {
  demand: ResolvedDemand;
  evaluator: Evaluator;
  searched: SearchResult;
}

function choose(replayFn: Replay, request: AdviceRequest, control?: AdviceControl): Chosen {
  checkAdvisable(request);
  const demand = resolveDemand(request);
  const budget = budgetOf(request, demand);
  const evaluator = new Evaluator(request, replayFn, REPLAYS_EXPECTED, control, budget);
  const searched = search(evaluator, placeable(demand), control?.onAnswer);
  return { demand, evaluator, searched };
}

/**
 * What `adviseWith` would advise, without the replays that only its evidence needs: margin, effect of each change, pace,
 * alternatives; and the variations that finalists were compared under.
 */
export function chooseWith(
  replayFn: Replay,
  request: AdviceRequest,
): { advised: Candidate; replays: number; variations: readonly Variation[] } {
  const { evaluator, searched } = choose(replayFn, request);
  return {
    advised: searched.advised.candidate,
    replays: evaluator.replays,
    variations: searched.robustness.variations,
  };
}

/** `advise` with a given replay function; the search itself does not care who replays. */
export function adviseWith(
  replayFn: Replay,
  request: AdviceRequest,
  control?: AdviceControl,
): AdviceContent {
  const { demand, evaluator, searched } = choose(replayFn, request, control);
  const judge = judgeOf(request.host, request.options);
  const { baseline, advised, rejected, outranked, notes, small } = searched;
  const flips = margin(small.evaluator, small.baseline, small.advised, demand);
  const groups = operationGroups(small.evaluator, small.advised, judge);
  const others = alternatives(request, placeable(demand), judge, searched);
  // Variations are told of a configuration as it was searched, perhaps in miniature.
  const whyLost = (one: Evaluated, searchedAs = one): string => {
    const { id } = searchedAs.candidate;
    return rejected.get(id) ?? outranked.get(id) ?? whyNot(one, advised, judge);
  };
  const explained = (one: Evaluated): Candidate => {
    const rules = searched.rivals.filter(({ id }) => id === one.candidate.id);
    return {
      ...explainedCandidate(one, advised, judge),
      whyNot: whyLost(one),
      ...(rules.length > 0 && { rival: rules.map(({ name }) => name).join(', ') }),
    };
  };
  const baselineAgainst = (chosen: Evaluated): Candidate => {
    if (baseline === chosen) return baseline.candidate;
    const [then, now] = [chosen.candidate.outcome, baseline.candidate.outcome];
    const frail = searched.frailty(chosen);
    if (frail) return { ...explained(baseline), whyNot: frail.why };
    const isBetter = chosen !== advised || compareOutcomes(then, now, judge) < 0;
    return isBetter ? explainedCandidate(baseline, chosen, judge) : explained(baseline);
  };
  const sensitivity = followsPace(advised.candidate.outcome)
    ? paceSensitivity(request, small)
    : undefined;
  const shared = {
    demand: request.demand,
    seed: request.seed,
    before: replayEvidence(request, baseline),
    paretoFront: paretoFront([advised, ...others]),
    robustness: searched.robustness,
    rivals: searched.rivals,
    unplaced: unplaced(request, demand),
    caveats: evaluator.caveats,
  };
  // A setting that is better as asked and was not advised has its reason.
  const better = others.filter(
    (one) => compareOutcomes(one.candidate.outcome, baseline.candidate.outcome, judge) < 0,
  );
  const [first] = [...better].sort((a, b) =>
    compareOutcomes(a.candidate.outcome, b.candidate.outcome, judge),
  );
  const refused = first && {
    ...{ count: better.length, change: first.change, why: whyLost(first) },
  };
  // By counting, whatever is chosen.
  const shortfall = shortfallPages(request.host, demand);
  const leastLost = lostAtLeast(request);
  const contentOf = (
    chosen: Evaluated,
    chosenMargin: Margin,
    operations: Groups,
  ): RecommendationContent => {
    const changed = withChange(request, chosen.change);
    const pools = notObtained(changed, chosen.candidate.outcome, chosen.trace.pools);
    const found = verdict(baseline, chosen, {
      ...{ judge, shortfall, unplaced: shared.unplaced, leastLost },
      ...{ frailty: searched.frailty(chosen), refused },
      ...{ fitting: fittingText(request, demand, chosen.candidate), pools },
    });
    return {
      recommenderSubtype: 'NUMA_MEMORY_PLACEMENT',
      ...found,
      description:
        [found.description, ...pools.sentences].join(' ') +
        matchingPinsText(request, chosen.change) +
        riskText(chosen, chosenMargin),
      content: { operationGroups: operations },
      immovable: immovable(request),
      routes: routesOf(request, chosen.candidate),
      evidence: {
        ...shared,
        baseline: baselineAgainst(chosen),
        advised: chosen.candidate,
        margin: chosenMargin,
        after: replayEvidence(request, chosen),
        risks: risksOf(request, uniqueNotes([...baseline.caveats, ...chosen.caveats]), chosen, {
          margin: chosenMargin,
          ...(chosen === advised && { sensitivity }),
        }),
        alternatives: chosen === advised ? others.slice(0, ALTERNATIVES_MAX).map(explained) : [],
        replays: evaluator.replays,
        search: {
          replays: evaluator.replays,
          ...searched.report,
          seed: request.options?.seed ?? request.seed,
          profile: request.options?.profile ?? 'balanced',
        },
        assumptions: uniqueNotes([
          ...baseline.assumptions,
          ...chosen.assumptions,
          ...notes,
          ...searchNotes(request),
          ...vcpuNotes(request),
          ...poolNotes(request, baseline.trace.pools),
          ...boundNotes(evaluator, demand, others.length),
        ]),
      },
    };
  };
  // Found in miniature where the search was; an alternative that is offered was replayed in full.
  const rivals = exclusiveAlternatives(
    small.evaluator,
    judge,
    small,
    new Set(rejected.keys()),
  ).flatMap((found) => {
    const one = evaluator.tryEvaluate(found.change);
    return one !== undefined && isAlternative(one, baseline, judge) ? [{ found, one }] : [];
  });
  const exclusive = rivals.map(({ found, one }) => ({
    ...{ one, found },
    margin: margin(small.evaluator, small.baseline, found, demand),
    operations: operationGroups(small.evaluator, found, judge, false),
  }));
  const content = contentOf(advised, flips, groups);
  const result = {
    ...content,
    exclusive: exclusive.map(({ one, found, margin: own, operations }) => {
      const other = contentOf(one, own, operations);
      const behind = ` As an alternative: ${whyLost(one, found)}`;
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
  { evaluator, advised }: SearchResult['small'],
): PaceSensitivity | undefined {
  const names = Object.keys(hardwareProfiles);
  const own = request.hardwareProfile ?? DEFAULT_HARDWARE;
  const hardware = names.find((name) => name !== own);
  if (hardware === undefined || !evaluator.canReplay()) return undefined;
  const scale = advised.candidate.scale ?? 1;
  const other = evaluator.of({ ...request, hardwareProfile: hardware });
  const { outcome } = other.evaluate(advised.change).candidate;
  return { hardware, outcome, own: advised.candidate.outcome, scale };
}

/** Strict and restrictive have no fallback: where the advice chooses them, its margin is part of it. */
function riskText(advised: Evaluated, flips: RecommendationContent['evidence']['margin']): string {
  const limited = Object.values(advised.change.numatune).some(({ mode }) => isBound(mode));
  return limited
    ? ` Guests limited to their nodes cannot fall back to others. ${flips.verdict}`
    : '';
}

/**
 * Everything else that was replayed: first what an operator asks about first, then the rest, each with
 * the closest to the advice in front; of equals the one with fewer changes.
 */
function alternatives(
  request: AdviceRequest,
  demand: ResolvedDemand,
  judge: Judge,
  { baseline, advised, evaluated }: SearchResult,
): Evaluated[] {
  const { host, sysctl } = request;
  const key = (change: Change): string => JSON.stringify(normalise(request, change));
  const byKey = new Map(evaluated.map((one) => [key(one.change), one]));
  const pure = pureChanges(host, { ...host.sysctl, ...sysctl }, demand).flatMap(
    (change) => byKey.get(key(change)) ?? [],
  );
  const behind = (one: Evaluated): number => (pure.includes(one) ? 0 : 1);
  return evaluated
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
        `Configurations are compared by: guests killed, guests killed under the likely variations, then in the profile's order ` +
        `(balanced: memory swapped out, stalls over ${STALL_BUDGET_SECONDS_PER_GIB} s per GiB of a guest's memory, remote memory by distance, ` +
        `headroom, page cache lost, stalls), number of changes. Advice must not kill more than today's setting does, nor a running guest that lives today.`,
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
