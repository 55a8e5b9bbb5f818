import { replay } from '@zonewise/simulator';
import type { ReplayInput, ReplayResult } from '@zonewise/simulator';
import { host, planned, process, region, running } from '../test/builders';
import { adviseWith, chooseWith } from './advise';
import { compareOutcomes, judgeOf, stallBudgetNs, tolerances } from './objective';
import type { GuestSpec, RecommendationContent, SimulationRequest } from './types';

const request = (over: Partial<SimulationRequest> = {}): SimulationRequest => ({
  host: host([
    { mib: 512, cacheMib: 400 },
    { mib: 512, cacheMib: 50 },
  ]),
  guests: [planned('zeta', 128, 0), planned('alpha', 128, 0)],
  demand: {},
  seed: 1,
  ...over,
});
const advise = (over: Partial<SimulationRequest> = {}) => adviseWith(replay, request(over));
const codes = ({ evidence }: RecommendationContent) => evidence.assumptions.map(({ code }) => code);

test('changes are told in the order in which the guests start', () => {
  const order = (startOrder?: string[]): string[] => {
    const { evidence } = advise(startOrder ? { demand: { startOrder } } : {});
    const strict = evidence.alternatives
      .concat(evidence.advised)
      .find(
        ({ sysctl, numatune }) => !sysctl.zone_reclaim_mode && Object.keys(numatune).length === 2,
      );
    return Object.keys(strict?.numatune ?? {});
  };
  expect(order()).toEqual(['zeta', 'alpha']);
  expect(order(['alpha', 'zeta'])).toEqual(['alpha', 'zeta']);
});

test('what an operator asks about first leads the alternatives', () => {
  const { advised, alternatives } = advise({
    guests: [planned('a', 128, 0), planned('b', 128, 0), planned('c', 64, 1)],
  }).evidence;
  const kind = ({ sysctl, numatune }: typeof advised): string =>
    [...Object.keys(sysctl), ...new Set(Object.values(numatune).map(({ mode }) => mode))].join('+');
  const asked = ['zone_reclaim_mode', 'strict', 'interleave', 'restrictive'];
  const leading = alternatives.slice(0, 4).map(kind);
  expect(asked.filter((one) => ![...leading, kind(advised)].includes(one))).toEqual([]);
});

/** A replay in which today's setting kills the first guests and swaps, and any other kills the second. */
const killing =
  (today: string[], changed: string[]) =>
  (input: ReplayInput): ReplayResult => {
    const result = replay(input);
    const isToday = input.steps.every(
      (step) =>
        step.op !== 'sysctl' &&
        (step.op !== 'guest' || step.guest.regions[0]?.policy.mode === 'preferred'),
    );
    const events = (isToday ? today : changed).map((victim) => ({
      type: 'oom_kill' as const,
      timeNs: 0,
      constraint: 'CONSTRAINT_NONE' as const,
      victim,
      invokedBy: victim,
      victimPages: 1,
      order: 0,
      zones: [],
      summary: '',
      report: [],
    }));
    const [first, ...rest] = result.steps;
    const steps = first ? [{ ...first, events: [...first.events, ...events] }, ...rest] : [];
    const totals = { ...result.totals, swappedOutPages: isToday ? 100_000 : 0 };
    return { ...result, steps, totals };
  };

test('where one planned guest cannot start whatever is done, the rest is judged by what counts next', () => {
  const content = adviseWith(killing(['zeta'], ['alpha']), request());
  expect(content.finding).toBe('DOES_NOT_FIT');
  expect(content.content.operationGroups).not.toEqual([]);
  expect(content.description).toContain('it only lowers memory swapped out.');
});

test('killing one guest more is no advice, whatever else it gains', () => {
  const { evidence, finding } = adviseWith(killing(['zeta'], ['zeta', 'alpha']), request());
  expect(finding).toBe('DOES_NOT_FIT');
  expect(evidence.advised.outcome.oomKills).toEqual(['zeta']);
  const others = evidence.alternatives.map(({ outcome }) => outcome.oomKills.length);
  expect(others).toContain(2);
});

test('fewer kills are advised, but not those of a running guest that lives today', () => {
  const guests = [...request().guests, running('old', 16, 1, { 1: 16 })];
  const over = {
    guests,
    host: host([
      { mib: 512, cacheMib: 400 },
      { mib: 512, anonMib: 16 },
    ]),
  };
  const spared = adviseWith(killing(['zeta', 'alpha'], ['old']), request(over));
  expect(spared.evidence.advised.outcome.oomKills).toEqual(['zeta', 'alpha']);
  expect(spared.evidence.alternatives.map(({ whyNot }) => whyNot)).toContain(
    'Kills old, which runs now and would survive.',
  );
  const fewer = adviseWith(killing(['zeta', 'alpha'], ['zeta']), request(over));
  expect(fewer.content.operationGroups).not.toEqual([]);
  expect(fewer.description).toContain('it only kills fewer');
});

test("a change that ties with a better one but not with today's setting itself is not advised", () => {
  // Stall by number of strict guests: the step from 2 to 1 is within the tolerance, so is 1 to 0.
  const byStrict = [1000e6, 800e6, 450e6];
  const fake = (input: ReplayInput): ReplayResult => {
    const result = replay(input);
    const strict = input.steps.filter(
      (step) => step.op === 'guest' && step.guest.regions[0]?.policy.mode === 'bind',
    ).length;
    const other = input.steps.some(
      (step) =>
        step.op === 'sysctl' ||
        (step.op === 'guest' &&
          !['bind', 'preferred'].includes(step.guest.regions[0]?.policy.mode ?? '')),
    );
    const stallNs = other ? 5000e6 : (byStrict[strict] ?? 0);
    return { ...result, totals: { ...result.totals, stallNs } };
  };
  const roomy = request({ host: host([{ mib: 1024 }, { mib: 1024 }]) });
  const { baseline, advised } = adviseWith(fake, roomy).evidence;
  expect(Object.keys(advised.numatune)).toEqual(['zeta', 'alpha']);
  expect(compareOutcomes(advised.outcome, baseline.outcome, judgeOf(roomy.host))).toBe(-1);
});

test('a search that may not cost more stops, still advises, and says so', () => {
  const costly = (input: ReplayInput): ReplayResult => {
    const result = replay(input);
    return { ...result, steps: result.steps.map((step) => ({ ...step, pagesDone: 1e9 })) };
  };
  const content = adviseWith(costly, request());
  expect(content.evidence.replays).toBeLessThanOrEqual(14);
  expect(codes(content)).toContain('search-replays-bounded');
  expect(content.finding).toBe('REMOTE_MEMORY');
  expect(content.evidence.margin.verdict).toMatch(/^Holds up to \d+ %/);
  expect(codes(advise())).not.toContain('search-replays-bounded');
});

test('of a space too large for replays is told why not all of it was replayed', () => {
  const guests = Array.from({ length: 9 }, (_, i) => planned(`g${i}`, 64, 0));
  const { search, replays } = advise({ guests, host: host([{ mib: 512 }, { mib: 512 }]) }).evidence;
  // Nine guests of twelve settings each, two modes of zone_reclaim_mode, three distances of the marks.
  expect(search).toMatchObject({ exhaustive: true, replays, spaceSize: 12 ** 9 * 6 });
  expect(search.pruned).toMatchObject([
    { bound: 'nothing-better', count: expect.any(Number) as number },
  ]);
});

test('a guest whose memory is all in huge page pools keeps its numatune', () => {
  const content = advise({ guests: [planned('huge', 0, 0), planned('a', 128, 0)] });
  expect(codes(content)).toContain('search-hugepages-left');
  for (const { numatune } of content.evidence.alternatives) {
    expect(Object.keys(numatune)).not.toContain('huge');
  }
});

test('cells keep their own nodes in every mode tried at home', () => {
  const cells: GuestSpec = {
    ...planned('cells', 128, 0),
    guest: process('cells', [region(64, 0), region(64, 1, { cell: 1 })]),
  } as GuestSpec;
  const { alternatives } = advise({ guests: [cells] }).evidence;
  const strict = alternatives.find(({ numatune }) => numatune['cells']?.mode === 'strict');
  expect(strict?.numatune['cells']?.nodeset).toEqual([0, 1]);
  expect(strict?.outcome.remoteShare).toBe(0);
});

test('a winner in miniature that waits longer in full than anything as good as today may is given up', () => {
  const mib = 16384;
  const large = request({
    host: host([{ mib, cacheMib: 14000 }, { mib }]),
    guests: [planned('a', 6144, 0), planned('b', 6144, 0)],
  });
  const limits: (number | undefined)[][] = [];
  const noted = (input: ReplayInput): ReplayResult => {
    const pages = input.host.nodes[0]?.zones[0]?.managedPages ?? 0;
    if (pages > (mib * 256) / 2) limits.push([input.stallLimitNs, input.stallExcess?.limitNs]);
    return replay(input);
  };
  const { advised } = chooseWith(noted, large);
  expect(advised.scale).toBeUndefined();
  const budget = stallBudgetNs(2 * 6144 * 256);
  // In full: today's setting as far as anybody would wait, the winner, and that under the likely variations.
  const [today, winner, ...varied] = limits;
  expect([today, winner]).toEqual([
    [4 * budget, undefined],
    [4 * budget, tolerances(large.host)['stall-excess']],
  ]);
  expect(varied.map(([, excess]) => excess)).toEqual(Array(5).fill(undefined));
});
