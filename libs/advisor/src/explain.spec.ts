import { effectText, remoteAgainst } from './explain';
import { judgeOf } from './objective';
import type { Outcome } from './types';
import { host } from '../test/builders';

const outcome = (remoteShare: number, remoteCost: number, guests: object[] = []): Outcome =>
  ({
    ...{ guests, nodes: [], oomKills: [], failedStarts: [], headroomShare: 0.5 },
    ...{ remoteShare, remoteCost, swappedOutPages: 0, cacheLostPages: 0, stallNs: 0 },
  }) as unknown as Outcome;
const judge = judgeOf(host([{ mib: 1024 }, { mib: 1024 }]));

describe('memory that is further is told by what supports it', () => {
  test('the share that is remote where that is larger', () => {
    expect(remoteAgainst(outcome(0.57, 0.626), outcome(0.06, 0.071))).toBe(
      '57 % (0.626 further than local) of guest memory is remote against 6 % (0.071 further than local)',
    );
    expect(effectText(outcome(0, 0), outcome(0.06, 0.071), judge)).toMatch(
      /^lowers remote guest memory from 6 % \(0\.071 further than local\) to 0 %;/,
    );
  });

  test.each([
    ['as much is remote', 0.06],
    ['more of the nearer is', 0.2],
  ])('the distance where %s', (_, share) => {
    const far = outcome(0.06, 0.5, [{ name: 'a', remoteShare: 0.06, remoteCost: 0.5 }]);
    expect(remoteAgainst(far, outcome(share, 0.1))).toBe(
      "the guests' memory is on average 0.500 of the local distance further from their vCPUs than local memory, against 0.100",
    );
    expect(effectText(outcome(share, 0.1), far, judge)).toMatch(
      /^lowers distance to guest memory beyond local from 0\.500 to 0\.100;/,
    );
    expect(effectText(far, outcome(share, 0.1), judge)).toContain(
      'it raises distance to guest memory beyond local from 0.100 to 0.500',
    );
  });

  test('with why none is remote, and as exactly as it takes', () => {
    const spread = outcome(0, 0.10095, [{ name: 'a', remoteShare: 0, remoteCost: 0.10095 }]);
    expect(remoteAgainst(spread, outcome(0.2, 0.1014 - 0.001))).toBe(
      "the guests' memory is on average 0.101 of the local distance further from their vCPUs than local memory, against 0.100; " +
        "where a guest's vCPUs run on several nodes, none of its memory there counts as remote",
    );
    expect(remoteAgainst(outcome(0, 0.1014), outcome(0.2, 0.1008))).toContain(
      '0.1014 of the local',
    );
  });
});
