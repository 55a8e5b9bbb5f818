/** What a plan counts as failure: its policies over the rules' own severities. */
import type { PlanLimits } from '@zonewise/advisor';
import { RULES, reaches, type Rule, type RuleCode, type RuleLimit, type Severity } from './rules';

/** A policy as a plan writes it: a severity, the limit under the rule's key, and for headroom whether each node needs it. */
export type PolicyEntry = { severity?: Severity | 'off'; perNode?: boolean } & {
  [key in RuleLimit['key']]?: number;
};
export type Policies = { [code in RuleCode]?: PolicyEntry };

/** A rule as the plan is held against it. */
export interface EffectiveRule {
  rule: Rule;
  severity: Severity | 'off';
  /** In the rule's unit; null for a rule without a limit, and where the rule is off. */
  limit: number | null;
  perNode: boolean;
}
export type EffectiveRules = { [code in RuleCode]: EffectiveRule };

/** Limits are the older words for three policies of severity error. */
const LIMIT_WORDS: { [key in keyof Required<PlanLimits>]: RuleCode } = {
  maxRemoteShare: 'remote-share',
  maxStallMs: 'stall',
  maxSwapMib: 'swap',
};

/** Policies that a plan's limits stand for. */
function policiesOfLimits(limits: PlanLimits): Policies {
  const policies: Policies = {};
  for (const [word, code] of Object.entries(LIMIT_WORDS)) {
    const value = limits[word as keyof PlanLimits];
    const rule = RULES.find((each) => each.code === code);
    const key = rule?.limit?.key;
    if (value !== undefined && key !== undefined)
      policies[code] = { severity: 'error', [key]: value };
  }
  return policies;
}

/**
 * Every rule with the severity and limit that hold for a plan. A policy that names a rule which is off
 * without one switches it on as an error; a limit alone does not lower a severity.
 */
export function effectiveRules(policies: Policies = {}, limits: PlanLimits = {}): EffectiveRules {
  const asked = { ...policiesOfLimits(limits), ...policies };
  const entries = RULES.map((rule): [RuleCode, EffectiveRule] => {
    const entry = asked[rule.code];
    const own = rule.severity === 'off' && entry !== undefined ? 'error' : rule.severity;
    const severity = entry?.severity ?? own;
    const limit = rule.limit && (entry?.[rule.limit.key] ?? rule.limit.fallback);
    return [rule.code, { rule, severity, limit, perNode: entry?.perNode ?? false }];
  });
  return Object.fromEntries(entries) as EffectiveRules;
}

/**
 * The limits that the advisor's check is given: those of the rules that are on.
 * @param level severity from which on a rule counts
 */
export function limitsOf(rules: EffectiveRules, level: Severity = 'note'): PlanLimits {
  const limits: PlanLimits = {};
  for (const [word, code] of Object.entries(LIMIT_WORDS)) {
    const { severity, limit } = rules[code];
    if (severity !== 'off' && reaches(severity, level) && limit !== null)
      limits[word as keyof PlanLimits] = limit;
  }
  return limits;
}

/** What is wrong with a policy: a limit that its rule needs, or one that it has no use for. */
export function policyProblems(policies: Policies): { code: RuleCode; message: string }[] {
  const keys = new Set(RULES.flatMap(({ limit }) => (limit === null ? [] : [limit.key])));
  return RULES.flatMap(({ code, limit }) => {
    const entry = policies[code];
    if (entry === undefined) return [];
    const strange = [...keys].filter((key) => entry[key] !== undefined && key !== limit?.key);
    const problems = strange.map(
      (key) => `${code} has no ${key}; it has ${limit === null ? 'no limit' : limit.key}.`,
    );
    if (entry.perNode !== undefined && code !== 'headroom') {
      problems.push(`${code} has no perNode; only headroom has.`);
    }
    const needs = limit !== null && limit.fallback === null && entry[limit.key] === undefined;
    if (needs && entry.severity !== 'off') problems.push(`${code} needs ${limit.key}.`);
    return problems.map((message) => ({ code, message }));
  });
}
