import { compareVerdicts } from './compare-verdicts';
import { judgePlan } from './judge';
import type { PlanDocument } from './plan-document';
import type { Difference, GateVerdict, HostVerdict } from './verdict';
import { twoNodes } from './test/two-nodes';

const strict = (nodeset: string) => ({ mode: 'strict' as const, nodeset });
const host = (over: object = {}) => ({ name: 'kvm1', path: '/hosts/0', host: twoNodes(), ...over });
const guests = (count: number, flavour = 'bound') => [
  { name: 'a', flavour, count, path: '/guests/0' },
];

function judged(over: Partial<PlanDocument>): GateVerdict {
  const document: PlanDocument = {
    hosts: [host()],
    guests: guests(1),
    flavours: {
      bound: { memoryMib: 200, numatune: strict('0'), cpuset: '0-1' },
      away: { memoryMib: 200, numatune: strict('0'), cpuset: '2-3' },
      pooled: { memoryMib: 64, hugepagesKib: 2048, numatune: strict('1') },
    },
    ...over,
  };
  const outcome = judgePlan(document, { today: '2027-01-01', modelVersion: '0' });
  if (!outcome.ok) throw new Error(JSON.stringify(outcome.problems));
  return outcome.value;
}

/** The verdict with other figures of its host. */
function changed(verdict: GateVerdict, change: (host: HostVerdict) => void): GateVerdict {
  const copy = structuredClone(verdict);
  copy.hosts.forEach(change);
  return copy;
}

function hostOf(before: GateVerdict, after: GateVerdict): Difference['hosts'][number] {
  const [found, ...others] = compareVerdicts(before, after).hosts;
  expect(others).toEqual([]);
  return found!;
}

/** Holds a change against its reverse too. */
function expectWorse(before: GateVerdict, after: GateVerdict, by: string): void {
  expect(hostOf(before, after)).toMatchObject({ change: 'worse', by });
  expect(hostOf(after, before)).toMatchObject({ change: 'better', by });
}

function expectSame(before: GateVerdict, after: GateVerdict): void {
  for (const found of [hostOf(before, after), hostOf(after, before)]) {
    expect(found.change).toBe('same');
    expect(found).not.toHaveProperty('by');
  }
}

const noted = (minPercent: number) => ({ margin: { minPercent, severity: 'note' as const } });
const plain = judged({});

describe('a host is worse', () => {
  it('that passed and fails, by whatever rule', () => {
    const pools = (count: number) => judged({ hosts: [host({ hugepages: [{ node: 1, count }] })] });
    expect(pools(400).findings.map(({ rule }) => rule)).toEqual(['ZW009']);
    expectWorse(pools(16), pools(400), 'verdict');
    const margin = (minPercent: number) =>
      judged({ guests: guests(2), policies: { margin: { minPercent } } });
    expect(margin(50).findings.map(({ rule }) => rule)).toEqual(['ZW006']);
    expectWorse(margin(2), margin(50), 'verdict');
  });

  it('that fails by one rule more', () => {
    const before = judged({ guests: guests(3) });
    const policies = { margin: { minPercent: 10 } };
    expectWorse(before, judged({ guests: guests(3), policies }), 'findings');
  });

  it('that loses more guests, when one finding came and another went', () => {
    const three = judged({ guests: guests(3) });
    const other = changed(three, ({ outcome }) => outcome.failedStarts.push('b', 'c'));
    for (const finding of other.findings) finding.guest = 'b';
    expectWorse(three, other, 'dead');
  });

  it('whose guests have more memory on other nodes', () => {
    const away = judged({ guests: guests(1, 'away') });
    expect(hostOf(plain, away)).toMatchObject({
      before: { remoteShare: 0 },
      after: { remoteShare: 1 },
    });
    expectWorse(plain, away, 'remote');
  });

  it('whose guests may grow less', () => {
    const [one, two] = [1, 2].map((count) =>
      judged({ guests: guests(count), policies: noted(50) }),
    ) as [GateVerdict, GateVerdict];
    expect(hostOf(one, two).before?.marginPercent).toBe(50);
    expect(hostOf(one, two).after?.marginPercent).toBeLessThan(50);
    expectWorse(one, two, 'margin');
  });

  it('that has less room for one more guest', () => {
    const policies = { headroom: { minMib: 200, perNode: true, severity: 'note' as const } };
    const [one, two] = [1, 2].map((count) => judged({ guests: guests(count), policies })) as [
      GateVerdict,
      GateVerdict,
    ];
    expectWorse(one, two, 'headroom');
  });

  it('that swaps, or lets guests wait longer, before memory on other nodes is asked for', () => {
    const better = (one: HostVerdict): void => void (one.outcome.remoteShare = 0);
    const away = judged({ guests: guests(1, 'away') });
    const swapping = changed(away, (one) => {
      better(one);
      one.outcome.swappedOutPages += 1;
    });
    expectWorse(away, swapping, 'swap');
    const waiting = changed(away, (one) => {
      better(one);
      one.outcome.stallNs += 200_000;
    });
    expectWorse(away, waiting, 'stall');
  });

  it('that breaks one more rule that does not fail the plan', () => {
    const old = judged({ hosts: [host({ host: twoNodes('4.18.0-553.el8.x86_64') })] });
    const known = structuredClone(old);
    known.findings = [];
    expectWorse(known, old, 'findings');
  });
});

describe('a host is the same', () => {
  it('whose margin was asked for on one side only', () => {
    const asked = judged({ guests: guests(2), policies: noted(50) });
    expectSame(
      asked,
      changed(asked, (one) => delete one.margin),
    );
  });

  it('whose margin was looked for less far', () => {
    const far = { holdsPercent: 30, flipsAtPercent: 31, testedPercent: 50 };
    const near = { holdsPercent: 10, flipsAtPercent: null, testedPercent: 10 };
    const wide = changed(plain, (one) => void (one.margin = far));
    expectSame(
      wide,
      changed(plain, (one) => void (one.margin = near)),
    );
    const tight = { ...near, flipsAtPercent: 11 };
    expectWorse(
      wide,
      changed(plain, (one) => void (one.margin = tight)),
      'margin',
    );
  });

  it('whose waits differ by less than is printed', () => {
    expectSame(
      plain,
      changed(plain, ({ outcome }) => void (outcome.stallNs += 99_999)),
    );
  });
});

it('a guest that its pool cannot serve is not started, and not killed', () => {
  const pooled = (count: number) =>
    judged({
      hosts: [host({ hugepages: [{ node: 1, count: 48 }] })],
      guests: guests(count, 'pooled'),
    });
  expect(hostOf(pooled(1), pooled(2))).toMatchObject({
    ...{ change: 'worse', by: 'verdict' },
    before: { dead: 0, notStarted: 0 },
    after: { dead: 1, notStarted: 1 },
  });
});
