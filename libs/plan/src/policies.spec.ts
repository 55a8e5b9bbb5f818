import { effectiveRules, limitsOf, policyProblems } from './policies';
import { RULES, RULE_CODES, ruleOf } from './rules';

it('has one rule for each code, with ids that are all different', () => {
  expect(RULES.map(({ code }) => code)).toEqual([...RULE_CODES]);
  expect(new Set(RULES.map(({ id }) => id)).size).toBe(RULES.length);
  expect(ruleOf('zw004')).toBe(ruleOf('remote-share'));
});

it('takes limits for policies of severity error, and policies over limits', () => {
  const rules = effectiveRules({ stall: { maxMs: 5, severity: 'note' } }, { maxStallMs: 1 });
  expect(rules.stall).toMatchObject({ severity: 'note', limit: 5 });
  expect(effectiveRules({}, { maxSwapMib: 3 }).swap).toMatchObject({ severity: 'error', limit: 3 });
});

it('gives the packer and the replays the limits of policies that reach a level', () => {
  const rules = effectiveRules({
    swap: { severity: 'error', maxMib: 2 },
    stall: { maxMs: 3, severity: 'warning' },
    'remote-share': { maxShare: 0.1 },
  });
  expect(limitsOf(rules, 'error')).toEqual({ maxSwapMib: 2, maxRemoteShare: 0.1 });
  expect(limitsOf(rules, 'warning')).toEqual({ maxSwapMib: 2, maxStallMs: 3, maxRemoteShare: 0.1 });
});

it('leaves what a plan does not ask for as it is', () => {
  const rules = effectiveRules();
  expect(rules['oom-kill'].severity).toBe('error');
  expect(rules.swap).toMatchObject({ severity: 'warning', limit: 0 });
  expect([rules['remote-share'].severity, rules.margin.severity]).toEqual(['off', 'off']);
  expect(limitsOf(rules)).toEqual({ maxSwapMib: 0 });
  expect(limitsOf(rules, 'warning')).toEqual({ maxSwapMib: 0 });
  expect(limitsOf(rules, 'error')).toEqual({});
});

it('switches a rule on that a policy names, as an error', () => {
  expect(effectiveRules({ margin: {} }).margin).toMatchObject({ severity: 'error', limit: 10 });
  expect(effectiveRules({ swap: { maxMib: 8 } }).swap).toMatchObject({
    severity: 'warning',
    limit: 8,
  });
});

it.each([
  [{ 'remote-share': {} }, ['remote-share needs maxShare.']],
  [{ 'remote-share': { severity: 'off' as const } }, []],
  [{ 'oom-kill': { maxMib: 1 } }, ['oom-kill has no maxMib; it has no limit.']],
  [{ swap: { maxMs: 1 } }, ['swap has no maxMs; it has maxMib.']],
  [{ swap: { perNode: true } }, ['swap has no perNode; only headroom has.']],
])('%j: %j', (policies, messages) => {
  expect(policyProblems(policies).map(({ message }) => message)).toEqual(messages);
});
