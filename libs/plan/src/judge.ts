/** A plan's verdict: every host replayed and held against the rules, with the waivers of the day. */
import { createHash } from 'node:crypto';
import type { PlanVerdict, SimulationRequest } from '@zonewise/advisor';
import { placeOfElement } from '@zonewise/libvirt-xml';
import { PAGES_PER_MIB } from '@zonewise/simulator';
import type { HostModel, ReplayControl } from '@zonewise/simulator';
import { hugepageShortfalls } from './hugepage-guests';
import { replayHost, type HostReplays } from './judge-host';
import { resolvePlan, type HostPlan, type PlanDocument } from './plan-document';
import { buildPlanRequest, type PlanProblem, type PlanRequest } from './plan-request';
import { effectiveRules, policyProblems, type EffectiveRules } from './policies';
import { reaches, ruleOf, ruleOfCode, type RuleCode, type Severity } from './rules';
import type { Accounting, Finding, FindingPlace, GateVerdict, HostVerdict } from './verdict';
import { applyWaivers, isDay } from './waivers';

/** A huge page where nothing else is said. */
const KIB_PER_HUGE = 2048;

export interface JudgeOptions {
  /** Day that waivers are held against, `YYYY-MM-DD`. */
  today: string;
  /** Version of the package that replays. */
  modelVersion: string;
  /** Overrides the plan's own. */
  failLevel?: Severity;
  /** Before each host; `done` of `hosts` are behind. */
  onHost?: (name: string, done: number, hosts: number) => void;
  control?: ReplayControl;
}

export type JudgeOutcome =
  { ok: true; value: GateVerdict } | { ok: false; problems: PlanProblem[] };

interface BuiltHost {
  host: HostPlan;
  request: PlanRequest;
}

/** One host of a plan as the advisor is given it. */
export interface HostRequest {
  name: string;
  request: SimulationRequest;
  caveats: { code: string; message: string }[];
}

/** The replays that a plan stands for, without judging them; hosts without guests have none. */
export function planRequests(
  document: PlanDocument,
): { ok: true; value: HostRequest[] } | { ok: false; problems: PlanProblem[] } {
  const resolved = resolvePlan(document);
  if (!resolved.ok) return resolved;
  const used = resolved.value.filter(({ plan }) => plan.domains.length > 0);
  const { built, problems } = buildHosts(document, used);
  if (problems.length > 0) return { ok: false, problems };
  const value = built.map(({ host, request: { request, caveats } }) => ({
    name: host.name,
    request,
    caveats,
  }));
  return { ok: true, value };
}

/** Problems of one host's plan, under their places in the document. */
function placed(problem: PlanProblem, host: HostPlan, document: PlanDocument): PlanProblem {
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
  if (path.startsWith('/host')) return { ...problem, path: `${host.path}${path.slice(5)}` };
  const field = /^\/(?:demand\/)?(backgroundCache|hugepages|sysctl)\b/.exec(path)?.[1];
  if (field !== undefined && own?.[field as 'sysctl'] !== undefined) {
    return { ...problem, path: `${host.path}${path.replace('/demand', '')}` };
  }
  return problem;
}

function buildHosts(
  document: PlanDocument,
  hosts: HostPlan[],
): { built: BuiltHost[]; problems: PlanProblem[] } {
  const built: BuiltHost[] = [];
  const problems: PlanProblem[] = [];
  for (const host of hosts) {
    const outcome = buildPlanRequest(host.plan);
    if (outcome.ok) built.push({ host, request: outcome.value });
    else problems.push(...outcome.problems.map((found) => placed(found, host, document)));
  }
  return { built, problems };
}

function ruleProblems({ policies = {}, waivers = [] }: PlanDocument): PlanProblem[] {
  return [
    ...policyProblems(policies).map(({ code, message }) => ({
      code: 'invalid-policy',
      path: `/policies/${code}`,
      message,
    })),
    ...waivers.flatMap(({ rule, expires, reason }, i): PlanProblem[] => [
      ...(ruleOf(rule) === undefined
        ? [
            {
              code: 'unknown-rule',
              path: `/waivers/${i}/rule`,
              message: `There is no rule ${rule}.`,
            },
          ]
        : []),
      ...(isDay(expires)
        ? []
        : [
            {
              code: 'invalid-day',
              path: `/waivers/${i}/expires`,
              message: `Found ${expires}; expected a day such as 2027-03-31.`,
            },
          ]),
      ...(reason.trim() === ''
        ? [
            {
              code: 'invalid-field',
              path: `/waivers/${i}/reason`,
              message: 'A waiver says why it was given.',
            },
          ]
        : []),
    ]),
  ];
}

/**
 * Judges a plan by replaying each of its hosts.
 * @returns the verdict, or every reason why the plan cannot be judged
 * @throws ReplayCancelled when `control` says stop
 */
export function judgePlan(document: PlanDocument, options: JudgeOptions): JudgeOutcome {
  const wrong = ruleProblems(document);
  const resolved = resolvePlan(document);
  if (!resolved.ok) return { ok: false, problems: [...wrong, ...resolved.problems] };
  const used = resolved.value.filter(({ plan }) => plan.domains.length > 0);
  const idle = resolved.value.filter(({ plan }) => plan.domains.length === 0);
  if (used.length === 0) {
    const message = 'The plan has no guests: there is nothing to judge.';
    wrong.push({ code: 'plan-domains', path: '', message });
  }
  const { built, problems } = buildHosts(document, used);
  if (wrong.length + problems.length > 0) return { ok: false, problems: [...wrong, ...problems] };
  const rules = effectiveRules(document.policies, document.limits);
  const failLevel = options.failLevel ?? document.failLevel ?? 'error';
  const findings: Finding[] = [];
  const replayed = built.map(({ host, request }, i) => {
    options.onHost?.(host.name, i, built.length);
    const replays = replayHost(request.request, rules, options.control);
    const own = hostFindings(host, replays, rules, document, request.request.host);
    findings.push(...own);
    return { host, request, replays };
  });
  const { waivers, waiverFindings } = waive(document, findings, rules, options.today);
  findings.push(...waiverFindings);
  const counts = (finding: Finding): boolean =>
    finding.waived === undefined && reaches(finding.severity, failLevel);
  const hosts = replayed.map(({ host, request, replays }): HostVerdict => {
    const { verdict, margin, headroom } = replays;
    const failed = findings.some((finding) => finding.host === host.name && counts(finding));
    return {
      name: host.name,
      verdict: failed ? 'fail' : 'pass',
      accounting: accountingOf(request.request.host, verdict),
      outcome: verdict.outcome,
      profile: verdict.profile,
      ...(margin === undefined ? {} : { margin }),
      ...(headroom === undefined ? {} : { headroom }),
      demand: verdict.demand,
      caveats: [...request.caveats, ...verdict.caveats],
      // The pools have been asked: that nobody did is not true here.
      assumptions: verdict.assumptions.filter(({ code }) => code !== 'hugepages-pool'),
      replays: replays.replays,
    };
  });
  const value: GateVerdict = {
    verdict: findings.some(counts) ? 'fail' : 'pass',
    failLevel,
    findings,
    hosts,
    idleHosts: idle.map(({ name }) => name),
    rules: Object.values(rules).map(({ rule, severity, limit }) => ({
      rule: rule.id,
      code: rule.code,
      severity,
      limit: severity === 'off' ? null : limit,
    })),
    waivers,
    planSha256: sha256Of(document),
    modelVersion: options.modelVersion,
    seed: document.seed ?? 1,
    today: options.today,
  };
  return { ok: true, value };
}

/** As `free` counts: page cache is available, whatever it is. */
function accountingOf(model: HostModel, { outcome, demand }: PlanVerdict): Accounting {
  const available = model.nodes.reduce(
    (sum, { zones, filePages }) =>
      zones.reduce((all, zone) => all + zone.freePages, sum) + filePages,
    0,
  );
  const poolMib = (demand.hugepages ?? []).reduce(
    (sum, { count, sizeKib = KIB_PER_HUGE }) => sum + (count * sizeKib) / 1024,
    0,
  );
  const planned = outcome.guests
    .filter(({ state }) => state === 'planned')
    .reduce((sum, { memoryPages }) => sum + memoryPages, 0);
  return {
    availableMib: Math.floor(available / PAGES_PER_MIB),
    plannedMib: Math.ceil(planned / PAGES_PER_MIB + poolMib),
    fits: planned + poolMib * PAGES_PER_MIB <= available,
  };
}

/** Elements that a reader looks at for a finding about a guest, the nearest first. */
const ELEMENTS: { [code in RuleCode]?: string[] } = {
  'oom-kill': ['numatune/memory', 'numatune', 'memory'],
  'failed-start': ['numatune/memory', 'memoryBacking/hugepages', 'numatune', 'memory'],
  'remote-share': ['numatune/memory', 'numatune', 'vcpu', 'memory'],
};

function hostFindings(
  host: HostPlan,
  { verdict, margin, headroom }: HostReplays,
  rules: EffectiveRules,
  document: PlanDocument,
  model: HostModel,
): Finding[] {
  const make = (code: RuleCode, rest: Partial<Finding> & { message: string }): Finding[] => {
    const { severity, rule, limit } = rules[code];
    if (severity === 'off') return [];
    const { guest } = rest;
    const place = rest.place ?? placeOf(host, guest, code, document);
    const unit = rule.limit?.unit ?? null;
    return [
      { rule: rule.id, code, severity, host: host.name, found: null, limit, unit, ...rest, place },
    ];
  };
  const broken = verdict.violations.flatMap(({ code, guest, node, found, limit, message }) => {
    const yesOrNo = code === 'oom-kill' || code === 'failed-start';
    return make(code, {
      ...(guest === '' ? {} : { guest }),
      ...(node === undefined ? {} : { node }),
      ...(yesOrNo ? {} : { found, limit }),
      ...(code === 'hugepage-pool'
        ? { unit: 'pages' as const, place: { path: poolPath(host, document, node) } }
        : {}),
      message,
    });
  });
  const obtained = (verdict.demand.hugepages ?? []).map(({ node, count, sizeKib }) => {
    const short = verdict.violations.find(
      (one) => one.code === 'hugepage-pool' && one.node === node,
    );
    return { node, sizeKib: sizeKib ?? KIB_PER_HUGE, pages: short?.found ?? count };
  });
  const poolless = hugepageShortfalls(host, model, obtained).flatMap((short) =>
    make('failed-start', short),
  );
  const tight =
    margin === undefined || margin.flipsAtPercent === null
      ? []
      : make('margin', {
          found: margin.holdsPercent,
          message:
            margin.flipsAtPercent === 0
              ? `There is no margin: ${margin.why ?? ''}`
              : `Holds up to ${margin.holdsPercent} % more guest memory; at ${margin.flipsAtPercent} %: ${margin.why ?? ''}`,
        });
  const full = (headroom ?? []).flatMap(({ fits, node, wantedMib, gotMib, why }) =>
    fits
      ? []
      : make('headroom', {
          ...(node === null ? {} : { node }),
          found: gotMib,
          message: `One more guest of ${wantedMib} MiB${node === null ? '' : ` on node ${node}`} does not fit: ${why ?? ''}`,
        }),
  );
  const { validated, kernel } = verdict.profile;
  const note = verdict.caveats.find(({ code }) => code === 'kernel-not-validated');
  const unverified = validated
    ? []
    : make('unverified-kernel', {
        message:
          note?.message ?? `The host's kernel is not known to be the one replayed, ${kernel}.`,
      });
  return [...broken, ...poolless, ...tight, ...full, ...unverified];
}

/** The entry of a pool, with the host or in the plan's demand. */
function poolPath(host: HostPlan, { hosts }: PlanDocument, node?: number): string {
  const own = hosts.find(({ name }) => name === host.name)?.hugepages !== undefined;
  const at = (host.plan.demand?.hugepages ?? []).findIndex((entry) => entry.node === node);
  return `${own ? host.path : '/demand'}/hugepages/${at}`;
}

function placeOf(
  host: HostPlan,
  guest: string | undefined,
  code: RuleCode,
  document: PlanDocument,
): FindingPlace {
  const at = host.places.findIndex(({ name }) => name === guest);
  const path = host.places[at]?.path;
  if (path === undefined) return { path: host.path };
  const source = document.guests.find((each) => each.path === path);
  if (source?.xml === undefined) return { path };
  return { path: `${path}/xml`, ...placeOfElement(source.xml, ELEMENTS[code] ?? ['memory']) };
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

function sha256Of(document: PlanDocument): string {
  return createHash('sha256').update(JSON.stringify(document, ordered)).digest('hex');
}
