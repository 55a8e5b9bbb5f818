import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsOptional, IsUUID } from 'class-validator';
import { ProblemDto } from '../docs/problem.dto';
import { PageDto, PageQuery } from '../http/cursor';
import type { Problem } from '../http/problem';
import { RETRY_AFTER_SECONDS } from '../work/work-pool';
import { RESULT_PATHS } from './job-kinds';
import { isFinal, Job, JOB_KINDS, JOB_STATES, JobKind, JobState } from './job.entity';

export class JobListQuery extends PageQuery {
  @ApiPropertyOptional({ format: 'uuid', description: 'Only jobs of this host.' })
  @IsOptional()
  @IsUUID()
  hostId?: string;

  @ApiPropertyOptional({ enum: JOB_STATES, description: 'Only jobs in this state.' })
  @IsOptional()
  @IsIn(JOB_STATES)
  state?: JobState;
}

export class JobDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ enum: JOB_KINDS })
  kind: JobKind;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    description: 'Null for a job that brings its hosts along.',
  })
  hostId: string | null;

  @ApiProperty({ enum: JOB_STATES, description: 'The last three are final.' })
  state: JobState;

  @ApiProperty({ minimum: 0, maximum: 1, example: 0.42 })
  progress: number;

  @ApiProperty({ type: String, nullable: true, example: 'step 3 of 9' })
  message: string | null;

  @ApiProperty({ example: 1, description: 'How often it was begun; more than once after a crash.' })
  attempts: number;

  @ApiProperty({ type: String, nullable: true, format: 'uuid' })
  resultId: string | null;

  @ApiProperty({
    type: String,
    nullable: true,
    description: 'Address of the result, once it succeeded.',
    example: '/v1/simulations/4b3c0a52-6f2e-4d29-9d0e-0e2a6e1f6a11',
  })
  resultUrl: string | null;

  @ApiProperty({ type: ProblemDto, nullable: true, description: 'Why it failed.' })
  error: Problem | null;

  @ApiProperty({ format: 'date-time' })
  createdAt: string;

  @ApiProperty({ type: String, nullable: true, format: 'date-time' })
  startedAt: string | null;

  @ApiProperty({ type: String, nullable: true, format: 'date-time' })
  finishedAt: string | null;
}

export class JobPageDto extends PageDto {
  @ApiProperty({ type: [JobDto] })
  items: JobDto[];
}

export function jobDto(job: Job): JobDto {
  const { id, kind, hostId, state, progress, message, attempts, resultId } = job;
  const { error, createdAt, startedAt, finishedAt } = job;
  const resultUrl = resultId === null ? null : `${RESULT_PATHS[kind]}/${resultId}`;
  const result = { attempts, resultId, resultUrl, error };
  return {
    ...{ id, kind, hostId, state, progress, message },
    ...result,
    ...{ createdAt, startedAt, finishedAt },
  };
}

/** The answer (202) of a request whose job is stored: where it is, and when to look. Headers in lower case. */
export function accepted(job: Job) {
  const headers = {
    location: `/v1/jobs/${job.id}`,
    'retry-after': String(isFinal(job.state) ? 0 : RETRY_AFTER_SECONDS),
  };
  return { status: 202, headers, body: jobDto(job) };
}
