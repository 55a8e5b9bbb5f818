import { replay } from '@zonewise/simulator';
import { host, planned } from '../test/builders';
import { advise } from './advise';
import { NO_CHANGE } from './change';
import { resolveDemand } from './demand';
import { Evaluator } from './evaluator';
import { lostNames, wouldLose } from './losses';
import { margin } from './margin';
import type { AdviceRequest } from './types';

/** Node 0 is full of droppable page cache. */
const request: AdviceRequest = {
  host: host([{ mib: 512, cacheMib: 400 }, { mib: 320 }]),
  guests: [planned('a', 200, 0), planned('b', 150, 0)],
  ...{ demand: {}, seed: 1 },
};

test('alternatives have the margin that bisection finds: it holds one percent below and flips there', () => {
  const { exclusive } = advise(request);
  expect(exclusive.length).toBeGreaterThan(0);
  const evaluator = new Evaluator(request, replay, 1);
  for (const { evidence } of exclusive) {
    const { flipsAtPercent, testedPercent, verdict } = evidence.margin;
    const { sysctl, numatune, pinning } = evidence.advised;
    const change = { sysctl, numatune, ...(pinning && { pinning }) };
    const grown = (percent: number) => evaluator.evaluateGrown(change, percent);
    expect(testedPercent).toBe(50);
    expect(verdict).toMatch(/^Holds up to \d+ % more guest memory/);
    const remoteMax = Math.max(
      evidence.baseline.outcome.remoteShare,
      evidence.advised.outcome.remoteShare,
    );
    const holds = (percent: number): boolean =>
      lostNames(grown(percent)).length === 0 && grown(percent).remoteShare <= remoteMax + 0.01;
    expect(holds((flipsAtPercent ?? 51) - 1)).toBe(true);
    if (flipsAtPercent !== null) expect(holds(flipsAtPercent)).toBe(false);
  }
  const flips = exclusive.map(({ evidence }) => evidence.margin.flipsAtPercent);
  expect(flips.some((percent) => percent !== null)).toBe(true);
});

test('what cannot fit by arithmetic is not replayed, and the first growth that flips is found all the same', () => {
  const large = { ...request, guests: [planned('a', 350, 0), planned('b', 250, 1)] };
  const evaluator = new Evaluator(large, replay, 1);
  const today = evaluator.evaluate(NO_CHANGE);
  const { flipsAtPercent } = margin(evaluator, today, today, resolveDemand(large));
  const replayed = Array.from({ length: 51 }, (_, percent) => percent).filter((percent) =>
    evaluator.knowsGrown(NO_CHANGE, percent),
  );
  expect(replayed).not.toContain(50);
  const lost = (percent: number): boolean =>
    lostNames(evaluator.evaluateGrown(NO_CHANGE, percent)).length > 0;
  const shares = (percent: number): number =>
    evaluator.evaluateGrown(NO_CHANGE, percent).remoteShare;
  const first = Array.from({ length: 50 }, (_, i) => i + 1).find(
    (percent) => lost(percent) || shares(percent) > shares(0) + 0.01,
  );
  expect(flipsAtPercent).toBe(first);
});

test('a margin that no replay was left for says so', () => {
  const evaluator = new Evaluator(request, replay, 1, undefined, { replaysMin: 0, workMax: 1 });
  const today = evaluator.evaluate(NO_CHANGE);
  expect(margin(evaluator, today, today, resolveDemand(request))).toEqual({
    ...{ flipsAtPercent: null, testedPercent: 0 },
    verdict: 'Growth was not tested: the search had used up its replays.',
  });
});

test('a configuration that loses guests as asked has no margin, and whom it loses is told', () => {
  const full: AdviceRequest = { ...request, guests: [planned('big', 1000, 0)] };
  const evaluator = new Evaluator(full, replay, 1);
  const today = evaluator.evaluate(NO_CHANGE);
  const { flipsAtPercent, verdict } = margin(evaluator, today, today, resolveDemand(full));
  expect(flipsAtPercent).toBe(0);
  expect(verdict).toBe(`Without any growth ${wouldLose(today.candidate.outcome)}.`);
  expect(verdict).toBe('Without any growth big would be killed.');
});
