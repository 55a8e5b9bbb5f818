import type { ParetoPoint } from './advice-types';
import type { Evaluated } from './evaluator';
import { scoreOf } from './objective';

const POINTS_MAX = 32;

type Figures = Omit<ParetoPoint, 'id' | 'remoteShare'>;

/** The figures of the Pareto front: kills, stall, distance-weighted remote memory, headroom. */
function figuresOf({ candidate: { outcome } }: Evaluated): Figures {
  return {
    kills: scoreOf(outcome).kills,
    stallNs: outcome.stallNs,
    remoteCost: outcome.remoteCost,
    headroomShare: outcome.headroomShare,
  };
}

function dominates(a: Figures, b: Figures): boolean {
  const differences = [
    b.kills - a.kills,
    b.stallNs - a.stallNs,
    b.remoteCost - a.remoteCost,
    a.headroomShare - b.headroomShare,
  ];
  return differences.every((gain) => gain >= 0) && differences.some((gain) => gain > 0);
}

/**
 * Of configurations in order of preference those that no other one is at least as good as in every figure and better
 * than in one; equals once, at most 32.
 */
export function paretoFront(ordered: Evaluated[]): ParetoPoint[] {
  const points = ordered.map((one) => ({ one, figures: figuresOf(one) }));
  const seen = new Set<string>();
  return points
    .filter(({ figures }) => {
      const key = JSON.stringify(figures);
      if (seen.has(key)) return false;
      seen.add(key);
      return !points.some((other) => dominates(other.figures, figures));
    })
    .slice(0, POINTS_MAX)
    .map(({ one, figures }) => ({
      id: one.candidate.id,
      ...figures,
      remoteShare: one.candidate.outcome.remoteShare,
    }));
}
