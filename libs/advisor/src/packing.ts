/** Placements found by counting: every guest on nodes that have room for it, near its vCPUs, or its vCPUs near them. */
import { NO_CHANGE, withChange } from './change';
import { allowedNodes, mayMove } from './constraints';
import { effectiveNumatune, placedGuest } from './compile';
import type { ResolvedDemand } from './demand';
import type { Draws, Estimate, Estimator } from './estimate';
import { compareEstimates } from './estimate';
import { cpuNodes, nearestFirst, nodeUnion, sameNodes } from './host-nodes';
import { guestCpuNodes, isPinned, tunedRegions } from './placement';
import type {
  AdviceRequest,
  Change,
  GuestSpec,
  HostSysctls,
  NumatuneValue,
  PinningValue,
} from './types';
import { VcpuLimits, vcpuShares } from './vcpu-load';

type Planned = ResolvedDemand['planned'][number];

/** What one guest may be given. */
interface Option {
  numatune?: NumatuneValue;
  pinning?: PinningValue;
  draws: Draws;
  /** vCPUs that it brings to each node, by position. */
  vcpus: number[];
}

/** Passes over all guests; each one only ever improves. */
const SWEEPS_MAX = 4;

export interface PackingRules {
  mode: 'strict' | 'preferred';
  /** vCPUs of guests that are pinned today may be pinned elsewhere. */
  repins: boolean;
  sysctl: Partial<HostSysctls>;
}

/**
 * The placement that counting likes best under the rules, as few guests as possible changed: every guest in turn takes the
 * option that makes the whole best, beginning once with today's placement and once with nobody placed (the largest first).
 */
export function packing(
  request: AdviceRequest,
  demand: ResolvedDemand,
  estimator: Estimator,
  rules: PackingRules,
): Change {
  const options = demand.planned.map((planned) => optionsOf(request, planned, estimator, rules));
  const sizes = options.map(([today]) =>
    (today?.draws ?? []).reduce((sum, draw) => sum + (draw.cache ? 0 : draw.pages), 0),
  );
  const bySize = options
    .map((_, i) => i)
    .sort((a, b) => (sizes[b] ?? 0) - (sizes[a] ?? 0) || a - b);
  const limits = new VcpuLimits(request);
  const others = othersVcpus(request, demand);
  const of = (chosen: number[]): Estimate => {
    const taken = chosen.flatMap((option, i) => options[i]?.[option] ?? []);
    const estimate = estimator.estimate(
      taken.map(({ draws }) => draws),
      rules.sysctl,
    );
    const load = [...others];
    for (const { vcpus } of taken) vcpus.forEach((count, i) => (load[i] = (load[i] ?? 0) + count));
    return { ...estimate, crowded: limits.beyond(load) };
  };
  const today = improved(
    options.map(() => 0),
    options,
    bySize,
    of,
  );
  const anew = improved(placedAnew(options, bySize, of), options, bySize, of);
  const order = compareEstimates(anew.estimate, today.estimate);
  const best = order < 0 ? restored(anew.chosen, of) : today.chosen;
  return changeOf(best, options, demand.planned, rules.sysctl);
}

/** vCPUs by node of the guests that nothing moves. */
function othersVcpus(request: AdviceRequest, demand: ResolvedDemand): number[] {
  const moved = new Set(demand.planned.map(({ spec }) => spec.guest.name));
  const load = request.host.nodes.map(() => 0);
  for (const spec of request.guests) {
    if (moved.has(spec.guest.name)) continue;
    optionVcpus(request, spec).forEach((count, i) => (load[i] = (load[i] ?? 0) + count));
  }
  return load;
}

function optionVcpus(request: AdviceRequest, { guest, vcpus = 0 }: GuestSpec): number[] {
  return vcpuShares(request.host, placedGuest(request, guest.name), vcpus);
}

type Of = (chosen: number[]) => Estimate;

function placedAnew(options: Option[][], bySize: number[], of: Of): number[] {
  const chosen = options.map(() => -1);
  for (const guest of bySize) bestFor(guest, chosen, options, of);
  return chosen;
}

/** Sets the guest's option that makes the whole best; of equals the first. */
function bestFor(guest: number, chosen: number[], options: Option[][], of: Of): Estimate {
  const before = chosen[guest] ?? -1;
  let best = Math.max(before, 0);
  chosen[guest] = best;
  let estimate = of(chosen);
  (options[guest] ?? []).forEach((_, option) => {
    if (option === best) return;
    chosen[guest] = option;
    const next = of(chosen);
    if (compareEstimates(next, estimate) >= 0) return;
    estimate = next;
    best = option;
  });
  chosen[guest] = best;
  return estimate;
}

function improved(
  start: number[],
  options: Option[][],
  bySize: number[],
  of: Of,
): { chosen: number[]; estimate: Estimate } {
  const chosen = [...start];
  let estimate = of(chosen);
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep += 1) {
    const before = estimate;
    for (const guest of bySize) estimate = bestFor(guest, chosen, options, of);
    if (compareEstimates(estimate, before) >= 0) break;
  }
  return { chosen, estimate };
}

/** Guests left as they are wherever that makes nothing worse. */
function restored(chosen: number[], of: Of): number[] {
  const kept = [...chosen];
  const estimate = of(kept);
  chosen.forEach((option, guest) => {
    if (option === 0) return;
    kept[guest] = 0;
    if (compareEstimates(of(kept), estimate) > 0) kept[guest] = option;
  });
  return kept;
}

function changeOf(
  chosen: number[],
  options: Option[][],
  planned: Planned[],
  sysctl: Partial<HostSysctls>,
): Change {
  const change: Change = { sysctl, numatune: {} };
  planned.forEach(({ spec }, i) => {
    const option = options[i]?.[chosen[i] ?? 0];
    const { name } = spec.guest;
    if (option?.numatune) change.numatune[name] = option.numatune;
    if (option?.pinning) change.pinning = { ...change.pinning, [name]: option.pinning };
  });
  return change;
}

/** As it is first, then near its vCPUs, then elsewhere. */
function optionsOf(
  request: AdviceRequest,
  planned: Planned,
  estimator: Estimator,
  rules: PackingRules,
): Option[] {
  const asIs: Option = {
    draws: estimator.drawsOf(planned, NO_CHANGE),
    vcpus: optionVcpus(request, planned.spec),
  };
  if (!mayMove(request, planned.spec)) return [asIs];
  const { spec } = planned;
  const name = spec.guest.name;
  const settings = placementsOf(request, planned, estimator, rules);
  const seen = new Set<string>([JSON.stringify({ numatune: effectiveNumatune(request, name) })]);
  const options = settings.flatMap((setting) => {
    const key = JSON.stringify(setting);
    if (seen.has(key)) return [];
    seen.add(key);
    const change: Change = {
      sysctl: {},
      numatune: { [name]: setting.numatune },
      ...(setting.pinning && { pinning: { [name]: setting.pinning } }),
    };
    const vcpus = optionVcpus(withChange(request, change), spec);
    return [{ ...setting, draws: estimator.drawsOf(planned, change), vcpus }];
  });
  return [asIs, ...options];
}

function placementsOf(
  request: AdviceRequest,
  planned: Planned,
  estimator: Estimator,
  { mode, repins }: PackingRules,
): { numatune: NumatuneValue; pinning?: PinningValue }[] {
  const { host } = request;
  const { spec } = planned;
  const nodes = allowedNodes(request);
  const withCpus = cpuNodes(host);
  const cpus = guestCpuNodes(placedGuest(request, spec.guest.name));
  const pinned = isPinned(spec, host);
  const regions = tunedRegions(spec);
  const near = nearestFirst(host, cpus[0] ?? nodes[0] ?? 0, nodes);
  const pages = planned.touchPages.reduce((sum, touched) => sum + touched, 0);
  const groups = near.map((node) => estimator.groupFor(node, pages, nodes));
  const sets = [...near.map((node) => [node]), ...groups.filter((group) => group.length > 1)];
  const on = (nodeset: number[]): { numatune: NumatuneValue; pinning?: PinningValue }[] => {
    const several = nodeset.length > 1;
    const numatune: NumatuneValue = {
      mode: several && mode === 'preferred' ? 'interleave' : mode,
      nodeset,
    };
    const home = nodeset.filter((node) => withCpus.includes(node));
    const stays = { numatune };
    if (home.length === 0 || sameNodes(home, cpus)) return [stays];
    // strict and one preferred node take the CPUs of a guest that is not pinned with them.
    const follows = !pinned && (mode === 'strict' || !several);
    if (follows) return [stays];
    if (pinned && !repins) return [stays];
    return [stays, { numatune, pinning: { nodes: home } }];
  };
  const whole = sets.flatMap(on);
  return regions.length > 1 ? [...whole, ...cellPlacements(request, planned, repins)] : whole;
}

/** Cells spread over nodes: each strict on its own, in every rotation of the nodes, with its vCPUs where these may move. */
function cellPlacements(
  request: AdviceRequest,
  { spec }: Planned,
  repins: boolean,
): { numatune: NumatuneValue; pinning?: PinningValue }[] {
  const nodes = allowedNodes(request);
  const withCpus = cpuNodes(request.host);
  const regions = tunedRegions(spec);
  const pinned = isPinned(spec, request.host);
  const at = (
    nodeOf: (i: number) => number,
  ): { numatune: NumatuneValue; pinning?: PinningValue } => {
    const memnodes = regions.map(({ cell }, i) => ({
      cellid: cell,
      mode: 'strict' as const,
      nodeset: [nodeOf(i)],
    }));
    const nodeset = nodeUnion(...memnodes.map((memnode) => memnode.nodeset));
    const numatune: NumatuneValue = { mode: 'strict', nodeset, memnodes };
    const home = nodeset.every((node) => withCpus.includes(node));
    if (!home || (pinned && !repins)) return { numatune };
    const cells = memnodes.map((memnode) => ({ cellid: memnode.cellid, nodes: memnode.nodeset }));
    return { numatune, pinning: { nodes: nodeset, cells } };
  };
  const nearOwn = at((i) => {
    const from = regions[i]?.cpuNodes[0] ?? nodes[0] ?? 0;
    return nearestFirst(request.host, from, nodes)[0] ?? 0;
  });
  return [nearOwn, ...nodes.map((_, turn) => at((i) => nodes[(i + turn) % nodes.length] ?? 0))];
}
