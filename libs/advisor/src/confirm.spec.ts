import { replay } from '@zonewise/simulator';
import { host, planned } from '../test/builders';
import { NO_CHANGE } from './change';
import { confirmed } from './confirm';
import { Evaluator, type Evaluated } from './evaluator';
import type { Finalist, Finals } from './finalists';
import { judgeOf } from './objective';
import type { RoundContext } from './rounds';
import type { AdviceRequest, Outcome } from './types';
import { growthBy } from './variation';
import { VariedJudge } from './varied-judge';

const VARIATIONS = [growthBy(20), growthBy(10)];
const names = ['a', 'b', 'c', 'd'];
const request: AdviceRequest = {
  host: host([{ mib: 256 }]),
  guests: names.map((name) => planned(name, 16, 0)),
  ...{ demand: {}, seed: 1 },
};
const judge = judgeOf(request.host);
const real = new Evaluator(request, replay, 1).evaluate(NO_CHANGE);

/** The outcome of a replay in which so many guests die; what is behind the point is their remote cost. */
function losing(count: number): Outcome {
  const { outcome } = real.candidate;
  const killed = Math.floor(count);
  const guests = outcome.guests.map((guest, i) => ({ ...guest, oomKilled: i < killed }));
  const remoteCost = count - killed;
  return { ...outcome, guests, remoteCost, oomKills: names.slice(0, killed) };
}

/** A configuration by the guests it loses and its remote cost: as asked, with 20 and with 10 % more memory. */
type Lost = [asAsked: number, ...varied: [number, number]];
const TODAY: Lost = [2, 2, 2];

interface Over {
  anyLoses?: boolean;
  /** Numbers of those whose replay in full is given up. */
  givenUp?: number[];
  /** How long guests wait with each of them. */
  stallNs?: number;
}

/** What is advised of configurations, each as it is in miniature and in full; which was replayed in full under what. */
function confirm(
  ones: { small: Lost; full: Lost }[],
  replaysMax = Infinity,
  { anyLoses = true, givenUp = [], stallNs = 0 }: Over = {},
): { advised: number; replayed: string[]; why: (string | undefined)[] } {
  const evaluated = (id: number, [asAsked]: Lost): Evaluated => ({
    ...real,
    change: { sysctl: { zone_reclaim_mode: id }, numatune: {} },
    candidate: {
      ...real.candidate,
      id: String(id),
      outcome: { ...losing(asAsked), stallNs: id === 0 ? 0 : stallNs },
    },
  });
  const today = evaluated(0, TODAY);
  const finalists = ones.map(({ small }, i): Finalist => {
    const [asAsked, ...varied] = small;
    return {
      ...{ one: evaluated(i + 1, small), changes: 1 },
      ...{ asAsked: losing(asAsked), varied: varied.map(losing) },
    };
  });
  const numberOf = ({ sysctl }: Evaluated['change']): number => Number(sysctl.zone_reclaim_mode);
  const replayed: string[] = [];
  const fullOf = (change: Evaluated['change']): Lost => ones[numberOf(change) - 1]?.full ?? TODAY;
  const evaluator = {
    evaluateWithin: (change: Evaluated['change']) =>
      givenUp.includes(numberOf(change)) ? undefined : evaluated(numberOf(change), fullOf(change)),
    known: () => undefined,
    knownVaried: () => undefined,
    canReplay: () => replayed.length < replaysMax,
    evaluateVaried: (change: Evaluated['change'], variation: (typeof VARIATIONS)[number]) => {
      replayed.push(`${numberOf(change)} ${variation.name}`);
      return losing(fullOf(change)[1 + VARIATIONS.indexOf(variation)]!);
    },
  };
  const finals = {
    ...{ variations: VARIATIONS, anyLoses, sparesGuests: () => false },
    judges: new VariedJudge(judge, VARIATIONS),
  };
  const { advised, whyRefused } = confirmed(
    { request: {}, baseline: today, judge } as unknown as RoundContext,
    evaluator as unknown as Evaluator,
    { finals: finals as unknown as Finals, baseline: today },
    (refused) => finalists.find(({ one }) => !refused.has(one)),
  );
  const why = finalists.map(({ one }) => whyRefused(one)?.why);
  return { advised: numberOf(advised.change), replayed, why };
}

test('a winner that loses no more in full than in miniature is advised', () => {
  const { advised, replayed } = confirm([{ small: [0, 1, 0], full: [0, 1, 0] }]);
  expect(advised).toBe(1);
  expect(replayed).toEqual(['1 growth-20', '1 growth-10']);
});

test('where it loses more the next is tried, first under what surprised', () => {
  const frail = { small: [0, 0, 0], full: [0, 0, 1] } satisfies Parameters<typeof confirm>[0][0];
  const sound = { small: [0, 0, 0], full: [0, 0, 0] } satisfies typeof frail;
  expect(confirm([frail, sound])).toMatchObject({
    advised: 2,
    replayed: ['1 growth-20', '1 growth-10', '2 growth-10', '2 growth-20'],
  });
});

test('of several that all lose more than in miniature the one that loses fewest is advised', () => {
  const small: Lost = [0, 0, 0];
  const { advised } = confirm([
    { small, full: [0, 1, 2] },
    { small, full: [0, 1, 0] },
    { small, full: [0, 0, 2] },
  ]);
  expect(advised).toBe(2);
});

test('one that promises no fewer losses than are known of another in full is not replayed', () => {
  const { advised, replayed } = confirm([
    { small: [0, 0, 0], full: [0, 0, 1] },
    { small: [0, 1, 0], full: [0, 1, 0] },
  ]);
  expect(advised).toBe(1);
  expect(replayed).toEqual(['1 growth-20', '1 growth-10']);
});

test('one that promises as many losses as are known of another in full wins where its memory is nearer', () => {
  const frail = { small: [0, 0, 0], full: [0.2, 0, 1] } satisfies Parameters<typeof confirm>[0][0];
  const nearer = { small: [0, 1, 0], full: [0, 1, 0] } satisfies typeof frail;
  expect(confirm([frail, nearer])).toMatchObject({
    advised: 2,
    replayed: ['1 growth-20', '1 growth-10', '2 growth-10', '2 growth-20'],
  });
  const asFrail = { small: [0, 1, 0], full: [0, 1, 1] } satisfies typeof frail;
  expect(confirm([frail, asFrail])).toMatchObject({
    advised: 1,
    replayed: ['1 growth-20', '1 growth-10', '2 growth-10'],
  });
});

test('where its memory is further in full than it promised the next is tried, unless that promises no better', () => {
  const further = { small: [1, 1.1, 1.1], full: [1, 1.1, 1.5] } satisfies Parameters<
    typeof confirm
  >[0][0];
  const steady = { small: [1, 1.3, 1.2], full: [1, 1.3, 1.2] } satisfies typeof further;
  expect(confirm([further, steady])).toMatchObject({
    advised: 2,
    replayed: ['1 growth-20', '1 growth-10', '2 growth-10', '2 growth-20'],
  });
  const remote = { small: [1, 1.3, 1.4], full: [1, 1, 1] } satisfies typeof further;
  expect(confirm([further, remote]).advised).toBe(1);
  // Nothing tells of the next what the first was hurt by.
  expect(confirm([further, steady], 2).advised).toBe(1);
});

test('without a replay left the miniature counts, but for what surprised before', () => {
  const frail = { small: [0, 0, 0], full: [0, 1, 1] } satisfies Parameters<typeof confirm>[0][0];
  const sound = { small: [0, 0, 0], full: [0, 0, 0] } satisfies typeof frail;
  expect(confirm([frail, sound], 0)).toMatchObject({ advised: 1, replayed: [] });
  expect(confirm([frail, sound], 1)).toMatchObject({ advised: 1, replayed: ['1 growth-20'] });
  expect(confirm([frail, sound], 3).advised).toBe(1);
  expect(confirm([frail, sound], 4).advised).toBe(2);
});

test('where no finalist loses guests the winner is replayed in full as asked alone', () => {
  const { advised, replayed } = confirm([{ small: [0, 0, 0], full: [0, 0, 0] }], Infinity, {
    anyLoses: false,
  });
  expect([advised, replayed]).toEqual([1, []]);
});

test('one that kills more guests in full as asked than today is refused', () => {
  expect(confirm([{ small: [2, 0, 0], full: [3, 0, 0] }])).toMatchObject({
    advised: 0,
    replayed: [],
  });
});

test('a winner that is refused says what it lost in full', () => {
  const small: Lost = [0, 0, 0];
  const { advised, why } = confirm([
    { small, full: [0, 0, 1] },
    { small, full: [0, 0.3, 0] },
    { small, full: [0, 0, 0] },
  ]);
  expect(advised).toBe(3);
  expect(why).toEqual([
    'Replayed in full: with 10 % more guest memory a would be killed.',
    expect.stringMatching(/^Replayed in full: with 20 % more guest memory /),
    undefined,
  ]);
});

test('a winner whose replay in full was given up says so, and who waits as long in miniature', () => {
  const [given, alike] = confirm(
    [
      { small: [0, 0, 0], full: [0, 0, 0] },
      { small: [0, 0, 0], full: [0, 0, 0] },
    ],
    Infinity,
    { givenUp: [1], stallNs: 1e9 },
  ).why;
  expect(given).toBe(
    'Replayed in full, guests wait longer than with the setting as it is: the replay was given up.',
  );
  expect(alike).toMatch(/^Guests wait as long in miniature as with another configuration, /);
  // Figures that are no better than those of the advice tell by themselves.
  const behind = { small: [2, 2, 2], full: [2, 2, 2] } satisfies Parameters<typeof confirm>[0][0];
  const { why } = confirm([behind, behind], Infinity, { givenUp: [1], stallNs: 1e9 });
  expect(why[1]).toBeUndefined();
});
