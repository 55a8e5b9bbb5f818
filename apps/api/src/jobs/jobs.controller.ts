import { Controller, Delete, Get, Query, Res } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import type { Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { IdParam } from '../work/id-param';
import { JobEvents } from './job-events';
import { streamJob } from './job-stream';
import { JobDto, jobDto, JobListQuery, JobPageDto } from './job.dto';
import { JobsService } from './jobs.service';

const JobId = () => IdParam('jobId', 'job-not-found');

@ApiTags('jobs')
@Controller('v1/jobs')
export class JobsController {
  constructor(
    private readonly jobs: JobsService,
    private readonly events: JobEvents,
  ) {}

  @Get()
  @ApiOperation({ summary: 'Jobs, oldest first' })
  @ApiOkResponse({ type: JobPageDto })
  @ApiProblems('validation-failed', 'invalid-cursor')
  async list(@Query() query: JobListQuery): Promise<JobPageDto> {
    const { hostId, state } = query;
    const page = await this.jobs.list(query, { hostId, state });
    return { items: page.items.map(jobDto), nextCursor: page.nextCursor };
  }

  @Get(':jobId')
  @ApiOperation({ summary: 'State and progress of a job' })
  @ApiParam({ name: 'jobId', format: 'uuid' })
  @ApiOkResponse({ type: JobDto })
  @ApiProblems('job-not-found')
  async get(@JobId() jobId: string): Promise<JobDto> {
    return jobDto(await this.jobs.get(jobId));
  }

  @Get(':jobId/events')
  @ApiOperation({
    summary: 'State and progress as server-sent events',
    description:
      'Event `state` carries the job as GET answers it, at the beginning and at every change; event `progress` carries `{progress, message}`. The stream ends after a final state.',
  })
  @ApiParam({ name: 'jobId', format: 'uuid' })
  @ApiOkResponse({
    description: 'The stream.',
    content: {
      'text/event-stream': {
        schema: { type: 'string' },
        example: 'event: progress\ndata: {"progress":0.42,"message":"step 3 of 9"}\n\n',
      },
    },
  })
  @ApiProblems('job-not-found')
  async stream(@JobId() jobId: string, @Res() response: Response): Promise<void> {
    await streamJob(jobId, response, this.jobs, this.events);
  }

  @Delete(':jobId')
  @ApiOperation({
    summary: 'Cancel a job',
    description: 'Ends the work of a queued or running job. Its row stays, as `cancelled`.',
  })
  @ApiParam({ name: 'jobId', format: 'uuid' })
  @ApiOkResponse({ type: JobDto })
  @ApiProblems('job-not-found', 'job-final')
  async cancel(@JobId() jobId: string): Promise<JobDto> {
    return jobDto(await this.jobs.cancel(jobId));
  }
}
