import type { ResolvedDemand } from './demand';
import { formatPercent } from './format';
import type { Evaluated, Evaluator } from './evaluator';
import { withChange } from './evaluator';
import { scoreOf } from './objective';
import type { Outcome, RecommendationContent, SimulationRequest } from './types';

const TESTED_PERCENT = 50;
const PAGES_PER_HUGE = 512;
const REMOTE_TOLERANCE = 0.01;

/**
 * The request with the planned guests' memory grown (a guest cannot touch more than it has), in whole
 * huge pages. What a guest touches of it keeps its share.
 */
export function grown(request: SimulationRequest, percent: number): SimulationRequest {
  const grow = (pages: number): number => {
    const exact = (pages * (100 + percent)) / 100;
    return percent === 0 ? pages : Math.ceil(exact / PAGES_PER_HUGE) * PAGES_PER_HUGE;
  };
  return {
    ...request,
    guests: request.guests.map((spec) => {
      if (spec.state === 'running') return spec;
      const regions = spec.guest.regions.map((region) => ({
        ...region,
        sizePages: grow(region.sizePages),
      }));
      return { ...spec, guest: { ...spec.guest, regions } };
    }),
  };
}

/**
 * The smallest whole percent of growth, up to 50, at which the advised configuration's verdict flips: more
 * guests die than now, or more of their memory is remote than with today's setting and today's demand.
 * Bisection; between the tested points the verdict is taken to flip once.
 */
export function margin(
  evaluator: Evaluator,
  baseline: Evaluated,
  advised: Evaluated,
  demand: ResolvedDemand,
): RecommendationContent['evidence']['margin'] {
  const testedPercent = TESTED_PERCENT;
  if (demand.planned.length === 0) {
    return {
      flipsAtPercent: null,
      testedPercent: 0,
      verdict: 'No planned guest: no demand grows.',
    };
  }
  const kills = scoreOf(advised.candidate.outcome).kills;
  if (kills > 0) {
    return {
      flipsAtPercent: 0,
      testedPercent: 0,
      verdict: 'Guests are killed without any growth.',
    };
  }
  const remoteLimit = Math.max(
    baseline.candidate.outcome.remoteShare,
    advised.candidate.outcome.remoteShare,
  );
  const request = withChange(evaluator.request, advised.change);
  const at = (percent: number): string | undefined =>
    flipped(evaluator.evaluateVariant(grown(request, percent)), remoteLimit);
  let why = at(testedPercent);
  if (why === undefined) {
    return {
      flipsAtPercent: null,
      testedPercent,
      verdict: `Holds up to ${testedPercent} % more guest memory: nobody killed, no more than ${formatPercent(remoteLimit)} remote.`,
    };
  }
  let holds = 0;
  let flips = testedPercent;
  while (flips - holds > 1) {
    const middle = Math.floor((holds + flips) / 2);
    const found = at(middle);
    if (found === undefined) holds = middle;
    else {
      flips = middle;
      why = found;
    }
  }
  return {
    flipsAtPercent: flips,
    testedPercent,
    verdict: `Holds up to ${holds} % more guest memory; at ${flips} % ${why}.`,
  };
}

function flipped(outcome: Outcome, remoteLimit: number): string | undefined {
  const dead = outcome.guests.filter((guest) => guest.oomKilled).map((guest) => guest.name);
  if (dead.length > 0) return `${dead.join(', ')} would be killed`;
  if (outcome.oomKills.length > 0) return `${outcome.oomKills.join(', ')} would be killed`;
  if (outcome.remoteShare > remoteLimit + REMOTE_TOLERANCE) {
    return `${formatPercent(outcome.remoteShare)} of guest memory would be remote (today ${formatPercent(remoteLimit)})`;
  }
  return undefined;
}
