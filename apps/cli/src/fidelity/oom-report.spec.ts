/** A simulated kill beside the recorded kernel's report of the same kill. */
import { replay } from '@zonewise/simulator';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { caseHost } from './case-host';
import { caseSteps } from './case-steps';
import { readCases } from './read-cases';

const FOLDER = join(__dirname, '../../../../test/fixtures/kernel');
const ID = 'B01-bind-cache-oom';
const recorded = readFileSync(join(FOLDER, `${ID}.dmesg.txt`), 'utf8')
  .trimEnd()
  .split('\n');

/** Pages by which a list may differ from the recording's: 0.5 % of the node's 1 GiB. */
const TOLERANCE_PAGES = 1310;

function killed(): string[] {
  const kernelCase = [...readCases(FOLDER)].find(({ id }) => id === ID)!;
  const { steps } = replay({
    host: caseHost(kernelCase),
    runningGuests: [],
    steps: caseSteps(kernelCase),
    seed: 1,
    hardwareProfile: 'lab-tcg',
  });
  const reports = steps.flatMap(({ events }) =>
    events.flatMap((event) => (event.type === 'oom_kill' ? [event.report] : [])),
  );
  expect(reports).toHaveLength(1);
  return reports[0]!;
}

/** What does not depend on where the pages lie. */
const FIXED = [
  /gfp_mask=.*/,
  /all_unreclaimable.*/,
  / boost:.* reserved_highatomic:\w+/,
  /present:\w+ managed:\w+/,
  /^lowmem_reserve.*/,
  /.* hugepages_.*/,
  /^(Free|Total) swap.*/,
  /^\d+ pages (RAM|reserved)$/,
  /constraint=.*,global_oom/,
];

/** Marks without the boost in them, which a steal of a block may or may not just have set. */
function unboosted(line: string): string {
  return line.replace(
    / boost:(\d+)kB min:(\d+)kB low:(\d+)kB high:(\d+)kB/,
    (_, boost: string, ...marks: string[]) => {
      const [min, low, high] = marks.map((mark) => `${Number(mark) - Number(boost)}kB`);
      return ` boost:0kB min:${min} low:${low} high:${high}`;
    },
  );
}

/** The text of a line without what differs from kill to kill: numbers, process names, types of free blocks. */
function shape(line: string): string {
  return line
    .replace(/ \([UMEHCI]+\)/g, '')
    .replace(/(^|task=|\()(init|g1)\b/g, '$1NAME')
    .replace(/\d+(kB|KB)?/g, '#');
}

/** `free:3616kB` as ['free', 904]: pages where the unit is kB. */
function counts(line: string): Map<string, number> {
  const found = line.matchAll(/([\w()]+): ?(\d+)(kB)?\b/g);
  return new Map(
    [...found].map(([, name, digits, unit]) => [
      name!,
      Number(digits) / (unit === undefined ? 1 : 4),
    ]),
  );
}

describe('the report of a bound guest that outgrew its node', () => {
  const lines = killed();
  const tasks = lines.indexOf('Tasks state (memory values in pages):');
  const withoutTasks = [...lines.slice(0, tasks), ...lines.slice(-2)];

  it('has the lines of the recorded one in their order', () => {
    expect(withoutTasks.map(shape)).toEqual(recorded.map(shape));
    expect(lines.slice(tasks + 1, -2)).toEqual([
      '[  pid  ]   uid  tgid total_vm      rss pgtables_bytes swapents oom_score_adj name',
      expect.stringMatching(/^\[ {3}1001\] {5}0 {2}1001 {3}\d{6} {3}\d{6} {2}\d{7} {8}0 {13}0 g1$/),
    ]);
  });

  it('asks for the same, is bound to the same, and has the same sizes, marks and reserves', () => {
    const fixed = (report: string[]): string[] =>
      report.map(unboosted).flatMap((line) => FIXED.flatMap((part) => part.exec(line)?.[0] ?? []));
    const expected = fixed(recorded);
    // Request, all_unreclaimable, marks, sizes and reserves of 3 zones, 2 pools, swap, RAM, summary.
    expect(expected).toHaveLength(18);
    expect(fixed(withoutTasks)).toEqual(expected);
  });

  it('has about as many pages on each list', () => {
    const far = recorded.flatMap((line, i) => {
      const simulated = counts(withoutTasks[i]!);
      return [...counts(line)]
        .filter(([name]) => !/kernel_stack|total-vm|inactive_anon|free_pcp/.test(name))
        .filter(([name, pages]) => Math.abs(simulated.get(name)! - pages) > TOLERANCE_PAGES)
        .map(([name, pages]) => `${name}: ${simulated.get(name)}, recorded ${pages}`);
    });
    expect(far).toEqual([]);
  });

  it("has as many pages of the guest and on CPUs' lists; the kernel drained these before it killed the guest", () => {
    const total = (report: string[]): number =>
      ['inactive_anon', 'free_pcp'].reduce((sum, name) => {
        const line = report.find((text) => !text.startsWith('Node') && text.includes(`${name}:`))!;
        return sum + counts(line).get(name)!;
      }, 0);
    expect(Math.abs(total(withoutTasks) - total(recorded))).toBeLessThan(TOLERANCE_PAGES);
  });

  it('counts in its free blocks what it says is free', () => {
    for (const zone of ['DMA', 'DMA32', 'Normal']) {
      const free = lines.find((line) => line.startsWith(`Node 0 ${zone} free:`))!;
      const blocks = lines.find((line) => line.startsWith(`Node 0 ${zone}: `))!;
      const listed = [...blocks.matchAll(/(\d+)\*(\d+)kB/g)].reduce(
        (sum, [, count, size]) => sum + Number(count) * Number(size),
        0,
      );
      expect(blocks).toMatch(new RegExp(` = ${listed}kB$`));
      expect(free).toContain(` free:${listed}kB `);
    }
  });
});
