/** Placements found by counting: every guest on nodes that have room for it, near its vCPUs, or its vCPUs near them. */
import { NO_CHANGE, withChange } from './change';
import { allowedNodes, mayMove } from './constraints';
import { effectiveNumatune, placedGuest } from './compile';
import type { ResolvedDemand } from './demand';
import type { Estimator } from './estimate';
import { cpuNodes, nearestFirst, nodeUnion, sameNodes } from './host-nodes';
import { compareEstimates, type Count, type Draws, type Estimate } from './page-count';
import { guestCpuNodes, isPinned, tunedRegions } from './placement';
import type { AdviceRequest, Change, HostSysctls, NumatuneValue, PinningValue } from './types';
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
  const trial = new Trial(
    options,
    estimator.count(rules.sysctl),
    new VcpuLimits(request),
    othersVcpus(request, demand),
  );
  const today = improved(
    options.map(() => 0),
    bySize,
    trial,
  );
  const anew = improved(placedAnew(options, bySize, trial), bySize, trial);
  const order = compareEstimates(anew.estimate, today.estimate);
  const best = order < 0 ? restored(anew.chosen, trial) : today.chosen;
  return changeOf(best, options, demand.planned, rules.sysctl);
}

/** vCPUs by node of the guests that nothing moves. */
function othersVcpus(request: AdviceRequest, demand: ResolvedDemand): number[] {
  const moved = new Set(demand.planned.map(({ spec }) => spec.guest.name));
  const load = request.host.nodes.map(() => 0);
  for (const spec of request.guests) {
    if (moved.has(spec.guest.name)) continue;
    vcpuShares(request, spec).forEach((count, i) => (load[i] = (load[i] ?? 0) + count));
  }
  return load;
}

/** Counts choices of options; -1 is a guest that is not there. */
class Trial {
  /** The guests that start before the one whose options are tried, and a count to go on from there. */
  private readonly before: Count;
  private readonly count: Count;

  /** @param others vCPUs by node of the guests that nothing moves */
  constructor(
    readonly options: Option[][],
    private readonly nobody: Count,
    private readonly limits: VcpuLimits,
    private readonly others: number[],
  ) {
    this.before = nobody.copy();
    this.count = nobody.copy();
  }

  of(chosen: number[]): Estimate {
    return this.rest(chosen, 0, this.nobody);
  }

  /** Counts everybody who starts before a guest, for `with`. */
  upTo(guest: number, chosen: number[]): void {
    this.before.become(this.nobody);
    for (let i = 0; i < guest; i += 1) this.take(this.before, i, chosen);
  }

  /** The same choice but for the guest given to `upTo` and those behind it. */
  with(guest: number, chosen: number[]): Estimate {
    return this.rest(chosen, guest, this.before);
  }

  private rest(chosen: number[], from: number, start: Count): Estimate {
    this.count.become(start);
    for (let i = from; i < chosen.length; i += 1) this.take(this.count, i, chosen);
    return { ...this.count.estimate(), crowded: this.crowded(chosen) };
  }

  /** vCPUs beyond what the CPUs of nodes may carry. */
  private crowded(chosen: number[]): number {
    const load = [...this.others];
    for (let guest = 0; guest < chosen.length; guest += 1) {
      const vcpus = this.options[guest]?.[chosen[guest] ?? -1]?.vcpus ?? [];
      for (let i = 0; i < vcpus.length; i += 1) load[i] = (load[i] ?? 0) + (vcpus[i] ?? 0);
    }
    return this.limits.beyond(load);
  }

  private take(count: Count, guest: number, chosen: number[]): void {
    const option = chosen[guest] ?? -1;
    const draws = option < 0 ? undefined : this.options[guest]?.[option]?.draws;
    if (draws) count.take(draws);
  }
}

function placedAnew(options: Option[][], bySize: number[], trial: Trial): number[] {
  const chosen = options.map(() => -1);
  for (const guest of bySize) bestFor(guest, chosen, trial);
  return chosen;
}

/** Sets the guest's option that makes the whole best; of equals the first. */
function bestFor(guest: number, chosen: number[], trial: Trial): Estimate {
  const before = chosen[guest] ?? -1;
  let best = Math.max(before, 0);
  chosen[guest] = best;
  trial.upTo(guest, chosen);
  let estimate = trial.with(guest, chosen);
  (trial.options[guest] ?? []).forEach((_, option) => {
    if (option === best) return;
    chosen[guest] = option;
    const next = trial.with(guest, chosen);
    if (compareEstimates(next, estimate) >= 0) return;
    estimate = next;
    best = option;
  });
  chosen[guest] = best;
  return estimate;
}

function improved(
  start: number[],
  bySize: number[],
  trial: Trial,
): { chosen: number[]; estimate: Estimate } {
  const chosen = [...start];
  let estimate = trial.of(chosen);
  for (let sweep = 0; sweep < SWEEPS_MAX; sweep += 1) {
    const before = estimate;
    for (const guest of bySize) estimate = bestFor(guest, chosen, trial);
    if (compareEstimates(estimate, before) >= 0) break;
  }
  return { chosen, estimate };
}

/** Guests left as they are wherever that makes nothing worse. */
function restored(chosen: number[], trial: Trial): number[] {
  const kept = [...chosen];
  const estimate = trial.of(kept);
  chosen.forEach((option, guest) => {
    if (option === 0) return;
    kept[guest] = 0;
    if (compareEstimates(trial.of(kept), estimate) > 0) kept[guest] = option;
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
    if (option?.numatune) change.numatune = { ...change.numatune, [name]: option.numatune };
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
    vcpus: vcpuShares(request, planned.spec),
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
    const vcpus = vcpuShares(withChange(request, change), spec);
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
