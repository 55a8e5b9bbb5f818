import { Injectable, OnModuleInit } from '@nestjs/common';
import type { EntityManager } from 'typeorm';
import type { HeadroomAnswer } from '@zonewise/plan';
import { JobKinds, type JobOf, type JobRequests, type JobResults } from '../jobs/job-kinds';
import { JobRequestBuilder } from '../jobs/job-request.builder';
import type { Job } from '../jobs/job.entity';
import { JobsService } from '../jobs/jobs.service';
import { StoredResults } from '../jobs/stored-results';
import { ImmediateWork } from '../work/immediate-work';
import type { HeadroomDto } from './headroom.dto';

/** Counts further guests of stored hosts: at once, or as a job. */
@Injectable()
export class HeadroomService implements OnModuleInit, JobResults<'headroom'> {
  constructor(
    private readonly requests: JobRequestBuilder,
    private readonly work: ImmediateWork,
    private readonly kinds: JobKinds,
    private readonly jobs: JobsService,
    private readonly results: StoredResults,
  ) {}

  onModuleInit(): void {
    this.kinds.register('headroom', this);
  }

  /** @throws ProblemException as {@link JobRequestBuilder.build} and {@link ImmediateWork.run} */
  async count(hostId: string, body: HeadroomDto, signal: AbortSignal): Promise<HeadroomAnswer> {
    const work = await this.workOf(hostId, body);
    return this.work.run({ kind: 'headroom', ...work }, 'invalid-simulation-request', signal);
  }

  /** @throws ProblemException as {@link JobRequestBuilder.build} and {@link JobsService.submit} */
  async submit(hostId: string, body: HeadroomDto): Promise<Job> {
    return this.jobs.submit('headroom', null, await this.workOf(hostId, body));
  }

  store(
    manager: EntityManager,
    job: JobOf<'headroom'>,
    _work: JobRequests['headroom'],
    answer: HeadroomAnswer,
  ): Promise<string> {
    return this.results.store(manager, job, answer);
  }

  /** @throws ProblemException headroom-not-found (404) */
  find(id: string): Promise<HeadroomAnswer> {
    return this.results.get('headroom', id);
  }

  /** @throws ProblemException headroom-not-found (404) */
  remove(id: string): Promise<void> {
    return this.results.remove('headroom', id);
  }

  private async workOf(hostId: string, body: HeadroomDto): Promise<JobRequests['headroom']> {
    const { flavours, pageCacheMib, limits, ...ask } = body;
    const { simulation } = await this.requests.build(hostId, ask);
    // DTO instances carry their class; a worker is sent plain data.
    const plain = JSON.parse(
      JSON.stringify({ flavours, pageCacheMib, limits }),
    ) as JobRequests['headroom']['ask'];
    return { request: simulation, ask: plain };
  }
}
