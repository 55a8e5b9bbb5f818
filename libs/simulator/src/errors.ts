/** Everything a caller can do wrong; listed with their meaning in errors.md. */
export const SIMULATOR_ERROR_CODES = [
  'limit-exceeded',
  'not-an-integer',
  'out-of-range',
  'unknown-value',
  'duplicate-node',
  'duplicate-zone',
  'duplicate-cpu',
  'zone-sizes',
  'overlapping-zones',
  'distance-matrix',
  'no-memory',
  'unknown-node',
  'node-without-cpus',
  'node-without-memory',
  'duplicate-guest',
  'duplicate-cgroup',
  'unknown-cgroup',
  'unknown-cell',
  'outside-region',
  'unknown-hardware-profile',
] as const;
export type SimulatorErrorCode = (typeof SIMULATOR_ERROR_CODES)[number];

/** One thing wrong with an input: `path` is a property path such as `steps[3].policy.nodes[0]`. */
export interface SimulatorProblem {
  code: SimulatorErrorCode;
  path: string;
  message: string;
}

/** The input cannot be replayed as it stands. `problems` lists everything found, the first one is the error's own. */
export class SimulatorInputError extends Error {
  readonly code: SimulatorErrorCode;
  readonly path: string;
  readonly problems: SimulatorProblem[];

  constructor(problem: SimulatorProblem, problems: SimulatorProblem[] = [problem]) {
    super(`${problem.path}: ${problem.message}`);
    this.name = 'SimulatorInputError';
    this.code = problem.code;
    this.path = problem.path;
    this.problems = problems;
  }
}

/** The caller's `onProgress` asked to stop. */
export class ReplayCancelled extends Error {
  constructor(readonly step: number) {
    super(`the replay was cancelled in step ${step}`);
    this.name = 'ReplayCancelled';
  }
}

/** A fault of the simulator itself: the state contradicts itself. Reproduce it with `seed` and `step`. */
export class InvariantError extends Error {
  constructor(
    message: string,
    readonly seed: number,
    readonly step: number,
  ) {
    super(`${message} (seed ${seed}, step ${step})`);
    this.name = 'InvariantError';
  }
}
