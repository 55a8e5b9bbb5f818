import { AdvisorInputError } from '@zonewise/advisor';
import { SimulatorInputError } from '@zonewise/simulator';
import type { LoadedPlan } from './plan-file';
import { PlanFileError } from './plan-folder';
import type { LocatedProblem } from './report';

/** A problem of a plan with the file and line that it is about. */
export function locatedProblem(
  problem: LocatedProblem,
  { source, files }: LoadedPlan,
): LocatedProblem {
  const named = [...files].find(([path]) => problem.path.startsWith(path));
  if (named !== undefined && problem.line !== undefined) return { ...problem, file: named[1] };
  return { ...problem, ...source.placeOf(problem.path) };
}

/** Problems with their places, from whichever step found the plan wanting; none for an unexpected failure. */
export function problemsBehind(error: unknown, loaded: LoadedPlan | undefined): LocatedProblem[] {
  if (error instanceof PlanFileError) return error.problems;
  if (error instanceof AdvisorInputError || error instanceof SimulatorInputError) {
    const { code, path, message } = error;
    const problem = { code, path, message };
    return [loaded === undefined ? problem : locatedProblem(problem, loaded)];
  }
  return [];
}
