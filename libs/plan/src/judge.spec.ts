import { host as hostModel } from '../../advisor/test/builders';
import { compareVerdicts } from './compare-verdicts';
import { judgePlan, type JudgeHereOptions } from './judge';
import type { PlanDocument } from './plan-document';
import type { GateVerdict } from './verdict';
import { twoNodes } from './test/two-nodes';

const host = (name: string, path = '/hosts/0') => ({
  name,
  path,
  host: twoNodes(),
});
const strict = { mode: 'strict' as const, nodeset: '0' };

function document(over: Partial<PlanDocument> = {}): PlanDocument {
  return {
    hosts: [host('kvm1')],
    guests: [{ name: 'a', flavour: 'bound', path: '/guests/0' }],
    flavours: {
      bound: { memoryMib: 200, numatune: strict, cpuset: '0-1' },
      free: { memoryMib: 200 },
    },
    ...over,
  };
}

const options: JudgeHereOptions = { today: '2027-01-01', modelVersion: '0.1.0' };

function judged(
  over: Partial<PlanDocument> = {},
  more: Partial<JudgeHereOptions> = {},
): GateVerdict {
  const outcome = judgePlan(document(over), { ...options, ...more });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
}

function problems(over: Partial<PlanDocument>): string[] {
  const outcome = judgePlan(document(over), options);
  return outcome.ok ? [] : outcome.problems.map(({ code, path }) => `${code} ${path}`);
}

const three = [{ name: 'a', flavour: 'bound', count: 3, path: '/guests/0' }];

describe('a verdict', () => {
  it('passes a plan that breaks no rule, and is the same again', () => {
    const verdict = judged();
    expect(verdict).toMatchObject({ verdict: 'pass', findings: [], seed: 1, idleHosts: [] });
    expect(verdict.hosts[0]).toMatchObject({ name: 'kvm1', verdict: 'pass', replays: 1 });
    expect(judged()).toEqual(verdict);
  });

  it('hashes what the plan says, in whatever order it is written', () => {
    const { planSha256 } = judged();
    const flavours = {
      free: { memoryMib: 200 },
      bound: { cpuset: '0-1', ...document().flavours?.bound },
    };
    expect(judged({ flavours: flavours as PlanDocument['flavours'] }).planSha256).toBe(planSha256);
    expect(judged({ seed: 2 }).planSha256).not.toBe(planSha256);
  });

  it('hashes the fail level in force, wherever it was said', () => {
    const usual = judged().planSha256;
    const strict = judged({ failLevel: 'warning' }).planSha256;
    expect(strict).not.toBe(usual);
    expect(judged({}, { failLevel: 'warning' }).planSha256).toBe(strict);
    expect(judged({ failLevel: 'warning' }, { failLevel: 'error' }).planSha256).toBe(usual);
    expect(judged({ failLevel: 'error' }).planSha256).toBe(usual);
  });

  it('fails a node that fills before the host does, although adding up accepts the plan', () => {
    const verdict = judged({ guests: three });
    expect(verdict.verdict).toBe('fail');
    expect(verdict.hosts[0]?.accounting).toMatchObject({ plannedMib: 600, fits: true });
    expect(verdict.findings.map(({ rule, host: where }) => `${rule} ${where}`)).toEqual([
      expect.stringMatching(/^ZW00[12] kvm1$/),
    ]);
  });

  it('replays hosts once that differ in nothing but the names of their guests', () => {
    const hosts = ['kvm1', 'kvm2', 'kvm3'].map((name, i) => host(name, `/hosts/${i}`));
    const guests = [
      { name: 'a', flavour: 'bound', count: 3, path: '/guests/0' },
      { name: 'node', flavour: 'bound', count: 3, path: '/guests/1' },
      { name: 'c', flavour: 'bound', path: '/guests/2' },
    ];
    const assignments = { kvm1: ['a'], kvm2: ['node'], kvm3: ['c'] };
    const seen: string[] = [];
    const onHost = (name: string): number => seen.push(name);
    const verdict = judged(
      { hosts, guests, assignments, demand: { startOrder: ['node-2'] } },
      { onHost },
    );
    expect(seen).toEqual(['kvm1', 'kvm2', 'kvm3']);
    const alike = judged({ hosts, guests, assignments }, { onHost });
    expect(seen.slice(3)).toEqual(['kvm1', 'kvm3']);
    expect(alike.hosts.map(({ sameAs }) => sameAs)).toEqual([undefined, 'kvm1', undefined]);
    const [first, second] = alike.hosts;
    expect(second?.outcome.guests.map(({ name }) => name)).toEqual(['node-1', 'node-2', 'node-3']);
    expect(second?.outcome.stateHash).toBe(first?.outcome.stateHash);
    const messages = (name: string): string[] =>
      alike.findings.filter((one) => one.host === name).map(({ message }) => message);
    expect(messages('kvm1')[0]).toMatch(/\ba-[12]\b/);
    expect(messages('kvm2')).toEqual(
      messages('kvm1').map((text) => text.replace(/\ba-/g, 'node-')),
    );
    expect(JSON.stringify([verdict, alike])).not.toContain('zw/');
  });

  it('assumes no setting that the plan gives', () => {
    const assumed = (over: Partial<PlanDocument>): string[] =>
      judged(over).hosts.flatMap(({ caveats }) =>
        caveats.flatMap(({ code }) => (code === 'zone-reclaim-mode-assumed' ? [code] : [])),
      );
    const sysctl = { zone_reclaim_mode: 0 };
    expect(assumed({})).toHaveLength(1);
    expect(assumed({ sysctl: { swappiness: 10 } })).toHaveLength(1);
    expect(assumed({ sysctl })).toEqual([]);
    expect(assumed({ hosts: [{ ...host('kvm1'), sysctl }] })).toEqual([]);
  });

  it('passes the same guests without numatune', () => {
    const guests = [{ name: 'a', flavour: 'free', count: 3, path: '/guests/0' }];
    expect(judged({ guests }).verdict).toBe('pass');
  });
});

describe('several hosts', () => {
  const hosts = [host('kvm1'), host('kvm2', '/hosts/1'), host('spare', '/hosts/2')];

  it('are judged each by itself; a host without guests is not replayed', () => {
    const seen: string[] = [];
    const onHost = (name: string, done: number, count: number): void => {
      seen.push(`${name} ${done} of ${count}`);
    };
    const guests = [...three, { name: 'b', flavour: 'bound', path: '/guests/1' }];
    const assignments = { kvm1: ['a'], kvm2: ['b'] };
    const verdict = judged({ hosts, guests, assignments }, { onHost });
    expect(verdict.hosts.map((one) => `${one.name} ${one.verdict}`)).toEqual([
      'kvm1 fail',
      'kvm2 pass',
    ]);
    expect(verdict.idleHosts).toEqual(['spare']);
    expect(seen).toEqual(['kvm1 0 of 2', 'kvm2 1 of 2']);
  });

  it.each<[string, Partial<PlanDocument>, string[]]>([
    ['no assignments', { hosts }, ['plan-assignments ']],
    [
      'an unknown host',
      { hosts, assignments: { kvm9: ['a'] } },
      ['unknown-host /assignments/kvm9', 'not-assigned /guests/0'],
    ],
    [
      'an unknown guest',
      { hosts, assignments: { kvm1: ['a', 'x'] } },
      ['unknown-guest /assignments/kvm1/1'],
    ],
    [
      'a guest on two hosts',
      { hosts, assignments: { kvm1: ['a'], kvm2: ['a'] } },
      ['assigned-twice /assignments/kvm2/0'],
    ],
    ['a host twice', { hosts: [host('x'), host('x', '/hosts/1')] }, ['duplicate-host /hosts/1']],
    [
      'a guest twice',
      { guests: [...document().guests, { name: 'a', flavour: 'free', path: '/guests/1' }] },
      ['duplicate-domain /guests/1'],
    ],
    [
      'an unknown flavour',
      { guests: [{ name: 'a', flavour: 'bond', path: '/guests/0' }] },
      ['unknown-flavour /guests/0/flavour'],
    ],
    ['no name', { guests: [{ flavour: 'free', path: '/guests/0' }] }, ['plan-guest /guests/0']],
    [
      'a demand of nobody',
      { demand: { startOrder: ['z'] } },
      ['unknown-guest /demand/startOrder/0'],
    ],
    [
      'a policy without its limit',
      { policies: { 'remote-share': {} } },
      ['invalid-policy /policies/remote-share'],
    ],
    [
      'a waiver of no rule and no day',
      { waivers: [{ rule: 'ZW999', reason: 'r', expires: '2027-02-30' }] },
      ['unknown-rule /waivers/0/rule', 'invalid-day /waivers/0/expires'],
    ],
    [
      'a node that the host lacks',
      {
        flavours: { bound: { memoryMib: 1, numatune: { mode: 'strict', nodeset: '7' } } },
      },
      ['unknown-host-node /guests/0'],
    ],
    [
      'a pool on a node that the host lacks',
      { hosts: [{ ...host('kvm1'), hugepages: [{ node: 7, count: 1 }] }] },
      ['unknown-node /hosts/0/hugepages/0/node'],
    ],
  ])('%s cannot be judged', (_what, over, expected) => {
    expect(problems(over)).toEqual(expected);
  });

  it('suggests the name that was probably meant', () => {
    const outcome = judgePlan(document({ hosts, assignments: { kmv1: ['a'] } }), options);
    expect(outcome.ok ? '' : outcome.problems[0]?.message).toContain('Did you mean "kvm1"?');
  });
});

describe('assignments: auto', () => {
  const hosts = [host('kvm1'), host('kvm2', '/hosts/1')];
  const sizes = { bound: { memoryMib: 300 }, free: { memoryMib: 2000 } };
  const auto = (guests: PlanDocument['guests']) => ({
    ...{ hosts, guests, flavours: sizes, assignments: 'auto' as const },
  });

  it('places the guests, binds them, and judges the hosts as it placed them', () => {
    const verdict = judged(auto([{ name: 'a', flavour: 'bound', count: 3, path: '/guests/0' }]));
    expect(verdict).toMatchObject({ verdict: 'pass', findings: [] });
    expect(verdict.placements?.map(({ guest }) => guest).sort()).toEqual(['a-1', 'a-2', 'a-3']);
    for (const { name, outcome } of verdict.hosts) {
      const own = verdict.placements?.filter((each) => each.host === name) ?? [];
      expect(outcome.guests.map(({ name: guest }) => guest)).toEqual(own.map(({ guest }) => guest));
      expect(outcome.guests.map(({ mode }) => mode)).toEqual(own.map(() => 'strict'));
    }
  });

  it('fails a guest that no host takes, at its place in the plan', () => {
    const verdict = judged(
      auto([
        { name: 'a', flavour: 'bound', path: '/guests/0' },
        { name: 'huge', flavour: 'free', count: 1, path: '/guests/1' },
      ]),
    );
    expect(verdict.verdict).toBe('fail');
    expect(verdict.findings).toMatchObject([
      { rule: 'ZW002', guest: 'huge-1', host: '', place: { path: '/guests/1' } },
    ]);
    const alone = judged(auto([{ name: 'huge', flavour: 'free', path: '/guests/0' }]));
    expect([alone.verdict, alone.hosts.length]).toEqual(['fail', 0]);
  });

  it('places guests on the pools of huge pages that the plan makes', () => {
    const pools = [{ node: 1, count: 48 }];
    const verdict = judged({
      hosts: [host('kvm1'), { ...host('kvm2', '/hosts/1'), hugepages: pools }],
      flavours: { pooled: { memoryMib: 64, hugepagesKib: 2048 } },
      guests: [{ name: 'a', flavour: 'pooled', count: 2, path: '/guests/0' }],
      assignments: 'auto',
    });
    expect(verdict.placements).toMatchObject([{ guest: 'a-1', host: 'kvm2', hostNodes: [1] }]);
    expect(verdict.findings).toMatchObject([{ rule: 'ZW002', guest: 'a-2', host: '' }]);
    expect(verdict.findings[0]?.message).toContain('16 free huge pages of 2048 KiB');
  });

  describe('keeps what the policies forbid', () => {
    const cached = {
      ...{ name: 'cached', path: '/hosts/0', sysctl: { zone_reclaim_mode: 1 } },
      host: { model: hostModel([{ mib: 1024, cacheMib: 700, cpus: [0, 1, 2, 3] }]) },
    };
    const empty = {
      ...{ name: 'empty', path: '/hosts/1' },
      host: { model: hostModel([0, 1].map((n) => ({ mib: 1024, cpus: [2 * n, 2 * n + 1] }))) },
    };
    const placing = (over: Partial<PlanDocument>, more: Partial<JudgeHereOptions> = {}): string => {
      const plan = {
        ...{ hosts: [cached, empty], flavours: { large: { memoryMib: 700 } } },
        guests: [{ name: 'a', flavour: 'large', path: '/guests/0' }],
        assignments: 'auto' as const,
      };
      const { verdict, hosts: used } = judged({ ...plan, ...over }, more);
      return `${verdict} ${used.map(({ name }) => name).join(' ')}`;
    };

    it('in the words of policies as in those of limits', () => {
      expect(placing({})).toBe('pass cached');
      expect(placing({ limits: { maxStallMs: 0 } })).toBe('pass empty');
      expect(placing({ policies: { stall: { maxMs: 0 } } })).toBe('pass empty');
    });

    it('from the fail level on, and a policy before a limit', () => {
      const policies = { stall: { maxMs: 0, severity: 'warning' as const } };
      expect(placing({ policies })).toBe('pass cached');
      expect(placing({ policies, failLevel: 'warning' })).toBe('pass empty');
      expect(placing({ policies }, { failLevel: 'warning' })).toBe('pass empty');
      expect(placing({ policies, limits: { maxStallMs: 0 } })).toBe('pass cached');
      const off = { stall: { severity: 'off' as const } };
      expect(placing({ policies: off, limits: { maxStallMs: 0 } })).toBe('pass cached');
    });
  });

  it('leaves running guests where they are', () => {
    const guests = [{ name: 'a', flavour: 'bound', state: 'running' as const, path: '/guests/0' }];
    expect(problems(auto(guests))).toEqual(['plan-guest /guests/0']);
  });
});

describe('rules with a limit', () => {
  it('margin: the percent that holds, found by bisection', () => {
    // 480 MiB are free on the node, marks included: twice 200 MiB fit, and do not with half as much again.
    const guests = [{ name: 'a', flavour: 'bound', count: 2, path: '/guests/0' }];
    const verdict = judged({ guests, policies: { margin: { minPercent: 50 } } });
    const [host1] = verdict.hosts;
    const flips = host1?.margin?.flipsAtPercent ?? 0;
    expect(flips).toBeGreaterThan(1);
    expect(host1?.margin?.holdsPercent).toBe(flips - 1);
    expect(verdict.findings[0]).toMatchObject({ rule: 'ZW006', found: flips - 1, limit: 50 });
    const lower = judged({ guests, policies: { margin: { minPercent: flips - 1 } } });
    expect(lower).toMatchObject({ verdict: 'pass', findings: [] });
    expect(lower.hosts[0]?.margin).toMatchObject({ flipsAtPercent: null });
  });

  it('headroom: on each node for itself', () => {
    const headroom = { minMib: 350, perNode: true };
    const verdict = judged({ policies: { headroom } });
    expect(verdict.hosts[0]?.headroom).toMatchObject([
      { node: 0, fits: false },
      { node: 1, fits: true, gotMib: 350 },
    ]);
    expect(verdict.findings).toMatchObject([{ rule: 'ZW007', node: 0, limit: 350 }]);
    expect(judged({ policies: { headroom: { minMib: 350 } } }).verdict).toBe('pass');
  });

  it('unverified kernel: a warning, unless the plan says otherwise', () => {
    const hosts = [host('kvm1')].map((one) => ({
      ...one,
      host: twoNodes('4.18.0-553.el8.x86_64'),
    }));
    const verdict = judged({ hosts });
    expect(verdict).toMatchObject({ verdict: 'pass', findings: [{ rule: 'ZW008' }] });
    expect(judged({ hosts }, { failLevel: 'warning' }).verdict).toBe('fail');
    const policies = { 'unverified-kernel': { severity: 'off' as const } };
    expect(judged({ hosts, policies }).findings).toEqual([]);
  });

  it('pool of huge pages: what the node can make', () => {
    const pools = (count: number) => [{ ...host('kvm1'), hugepages: [{ node: 1, count }] }];
    expect(judged({ hosts: pools(16) }).verdict).toBe('pass');
    const [finding] = judged({ hosts: pools(400) }).findings;
    expect(finding).toMatchObject({ rule: 'ZW009', node: 1, limit: 400, unit: 'pages' });
    expect(finding?.found).toBeLessThan(256);
  });
});

describe('guests on huge pages', () => {
  const pooled = (nodeset: string) => ({
    memoryMib: 64,
    hugepagesKib: 2048 as const,
    numatune: { mode: 'strict' as const, nodeset },
  });
  const guests = [
    { name: 'a', flavour: 'one', path: '/guests/0' },
    { name: 'b', flavour: 'one', path: '/guests/1' },
  ];
  // 48 pages of 2 MiB on node 1: a's 32 fit, of b's 32 only 16.
  const hosts = [{ ...host('kvm1'), hugepages: [{ node: 1, count: 48 }] }];

  it('do not start when the pool of their node is used up, in the order of the start', () => {
    const over = { hosts, guests, flavours: { one: pooled('1') } };
    const verdict = judged(over);
    expect(verdict.findings).toMatchObject([{ rule: 'ZW002', guest: 'b' }]);
    expect(verdict.findings[0]?.message).toContain(
      'b does not start: it needs 32 huge pages of 2048 KiB from node 1, and 16 are free there',
    );
    const reversed = judged({ ...over, demand: { startOrder: ['b', 'a'] } });
    expect(reversed.findings).toMatchObject([{ rule: 'ZW002', guest: 'a' }]);
  });

  it('take nothing from nodes that they are not bound to', () => {
    const verdict = judged({ hosts, guests, flavours: { one: pooled('0') } });
    expect(verdict.findings.map(({ guest }) => guest)).toEqual(['a', 'b']);
  });
});

describe('waivers', () => {
  const waiver = { rule: 'ZW002', host: 'kvm1', reason: 'retired soon', expires: '2027-06-30' };
  const waivers = [waiver, { ...waiver, rule: 'ZW001' }];

  it('take findings out of the verdict until they expire', () => {
    const before = judged({ guests: three, waivers });
    expect(before.verdict).toBe('pass');
    expect(before.findings[0]?.waived).toEqual({ reason: 'retired soon', expires: '2027-06-30' });
    expect(before.waivers.map(({ state }) => state).sort()).toEqual(['applied', 'unused']);
    const after = judged({ guests: three, waivers }, { today: '2027-07-01' });
    expect(after.verdict).toBe('fail');
    expect(after.findings.filter(({ rule }) => rule === 'ZW010')).toHaveLength(2);
  });
});

it('a comparison says what came, what went and which host is better', () => {
  const worse = judged({ guests: three });
  const better = judged();
  const difference = compareVerdicts(worse, better);
  expect(difference.verdict).toEqual({ before: 'fail', after: 'pass' });
  expect([difference.added.length, difference.gone.length]).toEqual([0, 1]);
  expect(difference.hosts).toMatchObject([{ name: 'kvm1', change: 'better', after: { dead: 0 } }]);
  expect(compareVerdicts(better, worse).hosts[0]?.change).toBe('worse');
  expect(compareVerdicts(better, better).hosts[0]?.change).toBe('same');
});
