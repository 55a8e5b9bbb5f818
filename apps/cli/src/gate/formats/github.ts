import { problemLine, problemsOf, subjectOf, type PlanReport } from '../report';

const COMMANDS = { error: 'error', warning: 'warning', note: 'notice' } as const;

function data(text: string): string {
  return text.replace(/%/g, '%25').replace(/\r/g, '%0D').replace(/\n/g, '%0A');
}

function property(text: string): string {
  return data(text).replace(/:/g, '%3A').replace(/,/g, '%2C');
}

function command(
  name: string,
  properties: Record<string, string | number | undefined>,
  message: string,
): string {
  const list = Object.entries(properties)
    .filter(([, value]) => value !== undefined)
    .map(([key, value]) => `${key}=${property(String(value))}`);
  return `::${name} ${list.join(',')}::${data(message)}`;
}

/** Workflow commands of GitHub Actions: annotations at the lines that cause the findings. */
export function github(reports: PlanReport[]): string {
  return reports
    .flatMap((report) => {
      if (!('verdict' in report)) {
        return problemsOf(report).map((problem) => {
          const { file = report.file, line, column: col } = problem;
          return command('error', { file, line, col, title: problem.code }, problemLine(problem));
        });
      }
      const { verdict, findings } = report.verdict;
      const lines = findings.map((finding) => {
        const { rule, code, severity, waived, message, place } = finding;
        const { file, line, column: col } = place;
        const name = waived ? 'notice' : COMMANDS[severity];
        const title = `${rule} ${code}${waived ? ' (waived)' : ''}`;
        return command(name, { file, line, col, title }, `${subjectOf(finding)}: ${message}`);
      });
      const end = `zonewise gate: ${report.file}: ${verdict === 'pass' ? 'pass' : 'fail'}`;
      return [...lines, end];
    })
    .join('\n');
}
