import type { ReplayControl, ReplayResult } from '@zonewise/simulator';
import { replay } from '@zonewise/simulator';
import { compileReplay } from './compile';
import { condense } from './outcome';
import type { Note } from './placement';
import type { Outcome, SimulationRequest } from './types';

export interface Simulation {
  result: ReplayResult;
  outcome: Outcome;
  assumptions: Note[];
  /** Position of the first step of each of the demand's events, and of what follows the last. */
  eventsAt: number[];
}

/**
 * Replays a request once.
 * @throws AdvisorInputError, SimulatorInputError for bad input; ReplayCancelled when `control` says stop
 */
export function simulate(request: SimulationRequest, control?: ReplayControl): Simulation {
  const { input, assumptions, eventsAt } = compileReplay(request);
  const result = replay(input, control);
  return { result, outcome: condense(request, result), assumptions, eventsAt };
}
