import { Problem, problemOf } from '../http/problem';
import type { ProblemCode } from '../http/problem-codes';
import type { WorkError } from '../work/tasks';
import { MAX_ATTEMPTS } from './job-store';
import type { JobKind } from './job.entity';

const INPUT_CODES = {
  simulation: 'invalid-simulation-request',
  recommendation: 'invalid-simulation-request',
  plan: 'plan-not-judgeable',
  headroom: 'invalid-simulation-request',
  placement: 'placement-not-readable',
} as const satisfies Record<JobKind, ProblemCode>;

/** What a worker reported, as a job's error. Internals of a defect stay in the log. */
export function problemOfWork(error: WorkError, kind: JobKind): Problem {
  if (error.kind === 'internal') {
    return problemOf(
      'replay-failed',
      error.code === 'invariant-broken'
        ? 'The simulator found its own state inconsistent and gave no result; this is a defect of Zonewise.'
        : 'The replay failed; the log of the service says why.',
    );
  }
  const errors = error.problems ?? [
    { code: error.code, path: error.path ?? '', message: error.message },
  ];
  return problemOf(INPUT_CODES[kind], error.message, { errors });
}

export const problemOfTimeout = (limitMs: number): Problem =>
  problemOf(
    'time-limit',
    `The job ran longer than its limit of ${limitMs / 1000} seconds, and has no result. Ask for less at once (fewer hosts, guests or replays), or start the service with a larger JOB_MINUTES.`,
  );

export const problemOfCrash = (): Problem =>
  problemOf('replay-failed', 'The worker of the job ended without a result; the log says why.');

export const problemOfExhaustion = (): Problem =>
  problemOf(
    'attempts-exhausted',
    `The process ended ${MAX_ATTEMPTS} times while the job ran; it is not tried again.`,
  );
