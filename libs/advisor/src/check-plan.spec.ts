import { host, planned } from '../test/builders';
import { checkPlan } from './check-plan';
import type { PlanLimits, SimulationRequest } from './types';

const strict = (name: string, mib: number) =>
  planned(name, mib, 0, {
    numatune: { mode: 'strict', nodeset: [0] },
    region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
  });
const request = (over: Partial<SimulationRequest> = {}): SimulationRequest => ({
  host: host([{ mib: 256, cacheMib: 128 }, { mib: 256 }]),
  guests: [planned('a', 128, 0), planned('b', 64, 0)],
  demand: {},
  seed: 1,
  ...over,
});
const codes = (limits: PlanLimits, over: Partial<SimulationRequest> = {}) =>
  checkPlan(request(over), limits).violations.map(({ code, guest }) => `${code} ${guest}`);

test('a plan without limits passes as long as nobody dies', () => {
  const verdict = checkPlan(request(), {});
  expect(verdict).toMatchObject({ verdict: 'pass', violations: [], seed: 1 });
  expect(verdict.outcome.remoteShare).toBeGreaterThan(0);
});

test('remote share over the limit is a violation of each guest that exceeds it', () => {
  expect(codes({ maxRemoteShare: 0.5 })).toEqual(['remote-share b']);
  const verdict = checkPlan(request(), { maxRemoteShare: 0.5 });
  expect(verdict.verdict).toBe('fail');
  expect(verdict.violations[0]).toMatchObject({ limit: 0.5, found: 1 });
});

test('a guest killed while it starts is a failed start whatever the limits say', () => {
  expect(codes({}, { guests: [strict('big', 300)] })).toEqual(['failed-start big']);
});

test('a guest killed by the start of another is an oom-kill', () => {
  const guests = [strict('first', 200), strict('second', 120)];
  const found = codes({}, { guests });
  expect(found).toHaveLength(1);
  expect(['oom-kill first', 'failed-start second']).toContain(found[0]);
});

test('waiting for reclaim counts against maxStallMs', () => {
  expect(codes({ maxStallMs: 0 }, { sysctl: { zone_reclaim_mode: 1 } })).toContain('stall b');
  expect(codes({ maxStallMs: 60_000 }, { sysctl: { zone_reclaim_mode: 1 } })).toEqual([]);
});

test.each([{ maxRemoteShare: 1.5 }, { maxStallMs: -1 }, { maxSwapMib: Number.NaN }])(
  'limits %j are refused',
  (limits) => {
    expect(() => checkPlan(request(), limits)).toThrow(
      expect.objectContaining({ code: 'invalid-limit' }) as Error,
    );
  },
);
