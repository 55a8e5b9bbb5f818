import { cacheStep, guestStep, makeHost, region, twoNodes } from '../test/host';
import { ReplayCancelled } from './errors';
import { replay } from './replay';
import type { HostModel, ReplayInput, ReplayResult, ReplayStep, RunningGuest } from './types';

const run = (host: HostModel, steps: ReplayStep[], over: Partial<ReplayInput> = {}) =>
  replay({ host, runningGuests: [], steps, seed: 1, verify: true, ...over });

const last = (result: ReplayResult) => result.steps.at(-1)!.snapshot;
const pagesOf = (result: ReplayResult, guest: string): number[] =>
  last(result)
    .guests.find(({ name }) => name === guest)!
    .pagesByNode.map(({ pages }) => pages);
const zrm = (value: number): ReplayStep => ({ op: 'sysctl', name: 'zone_reclaim_mode', value });
const ON0 = { mode: 'preferred' as const, nodes: [0] };

describe('preferred on a node full of cache', () => {
  it('spills at zone_reclaim_mode 0 and leaves the cache alone', () => {
    const result = run(twoNodes(), [cacheStep(30000, 0), zrm(0), guestStep('g', 8000, ON0)]);
    const [local, remote] = pagesOf(result, 'g');
    expect(remote).toBeGreaterThan(6000);
    expect(local! + remote!).toBe(8000);
    // A boost of one pageblock, raised by page tables that steal a block, is all that kswapd gives back.
    expect(last(result).nodes[0]!.lru.inactiveFilePages).toBeGreaterThan(30000 - 512 - 32);
    expect(result.totals.nodeReclaimedPages).toBe(0);
    const spill = result.steps[2]!.events.find(({ type }) => type === 'spill');
    expect(spill).toMatchObject({ guest: 'g', fromNode: 0, toNode: 1, zone: 'Normal' });
  });

  it('stays local at zone_reclaim_mode 1 and pays with cache', () => {
    const result = run(twoNodes(), [cacheStep(30000, 0), zrm(1), guestStep('g', 8000, ON0)]);
    expect(pagesOf(result, 'g')[0]).toBeGreaterThan(7700);
    expect(result.totals.nodeReclaimedPages).toBeGreaterThan(5000);
    expect(result.totals.stallNs).toBeGreaterThan(0);
    expect(last(result).vmstat.pgsteal_direct).toBe(result.totals.nodeReclaimedPages);
    expect(last(result).vmstat.allocstall_movable).toBeUndefined();
  });

  it('spills in mode 1 from a remote CPU', () => {
    const steps = [cacheStep(30000, 0), zrm(1), guestStep('g', 8000, ON0, { cpuNodes: [1] })];
    expect(pagesOf(run(twoNodes(), steps), 'g')[1]).toBeGreaterThan(6000);
  });

  it('reclaims its own node however far the others are', () => {
    const host = twoNodes();
    host.distances = [
      [10, 33],
      [33, 10],
    ];
    const steps = [cacheStep(30000, 0), zrm(1), guestStep('g', 8000, ON0)];
    expect(pagesOf(run(host, steps), 'g')[0]).toBeGreaterThan(7700);
  });

  it('mapped cache stays in mode 1 and goes in mode 7', () => {
    const mapped = cacheStep(30000, 0, { access: 'mapped', name: 'reader' });
    const at = (mode: number) =>
      pagesOf(run(twoNodes(), [mapped, zrm(mode), guestStep('g', 8000, ON0)]), 'g')[0]!;
    expect(at(1)).toBeLessThan(2500);
    expect(at(7)).toBeGreaterThan(7500);
  });

  it('min_unmapped_ratio keeps a floor under the cache', () => {
    const floor: ReplayStep = { op: 'sysctl', name: 'min_unmapped_ratio', value: 85 };
    const result = run(twoNodes(), [cacheStep(30000, 0), zrm(1), floor, guestStep('g', 8000, ON0)]);
    const kept = last(result).nodes[0]!.lru.inactiveFilePages;
    expect(kept).toBeGreaterThan(27500);
    expect(kept).toBeLessThanOrEqual(27852);
  });
});

describe('policies', () => {
  it('bind reclaims in the background instead of spilling', () => {
    const bind = { mode: 'bind' as const, nodes: [0] };
    const result = run(twoNodes(), [cacheStep(30000, 0), guestStep('g', 8000, bind)]);
    expect(pagesOf(result, 'g')).toEqual([8000, 0]);
    expect(result.totals.kswapdReclaimedPages).toBeGreaterThan(5000);
    expect(result.totals.oomKills).toBe(0);
  });

  it('bind counts as hit even far from the CPU', () => {
    const bind = { mode: 'bind' as const, nodes: [1] };
    const result = run(twoNodes(), [guestStep('g', 5000, bind)]);
    const { numastat } = last(result).nodes[1]!;
    expect([numastat.numaHit, numastat.numaMiss, numastat.otherNode]).toEqual([5000, 0, 5000]);
  });

  it('preferred that spills counts as miss there and foreign here', () => {
    const result = run(twoNodes(), [cacheStep(31900, 0), guestStep('g', 8000, ON0)]);
    const [home, other] = last(result).nodes;
    expect(other!.numastat.numaMiss).toBe(home!.numastat.numaForeign);
    expect(other!.numastat.numaMiss).toBeGreaterThan(7000);
  });

  it("interleave shares evenly, a full node's share goes to its neighbour", () => {
    const both = { mode: 'interleave' as const, nodes: [0, 1] };
    expect(pagesOf(run(twoNodes(), [guestStep('g', 10000, both)]), 'g')).toEqual([5000, 5000]);
    const full = run(twoNodes(), [cacheStep(31000, 0), guestStep('g', 10000, both)]);
    expect(pagesOf(full, 'g')[1]).toBeGreaterThan(9000);
    expect(last(full).nodes[0]!.lru.inactiveFilePages).toBeGreaterThan(31000 - 512 - 32);
  });

  it('preferred_many leaves its nodes only when they are full of what cannot go', () => {
    const zones = [{ name: 'Normal' as const, pages: 16384 }];
    const host = makeHost([0, 1, 2].map(() => ({ cpus: 1, zones })));
    const many = { mode: 'preferred_many' as const, nodes: [0, 2] };
    const cached = run(host, [
      cacheStep(15000, 0),
      cacheStep(15000, 2, { file: 'g' }),
      guestStep('g', 6000, many, { cpuNodes: [1] }),
    ]);
    expect(pagesOf(cached, 'g')[1]).toBe(0);
    const full = run(host, [guestStep('g', 40000, many, { cpuNodes: [1] })]);
    expect(pagesOf(full, 'g')[1]).toBeGreaterThan(5000);
  });

  it('a cpuset keeps a default-policy guest on its nodes', () => {
    const result = run(twoNodes(), [
      cacheStep(30000, 0),
      guestStep('g', 8000, { mode: 'default', nodes: [] }, { cpusetMems: [0] }),
    ]);
    expect(pagesOf(result, 'g')).toEqual([8000, 0]);
  });
});

describe('out of memory', () => {
  const bind = (node: number) => ({ mode: 'bind' as const, nodes: [node] });
  const kills = (result: ReplayResult) =>
    result.steps.flatMap(({ events }) => events.filter((event) => event.type === 'oom_kill'));

  it('kills the bound guest that outgrows its node', () => {
    const result = run(twoNodes(), [guestStep('g', 40000, bind(0))]);
    expect(kills(result)).toMatchObject([
      { victim: 'g', invokedBy: 'g', constraint: 'CONSTRAINT_MEMORY_POLICY' },
    ]);
    expect(result.steps[0]!.status).toBe('killed');
    expect(last(result).nodes[0]!.anonPages).toBe(0);
  });

  it('with mbind the biggest dies first, even on another node', () => {
    const steps = [
      guestStep('big', 25000, bind(1), { cpuNodes: [1] }),
      guestStep('small', 40000, bind(0)),
    ];
    expect(
      kills(run(twoNodes(), steps)).map((kill) => kill.type === 'oom_kill' && kill.victim),
    ).toEqual(expect.arrayContaining(['small']));
  });

  it('with a task policy a guest bound elsewhere is no candidate', () => {
    const task = { policyScope: 'task' as const };
    const steps = [
      guestStep('big', 31000, bind(1), { ...task, cpuNodes: [1] }),
      guestStep('small', 40000, bind(0), task),
    ];
    const result = run(twoNodes(), steps);
    expect(kills(result)).toMatchObject([{ victim: 'small' }]);
    expect(last(result).guests[0]!.alive).toBe(true);
  });

  it("a cpuset's exhaustion is CONSTRAINT_CPUSET, everything's is NONE", () => {
    const free = { mode: 'default' as const, nodes: [] };
    const cpuset = run(twoNodes(), [guestStep('g', 40000, free, { cpusetMems: [0] })]);
    expect(kills(cpuset)).toMatchObject([{ constraint: 'CONSTRAINT_CPUSET' }]);
    const all = run(twoNodes(), [guestStep('g', 80000, free)]);
    expect(kills(all)).toMatchObject([{ constraint: 'CONSTRAINT_NONE' }]);
  });

  it('swap prevents it, and pages come back when touched', () => {
    const result = run(twoNodes(), [
      { op: 'swapon', pages: 30000 },
      guestStep('g', 40000, bind(0)),
      { op: 'touch', name: 'g', cell: 0, offsetPages: 0, pages: 5000, access: 'read' },
    ]);
    expect(kills(result)).toEqual([]);
    expect(last(result).vmstat.pswpout).toBeGreaterThan(8000);
    expect(last(result).vmstat.pswpin).toBeGreaterThan(1000);
  });
});

describe('huge pages', () => {
  const always: ReplayStep = { op: 'thp', enabled: 'always' };

  it('serve a guest whole, once per 2 MiB in numastat', () => {
    const result = run(twoNodes(), [always, guestStep('g', 5120, ON0)]);
    const [guest] = last(result).guests;
    expect(guest!.hugePages).toBe(10);
    expect(last(result).vmstat.thp_fault_alloc).toBe(10);
    expect(last(result).nodes[0]!.numastat.numaHit).toBe(20);
  });

  it('without madvise never go remote; with it they do', () => {
    const at = (thp: 'none' | 'huge') =>
      last(run(twoNodes(), [always, cacheStep(31000, 0), guestStep('g', 5120, ON0, { thp })]))
        .guests[0]!.hugePages;
    expect(at('none')).toBeLessThan(2);
    expect(at('huge')).toBe(10);
  });
});

describe('running guests', () => {
  const running: RunningGuest = {
    name: 'r',
    regions: [region(6000, ON0)],
    oomScoreAdj: 0,
    overheadPages: 0,
    residency: [{ cell: 0, nodeId: 0, pages: 5000, hugePages: 2 }],
    swapPages: 0,
  };
  const used = () => {
    const host = twoNodes();
    const node = host.nodes[0]!;
    node.anonPages = 5200;
    node.lru.inactiveAnonPages = 5200;
    node.zones[0]!.freePages -= 5200;
    return host;
  };

  it('own pages that are not allocated again', () => {
    const result = run(used(), [], { runningGuests: [running] });
    expect(result.initial.guests[0]).toMatchObject({ alive: true, hugePages: 2 });
    expect(result.initial.guests[0]!.pagesByNode[0]!.pages).toBe(5000);
    expect(result.initial.nodes[0]!.zones[0]!.freePages).toBe(used().nodes[0]!.zones[0]!.freePages);
  });

  it('give them back when killed, and can be victims', () => {
    const bind = { mode: 'bind' as const, nodes: [0] };
    const result = run(used(), [{ op: 'kill', name: 'r' }], { runningGuests: [running] });
    expect(last(result).nodes[0]!.anonPages).toBe(200);
    const oom = run(used(), [guestStep('g', 28000, bind)], {
      runningGuests: [{ ...running, oomScoreAdj: 1000 }],
    });
    expect(oom.steps[0]!.events).toContainEqual(
      expect.objectContaining({ type: 'oom_kill', victim: 'r', invokedBy: 'g' }),
    );
    expect(oom.steps[0]!.status).toBe('ok');
  });

  const pinned = { ...running, regions: [region(6000, ON0, { pinned: true })] };
  const squeeze: ReplayStep[] = [
    { op: 'swapon', pages: 20000 },
    guestStep('g', 28500, { mode: 'bind', nodes: [0] }),
  ];

  it('own what a device pins, which stands on no list of locked pages, and keep it', () => {
    const result = run(used(), squeeze, { runningGuests: [pinned], verify: true });
    expect(result.initial.guests[0]!.pagesByNode[0]!.pages).toBe(5000);
    expect(result.initial.nodes[0]!.anonPages).toBe(5200);
    expect(last(result).swapUsedPages).toBeGreaterThan(0);
    expect(last(result).guests[0]).toMatchObject({ name: 'r', alive: true, swapPages: 0 });
    expect(pagesOf(result, 'r')[0]).toBe(5000);
  });

  it('own locked pages first, and the rest of what is pinned', () => {
    const host = used();
    const { lru } = host.nodes[0]!;
    lru.inactiveAnonPages -= 2000;
    lru.unevictablePages += 2000;
    const result = run(host, squeeze, { runningGuests: [pinned], verify: true });
    expect(result.initial.guests[0]!.pagesByNode[0]!.pages).toBe(5000);
    expect(result.initial.nodes[0]!.lru).toMatchObject({
      inactiveAnonPages: 200,
      unevictablePages: 5000,
    });
    expect(result.caveats.map(({ code }) => code)).not.toContain('residency-exceeds-lru');
  });

  it('residency beyond the LRU is left out and said', () => {
    const result = run(twoNodes(), [], { runningGuests: [running] });
    expect(result.caveats.map(({ code }) => code)).toContain('residency-exceeds-lru');
  });
});

describe('the replay itself', () => {
  it('refuses unknown nodes with a path', () => {
    const steps = [guestStep('g', 10, { mode: 'bind', nodes: [7] })];
    expect(() => run(twoNodes(), steps)).toThrow(
      expect.objectContaining({
        code: 'unknown-node',
        path: 'steps[0].guest.regions[0].policy.nodes[0]',
      }),
    );
  });

  it('refuses negative sizes and touches outside a region', () => {
    expect(() => run(twoNodes(), [guestStep('g', -1, ON0)])).toThrow(
      expect.objectContaining({ code: 'out-of-range' }),
    );
    const outside: ReplayStep = {
      op: 'touch',
      name: 'g',
      cell: 0,
      offsetPages: 5,
      pages: 10,
      access: 'write',
    };
    expect(() => run(twoNodes(), [guestStep('g', 10, ON0), outside])).toThrow(
      expect.objectContaining({ code: 'outside-region', path: 'steps[1]' }),
    );
  });

  it.each([
    ['compaction_proactiveness', 101],
    ['compact_unevictable_allowed', 2],
    ['extfrag_threshold', 1001],
  ] as const)('refuses %s above what the kernel takes', (name, value) => {
    expect(() => run(twoNodes(), [{ op: 'sysctl', name, value }])).toThrow(
      expect.objectContaining({ code: 'out-of-range', path: 'steps[0].value' }),
    );
    expect(() => run(twoNodes(), [{ op: 'sysctl', name, value: value - 1 }])).not.toThrow();
  });

  it('an unmodelled step changes nothing and is named', () => {
    const result = run(twoNodes(), [{ op: 'unmodelled', was: 'hugepages' }]);
    expect(result.steps[0]!.status).toBe('unmodelled');
    expect(result.steps[0]!.snapshot.nodes).toEqual(result.initial.nodes);
    expect(result.caveats.map(({ code }) => code)).toContain('unmodelled-hugepages');
  });

  it('can be cancelled, and reports progress up to 1', () => {
    const fractions: number[] = [];
    const input = {
      host: twoNodes(),
      runningGuests: [],
      steps: [guestStep('g', 5000, ON0)],
      seed: 1,
    };
    replay(input, { onProgress: ({ fraction }) => void fractions.push(fraction) });
    expect(fractions.at(-1)).toBe(1);
    expect(() => replay(input, { onProgress: () => false })).toThrow(ReplayCancelled);
  });

  it('ends in the step in which guests have waited longer than its limit', () => {
    const steps = [
      cacheStep(30000, 0),
      zrm(1),
      guestStep('g', 8000, ON0),
      guestStep('later', 100, ON0),
    ];
    const whole = run(twoNodes(), steps);
    const { stallNs } = whole.totals;
    expect(run(twoNodes(), steps, { stallLimitNs: stallNs })).toEqual(whole);
    const ended = run(twoNodes(), steps, { stallLimitNs: stallNs / 2 });
    expect(ended.steps.map(({ status }) => status)).toEqual(['ok', 'ok', 'stalled']);
    expect(ended.steps[2]!.pagesDone).toBeGreaterThan(0);
    expect(ended.steps[2]!.pagesDone).toBeLessThan(8000);
    expect(ended.totals.stallNs).toBeGreaterThan(stallNs / 2);
    expect(ended.totals.stallNs).toBeLessThan(stallNs);
    expect(() => run(twoNodes(), steps, { stallLimitNs: -1 })).toThrow('stallLimitNs');
    expect(() => run(twoNodes(), steps, { stallLimitNs: NaN })).toThrow('stallLimitNs');
  });

  it.each([
    ['preferred', ON0],
    ['interleave', { mode: 'interleave' as const, nodes: [0] }],
  ])('ends within a block whose pages all wait for long (%s)', (_, policy) => {
    const steps = [cacheStep(30000, 0), zrm(1), guestStep('g', 25000, policy)];
    const shares = (input: Partial<ReplayInput>) => {
      const { steps: done, totals } = run(twoNodes(), steps, input);
      const { status, pagesDone, snapshot } = done[2]!;
      const resident = snapshot.guests[0]!.regions[0]!.pagesByNode;
      const residentPages = resident.reduce((sum, { pages }) => sum + pages, 0);
      return { status, pagesDone, residentPages, stallNs: totals.stallNs };
    };
    const { stallNs } = shares({});
    const limits = [0.1, 0.2, 0.3, 0.4, 0.5, 0.6].map((share) => stallNs * share);
    for (const stallLimitNs of limits) {
      const ended = shares({ stallLimitNs });
      expect(ended.status).toBe('stalled');
      expect(ended.pagesDone).toBe(ended.residentPages);
      // One reclaim more than it may be.
      expect(ended.stallNs).toBeLessThan(stallLimitNs + stallNs / 20);
    }
    const inBlocks = limits.filter((stallLimitNs) => shares({ stallLimitNs }).pagesDone % 512 > 0);
    expect(inBlocks.length).toBeGreaterThan(0);
  });

  it('marks given by the host stay until something recomputes them', () => {
    const host = twoNodes();
    host.nodes[0]!.zones[0]!.lowPages += 7;
    host.nodes[0]!.zones[0]!.highPages += 7;
    const result = run(host, [
      zrm(1),
      { op: 'sysctl', name: 'min_free_kbytes', value: host.sysctl.min_free_kbytes },
    ]);
    const low = (n: number) => result.steps[n]!.snapshot.nodes[0]!.zones[0]!.lowPages;
    expect(low(0)).toBe(host.nodes[0]!.zones[0]!.lowPages);
    expect(low(1)).toBe(low(0) - 7);
  });

  it('drop_caches, free and swapoff give back what they say', () => {
    const result = run(twoNodes(), [
      cacheStep(5000, 0),
      guestStep('g', 4096, ON0),
      { op: 'free', name: 'g', cell: 0, offsetPages: 0, pages: 1024, stepPages: 0, keepPages: 0 },
      { op: 'drop_caches' },
    ]);
    expect(pagesOf(result, 'g')).toEqual([3072, 0]);
    expect(last(result).nodes[0]!.filePages).toBe(0);
  });
});
