import { replay } from '@zonewise/simulator';
import { host, planned } from '../test/builders';
import { NO_CHANGE } from './change';
import type { Change } from './evaluator';
import { Evaluator } from './evaluator';
import { Finals } from './finalists';
import { wouldLose } from './losses';
import { judgeOf, scoreOf } from './objective';
import type { AdviceRequest, NumatuneValue, Outcome } from './types';
import { growthBy } from './variation';
import { VariedJudge, type Tested } from './varied-judge';

/** Guest a fills node 0 and grows out of it with 20 %; both are interleaved today, with their CPUs on one node. */
const request: AdviceRequest = {
  host: host([{ mib: 480 }, { mib: 1024 }]),
  guests: [
    ['a', 420, 0],
    ['b', 100, 1],
  ].map(([name, mib, node]) =>
    planned(String(name), Number(mib), Number(node), {
      numatune: { mode: 'interleave', nodeset: [0, 1] },
      region: { policy: { mode: 'interleave', nodes: [0, 1] } },
    }),
  ),
  demand: {},
  seed: 1,
};

const on = (mode: 'strict' | 'restrictive' | 'preferred', node: number): NumatuneValue => ({
  mode,
  nodeset: [node],
});
/** All the same as asked, and all of them kill a when it grows. */
const frail: Change[] = (['strict', 'restrictive'] as const).flatMap((mode) =>
  (['strict', 'restrictive', 'preferred'] as const).flatMap((other) =>
    [undefined, ['b', 'a']].map((startOrder) => ({
      sysctl: {},
      numatune: { a: on(mode, 0), b: on(other, 1) },
      ...(startOrder && { startOrder }),
    })),
  ),
);
/** As good as asked, and a falls back to node 1. */
const sound: Change = { sysctl: {}, numatune: { a: on('preferred', 0), b: on('strict', 1) } };
/** Survives as well, with a far from its CPUs. */
const remote: Change = { sysctl: {}, numatune: { a: on('preferred', 1), b: on('preferred', 1) } };

test('behind many that die under a variation the one that does not is found, however late it comes', () => {
  const evaluator = new Evaluator(request, replay, 1);
  const baseline = evaluator.evaluate(NO_CHANGE);
  const ordered = [...frail, sound, remote].map((change) => evaluator.evaluate(change));
  expect(ordered.map(({ candidate }) => scoreOf(candidate.outcome).kills)).toEqual(
    ordered.map(() => 0),
  );
  const grown = (change: Change): number => scoreOf(evaluator.evaluateGrown(change, 20)).kills;
  expect(frail.map(grown)).toEqual(frail.map(() => 1));
  expect([sound, remote].map(grown)).toEqual([0, 0]);
  const [first] = new Finals(evaluator, judgeOf(request.host), baseline).ranked(ordered, new Set());
  expect(first?.one.change.numatune).toEqual(sound.numatune);
});

/** A guest of 420 MiB that is strict on a node of the first size today, and may be so on one of the second, far from its CPUs. */
function tightAndRoomier(tightMib: number, roomierMib: number) {
  const guest = planned('a', 420, 0, {
    numatune: on('strict', 0),
    region: { policy: { mode: 'bind', nodes: [0] } },
  });
  const tight = host([{ mib: tightMib }, { mib: roomierMib }]);
  const evaluator = new Evaluator({ ...request, host: tight, guests: [guest] }, replay, 1);
  const today = evaluator.evaluate(NO_CHANGE);
  const roomier = evaluator.evaluate({ sysctl: {}, numatune: { a: on('strict', 1) } });
  const killsWith =
    (percents: number[]) =>
    ({ change }: typeof today): number[] =>
      percents.map((percent) => scoreOf(evaluator.evaluateGrown(change, percent)).kills);
  return { evaluator, today, roomier, killsWith };
}

test('of two that live with 10 % more memory and die with 20 %, the one that lives longer on the way wins', () => {
  const { evaluator, today, roomier, killsWith } = tightAndRoomier(480, 500);
  expect([today, roomier].map(killsWith([0, 10, 13, 17, 20]))).toEqual([
    [0, 0, 1, 1, 1],
    [0, 0, 0, 0, 1],
  ]);
  const finals = new Finals(evaluator, judgeOf(evaluator.request.host), today);
  const ranked = finals.ranked([roomier], new Set());
  // The same guests lost as far as anybody looked, and nearer.
  expect(ranked[0]?.one).toBe(today);
  expect(finals.toldApart(ranked[0]!, [roomier], new Set()).one).toBe(roomier);
  expect(finals.variations.map(({ name }) => name).slice(-2)).toEqual(['growth-13', 'growth-17']);
  expect(finals.frailty(today, finals.enter(roomier)!)).toMatchObject({
    why: expect.stringContaining('With 13 % more guest memory') as string,
    loses: true,
  });
});

test('of two that part between 13 and 17 % more memory, growths are narrowed down until one lives longer', () => {
  const { evaluator, today, roomier, killsWith } = tightAndRoomier(488, 492);
  expect([today, roomier].map(killsWith([10, 13, 14, 15, 16, 17, 20]))).toEqual([
    [0, 0, 0, 1, 1, 1, 1],
    [0, 0, 0, 0, 1, 1, 1],
  ]);
  const finals = new Finals(evaluator, judgeOf(evaluator.request.host), today);
  const ranked = finals.ranked([roomier], new Set());
  expect(finals.toldApart(ranked[0]!, [roomier], new Set()).one).toBe(roomier);
  const growths = finals.variations.map(({ growthPercent }) => growthPercent);
  expect(growths.slice(-5)).toEqual([13, 17, 14, 16, 15]);
});

test('where guests are lost, finalists stand other start orders as well', () => {
  const strict = (name: string, mib: number): AdviceRequest['guests'][number] =>
    planned(name, mib, 0, {
      numatune: on('strict', 0),
      region: { policy: { mode: 'bind', nodes: [0] } },
    });
  const crowded: AdviceRequest = {
    ...request,
    host: host([{ mib: 480 }, { mib: 1024 }]),
    guests: [strict('a', 200), strict('b', 300), strict('c', 100), strict('d', 1)],
  };
  const evaluator = new Evaluator(crowded, replay, 1);
  const today = evaluator.evaluate(NO_CHANGE);
  expect(scoreOf(today.candidate.outcome).kills).toBe(1);
  const finals = new Finals(evaluator, judgeOf(crowded.host), today);
  const best = finals.toldApart(finals.ranked([], new Set())[0]!, [], new Set());
  expect(best.one).toBe(today);
  const names = finals.variations.map(({ name }) => name);
  const at = names.indexOf('largest-first');
  expect(names[at + 1]).toBe('smallest-first');
  expect(names.at(-1)).toMatch(/^shuffled-start-/);
  // Who has most memory when it runs out is killed.
  const lost = best.varied.map(({ guests }) =>
    guests.flatMap(({ name, oomKilled }) => (oomKilled ? [name] : [])),
  );
  expect(lost.slice(at, at + 2)).toEqual([['b'], ['a']]);
});

test('nobody is replayed on the way to growth that costs the best no guests, nor without budget for it', () => {
  const evaluator = new Evaluator(request, replay, 1);
  const today = evaluator.evaluate(NO_CHANGE);
  const finals = new Finals(evaluator, judgeOf(request.host), today);
  const ranked = finals.ranked([evaluator.evaluate(sound)], new Set());
  expect(finals.toldApart(ranked[0]!, [evaluator.evaluate(sound)], new Set())).toBe(ranked[0]);
  const budget = { replaysMin: 0, workMax: Infinity, replaysMax: 30 };
  const poor = new Evaluator(request, replay, 1, undefined, budget);
  const others = new Finals(poor, judgeOf(request.host), poor.evaluate(NO_CHANGE));
  const dying = others.enter(poor.evaluate(frail[0]!))!;
  const tried = others.variations;
  poor.limit(0.2);
  expect(others.toldApart(dying, [dying.one], new Set())).toBe(dying);
  expect(others.variations).toBe(tried);
  poor.limit(1);
  expect(others.toldApart(dying, [dying.one], new Set())).not.toBe(dying);
  expect(others.variations.length).toBe(tried.length + 2);
});

test('no more than the finalists are replayed under variations where these kill nobody', () => {
  const roomy = { ...request, host: host([{ mib: 1024 }, { mib: 1024 }]) };
  const evaluator = new Evaluator(roomy, replay, 1);
  const baseline = evaluator.evaluate(NO_CHANGE);
  const ordered = [...frail, sound, remote].map((change) => evaluator.evaluate(change));
  new Finals(evaluator, judgeOf(roomy.host), baseline).ranked(ordered, new Set());
  const known = ordered.filter(
    ({ change }) => evaluator.knownVaried(change, growthBy(20)) !== undefined,
  );
  expect(known.length).toBeGreaterThan(0);
  expect(known.length).toBeLessThanOrEqual(6);
});

describe('why one of several that are the same as asked lost', () => {
  const roomy = { ...request, host: host([{ mib: 512, cacheMib: 60 }, { mib: 1024 }]) };
  const evaluator = new Evaluator(roomy, replay, 1);
  const finals = new Finals(evaluator, judgeOf(roomy.host), evaluator.evaluate(NO_CHANGE));
  const under = (change: Change): Outcome[] =>
    finals.variations.map((variation) => evaluator.evaluateVaried(change, variation));
  const reclaiming: Change = { ...sound, sysctl: { zone_reclaim_mode: 1 } };
  const winner = finals.enter(evaluator.evaluate(reclaiming))!;

  test('more remote memory under a variation: that which tells most is named, with both figures', () => {
    const loser = evaluator.evaluate(sound);
    expect(finals.frailty(loser, winner)).toBeUndefined();
    const won = under(reclaiming);
    const further = under(sound).map(({ remoteCost }, i) => remoteCost - (won[i]?.remoteCost ?? 0));
    const names = finals.variations.map(({ name }) => name);
    expect(further[names.indexOf('growth-20')]).toBe(Math.max(...further.slice(0, 2)));
    expect(further[names.indexOf('growth-20')]).toBeGreaterThan(
      further[names.indexOf('cache-10')]!,
    );
    expect(finals.frailty(loser, winner)).toMatchObject({
      why: expect.stringMatching(
        /^With 20 % more guest memory \d+ % \(0\.\d+ further than local\) of guest memory is remote against (0|<1) %/,
      ) as string,
      loses: false,
    });
  });
});

test('one that only unlikely growth kills is told the guests that it loses then', () => {
  const roomy = { ...request, host: host([{ mib: 540 }, { mib: 1024 }]) };
  const evaluator = new Evaluator(roomy, replay, 1);
  const finals = new Finals(evaluator, judgeOf(roomy.host), evaluator.evaluate(NO_CHANGE));
  const winner = finals.enter(evaluator.evaluate(sound))!;
  const strict = frail[0]!;
  const lost = finals.variations.map((variation) => evaluator.evaluateVaried(strict, variation));
  const at = lost.findIndex((outcome) => scoreOf(outcome).kills > 0);
  expect(finals.variations[at]?.name).toBe('growth-30');
  expect(finals.frailty(evaluator.evaluate(strict), winner)).toMatchObject({
    why: `With 30 % more guest memory ${wouldLose(lost[at]!)}.`,
    loses: false,
  });
});

test('memory that is near only as long as all comes as asked loses to memory that is near in the mean', () => {
  const outcome = (remoteCost: number): Outcome => ({
    ...new Evaluator(request, replay, 1).evaluate(NO_CHANGE).candidate.outcome,
    remoteCost,
  });
  const variations = [...[10, 20, 30].map(growthBy)];
  const judges = new VariedJudge(judgeOf(request.host), variations);
  const tested = (asAsked: number, ...under: number[]): Tested => ({
    ...{ asAsked: outcome(asAsked), varied: under.map(outcome), changes: 1 },
  });
  const near = tested(0.1, 0.4, 0.4, 0);
  const steady = tested(0.2, 0.2, 0.2, 1);
  expect(judges.compare(steady, near)).toBeLessThan(0);
  expect(judges.mayBeat({ ...near, varied: near.varied.slice(0, 1) }, steady)).toBe(true);
  expect(judges.mayBeat({ ...near, varied: near.varied.slice(0, 2) }, steady)).toBe(false);
  // Within the tolerance, and yet a step towards its end.
  const almost = tested(0.2003, 0.2003, 0.2003, 1);
  expect(judges.compareRemote(almost, steady)).toBe(0);
  expect(judges.isFurther(almost, steady)).toBe(true);
});
