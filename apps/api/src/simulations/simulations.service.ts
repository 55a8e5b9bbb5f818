import { randomUUID } from 'node:crypto';
import { Injectable, OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import { Host } from '../database/entities/host.entity';
import { Transactions } from '../database/transactions';
import { Page, PageQuery, pageOf } from '../http/cursor';
import { ProblemException } from '../http/problem';
import { JobKinds, type JobOf, JobRequest, JobResults } from '../jobs/job-kinds';
import { JobRequestBuilder, ReplayAsk } from '../jobs/job-request.builder';
import { Job } from '../jobs/job.entity';
import { JobsService } from '../jobs/jobs.service';
import type { SimulationOutput } from '../work/tasks';
import { Simulation } from './simulation.entity';
import type { PrintedSimulation } from './state-files';

const COLUMNS = ['id', 'hostId', 'jobId', 'basis', 'outcome', 'assumptions', 'createdAt'] as const;

@Injectable()
export class SimulationsService implements OnModuleInit, JobResults<'simulation'> {
  constructor(
    private readonly transactions: Transactions,
    private readonly kinds: JobKinds,
    private readonly requests: JobRequestBuilder,
    private readonly jobs: JobsService,
  ) {}

  onModuleInit(): void {
    this.kinds.register('simulation', this);
  }

  /** @throws ProblemException as {@link JobRequestBuilder.build} and {@link JobsService.submit} */
  async submit(hostId: string, ask: ReplayAsk): Promise<Job> {
    const request = await this.requests.build(hostId, ask);
    return this.jobs.submit('simulation', hostId, { ...request, documents: [] });
  }

  async store(
    manager: EntityManager,
    job: JobOf<'simulation'>,
    { basis }: JobRequest,
    { result, outcome, assumptions }: SimulationOutput,
  ): Promise<string> {
    const id = randomUUID();
    const createdAt = new Date().toISOString();
    const { hostId, id: jobId } = job;
    await manager.insert(Simulation, {
      ...{ id, hostId, jobId, basis, createdAt },
      ...{ result, outcome, assumptions },
    });
    return id;
  }

  /** @throws ProblemException simulation-not-found (404) */
  get(id: string): Promise<Simulation> {
    return this.transactions.read((manager) => this.find(manager, id));
  }

  /**
   * The simulation with what its texts are printed from: the host of its job, and the texts that the host
   * was imported from, which go when its model is replaced.
   * @throws ProblemException simulation-not-found (404)
   */
  printed(id: string): Promise<PrintedSimulation> {
    return this.transactions.read(async (manager) => {
      const { result, hostId, jobId } = await this.find(manager, id);
      const { request } = await manager.findOneOrFail(Job, {
        where: { id: jobId },
        select: { id: true, request: true },
      });
      const host = await manager.findOne(Host, {
        where: { id: hostId },
        select: { id: true, sourceTexts: true },
      });
      return {
        host: (request as JobRequest).simulation.host,
        result,
        sourceTexts: host?.sourceTexts,
      };
    });
  }

  private async find(manager: EntityManager, id: string): Promise<Simulation> {
    const simulation = await manager.findOne(Simulation, {
      where: { id },
      select: { ...Object.fromEntries(COLUMNS.map((name) => [name, true])), result: true },
    });
    if (simulation !== null) return simulation;
    const detail = `No simulation has the id ${id}.`;
    throw new ProblemException('simulation-not-found', detail, { path: 'simulationId' });
  }

  /** A page of a host's simulations without their results. */
  list(hostId: string, page: PageQuery): Promise<Page<Simulation>> {
    return this.transactions.read(async (manager) => {
      if (!(await manager.existsBy(Host, { id: hostId }))) {
        const detail = `No host has the id ${hostId}.`;
        throw new ProblemException('host-not-found', detail, { path: 'hostId' });
      }
      return pageOf(manager.createQueryBuilder(Simulation, 'simulation').where({ hostId }), page);
    });
  }
}
