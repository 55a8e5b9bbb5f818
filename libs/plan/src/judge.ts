/** A plan's verdict: every host replayed and held against the rules, with the waivers of the day. */
import { createHash } from 'node:crypto';
import type { ReplayControl } from '@zonewise/simulator';
import { accountingOf, hostFindings } from './host-findings';
import type { TaskOutcome } from './judge-host';
import type { PlanDocument } from './plan-document';
import type { PlanProblem } from './plan-request';
import type { EffectiveRules } from './policies';
import { placed, preparePlan, type PreparedHost, type PreparedPlan } from './prepare-plan';
import { inPlace, type OnHost, type Replaying } from './replaying';
import { reaches, ruleOfCode, type Severity } from './rules';
import { withNames } from './stand-ins';
import type { Finding, GateVerdict, HostVerdict } from './verdict';
import { applyWaivers } from './waivers';
import { asGuests } from './processes';

export interface JudgeOptions {
  /** Day that waivers are held against, `YYYY-MM-DD`. */
  today: string;
  /** Version of the package that replays. */
  modelVersion: string;
  /** Overrides the plan's own. */
  failLevel?: Severity;
}

/** Of judging in place. */
export interface JudgeHereOptions extends JudgeOptions {
  onHost?: OnHost;
  control?: ReplayControl;
}

export type JudgeOutcome =
  { ok: true; value: GateVerdict } | { ok: false; problems: PlanProblem[] };

/**
 * Judges a plan by replaying each of its hosts, one after the other.
 * @returns the verdict, or every reason why the plan cannot be judged
 * @throws ReplayCancelled when `control` says stop
 */
export function judgePlan(document: PlanDocument, options: JudgeHereOptions): JudgeOutcome {
  return inPlace(judging(document, options), options.onHost, options.control);
}

/** Judges a plan, leaving it to others where its hosts are replayed. */
export function* judging(document: PlanDocument, options: JudgeOptions): Replaying<JudgeOutcome> {
  const prepared = yield* preparePlan(document, options.failLevel);
  if (!prepared.ok) return prepared;
  const plan = prepared.value;
  const hosts = plan.tasks.map((_task, i) => hostOfTask(plan, i));
  const outcomes = plan.tasks.length === 0 ? [] : yield { tasks: plan.tasks, hosts };
  return concludePlan(plan, outcomes, options);
}

/** Name of the first host that a task is the replay of. */
function hostOfTask({ hosts }: PreparedPlan, task: number): string {
  return hosts.find((host) => host.task === task)?.host.name ?? '';
}

/** Names of the request's guests as the plan knows them: several processes of a guest share its name. */
const namesOf = ({ host }: PreparedHost): string[] => host.places.map(({ name }) => name);

/**
 * The verdict from what the plan's tasks came to, wherever they were run.
 * @param outcomes in the order of the tasks
 */
function concludePlan(
  plan: PreparedPlan,
  outcomes: TaskOutcome[],
  options: JudgeOptions,
): JudgeOutcome {
  const { document, rules, hosts: prepared, idleHosts } = plan;
  const problems: PlanProblem[] = [];
  const findings: Finding[] = [];
  const replayed = prepared.flatMap((host) => {
    const outcome = outcomes[host.task];
    if (outcome === undefined) throw new RangeError(`task ${host.task} has no outcome`);
    if (!outcome.ok) {
      problems.push(placed(withNames(outcome.problem, namesOf(host)), host.host, document));
      return [];
    }
    const replays = asGuests(withNames(outcome.value, namesOf(host)));
    findings.push(...hostFindings(host.host, replays, rules, document));
    return [{ ...host, replays }];
  });
  if (problems.length > 0) return { ok: false, problems };
  findings.push(...refusals(plan));
  const { waivers, waiverFindings } = waive(document, findings, rules, options.today);
  findings.push(...waiverFindings);
  const failLevel = options.failLevel ?? document.failLevel ?? 'error';
  const counts = (finding: Finding): boolean =>
    finding.waived === undefined && reaches(finding.severity, failLevel);
  const hosts = replayed.map(({ host, request, replays, task }): HostVerdict => {
    const { verdict, margin, headroom } = replays;
    const failed = findings.some((finding) => finding.host === host.name && counts(finding));
    const first = hostOfTask(plan, task);
    return {
      name: host.name,
      verdict: failed ? 'fail' : 'pass',
      accounting: accountingOf(
        request.request,
        host.places.map((place) => place.name),
      ),
      outcome: verdict.outcome,
      profile: verdict.profile,
      ...(margin === undefined ? {} : { margin }),
      ...(headroom === undefined ? {} : { headroom }),
      demand: verdict.demand,
      caveats: [...request.caveats, ...verdict.caveats],
      assumptions: verdict.assumptions,
      replays: replays.replays,
      ...(first === host.name ? {} : { sameAs: first }),
    };
  });
  const value: GateVerdict = {
    verdict: findings.some(counts) ? 'fail' : 'pass',
    failLevel,
    findings,
    hosts,
    idleHosts,
    ...(document.assignments === 'auto' ? { placements: plan.settled.placements } : {}),
    rules: Object.values(rules).map(({ rule, severity, limit }) => ({
      rule: rule.id,
      code: rule.code,
      severity,
      limit: severity === 'off' ? null : limit,
    })),
    waivers,
    planSha256: sha256Of(document, failLevel),
    modelVersion: options.modelVersion,
    seed: document.seed ?? 1,
    today: options.today,
  };
  return { ok: true, value };
}

/** Guests for which the packer found no host. */
function refusals({ settled, rules, document }: PreparedPlan): Finding[] {
  const { severity, rule } = rules['failed-start'];
  if (severity === 'off') return [];
  return settled.refused.map(({ guest, node, message }): Finding => {
    const source = document.guests.find(
      ({ name, count }) =>
        name === guest || (count !== undefined && guest.startsWith(`${name ?? ''}-`)),
    );
    return {
      ...{ rule: rule.id, code: rule.code, severity, host: '', guest },
      ...(node === undefined ? {} : { node }),
      ...{ found: null, limit: null, unit: null },
      message: `No host takes it: ${message}`,
      place: { path: source?.path ?? '/guests' },
    };
  });
}

function waive(
  { waivers = [] }: PlanDocument,
  findings: Finding[],
  rules: EffectiveRules,
  today: string,
): Pick<GateVerdict, 'waivers'> & { waiverFindings: Finding[] } {
  const { waivedBy, states } = applyWaivers(waivers, findings, today);
  findings.forEach((finding, i) => {
    const waiver = waivers[waivedBy[i] ?? -1];
    if (waiver !== undefined) {
      finding.waived = { reason: waiver.reason, expires: waiver.expires };
    }
  });
  const { severity } = rules.waiver;
  const stale = waivers.flatMap((waiver, i): Finding[] => {
    const state = states[i];
    if (state === 'applied' || severity === 'off') return [];
    const message =
      state === 'expired'
        ? `The waiver of ${waiver.rule} expired on ${waiver.expires}: ${waiver.reason}`
        : `The waiver of ${waiver.rule} waives nothing: take it out.`;
    return [
      {
        rule: ruleOfCode('waiver').id,
        code: 'waiver',
        severity,
        host: '',
        found: null,
        limit: null,
        unit: null,
        message,
        place: { path: `/waivers/${i}` },
      },
    ];
  });
  return {
    waivers: waivers.map((waiver, i) => ({ ...waiver, state: states[i] ?? 'unused' })),
    waiverFindings: stale,
  };
}

/** Objects with their keys in order, so that equal plans have equal texts. */
function ordered(_key: string, value: unknown): unknown {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
  return Object.fromEntries(Object.entries(value).sort(([a], [b]) => (a < b ? -1 : 1)));
}

/** Where a host or guest stands says nothing about it. */
const withoutPath = <T extends { path: string }>(each: T): object => ({ ...each, path: undefined });

/**
 * @param failLevel the one in force: it decides what fails, and where the packer may put guests. Written in the plan
 *   or given beside it, it has the same hash.
 */
function sha256Of(document: PlanDocument, failLevel: Severity): string {
  const { hosts, guests } = document;
  const said = {
    ...document,
    failLevel,
    hosts: hosts.map(withoutPath),
    guests: guests.map(withoutPath),
  };
  return createHash('sha256').update(JSON.stringify(said, ordered)).digest('hex');
}
