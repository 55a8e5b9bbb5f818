import { writeFileSync } from 'node:fs';
import type { LoadedPlan } from '../gate/plan-file';
import { problemsBehind } from '../gate/problems';
import { problemLine, type LocatedProblem } from '../gate/report';

export interface AnswerOptions {
  /** File for the JSON instead of stdout. */
  out?: string;
}

/** Input that a command refuses, with the places of what is wrong. */
export class Refused extends Error {
  constructor(readonly problems: LocatedProblem[]) {
    super('refused');
  }
}

/**
 * Runs a command that answers with JSON, or with text where it computes a string.
 * @returns the process's exit code: 0 done, 1 could not; then the reasons are on stderr
 */
export function answer(options: AnswerOptions, compute: () => unknown, plan?: LoadedPlan): number {
  try {
    const computed = compute();
    const text = typeof computed === 'string' ? computed : `${JSON.stringify(computed, null, 2)}\n`;
    if (options.out === undefined) process.stdout.write(text);
    else writeFileSync(options.out, text);
    return 0;
  } catch (error) {
    const problems = error instanceof Refused ? error.problems : problemsBehind(error, plan);
    const message = error instanceof Error ? error.message : String(error);
    const lines = problems.length > 0 ? problems.map(problemLine) : [message];
    process.stderr.write(`${lines.map((line) => `zonewise: ${line}`).join('\n')}\n`);
    return 1;
  }
}
