import fc from 'fast-check';
import { cacheStep, guestStep, makeHost, region, type NodeShape } from '../test/host';
import { replay } from './replay';
import type { MemoryPolicy, ReplayInput, ReplayStep } from './types';

const shape = (first: boolean): fc.Arbitrary<NodeShape> =>
  fc
    .record({
      cpus: fc.integer({ min: first ? 1 : 0, max: 3 }),
      low: fc.integer({ min: 1000, max: 9000 }),
      normal: fc.integer({ min: 3000, max: 30000 }),
    })
    .map(({ cpus, low, normal }) => ({
      cpus,
      zones: [
        ...(first ? [{ name: 'DMA32' as const, pages: low }] : []),
        { name: 'Normal' as const, pages: normal },
      ],
    }));

const host = fc
  .tuple(shape(true), fc.array(shape(false), { maxLength: 3 }))
  .chain(([first, rest]) =>
    fc
      .record({
        minFreeKib: fc.integer({ min: 128, max: 8000 }),
        distance: fc.constantFrom(15, 21, 32),
      })
      .map((options) => makeHost([first, ...rest], options)),
  );

function steps(nodes: number, cpuNodes: number[]): fc.Arbitrary<ReplayStep[]> {
  const node = fc.integer({ min: 0, max: nodes - 1 });
  const cpuNode = fc.constantFrom(...cpuNodes);
  const policy: fc.Arbitrary<MemoryPolicy> = fc.oneof(
    fc.constant<MemoryPolicy>({ mode: 'default', nodes: [] }),
    fc.record({
      mode: fc.constantFrom(
        'preferred' as const,
        'preferred_many' as const,
        'bind' as const,
        'interleave' as const,
      ),
      nodes: fc.uniqueArray(node, { minLength: 1, maxLength: nodes }),
    }),
  );
  const name = fc.constantFrom('a', 'b', 'c');
  const pages = fc.integer({ min: 0, max: 20000 });
  const cell = 0;
  const step: fc.Arbitrary<ReplayStep> = fc.oneof(
    fc
      .tuple(
        pages,
        node,
        cpuNode,
        fc.constantFrom('read' as const, 'write' as const, 'mapped' as const),
        fc.integer({ min: 1, max: 2 }),
        fc.constantFrom('f', 'g'),
      )
      .map(([size, at, cpu, access, passes, file]) =>
        cacheStep(size, at, { cpuNode: cpu, access, passes, file, name: 'reader' }),
      ),
    fc.record({
      op: fc.constant('touch' as const),
      name,
      cell: fc.constant(cell),
      offsetPages: fc.integer({ min: 0, max: 2000 }),
      pages: fc.integer({ min: 0, max: 2000 }),
      access: fc.constantFrom('read' as const, 'write' as const),
    }),
    fc.record({
      op: fc.constant('free' as const),
      name,
      cell: fc.constant(cell),
      offsetPages: fc.integer({ min: 0, max: 2000 }),
      pages: fc.integer({ min: 0, max: 2000 }),
      stepPages: fc.constantFrom(0, 16),
      keepPages: fc.integer({ min: 0, max: 16 }),
    }),
    fc.record({ op: fc.constant('kill' as const), name: fc.constantFrom('a', 'b', 'c', 'reader') }),
    fc.record({
      op: fc.constant('sysctl' as const),
      name: fc.constant('zone_reclaim_mode' as const),
      value: fc.integer({ min: 0, max: 7 }),
    }),
    fc.record({
      op: fc.constant('sysctl' as const),
      name: fc.constant('min_free_kbytes' as const),
      value: fc.integer({ min: 0, max: 9000 }),
    }),
    fc.record({
      op: fc.constant('sysctl' as const),
      name: fc.constant('swappiness' as const),
      value: fc.integer({ min: 0, max: 200 }),
    }),
    fc.record({
      op: fc.constant('thp' as const),
      enabled: fc.constantFrom('always' as const, 'madvise' as const, 'never' as const),
      defrag: fc.constantFrom(
        'always' as const,
        'defer' as const,
        'defer+madvise' as const,
        'madvise' as const,
        'never' as const,
      ),
    }),
    fc.record({ op: fc.constant('swapon' as const), pages: fc.integer({ min: 0, max: 10000 }) }),
    fc.constantFrom<ReplayStep>({ op: 'swapoff' }, { op: 'drop_caches' }, { op: 'settle' }),
    fc.constant<ReplayStep>({
      op: 'touch_many',
      touches: ['a', 'b'].map((guest) => ({ name: guest, cell, offsetPages: 0, pages: 3000 })),
    }),
  );
  const thp = fc.constantFrom('none' as const, 'huge' as const, 'nohuge' as const);
  const policyScope = fc.constantFrom('mbind' as const, 'task' as const);
  const cells = fc.array(
    fc.record({
      sizePages: fc.integer({ min: 4000, max: 20000 }),
      policy,
      cpusetMems: fc.option(fc.uniqueArray(node, { minLength: 1, maxLength: nodes }), {
        nil: undefined,
      }),
      over: fc.record({ cpuNodes: cpuNode.map((id) => [id]), thp, policyScope }),
    }),
    { minLength: 1, maxLength: 3 },
  );
  const celled = (guestName: string): fc.Arbitrary<ReplayStep> =>
    fc
      .record({ cells, oomScoreAdj: fc.constantFrom(-1000, 0, 0, 500), overhead: pages })
      .map(({ cells: drawn, oomScoreAdj, overhead }) => ({
        op: 'guest' as const,
        guest: {
          name: guestName,
          regions: drawn.map(({ sizePages, policy: mode, cpusetMems, over }, i) =>
            region(sizePages, mode, { ...over, cell: i, ...(cpusetMems && { cpusetMems }) }),
          ),
          oomScoreAdj,
          overheadPages: overhead % 300,
        },
        touchPages: drawn.map(({ sizePages }) => sizePages),
      }));
  const plain = (guestName: string): fc.Arbitrary<ReplayStep> =>
    fc
      .tuple(fc.integer({ min: 4000, max: 20000 }), policy, cpuNode, thp, policyScope, fc.boolean())
      .map(([size, mode, cpu, advice, scope, pinned]) =>
        guestStep(guestName, size, mode, {
          cpuNodes: [cpu],
          thp: advice,
          policyScope: scope,
          pinned,
        }),
      );
  const guest = (guestName: string): fc.Arbitrary<ReplayStep> =>
    fc.oneof(plain(guestName), celled(guestName));
  const more = fc.array(step, { maxLength: 5 });
  return fc
    .tuple(more, guest('a'), more, guest('b'), more, guest('c'), more)
    .map(([s0, a, s1, b, s2, c, s3]) => [...s0, a, ...s1, b, ...s2, c, ...s3]);
}

const input: fc.Arbitrary<ReplayInput> = host.chain((model) => {
  const cpuNodes = model.nodes.filter((node) => node.cpus.length > 0).map((node) => node.nodeId);
  return fc.record({
    host: fc.constant(model),
    runningGuests: fc.constant([]),
    steps: steps(model.nodes.length, cpuNodes),
    seed: fc.nat(),
    verify: fc.constant(true),
  });
});

/** Pages that a step asks for; undefined where it asks for none. */
function askedOf(step: ReplayStep): number | undefined {
  switch (step.op) {
    case 'guest':
      return step.touchPages.reduce((sum, pages) => sum + pages, 0);
    case 'touch':
      return step.pages;
    case 'touch_many':
      return step.touches.reduce((sum, { pages }) => sum + pages, 0);
    case 'cache':
      return step.pages * step.passes;
    default:
      return undefined;
  }
}

describe('random hosts and steps', () => {
  it('no page is lost or made, no count goes below zero, and a seed gives one hash', () => {
    fc.assert(
      fc.property(input, (random) => {
        const first = replay(random);
        expect(first.steps).toHaveLength(random.steps.length);
        expect(replay({ ...random, verify: false }).stateHash).toBe(first.stateHash);
      }),
      { numRuns: 60 },
    );
  });

  it('a step is ok only if it got every page that it asked for, and its guest lives', () => {
    fc.assert(
      fc.property(input, (random) => {
        replay(random).steps.forEach(({ n, status, pagesDone, snapshot }, i) => {
          const step = random.steps[i]!;
          const asked = askedOf(step);
          if (asked === undefined) return;
          expect({ n, ok: status === 'ok', pagesDone }).toEqual({
            ...{ n, ok: pagesDone === asked && status === 'ok' },
            pagesDone,
          });
          if (step.op !== 'guest' && step.op !== 'touch') return;
          const name = step.op === 'guest' ? step.guest.name : step.name;
          const alive = snapshot.guests.some((seen) => seen.name === name && seen.alive);
          expect({ n, alive }).toEqual({ n, alive: status === 'ok' });
        });
      }),
      { numRuns: 60 },
    );
  });

  it('another seed gives another hash', () => {
    const random = fc.sample(input, { numRuns: 1, seed: 1 })[0]!;
    expect(replay({ ...random, seed: 1 }).stateHash).not.toBe(
      replay({ ...random, seed: 2 }).stateHash,
    );
  });
});
