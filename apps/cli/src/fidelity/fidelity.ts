import { replay } from '@zonewise/simulator';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { answersOf, compare, type Comparison } from './answers';
import { isRecordedCase, type RecordedCase } from './case-file';
import { caseHost } from './case-host';
import { caseSteps } from './case-steps';
import { observables, type Observable } from './observables';
import { render } from '../table';

export interface FidelityOptions {
  /** Folder of case files, whole or stripped of their answers. */
  casesDir: string;
  /** Where to write the predictions for scoring. */
  jsonFile?: string;
}

export interface CaseRun {
  id: string;
  observables: Observable[];
  caveats: string[];
}

/** Replays one recorded case from its boot state. Same case, same result, on every machine. */
export function runCase(recorded: RecordedCase, verify = false): CaseRun {
  const result = replay({
    host: caseHost(recorded),
    runningGuests: [],
    steps: caseSteps(recorded),
    seed: 1,
    hardwareProfile: 'lab-tcg',
    verify,
  });
  const modelled = observables(result);
  return {
    id: recorded.id,
    observables: modelled,
    caveats: result.caveats.map(({ code }) => code),
  };
}

/** Recorded cases of a folder in the order of their file names. */
export function readCases(folder: string): RecordedCase[] {
  return readdirSync(folder)
    .filter((name) => name.endsWith('.json'))
    .sort()
    .map((name) => JSON.parse(readFileSync(join(folder, name), 'utf8')) as unknown)
    .filter(isRecordedCase);
}

function row(recorded: RecordedCase, run: CaseRun, comparison: Comparison | null): string[] {
  const answers =
    comparison === null
      ? ['no answers', 'no answers', 'no answers']
      : [
          comparison.layoutRight ? 'right' : 'WRONG',
          comparison.killsRight ? 'right' : 'WRONG',
          `${comparison.worstPlacementPercent.toFixed(2)} %`,
        ];
  return [recorded.id, String(recorded.steps.length - 1), ...answers, run.caveats.join(' ')];
}

/** A placement this close to the kernel's own range, in percent of the guest's size, counts as right. */
const PLACEMENT_PERCENT = 5;

/** How many of the cases with answers are right; nothing for stripped copies. */
function summary(comparisons: Comparison[]): string[] {
  if (comparisons.length === 0) return [];
  const count = (right: (comparison: Comparison) => boolean) =>
    `${comparisons.filter(right).length} of ${comparisons.length}`;
  return [
    `marks and protections right in ${count(({ layoutRight }) => layoutRight)}`,
    `kills right in ${count(({ killsRight }) => killsRight)}`,
    `every placement within ${PLACEMENT_PERCENT} % of the guest's size in ${count(
      ({ worstPlacementPercent }) => worstPlacementPercent <= PLACEMENT_PERCENT,
    )}`,
  ];
}

/**
 * Replays every case of a folder, prints one line for each, and writes the predictions.
 * @returns exit code: 0 when every case was replayed, 1 when the folder holds none
 */
export function runFidelity({ casesDir, jsonFile }: FidelityOptions): number {
  const rows: string[][] = [];
  const runs: CaseRun[] = [];
  const comparisons: Comparison[] = [];
  for (const recorded of readCases(casesDir)) {
    if (!recorded.kernel.release.startsWith('6.1.')) {
      process.stdout.write(
        `skipped ${recorded.id}: recorded on ${recorded.kernel.release}, the model follows 6.1.y\n`,
      );
      continue;
    }
    const run = runCase(recorded);
    const answers = answersOf(recorded);
    const comparison = answers === null ? null : compare(answers, run.observables);
    runs.push(run);
    if (comparison !== null) comparisons.push(comparison);
    rows.push(row(recorded, run, comparison));
    if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${recorded.id}`);
  }
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
  if (runs.length === 0) {
    process.stderr.write(`zonewise: ${casesDir} holds no case recorded on a 6.1 kernel\n`);
    return 1;
  }
  const head = ['case', 'steps', 'marks', 'kills', 'placement off by at most', 'caveats'];
  const lines = [`${runs.length} cases replayed`, ...summary(comparisons)];
  process.stdout.write(`${render(head, rows)}\n\n${lines.join('\n')}\n`);
  if (jsonFile !== undefined) {
    const cases = runs.map(({ id, observables: predicted }) => ({ id, observables: predicted }));
    writeFileSync(jsonFile, JSON.stringify({ cases }));
    process.stdout.write(`predictions written to ${jsonFile}\n`);
  }
  return 0;
}
