import fc from 'fast-check';
import { host, planned, running } from '../test/builders';
import { replay } from '@zonewise/simulator';
import type { ReplayInput, ReplayResult } from '@zonewise/simulator';
import { advise, chooseWith } from './advise';
import { changeCount } from './change';
import { compareOutcomes, judgeOf } from './objective';
import type { GuestSpec, PlacementMode, AdviceRequest } from './types';

/** Small hosts of two or three nodes, part cache, and up to three guests that may or may not fit. */
const requests: fc.Arbitrary<AdviceRequest> = fc
  .record({
    nodes: fc.array(fc.record({ mib: fc.integer({ min: 48, max: 96 }), cache: fc.nat(90) }), {
      minLength: 2,
      maxLength: 3,
    }),
    guests: fc.array(
      fc.record({
        mib: fc.integer({ min: 8, max: 64 }),
        node: fc.nat(1),
        mode: fc.constantFrom<PlacementMode>('strict', 'preferred', 'interleave', 'none'),
      }),
      { minLength: 1, maxLength: 3 },
    ),
    zoneReclaim: fc.constantFrom(0, 1, 3),
    runningMib: fc.integer({ min: 0, max: 4 }),
    seed: fc.nat(1000),
  })
  .map(({ nodes, guests, zoneReclaim, runningMib, seed }) => ({
    host: host(
      nodes.map(({ mib, cache }) => ({
        mib,
        anonMib: runningMib,
        cacheMib: Math.floor(((mib - runningMib - 8) * cache) / 100),
      })),
      { zone_reclaim_mode: zoneReclaim },
    ),
    guests: [
      ...guests.map((guest, i) => specOf(`g${i}`, guest)),
      running('old', 4 * nodes.length, 0, Object.fromEntries(nodes.map((_, i) => [i, runningMib]))),
    ],
    demand: {},
    seed,
    // Enough for every round, and no more than a test may take.
    options: { budget: { replaysMax: 60 } },
  }));

function specOf(
  name: string,
  { mib, node, mode }: { mib: number; node: number; mode: PlacementMode },
): GuestSpec {
  const nodeset = mode === 'none' ? [] : [node];
  const policy = {
    strict: { mode: 'bind' as const, nodes: [node] },
    preferred: { mode: 'preferred' as const, nodes: [node] },
    interleave: { mode: 'interleave' as const, nodes: [node] },
    restrictive: { mode: 'default' as const, nodes: [] },
    none: { mode: 'default' as const, nodes: [] },
  }[mode];
  const cpuset = mode === 'strict' ? { cpusetMems: [node] } : {};
  return planned(name, mib, node, {
    numatune: { mode, nodeset },
    region: { policy, ...cpuset },
  });
}

test('advice is never worse than the setting as it is but where that loses more guests under variations, changes something or nothing at all, and is the same twice', () => {
  fc.assert(
    fc.property(requests, (request) => {
      const content = advise(request);
      const { baseline, advised, alternatives } = content.evidence;
      const judge = judgeOf(request.host);
      const { finalists } = content.evidence.robustness;
      const lost = (one: { id: string }): number =>
        (finalists.find(({ id }) => id === one.id)?.outcomes ?? [])
          .filter(({ variation }) => variation !== 'growth-30')
          .reduce((sum, { kills }) => sum + kills, 0);
      if (lost(advised) >= lost(baseline)) {
        expect(compareOutcomes(advised.outcome, baseline.outcome, judge)).toBeLessThanOrEqual(0);
      }

      const operations = content.content.operationGroups.flatMap((group) => group.operations);
      for (const operation of operations) {
        expect(operation.value).not.toEqual(operation.previousValue);
        expect(operation.resource).not.toBe('old');
        expect(operation.reason).toMatch(/\d.*\.$/);
        expect(operation.requiresRestart).toBe(false);
      }
      expect(operations).toHaveLength(changeCount(advised));
      if (advised.id === baseline.id) expect(operations).toEqual([]);
      for (const candidate of alternatives) expect(candidate.whyNot).toMatch(/\.$/);

      for (const candidate of [baseline, advised, ...alternatives]) {
        const old = candidate.outcome.guests.find(({ name }) => name === 'old');
        const onNodes = old?.pagesByNode.reduce((sum, { pages }) => sum + pages, 0) ?? 0;
        const owned = residentPages(request.guests.find(({ guest }) => guest.name === 'old'));
        expect(onNodes + (old?.swapPages ?? 0)).toBe(old?.oomKilled ? 0 : owned);
      }
      expect(advise(request)).toEqual(content);
    }),
    { numRuns: 15, seed: 20261121 },
  );
});

/**
 * What every search replays whatever its budget: today's setting and the advice in miniature and in full, two more winners in
 * full where the first does not hold, and the first two finalists under six variations.
 */
const ALWAYS = 4 + 2 + 2 * 6;

test('a search ends within its budget and what every search replays, however long replays are', () => {
  const budgets = fc.record({
    replaysMax: fc.integer({ min: 1, max: 40 }),
    pagesEach: fc.constantFrom(0, 1e6, 1e9),
  });
  fc.assert(
    fc.property(requests, budgets, (request, { replaysMax, pagesEach }) => {
      let calls = 0;
      const counted = (input: ReplayInput): ReplayResult => {
        calls += 1;
        const result = replay(input);
        const [first, ...rest] = result.steps;
        if (pagesEach === 0 || first === undefined) return result;
        return { ...result, steps: [{ ...first, pagesDone: pagesEach }, ...rest] };
      };
      const workMax = 3e8;
      const { replays } = chooseWith(counted, {
        ...request,
        options: { budget: { replaysMax, workMax } },
      });
      expect(replays).toBe(calls);
      const paid =
        pagesEach === 0 ? replaysMax : Math.min(replaysMax, Math.max(12, workMax / pagesEach));
      expect(calls).toBeLessThanOrEqual(paid + ALWAYS);
    }),
    { numRuns: 20, seed: 20261122 },
  );
});

function residentPages(spec: GuestSpec | undefined): number {
  if (spec?.state !== 'running') return 0;
  return spec.guest.residency.reduce((sum, { pages }) => sum + pages, 0);
}
