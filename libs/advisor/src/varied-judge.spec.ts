import type { Variation } from './advice-types';
import { growthBy, growthsBetween } from './variation';
import { weightsOf } from './varied-judge';

const reversed: Variation = { name: 'reversed-start', reversedStart: true };

test('growths in between share the weight of the one that they refine, and unlikely growth stands alone', () => {
  const coarse = [growthBy(20), reversed, growthBy(10), growthBy(30)];
  expect(weightsOf(coarse)).toEqual([10, 10, 10, 10]);
  const fine = [...coarse, ...growthsBetween(10, 20)];
  expect(fine.slice(4).map(({ growthPercent }) => growthPercent)).toEqual([13, 17]);
  expect(weightsOf(fine)).toEqual([3, 10, 10, 10, 3, 4]);
});

test('between neighbours there is no growth, and between those that are 2 apart there is one', () => {
  expect(growthsBetween(0, 1)).toEqual([]);
  expect(growthsBetween(13, 14)).toEqual([]);
  expect(growthsBetween(4, 6)).toEqual([growthBy(5)]);
});
