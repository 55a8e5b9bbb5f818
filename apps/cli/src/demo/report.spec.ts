import type { Outcome } from '@zonewise/advisor';
import { guestTable } from './report';

const outcome = (over: Partial<Outcome>): Outcome =>
  ({
    nodes: [{ nodeId: 0 }],
    guests: ['a', 'b'].map((name) => ({
      ...{ name, state: 'planned', mode: 'none', nodeset: [], pagesByNode: [] },
      ...{ remoteShare: 0, stallNs: 0, oomKilled: over.failedStarts?.includes(name) ?? false },
    })),
    ...{ oomKills: [], failedStarts: [], ...over },
  }) as unknown as Outcome;

test('a guest that never started is not told as killed', () => {
  const fates = (now: Outcome, advised: Outcome): (string | undefined)[] =>
    guestTable(now, advised)
      .split('\n')
      .slice(-2)
      .map((line) => /KILLED|NOT STARTED -> no|NOT STARTED| no /.exec(line)?.[0].trim());
  expect(fates(outcome({ failedStarts: ['b'] }), outcome({}))).toEqual(['no', 'NOT STARTED -> no']);
  expect(fates(outcome({ oomKills: ['a'] }), outcome({ oomKills: ['a'] }))).toEqual([
    'KILLED',
    'no',
  ]);
});
