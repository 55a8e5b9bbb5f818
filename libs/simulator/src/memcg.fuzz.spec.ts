/** Whatever happens to memory cgroups: charges never exceed memory.max, and every sum is right after each step. */
import fc from 'fast-check';
import { twoNodes } from '../test/host';
import { replay } from './replay';
import type { MemoryPolicy, ReplayStep } from './types';

const LIMITS = { g: 3000, h: 700 } as const;
const SWAP_LIMITS = { g: 500, h: Infinity } as const;

const policy: fc.Arbitrary<MemoryPolicy> = fc.constantFrom<MemoryPolicy>(
  { mode: 'default', nodes: [] },
  { mode: 'bind', nodes: [1] },
  { mode: 'preferred', nodes: [0] },
  { mode: 'interleave', nodes: [0, 1] },
);
const cgroup = fc.constantFrom<string | undefined>('g', 'g', 'h', undefined);
const pages = fc.integer({ min: 0, max: 6000 });
const name = fc.constantFrom('a', 'b', 'c', 'd');

/** A guest per name at most: the others of the same name are left out. */
const guest = fc
  .record({ name, policy, cgroup, touch: pages, pinned: fc.boolean(), task: fc.boolean() })
  .map(({ name: guestName, policy: its, cgroup: group, touch, pinned, task }): ReplayStep => ({
    op: 'guest',
    guest: {
      name: guestName,
      regions: [
        {
          cell: 0,
          sizePages: 6000,
          policy: its,
          policyScope: task ? 'task' : 'mbind',
          cpuNodes: [0],
          thp: 'none',
          pinned,
        },
      ],
      oomScoreAdj: 0,
      overheadPages: 7,
      ...(group !== undefined && { cgroup: group }),
    },
    touchPages: [touch],
  }));

const cache = fc
  .record({
    file: fc.constantFrom('f', 'h'),
    offsetPages: fc.integer({ min: 0, max: 2000 }),
    pages,
    policy,
    access: fc.constantFrom('read' as const, 'write' as const),
    passes: fc.constantFrom(1, 2),
    cgroup,
  })
  .map(({ cgroup: group, ...its }): ReplayStep => ({
    op: 'cache',
    cpuNode: 1,
    ...its,
    ...(group !== undefined && { cgroup: group }),
  }));

const others: fc.Arbitrary<ReplayStep> = fc.oneof(
  fc
    .record({
      name,
      offsetPages: fc.integer({ min: 0, max: 3000 }),
      pages: fc.integer({ min: 0, max: 3000 }),
    })
    .map((range): ReplayStep => ({ op: 'touch', cell: 0, access: 'write', ...range })),
  fc
    .record({
      name,
      offsetPages: fc.integer({ min: 0, max: 3000 }),
      pages: fc.integer({ min: 0, max: 3000 }),
    })
    .map((range): ReplayStep => ({ op: 'free', cell: 0, stepPages: 4, keepPages: 1, ...range })),
  name.map((of): ReplayStep => ({ op: 'kill', name: of })),
  fc.constantFrom<ReplayStep>(
    { op: 'settle' },
    { op: 'drop_caches' },
    { op: 'thp', enabled: 'always', defrag: 'always' },
    { op: 'cgroup', name: 'g', highPages: 2000 },
    { op: 'cgroup', name: 'g', highPages: null },
    { op: 'cgroup', name: 'h', maxPages: 300 },
    { op: 'cgroup', name: 'h', maxPages: LIMITS.h },
  ),
);

/** Steps that name a guest again after its start would be refused. */
function withoutSecondStarts(steps: ReplayStep[]): ReplayStep[] {
  const seen = new Set<string>();
  return steps.filter((step) => {
    if (step.op !== 'guest') return true;
    if (seen.has(step.guest.name)) return false;
    seen.add(step.guest.name);
    return true;
  });
}

it('keeps every group within its limits and every sum right', () => {
  const run = fc.array(fc.oneof({ weight: 2, arbitrary: guest }, cache, others), {
    minLength: 1,
    maxLength: 14,
  });
  const reached = { reclaimed: 0, killed: 0, swapped: 0, high: 0 };
  fc.assert(
    fc.property(run, fc.boolean(), fc.integer({ min: 0, max: 1000 }), (drawn, swap, seed) => {
      const swapon: ReplayStep = { op: 'swapon', pages: 3000 };
      const steps = withoutSecondStarts(swap ? [swapon, ...drawn] : drawn);
      const groups = [
        { name: 'g', maxPages: LIMITS.g, swapMaxPages: SWAP_LIMITS.g },
        { name: 'h', maxPages: LIMITS.h },
      ];
      // `verify` recounts lists, charges and stocks after each step.
      const input = { host: twoNodes(), groups, runningGuests: [], steps, seed, verify: true };
      const result = replay(input);
      for (const step of result.steps) {
        for (const group of step.snapshot.groups!) {
          expect(group.currentPages).toBeLessThanOrEqual(LIMITS[group.name as 'g' | 'h']);
          expect(group.swapCurrentPages).toBeLessThanOrEqual(SWAP_LIMITS[group.name as 'g' | 'h']);
          reached.killed += group.events.oomKill;
          reached.swapped += group.swapCurrentPages;
          reached.high += group.events.high;
        }
      }
      reached.reclaimed += result.totals.cgroupReclaimedPages;
      expect(replay(input).stateHash).toBe(result.stateHash);
    }),
    { numRuns: 40, seed: 7 },
  );
  const missing = Object.entries(reached).filter(([, count]) => count === 0);
  expect(missing).toEqual([]);
});
