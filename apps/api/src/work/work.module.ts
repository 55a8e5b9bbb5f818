import { Global, Module } from '@nestjs/common';
import { SETTINGS, type Settings } from '../config/settings';
import { IdempotencyKeys } from './idempotency-keys';
import { ImmediateWork } from './immediate-work';
import { DEFAULT_WORK_LIMITS, WORK_LIMITS, WorkPool } from './work-pool';

/** The pool of worker threads, one per process, and the keys under which requests make things. */
@Global()
@Module({
  providers: [
    {
      provide: WORK_LIMITS,
      useFactory: ({ jobLimitMs = DEFAULT_WORK_LIMITS.jobMs }: Settings) => ({
        ...DEFAULT_WORK_LIMITS,
        jobMs: jobLimitMs,
      }),
      inject: [SETTINGS],
    },
    WorkPool,
    ImmediateWork,
    IdempotencyKeys,
  ],
  exports: [WORK_LIMITS, WorkPool, ImmediateWork, IdempotencyKeys],
})
export class WorkModule {}
