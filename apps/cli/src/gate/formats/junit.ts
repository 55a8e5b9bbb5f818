import { reaches, type Finding, type GateVerdict } from '@zonewise/plan';
import { create, type XMLElement } from 'xmlbuilder';
import { problemLine, problemsOf, type PlanReport } from '../report';

/** Characters that XML 1.0 cannot hold, even escaped. */
const NOT_XML = /[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\u{10000}-\u{10ffff}]/gu;

function clean(text: string): string {
  return text.replace(NOT_XML, '\ufffd');
}

/** A test case for every host and rule, in the format that Jenkins and GitLab read. */
export function junit(reports: PlanReport[]): string {
  const suites = reports.map((report) => ({ report, cases: casesOf(report) }));
  const all = suites.flatMap(({ cases }) => cases);
  const root = create('testsuites', { encoding: 'UTF-8' });
  root.att('name', 'zonewise gate');
  counts(root, all);
  for (const { report, cases } of suites) {
    const suite = root.ele('testsuite', { name: clean(report.file) });
    counts(suite, cases);
    const skipped = cases.filter((one) => one.skipped !== undefined).length;
    suite.att('skipped', skipped);
    for (const test of cases) writeCase(suite, test);
  }
  return root.end({ pretty: true });
}

interface TestCase {
  classname: string;
  name: string;
  failures: { message: string; text: string }[];
  errors: { message: string; text: string }[];
  skipped?: string;
  /** Findings that do not fail the plan. */
  notes: string[];
}

function counts(element: XMLElement, cases: TestCase[]): void {
  const having = (test: (one: TestCase) => boolean): number => cases.filter(test).length;
  element.att('tests', cases.length);
  element.att(
    'failures',
    having(({ failures }) => failures.length > 0),
  );
  element.att(
    'errors',
    having(({ errors }) => errors.length > 0),
  );
}

function writeCase(
  suite: XMLElement,
  { classname, name, failures, errors, skipped, notes }: TestCase,
): void {
  const element = suite.ele('testcase', { classname: clean(classname), name });
  if (skipped !== undefined) element.ele('skipped', clean(skipped));
  for (const { message, text } of errors) {
    element.ele('error', { message: clean(message), type: 'could-not-judge' }, clean(text));
  }
  for (const { message, text } of failures) {
    element.ele('failure', { message: clean(message), type: name }, clean(text));
  }
  if (notes.length > 0) element.ele('system-out', clean(notes.join('\n')));
}

function casesOf(report: PlanReport): TestCase[] {
  if ('verdict' in report) return verdictCases(report.file, report.verdict);
  const problems = problemsOf(report);
  const errors = problems.map((one) => ({ message: one.message, text: problemLine(one) }));
  const name = 'the plan can be judged';
  return [{ classname: report.file, name, failures: [], errors, notes: [] }];
}

function verdictCases(file: string, verdict: GateVerdict): TestCase[] {
  const rules = verdict.rules.filter(({ severity }) => severity !== 'off');
  const ofHosts = rules.filter(({ code }) => code !== 'waiver');
  // Findings about the plan itself: its waivers, and guests that no host takes.
  const ofPlan = rules.filter(
    ({ rule, code }) =>
      code === 'waiver' ||
      verdict.findings.some((finding) => finding.host === '' && finding.rule === rule),
  );
  const testCase = (classname: string, host: string, { rule, code }: (typeof rules)[number]) => {
    const own = verdict.findings.filter((one) => one.host === host && one.rule === rule);
    return caseOf(classname, `${rule} ${code}`, own, verdict);
  };
  return [
    ...verdict.hosts.flatMap(({ name }) => ofHosts.map((rule) => testCase(name, name, rule))),
    ...ofPlan.map((rule) => testCase(file, '', rule)),
  ];
}

function caseOf(
  classname: string,
  name: string,
  findings: Finding[],
  { failLevel }: GateVerdict,
): TestCase {
  const waived = findings.filter((one) => one.waived !== undefined);
  const open = findings.filter((one) => one.waived === undefined);
  const failing = open.filter(({ severity }) => reaches(severity, failLevel));
  const onlyWaived = failing.length === 0 && waived.length > 0;
  const reasons = waived.map(
    ({ waived: waiver }) => `waived until ${waiver?.expires ?? ''}: ${waiver?.reason ?? ''}`,
  );
  return {
    classname,
    name,
    errors: [],
    failures: failing.map((one) => ({ message: one.message, text: detailOf(one) })),
    ...(onlyWaived ? { skipped: [...new Set(reasons)].join('; ') } : {}),
    notes: [
      ...open.filter((one) => !failing.includes(one)).map(detailOf),
      ...waived.map((one, i) => `${detailOf(one)} (${reasons[i] ?? ''})`),
    ],
  };
}

function detailOf({ severity, message, place, host, guest }: Finding): string {
  const line = place.line === undefined ? '' : `:${place.line}`;
  const at = place.file === undefined ? '' : `\nat ${place.file}${line}`;
  const who = guest === undefined ? host : `${host}/${guest}`;
  return `${severity}${who === '' ? '' : ` ${who}`}: ${message}${at}`;
}
