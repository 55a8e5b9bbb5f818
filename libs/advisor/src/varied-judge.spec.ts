import { host } from '../test/builders';
import type { Variation } from './advice-types';
import { judgeOf } from './objective';
import type { Outcome } from './types';
import { growthBy, growthsBetween } from './variation';
import { VariedJudge, weightsOf } from './varied-judge';

const reversed: Variation = { name: 'reversed-start', reversedStart: true };

test('growths in between share the weight of the one that they refine, and unlikely growth stands alone', () => {
  const coarse = [growthBy(20), reversed, growthBy(10), growthBy(30)];
  expect(weightsOf(coarse)).toEqual([10, 10, 10, 10]);
  const fine = [...coarse, ...growthsBetween(10, 20)];
  expect(fine.slice(4).map(({ growthPercent }) => growthPercent)).toEqual([13, 17]);
  expect(weightsOf(fine)).toEqual([3, 10, 10, 10, 3, 4]);
});

test('start orders beside the reversed one share the weight of one', () => {
  const largest: Variation = { name: 'largest-first', startBySize: 'largest-first' };
  const shuffled: Variation = { name: 'shuffled-start-1', startShuffle: 1 };
  expect(weightsOf([reversed, largest])).toEqual([10, 10]);
  expect(weightsOf([reversed, largest, shuffled])).toEqual([10, 5, 5]);
});

test('remote memory under growths in between does not weigh more than it did without them', () => {
  const judges = new VariedJudge(judgeOf(host([{ mib: 1024 }])), [
    ...[20, 10, 13, 17].map(growthBy),
    reversed,
  ]);
  const at = (remoteCost: number) => ({ remoteCost }) as Outcome;
  const remote = (growth: number, start: number) => ({
    asAsked: at(0),
    varied: [growth, growth, growth, growth, start].map(at),
  });
  // 20 of the growths against 10 of the start.
  expect(judges.compareRemote(remote(0.1, 0), remote(0, 0.2))).toBe(0);
  expect(judges.compareRemote(remote(0.1, 0), remote(0, 0.25))).toBeLessThan(0);
  expect(judges.compareRemote(remote(0.1, 0), remote(0, 0.15))).toBeGreaterThan(0);
});

test('between neighbours there is no growth, and between those that are 2 apart there is one', () => {
  expect(growthsBetween(0, 1)).toEqual([]);
  expect(growthsBetween(13, 14)).toEqual([]);
  expect(growthsBetween(4, 6)).toEqual([growthBy(5)]);
});

describe('what is not known yet', () => {
  const shape = host([{ mib: 1024 }]);
  const losing = (kills: number, remoteCost = 0) =>
    ({
      ...{ guests: [], nodes: [], oomKills: [], remoteCost, swappedOutPages: 0, stallNs: 0 },
      ...{ headroomShare: 1, cacheLostPages: 0 },
      failedStarts: Array.from({ length: kills }, (_, i) => `g${i}`),
    }) as unknown as Outcome;
  const tested = (asAsked: Outcome, ...varied: Outcome[]) => ({ asAsked, varied, changes: 1 });
  const variations = [growthBy(20), reversed];
  const best = tested(losing(0), losing(2), losing(1));

  test('loses at least the guests that have no room', () => {
    const soFar = tested(losing(0), losing(2));
    expect(new VariedJudge(judgeOf(shape), variations).mayBeat(soFar, best)).toBe(true);
    const counted = new VariedJudge(judgeOf(shape), variations, [1, 2]);
    expect(counted.leastLost(1)).toBe(2);
    expect(counted.mayBeat(soFar, best)).toBe(false);
    // What was replayed is not counted.
    expect(counted.deaths(tested(losing(0), losing(3), losing(0)), false)).toBe(60);
    expect(counted.deaths(tested(losing(0)), false)).toBe(40);
  });

  test('what is known may be no better anywhere', () => {
    const judges = new VariedJudge(judgeOf(shape), variations);
    expect(judges.isNowhereBetter(tested(losing(0), losing(2)), best)).toBe(true);
    expect(judges.isNowhereBetter(tested(losing(0, 0.5), losing(1)), best)).toBe(false);
    const remote = tested(losing(0, 0.5), losing(2));
    expect(judges.isNowhereBetter(tested(losing(0), losing(2)), remote)).toBe(false);
  });
});
