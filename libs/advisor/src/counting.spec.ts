import { host, planned } from '../test/builders';
import { advise } from './advise';
import { jointChanges } from './candidates';
import { NO_CHANGE, normalise } from './change';
import { checkAdvisable, overcommitted, violation } from './constraints';
import { resolveDemand } from './demand';
import { Estimator } from './estimate';
import { packing } from './packing';
import { scaleFor, scaled } from './scale';
import { simulate } from './simulate';
import { configurations, spaceOf } from './space';
import type { AdviceConstraints, AdviceRequest, GuestSpec, Outcome } from './types';
import { otherStarts, varied } from './variation';

/** Node 0 full of page cache, two guests that prefer it. */
const request = (over: Partial<AdviceRequest> = {}): AdviceRequest => ({
  host: host([
    { mib: 2048, cacheMib: 1500 },
    { mib: 2048, cacheMib: 100 },
  ]),
  guests: [planned('a', 512, 0), planned('b', 512, 0)],
  demand: {},
  seed: 1,
  ...over,
});
const constrained = (constraints: AdviceConstraints): AdviceRequest =>
  request({ options: { constraints } });

test('counting sees the spill that the replay shows, and none where node reclaim is on', () => {
  const asked = request();
  const demand = resolveDemand(asked);
  const estimator = new Estimator(asked, demand);
  const draws = demand.planned.map((one) => estimator.drawsOf(one, NO_CHANGE));
  const { remoteCost } = simulate(asked).outcome;
  expect(remoteCost).toBeGreaterThan(0.3);
  expect(Math.abs(estimator.estimate(draws, {}).remoteCost - remoteCost)).toBeLessThan(0.05);
  expect(estimator.estimate(draws, { zone_reclaim_mode: 1 }).remoteCost).toBe(0);
});

test('memory that finds neither free pages nor page cache is counted as a kill', () => {
  const full = request({ host: host([{ mib: 1024, anonMib: 900 }, { mib: 1024 }]) });
  const demand = resolveDemand(full);
  const estimator = new Estimator(full, demand);
  const strict = { a: { mode: 'strict' as const, nodeset: [0] } };
  const change = { sysctl: {}, numatune: strict };
  const draws = demand.planned.map((one) => estimator.drawsOf(one, change));
  expect(estimator.estimate(draws, {})).toMatchObject({ kills: 1, swap: 0, reclaimed: 0 });
});

test('a packing moves no more guests than it must, and their vCPUs with them only where it may', () => {
  const asked = request();
  const demand = resolveDemand(asked);
  const estimator = new Estimator(asked, demand);
  const rules = { mode: 'preferred' as const, sysctl: {} };
  const moved = packing(asked, demand, estimator, { ...rules, repins: true });
  expect(Object.values(moved.numatune)).toContainEqual({ mode: 'preferred', nodeset: [1] });
  expect(Object.keys(moved.pinning ?? {})).toEqual(Object.keys(moved.numatune));
  const kept = packing(asked, demand, estimator, { ...rules, repins: false });
  expect(kept.pinning).toBeUndefined();
});

test('a miniature has the same remote share as the whole', () => {
  const whole = simulate(request()).outcome;
  const small = simulate(scaled(request(), 4)).outcome;
  expect(Math.abs(small.remoteShare - whole.remoteShare)).toBeLessThan(0.02);
  expect(scaleFor(request(), 1e9)).toBe(4);
  expect(scaleFor(request(), 1e5)).toBe(1);
});

test('pools of 2 MiB pages shrink with their guests, pages of 1 GiB are not made smaller', () => {
  const pooled = request({
    demand: { hugepages: [{ node: 1, count: 256 }] },
    backing: { a: 2048 },
  });
  expect(scaleFor(pooled, 1e9)).toBe(4);
  const [whole, small] = [pooled, scaled(pooled, 4)].map((one) => simulate(one).outcome);
  expect(small?.failedStarts).toEqual([]);
  const share = (outcome: Outcome | undefined): number | undefined =>
    outcome?.guests.find(({ name }) => name === 'a')?.remoteShare;
  expect(share(small)).toBe(share(whole));
  const giant = { hugepages: [{ node: 0, count: 1, sizeKib: 1048576 as const }] };
  expect(scaleFor(request({ demand: giant }), 1e9)).toBe(1);
  expect(scaleFor(request({ backing: { a: 1048576 } }), 1e9)).toBe(1);
});

test('the whole space is every mode and node set of every guest times the host settings', () => {
  const space = spaceOf(request(), resolveDemand(request()));
  const all = [...configurations(space)];
  // strict, interleave and restrictive on 3 sets, preferred on 2 nodes, none: 12; today's is one of them.
  expect(space.size).toBe(12 * 12 * 6);
  const keys = new Set(all.map((change) => JSON.stringify(normalise(request(), change))));
  expect(keys.size).toBe(space.size);
});

test('a pin to where the vCPUs are anyway is no change', () => {
  const pin = (node: number) => ({ ...NO_CHANGE, pinning: { a: { nodes: [node] } } });
  expect(normalise(request(), pin(0))).toEqual(NO_CHANGE);
  expect(normalise(request(), pin(1))).toEqual(pin(1));
});

test('constraints hold for every change, and what nobody could keep is refused with its place', () => {
  const strict = { sysctl: {}, numatune: { a: { mode: 'strict' as const, nodeset: [1] } } };
  expect(violation(constrained({ pinnedGuests: ['a'] }), strict)?.message).toBe(
    'a is to stay as it is.',
  );
  expect(violation(constrained({ forbiddenNodes: [1] }), strict)?.message).toBe(
    'Node 1 is not to be named.',
  );
  expect(violation(constrained({ maxOvercommitPercent: 30 }), strict)).toBeUndefined();
  const tight = constrained({ maxOvercommitPercent: 26 });
  const both = { ...strict, numatune: { ...strict.numatune, b: strict.numatune.a } };
  expect(overcommitted(tight)).toEqual([]);
  expect(violation(tight, both)?.message).toMatch(/26 % of their memory are 136314/);
  const refused = (asked: AdviceRequest): unknown => {
    try {
      checkAdvisable(asked);
      return undefined;
    } catch (error) {
      const { code, path } = error as { code: string; path: string };
      return [code, path];
    }
  };
  const at = (name: string): string => `/options/constraints/${name}`;
  expect(refused(constrained({ forbiddenNodes: [0, 1] }))).toEqual([
    'contradictory-constraints',
    at('forbiddenNodes'),
  ]);
  expect(refused(constrained({ maxOvercommitPercent: 10 }))).toEqual([
    'contradictory-constraints',
    at('maxOvercommitPercent'),
  ]);
  const bound = { mode: 'strict' as const, nodeset: [0] };
  const staying = request({
    guests: [planned('a', 512, 0, { numatune: bound }), planned('b', 512, 0)],
    options: { constraints: { pinnedGuests: ['a'], maxOvercommitPercent: 24.9 } },
  });
  // A quarter of node 0 is bound there and stays; both guests together are a quarter of the host.
  expect(() => checkAdvisable({ ...staying, guests: staying.guests.slice(0, 1) })).toThrow(
    'Guests that stay as they are have 131072 pages bound to node 0, and 24.9 % of its memory are 130547: no placement of the others keeps that.',
  );
  expect(
    refused({ ...staying, options: { constraints: { maxOvercommitPercent: 25.1 } } }),
  ).toBeUndefined();
  const files = { fixedThp: ['enabled', 'shmem_enabled' as 'defrag'] } satisfies AdviceConstraints;
  expect(refused(constrained(files))).toEqual(['invalid-options', at('fixedThp/1')]);
  const thp = { ...NO_CHANGE, thp: { defrag: 'defer' as const } };
  expect(violation(constrained({ fixedThp: ['enabled'] }), thp)).toBeUndefined();
  expect(violation(constrained({ fixedThp: ['enabled', 'defrag'] }), thp)?.message).toBe(
    'transparent_hugepage/defrag is to stay as it is.',
  );
  const kernelProfile = '2.4.37' as AdviceRequest['host']['kernelProfile'];
  expect(refused(request({ host: { ...request().host, kernelProfile } }))).toEqual([
    'kernel-not-modelled',
    '/host/kernelProfile',
  ]);
  expect(refused(request({ guests: [] }))).toEqual(['no-guests', '/guests']);
  expect(refused(request({ host: { ...request().host, nodes: [] } }))).toEqual([
    'no-nodes',
    '/host/nodes',
  ]);
});

test('advice keeps the constraints, replays all finalists alike and tells of guests that fit nowhere', () => {
  const asked = constrained({ forbiddenNodes: [1], fixedSysctls: ['zone_reclaim_mode'] });
  const { evidence } = advise({
    ...asked,
    options: { ...asked.options, budget: { replaysMax: 40 } },
  });
  const candidates = [evidence.advised, ...evidence.alternatives];
  for (const { sysctl, numatune } of candidates) {
    expect(Object.keys(sysctl)).not.toContain('zone_reclaim_mode');
    expect(Object.values(numatune).flatMap(({ nodeset }) => nodeset)).not.toContain(1);
  }
  const { variations, finalists } = evidence.robustness;
  expect(variations.length).toBeGreaterThan(0);
  for (const { outcomes } of finalists) expect(outcomes).toHaveLength(variations.length);
  expect(evidence.unplaced).toEqual([]);
});

test('a variation changes what it names', () => {
  const grown = varied(request(), { name: 'growth', growthPercent: 50 });
  expect(grown.guests[0]?.guest.regions[0]?.sizePages).toBe(768 * 256);
  const reversed = varied(request(), { name: 'reversed', reversedStart: true });
  expect(reversed.demand.startOrder).toEqual(['b', 'a']);
  const three = request({
    guests: [planned('a', 200, 0), planned('b', 300, 0), planned('c', 100, 1)],
  });
  const orders = otherStarts(three).map((each) => varied(three, each).demand.startOrder);
  expect(orders.slice(0, 2)).toEqual([
    ['b', 'a', 'c'],
    ['c', 'a', 'b'],
  ]);
  const all = [['a', 'b', 'c'], ['c', 'b', 'a'], ...orders].map((order) => order?.join());
  expect(new Set(all).size).toBe(all.length);
  for (const order of orders) expect(order?.sort()).toEqual(['a', 'b', 'c']);
  // The order asked for and its reverse are known already.
  const falling = { ...three, demand: { startOrder: ['b', 'a', 'c'] } };
  expect(otherStarts(falling).map(({ name }) => name)).not.toContain('largest-first');
  expect(otherStarts(request({ guests: [planned('a', 200, 0), planned('b', 300, 0)] }))).toEqual(
    [],
  );
  const cached = varied(request(), { name: 'cache', cachePercent: 10 });
  expect(cached.demand.backgroundCache).toHaveLength(2);
});

test('a guest that floats is offered the roomiest node as its preferred one, each the room that is left', () => {
  const asked = request({
    host: host([{ mib: 1024, anonMib: 500 }, { mib: 1024, anonMib: 100 }, { mib: 1024 }]),
  });
  const floating = (name: string, mib: number): GuestSpec => ({
    ...planned(name, mib, 0, {
      numatune: { mode: 'none', nodeset: [] },
      region: { policy: { mode: 'default', nodes: [] }, cpuNodes: [0, 1, 2] },
    }),
    cpusPinned: false,
  });
  const own = planned('own', 64, 1);
  const guests = [floating('a', 600), floating('b', 300), floating('c', 300), own];
  const demand = resolveDemand({ ...asked, guests });
  const preferred = jointChanges({ ...asked, guests }, demand).find(
    ({ numatune }) => numatune.own?.mode === 'preferred',
  );
  const nodes = Object.entries(preferred?.numatune ?? {}).map(([name, at]) => [name, at.nodeset]);
  expect(nodes).toEqual([
    ['a', [2]],
    ['b', [1]],
    ['c', [1]],
    ['own', [1]],
  ]);
});
