import { Global, Module } from '@nestjs/common';
import { ImmediateWork } from './immediate-work';
import { DEFAULT_WORK_LIMITS, WORK_LIMITS, WorkPool } from './work-pool';

/** The pool of worker threads; one per process. */
@Global()
@Module({
  providers: [
    { provide: WORK_LIMITS, useFactory: () => ({ ...DEFAULT_WORK_LIMITS }) },
    WorkPool,
    ImmediateWork,
  ],
  exports: [WORK_LIMITS, WorkPool, ImmediateWork],
})
export class WorkModule {}
