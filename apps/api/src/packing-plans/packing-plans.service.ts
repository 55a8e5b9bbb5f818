import { Injectable, OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Host } from '../database/entities/host.entity';
import { Transactions } from '../database/transactions';
import { packageVersion } from '../health/version';
import { ProblemError, ProblemException } from '../http/problem';
import { JobKinds, type JobOf, type JobRequests, type JobResults } from '../jobs/job-kinds';
import type { Job } from '../jobs/job.entity';
import { JobsService } from '../jobs/jobs.service';
import { StoredResults } from '../jobs/stored-results';
import { isDay } from '@zonewise/plan';
import type { GateVerdict, PackingPlan, PlanDocument, PlanHost } from '@zonewise/plan';
import { ImmediateWork, inputRefused } from '../work/immediate-work';
import { CheckPlanDto, PlanHostDto } from './packing-plan.dto';

type PlanWork = JobRequests['plan'];

/** Judges packing plans in the worker threads: small ones at once and without a trace, others as jobs. */
@Injectable()
export class PackingPlansService implements OnModuleInit, JobResults<'plan'> {
  constructor(
    private readonly transactions: Transactions,
    private readonly work: ImmediateWork,
    private readonly kinds: JobKinds,
    private readonly jobs: JobsService,
    private readonly results: StoredResults,
  ) {}

  onModuleInit(): void {
    this.kinds.register('plan', this);
  }

  /**
   * @param signal the caller went away
   * @throws ProblemException plan-not-judgeable (422), host-not-found (404), queue-full, time-limit (503)
   */
  async check(body: CheckPlanDto, signal: AbortSignal): Promise<GateVerdict> {
    const work = await this.workOf(body);
    return this.work.run({ kind: 'plan', ...work }, 'plan-not-judgeable', signal);
  }

  /** @throws ProblemException as {@link check} before the work begins, and {@link JobsService.submit} */
  async submit(body: CheckPlanDto): Promise<Job> {
    return this.jobs.submit('plan', null, await this.workOf(body));
  }

  store(
    manager: EntityManager,
    job: JobOf<'plan'>,
    _work: PlanWork,
    verdict: GateVerdict,
  ): Promise<string> {
    return this.results.store(manager, job, verdict);
  }

  /** @throws ProblemException verdict-not-found (404) */
  verdict(id: string): Promise<GateVerdict> {
    return this.results.get('plan', id);
  }

  /** @throws ProblemException verdict-not-found (404) */
  removeVerdict(id: string): Promise<void> {
    return this.results.remove('plan', id);
  }

  private async workOf(body: CheckPlanDto): Promise<PlanWork> {
    const document = await this.documentOf(body);
    const { failLevel, today = new Date().toISOString().slice(0, 10) } = body;
    if (!isDay(today)) {
      const message = `Found ${today}; expected a day such as 2027-03-31.`;
      throw notJudgeable([{ code: 'invalid-day', path: '/today', message }]);
    }
    return { document, options: { today, failLevel, modelVersion: packageVersion() } };
  }

  /** One host with its domains, or several hosts and guests; each guest and host knows its place in the body. */
  private async documentOf(body: CheckPlanDto): Promise<PlanDocument> {
    const { host, domains, hosts, guests, profile } = body;
    const { flavours, assignments, events, demand, limits, policies, waivers } = body;
    const { sysctl: settings, numatune, seed } = body;
    const one = host !== undefined && domains !== undefined && !hosts && !guests;
    const several = hosts !== undefined && guests !== undefined && !host && !domains;
    if (!one && !several) {
      const message = 'A plan has host and domains, or hosts and guests.';
      throw notJudgeable([{ code: 'plan-shape', path: '', message }]);
    }
    const named = several ? hosts : [{ name: 'host', ...host }];
    const planHosts: PlanHost[] = [];
    for (const [i, { name, hostId, model, facts, ...own }] of named.entries()) {
      const path = several ? `/hosts/${i}` : '/host';
      planHosts.push({
        name,
        path,
        host: await this.hostOf({ hostId, model, facts }, path),
        ...own,
      });
    }
    const prefix = several ? '/guests' : '/domains';
    const document: PlanDocument = {
      ...{ flavours, assignments, events, demand, limits, policies, waivers },
      ...{ sysctl: settings, numatune, seed, hardwareProfile: profile },
      hosts: planHosts,
      guests: (several ? guests : (domains ?? [])).map((guest, i) => ({
        ...guest,
        path: `${prefix}/${i}`,
      })),
    };
    // DTO instances carry their class; a worker is sent plain data.
    return JSON.parse(JSON.stringify(document)) as PlanDocument;
  }

  private async hostOf(
    { hostId, model, facts }: PlanHostDto,
    path: string,
  ): Promise<PackingPlan['host']> {
    const given = [hostId, model, facts].filter((value) => value !== undefined);
    if (given.length !== 1) {
      const message = `A plan names its host by exactly one of hostId, model and facts; found ${given.length}.`;
      const errors = [{ code: 'plan-host', path, message }];
      throw new ProblemException('plan-not-judgeable', message, { errors });
    }
    if (hostId === undefined) return { model, facts };
    const stored = await this.transactions.read((manager) =>
      manager.findOneBy(Host, { id: hostId }),
    );
    if (stored !== null) return { model: stored.model };
    const detail = `No host has the id ${hostId}.`;
    throw new ProblemException('host-not-found', detail, {
      path: `${path.slice(1).replace('/', '.')}.hostId`,
    });
  }
}

const notJudgeable = (errors: ProblemError[]): ProblemException =>
  inputRefused('plan-not-judgeable', errors);
