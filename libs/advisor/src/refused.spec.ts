import type { Evaluated } from './evaluator';
import { Refused } from './refused';

const waiting = (stallNs: number): Evaluated =>
  ({ candidate: { outcome: { stallNs } } }) as unknown as Evaluated;

test('a winner that waits too long in full takes those along that wait about as long in miniature', () => {
  const refused = new Refused(1e8);
  const [long, alike, longer, short] = [waiting(11e9), waiting(10e9), waiting(50e9), waiting(1e9)];
  expect([long, alike, longer, short].filter((one) => refused.has(one))).toEqual([]);
  refused.add(long, true);
  expect([long, alike, longer].every((one) => refused.has(one))).toBe(true);
  expect(refused.has(short)).toBe(false);
  refused.add(short, true);
  expect([waiting(0.95e9), waiting(0.8e9)].map((one) => refused.has(one))).toEqual([true, false]);
});

test('one that lost otherwise, or hardly waits in miniature, says nothing about others', () => {
  const refused = new Refused(1e8);
  const [one, other] = [waiting(11e9), waiting(11e9)];
  refused.add(one, false);
  expect([refused.has(one), refused.has(other)]).toEqual([true, false]);
  refused.add(waiting(1e8), true);
  expect(refused.has(other)).toBe(false);
});
