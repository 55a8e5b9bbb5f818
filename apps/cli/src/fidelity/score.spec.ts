import type { AnsweredStep, Range } from './answers';
import type { Observable } from './observables';
import {
  addTallies,
  scoreCase,
  summarize,
  tallyBoots,
  unscored,
  WHOLE_CASES,
  type ScoredObservable,
  type Tallies,
} from './score';
import { toleranceOf, widthOf } from './tolerances';

/** Node 0 has 100,000 managed pages, node 1 has 200,000. */
function zoneinfo(min = 100, boost = 0): NonNullable<AnsweredStep['snapshot']>['zoneinfo'] {
  const zone = (managed: number) => ({
    Normal: { managed, min, low: 125, high: 150, boost, protection: [0, 7] },
  });
  return { 0: { zones: zone(100_000) }, 1: { zones: zone(200_000) } };
}

type Observed = Record<string, Range | string | null>;

function step(n: number, observed: Observed, more: Partial<AnsweredStep> = {}): AnsweredStep {
  return { n, step: { op: 'touch' }, observed, snapshot: { zoneinfo: zoneinfo() }, ...more };
}

interface Case {
  group?: string;
  steps: AnsweredStep[];
  log?: string[];
  simulated?: Observable[];
}

function score({ group = 'A', steps, log = [], simulated = [] }: Case) {
  return scoreCase({ id: 'X01', group }, [step(0, {}), ...steps], log, simulated);
}

const at = (n: number, key: string, simulated: Observable['simulated']): Observable => ({
  step: n,
  key,
  simulated,
});
const row = (rows: ScoredObservable[], n: number, key: string): ScoredObservable | undefined =>
  rows.find((one) => one.step === n && one.key === key);

/** `inside` and `counts` of one key in one step. */
function verdict(of: Case, n: number, key: string): string {
  const found = row(score(of).observables, n, key);
  if (found === undefined) return 'absent';
  return `${found.inside === true ? 'right' : 'wrong'}, ${found.counts === true ? 'counts' : 'silent'}`;
}

describe('kinds and tolerances', () => {
  const sizes = { pagesOf: new Map([['0', 100_000]]), largestPages: 200_000 };
  const width = (key: string) => widthOf(key, toleranceOf(key), sizes);

  it.each([
    ['zone.0.DMA32.protection.3', 'layout', 0],
    ['fallback.1', 'layout', 0],
    ['oom_victims', 'oom', 0],
    ['alive.web1', 'oom', 0],
    // 0.005 of node 0's 100,000 pages is 500, so the 512 pages are wider.
    ['guest.web1.node0', 'placement', 512],
    // A node that is not in the machine: the largest one's 200,000 pages.
    ['guest.web1.node7', 'placement', 1000],
    ['guest.web1.anon_huge_kib', 'placement', 8192],
    ['obtained', 'placement', 2],
    ['guest.web1.swap_kib', 'levels', 4096],
    ['zone.0.Normal.free_pcp', 'levels', 500],
    ['zone.0.Normal.boost', 'levels', 512],
    ['node.0.nr_dirty', 'levels', 500],
    ['extfrag.0.DMA.order9', 'levels', 0.05],
    ['d.numastat.0.numa_hit', 'numa', 512],
    ['d.vmstat.numa_hit', 'numa', 1000],
    ['d.vmstat.pgscan_kswapd', 'pace', 2048],
    ['d.vmstat.pgscan_file', 'reclaim', 1024],
    ['d.vmstat.compact_stall', 'compaction', 256],
    ['d.vmstat.pgfault', 'informative', 0],
    ['node.0.nr_mapped', 'informative', 0],
    ['zone.0.Normal.free', 'informative', 0],
  ])('%s is %s, off by at most %d', (key, kind, pages) => {
    expect(toleranceOf(key).kind).toBe(kind);
    expect(width(key)).toBeCloseTo(pages, 9);
  });
});

describe('a level', () => {
  const key = 'node.0.nr_dirty';
  const steps = (first: Range, second: Range) => [
    step(1, { [key]: first }),
    step(2, { [key]: second }),
  ];
  const moved = steps([0, 0, 0], [9_000, 10_000, 11_000]);

  it('counts where the kernel moved it by more than the tolerance', () => {
    expect(verdict({ steps: moved, simulated: [at(2, key, 11_500)] }, 2, key)).toBe(
      'right, counts',
    );
    expect(verdict({ steps: moved, simulated: [at(2, key, 11_501)] }, 2, key)).toBe(
      'wrong, counts',
    );
    expect(verdict({ steps: moved, simulated: [at(2, key, 8_500)] }, 2, key)).toBe('right, counts');
    expect(verdict({ steps: moved, simulated: [at(2, key, 8_499)] }, 2, key)).toBe('wrong, counts');
  });

  it('takes the share of the bound where that is wider than the share of the node', () => {
    const large = steps([0, 0, 0], [50_000, 50_000, 50_000]);
    expect(verdict({ steps: large, simulated: [at(2, key, 51_000)] }, 2, key)).toBe(
      'right, counts',
    );
    expect(verdict({ steps: large, simulated: [at(2, key, 51_001)] }, 2, key)).toBe(
      'wrong, counts',
    );
  });

  it('earns nothing by stillness, and false movement costs', () => {
    const still = steps([1_000, 1_000, 1_000], [1_500, 1_500, 1_500]);
    expect(verdict({ steps: still, simulated: [at(2, key, 1_500)] }, 2, key)).toBe('right, silent');
    expect(verdict({ steps: still, simulated: [at(2, key, 9_000)] }, 2, key)).toBe('wrong, counts');
  });

  it('is zero where the model or the recording leaves it out', () => {
    expect(verdict({ steps: moved }, 2, key)).toBe('wrong, counts');
    const gone = [step(1, { [key]: [9_000, 9_000, 9_000] }), step(2, {})];
    expect(verdict({ steps: gone }, 2, key)).toBe('right, counts');
  });
});

describe('a counter', () => {
  const key = 'd.vmstat.pgscan_file';
  const steps = [
    step(1, { [key]: [1_000, 1_024, 1_100] }),
    step(2, { [key]: [10_000, 10_000, 10_000] }),
  ];

  it('counts where the kernel counted more than the tolerance, whatever it was in the step before', () => {
    const simulated = [at(1, key, 0), at(2, key, 11_500)];
    expect(verdict({ steps, simulated }, 1, key)).toBe('right, silent');
    expect(verdict({ steps, simulated }, 2, key)).toBe('right, counts');
    expect(verdict({ steps, simulated: [at(2, key, 11_501)] }, 2, key)).toBe('wrong, counts');
  });

  it('that the recording lacks did not move', () => {
    const bare = [step(1, {})];
    expect(verdict({ steps: bare, simulated: [at(1, key, 1_024)] }, 1, key)).toBe('right, silent');
    expect(verdict({ steps: bare, simulated: [at(1, key, 1_025)] }, 1, key)).toBe('wrong, counts');
  });
});

describe('layout', () => {
  it('compares marks without boost, exactly, and counts them where they changed', () => {
    const key = 'zone.0.Normal.min';
    const steps = [
      step(1, {}, { snapshot: { zoneinfo: zoneinfo(130, 30) } }),
      step(2, {}, { snapshot: { zoneinfo: zoneinfo(140) } }),
    ];
    const simulated = [at(1, key, 100), at(2, key, 141)];
    expect(verdict({ steps, simulated }, 1, key)).toBe('right, silent');
    expect(verdict({ steps, simulated }, 2, key)).toBe('wrong, counts');
    expect(verdict({ steps, simulated: [at(2, key, 140)] }, 2, key)).toBe('right, counts');
    // A mark that the model does not give is wrong even where it stood still.
    expect(verdict({ steps }, 1, key)).toBe('wrong, counts');
  });

  it('of the state after boot is given, except for the zonelists', () => {
    const log = ['Fallback order for Node 0: 0 1 ', 'Built 2 zonelists'];
    expect(
      verdict({ steps: [], log, simulated: [at(0, 'fallback.0', '0 1')] }, 0, 'fallback.0'),
    ).toBe('right, counts');
    expect(
      verdict({ steps: [], log, simulated: [at(0, 'fallback.0', '1 0')] }, 0, 'fallback.0'),
    ).toBe('wrong, counts');
    expect(verdict({ steps: [] }, 0, 'zone.0.Normal.min')).toBe('wrong, silent');
  });

  it('is all that counts in a layout case', () => {
    const steps = [step(1, { 'd.vmstat.pgscan_file': [9_000, 9_000, 9_000] })];
    const kinds = Object.keys(score({ group: 'L', steps }).tallies);
    expect(kinds).toEqual(['layout']);
    expect(Object.keys(score({ group: 'A', steps }).tallies)).toContain('reclaim');
  });
});

describe('guests', () => {
  const start = (n: number, name: string, pid: number, observed: Observed = {}) =>
    step(n, observed, { step: { op: 'guest', name }, result: { pid, status: 'ok' } });

  it('are placed within a hundredth of the bound, 512 pages or 0.5 % of the node', () => {
    const key = 'guest.a.node1';
    const steps = [start(1, 'a', 7, { [key]: [50_000, 50_000, 50_000] })];
    expect(verdict({ steps, simulated: [at(1, key, 51_000)] }, 1, key)).toBe('right, counts');
    expect(verdict({ steps, simulated: [at(1, key, 51_001)] }, 1, key)).toBe('wrong, counts');
    // No page on the other node: nothing happened there.
    expect(verdict({ steps, simulated: [at(1, 'guest.a.node0', 0)] }, 1, 'guest.a.node0')).toBe(
      'right, silent',
    );
    expect(verdict({ steps }, 1, 'guest.a.node0')).toBe('wrong, counts');
  });

  it('die by the OOM killer, by kill and in a step that ends with SIGKILL, and are not placed afterwards', () => {
    const steps = [
      start(1, 'a', 7),
      start(2, 'b', 8),
      start(3, 'c', 9),
      step(
        4,
        { oom_constraint: 'CONSTRAINT_NONE' },
        {
          oom: [{ victim_pid: 8 }, { victim_pid: 1 }],
          result: { died_b: true },
        },
      ),
      step(5, {}, { step: { op: 'kill', name: 'a' } }),
      step(6, {}, { step: { op: 'touch', name: 'c' }, result: { status: 'killed' } }),
    ];
    const { observables } = score({ steps });
    const kernel = (n: number, key: string) => row(observables, n, key)?.median;
    expect(kernel(4, 'oom_victims')).toEqual(['b', 'other']);
    expect(kernel(4, 'oom_constraint')).toBe('CONSTRAINT_NONE');
    expect(['a', 'b', 'c'].map((guest) => kernel(4, `alive.${guest}`))).toEqual([
      true,
      false,
      true,
    ]);
    expect(['a', 'b', 'c'].map((guest) => kernel(6, `alive.${guest}`))).toEqual([
      false,
      false,
      false,
    ]);
    expect(kernel(3, 'guest.b.node0')).toBe(0);
    expect(kernel(4, 'guest.b.node0')).toBeUndefined();
  });

  it('that are killed count in the order of the kills, with their constraint', () => {
    const steps = [
      start(1, 'a', 7),
      step(
        2,
        { oom_constraint: 'CONSTRAINT_NONE' },
        { oom: [{ victim_pid: 7 }], result: { died_a: true } },
      ),
    ];
    const simulated = [
      ...[at(2, 'oom_victims', ['a']), at(2, 'oom_constraint', 'CONSTRAINT_CPUSET')],
      ...[at(1, 'oom_victims', []), at(1, 'alive.a', true), at(2, 'alive.a', false)],
    ];
    expect(verdict({ steps, simulated }, 2, 'oom_victims')).toBe('right, counts');
    expect(verdict({ steps, simulated }, 2, 'oom_constraint')).toBe('wrong, counts');
    expect(verdict({ steps, simulated }, 2, 'alive.a')).toBe('right, counts');
    expect(verdict({ steps, simulated }, 1, 'alive.a')).toBe('right, silent');
    expect(verdict({ steps, simulated }, 1, 'oom_victims')).toBe('right, silent');
    expect(verdict({ steps, simulated }, 1, 'oom_constraint')).toBe('right, silent');
    expect(verdict({ steps }, 1, 'oom_victims')).toBe('wrong, counts');
    expect(verdict({ steps }, 2, 'oom_constraint')).toBe('wrong, counts');
  });
});

describe('free pages', () => {
  it('are compared together with the per-CPU lists', () => {
    const observed: Observed = {
      'zone.0.Normal.free': [1, 2, 3],
      'zone.0.Normal.pcp': [10, 20, 30],
    };
    const found = row(
      score({ steps: [step(1, observed)] }).observables,
      1,
      'zone.0.Normal.free_pcp',
    );
    expect([found?.min, found?.median, found?.max]).toEqual([11, 22, 33]);
  });
});

describe('informative values', () => {
  it('carry what the kernel had and are not judged', () => {
    const key = 'd.vmstat.pgfault';
    const simulated = [at(1, key, 5), at(1, 'd.vmstat.pgfree', 1)];
    const { observables } = score({ steps: [step(1, { [key]: [1, 2, 3] })], simulated });
    expect(row(observables, 1, key)).toEqual({
      ...{ step: 1, key, kind: 'informative', min: 1, median: 2, max: 3, simulated: 5 },
    });
    expect(row(observables, 1, 'd.vmstat.pgfree')).toEqual({
      ...{ step: 1, key: 'd.vmstat.pgfree', kind: 'informative', simulated: 1 },
    });
  });
});

describe('cases without answers', () => {
  it('get the kind of each value and nothing else', () => {
    expect(unscored([at(3, 'd.vmstat.numa_hit', 9)])).toEqual([
      { step: 3, key: 'd.vmstat.numa_hit', kind: 'numa', simulated: 9 },
    ]);
  });
});

describe('the summary', () => {
  it('adds up the cases kind by kind, in the order of the names, without empty kinds', () => {
    const one: Tallies = { oom: { inside: 1, total: 2 }, layout: { inside: 3, total: 3 } };
    const sum = addTallies([one, { oom: { inside: 4, total: 4 } }]);
    expect(JSON.stringify(sum)).toBe(
      '{"layout":{"inside":3,"total":3},"oom":{"inside":5,"total":6}}',
    );
  });

  it('tells in how many behaviour cases every placement and kill is right; layout cases are none', () => {
    const placement = (inside: number): Tallies => ({ placement: { inside, total: 5 } });
    const summary = summarize([
      { group: 'A', tallies: placement(5) },
      { group: 'B', tallies: placement(4) },
      { group: 'C', tallies: { oom: { inside: 0, total: 1 } } },
      { group: 'D', tallies: { levels: { inside: 0, total: 9 } } },
      { group: 'L', tallies: {} },
    ]);
    expect(summary?.[WHOLE_CASES]).toEqual({ inside: 2, total: 4 });
    expect(summary?.placement).toEqual({ inside: 9, total: 10 });
    expect(summarize([])).toBeNull();
  });
});

describe('boots of one case', () => {
  const key = 'node.0.nr_anon_pages';
  /** Of a value's boots in one step: those that agree, and all that are asked. */
  const boots = (first: Range, second: Range): [number, number] | undefined => {
    const { observables } = score({
      steps: [step(1, { [key]: first }), step(2, { [key]: second })],
      simulated: [at(1, key, first[1]), at(2, key, second[1])],
    });
    const tallied = tallyBoots(observables.filter(({ step: n }) => n === 2)).levels;
    return tallied && [tallied.inside, tallied.total];
  };

  it('agree where the least and the greatest are within the tolerance of each other', () => {
    expect(boots([0, 0, 0], [50_000, 50_000, 50_001])).toEqual([1, 1]);
    expect(boots([0, 0, 0], [20_000, 50_000, 50_000])).toEqual([0, 1]);
  });

  it('are not asked where the value stands still in all of them', () => {
    expect(boots([50_000, 50_000, 50_000], [50_000, 50_000, 50_000])).toBeUndefined();
    expect(boots([50_000, 50_000, 50_000], [20_000, 50_000, 50_000])).toEqual([0, 1]);
  });
});
