/** Everything a caller can do wrong; listed with their meaning in errors.md. */
export const SIMULATOR_ERROR_CODES = [
  'limit_exceeded',
  'not_an_integer',
  'out_of_range',
  'unknown_value',
  'duplicate_node',
  'duplicate_zone',
  'duplicate_cpu',
  'zone_sizes',
  'distance_matrix',
  'no_memory',
  'unknown_node',
  'node_without_cpus',
  'node_without_memory',
  'duplicate_guest',
  'unknown_cell',
  'outside_region',
  'unknown_hardware_profile',
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
