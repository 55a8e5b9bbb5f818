import { resolveDemand, type ResolvedDemand } from '../demand';
import type { Rival, SimulationRequest } from '../types';
import { allPreferred } from './all-preferred';
import { emptiestNode } from './emptiest-node';
import { interleaveAll } from './interleave-all';
import { libvirtDefault } from './libvirt-default';
import { novaPack, novaSpread } from './nova';
import { numad } from './numad';
import type { RivalRule } from './rule';
import { strictAtHome } from './strict-at-home';
import { tunedHpcCompute, tunedVirtualHost } from './tuned-profiles';
import { zoneReclaim } from './zone-reclaim';

export type { RivalRule, RuleInput } from './rule';

/** Rules of thumb and neighbouring systems, in the order in which they are shown. */
export const RIVAL_RULES: readonly RivalRule[] = [
  libvirtDefault,
  allPreferred,
  strictAtHome,
  novaSpread,
  novaPack,
  numad,
  emptiestNode,
  interleaveAll,
  zoneReclaim,
  tunedVirtualHost,
  tunedHpcCompute,
];

/** What every rule would choose for a request, none of them replayed yet. */
export function rivals(
  request: SimulationRequest,
  demand: ResolvedDemand = resolveDemand(request),
): Rival[] {
  const input = { host: request.host, guests: request.guests, planned: demand.planned };
  return RIVAL_RULES.map((rule) => ({ name: rule.name, change: rule.choose(input) }));
}
