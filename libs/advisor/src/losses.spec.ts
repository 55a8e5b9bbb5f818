import {
  losesText,
  lossCounts,
  lossLabel,
  lossesOf,
  lostNames,
  sparedText,
  wouldLose,
} from './losses';
import type { Outcome } from './types';

type Lost = Pick<Outcome, 'guests' | 'oomKills' | 'failedStarts'>;

/** Guests that are dead at the end, who was killed, and who never came up (dead at the end as well). */
const lost = (dead: string[], oomKills: string[], failedStarts: string[]): Lost => ({
  guests: ['a', 'b', 'c'].map((name) => ({
    name,
    oomKilled: dead.includes(name),
  })) as Lost['guests'],
  ...{ oomKills, failedStarts },
});
const nobody = lost([], [], []);
const killed = lost(['a', 'b'], ['a', 'sshd'], []);
const absent = lost(['c'], [], ['c']);
const both = lost(['a', 'c'], ['a'], ['c']);

test('who is killed and who never started are told apart, each once', () => {
  expect(lossesOf(killed)).toEqual({ killed: ['a', 'sshd', 'b'], notStarted: [] });
  expect(lossesOf(both)).toEqual({ killed: ['a'], notStarted: ['c'] });
  expect(lossesOf({ ...both, failedStarts: undefined }).killed).toEqual(['a', 'c']);
  expect([nobody, absent, both].map(lostNames)).toEqual([[], ['c'], ['a', 'c']]);
});

test.each<[string, Lost, string[]]>([
  ['nobody', nobody, ['', '0 killed']],
  [
    'killed',
    killed,
    [
      'a, sshd and b would be killed',
      '3 killed',
      'Kills a, sshd and b, first a',
      'nobody is killed',
    ],
  ],
  [
    'not started',
    absent,
    ['c would not start', '0 killed, 1 not started', 'c does not start', 'everybody starts'],
  ],
  [
    'both',
    both,
    [
      'a would be killed and c would not start',
      '1 killed, 1 not started',
      'Kills a, first a, and c does not start',
      'nobody is killed and everybody starts',
    ],
  ],
])('sentences say what becomes of guests: %s', (_name, outcome, sentences) => {
  const [would, counts, loses, spared] = sentences;
  expect(wouldLose(outcome)).toBe(would);
  expect(lossCounts(outcome)).toBe(counts);
  if (loses !== undefined) expect(losesText(outcome, ', first a')).toBe(loses);
  if (spared !== undefined) expect(sparedText(nobody, outcome)).toBe(spared);
});

test('what is lost all the same is named, and counts say what they count', () => {
  expect(sparedText(absent, both)).toBe('nobody is killed and c does not start');
  expect(sparedText(killed, both)).toBe('a, sshd and b are killed and everybody starts');
  expect(lossLabel(nobody, killed)).toBe('guests killed');
  expect(lossLabel(nobody, absent)).toBe('guests that do not start');
  expect(lossLabel(killed, absent)).toBe('guests killed or not started');
});
