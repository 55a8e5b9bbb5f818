import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import {
  inThreads,
  isDay,
  judging,
  nearest,
  RULES,
  ruleOf,
  SEVERITIES,
  type Finding,
  type FindingPlace,
  type GateVerdict,
  type JudgeOptions,
  type JudgeOutcome,
  type Severity,
} from '@zonewise/plan';
import { replayThreads } from '@zonewise/replay-threads';
import { packageRoot, version } from '../version';
import { against, readBaseline } from './baseline';
import { FORMATS, type FormatName } from './formats';
import { verdictsAt } from './git-ref';
import { judgeRemote, serverUrl } from './judge-remote';
import { readPlanFile, type LoadedPlan } from './plan-file';
import { fail, PlanFileError } from './plan-folder';
import { locatedProblem, problemsBehind } from './problems';
import { problemLine, type PlanReport, type ReportContext } from './report';

/** What the gate's exit code says. 1 and 2 differ so that a broken plan file never looks like a verdict. */
const EXIT = { pass: 0, cannotJudge: 1, fail: 2 } as const;

export interface GateOptions {
  /** One of FORMATS; default `table`. */
  output?: string;
  /** File for the report instead of stdout. */
  out?: string;
  failLevel?: string;
  /** Earlier verdict, as `--output json` wrote it. */
  baseline?: string;
  /** Commit whose plans are judged for comparison. */
  against?: string;
  /** Address of a service that judges instead. */
  server?: string;
  /** Folder that no file of a plan may be outside of; default: the plan's own. */
  root?: string;
  /** Day that waivers are held against; default: today, UTC. */
  today?: string;
}

/** Options that have been checked. */
interface Checked {
  output: FormatName;
  failLevel?: Severity;
  today: string;
  root?: string;
  server?: URL;
  baseline: Map<string, GateVerdict>;
}

function choice<T extends string>(option: string, value: string, known: readonly T[]): T {
  const found = known.find((name) => name === value);
  if (found !== undefined) return found;
  const near = nearest(value, known);
  const hint = near === undefined ? '' : `; did you mean ${near}?`;
  return fail('invalid-option', option, `it is one of ${known.join(', ')}; found ${value}${hint}`);
}

function checkOptions(options: GateOptions): Checked {
  const { failLevel, root, baseline, server } = options;
  if (baseline !== undefined && options.against !== undefined) {
    fail('invalid-option', '--against', 'it does not go together with --baseline');
  }
  // The only look at the clock: libraries are given the day.
  const today = options.today ?? new Date().toISOString().slice(0, 10);
  if (!isDay(today)) {
    fail('invalid-option', '--today', `it is a day such as 2027-03-31; found ${today}`);
  }
  return {
    output: choice('--output', options.output ?? 'table', Object.keys(FORMATS) as FormatName[]),
    today,
    baseline: baseline === undefined ? new Map<string, GateVerdict>() : readBaseline(baseline),
    ...(failLevel === undefined
      ? {}
      : { failLevel: choice('--fail-level', failLevel, SEVERITIES) }),
    ...(root === undefined ? {} : { root }),
    ...(server === undefined ? {} : { server: serverUrl(server) }),
  };
}

/** A place with file and line, from the document that it names or from the plan. */
function locatedPlace(place: FindingPlace, { source, files }: LoadedPlan): FindingPlace {
  const document = files.get(place.path);
  return document === undefined
    ? { ...place, ...source.placeOf(place.path) }
    : { ...place, file: document };
}

function located(finding: Finding, plan: LoadedPlan): Finding {
  const related = finding.related?.map((each) => ({
    ...each,
    place: locatedPlace(each.place, plan),
  }));
  return {
    ...finding,
    place: locatedPlace(finding.place, plan),
    ...(related === undefined ? {} : { related }),
  };
}

/** A line on the terminal that says how far it is; nothing where stderr is no terminal. */
function progress(file: string, how: string): void {
  if (!process.stderr.isTTY) return;
  process.stderr.write(`\r\u001b[K${file}: ${how}`);
}

function endProgress(): void {
  if (process.stderr.isTTY) process.stderr.write('\r\u001b[K');
}

async function judge(path: string, checked: Checked): Promise<PlanReport> {
  const { root, today, failLevel, server } = checked;
  let loaded: LoadedPlan | undefined;
  try {
    loaded = readPlanFile(path, root);
    const plan = loaded;
    const options = { today, ...(failLevel === undefined ? {} : { failLevel }) };
    const onProgress = (fraction: number): void => {
      progress(plan.file, `${Math.floor(fraction * 100)} %`);
    };
    const outcome =
      server === undefined
        ? await judgeHere(plan, { ...options, modelVersion: version() })
        : await judgeRemote(plan.document, { ...options, server, onProgress });
    endProgress();
    if (!outcome.ok) {
      const problems = outcome.problems.map((problem) => locatedProblem(problem, plan));
      return { file: plan.file, error: 'The plan cannot be judged.', problems };
    }
    const { value } = outcome;
    const findings = value.findings.map((finding) => located(finding, plan));
    return { file: plan.file, verdict: { ...value, findings } };
  } catch (error) {
    endProgress();
    const file = loaded?.file ?? path;
    const message = error instanceof Error ? error.message : String(error);
    return { file, error: message, problems: problemsBehind(error, loaded) };
  }
}

/** Judges in this process and its threads. */
async function judgeHere(plan: LoadedPlan, options: JudgeOptions): Promise<JudgeOutcome> {
  const tell = (done: number, hosts: number): void => {
    progress(plan.file, `${done} of ${hosts} hosts replayed`);
  };
  const threads = replayThreads();
  try {
    return await inThreads(judging(plan.document, options), threads.run, (_name, done, hosts) => {
      tell(done, hosts);
    });
  } finally {
    await threads.close();
  }
}

function exitCodeOf(reports: PlanReport[]): number {
  if (reports.some((report) => !('verdict' in report))) return EXIT.cannotJudge;
  const failed = reports.some((one) => 'verdict' in one && one.verdict.verdict === 'fail');
  return failed ? EXIT.fail : EXIT.pass;
}

function pageOf(ruleId: string): string {
  return readFileSync(join(packageRoot(), 'docs', 'rules', `${ruleId}.md`), 'utf8').trimEnd();
}

function print(reports: PlanReport[], checked: Checked, out: string | undefined): void {
  // By no-color.org an empty NO_COLOR says nothing.
  const terminal = out === undefined && process.stdout.isTTY && !process.env.NO_COLOR;
  const context: ReportContext = {
    version: version(),
    exitCode: exitCodeOf(reports),
    colour: terminal,
    pageOf,
  };
  const format = FORMATS[checked.output];
  if (out !== undefined) {
    mkdirSync(dirname(resolve(out)), { recursive: true });
    writeFileSync(out, `${format(reports, context).trimEnd()}\n`);
    return;
  }
  // Problems are no report for people: they go where errors go.
  const isError = (report: PlanReport): boolean => !('verdict' in report);
  const split = checked.output === 'table';
  const toStdout = split ? reports.filter((report) => !isError(report)) : reports;
  const toStderr = split ? reports.filter(isError) : [];
  if (toStdout.length > 0) process.stdout.write(`${format(toStdout, context).trimEnd()}\n`);
  if (toStderr.length > 0) process.stderr.write(`${format(toStderr, context).trimEnd()}\n`);
}

/**
 * Judges packing plans by replaying them. No server and no database are involved.
 * @returns the process's exit code: 0 all pass, 2 one fails, 1 one could not be judged
 */
export async function gate(planPaths: string[], options: GateOptions = {}): Promise<number> {
  let checked: Checked;
  try {
    checked = checkOptions(options);
  } catch (error) {
    return refuse(error);
  }
  const settings = checked;
  const reports: PlanReport[] = [];
  for (const path of planPaths) reports.push(await judge(path, settings));
  let before: (i: number) => GateVerdict | undefined;
  try {
    before = await earlier(planPaths, reports, settings, options.against);
  } catch (error) {
    return refuse(error);
  }
  const compared = reports.map((report, i) => against(report, before(i)));
  print(compared, settings, options.out);
  return exitCodeOf(reports);
}

/** Earlier verdicts by the number of the plan, from a file or from a commit. */
async function earlier(
  planPaths: string[],
  reports: PlanReport[],
  checked: Checked,
  ref: string | undefined,
): Promise<(i: number) => GateVerdict | undefined> {
  if (ref === undefined) return (i) => checked.baseline.get(reports[i]?.file ?? '');
  const verdicts = await verdictsAt(ref, planPaths, checked.root, (path, root) =>
    judge(path, { ...checked, root }),
  );
  return (i) => verdicts.get(planPaths[i] ?? '');
}

/** Says what is wrong with the options. */
function refuse(error: unknown): number {
  if (!(error instanceof PlanFileError)) throw error;
  const lines = error.problems.map((problem) => `zonewise: ${problemLine(problem)}`);
  process.stderr.write(`${lines.join('\n')}\n`);
  return EXIT.cannotJudge;
}

/** Prints the page of a rule; its id and its code are both understood. */
export function explain(name: string): number {
  const rule = ruleOf(name);
  if (rule !== undefined) {
    process.stdout.write(`${pageOf(rule.id)}\n`);
    return EXIT.pass;
  }
  const near = nearest(
    name,
    RULES.flatMap(({ id, code }) => [id, code]),
  );
  const hint = near === undefined ? '' : ` Did you mean ${near}?`;
  const known = RULES.map(({ id, code }) => `  ${id} ${code}`).join('\n');
  process.stderr.write(
    `zonewise: There is no rule ${JSON.stringify(name)}.${hint} The rules are\n${known}\n`,
  );
  return EXIT.cannotJudge;
}
