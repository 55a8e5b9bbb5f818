import { Module } from '@nestjs/common';
import { APP_INTERCEPTOR } from '@nestjs/core';
import { TypeOrmModule } from '@nestjs/typeorm';
import { Domain } from '../database/entities/domain.entity';
import { HostSnapshot } from '../database/entities/host-snapshot.entity';
import { Host } from '../database/entities/host.entity';
import { IdempotencyKey } from '../work/idempotency-key.entity';
import { IdempotencyInterceptor } from '../work/idempotency.interceptor';
import { WorkModule } from '../work/work.module';
import { JobAnswers } from './job-answers';
import { JobEvents } from './job-events';
import { JobKinds } from './job-kinds';
import { JobRequestBuilder } from './job-request.builder';
import { JobRunner } from './job-runner';
import { JobWatch } from './job-watch';
import { JobStore } from './job-store';
import { JobResult } from './job-result.entity';
import { Job } from './job.entity';
import { JobsController } from './jobs.controller';
import { JobsService } from './jobs.service';
import { StoredResults } from './stored-results';

/** Jobs, and with them `Idempotency-Key` on every POST of the service. */
@Module({
  imports: [
    WorkModule,
    TypeOrmModule.forFeature([Host, HostSnapshot, Domain, Job, JobResult, IdempotencyKey]),
  ],
  controllers: [JobsController],
  providers: [
    JobKinds,
    JobEvents,
    JobStore,
    JobRunner,
    JobWatch,
    JobsService,
    JobAnswers,
    JobRequestBuilder,
    StoredResults,
    { provide: APP_INTERCEPTOR, useClass: IdempotencyInterceptor },
  ],
  exports: [JobKinds, JobsService, JobAnswers, JobRequestBuilder, StoredResults],
})
export class JobsModule {}
