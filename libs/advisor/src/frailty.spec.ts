import { host, planned } from '../test/builders';
import { advise } from './advise';
import type { AdviceRequest } from './types';

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
