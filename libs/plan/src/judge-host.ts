/** One host of a plan: replayed as planned, with its guests grown, and with one guest more. */
import { AdvisorInputError, checkPlan, grown, simulate, verdictOf } from '@zonewise/advisor';
import type { GuestSpec, PlanLimits, PlanVerdict, SimulationRequest } from '@zonewise/advisor';
import { PAGES_PER_MIB, SimulatorInputError } from '@zonewise/simulator';
import type { HostModel, ReplayControl } from '@zonewise/simulator';
import { modelAfter } from './model-after';
import type { PlanProblem } from './plan-request';
import { limitsOf, type EffectiveRules } from './policies';
import type { HeadroomFigure, MarginFigure } from './verdict';

/** Replays that belong to one host's verdict. */
export interface HostReplays {
  verdict: PlanVerdict;
  margin?: MarginFigure;
  headroom?: HeadroomFigure[];
  /** The host afterwards, where a task asks for it. */
  model?: HostModel;
  replays: number;
}

/** QEMU itself, as a planned guest's process is counted. */
const OVERHEAD_PAGES = 4096;
/** No domain may be called so: libvirt refuses a slash in names. */
const PROBE = 'zonewise/one-more-guest';

/**
 * What one host is replayed with: under a plan's rules, under limits, or to see the host as it is afterwards. Plain
 * data, so that any thread can do it.
 */
export type HostTask = { request: SimulationRequest } & (
  { rules: EffectiveRules } | { limits: PlanLimits } | { settled: true }
);

export type TaskOutcome = { ok: true; value: HostReplays } | { ok: false; problem: PlanProblem };

/**
 * Does a task.
 * @returns the replays, or why the request cannot be replayed
 * @throws ReplayCancelled when `control` says stop
 */
export function replayTask(task: HostTask, control?: ReplayControl): TaskOutcome {
  try {
    return { ok: true, value: replayOf(task, control) };
  } catch (error) {
    if (!(error instanceof AdvisorInputError || error instanceof SimulatorInputError)) throw error;
    const { code, path, message } = error;
    return { ok: false, problem: { code, path, message } };
  }
}

function replayOf(task: HostTask, control?: ReplayControl): HostReplays {
  const { request } = task;
  if ('rules' in task) return replayHost(request, task.rules, control);
  if ('limits' in task) return { verdict: checkPlan(request, task.limits, control), replays: 1 };
  const simulation = simulate(request, control);
  const { steps, initial } = simulation.result;
  const model = modelAfter(request.host, steps.at(-1)?.snapshot ?? initial);
  return { verdict: verdictOf(request, {}, simulation), model, replays: 1 };
}

/** @throws AdvisorInputError, SimulatorInputError for a request that cannot be replayed */
export function replayHost(
  request: SimulationRequest,
  rules: EffectiveRules,
  control?: ReplayControl,
): HostReplays {
  let replays = 0;
  const check = (what: SimulationRequest, limits: PlanLimits): PlanVerdict => {
    replays += 1;
    return checkPlan(what, limits, control);
  };
  const verdict = check(request, limitsOf(rules));
  const errors = limitsOf(rules, 'error');
  const margin =
    rules.margin.severity === 'off'
      ? undefined
      : marginOf(request, rules, verdict, (what) => check(what, errors));
  const headroom =
    rules.headroom.severity === 'off'
      ? undefined
      : probes(request, rules).map((probe) => probe((what) => check(what, errors)));
  return {
    verdict,
    ...(margin === undefined ? {} : { margin }),
    ...(headroom === undefined ? {} : { headroom }),
    replays,
  };
}

type Check = (request: SimulationRequest) => PlanVerdict;

/** The first violation of a rule of severity error, which is what a margin and a headroom are measured by. */
function firstError(
  verdict: PlanVerdict,
  rules: EffectiveRules,
): PlanVerdict['violations'][number] | undefined {
  return verdict.violations.find(({ code }) => rules[code].severity === 'error');
}

/** Bisection over whole percents; between the tested points the verdict is taken to flip once. */
function marginOf(
  request: SimulationRequest,
  rules: EffectiveRules,
  asPlanned: PlanVerdict,
  check: Check,
): MarginFigure {
  const wantedPercent = rules.margin.limit ?? 0;
  const why = (percent: number): string | undefined =>
    firstError(check(grown(request, percent)), rules)?.message;
  const now = firstError(asPlanned, rules)?.message;
  if (now !== undefined) {
    return { holdsPercent: 0, flipsAtPercent: 0, testedPercent: wantedPercent, why: now };
  }
  let holds = 0;
  let flips = wantedPercent;
  let reason = why(wantedPercent);
  if (reason === undefined) {
    return { holdsPercent: wantedPercent, flipsAtPercent: null, testedPercent: wantedPercent };
  }
  while (flips - holds > 1) {
    const percent = Math.floor((holds + flips) / 2);
    const found = why(percent);
    if (found === undefined) holds = percent;
    else [flips, reason] = [percent, found];
  }
  return { holdsPercent: holds, flipsAtPercent: flips, testedPercent: wantedPercent, why: reason };
}

/** One more guest, somewhere or on each node with memory and CPUs. */
function probes(
  request: SimulationRequest,
  rules: EffectiveRules,
): ((check: Check) => HeadroomFigure)[] {
  const { limit, perNode } = rules.headroom;
  const wantedMib = limit ?? 0;
  const nodes = perNode ? homeNodes(request.host) : [null];
  return nodes.map((node) => (check) => {
    const pages = Math.ceil(wantedMib * PAGES_PER_MIB);
    const probe = probeGuest(request.host, node, pages);
    const verdict = check({ ...request, guests: [...request.guests, probe] });
    const broken = firstError(verdict, rules);
    const seen = verdict.outcome.guests.find(({ name }) => name === PROBE);
    const got = (seen?.pagesByNode ?? []).reduce((sum, entry) => sum + entry.pages, 0);
    if (broken === undefined) return { node, wantedMib, fits: true, gotMib: wantedMib };
    const gotMib = seen?.oomKilled === true ? 0 : Math.floor(got / PAGES_PER_MIB);
    const why = broken.message.split(PROBE).join('the guest');
    return { node, wantedMib, fits: false, gotMib: Math.min(gotMib, wantedMib), why };
  });
}

function homeNodes(host: HostModel): number[] {
  return host.nodes
    .filter(({ cpus, zones }) => cpus.length > 0 && zones.some((zone) => zone.managedPages > 0))
    .map(({ nodeId }) => nodeId);
}

function probeGuest(host: HostModel, node: number | null, pages: number): GuestSpec {
  const cpuNodes = node === null ? homeNodes(host).slice(0, 1) : [node];
  const bound = node === null ? {} : { cpusetMems: [node] };
  return {
    state: 'planned',
    numatune: node === null ? { mode: 'none', nodeset: [] } : { mode: 'strict', nodeset: [node] },
    diskCachePages: 0,
    assumptions: [],
    guest: {
      name: PROBE,
      oomScoreAdj: 0,
      overheadPages: OVERHEAD_PAGES,
      regions: [
        {
          cell: 0,
          sizePages: pages,
          policy: node === null ? { mode: 'default', nodes: [] } : { mode: 'bind', nodes: [node] },
          policyScope: 'mbind',
          cpuNodes,
          ...bound,
          thp: 'huge',
          pinned: false,
        },
      ],
    },
  };
}
