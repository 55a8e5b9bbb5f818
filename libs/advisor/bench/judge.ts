/**
 * How advice and rivals are compared, and what the comparison sums up to. Plain arithmetic over outcomes. A configuration is
 * judged by what it comes to over all situations of a problem.
 */
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

export interface Compared {
  advice: Figures;
  /** `stopped`: its replay ended once it was no measure of the advice any more; figures are those up to there. */
  rivals: (Figures & { name: string; stopped?: true })[];
}

export interface SituationResult extends Compared {
  situation: string;
  /** It is among the variations of the search. */
  seen?: true;
  /** Guests that every configuration loses in it, by counting: rivals that were not replayed in it lose as many. */
  lostAtLeast?: number;
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
  /** Problems in which the advice kills more guests, or starts fewer, than the rival that does so least. */
  moreKillsThanBestRival: number;
  /**
   * Problems in which the advice's remote cost is at or below that of the best of those rivals that are no worse in
   * kills, swap and stall.
   */
  remoteAtOrBelowBestRivalPct: number;
  /** Median of the reduction of remote cost against libvirt's default, where that kills nobody and is not perfect. */
  medianRemoteReductionPct: number;
  optimalWhereExhaustivePct: number;
  exhaustiveProblems: number;
  /** The same where nothing counts but the demand as asked and what the search does not see. */
  unseenAlone: Pick<Summary, 'moreKillsThanBestRival' | 'remoteAtOrBelowBestRivalPct'>;
}

/** What is no difference: the tolerances by which advice itself is judged. */
export type Tolerance = Pick<Score, 'swap' | 'remote' | 'stall'>;

export function figuresOf(outcome: Outcome): Figures {
  const { kills, swap, stall, remote } = scoreOf(outcome);
  return { kills, swapPages: swap, stallNs: stall, remoteCost: remote };
}

/** What a configuration comes to over all situations of a problem: sums, and the mean of the remote cost. */
export function overall(figures: Figures[]): Figures {
  const sum = (of: (each: Figures) => number): number =>
    figures.reduce((total, each) => total + of(each), 0);
  return {
    kills: sum(({ kills }) => kills),
    swapPages: sum(({ swapPages }) => swapPages),
    stallNs: sum(({ stallNs }) => stallNs),
    remoteCost: figures.length === 0 ? 0 : sum(({ remoteCost }) => remoteCost) / figures.length,
  };
}

/** Advice and rivals of a problem, each over all of its situations. */
export function overSituations({ situations }: Pick<ProblemResult, 'situations'>): Compared {
  const names = situations[0]?.rivals.map(({ name }) => name) ?? [];
  return {
    advice: overall(situations.map(({ advice }) => advice)),
    rivals: names.map((name) => {
      const found = situations.map(({ rivals }) => rivals.filter((each) => each.name === name));
      const so = overall(found.flat());
      const leftOut = situations.filter((_, i) => found[i]?.length === 0);
      const lost = leftOut.reduce((sum, { lostAtLeast = 0 }) => sum + lostAtLeast, 0);
      return { name, ...so, kills: so.kills + lost };
    }),
  };
}

export function killsMore({ advice, rivals }: Compared): boolean {
  return advice.kills > Math.min(...rivals.map(({ kills }) => kills));
}

/** Rivals that are no worse than the advice in kills, swap and stall. */
export function peers({ advice, rivals }: Compared, tolerance: Tolerance): Compared['rivals'] {
  return rivals.filter(
    (rival) =>
      rival.kills <= advice.kills &&
      rival.swapPages <= advice.swapPages + tolerance.swap &&
      rival.stallNs <= advice.stallNs + tolerance.stall,
  );
}

/** Whether no peer's memory is nearer by more than the tolerance. */
export function remoteHolds(compared: Compared, tolerance: Tolerance): boolean {
  return peers(compared, tolerance).every(
    ({ remoteCost }) => compared.advice.remoteCost <= remoteCost + tolerance.remote,
  );
}

/** Share of the default's remote cost that the advice takes away; undefined where the default is perfect or kills. */
export function reductionPct(compared: Compared, tolerance: Tolerance): number | undefined {
  const before = compared.rivals.find(({ name }) => name === 'libvirt-default');
  if (before === undefined || before.kills > 0 || before.remoteCost <= tolerance.remote) {
    return undefined;
  }
  return ((before.remoteCost - compared.advice.remoteCost) / before.remoteCost) * 100;
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

/** A problem without the situations that the search sees. */
export function unseenAlone({ situations }: Pick<ProblemResult, 'situations'>): {
  situations: SituationResult[];
} {
  return { situations: situations.filter(({ seen }) => seen !== true) };
}

export function summarise(seed: number, results: ProblemResult[], tolerance: Tolerance): Summary {
  const compared = results.map(overSituations);
  const unseen = results.map((result) => overSituations(unseenAlone(result)));
  const enumerated = results.flatMap(({ exhaustive }) => exhaustive ?? []);
  return {
    seed,
    problems: results.length,
    ...againstRivals(compared, tolerance),
    medianRemoteReductionPct: median(
      compared.flatMap((each) => reductionPct(each, tolerance) ?? []),
    ),
    optimalWhereExhaustivePct: pct(
      enumerated.filter(({ better }) => better.length === 0).length,
      enumerated.length,
    ),
    exhaustiveProblems: enumerated.length,
    unseenAlone: againstRivals(unseen, tolerance),
  };
}

function againstRivals(compared: Compared[], tolerance: Tolerance): Summary['unseenAlone'] {
  const held = compared.filter((each) => remoteHolds(each, tolerance));
  return {
    moreKillsThanBestRival: compared.filter(killsMore).length,
    remoteAtOrBelowBestRivalPct: pct(held.length, compared.length),
  };
}
