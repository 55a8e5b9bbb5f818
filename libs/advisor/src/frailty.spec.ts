import { host, planned } from '../test/builders';
import { advise } from './advise';
import { besideAsAsked, type Frailty } from './frailty';
import { judgeOf } from './objective';
import type { AdviceRequest, Outcome } from './types';

/** Guest a may use node 0 alone, where it fits as asked and does not with 20 % more memory. */
const tight: AdviceRequest = {
  host: host([{ mib: 512 }, { mib: 512 }]),
  guests: [
    planned('a', 450, 0, {
      numatune: { mode: 'strict', nodeset: [0] },
      region: { policy: { mode: 'bind', nodes: [0] }, cpusetMems: [0] },
    }),
    planned('b', 100, 1),
  ],
  ...{ demand: {}, seed: 1 },
};

test('what only a variation takes from the setting as it is is the finding, with the figures of that variation', () => {
  const { finding, priority, description, primaryImpact, evidence } = advise(tight);
  const grown = evidence.robustness.finalists.find(({ id }) => id === evidence.baseline.id);
  expect(evidence.baseline.outcome.guests.map(({ oomKilled }) => oomKilled)).toEqual([
    ...[false, false],
  ]);
  expect(grown?.outcomes.find(({ variation }) => variation === 'growth-20')?.kills).toBe(1);
  expect(evidence.advised.numatune).toEqual({ a: { mode: 'preferred', nodeset: [0] } });
  expect([finding, priority]).toEqual(['OOM_RISK', 'P2']);
  expect(description).toMatch(
    /^With 20 % more guest memory a would be killed\. That is with the setting as it is; with a preferred on node 0 nobody is killed\. As asked: Remote guest memory: 0 % -> 0 %\./,
  );
  expect(primaryImpact).toMatchObject({ measure: 'guests-killed', before: 1, after: 0 });
  expect(primaryImpact.description).toBe(
    'With 20 % more guest memory: Guests killed or not started: 1 guests -> 0 guests.',
  );
  expect(evidence.baseline.whyNot).toBe('With 20 % more guest memory a would be killed.');
});

test('where the plan does not fit, advice that loses as many as asked says what variations tell it by', () => {
  const full: AdviceRequest = {
    ...tight,
    guests: [...tight.guests, planned('c', 900, 1)],
  };
  const { finding, description, evidence } = advise(full);
  expect(finding).toBe('DOES_NOT_FIT');
  const lost = ({ outcome }: typeof evidence.advised): number =>
    outcome.guests.filter(({ oomKilled }) => oomKilled).length;
  expect(lost(evidence.advised)).toBe(lost(evidence.baseline));
  expect(description).toContain(
    'is no way to run the plan, it only does better when things come otherwise. As it is: With 10 % more guest memory a and c would be killed.',
  );
});

test('guests that likely variations kill come before what is better as asked behind them', () => {
  const strict = {
    numatune: { mode: 'strict' as const, nodeset: [0] },
    region: { policy: { mode: 'bind' as const, nodes: [0] }, cpusetMems: [0] },
  };
  const content = advise({
    ...tight,
    host: host([{ mib: 1024 }, { mib: 1024 }]),
    guests: [planned('a', 470, 0, strict), planned('b', 470, 0, strict)],
  });
  const { baseline, advised } = content.evidence;
  // As asked nobody is killed and the fullest node gets more room.
  expect(baseline.outcome.oomKills).toEqual([]);
  expect(advised.outcome.headroomShare).toBeGreaterThan(baseline.outcome.headroomShare + 0.1);
  expect([content.finding, content.priority]).toEqual(['OOM_RISK', 'P2']);
  const killed = /^With 10 % more guest memory [ab] would be killed\./;
  expect(content.description).toMatch(killed);
  expect(baseline.whyNot).toMatch(killed);
  expect(content.primaryImpact).toMatchObject({ measure: 'guests-killed', before: 1, after: 0 });
});

test('no variation is named for memory that is further as asked already, and a share that says the opposite is not the reason', () => {
  const free = (name: string): AdviceRequest['guests'][number] => ({
    ...planned(name, 128, 0, {
      numatune: { mode: 'none', nodeset: [] },
      region: { policy: { mode: 'interleave', nodes: [0, 1] }, cpuNodes: [0, 1] },
    }),
    cpusPinned: false,
  });
  const { finding, evidence } = advise({
    ...tight,
    host: host([{ mib: 1024 }, { mib: 1024 }]),
    guests: [free('a'), free('b'), free('c')],
  });
  expect(finding).toBe('REMOTE_MEMORY');
  const further = evidence.alternatives.filter(({ outcome }) => outcome.remoteCost > 0.5);
  expect(further.length).toBeGreaterThan(2);
  for (const { whyNot, outcome } of further) {
    expect(outcome.remoteShare).toBe(0);
    expect(whyNot).toBe(
      `The guests' memory is on average 0.550 of the local distance further from their vCPUs than local memory, against 0.000; ` +
        `where a guest's vCPUs run on several nodes, none of its memory there counts as remote.`,
    );
  }
});

describe('what as asked comes before a variation', () => {
  const outcome = (over: Partial<Outcome>): Outcome =>
    ({
      ...{ guests: [], nodes: [], oomKills: [], failedStarts: [], headroomShare: 0.5 },
      ...{ remoteShare: 0, remoteCost: 0, swappedOutPages: 0, cacheLostPages: 0, stallNs: 0 },
      ...over,
    }) as unknown as Outcome;
  const best = outcome({});
  const judge = judgeOf(tight.host);
  const found = (loses: boolean): Frailty => ({
    ...{ why: 'why.', loses, objective: loses ? 'kills' : 'remote', condition: 'With' },
    ...{ frail: best, better: best },
  });
  const told = (loses: boolean, loser: Outcome, by = judge): boolean =>
    besideAsAsked(found(loses), loser, best, by) !== undefined;

  test.each([
    ['guests killed', outcome({ oomKills: ['a'] }), false, false],
    ['swap', outcome({ swappedOutPages: 1e4 }), true, false],
    ['remote memory', outcome({ remoteCost: 0.1 }), true, false],
    ['headroom', outcome({ headroomShare: 0.1 }), true, true],
    ['nothing', best, true, true],
  ])('%s', (_, loser, besideGuests, besideMemory) => {
    expect([told(true, loser), told(false, loser)]).toEqual([besideGuests, besideMemory]);
  });

  test('nothing that is better as asked does', () => {
    expect(besideAsAsked(found(false), best, outcome({ remoteCost: 0.1 }), judge)).toBeDefined();
  });

  test('weights are the whole order behind guests', () => {
    const weighed = { ...judge, weights: { headroom: 1 } };
    const loser = outcome({ headroomShare: 0.1 });
    expect([told(true, loser, weighed), told(false, loser, weighed)]).toEqual([true, false]);
  });
});
