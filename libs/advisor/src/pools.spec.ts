import { host, planned } from '../test/builders';
import { advise } from './advise';
import { hugepageChanges, thpChanges } from './backing-candidates';
import { NO_CHANGE } from './change';
import { violation } from './constraints';
import { resolveDemand } from './demand';
import { evaluate } from './evaluator';
import { judgeOf } from './objective';
import { poolNeeds } from './pools';
import type { AdviceConstraints, AdviceRequest, GuestSpec, HostModel } from './types';

/** A host with a pool of 2 MiB pages on each node, all of them free. */
function pooledHost(...pools: number[]): HostModel {
  const model = host(pools.map(() => ({ mib: 1024 })));
  const nodes = model.nodes.map((node, i) => {
    const count = pools[i] ?? 0;
    const zones = node.zones.map((zone) => {
      const freePages = zone.freePages - count * 512;
      return {
        ...zone,
        freePages,
        freeBlocks: [...zone.freeBlocks.slice(0, 10), freePages / 1024],
      };
    });
    const hugepages = [{ sizeKib: 2048, totalPages: count, freePages: count }];
    return { ...node, zones, ...(count > 0 && { hugepages }) };
  });
  return { ...model, nodes };
}

const pooled = (name: string, mib: number, node: number): GuestSpec =>
  planned(name, mib, node, {
    numatune: { mode: 'strict', nodeset: [node] },
    region: {
      policy: { mode: 'bind', nodes: [node] },
      cpusetMems: [node],
      hugetlb: { sizeKib: 2048, reserve: true },
    },
  });

test('a pool that is too small for its guests is brought to what they want, by a replay that shows it', () => {
  const asked: AdviceRequest = {
    ...{ host: pooledHost(100, 0), guests: [pooled('a', 256, 0)], demand: {}, seed: 1 },
  };
  expect(poolNeeds(asked)).toEqual([
    { node: 0, sizeKib: 2048, total: 100, wanted: 128, short: 28, idle: 0 },
  ]);
  const { evidence, content, finding, description } = advise(asked);
  expect(evidence.baseline.outcome.failedStarts).toEqual(['a']);
  expect(finding).toBe('OOM_RISK');
  expect(description).toMatch(
    /^With the setting as it is a would not start; with .* everybody starts\. /,
  );
  expect(evidence.baseline.whyNot).toBe('a does not start; as advised everybody starts.');
  // 128 pages, and 26 for what the likely variations grow.
  expect(evidence.advised).toMatchObject({ hugepages: [{ node: 0, sizeKib: 2048, count: 154 }] });
  expect(evidence.advised.outcome.failedStarts).toEqual([]);
  const [operation] = content.operationGroups.flatMap(({ operations }) => operations);
  expect(operation).toMatchObject({
    ...{ resourceType: 'hugepages', resource: 'node0', value: 154, previousValue: 100 },
    path: '/sys/devices/system/node/node0/hugepages/hugepages-2048kB/nr_hugepages',
  });
  expect(operation?.reason).toContain('lowers guests that do not start from 1 to 0');
  expect(operation?.reason).toContain('308 MiB of the node are locked away');
  expect(operation?.reason).toContain('28 pages short');
  expect(evidence.assumptions.find(({ code }) => code === 'hugepage-pool-short')?.message).toBe(
    'The pool of 2048 KiB pages of node 0 (100 pages) is 28 pages short of what its guests want: a guest that finds none does not start, or gets SIGBUS.',
  );
});

test('a guest whose own node cannot give the pool gets one elsewhere, or none', () => {
  const full = pooledHost(0, 0);
  const [first, second] = full.nodes;
  const crowded = host([{ mib: 1024, anonMib: 900 }, { mib: 1024 }]).nodes[0];
  const asked: AdviceRequest = {
    host: { ...full, nodes: [crowded ?? first!, second!] },
    guests: [pooled('a', 256, 0)],
    ...{ demand: {}, seed: 1 },
  };
  const { advised, baseline } = advise(asked).evidence;
  expect(baseline.outcome.failedStarts).toEqual(['a']);
  expect(advised.outcome.failedStarts).toEqual([]);
  expect(advised.outcome.oomKills).toEqual([]);
});

test('idle pages of a pool are given back where guests are remote for want of them, and only told where not', () => {
  const [first] = pooledHost(384).nodes;
  const [, second] = host([{ mib: 1024 }, { mib: 1024, anonMib: 700 }]).nodes;
  const model = { ...host([{ mib: 1024 }, { mib: 1024 }]), nodes: [first!, second!] };
  const idle = (mib: number): AdviceRequest => ({
    ...{ host: model, guests: [planned('a', mib, 0)], demand: {}, seed: 1 },
  });
  const needy = advise(idle(512));
  expect(needy.evidence.baseline.outcome.remoteShare).toBeGreaterThan(0.4);
  expect(needy.evidence.advised.hugepages).toEqual([{ node: 0, sizeKib: 2048, count: 0 }]);
  expect(needy.evidence.advised.outcome.remoteShare).toBe(0);
  expect(needy.evidence.assumptions.map(({ code }) => code)).toContain('hugepage-pool-idle');
  const calm = advise(idle(64)).evidence;
  expect(calm.advised.hugepages).toBeUndefined();
  expect(calm.assumptions.find(({ code }) => code === 'hugepage-pool-idle')?.message).toContain(
    '384 idle pages (768 MiB)',
  );
});

test('a pool that only the demand writes is what the advice changes, and not what the host has', () => {
  const asked: AdviceRequest = {
    host: host([{ mib: 1024 }, { mib: 1024, anonMib: 700 }]),
    guests: [planned('a', 512, 0)],
    demand: { hugepages: [{ node: 0, count: 384 }] },
    seed: 1,
  };
  const { evidence, content } = advise(asked);
  expect(evidence.advised.hugepages).toEqual([{ node: 0, sizeKib: 2048, count: 0 }]);
  expect(content.operationGroups.flatMap(({ operations }) => operations)).toMatchObject([
    { resourceType: 'hugepages', value: 0, previousValue: 384 },
  ]);
});

test('guests are put on pools where they would be swapped, kernel settings are to stay, and other nodes are remote', () => {
  const model = host([{ mib: 1024, cacheMib: 320 }, { mib: 128 }], { swappiness: 100 });
  const [first, second] = model.nodes;
  // Most of the page cache is in use, so that reclaim turns to the guests too.
  const lru = { ...first!.lru, activeFilePages: 300 * 256, inactiveFilePages: 20 * 256 };
  const swap = { totalPages: 524_288, freePages: 524_288 };
  const strict = (name: string, mib: number): GuestSpec =>
    planned(name, mib, 0, {
      numatune: { mode: 'strict', nodeset: [0] },
      region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
    });
  const fixedSysctls = Object.keys(model.sysctl) as (keyof typeof model.sysctl)[];
  const { content, evidence } = advise({
    host: { ...model, nodes: [{ ...first!, lru }, second!], swap },
    guests: [strict('a', 512), strict('b', 300)],
    ...{ demand: {}, seed: 1, options: { constraints: { fixedSysctls } } },
  });
  expect(evidence.baseline.outcome.swappedOutPages).toBeGreaterThan(1000);
  expect(evidence.advised).toMatchObject({
    backing: { a: 2048, b: 2048 },
    hugepages: [{ node: 0, sizeKib: 2048, count: 488 }],
    outcome: { swappedOutPages: 0, remoteShare: 0, failedStarts: [] },
  });
  const [pools, guests] = content.operationGroups;
  expect(pools?.operations[0]?.reason).toContain('976 MiB of the node are locked away');
  expect(guests?.operations.map(({ path }) => path)).toEqual([
    '/domain/memoryBacking',
    '/domain/memoryBacking',
  ]);
  expect(guests?.operations[0]?.reason).toMatch(/lowers memory swapped out from .* not swapped/);
  // Without the reserve for growth the pool is refused, and the answer says why.
  const tight = evidence.alternatives.find(({ hugepages }) => hugepages?.[0]?.count === 406);
  expect(tight?.whyNot).toBe('With 20 % more guest memory b would not start.');
});

test('guests are put on pools only where reclaim of their memory hurts and the node has room; the bound names itself', () => {
  const asked = (over: Partial<AdviceRequest> = {}): AdviceRequest => ({
    host: host([{ mib: 1024, cacheMib: 600 }, { mib: 1024 }]),
    guests: [planned('a', 512, 0)],
    ...{ demand: {}, seed: 1, ...over },
  });
  const proposed = (request: AdviceRequest, swapped: number) => {
    const best = evaluate(request, NO_CHANGE);
    const { outcome } = best.candidate;
    const candidate = { ...best.candidate, outcome: { ...outcome, swappedOutPages: swapped } };
    const context = { request, demand: resolveDemand(request), judge: judgeOf(request.host) };
    return hugepageChanges(context, { ...best, candidate });
  };
  expect(proposed(asked(), 0)).toMatchObject({
    changes: [],
    pruned: [{ bound: 'pool-spares-nothing', count: 1 }],
  });
  const counts = [308, 256];
  expect(proposed(asked(), 5000).changes).toEqual(
    counts.map((count) => ({
      ...NO_CHANGE,
      backing: { a: 2048 },
      hugepages: [{ node: 0, sizeKib: 2048, count }],
    })),
  );
  const tight = asked({ host: host([{ mib: 1024, anonMib: 900 }, { mib: 1024 }]) });
  expect(proposed(tight, 5000)).toMatchObject({
    changes: [],
    pruned: [{ bound: 'pool-room', count: 1 }],
  });
});

test('files of transparent huge pages are tried as far as they spare a fault its reclaim', () => {
  const values = (
    enabled: 'always' | 'madvise' | 'never',
    defrag: string,
    thp: 'huge' | 'none',
  ) => {
    const asked = {
      host: { ...host([{ mib: 512 }]), thp: { enabled, defrag } },
      guests: [planned('a', 64, 0, { region: { thp } })],
      ...{ demand: {}, seed: 1 },
    } as AdviceRequest;
    return thpChanges(asked, resolveDemand(asked), NO_CHANGE).map(({ thp: files }) => files);
  };
  expect(values('madvise', 'madvise', 'huge')).toEqual([
    { defrag: 'defer' },
    { defrag: 'never' },
    { enabled: 'never' },
  ]);
  expect(values('always', 'always', 'none').map((files) => files?.defrag)).toEqual([
    'defer+madvise',
    'madvise',
    'defer',
    'never',
    undefined,
  ]);
  expect(values('madvise', 'always', 'none')).toEqual([]);
  expect(values('always', 'defer', 'huge')).toEqual([]);
  expect(values('never', 'always', 'huge')).toEqual([]);
});

describe('pools that are to stay as large as they are', () => {
  const asked = (constraints: AdviceConstraints, mib = 256): AdviceRequest => ({
    ...{ host: pooledHost(100, 0), guests: [pooled('a', mib, 0)], demand: {}, seed: 1 },
    options: { constraints },
  });

  test('are in no configuration that is replayed: the guest starts off the pool', () => {
    const { evidence, content } = advise(asked({ fixedHugepages: [0, 1] }));
    const replayed = [evidence.advised, ...evidence.alternatives];
    expect(replayed.flatMap(({ hugepages = [] }) => hugepages)).toEqual([]);
    expect(evidence.baseline.outcome.failedStarts).toEqual(['a']);
    expect(evidence.advised).toMatchObject({
      backing: { a: 'thp' },
      outcome: { failedStarts: [] },
    });
    const paths = content.operationGroups.flatMap(({ operations }) =>
      operations.map(({ path }) => path),
    );
    expect(paths).toContain('/domain/memoryBacking');
    expect(paths.join()).not.toContain('nr_hugepages');
    expect(
      evidence.search.pruned.find(({ bound }) => bound === 'constraints')?.count,
    ).toBeGreaterThan(0);
  });

  test('leave the pools of other nodes free', () => {
    const { advised } = advise(asked({ fixedHugepages: [0] })).evidence;
    expect(advised.outcome.failedStarts).toEqual([]);
    expect((advised.hugepages ?? []).map(({ node }) => node)).not.toContain(0);
    const elsewhere = { ...NO_CHANGE, hugepages: [{ node: 1, sizeKib: 2048 as const, count: 1 }] };
    expect(violation(asked({ fixedHugepages: [0] }), elsewhere)).toBeUndefined();
    expect(violation(asked({ fixedHugepages: [1] }), elsewhere)?.message).toBe(
      'The pools of node 1 are to stay as they are.',
    );
  });

  test('contradict a guest that is to stay on them and finds too little there even alone', () => {
    const refused = (constraints: AdviceConstraints, mib?: number): unknown => {
      try {
        advise(asked(constraints, mib));
        return undefined;
      } catch (error) {
        const { code, path, message } = error as { code: string; path: string; message: string };
        return { code, path, message };
      }
    };
    expect(refused({ pinnedGuests: ['a'], fixedHugepages: [0] })).toEqual({
      code: 'contradictory-constraints',
      path: '/options/constraints/fixedHugepages',
      message:
        'a is to stay as it is, and the pools of node 0 are to stay as large as they are: for it alone 28 huge pages of 2048 KiB are missing.',
    });
    expect(refused({ pinnedGuests: ['a'], fixedHugepages: [0] }, 128)).toBeUndefined();
    expect(refused({ pinnedGuests: ['a'], fixedHugepages: [1] })).toBeUndefined();
    expect(refused({ fixedHugepages: [0, 7] })).toMatchObject({
      ...{ code: 'unknown-node', path: '/options/constraints/fixedHugepages/1' },
      message: "Found 7; the host's nodes are 0, 1.",
    });
  });
});

describe('a pool that is not obtained in full', () => {
  /** Node 0 has room for about 150 of the 200 huge pages that are asked of it; everything is to stay as it is. */
  const asked = (mib: number, policy: 'bind' | 'preferred'): AdviceRequest => {
    const spec = pooled('a', mib, 0);
    const [region] = spec.guest.regions;
    region!.policy = { mode: policy, nodes: [0] };
    if (policy === 'preferred') delete region!.cpusetMems;
    return {
      host: host([{ mib: 1024, anonMib: 720 }, { mib: 1024 }]),
      guests: [spec],
      demand: {
        hugepages: [
          { node: 0, count: 200 },
          { node: 1, count: 100 },
        ],
      },
      seed: 1,
      options: { constraints: { pinnedGuests: ['a'], fixedHugepages: [0, 1] } },
    };
  };
  const missing = /Node 0 is to have 200 huge pages of 2048 KiB and gets \d+ in the replay: /;

  test('is told where no guest needs the rest', () => {
    const { finding, description } = advise(asked(200, 'bind'));
    expect(finding).toBe('OPTIMIZED');
    expect(description).toMatch(missing);
  });

  test('is no optimum where a guest goes elsewhere for want of it', () => {
    const { finding, description, priority } = advise(asked(360, 'preferred'));
    expect([finding, priority]).toEqual(['REMOTE_MEMORY', 'P3']);
    expect(description).toMatch(
      /^For want of huge pages where a wants its memory, \d+ % of guest memory is remote\. The setting as it is is the best found: /,
    );
    expect(description).toMatch(missing);
  });

  test('is why a guest does not start', () => {
    const { finding, description } = advise(asked(360, 'bind'));
    expect(finding).toBe('DOES_NOT_FIT');
    expect(description).toContain('a would not start; added up the host has room, but not where ');
    expect(description).toMatch(missing);
  });
});
