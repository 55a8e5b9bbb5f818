import { Inject, Injectable, Logger } from '@nestjs/common';
import type { PlanVerdict } from '@zonewise/advisor';
import { Host } from '../database/entities/host.entity';
import { Transactions } from '../database/transactions';
import { ProblemError, ProblemException } from '../http/problem';
import type { PackingPlan } from '@zonewise/plan';
import type { WorkError } from '../work/tasks';
import {
  queueFull,
  WORK_LIMITS,
  WorkAborted,
  WorkLimits,
  WorkPool,
  WorkTimeout,
} from '../work/work-pool';
import { CheckPlanDto, PlanHostDto } from './packing-plan.dto';

/** Judges packing plans in the worker threads; nothing is stored. */
@Injectable()
export class PackingPlansService {
  private readonly logger = new Logger('PackingPlans');

  constructor(
    private readonly transactions: Transactions,
    private readonly pool: WorkPool,
    @Inject(WORK_LIMITS) private readonly limits: WorkLimits,
  ) {}

  /**
   * @param signal the caller went away
   * @throws ProblemException plan-not-judgeable (422), host-not-found (404), queue-full, time-limit (503)
   */
  async check(body: CheckPlanDto, signal: AbortSignal): Promise<PlanVerdict> {
    const plan = await this.planOf(body);
    try {
      const limitMs = this.limits.planMs;
      const outcome = await this.pool.run({ kind: 'plan', plan }, { signal, limitMs });
      if (outcome.ok) return outcome.value;
      throw this.problemOf(outcome.error);
    } catch (error) {
      if (error instanceof WorkAborted) throw queueFull();
      if (!(error instanceof WorkTimeout)) throw error;
      const detail = `The plan was not judged within ${this.limits.planMs / 1000} seconds.`;
      throw new ProblemException('time-limit', detail, { headers: { 'Retry-After': '60' } });
    }
  }

  private async planOf({ host, profile, ...rest }: CheckPlanDto): Promise<PackingPlan> {
    const hardwareProfile = profile === undefined ? {} : { hardwareProfile: profile };
    const plan = {
      ...rest,
      ...hardwareProfile,
      host: await this.hostOf(host),
    };
    // DTO instances carry their class; a worker is sent plain data.
    return JSON.parse(JSON.stringify(plan)) as PackingPlan;
  }

  private async hostOf({ hostId, model, facts }: PlanHostDto): Promise<PackingPlan['host']> {
    const given = [hostId, model, facts].filter((value) => value !== undefined);
    if (given.length !== 1) {
      const message = `A plan names its host by exactly one of hostId, model and facts; found ${given.length}.`;
      const errors = [{ code: 'plan-host', path: '/host', message }];
      throw new ProblemException('plan-not-judgeable', message, { errors });
    }
    if (hostId === undefined) return { model, facts };
    const stored = await this.transactions.read((manager) =>
      manager.findOneBy(Host, { id: hostId }),
    );
    if (stored !== null) return { model: stored.model };
    const detail = `No host has the id ${hostId}.`;
    throw new ProblemException('host-not-found', detail, { path: 'host.hostId' });
  }

  private problemOf({ kind, code, path, message, problems }: WorkError): ProblemException {
    if (kind === 'internal') {
      this.logger.error(`${code}: ${message}`);
      return new ProblemException('replay-failed', 'The replay failed; the log says why.');
    }
    return this.notJudgeable(problems ?? [{ code, path: path ?? '', message }]);
  }

  private notJudgeable(errors: ProblemError[]): ProblemException {
    const detail = errors[0]?.message ?? 'The plan cannot be read.';
    return new ProblemException('plan-not-judgeable', detail, { errors });
  }
}
