import { advise, simulate } from '@zonewise/advisor';
import { nearest, planRequests, type HostRequest } from '@zonewise/plan';
import { readPlanFile, type LoadedPlan } from '../gate/plan-file';
import { locatedProblem } from '../gate/problems';
import { answer, Refused, type AnswerOptions } from './answer';

export interface ReplayOptions extends AnswerOptions {
  /** Name of the plan's host; default: all of them. */
  host?: string;
  root?: string;
}

/** Computes something for the hosts of a plan: one object for one host, a list for several. */
export function perHost(
  path: string,
  options: ReplayOptions & { withIdle?: boolean },
  compute: (host: HostRequest, plan: LoadedPlan) => object,
): number {
  return answer(options, () => {
    const plan = readPlanFile(path, options.root);
    const built = planRequests(plan.document, options.withIdle);
    if (!built.ok) {
      throw new Refused(built.problems.map((problem) => locatedProblem(problem, plan)));
    }
    const hosts = chosen(built.value, options.host, plan.file);
    const answers = hosts.map((host) => ({ host: host.name, ...compute(host, plan) }));
    return answers.length === 1 ? answers[0] : { items: answers };
  });
}

function chosen(hosts: HostRequest[], name: string | undefined, file: string): HostRequest[] {
  if (name === undefined) return hosts;
  const found = hosts.filter((host) => host.name === name);
  if (found.length > 0) return found;
  const names = hosts.map((host) => host.name);
  const message = `No host with guests is called ${name}.${suggestion(name, names)}`;
  const expected = names.slice(0, 20).join(', ');
  throw new Refused([{ code: 'unknown-host', path: '--host', file, message, expected }]);
}

/** ` Did you mean NAME?`, or nothing where no known name is near. */
export function suggestion(name: string, known: string[]): string {
  const near = nearest(name, known);
  return near === undefined ? '' : ` Did you mean ${near}?`;
}

/** Replays each host of a plan: every step with its events and snapshots, and the outcome. */
export function simulatePlan(path: string, options: ReplayOptions = {}): number {
  return perHost(path, options, ({ request, caveats }) => {
    const { outcome, result, assumptions } = simulate(request);
    return { outcome, assumptions, caveats, result };
  });
}

/** Looks for better settings for each host of a plan. */
export function advisePlan(path: string, options: ReplayOptions = {}): number {
  return perHost(path, options, ({ request, caveats }) => ({ ...advise(request), caveats }));
}
