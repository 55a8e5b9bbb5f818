/** Texts of the host at a step of a stored simulation, as its kernel and tools would print them. Pure. */
import { ApiPropertyOptional } from '@nestjs/swagger';
import type { ReplayResult } from '@zonewise/advisor';
import {
  carriedCounts,
  importHost,
  isStateFile,
  printStateFile,
  STATE_FILES,
  type StateFile,
} from '@zonewise/host-facts';
import { replay, type HostModel } from '@zonewise/simulator';
import { IsOptional, Matches } from 'class-validator';
import { exampleTexts } from '../docs/examples';
import { ProblemException } from '../http/problem';

export class StateFileQuery {
  @ApiPropertyOptional({
    type: 'integer',
    minimum: 0,
    description: 'The state after this step, 0 before the first one. Absent: after the last step.',
  })
  @IsOptional()
  @Matches(/^\d{1,9}$/, { message: 'must be a whole number of at most 9 digits' })
  step?: string;
}

/** What a simulation's texts are printed from. */
export interface PrintedSimulation {
  /** The host as the replay started from it. */
  host: HostModel;
  result: ReplayResult;
  /** Texts that the host was imported from, by source name. */
  sourceTexts?: Record<string, string>;
}

/**
 * @param name one of {@link STATE_FILES}
 * @param step number of a step, 0 for the state before the first; undefined for the last
 * @throws ProblemException file-not-found (404) for another name or a step that the replay does not have
 */
export function stateFile(
  { host, result, sourceTexts }: PrintedSimulation,
  name: string,
  step: number | undefined,
): string {
  const { initial, steps } = result;
  const file = knownName(name);
  const done = step ?? steps.length;
  if (done > steps.length) {
    const detail = `The simulation has no step ${done}: its steps are 0 (before the first) to ${steps.length}.`;
    throw new ProblemException('file-not-found', detail, { path: 'step' });
  }
  const carried = sourceTexts === undefined ? undefined : carriedCounts(sourceTexts);
  return printStateFile(file, { host, initial, steps, carried }, done);
}

function knownName(name: string): StateFile {
  if (isStateFile(name)) return name;
  const detail = `The files of a simulation's state: ${STATE_FILES.join(', ')}.`;
  throw new ProblemException('file-not-found', detail, { path: 'name' });
}

/** What the console shows: the recorded example host before the first step. */
export function stateFileExamples(): Record<string, { summary: string; value: string }> {
  const texts = exampleTexts();
  const imported = importHost(texts);
  if (!imported.ok) return {};
  const { model: host } = imported.value;
  const { initial } = replay({ host, runningGuests: [], steps: [], seed: 1 });
  const show = (name: StateFile) => ({
    summary: `${name} of the recorded two-node host, step=0`,
    value: printStateFile(name, { host, initial, steps: [], carried: carriedCounts(texts) }, 0),
  });
  return { numastat: show('numastat') };
}
