/** Replays of a case from other start states: which of its misses hang on what no file prints. */
import type { UnseenState } from '@zonewise/simulator';
import type { ScoredCase, ScoredObservable } from './score';

/** Start states that are as likely as the one that a replay takes: what no file prints differs, evenly spread. */
const OTHER_STARTS: readonly UnseenState[] = [
  { listShare: 0.06, kernelShare: 0, slabShare: 0.39, intervalShare: 0.72 },
  { listShare: 0.19, kernelShare: 0.9, slabShare: 0.72, intervalShare: 0.12 },
  { listShare: 0.31, kernelShare: 0.3, slabShare: 0.06, intervalShare: 0.52 },
  { listShare: 0.44, kernelShare: 0.6, slabShare: 0.5, intervalShare: 0.92 },
  { listShare: 0.56, kernelShare: 0.1, slabShare: 0.83, intervalShare: 0.32 },
  { listShare: 0.69, kernelShare: 1, slabShare: 0.17, intervalShare: 0.08 },
  { listShare: 0.81, kernelShare: 0.2, slabShare: 0.61, intervalShare: 0.48 },
  { listShare: 0.94, kernelShare: 0.8, slabShare: 0.94, intervalShare: 0.88 },
  { listShare: 0.13, kernelShare: 0.7, slabShare: 0.28, intervalShare: 0.4 },
  { listShare: 0.38, kernelShare: 0.95, slabShare: 0.78, intervalShare: 0.2 },
  { listShare: 0.63, kernelShare: 0.4, slabShare: 0.11, intervalShare: 0.8 },
  { listShare: 0.88, kernelShare: 0.05, slabShare: 0.56, intervalShare: 0.6 },
];

/** The fragmentation index of a zone that still has a block of the size asked for: not a point of its scale. */
const NO_INDEX = -1;

/**
 * The least and the greatest of what the replays predict; null where they predict nothing that can be compared.
 * An index is compared with indices only.
 */
export function spreadOf(
  predicted: readonly ScoredObservable['simulated'][],
): [number, number] | null {
  const points = predicted.filter(
    (value): value is number => typeof value === 'number' && value !== NO_INDEX,
  );
  return points.length === 0 ? null : [Math.min(...points), Math.max(...points)];
}

function meets([least, greatest]: [number, number], { min, max }: ScoredObservable): boolean {
  return typeof min === 'number' && typeof max === 'number' && least <= max && greatest >= min;
}

/**
 * Notes at each miss what replays from other start states predict, and whether that meets what the kernel did:
 * one of them is within the kernel's range, or they lie on both sides of it.
 * @param replayFrom the case replayed from a start state, and scored
 */
export function noteOtherStarts(
  { observables }: ScoredCase,
  replayFrom: (unseen: UnseenState) => ScoredCase,
): void {
  const missed = new Map(
    observables
      .filter((row) => row.counts === true && row.inside === false && row.kind !== 'pace')
      .map((row) => [`${row.step} ${row.key}`, { row, predicted: [row.simulated] }]),
  );
  if (missed.size === 0) return;
  for (const unseen of OTHER_STARTS) {
    for (const { step, key, inside, simulated } of replayFrom(unseen).observables) {
      const miss = missed.get(`${step} ${key}`);
      if (!miss) continue;
      miss.predicted.push(simulated);
      if (inside === true) miss.row.undetermined = true;
    }
  }
  for (const { row, predicted } of missed.values()) {
    const spread = spreadOf(predicted);
    if (spread === null) continue;
    row.replays = spread;
    if (meets(spread, row)) row.undetermined = true;
  }
}
