/** What may better a finalist that is hurt by variations, though the demand as asked shows nothing of it. */
import { startOrder } from './change';
import { effectiveNumatune } from './compile';
import type { Change } from './evaluator';
import type { Finalist } from './finalists';
import { ownValue } from './own-value';
import { isBound } from './placement';
import type { AdviceRequest, NumatuneValue, Outcome } from './types';

/** Node reclaim off, and on for clean page cache that nobody maps. */
const ZONE_RECLAIM_MODES = [0, 1];

/**
 * For each of the configurations, under both modes of node reclaim: guests bound to nodes may fall back to others, those
 * alone that a variation kills or all of them; and the configuration as it is.
 */
export function variationAnswers(request: AdviceRequest, hurt: readonly Finalist[]): Change[] {
  return hurt.flatMap(({ one: { change }, varied }) => {
    const lost = new Set(varied.flatMap((outcome) => (outcome ? lostGuests(outcome) : [])));
    return [softened(request, change, lost), softened(request, change), change]
      .filter((each) => each !== undefined)
      .flatMap((each) =>
        ZONE_RECLAIM_MODES.map((zone_reclaim_mode) => ({
          ...each,
          sysctl: { ...each.sysctl, zone_reclaim_mode },
        })),
      );
  });
}

function lostGuests({ guests, failedStarts }: Outcome): string[] {
  return [...guests.filter(({ oomKilled }) => oomKilled).map(({ name }) => name), ...failedStarts];
}

/**
 * Guests that may fall back to other nodes instead of dying for want of memory on their own.
 * @param which all of them by default
 * @returns undefined where none of them is bound
 */
function softened(
  request: AdviceRequest,
  change: Change,
  which?: ReadonlySet<string>,
): Change | undefined {
  const bound = ({ mode, memnodes }: NumatuneValue): boolean => isBound(mode) && !memnodes;
  const settings = startOrder(request).map((name): [string, NumatuneValue] => [
    name,
    ownValue(change.numatune, name) ?? effectiveNumatune(request, name),
  ]);
  const freed = settings.filter(
    ([name, setting]) => bound(setting) && (which === undefined || which.has(name)),
  );
  if (freed.length === 0) return undefined;
  const loose = freed.map(([name, { nodeset }]): [string, NumatuneValue] => [
    name,
    { mode: nodeset.length > 1 ? 'interleave' : 'preferred', nodeset },
  ]);
  return { ...change, numatune: Object.fromEntries([...settings, ...loose]) };
}
