import {
  Body,
  Controller,
  Get,
  Headers,
  HttpStatus,
  Param,
  Patch,
  Post,
  Query,
  Req,
  Res,
} from '@nestjs/common';
import {
  ApiBody,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiResponse,
  ApiTags,
} from '@nestjs/swagger';
import type { Request, Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { etagOf, isNotModified } from '../http/etag';
import { JobAnswers } from '../jobs/job-answers';
import { ApiMakesJob } from '../jobs/job-docs';
import { JobDto } from '../jobs/job.dto';
import { IdParam } from '../work/id-param';
import {
  AdviceFilesDto,
  ChangeStateDto,
  CreateRecommendationDto,
  filesDto,
  RecommendationDto,
  recommendationDto,
  RecommendationPageDto,
  RecommendationQuery,
  recommendationSummary,
} from './recommendation.dto';
import { DriftDto } from './drift.dto';
import { RecommendationsService } from './recommendations.service';

const RecommendationId = () => IdParam('recommendationId', 'recommendation-not-found');
const DocumentedId = () => ApiParam({ name: 'recommendationId', format: 'uuid' });

@ApiTags('recommendations')
@Controller('v1')
export class RecommendationsController {
  constructor(
    private readonly recommendations: RecommendationsService,
    private readonly answers: JobAnswers,
  ) {}

  @Post('hosts/:hostId/recommendations')
  @ApiOperation({
    summary: 'Find better numatune and vm settings for the host',
    description:
      'Replays what is stored, then bounded variants of it; every claim of the advice is backed by one of these replays. To leave everything as it is can be the advice.',
  })
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiBody({
    type: CreateRecommendationDto,
    examples: {
      asStored: { summary: 'For everything stored', value: {} },
      partly: {
        summary: 'Guests touch 80 % of their memory',
        value: { demand: { touchPercent: 80 } },
      },
      constrained: {
        summary: 'Locality first; one guest and one kernel setting stay as they are',
        value: {
          options: {
            profile: 'locality',
            constraints: { pinnedGuests: ['web1'], fixedSysctls: ['zone_reclaim_mode'] },
          },
        },
      },
      weighted: {
        summary: 'Waiting counts three times as much as distance',
        value: { options: { weights: { stall: 3, remote: 1 } } },
      },
    },
  })
  @ApiMakesJob(RecommendationDto, 'the recommendation', 'advice-not-possible')
  async create(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Body() body: CreateRecommendationDto,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RecommendationDto | JobDto> {
    const job = await this.recommendations.submit(hostId, body);
    return this.answers.answer(job, request, response, (id) => this.read(id, response));
  }

  @Get('hosts/:hostId/recommendations')
  @ApiOperation({ summary: "The host's recommendations, oldest first, without their evidence" })
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiOkResponse({ type: RecommendationPageDto })
  @ApiProblems('validation-failed', 'invalid-cursor', 'host-not-found')
  async list(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Query() query: RecommendationQuery,
  ): Promise<RecommendationPageDto> {
    const { items, nextCursor } = await this.recommendations.list(hostId, query);
    return { items: items.map(recommendationSummary), nextCursor };
  }

  @Get('recommendations/:recommendationId')
  @DocumentedId()
  @ApiOperation({ summary: 'A recommendation with its evidence' })
  @ApiHeader({ name: 'If-None-Match', required: false })
  @ApiOkResponse({ type: RecommendationDto, description: 'ETag is set.' })
  @ApiResponse({ status: 304, description: 'Unchanged since the given ETag.' })
  @ApiProblems('recommendation-not-found')
  async get(
    @RecommendationId() id: string,
    @Headers('if-none-match') ifNoneMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RecommendationDto | undefined> {
    const stored = await this.recommendations.get(id);
    response.setHeader('ETag', etagOf(stored.version));
    if (!isNotModified(ifNoneMatch, stored.version)) return recommendationDto(stored);
    response.status(HttpStatus.NOT_MODIFIED);
    return undefined;
  }

  @Patch('recommendations/:recommendationId')
  @DocumentedId()
  @ApiOperation({ summary: 'Claim, finish or dismiss a recommendation' })
  @ApiHeader({
    name: 'If-Match',
    required: true,
    description:
      'The ETag that was read; * for any version. Without it the answer is 428 (RFC 6585): of two tools that read the same advice only one may go on.',
  })
  @ApiBody({
    type: ChangeStateDto,
    examples: {
      claim: {
        summary: 'Somebody applies it',
        value: { state: 'CLAIMED', stateMetadata: { ticket: 'OPS-1234' } },
      },
      dismiss: { summary: 'Not wanted', value: { state: 'DISMISSED' } },
    },
  })
  @ApiOkResponse({ type: RecommendationDto })
  @ApiProblems(
    'validation-failed',
    'recommendation-not-found',
    'invalid-state-transition',
    'alternative-claimed',
    'if-match-required',
    'stale-etag',
    'unsupported-media-type',
  )
  async changeState(
    @RecommendationId() id: string,
    @Body() body: ChangeStateDto,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<RecommendationDto> {
    const stored = await this.recommendations.changeState(id, body, ifMatch);
    response.setHeader('ETag', etagOf(stored.version));
    return recommendationDto(stored);
  }

  @Get('recommendations/:recommendationId/drift')
  @DocumentedId()
  @ApiOperation({
    summary: 'What changed on the host since the recommendation was computed',
    description:
      'Compares the snapshot that it rests on with the latest one, and the domains with what they were.',
  })
  @ApiOkResponse({ type: DriftDto })
  @ApiProblems('recommendation-not-found')
  async drift(@RecommendationId() id: string): Promise<DriftDto> {
    return new DriftDto(await this.recommendations.drift(id), new Date().toISOString());
  }

  @Get('recommendations/:recommendationId/files')
  @DocumentedId()
  @ApiOperation({
    summary: 'The files that apply the advice and take it back',
    description:
      '`DOMAIN.xml` (patched), `DOMAIN.diff`, `DOMAIN.rollback.xml`, `90-zonewise.conf` for /etc/sysctl.d and `rollback.conf`, `zonewise-tmpfiles.conf` for /etc/tmpfiles.d; `apply.sh` and `rollback.sh` run all of it, `start.sh` starts the guests in the advised order, `apply-live.sh` shows the ways for running guests; only what changes has files.',
  })
  @ApiOkResponse({ type: AdviceFilesDto })
  @ApiProblems('recommendation-not-found')
  async files(@RecommendationId() id: string): Promise<AdviceFilesDto> {
    return { items: filesDto(await this.recommendations.get(id)) };
  }

  @Get('recommendations/:recommendationId/files/:name')
  @DocumentedId()
  @ApiParam({ name: 'name', example: '90-zonewise.conf' })
  @ApiOperation({ summary: 'One of the files' })
  @ApiOkResponse({
    content: {
      'application/xml': { schema: { type: 'string' } },
      'text/x-diff': { schema: { type: 'string' } },
      'text/plain': { schema: { type: 'string' } },
    },
  })
  @ApiProblems('recommendation-not-found', 'file-not-found')
  async file(
    @RecommendationId() id: string,
    @Param('name') name: string,
    @Res() response: Response,
  ): Promise<void> {
    const file = await this.recommendations.file(id, name);
    response.attachment(file.name);
    response.type(`${file.mediaType}; charset=utf-8`).send(file.text);
  }

  private async read(id: string, response: Response): Promise<RecommendationDto> {
    const stored = await this.recommendations.get(id);
    response.setHeader('ETag', etagOf(stored.version));
    return recommendationDto(stored);
  }
}
