import { Body, Controller, Get, Headers, HttpStatus, Post, Query, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiConsumes,
  ApiCreatedResponse,
  ApiExtraModels,
  ApiHeader,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { Collection } from '@zonewise/host-facts';
import type { Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { verifyExamples } from '../docs/examples';
import { Collected, HostFields } from '../hosts/archive-body';
import { ARCHIVE_TYPES } from '../http/body-parsers';
import { Consumes } from '../http/content-type.guard';
import { PageQuery } from '../http/cursor';
import { IdParam } from '../work/id-param';
import {
  GuestTextsDto,
  verificationCreated,
  VerificationDto,
  verificationDto,
  VerificationPageDto,
  verificationSummary,
  VerifyDto,
  VerifyQuery,
} from './verification.dto';
import { VerificationsService } from './verifications.service';

const RecommendationId = () => IdParam('recommendationId', 'recommendation-not-found');
const DocumentedId = () => ApiParam({ name: 'recommendationId', format: 'uuid' });

@ApiTags('recommendations')
@ApiExtraModels(GuestTextsDto)
@Controller('v1/recommendations/:recommendationId')
export class VerificationsController {
  constructor(private readonly verifications: VerificationsService) {}

  @Post('verify')
  @DocumentedId()
  @Consumes('application/json', 'multipart/form-data', ...ARCHIVE_TYPES)
  @HostFields()
  @ApiOperation({
    summary: 'Hold the prediction against what the host prints after the change',
    description:
      'Takes the texts of `POST /v1/hosts/import` or an archive of the collector, compares free memory, page cache and anonymous memory of every node and the pages of every guest with the end of the advised replay, and every setting of the advice with what is in force, and stores the comparison. The stored host stays as it is. Only with `conclude=true` the state of the recommendation follows from it.',
  })
  @ApiConsumes('application/json', 'multipart/form-data', ...ARCHIVE_TYPES)
  @ApiHeader({
    name: 'If-Match',
    required: false,
    description: "The recommendation's ETag; needed with conclude=true.",
  })
  @ApiBody({ type: VerifyDto, examples: verifyExamples })
  @ApiCreatedResponse({
    type: VerificationDto,
    description: "Stored; ETag is the recommendation's.",
  })
  @ApiProblems(
    ...(['malformed-json', 'validation-failed', 'body-too-large'] as const),
    ...(['unsupported-media-type', 'malformed-multipart', 'malformed-archive'] as const),
    ...(['malformed-xml', 'invalid-capabilities', 'invalid-facts', 'invalid-residency'] as const),
    ...(['length-required', 'recommendation-not-found', 'invalid-state-transition'] as const),
    ...(['if-match-required', 'stale-etag'] as const),
  )
  async verify(
    @RecommendationId() id: string,
    @Body() body: VerifyDto,
    @Query() query: VerifyQuery,
    @Collected() collection: Collection | undefined,
    @Headers('if-match') ifMatch: string | undefined,
    @Res({ passthrough: true }) response: Response,
  ): Promise<VerificationDto> {
    const done = await this.verifications.verify(id, body, collection, query, ifMatch);
    response.status(HttpStatus.CREATED);
    const { headers, body: answer } = verificationCreated(done);
    for (const [name, value] of Object.entries(headers)) response.setHeader(name, value);
    return answer;
  }

  @Get('verifications')
  @DocumentedId()
  @ApiOperation({ summary: 'Every verification of the recommendation, oldest first' })
  @ApiOkResponse({ type: VerificationPageDto })
  @ApiProblems('validation-failed', 'invalid-cursor', 'recommendation-not-found')
  async list(
    @RecommendationId() id: string,
    @Query() query: PageQuery,
  ): Promise<VerificationPageDto> {
    const { items, nextCursor } = await this.verifications.list(id, query);
    return { items: items.map(verificationSummary), nextCursor };
  }

  @Get('verifications/:verificationId')
  @DocumentedId()
  @ApiParam({ name: 'verificationId', format: 'uuid' })
  @ApiOperation({ summary: 'A verification, node by node' })
  @ApiOkResponse({ type: VerificationDto })
  @ApiProblems('recommendation-not-found', 'verification-not-found')
  async get(
    @RecommendationId() id: string,
    @IdParam('verificationId', 'verification-not-found') verificationId: string,
  ): Promise<VerificationDto> {
    return verificationDto(await this.verifications.get(id, verificationId));
  }
}
