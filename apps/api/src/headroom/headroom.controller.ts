import { Body, Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { HeadroomAnswer } from '@zonewise/plan';
import type { Request, Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { JobAnswers } from '../jobs/job-answers';
import { ApiMayMakeJob } from '../jobs/job-docs';
import { JobDto } from '../jobs/job.dto';
import { IdParam } from '../work/id-param';
import { HeadroomAnswerDto, HeadroomDto } from './headroom.dto';
import { HeadroomService } from './headroom.service';

const EXAMPLES = {
  twoFlavours: {
    summary: 'Two flavours, with 256 MiB of page cache kept on each node',
    value: {
      flavours: { small: { memoryMib: 512 }, large: { memoryMib: 2048, vcpus: 2 } },
      pageCacheMib: 256,
    },
  },
};

@ApiTags('headroom')
@Controller('v1')
export class HeadroomController {
  constructor(
    private readonly headroom: HeadroomService,
    private readonly answers: JobAnswers,
  ) {}

  @Post('hosts/:hostId/headroom')
  @HttpCode(200)
  @ApiOperation({
    summary: 'How many more guests of each flavour fit',
    description:
      'On each node and on the whole host, beside the stored domains: what adding up says (free memory above marks and reserves, page cache that may go, free huge pages), and what replays say, with what ends it. The same as `zonewise headroom`. A host that takes long is asked for with `Prefer: respond-async`.',
  })
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiBody({ type: HeadroomDto, examples: EXAMPLES })
  @ApiMayMakeJob(
    HeadroomAnswerDto,
    'domain-not-found',
    'unknown-host-node',
    'invalid-simulation-request',
  )
  count(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Body() body: HeadroomDto,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<HeadroomAnswer | JobDto> {
    return this.answers.answerOrSubmit(request, response, {
      now: (signal) => this.headroom.count(hostId, body, signal),
      submit: () => this.headroom.submit(hostId, body),
      read: (id) => this.headroom.find(id),
    });
  }

  @Get('headrooms/:headroomId')
  @ApiOperation({ summary: 'The answer of a job' })
  @ApiParam({ name: 'headroomId', format: 'uuid' })
  @ApiOkResponse({ type: HeadroomAnswerDto })
  @ApiProblems('headroom-not-found')
  find(@IdParam('headroomId', 'headroom-not-found') id: string): Promise<HeadroomAnswer> {
    return this.headroom.find(id);
  }

  @Delete('headrooms/:headroomId')
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove the answer of a job' })
  @ApiParam({ name: 'headroomId', format: 'uuid' })
  @ApiNoContentResponse({ description: 'Removed.' })
  @ApiProblems('headroom-not-found')
  remove(@IdParam('headroomId', 'headroom-not-found') id: string): Promise<void> {
    return this.headroom.remove(id);
  }
}
