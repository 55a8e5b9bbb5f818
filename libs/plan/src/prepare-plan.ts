/** A plan up to its replays: what each host is replayed with, and which hosts share a replay. */
import { createHash } from 'node:crypto';
import type { SimulationRequest } from '@zonewise/advisor';
import { resolvePlan, type HostPlan, type PlanDocument } from './plan-document';
import { settlePlan, type SettledPlan } from './plan-placement';
import { buildPlanRequest, type PlanProblem, type PlanRequest } from './plan-request';
import { effectiveRules, policyProblems, type EffectiveRules } from './policies';
import { inPlace, type Replaying } from './replaying';
import { ruleOf, type Severity } from './rules';
import { withoutNames } from './stand-ins';
import { isDay } from './waivers';
import type { HostTask } from './judge-host';

export interface PreparedHost {
  host: HostPlan;
  request: PlanRequest;
  /** Which of the tasks is its replay. */
  task: number;
}

export interface PreparedPlan {
  document: PlanDocument;
  rules: EffectiveRules;
  hosts: PreparedHost[];
  idleHosts: string[];
  /** What the packer found, where the plan leaves it to it. */
  settled: SettledPlan;
  /** What has to be replayed: once for hosts that differ in nothing but the names of their guests. */
  tasks: HostTask[];
}

export type PrepareOutcome =
  { ok: true; value: PreparedPlan } | { ok: false; problems: PlanProblem[] };

/** One host of a plan as the advisor is given it. */
export interface HostRequest {
  name: string;
  request: SimulationRequest;
  caveats: { code: string; message: string }[];
  /** Documents of its guests. */
  documents: string[];
}

/**
 * The replays that a plan stands for, without judging them.
 * @param withIdle hosts without guests too
 */
export function planRequests(
  document: PlanDocument,
  withIdle = false,
): { ok: true; value: HostRequest[] } | { ok: false; problems: PlanProblem[] } {
  const settled = inPlace(settlePlan(document));
  if (!settled.ok) return settled;
  const resolved = resolvePlan(settled.value.document, homelessOf(settled.value));
  if (!resolved.ok) return resolved;
  const used = resolved.value.filter(({ plan }) => withIdle || plan.domains.length > 0);
  const { built, problems } = buildHosts(document, used, withIdle);
  if (problems.length > 0) return { ok: false, problems };
  const value = built.map(({ host, request: { request, caveats } }) => ({
    name: host.name,
    request,
    caveats,
    documents: host.plan.domains.map(({ xml }) => xml),
  }));
  return { ok: true, value };
}

/**
 * @param failLevel overrides the plan's own
 * @returns the plan ready to be replayed, or every reason why it cannot be judged
 */
export function* preparePlan(
  document: PlanDocument,
  failLevel?: Severity,
): Replaying<PrepareOutcome> {
  const wrong = ruleProblems(document);
  const settled = yield* settlePlan(document, failLevel);
  if (!settled.ok) return { ok: false, problems: [...wrong, ...settled.problems] };
  const resolved = resolvePlan(settled.value.document, homelessOf(settled.value));
  if (!resolved.ok) return { ok: false, problems: [...wrong, ...resolved.problems] };
  const used = resolved.value.filter(({ plan }) => plan.domains.length > 0);
  const idle = resolved.value.filter(({ plan }) => plan.domains.length === 0);
  if (used.length === 0 && settled.value.refused.length === 0) {
    const message = 'The plan has no guests: there is nothing to judge.';
    wrong.push({ code: 'plan-domains', path: '', message });
  }
  const { built, problems } = buildHosts(document, used);
  if (wrong.length + problems.length > 0) return { ok: false, problems: [...wrong, ...problems] };
  const rules = effectiveRules(document.policies, document.limits);
  const { hosts, tasks } = shared(built, rules);
  return {
    ok: true,
    value: {
      ...{ document, rules, hosts, tasks, settled: settled.value },
      idleHosts: idle.map(({ name }) => name),
    },
  };
}

const homelessOf = ({ refused }: SettledPlan): Set<string> =>
  new Set(refused.map(({ guest }) => guest));

type BuiltHost = Omit<PreparedHost, 'task'>;

function buildHosts(
  document: PlanDocument,
  hosts: HostPlan[],
  withIdle = false,
): { built: BuiltHost[]; problems: PlanProblem[] } {
  const built: BuiltHost[] = [];
  const problems: PlanProblem[] = [];
  for (const host of hosts) {
    const outcome = buildPlanRequest(host.plan, withIdle);
    if (outcome.ok) built.push({ host, request: outcome.value });
    else problems.push(...outcome.problems.map((found) => placed(found, host, document)));
  }
  return { built, problems };
}

/** Problems of one host's plan, under their places in the document. */
export function placed(problem: PlanProblem, host: HostPlan, document: PlanDocument): PlanProblem {
  const { path } = problem;
  const own = document.hosts.find(({ name }) => name === host.name);
  const guest = /^\/domains\/(\d+)(.*)$/s.exec(path);
  if (guest) {
    const place = host.places[Number(guest[1])];
    const source = document.guests.find((each) => each.path === place?.path);
    const moved = { ...problem, path: `${place?.path ?? ''}${guest[2] ?? ''}` };
    if (source?.flavour === undefined) return moved;
    // Lines of a document that the reader has never seen tell nothing.
    return { ...moved, path: source.path, line: undefined, column: undefined };
  }
  const event = /^\/demand\/events\/(\d+)(.*)$/s.exec(path);
  if (event) {
    return { ...problem, path: `${host.eventPaths[Number(event[1])] ?? ''}${event[2] ?? ''}` };
  }
  if (path.startsWith('/host')) return { ...problem, path: `${host.path}${path.slice(5)}` };
  const field = /^\/(?:demand\/)?(backgroundCache|hugepages|sysctl)\b/.exec(path)?.[1];
  if (field !== undefined && own?.[field as 'sysctl'] !== undefined) {
    return { ...problem, path: `${host.path}${path.replace('/demand', '')}` };
  }
  return problem;
}

function ruleProblems({ policies = {}, waivers = [] }: PlanDocument): PlanProblem[] {
  const policy = policyProblems(policies).map(({ code, message }) => ({
    code: 'invalid-policy',
    path: `/policies/${code}`,
    message,
  }));
  const waived = waivers.flatMap(({ rule, expires, reason }, i): PlanProblem[] => {
    const path = `/waivers/${i}`;
    const problems: PlanProblem[] = [];
    if (ruleOf(rule) === undefined) {
      const message = `There is no rule ${rule}.`;
      problems.push({ code: 'unknown-rule', path: `${path}/rule`, message });
    }
    if (!isDay(expires)) {
      const message = `Found ${expires}; expected a day such as 2027-03-31.`;
      problems.push({ code: 'invalid-day', path: `${path}/expires`, message });
    }
    if (reason.trim() === '') {
      const message = 'A waiver says why it was given.';
      problems.push({ code: 'invalid-field', path: `${path}/reason`, message });
    }
    return problems;
  });
  return [...policy, ...waived];
}

/** Hosts by what they are replayed with, names of guests aside. */
function shared(built: BuiltHost[], rules: EffectiveRules): Pick<PreparedPlan, 'hosts' | 'tasks'> {
  const groups = new Map<string, { request: SimulationRequest; at: number[] }>();
  built.forEach(({ request: { request } }, i) => {
    const anonymous = withoutNames(request);
    const key = createHash('sha256').update(JSON.stringify(anonymous)).digest('hex');
    const group = groups.get(key);
    if (group === undefined) groups.set(key, { request: anonymous, at: [i] });
    else group.at.push(i);
  });
  const hosts: PreparedHost[] = [];
  const tasks = [...groups.values()].map(({ request, at }, task): HostTask => {
    for (const i of at) hosts[i] = { ...built[i]!, task };
    return { request, rules };
  });
  return { hosts, tasks };
}
