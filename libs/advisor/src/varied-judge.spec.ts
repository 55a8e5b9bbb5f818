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
