/** The kernel as a predictor of itself: what could be asked of any model of it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { packageRoot } from '../version';
import { compareCases, printed } from './fidelity';
import { bootAsPrediction, otherBoots } from './other-boot';
import { ownCases, readCases } from './read-cases';
import { summaryTable } from './report';

const CASES = `${ownCases()}-6.12`;
const BOOTS = ['third', 'fourth'];
const folderOf = (boot: string): string => `${ownCases()}-6.12-${boot}-boot`;

describe('another boot of the kernel as a prediction', () => {
  it('a recording foretells itself in every value', () => {
    const { summary } = compareCases(readCases(CASES), { boots: otherBoots(CASES) });
    const shares = Object.values(summary ?? {}).map(({ inside, total }) => inside / total);
    expect(shares.length).toBeGreaterThan(6);
    expect(new Set(shares)).toEqual(new Set([1]));
  });

  it.each(BOOTS)('of Linux 6.12: docs/FIDELITY.md says how the %s boot scores', (boot) => {
    const boots = otherBoots(folderOf(boot));
    const run = compareCases(readCases(CASES), { groups: 'LABCDEFGI', boots });
    expect([run.cases.length, run.skipped]).toEqual([26, []]);
    const document = readFileSync(join(packageRoot(), 'docs', 'FIDELITY.md'), 'utf8');
    expect(document).toContain(`\`\`\`text\n${summaryTable(run.summary!)}\n\`\`\``);
    expect(printed(run, true)).toContain('26 cases compared with another boot of the same kernel');
  });

  it('a case without another boot is named and left out', () => {
    const [first, second] = [...readCases(CASES)];
    const run = compareCases([first!, second!], { boots: new Map([[first!.id, first!]]) });
    expect(run.cases.map(({ id }) => id)).toEqual([first!.id]);
    expect(run.skipped).toEqual([`${second!.id}: no other boot of it was recorded`]);
  });

  it('a recording without answers is no prediction', () => {
    const [recorded] = [...readCases(CASES)];
    const stripped = {
      ...recorded!,
      steps: recorded!.steps.map(({ n, step, snapshot }) => ({ n, step, snapshot })),
    };
    expect(() => bootAsPrediction(stripped)).toThrow(`${recorded!.id}: a stripped recording`);
    expect(() => otherBoots(join(packageRoot(), 'docs'))).toThrow('holds no recorded case');
  });
});
