/** The closed set of rules that a packing plan is held against. Ids are stable: reports, waivers and links name them. */

export const SEVERITIES = ['note', 'warning', 'error'] as const;
export type Severity = (typeof SEVERITIES)[number];

export const RULE_CODES = [
  'oom-kill',
  'failed-start',
  'swap',
  'remote-share',
  'stall',
  'margin',
  'headroom',
  'unverified-kernel',
  'hugepage-pool',
  'waiver',
] as const;
export type RuleCode = (typeof RULE_CODES)[number];

/** What a rule compares its figure with. */
export interface RuleLimit {
  /** Key of the plan's policy. */
  key: 'maxMib' | 'maxShare' | 'maxMs' | 'minPercent' | 'minMib';
  unit: 'MiB' | 'share' | 'ms' | '%';
  /** Taken when a policy names the rule without a limit; null: the policy has to give one. */
  fallback: number | null;
}

export interface Rule {
  id: string;
  code: RuleCode;
  title: string;
  /** Without a policy. `off`: a plan has to ask for it. */
  severity: Severity | 'off';
  limit: RuleLimit | null;
}

function rule(
  id: string,
  code: RuleCode,
  severity: Rule['severity'],
  title: string,
  limit: RuleLimit | null = null,
): Rule {
  return { id, code, severity, title, limit };
}

export const RULES: readonly Rule[] = [
  rule('ZW001', 'oom-kill', 'error', 'A process is killed by the OOM killer'),
  rule('ZW002', 'failed-start', 'error', 'A guest does not start'),
  rule('ZW003', 'swap', 'warning', 'Guest memory ends in swap', {
    key: 'maxMib',
    unit: 'MiB',
    fallback: 0,
  }),
  rule('ZW004', 'remote-share', 'off', "Guest memory lies on other nodes than its CPUs'", {
    key: 'maxShare',
    unit: 'share',
    fallback: null,
  }),
  rule('ZW005', 'stall', 'off', 'A guest waits for reclaim', {
    key: 'maxMs',
    unit: 'ms',
    fallback: null,
  }),
  rule('ZW006', 'margin', 'off', 'The plan fails when its guests grow', {
    key: 'minPercent',
    unit: '%',
    fallback: 10,
  }),
  rule('ZW007', 'headroom', 'off', 'There is no room for one more guest', {
    key: 'minMib',
    unit: 'MiB',
    fallback: null,
  }),
  rule('ZW008', 'unverified-kernel', 'warning', "The host's kernel is not the one replayed"),
  rule('ZW009', 'hugepage-pool', 'error', 'A pool of huge pages stays smaller than the plan needs'),
  rule('ZW010', 'waiver', 'warning', 'A waiver has expired or waives nothing'),
];

/** The rule of that id (`ZW004`) or code (`remote-share`), in any case. */
export function ruleOf(name: string): Rule | undefined {
  const wanted = name.toLowerCase();
  return RULES.find(({ id, code }) => id.toLowerCase() === wanted || code === wanted);
}

export function ruleOfCode(code: RuleCode): Rule {
  const found = RULES.find((each) => each.code === code);
  if (found === undefined) throw new Error(`RULES has no entry for ${code}`);
  return found;
}

/** Whether a severity is at or above a level. */
export function reaches(severity: Severity, level: Severity): boolean {
  return SEVERITIES.indexOf(severity) >= SEVERITIES.indexOf(level);
}
