import { causeOf } from './causes';
import { documentBlocks, documented } from './document';
import type { FidelityRun } from './fidelity';
import { WHOLE_CASES } from './score';

const miss = {
  ...({ step: 6, key: 'd.vmstat.compact_stall', kind: 'compaction', simulated: 1_234 } as const),
  ...{ min: 5_000, median: 6_000, max: 7_000, inside: false, counts: true },
};
const run: FidelityRun = {
  cases: [
    {
      id: 'A01-something',
      observables: [
        miss,
        { ...miss, step: 8, simulated: 0 },
        { ...miss, step: 9, inside: true },
        { ...miss, step: 10, counts: false },
        { ...miss, key: 'd.vmstat.allocstall_normal', kind: 'pace' },
        { ...miss, key: 'guest.a.node0', kind: 'placement' },
      ],
      tallies: { compaction: { inside: 1, total: 3 }, pace: { inside: 0, total: 1 } },
    },
  ],
  summary: {
    compaction: { inside: 1, total: 3 },
    pace: { inside: 0, total: 1 },
    [WHOLE_CASES]: { inside: 0, total: 1 },
  },
  caveats: [],
  kernels: ['6.1.y'],
  skipped: [],
};
const EMPTY = ['summary', 'cases', 'misses'].map((name) => `<!-- ${name} --> <!-- /${name} -->`);

describe('the document of a run', () => {
  it('sums up by kind, and says of pace that it is not validated', () => {
    const { summary } = documentBlocks(run);
    expect(summary).toContain('compaction  1       3   33.3 %');
    expect(summary).toMatch(/pace .* 0\.0 % +modelled, not validated/);
    expect(summary).toContain(`0 of 1 ${WHOLE_CASES}`);
  });

  it('lists what counts and misses once for each value, under its cause, without pace', () => {
    const rows = documentBlocks(run)
      .misses!.split('\n')
      .filter((line) => line.startsWith('| A01'));
    expect(rows).toEqual([
      '| A01-something | `d.vmstat.compact_stall` | 6, 8 | 5,000 / 6,000 / 7,000 | 1,234 |',
      '| A01-something | `guest.a.node0` | 6 | 5,000 / 6,000 / 7,000 | 1,234 |',
    ]);
  });

  it('shows what replays from other start states predict', () => {
    const varied = {
      ...miss,
      key: 'node.0.nr_file_pages',
      replays: [900, 5_500],
      undetermined: true,
    };
    const [one] = run.cases;
    const { misses } = documentBlocks({
      ...run,
      cases: [{ ...one!, id: 'L01-layout', observables: [varied as typeof miss] }],
    });
    expect(misses).toContain('### What no file prints of the start state');
    expect(misses).toContain('| 6 | 5,000 / 6,000 / 7,000 | 1,234 (900 to 5,500) |');
  });

  it('says so where no cause is known', () => {
    expect(causeOf('A01-something', 'd.vmstat.compact_stall', 6).title).toBe(
      'When kcompactd looks, and where the kernel’s pages lie',
    );
    expect(causeOf('A99-something', 'guest.a.node0', 6).title).toBe('Cause not found');
  });

  it('replaces what stands between the markers and nothing else', () => {
    const text = documented(`before\n${EMPTY.join('\n')}\nafter`, run);
    expect(text).toMatch(/^before\n<!-- summary -->\n```text\n/);
    expect(text).toMatch(/<!-- \/misses -->\nafter$/);
    expect(documented(text, run)).toBe(text);
  });

  it('keeps the figures of 6.12 apart, without the misses', () => {
    const other: FidelityRun = { ...run, kernels: ['6.12'] };
    const { summary = '', cases = '' } = documentBlocks(run);
    expect(documentBlocks(other)).toEqual({ 'summary 6.12': summary, 'cases 6.12': cases });
    const places = ['summary 6.12', 'cases 6.12'].map(
      (name) => `<!-- ${name} --> <!-- /${name} -->`,
    );
    const text = documented(`${EMPTY.join('\n')}\n${places.join('\n')}`, other);
    expect(text.startsWith(`${EMPTY.join('\n')}\n<!-- summary 6.12 -->\n${summary}`)).toBe(true);
  });

  it('is refused without its markers or without answers', () => {
    expect(() => documented(EMPTY.slice(0, 2).join('\n'), run)).toThrow(
      "found no place for 'misses': expected <!-- misses --> and <!-- /misses -->",
    );
    expect(() => documentBlocks({ ...run, summary: null })).toThrow('the cases hold no answers');
  });
});
