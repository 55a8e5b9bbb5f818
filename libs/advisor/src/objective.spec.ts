import { host } from '../test/builders';
import { compareOutcomes, firstDifference, judgeOf, scoreOf } from './objective';
import type { Outcome } from './types';

const judge = judgeOf(host([{ mib: 1024 }]));
const outcome = (over: Partial<Outcome> = {}): Outcome => ({
  guests: [],
  nodes: [],
  oomKills: [],
  failedStarts: [],
  remoteShare: 0,
  remoteCost: 0,
  headroomShare: 0.5,
  stallNs: 0,
  directReclaimedPages: 0,
  nodeReclaimedPages: 0,
  kswapdReclaimedPages: 0,
  swappedOutPages: 0,
  cacheLostPages: 0,
  stateHash: '',
  ...over,
});
const guest = (over: Partial<Outcome['guests'][number]>): Outcome['guests'][number] => ({
  name: 'a',
  state: 'planned',
  mode: 'strict',
  nodeset: [0],
  memoryPages: 262144,
  pagesByNode: [],
  remoteShare: 0,
  remoteCost: 0,
  oomKilled: false,
  stallNs: 0,
  swapPages: 0,
  ...over,
});

test('the order is kills, swap, stalls over budget, remote memory, headroom, page cache, stall', () => {
  const worseAndWorse = [
    outcome(),
    outcome({ stallNs: 6e8 }),
    outcome({ cacheLostPages: 200_000 }),
    outcome({ headroomShare: 0.1 }),
    outcome({ remoteCost: 0.9 }),
    outcome({ guests: [guest({ stallNs: 5e9 })] }),
    outcome({ swappedOutPages: 10_000 }),
    outcome({ oomKills: ['other'] }),
    outcome({ oomKills: ['a', 'other'], guests: [guest({ oomKilled: true })] }),
  ];
  worseAndWorse.forEach((worse, i) => {
    worseAndWorse.slice(0, i).forEach((better) => {
      expect(compareOutcomes(better, worse, judge)).toBe(-1);
      expect(compareOutcomes(worse, better, judge)).toBe(1);
    });
  });
});

test('differences within the tolerance do not decide', () => {
  const a = outcome({ remoteCost: 0.0004, swappedOutPages: 256, cacheLostPages: 5000 });
  expect(compareOutcomes(a, outcome(), judge)).toBe(0);
  expect(firstDifference(outcome({ remoteCost: 0.02 }), outcome(), judge)).toEqual({
    objective: 'remote',
    better: 'b',
  });
});

test('a killed guest counts once, a stall within the budget per GiB not at all', () => {
  const dead = outcome({ oomKills: ['a'], guests: [guest({ oomKilled: true, stallNs: 9e8 })] });
  expect(scoreOf(dead)).toMatchObject({ kills: 1, 'stall-excess': 0 });
  expect(scoreOf(outcome({ guests: [guest({ stallNs: 4.5e9 })] }))['stall-excess']).toBe(5e8);
});
