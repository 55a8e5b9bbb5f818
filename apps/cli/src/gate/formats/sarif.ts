import { createHash } from 'node:crypto';
import { isAbsolute } from 'node:path';
import { pathToFileURL } from 'node:url';
import { RULES, type Difference, type Finding, type FindingPlace } from '@zonewise/plan';
import {
  problemLine,
  problemsOf,
  subjectOf,
  type LocatedProblem,
  type PlanReport,
  type ReportContext,
} from '../report';

/** A file as SARIF names it: relative to the checkout, or a file URI. */
function uriOf(file: string): string {
  return isAbsolute(file) ? pathToFileURL(file).href : encodeURI(file.split('\\').join('/'));
}

function physical({ file, line, column }: Pick<FindingPlace, 'file' | 'line' | 'column'>): object {
  const region =
    line === undefined ? {} : { region: { startLine: line, startColumn: column ?? 1 } };
  return { artifactLocation: { uri: uriOf(file ?? 'plan') }, ...region };
}

/** Equal for the same finding in later runs, whatever its figures are. */
function fingerprint(file: string, { rule, host, guest, node }: Finding): string {
  const key = JSON.stringify([file, rule, host, guest ?? '', node ?? '']);
  return createHash('sha256').update(key).digest('hex');
}

function relatedLocation(
  { place, message }: NonNullable<Finding['related']>[number],
  id: number,
): object {
  return { id, physicalLocation: physical(place), message: { text: message } };
}

function result(file: string, finding: Finding, difference: Difference | undefined): object {
  const { rule, severity, message, place, related, waived } = finding;
  const { host, guest, node, found, limit, unit } = finding;
  const index = RULES.findIndex(({ id }) => id === rule);
  const logical = { fullyQualifiedName: subjectOf(finding), name: guest ?? host, kind: 'resource' };
  const isNew = difference?.added.includes(finding);
  return {
    ruleId: rule,
    ruleIndex: index,
    kind: 'fail',
    level: severity,
    message: { text: `${subjectOf(finding)}: ${message}` },
    locations: [{ physicalLocation: physical(place), logicalLocations: [logical] }],
    ...(related === undefined ? {} : { relatedLocations: related.map(relatedLocation) }),
    partialFingerprints: { 'zonewise/v1': fingerprint(file, finding) },
    ...(difference === undefined ? {} : { baselineState: isNew ? 'new' : 'unchanged' }),
    ...(waived === undefined
      ? {}
      : {
          suppressions: [
            {
              kind: 'external',
              status: 'accepted',
              justification: `${waived.reason} (until ${waived.expires})`,
            },
          ],
        }),
    properties: { host, guest, node, found, limit, unit, planPath: place.path },
  };
}

function notification(report: PlanReport, problem: LocatedProblem): object {
  return {
    level: 'error',
    message: { text: problemLine(problem) },
    descriptor: { id: problem.code },
    locations: [{ physicalLocation: physical({ file: report.file, ...problem }) }],
  };
}

function rules({ pageOf }: ReportContext): object[] {
  return RULES.map(({ id, code, title, severity }) => ({
    id,
    name: code,
    shortDescription: { text: title },
    help: { text: pageOf(id), markdown: pageOf(id) },
    defaultConfiguration:
      severity === 'off' ? { enabled: false, level: 'error' } : { level: severity },
  }));
}

/** SARIF 2.1.0, one run: code scanning shows the findings at the lines that cause them. */
export function sarif(reports: PlanReport[], context: ReportContext): string {
  const problems = reports.flatMap((report) =>
    problemsOf(report).map((problem) => notification(report, problem)),
  );
  const judged = reports.flatMap((report) => ('verdict' in report ? [report] : []));
  const log = {
    $schema: 'https://json.schemastore.org/sarif-2.1.0.json',
    version: '2.1.0',
    runs: [
      {
        tool: {
          driver: {
            name: 'Zonewise',
            version: context.version,
            semanticVersion: context.version,
            rules: rules(context),
          },
        },
        invocations: [
          {
            executionSuccessful: problems.length === 0,
            exitCode: context.exitCode,
            ...(problems.length > 0 ? { toolExecutionNotifications: problems } : {}),
          },
        ],
        columnKind: 'unicodeCodePoints',
        results: judged.flatMap(({ file, verdict }) =>
          verdict.findings.map((finding) => result(file, finding, verdict.difference)),
        ),
        properties: {
          plans: judged.map(({ file, verdict }) => ({
            file,
            verdict: verdict.verdict,
            planSha256: verdict.planSha256,
            modelVersion: verdict.modelVersion,
            seed: verdict.seed,
            today: verdict.today,
          })),
        },
      },
    ],
  };
  return JSON.stringify(log, null, 2);
}
