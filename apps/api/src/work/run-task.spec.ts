import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { buildPlanRequest, type PackingPlan, type PlanDocument } from '@zonewise/plan';
import { runTask } from './run-task';
import type { RecommendationOutput, WorkProgress } from './tasks';

const example = (path: string): string =>
  readFileSync(join(__dirname, '../../../../examples', path), 'utf8');

const plan: PackingPlan = {
  host: {
    facts: {
      capabilities: example('host-capabilities.xml'),
      zoneinfo: example('host/zoneinfo'),
      meminfo: example('host/meminfo'),
      sysctl: example('host/sysctl'),
    },
  },
  domains: [{ xml: example('web1.xml') }, { xml: example('web2.xml') }],
};

const options = { today: '2026-11-21', modelVersion: '0.1.0' };

function documentOf({ host, domains }: PackingPlan): PlanDocument {
  return {
    hosts: [{ name: 'host', path: '/host', host }],
    guests: domains.map((domain, i) => ({ ...domain, path: `/domains/${i}` })),
  };
}

function requestOf(given: PackingPlan) {
  const built = buildPlanRequest(given);
  if (!built.ok) throw new Error(built.problems[0]?.message);
  return built.value.request;
}

describe('runTask', () => {
  it('reports progress that only grows and ends with the value', async () => {
    const seen: WorkProgress[] = [];
    const task = { kind: 'simulation' as const, request: requestOf(plan) };
    const outcome = await runTask(task, (progress) => seen.push(progress));
    expect(outcome.ok).toBe(true);
    const fractions = seen.map(({ fraction }) => fraction);
    expect(fractions.length).toBeGreaterThan(0);
    expect(fractions).toEqual([...new Set(fractions)].sort((a, b) => a - b));
    expect(fractions.at(-1)).toBeLessThanOrEqual(1);
  });

  it('says of advice how many replays were made, and since when there is a better answer', async () => {
    const seen: WorkProgress[] = [];
    const task = { kind: 'recommendation' as const, request: requestOf(plan), documents: [] };
    const outcome = await runTask(task, (progress) => seen.push(progress));
    if (!outcome.ok) throw new Error(outcome.error.message);
    const { replays } = (outcome.value as RecommendationOutput).advice.content.evidence;
    expect(replays).toBeGreaterThan(1);
    for (const { message } of seen) {
      expect(message).toMatch(/^replay \d+ of about \d+(; better than .* since replay \d+)?$/);
    }
    expect(seen.at(-1)?.message).toContain(`replay ${replays} of about ${replays}`);
    expect(seen.at(-1)?.fraction).toBe(1);
  });

  it('gives the same value when run twice', async () => {
    const run = () =>
      runTask({ kind: 'plan', document: documentOf(plan), options }, () => undefined);
    expect(await run()).toEqual(await run());
  });

  it('tells the caller what is wrong with an input', async () => {
    const request = { ...requestOf(plan), demand: { touchPercent: -1 } };
    const outcome = await runTask({ kind: 'simulation', request }, () => undefined);
    expect(outcome).toMatchObject({
      ok: false,
      error: { kind: 'input', code: 'invalid-demand', path: '/demand/touchPercent' },
    });
  });

  it('collects what is wrong with a plan', async () => {
    const broken = { ...plan, domains: [{ xml: '<a/>' }, { xml: '<b/>' }] };
    const outcome = await runTask(
      { kind: 'plan', document: documentOf(broken), options },
      () => undefined,
    );
    const problems = outcome.ok ? [] : (outcome.error.problems ?? []);
    expect(problems.map(({ path }) => path.slice(0, 10))).toEqual(['/domains/0', '/domains/1']);
  });

  it('takes everything else for its own defect', async () => {
    const request = { ...requestOf(plan), guests: null } as never;
    const outcome = await runTask({ kind: 'simulation', request }, () => undefined);
    expect(outcome).toMatchObject({ ok: false, error: { kind: 'internal' } });
  });
});
