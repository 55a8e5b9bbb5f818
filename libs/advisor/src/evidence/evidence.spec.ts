import { replay } from '@zonewise/simulator';
import { MIB, host, planned } from '../../test/builders';
import { NO_CHANGE } from '../change';
import { compileReplay } from '../compile';
import { evaluate } from '../evaluator';
import type { Outcome, SimulationRequest } from '../types';
import { causesOf, type Wanted } from './causes';
import { shortfallOf, shortfallOfKill } from './shortfall';
import { traceOf } from './trace';
import { verifyPrediction } from './verification';

/** Node 0 is full of droppable page cache, node 1 is empty; two guests of 512 MiB want node 0. */
const REQUEST: SimulationRequest = {
  host: host([{ mib: 2048, cacheMib: 1600 }, { mib: 2048 }]),
  guests: [planned('web1', 512, 0), planned('web2', 512, 0)],
  demand: {},
  seed: 1,
};
const ON_NODE_0: Wanted = {
  nodes: [0],
  cpuNodes: new Map([[0, [0]]]),
  setting: 'preferred on node 0',
  isFixed: false,
};
const WANTED = new Map([
  ['web1', ON_NODE_0],
  ['web2', ON_NODE_0],
]);

function traced(request: SimulationRequest) {
  const { input } = compileReplay(request);
  const result = replay(input);
  return { trace: traceOf(input, result), result };
}

describe('the trace of a replay', () => {
  it('has the host before the first step and after each', () => {
    const { trace, result } = traced(REQUEST);
    expect(trace.points.map(({ step, label }) => [step, label])).toEqual([
      [0, 'before the first step'],
      [1, 'web1 starts'],
      [2, 'web2 starts'],
      [3, 'after the last guest'],
    ]);
    const [first] = trace.points;
    expect(first?.nodes.map((node) => node.fileCachePages)).toEqual([1600 * MIB, 0]);
    const last = result.steps.at(-1)!.snapshot;
    expect(trace.points.at(-1)?.nodes.map((node) => node.anonPages)).toEqual(
      last.nodes.map((node) => node.anonPages),
    );
    expect(trace.counters.vmstat).toEqual(last.vmstat);
  });

  it('counts reclaim by step, and the steps add up to the counters', () => {
    const { trace } = traced({ ...REQUEST, sysctl: { zone_reclaim_mode: 1 } });
    const sum = trace.points.reduce(
      (pages, { stolenPages }) => pages + stolenPages.direct + stolenPages.kswapd,
      0,
    );
    const { pgsteal_kswapd = 0, pgsteal_direct = 0 } = trace.counters.vmstat;
    expect(sum).toBe(pgsteal_kswapd + pgsteal_direct);
    expect(sum).toBeGreaterThan(100 * MIB);
  });

  it('is thinned where a plan has more steps than anybody reads', () => {
    const guests = Array.from({ length: 500 }, (_, i) => planned(`g${i}`, 1, i % 2));
    const { trace } = traced({ ...REQUEST, guests });
    expect(trace.points.length).toBe(252);
    expect(trace.leftOut).toBe(502 - 252);
    expect(trace.points.at(-1)?.label).toBe('after the last guest');
  });
});

describe('the causes of a replay', () => {
  it('name zone, mark, cache and where the memory went, with the numbers of the replay', () => {
    const { trace, result } = traced(REQUEST);
    const { causes, leftOut } = causesOf(trace, REQUEST.host, WANTED);
    expect(leftOut).toBe(0);
    const spill = result.steps.flatMap(({ events }) =>
      events.flatMap((event) => (event.type === 'spill' ? [event] : [])),
    )[0]!;
    expect(causes.filter(({ guest }) => guest === 'web1').map(({ code }) => code)).toEqual([
      'node-below-mark',
      'cache-left-alone',
      'memory-away',
    ]);
    const [below, cache, away] = causes;
    expect(below).toMatchObject({
      ...{ step: 1, guest: 'web1', nodeId: 0, zone: 'Normal' },
      figures: { order: 0, freePages: spill.freePages, neededPages: spill.neededPages },
    });
    expect(cache?.text).toBe(
      'Node 0 holds 409,600 pages (1,600 MiB) of page cache when web1 starts; zone_reclaim_mode is 0: ' +
        'a zone below its low mark is skipped, its cache is left alone.',
    );
    const guest = result.steps[0]!.snapshot.guests.find(({ name }) => name === 'web1');
    const onOther = guest?.pagesByNode.find(({ nodeId }) => nodeId === 1)?.pages;
    expect(away?.figures).toEqual({ pages: 512 * MIB, awayPages: onOther, stallNs: 0 });
    expect(away?.text).toContain('went to node 1 (distance 21)');
  });

  it('tell what was reclaimed where the mode lets the guest reclaim, and how little went away then', () => {
    const awayPages = (zone_reclaim_mode: number) => {
      const { trace } = traced({ ...REQUEST, sysctl: { zone_reclaim_mode } });
      const { causes } = causesOf(trace, REQUEST.host, WANTED);
      return causes.reduce((sum, { figures }) => sum + (figures.awayPages ?? 0), 0);
    };
    expect(awayPages(1)).toBeLessThan(awayPages(0) / 10);
    const { trace } = traced({ ...REQUEST, sysctl: { zone_reclaim_mode: 1 } });
    const { causes } = causesOf(trace, REQUEST.host, WANTED);
    expect(causes.map(({ code }) => code)).toContain('node-reclaim');
    const reclaimed = causes.reduce(
      (sum, { code, figures }) => sum + (/reclaim$/.test(code) ? (figures.reclaimedPages ?? 0) : 0),
      0,
    );
    const { pgsteal_kswapd = 0, pgsteal_direct = 0 } = trace.counters.vmstat;
    expect(reclaimed).toBe(pgsteal_kswapd + pgsteal_direct);
  });

  it('tell who is killed, why, and how much was missing', () => {
    const request: SimulationRequest = {
      ...REQUEST,
      host: host([{ mib: 1024, anonMib: 600 }, { mib: 1024 }]),
      numatune: { web1: { mode: 'strict', nodeset: [0] } },
    };
    const { trace, result } = traced(request);
    const { causes } = causesOf(trace, request.host, WANTED);
    const kill = causes.find(({ code }) => code === 'oom-kill');
    expect(kill?.text).toMatch(
      /its memory policy allows no other node \(CONSTRAINT_MEMORY_POLICY\)/,
    );
    expect(causes.find(({ code }) => code === 'failed-start')?.guest).toBe('web1');
    const event = result.steps.flatMap(({ events }) =>
      events.flatMap((one) => (one.type === 'oom_kill' ? [one] : [])),
    )[0]!;
    const short = shortfallOfKill(event);
    expect(short).toMatchObject({
      guest: 'web1',
      nodeId: 0,
      zone: 'Normal',
      order: 0,
      mark: 'min',
    });
    expect(short!.shortPages).toBe(short!.markPages + 1 - short!.freePages);
    expect(event.summary).toContain(
      `free ${short!.freePages}, min ${short!.markPages} + reserve 0`,
    );
  });
});

it('a spill of order 9 needs the pages of the block on top of the mark', () => {
  const guests = [planned('web1', 512, 0, { region: { thp: 'huge' } })];
  const thp = { enabled: 'always', defrag: 'madvise' } as const;
  const { trace } = traced({ ...REQUEST, host: { ...REQUEST.host, thp }, guests });
  const { event } = trace.events.find((one) => one.event.type === 'spill')!;
  if (event.type !== 'spill') throw new Error('no spill');
  const short = shortfallOf(event);
  expect(short.shortPages).toBe(Math.max(0, short.markPages + 2 ** short.order - short.freePages));
  expect(short).toMatchObject({ guest: 'web1', nodeId: 0, zone: 'Normal', mark: 'low' });
});

it('a guest that was predicted not to start is not told as killed when it is not there', () => {
  const region = {
    policy: { mode: 'bind' as const, nodes: [0] },
    hugetlb: { sizeKib: 2048 as const, reserve: true },
  };
  const guests = [planned('on-pool', 64, 0, { region }), planned('small', 64, 0)];
  const request: SimulationRequest = { ...REQUEST, host: host([{ mib: 512 }]), guests };
  const { candidate } = evaluate(request, NO_CHANGE);
  expect(candidate.outcome.failedStarts).toEqual(['on-pool']);
  const whyOf = (outcome: Outcome) =>
    verifyPrediction(
      { evidence: { advised: { ...candidate, outcome } } },
      { host: request.host, guests: [] },
    ).notCompared.map(({ what, why }) => `${what}: ${why}`);
  const absent = 'guest small: It is not among the running guests that were gathered.';
  const gone = 'and is not among the running guests.';
  expect(whyOf(candidate.outcome)).toEqual(
    expect.arrayContaining([`guest on-pool: It was predicted not to start ${gone}`, absent]),
  );
  expect(whyOf({ ...candidate.outcome, failedStarts: [], oomKills: ['on-pool'] })).toEqual(
    expect.arrayContaining([`guest on-pool: It was predicted to be killed ${gone}`, absent]),
  );
});
