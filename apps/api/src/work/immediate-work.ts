import { Inject, Injectable, Logger } from '@nestjs/common';
import { ProblemError, ProblemException } from '../http/problem';
import type { ProblemCode } from '../http/problem-codes';
import type { WorkError, WorkKind, WorkOutputs, WorkTask } from './tasks';
import {
  queueFull,
  WORK_LIMITS,
  WorkAborted,
  WorkLimits,
  WorkPool,
  WorkTimeout,
} from './work-pool';

/** Work whose answer the caller waits for; nothing of it is stored. */
@Injectable()
export class ImmediateWork {
  private readonly logger = new Logger('ImmediateWork');

  constructor(
    private readonly pool: WorkPool,
    @Inject(WORK_LIMITS) private readonly limits: WorkLimits,
  ) {}

  /**
   * @param refused code of the problem that answers input which cannot be worked on
   * @param signal the caller went away
   * @throws ProblemException `refused`, replay-failed (500), queue-full, time-limit (503)
   */
  async run<K extends WorkKind>(
    task: WorkTask & { kind: K },
    refused: ProblemCode,
    signal: AbortSignal,
  ): Promise<WorkOutputs[K]> {
    const limitMs = this.limits.planMs;
    try {
      const outcome = await this.pool.run<K>(task, { signal, limitMs });
      if (outcome.ok) return outcome.value;
      throw this.problemOf(outcome.error, refused);
    } catch (error) {
      if (error instanceof WorkAborted) throw queueFull();
      if (!(error instanceof WorkTimeout)) throw error;
      const detail =
        `There was no answer within ${limitMs / 1000} seconds; ` +
        'ask with Prefer: respond-async for a job.';
      throw new ProblemException('time-limit', detail, { headers: { 'Retry-After': '60' } });
    }
  }

  private problemOf(error: WorkError, refused: ProblemCode): ProblemException {
    const { kind, code, path, message, problems } = error;
    if (kind === 'internal') {
      this.logger.error(`${code}: ${message}`);
      return new ProblemException('replay-failed', 'The replay failed; the log says why.');
    }
    return inputRefused(refused, problems ?? [{ code, path: path ?? '', message }]);
  }
}

/** What is wrong with the input, the first of it as the detail. */
export function inputRefused(code: ProblemCode, errors: ProblemError[]): ProblemException {
  return new ProblemException(code, errors[0]?.message ?? 'The input cannot be read.', { errors });
}
