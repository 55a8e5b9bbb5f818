import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { replayThreads } from '@zonewise/replay-threads';
import distribution from './distribution.json';
import { FAMILIES, instance } from './instances';
import { measure, median, type Measured } from './measure';
import { instanceTable, missedBy, summarize, type Summary } from './report';
import { placeVerified, requestOf } from './verified';

const HOSTS = 12;

it('instances follow from the seed, and their shares from the file', () => {
  for (const family of FAMILIES) {
    const one = instance(family, 5, HOSTS, 10 * HOSTS);
    expect(instance(family, 5, HOSTS, 10 * HOSTS)).toEqual(one);
    expect(instance(family, 6, HOSTS, 10 * HOSTS).guests).not.toEqual(one.guests);
    expect([one.hosts.length, one.guests.length]).toEqual([HOSTS, 10 * HOSTS]);
  }
  const { cells } = distribution.families['numa-shaped'];
  const drawn = instance('numa-shaped', 1, 1, 4000).guests;
  for (const { cells: count, share } of cells) {
    const found = drawn.filter((guest) => guest.cells.length === count).length / drawn.length;
    expect(Math.abs(found - share / 100)).toBeLessThan(0.03);
  }
  const small = instance('cloud-sizes', 1, 1, 4000).guests;
  const few = small.filter(({ cells: [cell] }) => cell!.vcpus <= 2).length / small.length;
  expect(few).toBeGreaterThan(0.74);
});

it('small instances are packed soundly and never worse than the rivals', () => {
  const measured = FAMILIES.flatMap((family) =>
    [1, 2, 3].map((seed) => measure(instance(family, seed, HOSTS, 10 * HOSTS))),
  );
  for (const each of measured) {
    expect(each.worse).toBe(false);
    if (each.refused === 0) expect(each.hostsUsed).toBeGreaterThanOrEqual(each.lowerBound.hosts);
  }
  const summary = summarize(1, measured, []);
  expect(summary).toMatchObject({ seed: 1, instances: 12, worseThanFirstFitOrBestFit: 0 });
  expect(summary.arithmeticSecondsFor1000Hosts).toBeNull();
  expect(summary.verifiedSeconds).toBeNull();
  expect(instanceTable(measured).split('\n')).toHaveLength(13);
});

it('the summary counts what is worse, and takes medians', () => {
  const [first] = [measure(instance('cloud-sizes', 1, 4, 20))];
  const of = (over: Partial<Measured>): Measured => ({ ...first, hosts: 1000, ...over });
  const measured = [
    of({ aboveLowerBoundPct: 4, arithmeticSeconds: 1, worse: true }),
    of({ aboveLowerBoundPct: 1, arithmeticSeconds: 3 }),
    of({ family: 'nearly-full', aboveLowerBoundPct: 10, arithmeticSeconds: 2 }),
  ];
  expect(summarize(9, measured, [])).toMatchObject({
    seed: 9,
    instances: 3,
    worseThanFirstFitOrBestFit: 1,
    medianAboveLowerBoundPct: 4,
    arithmeticSecondsFor1000Hosts: 3,
    families: [
      { family: 'cloud-sizes', instances: 2, medianAboveLowerBoundPct: 2.5 },
      { family: 'nearly-full', instances: 1, worseThanFirstFitOrBestFit: 0 },
    ],
  });
  expect(median([3, 1, 2])).toBe(2);
  expect(median([])).toBe(0);
});

describe('what a summary has to hold', () => {
  const held: Summary = {
    ...{ seed: 1, instances: 12, worseThanFirstFitOrBestFit: 0, medianAboveLowerBoundPct: 5 },
    ...{ arithmeticSecondsFor1000Hosts: 1.999, verifiedSeconds: null, families: [], hash: '' },
  };

  it.each<[Partial<Summary>, string[]]>([
    [{}, []],
    [{ arithmeticSecondsFor1000Hosts: null }, []],
    [
      { worseThanFirstFitOrBestFit: 1 },
      ['worse than first-fit or best-fit decreasing on 1 of 12 instances; expected 0'],
    ],
    [
      { medianAboveLowerBoundPct: 5.001 },
      ['5.001 % above the lower bound on the median; expected at most 5 %'],
    ],
    [{ arithmeticSecondsFor1000Hosts: 2 }, ['1,000 hosts packed in 2 s; expected less than 2 s']],
  ])('%j', (over, missed) => expect(missedBy({ ...held, ...over })).toEqual(missed));

  /** The bench in a process of its own, packing alone. */
  function bench(hosts: number): { status: number | null; stderr: string; summary: Summary } {
    const folder = mkdtempSync(join(tmpdir(), 'zonewise-'));
    const json = join(folder, 'bench.json');
    const wanted = ['--only', 'numa-shaped', '--instances', '1', '--verify', 'none', '--no-growth'];
    const command = ['-r', '@swc-node/register', join(__dirname, 'main.ts'), ...wanted];
    try {
      const { status, stderr } = spawnSync(
        process.execPath,
        [...command, '--hosts', String(hosts), '--json', json],
        { encoding: 'utf8' },
      );
      const { summary } = JSON.parse(readFileSync(json, 'utf8')) as { summary: Summary };
      return { status, stderr, summary };
    } finally {
      rmSync(folder, { recursive: true });
    }
  }

  it('decides the exit code of the process, which has written its answer all the same', () => {
    // Of four hosts one more than the bound is more than 5 %.
    const [few, many] = [bench(4), bench(8)];
    expect(few.summary.medianAboveLowerBoundPct).toBeGreaterThan(5);
    expect([few.status, few.stderr]).toEqual([
      1,
      expect.stringMatching(/^missed: [\d.]+ % above the lower bound on the median; /m),
    ]);
    expect(many.summary.medianAboveLowerBoundPct).toBeLessThanOrEqual(5);
    expect([many.status, many.stderr]).toEqual([0, expect.not.stringContaining('missed')]);
  });
});

it.each(FAMILIES)('%s: documents of an instance are placed with replays', async (family) => {
  const made = instance(family, 3, 1, 3);
  expect(requestOf(made).guests).toHaveLength(3);
  const answer = await placeVerified(made, replayThreads(1));
  expect(answer.refused).toEqual([]);
  expect(answer.placements).toHaveLength(3);
  for (const { evidence } of answer.placements) expect(evidence.swapPages).toBe(0);
});

it('docs/PLACEMENT.md shows the shares of the file', () => {
  const text = readFileSync(join(__dirname, '../../../docs/PLACEMENT.md'), 'utf8');
  const shown = [...text.matchAll(/^\|\s+(\d+) \|\s+([\d.]+) \|\s+(\d+) \|$/gm)];
  const { flavours } = distribution.families['cloud-sizes'];
  expect(shown.map(([, vcpus, gib, share]) => [vcpus, gib, share].map(Number))).toEqual(
    flavours.map(({ vcpus, gib, share }) => [vcpus, gib, share]),
  );
  expect(flavours.reduce((sum, { share }) => sum + share, 0)).toBe(100);
});
