/** Which further variations may tell configurations apart that all lose guests. */
import type { Variation } from './advice-types';
import type { SimulationRequest } from './types';
import { growthsBetween, otherStarts } from './variation';
import { isLikely, kills, type Tested } from './varied-judge';

/**
 * Growths between the first likely one that costs the configuration more guests than the one before, and that; other
 * orders of starting, where it loses anybody.
 * @param tried the variations of its outcomes; none of them is returned
 */
export function whatTells(
  best: Tested,
  tried: readonly Variation[],
  request: SimulationRequest,
): Variation[] {
  const names = new Set(tried.map(({ name }) => name));
  const starts = losesGuests(best, tried) ? otherStarts(request) : [];
  return [...growthsToTell(best, tried), ...starts].filter(({ name }) => !names.has(name));
}

/** Whether it loses guests as asked or under likely variations. */
export function losesGuests({ asAsked, varied }: Tested, tried: readonly Variation[]): boolean {
  const likely = varied.filter((_, at) => tried[at] && isLikely(tried[at]));
  return [asAsked, ...likely].some((outcome) => kills(outcome) > 0);
}

function growthsToTell({ asAsked, varied }: Tested, tried: readonly Variation[]): Variation[] {
  const growths = tried.flatMap((variation, at) => {
    const { growthPercent } = variation;
    if (growthPercent === undefined || !isLikely(variation)) return [];
    return [{ growthPercent, lost: kills(varied[at]) }];
  });
  const points = [{ growthPercent: 0, lost: kills(asAsked) }, ...growths].sort(
    (a, b) => a.growthPercent - b.growthPercent,
  );
  const upper = points.findIndex(({ lost }, i) => i > 0 && lost > (points[i - 1]?.lost ?? 0));
  const [from, to] = [points[upper - 1], points[upper]];
  return from && to ? growthsBetween(from.growthPercent, to.growthPercent) : [];
}
