import { replay } from '@zonewise/simulator';
import { host, planned } from '../test/builders';
import { NO_CHANGE } from './change';
import { climbed } from './climb';
import { resolveDemand } from './demand';
import { Evaluator, type Budget } from './evaluator';
import { Estimator } from './estimate';
import { Finals, type Finalist } from './finalists';
import { judgeOf } from './objective';
import { Pruned, type RoundContext } from './rounds';
import type { AdviceRequest, Change, NumatuneValue } from './types';
import { isLikely, kills } from './varied-judge';

const on = (mode: 'strict' | 'preferred', node: number): NumatuneValue => ({
  mode,
  nodeset: [node],
});

/** c and d are bound to their nodes, where they die when they grow; a is larger than a node and dies wherever it is. */
const tight: AdviceRequest = {
  host: host([{ mib: 512 }, { mib: 512 }]),
  guests: [
    planned('a', 620, 0, {
      numatune: { mode: 'none', nodeset: [] },
      region: { policy: { mode: 'default', nodes: [] }, cpuNodes: [0, 1] },
    }),
    planned('c', 450, 1, {
      numatune: on('strict', 1),
      region: { policy: { mode: 'bind', nodes: [1] } },
    }),
    planned('d', 150, 0, {
      numatune: on('strict', 0),
      region: { policy: { mode: 'bind', nodes: [0] } },
    }),
  ],
  ...{ demand: {}, seed: 1 },
};

/** c and d away from their nodes. */
const crossed: Change = {
  sysctl: {},
  numatune: { a: on('preferred', 1), c: on('preferred', 0), d: on('preferred', 0) },
};

function climb(
  request: AdviceRequest,
  { budget, from = crossed }: { budget?: Budget; from?: Change } = {},
) {
  const evaluator = new Evaluator(request, replay, 1, undefined, budget);
  const demand = resolveDemand(request);
  const judge = judgeOf(request.host);
  const baseline = evaluator.evaluate(NO_CHANGE);
  const finals = new Finals(evaluator, judge, baseline);
  const [start] = finals.ranked([evaluator.evaluate(from)], new Set());
  if (start === undefined) throw new Error('nothing to start from');
  const context: RoundContext = {
    ...{ request, demand, judge, baseline, evaluator },
    ...{ estimator: new Estimator(request, demand), pruned: new Pruned() },
  };
  const before = evaluator.evaluated.length;
  const best = climbed(context, finals, start);
  return { evaluator, start, best, finals, moved: evaluator.evaluated.slice(before) };
}

const lost = ({ asAsked, varied }: Finalist, finals: Finals): number =>
  [asAsked, ...varied.filter((_, i) => isLikely(finals.variations[i]!))].reduce(
    (sum, outcome) => sum + kills(outcome),
    0,
  );

test('where a guest dies whatever is done, moves of single guests bring the others nearer and lose no more', () => {
  const { start, best, finals } = climb(tight);
  expect(lost(start, finals)).toBeGreaterThan(0);
  expect(best).not.toBe(start);
  expect(lost(best, finals)).toBeLessThanOrEqual(lost(start, finals));
  expect(finals.judges.compare(best, start)).toBeLessThan(0);
  expect(finals.bestOf(() => true)).toBe(best);
  expect(finals.judges.compareRemote(best, start)).toBeLessThan(0);
});

test('a move that helps nobody as asked, nor under the first variations, is replayed under no more', () => {
  const { evaluator, best, finals, moved } = climb(tight);
  const known = moved.map(({ change }) =>
    finals.variations.filter((each) => evaluator.knownVaried(change, each) !== undefined),
  );
  const ended = moved.filter((one, i) => {
    const varied = finals.variations.map((each) => evaluator.knownVaried(one.change, each));
    const soFar = { asAsked: one.candidate.outcome, varied, changes: 1 };
    return known[i]?.length === 2 && finals.judges.mayBeat(soFar, best);
  });
  expect(ended.length).toBeGreaterThan(0);
  expect(known.some(({ length }) => length === finals.variations.length)).toBe(true);
});

test('constraints hold on the way', () => {
  const options = { constraints: { pinnedGuests: ['c', 'd'], forbiddenNodes: [1] } };
  const { moved } = climb({ ...tight, options }, { from: NO_CHANGE });
  expect(moved.length).toBeGreaterThan(0);
  for (const { change } of moved) {
    expect(Object.keys(change.numatune)).toEqual(['a']);
    expect(change.numatune.a?.nodeset).toEqual([0]);
  }
});

test('nobody moves where nobody is lost, nor without a budget for it', () => {
  const roomy = { ...tight, host: host([{ mib: 2048 }, { mib: 2048 }]) };
  const calm = climb(roomy);
  expect(calm.best).toBe(calm.start);
  expect(calm.moved).toEqual([]);
  const poor = climb(tight, { budget: { replaysMin: 0, workMax: 1 } });
  expect(poor.best).toBe(poor.start);
  expect(poor.moved).toEqual([]);
});

test('what moves cost is beside the budget of the other phases', () => {
  const budget = { replaysMin: 0, workMax: 1, besideWork: 5e6 };
  const { evaluator, moved } = climb(tight, { budget });
  expect(moved.length).toBeGreaterThan(0);
  expect(evaluator.canReplay()).toBe(false);
  expect(evaluator.affords(0)).toBe(false);
  const further = climb(tight, { budget: { ...budget, besideWork: 2e7 } });
  expect(further.moved.length).toBeGreaterThan(moved.length);
  const all = climb(tight, { budget: { replaysMin: 0, workMax: 1e8, besideWork: 1e12 } });
  expect(all.evaluator.canReplay()).toBe(true);
});
