import type { Difference, Finding, GateVerdict, HostFigures } from '@zonewise/plan';
import {
  lostCount,
  lostNames,
  problemLine,
  problemsOf,
  subjectOf,
  type PlanReport,
} from '../report';

/** Rows of a table in a comment; the whole is in the JSON. */
const MAX_ROWS = 50;

function cell(text: string): string {
  return text
    .replace(/\\/g, '\\\\')
    .replace(/\|/g, '\\|')
    .replace(/</g, '&lt;')
    .replace(/\r?\n/g, ' ');
}

function grid(head: string[], rows: string[][]): string {
  const line = (cells: string[]): string => `| ${cells.map(cell).join(' | ')} |`;
  const shown = rows.slice(0, MAX_ROWS).map(line);
  const rest = rows.length - shown.length;
  const more = rest > 0 ? [`\n${rest} more are in the JSON output.`] : [];
  return [line(head), `| ${head.map(() => '---').join(' | ')} |`, ...shown, ...more].join('\n');
}

const percent = (share: number): string => `${(share * 100).toFixed(1)} %`;
const count = (value: number): string => value.toLocaleString('en-US');

/** A summary for a merge request, with the difference to the baseline where there is one. */
export function markdown(reports: PlanReport[]): string {
  return reports.map((report) => `${sections(report).join('\n\n')}\n`).join('\n');
}

function sections(report: PlanReport): string[] {
  if (!('verdict' in report)) {
    const problems = problemsOf(report).map((one) => `- ${cell(problemLine(one))}`);
    return [`### ${cell(report.file)}: could not be judged`, problems.join('\n')];
  }
  const { verdict, file } = report;
  const title = verdict.verdict === 'pass' ? 'the plan holds' : 'the plan does not hold';
  const open = verdict.findings.filter(({ waived }) => waived === undefined);
  const waived = verdict.findings.filter((one) => one.waived !== undefined);
  return [
    `### ${cell(file)}: ${title}`,
    ...(verdict.difference === undefined ? [] : differenceSections(verdict.difference)),
    ...(open.length > 0 ? [findingsGrid(open)] : []),
    ...(waived.length > 0 ? [`Waived`, waivedGrid(waived)] : []),
    hostsGrid(verdict),
    evidence(verdict),
  ];
}

function findingsGrid(findings: Finding[]): string {
  return grid(
    ['rule', 'severity', 'where', 'finding'],
    findings.map((finding) => [
      `${finding.rule} ${finding.code}`,
      finding.severity,
      `${subjectOf(finding)}${placeText(finding)}`,
      finding.message,
    ]),
  );
}

function waivedGrid(findings: Finding[]): string {
  return grid(
    ['rule', 'where', 'reason', 'until'],
    findings.map((finding) => [
      `${finding.rule} ${finding.code}`,
      subjectOf(finding),
      finding.waived?.reason ?? '',
      finding.waived?.expires ?? '',
    ]),
  );
}

function placeText({ place: { file, line } }: Finding): string {
  if (file === undefined) return '';
  return ` (${file}${line === undefined ? '' : `:${line}`})`;
}

function hostsGrid({ hosts }: GateVerdict): string {
  return grid(
    ['host', 'verdict', 'guests', 'adding up', 'remote', 'killed', 'margin'],
    hosts.map((host) => {
      const { name, verdict, outcome, accounting, margin } = host;
      return [
        name,
        verdict,
        String(outcome.guests.length),
        `${accounting.fits ? 'fits' : 'does not fit'}: ${count(accounting.plannedMib)} of ${count(accounting.availableMib)} MiB`,
        percent(outcome.remoteShare),
        lostNames(host),
        margin === undefined ? 'not asked' : `${margin.holdsPercent} %`,
      ];
    }),
  );
}

function evidence({ planSha256, modelVersion, seed, hosts, today }: GateVerdict): string {
  const replays = hosts.reduce((sum, host) => sum + host.replays, 0);
  const kernels = [...new Set(hosts.map(({ profile }) => profile.kernel))].join(', ');
  return `Evidence: replays: ${replays}, of Linux ${kernels}; seed ${seed}, model ${modelVersion}, plan \`${planSha256.slice(0, 12)}\`, waivers as of ${today}.`;
}

function differenceSections({ verdict, added, gone, hosts }: Difference): string[] {
  const changed = hosts.filter(({ change }) => change !== 'same');
  const tally = (change: string): number => hosts.filter((host) => host.change === change).length;
  const words = (['better', 'worse', 'added', 'removed', 'same'] as const)
    .filter((change) => tally(change) > 0)
    .map((change) => `${tally(change)} ${change}`);
  return [
    `Against the baseline: ${verdict.before} -> ${verdict.after}; hosts: ${words.join(', ') || 'none'}; ` +
      `findings: ${added.length} new, ${gone.length} gone.`,
    ...(changed.length > 0 ? [changesGrid(changed)] : []),
    ...(gone.length > 0
      ? [
          gone
            .map((one) => `- gone: ${one.rule} ${one.code} ${cell(subjectOf(one))}`)
            .slice(0, MAX_ROWS)
            .join('\n'),
        ]
      : []),
  ];
}

function changesGrid(changed: Difference['hosts']): string {
  const both = (
    { before, after }: Difference['hosts'][number],
    text: (figures: HostFigures) => string,
  ): string => {
    const [was, now] = [before && text(before), after && text(after)];
    if (was === undefined || now === undefined) return now ?? was ?? '';
    return was === now ? now : `${was} -> ${now}`;
  };
  return grid(
    ['host', 'change', 'verdict', 'guests', 'remote', 'killed', 'margin', 'by'],
    changed.map((host) => [
      host.name,
      host.change,
      both(host, ({ verdict }) => verdict),
      both(host, ({ guests }) => String(guests)),
      both(host, ({ remoteShare }) => percent(remoteShare)),
      both(host, ({ dead, notStarted }) => lostCount(dead - notStarted, notStarted)),
      both(host, ({ marginPercent }) =>
        marginPercent === undefined ? 'not asked' : `${marginPercent} %`,
      ),
      host.by ?? '',
    ]),
  );
}
