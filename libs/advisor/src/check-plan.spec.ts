import type { RegionSpec } from '@zonewise/simulator';
import { host, planned } from '../test/builders';
import { checkPlan } from './check-plan';
import type { GuestSpec, PlanLimits, SimulationRequest } from './types';

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

test('a guest on huge pages starts where its pool has them all, and says of which pool how many are missing', () => {
  const pooled = (name: string, mib: number, region: Partial<RegionSpec>) =>
    planned(name, mib, 0, {
      region: { hugetlb: { sizeKib: 2048, reserve: true }, ...region },
    });
  const bound = { policy: { mode: 'bind' as const, nodes: [0] } };
  const demand = { touchPercent: 10, hugepages: [0, 1].map((node) => ({ node, count: 40 })) };
  const run = (...guests: GuestSpec[]) => checkPlan(request({ guests, demand }), {});
  const fits = run(pooled('a', 64, bound));
  expect(fits.violations).toEqual([]);
  // All of it, whatever share of its memory the guest touches by itself.
  expect(fits.outcome.guests[0]?.pagesByNode).toContainEqual({ nodeId: 0, pages: 64 * 256 });
  // 80 pages are free, 40 on its node: reserved, and SIGBUS when QEMU touches the 41st.
  const sigbus = run(pooled('a', 120, bound));
  expect(sigbus.violations).toMatchObject([
    { code: 'failed-start', guest: 'a', node: 0, sizeKib: 2048, shortfallPages: 20 * 512 },
  ]);
  expect(sigbus.violations[0]?.message).toBe(
    'a does not start: it needs 60 huge pages of 2048 KiB from node 0, and 40 are free there.',
  );
  expect(run(pooled('a', 120, {})).violations).toEqual([]);
  // Not even reserved.
  const enomem = run(pooled('a', 64, {}), pooled('b', 100, {}));
  expect(enomem.violations).toMatchObject([
    { code: 'failed-start', guest: 'b', sizeKib: 2048, shortfallPages: 2 * 512 },
  ]);
  expect(enomem.violations[0]).not.toHaveProperty('node');
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
