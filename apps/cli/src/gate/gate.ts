import { AdvisorInputError, checkPlan, type PlanVerdict } from '@zonewise/advisor';
import { buildPlanRequest, type PlanProblem } from '@zonewise/plan';
import { SimulatorInputError } from '@zonewise/simulator';
import { version } from '../version';
import { gateTable } from './gate-table';
import { PlanFileError, readPlanFile } from './plan-file';

/** What the gate's exit code says. 1 and 2 differ so that a broken plan file never looks like a verdict. */
const EXIT = { pass: 0, cannotJudge: 1, fail: 2 } as const;

function judge(planPath: string): PlanVerdict {
  const plan = buildPlanRequest(readPlanFile(planPath));
  if (!plan.ok) throw new PlanFileError(plan.problems);
  const verdict = checkPlan(plan.value.request, plan.value.limits);
  return { ...verdict, caveats: [...plan.value.caveats, ...verdict.caveats] };
}

function problemLine({ path, line, column, message, code, expected, found }: PlanProblem): string {
  const place = line === undefined ? '' : `:${line}:${column ?? 1}`;
  const wanted = expected === undefined ? '' : `; expected ${expected}`;
  const got = found === undefined ? '' : `; found ${found}`;
  return `zonewise: ${path || '(plan)'}${place}: ${message}${wanted}${got} [${code}]`;
}

/** Problems with their places, from whichever step found the plan wanting; none for an unexpected failure. */
function problemsOf(error: unknown): PlanProblem[] {
  if (error instanceof PlanFileError) return error.problems;
  if (error instanceof AdvisorInputError || error instanceof SimulatorInputError) {
    const { code, path, message } = error;
    return [{ code, path, message }];
  }
  return [];
}

/**
 * Judges a packing plan by replaying it. No server and no database are involved.
 * @param output `table` for people, `json` for tools: a PlanVerdict, or `{error, problems}`
 * @returns the process's exit code: 0 pass, 2 fail, 1 could not judge
 */
export function gate(planPath: string, output: string): number {
  if (output !== 'table' && output !== 'json') {
    process.stderr.write(`zonewise: --output is table or json, found ${output}\n`);
    return EXIT.cannotJudge;
  }
  try {
    const verdict = judge(planPath);
    const text =
      output === 'json'
        ? JSON.stringify({ zonewise: version(), ...verdict }, null, 2)
        : gateTable(verdict);
    process.stdout.write(`${text}\n`);
    return verdict.verdict === 'pass' ? EXIT.pass : EXIT.fail;
  } catch (error) {
    const problems = problemsOf(error);
    if (output === 'json') {
      const message = error instanceof Error ? error.message : String(error);
      process.stdout.write(`${JSON.stringify({ error: message, problems }, null, 2)}\n`);
    } else if (problems.length > 0) {
      process.stderr.write(`${problems.map(problemLine).join('\n')}\n`);
    } else {
      process.stderr.write(`zonewise: ${error instanceof Error ? error.message : String(error)}\n`);
    }
    return EXIT.cannotJudge;
  }
}
