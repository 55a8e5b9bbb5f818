import { host, planned } from '../../test/builders';
import { NO_CHANGE } from '../change';
import { evaluate } from '../evaluator';
import { explainedCandidate } from '../explain';
import { judgeOf } from '../objective';
import { poolNotes } from '../pools';
import type { GuestSpec, HostModel, SimulationRequest } from '../types';
import { replayEvidence } from './explanation';
import { shortfallOf, shortfallOfKill } from './shortfall';

const BASE: SimulationRequest = {
  host: host([{ mib: 2048, cacheMib: 1600 }, { mib: 2048 }]),
  guests: [],
  demand: {},
  seed: 1,
};

/** Half of node 1 is in use by the kernel, and what is free lies between that in blocks of order 3. */
function fragmented(): HostModel {
  const model = host([{ mib: 512 }, { mib: 512 }]);
  const freePages = 65536;
  const freeBlocks = [0, 0, 0, freePages / 8, 0, 0, 0, 0, 0, 0, 0];
  Object.assign(model.nodes[1]!.zones[0]!, { freePages, freeBlocks });
  return { ...model, thp: { enabled: 'always', defrag: 'always' } };
}

const huge = (name: string): GuestSpec => planned(name, 32, 1, { region: { thp: 'huge' } });

const causesIn = (over: Partial<SimulationRequest>) => {
  const request = { ...BASE, ...over };
  return replayEvidence(request, evaluate(request, NO_CHANGE)).causes;
};
const textOf = (causes: ReturnType<typeof causesIn>, code: string): string =>
  causes.find((cause) => cause.code === code)?.text ?? '';

describe('a node that is free in pieces', () => {
  it('is told by its blocks, not by a mark or by what was reclaimed', () => {
    const causes = causesIn({ host: fragmented(), guests: [huge('web')] });
    expect(textOf(causes, 'node-fragmented')).toMatch(
      /^While web touches its memory, node 1 Normal has 6\d,\d{3} free pages, more than its low mark asks for, but no free block of order 9 or above \(the largest is of order 3\), so the zone is not used\.$/,
    );
    expect(causes.map(({ code }) => code)).not.toContain('node-below-mark');
    expect(textOf(causes, 'compaction')).toMatch(
      /^Requests wait for compaction \d+ times \(web starts\): it makes a free block 0 times and fails \d+ times\.$/,
    );
  });

  it('is told in the reasons against a candidate too', () => {
    const request = { ...BASE, host: fragmented(), guests: [huge('web')] };
    const loser = evaluate(request, NO_CHANGE);
    const numatune = { web: { mode: 'strict' as const, nodeset: [1] } };
    const won = evaluate(request, { ...NO_CHANGE, numatune });
    const { whyNot, shortfall } = explainedCandidate(loser, won, judgeOf(request.host, {}));
    expect(whyNot).toMatch(
      /web left node 1: node 1 Normal had [\d,]+ free pages, more than its low mark asks for, but no free block of order 9 or above\.$/,
    );
    expect(shortfall).toMatchObject({ refusedBy: 'larger-blocks', shortPages: 0 });
  });

  it('gives a pool what it has, and the rest is not told as reclaimed', () => {
    const hugepages = [{ node: 1, sizeKib: 2048 as const, count: 40 }];
    const request = { ...BASE, host: fragmented(), demand: { hugepages } };
    const evaluated = evaluate(request, NO_CHANGE);
    const { obtained } = evaluated.trace.pools[0]!;
    expect(obtained).toBeLessThan(40);
    const causes = causesIn(request);
    expect(textOf(causes, 'direct-reclaim')).toMatch(
      /^No zone that the pool of 40 huge pages of 2048 KiB on node 1 may use serves a request of order 9 at its min mark: nothing is reclaimed for it in \d+ runs?, as a zone has enough free pages for compaction\.$/,
    );
    const text = `Node 1 is to have 40 huge pages of 2048 KiB and gets ${obtained} in the replay: `;
    expect(textOf(causes, 'pool-not-obtained')).toContain(text);
    const notes = poolNotes(request, evaluated.trace.pools);
    expect(notes[0]).toMatchObject({ code: 'hugepage-pool-not-obtained' });
    expect(notes.map(({ message }) => message).join()).not.toContain('40 idle pages');
  });
});

it('a pool is short by what its guests lack of the pages that it obtained', () => {
  const region = {
    policy: { mode: 'bind' as const, nodes: [1] },
    hugetlb: { sizeKib: 2048 as const, reserve: true },
  };
  const guests = [planned('db', 64, 1, { region })];
  const hugepages = [{ node: 1, sizeKib: 2048 as const, count: 32 }];
  const request = { ...BASE, host: fragmented(), guests, demand: { hugepages } };
  const pools = [{ step: 1, nodeId: 1, sizeKib: 2048, asked: 32, obtained: 3 }];
  const messages = (notes: ReturnType<typeof poolNotes>) => notes.map(({ code }) => code);
  expect(messages(poolNotes(request))).toEqual([]);
  expect(messages(poolNotes(request, pools))).toEqual([
    'hugepage-pool-not-obtained',
    'hugepage-pool-short',
  ]);
  expect(poolNotes(request, pools)[1]?.message).toContain('(3 pages) is 29 pages short');
});

it('a request of order 9 needs the other pages of its block on top of the mark', () => {
  const guests = [planned('web', 1024, 0, { region: { thp: 'huge' } })];
  const model = { ...BASE.host, thp: { enabled: 'always', defrag: 'always' } } as HostModel;
  const request = { ...BASE, host: model, guests };
  const [spill] = evaluate(request, NO_CHANGE).spills;
  expect(spill).toMatchObject({ order: 9, refusedBy: 'free-pages' });
  const causes = causesIn(request);
  const below = causes.find(({ code }) => code === 'node-below-mark');
  expect(below?.figures.neededPages).toBe(spill!.neededPages + 511);
  expect(below?.figures.freePages).toBeLessThanOrEqual(below!.figures.neededPages!);
  expect(below?.text).toContain('(low mark with boost and reserve, and the other 511 pages of');
  expect(shortfallOf(spill!).shortPages).toBe(below!.figures.neededPages! + 1 - spill!.freePages);
});

describe('reclaim by zone_reclaim_mode', () => {
  const text = (mode: 'preferred' | 'strict') =>
    textOf(
      causesIn({
        guests: [planned('web', 1024, 0)],
        numatune: { web: { mode, nodeset: [0] } },
        sysctl: { zone_reclaim_mode: 1 },
      }),
      'node-reclaim',
    );

  it('comes before another node only where one is allowed', () => {
    expect(text('preferred')).toMatch(/, before it would go elsewhere\.$/);
    expect(text('strict')).toMatch(/ runs; it may use no other node\.$/);
  });

  it('is told of a pool as of one node', () => {
    const hugepages = [{ node: 0, count: 300 }];
    const causes = causesIn({ demand: { hugepages }, sysctl: { zone_reclaim_mode: 1 } });
    expect(textOf(causes, 'node-reclaim')).toMatch(
      /^zone_reclaim_mode lets the pool of 300 huge pages of 2048 KiB on node 0 reclaim .* runs?; it may use no other node\.$/,
    );
  });
});

describe('memory that its own setting puts away from the vCPUs', () => {
  const over = (mode: 'interleave' | 'strict' | 'preferred', nodeset: number[]) => ({
    host: host([{ mib: 2048 }, { mib: 2048 }]),
    guests: [planned('a', 256, 0)],
    numatune: { a: { mode, nodeset } },
    pinning: { a: { nodes: [0] } },
  });

  it('is told with the setting', () => {
    const { text, figures } = causesIn(over('interleave', [0, 1])).find(
      ({ code }) => code === 'away-by-policy',
    )!;
    expect(figures).toEqual({ pages: 32768 });
    expect(text).toBe(
      '32,768 pages (128 MiB) of a are on node 1, away from its vCPUs: interleave on nodes 0-1 puts them there.',
    );
    expect(textOf(causesIn(over('strict', [1])), 'away-by-policy')).toBe(
      '65,536 pages (256 MiB) of a are on node 1, away from its vCPUs: strict on node 1 puts them there.',
    );
  });

  it('is not told where there is none', () => {
    expect(textOf(causesIn(over('preferred', [0])), 'away-by-policy')).toBe('');
  });
});

describe('what was missing at a kill', () => {
  const zone = { nodeId: 0, zone: 'Normal' as const, freePages: 900, minPages: 1000 };
  const killWith = (order: number, over: { freePages?: number }) =>
    shortfallOfKill({
      ...{ type: 'oom_kill', timeNs: 0, constraint: 'CONSTRAINT_NONE', victim: 'a' },
      ...{ invokedBy: 'b', victimPages: 1, order, summary: '', report: [] },
      zones: [
        { ...zone, zone: 'DMA32' as const, freePages: 0 },
        { ...zone, ...over },
      ].map((one) => ({ ...one, highPages: 1500 })),
    });

  it('is that of the first zone at its min mark, of what the check counts', () => {
    expect(killWith(0, {})).toMatchObject({ zone: 'Normal', mark: 'min', shortPages: 101 });
    expect(killWith(3, { freePages: 1007 })).toMatchObject({ mark: 'min', shortPages: 1 });
  });

  it('is told by the last look where pages came free, never as short while they are enough', () => {
    const high = { mark: 'high', markPages: 1500, refusedBy: 'free-pages', shortPages: 251 };
    expect(killWith(0, { freePages: 1250 })).toMatchObject(high);
    const blocks = { refusedBy: 'larger-blocks', shortPages: 0 };
    expect(killWith(3, { freePages: 9000 })).toMatchObject(blocks);
  });

  it('holds for every kill of a replay', () => {
    const guests = [planned('web1', 700, 0), planned('web2', 512, 0)];
    const cpus = [0, 1, 2, 3];
    const request: SimulationRequest = {
      ...BASE,
      host: host([
        { mib: 1024, cacheMib: 300, cpus },
        { mib: 512, cpus: [4, 5, 6, 7] },
      ]),
      guests,
      numatune: Object.fromEntries(
        guests.map(({ guest }) => [guest.name, { mode: 'strict', nodeset: [0] }]),
      ),
    };
    const { kills } = evaluate(request, NO_CHANGE);
    expect(kills.length).toBeGreaterThan(0);
    for (const kill of kills) {
      const short = shortfallOfKill(kill)!;
      expect(short.shortPages).toBe(short.markPages + 1 - short.freePages);
      expect(short.shortPages).toBeGreaterThan(0);
    }
  });
});
