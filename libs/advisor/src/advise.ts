import type { ReplayControl } from '@zonewise/simulator';
import { replay } from '@zonewise/simulator';
import { shortfallPages } from './bounds';
import { placedGuest, uniqueNotes } from './compile';
import { resolveDemand } from './demand';
import type { Evaluated, Replay } from './evaluator';
import { Evaluator, changeCount } from './evaluator';
import { whyNot } from './explain';
import { verdict } from './finding';
import { formatMib } from './format';
import { margin } from './margin';
import type { Score } from './objective';
import { STALL_BUDGET_SECONDS_PER_GIB, compareOutcomes, tolerances } from './objective';
import { operationGroups } from './operations';
import { RESERVE_PERCENT, expectedReplays, search } from './search';
import type { Candidate, RecommendationContent, SimulationRequest } from './types';

const ALTERNATIVES_MAX = 24;

/**
 * Searches placements and kernel settings with the simulator and answers with the best configuration that
 * was replayed, or with "leave it as it is". Objectives in order: nobody killed, no swap, stalls within
 * 4 s per GiB of guest memory, least remote memory, least page cache lost, least stall, fewest changes.
 * Advice that would kill more guests than today's setting when demand grows by 10 % is not given.
 *
 * The request's own sysctl and numatune overrides count as the setting as it is.
 *
 * @throws AdvisorInputError, SimulatorInputError for bad input; ReplayCancelled when `control` says stop
 */
export function advise(request: SimulationRequest, control?: ReplayControl): RecommendationContent {
  return adviseWith(replay, request, control);
}

/** `advise` with a given replay function; the search itself does not care who replays. */
export function adviseWith(
  replayFn: Replay,
  request: SimulationRequest,
  control?: ReplayControl,
): RecommendationContent {
  const demand = resolveDemand(request);
  const evaluator = new Evaluator(request, replayFn, expectedReplays(demand), control);
  const tolerance = tolerances(request.host);
  const { baseline, advised, rejected, notes } = search(evaluator, demand);
  const groups = operationGroups(evaluator, advised, tolerance);
  const flips = margin(evaluator, baseline, advised, demand);
  const explained = (candidate: Evaluated): Candidate => ({
    ...candidate.candidate,
    whyNot: rejected.get(candidate.candidate.id) ?? whyNot(candidate, advised, tolerance),
  });
  const found = verdict(baseline, advised, shortfallPages(request.host, demand));
  const { replays } = evaluator;
  control?.onProgress?.({ step: replays, steps: replays, fraction: 1 });
  return {
    recommenderSubtype: 'NUMA_MEMORY_PLACEMENT',
    ...found,
    description: `${found.description}${riskText(advised, flips)}`,
    content: { operationGroups: groups },
    immovable: immovable(request),
    evidence: {
      demand: request.demand,
      seed: request.seed,
      baseline: baseline === advised ? baseline.candidate : explained(baseline),
      advised: advised.candidate,
      margin: flips,
      alternatives: alternatives(evaluator, baseline, advised, tolerance).map(explained),
      replays,
      caveats: evaluator.caveats,
      assumptions: uniqueNotes([
        ...baseline.assumptions,
        ...advised.assumptions,
        ...notes,
        ...searchNotes(request),
      ]),
    },
  };
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

/** Everything else that was replayed: the simplest first, then the better first. */
function alternatives(
  evaluator: Evaluator,
  baseline: Evaluated,
  advised: Evaluated,
  tolerance: Score,
): Evaluated[] {
  const others = evaluator.evaluated.filter((one) => one !== baseline && one !== advised);
  const kinds = (one: Evaluated): number => {
    const modes = Object.values(one.change.numatune).map(({ mode }) => mode);
    return Object.keys(one.change.sysctl).length + new Set(modes).size;
  };
  return others
    .map((one, i) => ({ one, i }))
    .sort(
      (a, b) =>
        kinds(a.one) - kinds(b.one) ||
        compareOutcomes(a.one.candidate.outcome, b.one.candidate.outcome, tolerance) ||
        changeCount(b.one.change) - changeCount(a.one.change) ||
        a.i - b.i,
    )
    .slice(0, ALTERNATIVES_MAX)
    .map(({ one }) => one);
}

/** Pages of running guests away from their CPUs: settings decide about new pages only. */
function immovable(request: SimulationRequest): RecommendationContent['immovable'] {
  return request.guests.flatMap((spec) => {
    if (spec.state !== 'running') return [];
    const guest = placedGuest(request, spec.guest.name);
    const byNode = new Map<number, number>();
    for (const { cell, nodeId, pages } of spec.guest.residency) {
      const local = guest.regions.find((region) => region.cell === cell)?.cpuNodes ?? [];
      if (pages > 0 && !local.includes(nodeId)) {
        byNode.set(nodeId, (byNode.get(nodeId) ?? 0) + pages);
      }
    }
    return [...byNode]
      .sort(([a], [b]) => a - b)
      .map(([nodeId, pages]) => ({
        guest: spec.guest.name,
        nodeId,
        pages,
        message:
          `${formatMib(pages)} of ${spec.guest.name} are on node ${nodeId}, away from its CPUs; no setting ` +
          'moves pages that are already there, only a restart of the guest or a migration of its pages.' +
          (spec.residencySource === 'estimated' ? ' (Where its pages are is estimated.)' : ''),
      }));
  });
}

function searchNotes(request: SimulationRequest): { code: string; message: string }[] {
  const overridden =
    Object.keys(request.sysctl ?? {}).length + Object.keys(request.numatune ?? {}).length > 0;
  return [
    {
      code: 'objective-order',
      message:
        `Configurations are compared by: guests killed, memory swapped out, stalls over ` +
        `${STALL_BUDGET_SECONDS_PER_GIB} s per GiB of a guest's memory, remote memory, page cache lost, stalls, number of changes. Advice must not kill ` +
        `more than today's setting when guests grow by ${RESERVE_PERCENT} %.`,
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
