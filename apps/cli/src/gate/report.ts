import { lossesOf } from '@zonewise/advisor';
import type { GateVerdict, HostVerdict, PlanProblem } from '@zonewise/plan';

export type LocatedProblem = PlanProblem & { file?: string };

/** One plan's part of a report: its verdict, or why it could not be judged. */
export type PlanReport =
  | { file: string; verdict: GateVerdict }
  | { file: string; error: string; problems: LocatedProblem[] };

export interface ReportContext {
  /** Version of the package. */
  version: string;
  /** What the process will exit with. */
  exitCode: number;
  colour: boolean;
  /** The doc page of a rule, as Markdown. */
  pageOf: (ruleId: string) => string;
}

export type Format = (reports: PlanReport[], context: ReportContext) => string;

/** `file:line:column: message; expected ...; found ... [code]` */
export function problemLine(problem: LocatedProblem): string {
  const { path, file, line, column, message, code, expected, found } = problem;
  const name = file ?? (path || '(plan)');
  const place = line === undefined ? '' : `:${line}:${column ?? 1}`;
  const at = file === undefined || path === '' ? '' : ` ${path}:`;
  const wanted = expected === undefined ? '' : `; expected ${expected}`;
  const got = found === undefined ? '' : `; found ${found}`;
  return `${name}${place}:${at} ${message}${wanted}${got} [${code}]`;
}

/** A problem list never ends empty: an unexpected failure is one without a place. */
export function problemsOf(report: PlanReport): LocatedProblem[] {
  if ('verdict' in report) return [];
  if (report.problems.length > 0) return report.problems;
  return [{ code: 'internal', path: '', message: report.error, file: report.file }];
}

/** What a finding is about, for people: `kvm1/web2`, `kvm1 node 0`, or nothing for the plan itself. */
export function subjectOf({
  host,
  guest,
  node,
}: {
  host: string;
  guest?: string;
  node?: number;
}): string {
  if (host === '') return 'plan';
  if (guest !== undefined) return `${host}/${guest}`;
  return node === undefined ? host : `${host} node ${node}`;
}

/** Who is lost on a host, by name: `web1, db1 not started`. */
export function lostNames({ outcome }: HostVerdict): string {
  const { killed, notStarted } = lossesOf(outcome);
  return lostText(killed.join(', '), notStarted.join(', '));
}

/** How many are lost: `2, 1 not started`. */
export function lostCount(killed: number, notStarted: number): string {
  return lostText(killed > 0 ? String(killed) : '', notStarted > 0 ? String(notStarted) : '');
}

function lostText(killed: string, notStarted: string): string {
  const parts = [killed, notStarted === '' ? '' : `${notStarted} not started`];
  return parts.filter((part) => part !== '').join(', ') || 'nobody';
}
