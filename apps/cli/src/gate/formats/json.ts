import type { PlanReport, ReportContext } from '../report';

/** For tools: the verdict of one plan, or `{verdict, plans}` of several; a plan that could not be judged has `error` and `problems`. */
export function json(reports: PlanReport[], { version }: ReportContext): string {
  const plans = reports.map((report) => {
    if (!('verdict' in report)) return report;
    const { file, verdict } = report;
    return { file, ...verdict };
  });
  const [only] = plans;
  if (plans.length === 1) return JSON.stringify({ zonewise: version, ...only }, null, 2);
  const failed = reports.some((one) => 'verdict' in one && one.verdict.verdict === 'fail');
  const unjudged = reports.some((one) => !('verdict' in one));
  const verdict = unjudged ? 'unjudged' : failed ? 'fail' : 'pass';
  return JSON.stringify({ zonewise: version, verdict, plans }, null, 2);
}
