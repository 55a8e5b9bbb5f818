import { compareVerdicts, type GateVerdict } from '@zonewise/plan';
import { fail, readLimited } from './plan-folder';
import type { PlanReport } from './report';

const MAX_BASELINE_BYTES = 512 * 1024 * 1024;

function isVerdict(value: unknown): value is GateVerdict & { file: string } {
  if (typeof value !== 'object' || value === null) return false;
  const { findings, hosts, file } = value as Record<string, unknown>;
  const isHost = (host: unknown): boolean =>
    typeof host === 'object' && host !== null && 'outcome' in host && 'name' in host;
  return (
    typeof file === 'string' &&
    Array.isArray(findings) &&
    Array.isArray(hosts) &&
    hosts.every(isHost)
  );
}

/**
 * Verdicts of an earlier `zonewise gate --output json`, by plan file.
 * @throws PlanFileError for a file that is none
 */
export function readBaseline(path: string): Map<string, GateVerdict> {
  let content: unknown;
  try {
    content = JSON.parse(readLimited(path, '--baseline', MAX_BASELINE_BYTES));
  } catch (error) {
    if (!(error instanceof SyntaxError)) throw error;
    return fail('malformed-json', '--baseline', `${path}: ${error.message}`);
  }
  const plans = (content as { plans?: unknown } | null)?.plans;
  const verdicts: unknown[] = Array.isArray(plans) ? plans : [content];
  const wrong = verdicts.length === 0 || !verdicts.every(isVerdict);
  if (wrong) {
    const message = `${path} holds no verdict: write one with zonewise gate PLAN --output json --out ${path}`;
    return fail('malformed-baseline', '--baseline', message);
  }
  return new Map(verdicts.map((verdict) => [verdict.file, verdict]));
}

/** The report with the difference to an earlier verdict of its plan, if there is one. */
export function against(report: PlanReport, before: GateVerdict | undefined): PlanReport {
  if (before === undefined || !('verdict' in report)) return report;
  const { file, verdict } = report;
  return { file, verdict: { ...verdict, difference: compareVerdicts(before, verdict) } };
}
