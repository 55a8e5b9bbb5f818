import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { validateHostModel } from '@zonewise/simulator';
import { compileReplay } from '../src/compile';
import { guestMemoryPages } from '../src/placement';
import { host } from '../test/builders';
import { tolerances } from '../src/objective';
import { compare } from './compare';
import {
  killsMore,
  median,
  overSituations,
  peers,
  reductionPct,
  remoteHolds,
  summarise,
  unseenAlone,
  type Figures,
  type ProblemResult,
  type SituationResult,
} from './judge';
import { main } from './main';
import { kindOf, problem } from './problems';
import { Random } from './random';
import { report } from './run';
import { DEMAND_PERCENTS, PROBLEMS } from './shares';
import { AS_ASKED, GROWN, UNSEEN } from './situations';

const TOLERANCE = tolerances(host([{ mib: 512 }, { mib: 512 }]));
const FINE: Figures = { kills: 0, swapPages: 0, stallNs: 0, remoteCost: 0 };
const situation = (
  advice: Partial<Figures>,
  ...rivals: (Partial<Figures> & { name?: string })[]
): SituationResult => ({
  situation: 'as-asked',
  advice: { ...FINE, ...advice },
  rivals: rivals.map((rival, i) => ({ name: `rival${i}`, ...FINE, ...rival })),
});
const result = (situations: SituationResult[], better?: number): ProblemResult => ({
  id: '0-mixed',
  traits: {},
  situations,
  searchReplays: 1,
  ...(better !== undefined && {
    exhaustive: {
      configurations: 72,
      better: Array.from({ length: better }, () => ({ configuration: '{}', by: 'remote' })),
    },
  }),
});

describe('judging', () => {
  test('kills are held against the rival that kills the fewest', () => {
    expect(killsMore(situation({ kills: 1 }, { kills: 1 }, { kills: 2 }))).toBe(false);
    expect(killsMore(situation({ kills: 1 }, { kills: 0 }, { kills: 2 }))).toBe(true);
  });

  test('peers are the rivals that are no worse in kills, swap and stall by more than a tolerance', () => {
    const compared = situation(
      { kills: 1, swapPages: 1000, stallNs: 2e9 },
      { name: 'same', kills: 1, swapPages: 1000 + TOLERANCE.swap, stallNs: 2e9 + TOLERANCE.stall },
      { name: 'kills', kills: 2 },
      { name: 'swaps', kills: 1, swapPages: 1001 + TOLERANCE.swap },
      { name: 'waits', kills: 1, stallNs: 2e9 + TOLERANCE.stall + 1 },
      { name: 'better' },
    );
    expect(peers(compared, TOLERANCE).map(({ name }) => name)).toEqual(['same', 'better']);
  });

  test('remote cost is held against the nearest peer only', () => {
    const worse = { kills: 1, remoteCost: 0 };
    expect(remoteHolds(situation({ remoteCost: 0.2 }, { remoteCost: 0.3 }, worse), TOLERANCE)).toBe(
      true,
    );
    expect(remoteHolds(situation({ remoteCost: 0.2 }, { remoteCost: 0.1 }), TOLERANCE)).toBe(false);
    expect(remoteHolds(situation({ remoteCost: 0.2 }), TOLERANCE)).toBe(true);
  });

  test("the reduction is against libvirt's default where that neither kills nor is perfect", () => {
    const name = 'libvirt-default';
    const nearer = situation({ remoteCost: 0.1 }, { name, remoteCost: 0.4 });
    expect(reductionPct(nearer, TOLERANCE)).toBeCloseTo(75);
    expect(reductionPct(situation({}, { name, remoteCost: 0.4, kills: 1 }), TOLERANCE)).toBe(
      undefined,
    );
    expect(reductionPct(situation({}, { name, remoteCost: 0 }), TOLERANCE)).toBe(undefined);
    expect(median([3, 1, 2])).toBe(2);
    expect(median([4, 1, 2, 3])).toBe(2.5);
  });

  test('figures are summed over the situations of a problem, remote cost is their mean', () => {
    const name = 'libvirt-default';
    const results = [
      result([
        situation({ remoteCost: 0.1 }, { name, remoteCost: 0.4 }),
        { ...situation({ kills: 1 }, { name, kills: 0, remoteCost: 0.2 }), seen: true },
      ]),
      result([situation({ remoteCost: 0.3 }, { name, remoteCost: 0.2 })], 1),
      result([situation({ remoteCost: 0.1 }, { name, remoteCost: 0.2 })], 0),
    ];
    const summary = summarise(7, results, TOLERANCE);
    expect(summary).toEqual({
      seed: 7,
      problems: 3,
      moreKillsThanBestRival: 1,
      remoteAtOrBelowBestRivalPct: expect.closeTo(200 / 3, 6) as number,
      // -50 and 50 %, and of the first one, where the default kills nobody, 1 - 0.05 / 0.3.
      medianRemoteReductionPct: expect.closeTo(50, 6) as number,
      optimalWhereExhaustivePct: 50,
      exhaustiveProblems: 2,
      // The one that kills does so in a situation that the search sees.
      unseenAlone: {
        moreKillsThanBestRival: 0,
        remoteAtOrBelowBestRivalPct: expect.closeTo(200 / 3, 6) as number,
      },
    });
  });
});

test('a rival that kills in one situation is no peer of advice that kills in none', () => {
  const frail = { name: 'frail', remoteCost: 0 };
  const compared = overSituations({
    situations: [
      situation({ remoteCost: 0.2 }, frail, { name: 'soft', remoteCost: 0.1 }),
      situation({ remoteCost: 0.4 }, { ...frail, kills: 1 }, { name: 'soft', remoteCost: 0.7 }),
    ],
  });
  expect(compared.advice.remoteCost).toBeCloseTo(0.3);
  expect(peers(compared, TOLERANCE)).toMatchObject([{ name: 'soft', kills: 0 }]);
  expect(remoteHolds(compared, TOLERANCE)).toBe(true);
});

test('a rival that was left out of a situation loses who is lost there with every configuration', () => {
  const left = { ...situation({ kills: 2 }), lostAtLeast: 1 };
  const first = situation({ kills: 1 }, { name: 'soft', kills: 1 });
  const compared = overSituations({ situations: [first, left, left] });
  expect(compared.rivals).toMatchObject([{ name: 'soft', kills: 3 }]);
  expect(killsMore(compared)).toBe(true);
  const replayed = { ...situation({ kills: 2 }, { name: 'soft', kills: 4 }), lostAtLeast: 1 };
  expect(overSituations({ situations: [first, replayed, left] }).rivals).toMatchObject([
    { kills: 6 },
  ]);
});

describe('problems', () => {
  test('the same seed and number give the same problem, others do not', () => {
    expect(problem(5, 9)).toEqual(problem(5, 9));
    expect(problem(6, 9)).not.toEqual(problem(5, 9));
    expect(problem(5, 29).request).not.toEqual(problem(5, 9).request);
  });

  test('every problem is a host that the simulator takes, and guests that compile', () => {
    for (let number = 0; number < PROBLEMS; number += 1) {
      const { request } = problem(3, number);
      expect(validateHostModel(request.host)).toEqual([]);
      expect(compileReplay(request).input.steps.length).toBeGreaterThan(0);
      for (const unseen of [GROWN, ...UNSEEN]) expect(unseen.apply(request)).not.toEqual(request);
    }
  });

  test('kinds, demand, sizes and nodes are spread as stated', () => {
    const all = Array.from({ length: PROBLEMS }, (_, number) => problem(11, number));
    const small = all.filter(({ kind }) => kind === 'small');
    expect(small.length).toBeGreaterThanOrEqual(40);
    expect(all.filter(({ kind }) => kind === 'preferred-beside-cache')).toHaveLength(10);
    const mixed = all.filter(({ kind }) => kind === 'mixed');
    for (const percent of DEMAND_PERCENTS) {
      const share = mixed.filter(({ traits }) => traits.demandPercent === percent).length;
      expect(share / mixed.length).toBeGreaterThan(0.08);
    }
    const nodes = new Set(mixed.map(({ traits }) => traits.nodes));
    expect([...nodes].sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 6, 8]);
    expect(Math.min(...mixed.map(({ traits }) => traits.memoryGib))).toBe(64);
    for (const { request, traits } of mixed) {
      const pages = request.guests.reduce((sum, { guest }) => sum + guestMemoryPages(guest), 0);
      const present = request.host.nodes
        .flatMap(({ zones }) => zones)
        .reduce((sum, zone) => sum + zone.presentPages, 0);
      expect(Math.abs((pages / present) * 100 - traits.demandPercent)).toBeLessThan(4);
    }
  });

  test('random numbers are spread evenly and shares are kept', () => {
    const random = new Random(42);
    const draws = Array.from({ length: 4000 }, () =>
      random.weighted([
        { value: 'a', percent: 25 },
        { value: 'b', percent: 75 },
      ]),
    );
    const share = draws.filter((value) => value === 'a').length / draws.length;
    expect(Math.abs(share - 0.25)).toBeLessThan(0.03);
  });
});

test('a small problem from search to summary: rivals, an unseen variation, the whole space', () => {
  // One guest that asks for little beside little page cache: a replay of it is short.
  const number = Array.from({ length: PROBLEMS }, (_, i) => i).find((i) => {
    const { guests, demandPercent, cachePercent } = problem(1, i).traits;
    return guests === 1 && demandPercent === 40 && cachePercent < 10 && kindOf(i) === 'small';
  });
  if (number === undefined) throw new Error('no such problem among those of seed 1');
  const compared = compare(problem(1, number), number);
  const { summary } = report(1, [compared]);
  expect(summary).toMatchObject({ seed: 1, problems: 1, exhaustiveProblems: 1 });
  expect(compared.exhaustive?.configurations).toBeGreaterThanOrEqual(48);
  expect(compared.situations.map((each) => each.situation)).toEqual([
    AS_ASKED.name,
    GROWN.name,
    UNSEEN[number % UNSEEN.length]?.name,
    ...['growth-20', 'reversed-start', 'growth-10', 'slow-touch', 'cache-10'],
  ]);
  expect(unseenAlone(compared).situations).toEqual(compared.situations.slice(0, 3));
  for (const { rivals } of compared.situations) {
    expect(rivals.map(({ name }) => name)).toContain('libvirt-default');
  }
  expect(compared.situations[0]?.rivals.length).toBeGreaterThan(6);
  // Who is left out of a situation had lost by then, or was as remote as the advice in all.
  const remoteOf = (name: string): number[] =>
    compared.situations.flatMap(({ rivals }) =>
      rivals.filter((rival) => rival.name === name).map(({ remoteCost }) => remoteCost),
    );
  const { length } = compared.situations;
  const isNearer = (name: string): boolean =>
    remoteOf(name).reduce((sum, cost) => sum + cost, 0) / length + TOLERANCE.remote <
    overSituations(compared).advice.remoteCost;
  const overAll = overSituations(compared);
  expect(overAll.advice.kills).toBe(0);
  const leftOut = overAll.rivals.filter(({ name }) => remoteOf(name).length < length);
  expect(leftOut.length).toBeGreaterThan(0);
  expect(
    peers({ ...overAll, rivals: leftOut }, TOLERANCE).filter(({ name }) => isNearer(name)),
  ).toEqual([]);
  const asAsked = compared.situations.filter(({ situation: name }) => name === AS_ASKED.name);
  expect(asAsked.map((each) => [killsMore(each), remoteHolds(each, TOLERANCE)])).toEqual([
    [false, true],
  ]);
  expect(report(1, [compared]).summary.resultHash).toBe(summary.resultHash);
  expect(report(1, [{ ...compared, searchReplays: -1 }]).summary.resultHash).not.toBe(
    summary.resultHash,
  );
});

describe('a run that was interrupted', () => {
  const directory = mkdtempSync(join(tmpdir(), 'bench-advice-'));
  const file = join(directory, 'figures.json');
  afterAll(() => rmSync(directory, { recursive: true }));
  const known = { ...result([situation({}, { name: 'libvirt-default' })]), id: '3-small' };

  test('goes on with what is in its file', async () => {
    writeFileSync(file, JSON.stringify(report(1, [known])));
    const written = jest.spyOn(process.stdout, 'write').mockReturnValue(true);
    await expect(main(['--only', '3', '--json', file, '--resume'])).resolves.toBe(0);
    const [[line]] = written.mock.calls as [[string]];
    written.mockRestore();
    expect(JSON.parse(line)).toEqual({ summary: report(1, [known]).summary });
    expect(JSON.parse(readFileSync(file, 'utf8'))).toMatchObject({ results: [{ id: '3-small' }] });
  });

  test.each([
    ['of another seed', JSON.stringify(report(2, [known])), 'figures of seed 2'],
    [
      'of another version',
      JSON.stringify({ ...report(1, [known]), sources: 'others' }),
      'figures of another version',
    ],
    ['that is something else', '{}', 'no figures of this bench'],
    ['that is no JSON', 'figures', 'not valid JSON'],
  ])('refuses a file %s', async (_, content, message) => {
    writeFileSync(file, content);
    const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
    await expect(main(['--only', '3', '--json', file, '--resume'])).resolves.toBe(2);
    expect(written.mock.calls.join('')).toContain(message);
    written.mockRestore();
    expect(readFileSync(file, 'utf8')).toBe(content);
  });
});

test.each([
  ['--resume', '--seed=1'],
  ['--seed', 'x'],
  ['--problems', '0'],
  ['--only', 'everything'],
  ['--unknown', '1'],
])('%s %s is refused', async (option, value) => {
  const written = jest.spyOn(process.stderr, 'write').mockReturnValue(true);
  await expect(main([option, value])).resolves.toBe(2);
  expect(written.mock.calls.join('')).toContain('--seed N');
  written.mockRestore();
});
