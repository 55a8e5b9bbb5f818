import { replay, type KernelProfileName, type UnseenState } from '@zonewise/simulator';
import { readFileSync, writeFileSync } from 'node:fs';
import { answersOf } from './answers';
import type { RecordedCase } from './case-file';
import { caseHost, recordedProfile } from './case-host';
import { caseSteps } from './case-steps';
import { documented } from './document';
import { observables, type Observable } from './observables';
import { bootAsPrediction, otherBoots } from './other-boot';
import { noteOtherStarts } from './other-starts';
import { readCases } from './read-cases';
import { bootsTable, caseTable, summaryTable } from './report';
import {
  scoreCase,
  summarize,
  tallyBoots,
  unscored,
  WHOLE_CASES,
  type ScoredCase,
  type Summary,
  type Tallies,
} from './score';

export interface FidelityOptions {
  /** Folder of case files, whole or stripped of their answers. */
  casesDir: string;
  /** Letters of the groups of cases to replay; all of them when it is left out. */
  groups?: string;
  /** Where to write the predictions and how they compare. */
  jsonFile?: string;
  /** A document whose blocks are renewed from this run. */
  documentFile?: string;
  /** Folder of other boots of the same cases, which are scored in place of replays. */
  bootsDir?: string;
}

export interface CaseRun {
  id: string;
  observables: Observable[];
  caveats: string[];
}

export interface FidelityRun {
  cases: ScoredCase[];
  /** Null when no case holds answers. */
  summary: Summary | null;
  /** Codes of what the model leaves out in at least one of the cases. */
  caveats: string[];
  /** Kernels whose cases were replayed. */
  kernels: KernelProfileName[];
  /** Cases of other kernels, which are not replayed. */
  skipped: string[];
}

/** How fast the emulated machine was when the case was recorded. */
function labProfile(recorded: RecordedCase): string {
  return recordedProfile(recorded) === '6.12' ? 'lab-tcg-6.12' : 'lab-tcg';
}

/** Replays one recorded case from its boot state. Same case, same result, on every machine. */
export function runCase(
  recorded: RecordedCase,
  verify = false,
  unseen?: Partial<UnseenState>,
): CaseRun {
  const result = replay({
    host: caseHost(recorded),
    runningGuests: [],
    steps: caseSteps(recorded),
    seed: 1,
    hardwareProfile: labProfile(recorded),
    statRefresh: true,
    ...(unseen && { unseen }),
    verify,
  });
  return {
    id: recorded.id,
    observables: observables(result),
    caveats: result.caveats.map(({ code }) => code),
  };
}

export interface CompareOptions {
  groups?: string;
  /** Recount every invariant after each step. */
  verify?: boolean;
  /** Replay cases with misses from other start states as well, to tell which misses hang on what no file prints. */
  vary?: boolean;
  /** Other boots by case: scored in place of replays; cases without one are left out. */
  boots?: Map<string, RecordedCase>;
}

/** Replays the cases one after another and compares each with its recording. */
export function compareCases(
  cases: Iterable<RecordedCase>,
  { groups, verify = false, vary = false, boots }: CompareOptions = {},
  onCase: (id: string) => void = () => undefined,
): FidelityRun {
  const run: FidelityRun = { cases: [], summary: null, caveats: [], kernels: [], skipped: [] };
  const scored: { group: string; tallies: Tallies }[] = [];
  const caveats = new Set<string>();
  for (const recorded of cases) {
    const { id, group, kernel } = recorded;
    if (groups !== undefined && !groups.includes(group)) continue;
    const profile = recordedProfile(recorded);
    if (profile === undefined) {
      run.skipped.push(`${id}: recorded on ${kernel.release}, which no replay follows`);
      continue;
    }
    const boot = boots?.get(id);
    if (boots && boot === undefined) {
      run.skipped.push(`${id}: no other boot of it was recorded`);
      continue;
    }
    onCase(id);
    if (!run.kernels.includes(profile)) run.kernels.push(profile);
    const predicted = boot
      ? { observables: bootAsPrediction(boot), caveats: [] }
      : runCase(recorded, verify);
    for (const code of predicted.caveats) caveats.add(code);
    const answers = answersOf(recorded);
    if (answers === null) {
      run.cases.push({ id, observables: unscored(predicted.observables), tallies: {} });
      continue;
    }
    const log = recorded.boot.log ?? [];
    const scoreOf = (rows: Observable[]): ScoredCase => scoreCase(recorded, answers, log, rows);
    const score = scoreOf(predicted.observables);
    if (vary) {
      noteOtherStarts(score, (unseen) => scoreOf(runCase(recorded, false, unseen).observables));
    }
    run.cases.push(score);
    scored.push({ group, tallies: score.tallies });
  }
  run.summary = summarize(scored);
  run.caveats = [...caveats].sort();
  return run;
}

/** The text that the command prints. @param byBoots other boots were scored in place of replays */
export function printed(
  { cases, summary, caveats, skipped }: FidelityRun,
  byBoots = false,
): string {
  const lines = skipped.map((reason) => `skipped ${reason}`);
  if (summary !== null) {
    const { inside, total } = summary[WHOLE_CASES] ?? { inside: 0, total: 0 };
    lines.push(caseTable(cases), '', summaryTable(summary), '');
    lines.push(bootsTable(tallyBoots(cases.flatMap(({ observables: rows }) => rows))), '');
    lines.push(`${inside} of ${total} ${WHOLE_CASES}`);
  }
  const answers = summary === null ? ', none of them holds answers to compare with' : '';
  const last = byBoots
    ? `${cases.length} cases compared with another boot of the same kernel`
    : `${cases.length} cases replayed${answers}; caveats: ${caveats.join(', ') || 'none'}`;
  lines.push(last);
  return `${lines.join('\n')}\n`;
}

/** The JSON that the command writes: `tallies` of a case and `summary` only where there are answers. */
export function toJson({ cases, summary }: FidelityRun): string {
  return JSON.stringify({
    cases: cases.map(({ id, observables: rows, tallies }) => ({
      id,
      observables: rows,
      ...(summary === null ? {} : { summary: tallies }),
    })),
    ...(summary === null ? {} : { summary }),
  });
}

function showProgress(id: string): void {
  if (process.stderr.isTTY) process.stderr.write(`\r\u001b[K${id}`);
}

/**
 * Replays every case of a folder, prints how each compares with its recording, and writes the predictions.
 * @returns exit code: 0 when every case was replayed, 1 when the folder holds none
 */
export function runFidelity(options: FidelityOptions): number {
  const { casesDir, groups, jsonFile, documentFile, bootsDir } = options;
  const boots = bootsDir === undefined ? undefined : otherBoots(bootsDir);
  if (boots && documentFile !== undefined) {
    throw new Error('--document with --boots; expected one of them: the document holds replays');
  }
  const run = compareCases(
    readCases(casesDir),
    { groups, vary: documentFile !== undefined, boots },
    showProgress,
  );
  showProgress('');
  if (run.cases.length === 0) {
    const wanted = groups === undefined ? '' : ` of groups ${groups}`;
    process.stderr.write(
      `zonewise: ${casesDir} holds no case${wanted} recorded on a kernel that is replayed\n`,
    );
    return 1;
  }
  process.stdout.write(printed(run, boots !== undefined));
  if (jsonFile !== undefined) {
    writeFileSync(jsonFile, toJson(run));
    process.stdout.write(`predictions written to ${jsonFile}\n`);
  }
  if (documentFile !== undefined) {
    writeFileSync(documentFile, documented(readFileSync(documentFile, 'utf8'), run));
    process.stdout.write(`figures renewed in ${documentFile}\n`);
  }
  return 0;
}
