/** How advice and rivals are compared, and what the comparison sums up to. Plain arithmetic over outcomes. */
import { scoreOf, type Score } from '../src/objective';
import type { Outcome } from '../src/types';

/** What is compared of one configuration in one situation. */
export interface Figures {
  /** Guests killed or not started. */
  kills: number;
  swapPages: number;
  stallNs: number;
  /** How much further than local the guests' memory is from their vCPUs, weighted by distance and share of vCPUs. */
  remoteCost: number;
}

export interface SituationResult {
  situation: string;
  advice: Figures;
  rivals: (Figures & { name: string })[];
}

export interface ProblemResult {
  id: string;
  traits: Record<string, string | number | boolean>;
  situations: SituationResult[];
  /** Replays of the search. */
  searchReplays: number;
  /** Only where the whole space was replayed. */
  exhaustive?: {
    configurations: number;
    /** Configurations that may be advised and are better than the advice; none where it is optimal. */
    better: { configuration: string; by: string }[];
  };
}

export interface Summary {
  seed: number;
  problems: number;
  /** Problems with a situation in which the advice kills more guests, or starts fewer, than the rival that does so least. */
  moreKillsThanBestRival: number;
  /**
   * Of all comparisons (a problem in a situation), those in which the advice's remote cost is at or below that of the
   * best of those rivals that are no worse in kills, swap and stall.
   */
  remoteAtOrBelowBestRivalPct: number;
  /** Median of the reduction of remote cost against libvirt's default, where that kills nobody and is not perfect. */
  medianRemoteReductionPct: number;
  optimalWhereExhaustivePct: number;
  exhaustiveProblems: number;
}

/** What is no difference: the tolerances by which advice itself is judged. */
export type Tolerance = Pick<Score, 'swap' | 'remote' | 'stall'>;

export function figuresOf(outcome: Outcome): Figures {
  const { kills, swap, stall, remote } = scoreOf(outcome);
  return { kills, swapPages: swap, stallNs: stall, remoteCost: remote };
}

/** The least kills of any rival. */
export function fewestKills({ rivals }: SituationResult): number {
  return Math.min(...rivals.map(({ kills }) => kills));
}

export function killsMore(result: SituationResult): boolean {
  return result.advice.kills > fewestKills(result);
}

/** Rivals that are no worse than the advice in kills, swap and stall. */
export function peers(
  { advice, rivals }: SituationResult,
  tolerance: Tolerance,
): SituationResult['rivals'] {
  return rivals.filter(
    (rival) =>
      rival.kills <= advice.kills &&
      rival.swapPages <= advice.swapPages + tolerance.swap &&
      rival.stallNs <= advice.stallNs + tolerance.stall,
  );
}

/** Whether no peer's memory is nearer by more than the tolerance. */
export function remoteHolds(result: SituationResult, tolerance: Tolerance): boolean {
  return peers(result, tolerance).every(
    ({ remoteCost }) => result.advice.remoteCost <= remoteCost + tolerance.remote,
  );
}

/** Share of the default's remote cost that the advice takes away; undefined where the default is perfect or kills. */
export function reductionPct(result: SituationResult, tolerance: Tolerance): number | undefined {
  const before = result.rivals.find(({ name }) => name === 'libvirt-default');
  if (before === undefined || before.kills > 0 || before.remoteCost <= tolerance.remote) {
    return undefined;
  }
  return ((before.remoteCost - result.advice.remoteCost) / before.remoteCost) * 100;
}

/** The middle value, or the mean of the two in the middle; 0 where there is none. */
export function median(values: number[]): number {
  const sorted = [...values].sort((a, b) => a - b);
  const half = Math.floor(sorted.length / 2);
  const upper = sorted[half] ?? 0;
  return sorted.length % 2 === 1 ? upper : ((sorted[half - 1] ?? 0) + upper) / 2;
}

/** Share of what holds, percent; 100 where there is nothing that could fail. */
function pct(part: number, whole: number): number {
  return whole === 0 ? 100 : (part / whole) * 100;
}

export function summarise(seed: number, results: ProblemResult[], tolerance: Tolerance): Summary {
  const situations = results.flatMap((result) => result.situations);
  const enumerated = results.flatMap(({ exhaustive }) => exhaustive ?? []);
  return {
    seed,
    problems: results.length,
    moreKillsThanBestRival: results.filter((result) => result.situations.some(killsMore)).length,
    remoteAtOrBelowBestRivalPct: pct(
      situations.filter((situation) => remoteHolds(situation, tolerance)).length,
      situations.length,
    ),
    medianRemoteReductionPct: median(
      situations.flatMap((situation) => reductionPct(situation, tolerance) ?? []),
    ),
    optimalWhereExhaustivePct: pct(
      enumerated.filter(({ better }) => better.length === 0).length,
      enumerated.length,
    ),
    exhaustiveProblems: enumerated.length,
  };
}
