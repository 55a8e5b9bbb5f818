import { Body, Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { PlacementAnswer } from '@zonewise/plan';
import type { Request, Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { JobAnswers } from '../jobs/job-answers';
import { ApiMayMakeJob } from '../jobs/job-docs';
import { JobDto } from '../jobs/job.dto';
import { IdParam } from '../work/id-param';
import { PlacementDto } from './placement-answer.dto';
import { placementExamples } from './placement-examples';
import { CreatePlacementDto } from './placement.dto';
import { PlacementsService } from './placements.service';

/** Requests with more hosts or guests become jobs. */
const HOSTS_AT_ONCE = 16;
const GUESTS_AT_ONCE = 200;

function isLarge({ hosts, guests = [] }: CreatePlacementDto): boolean {
  const wanted = guests.reduce((sum, { count = 1 }) => sum + count, 0);
  return hosts.length > HOSTS_AT_ONCE || wanted > GUESTS_AT_ONCE;
}

@ApiTags('placements')
@Controller('v1/placements')
export class PlacementsController {
  constructor(
    private readonly placements: PlacementsService,
    private readonly answers: JobAnswers,
  ) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({
    summary: 'Say where guests may go',
    description: `Guests are packed by adding up what each NUMA node has left after marks, reserves and pools; then every host that would change is replayed, and what a replay refuses goes back to be placed elsewhere. A guest that fits nowhere is an answer (200, in \`refused\`, with node, zone, mark and shortfall). A request with more than ${HOSTS_AT_ONCE} hosts or ${GUESTS_AT_ONCE} guests, or one that is asked for with \`Prefer: respond-async\`, becomes a job (202). Nothing changes on any host.`,
  })
  @ApiBody({ type: CreatePlacementDto, examples: placementExamples() })
  @ApiMayMakeJob(PlacementDto, 'placement-not-readable')
  create(
    @Body() body: CreatePlacementDto,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<PlacementAnswer | JobDto> {
    return this.answers.answerOrSubmit(request, response, {
      isLarge: isLarge(body),
      now: (signal) => this.placements.place(body, signal),
      submit: () => this.placements.submit(body),
      read: (id) => this.placements.get(id),
    });
  }

  @Get(':placementId')
  @ApiOperation({ summary: 'The placement that a job found' })
  @ApiParam({ name: 'placementId', format: 'uuid' })
  @ApiOkResponse({ type: PlacementDto })
  @ApiProblems('placement-not-found')
  get(@IdParam('placementId', 'placement-not-found') id: string): Promise<PlacementAnswer> {
    return this.placements.get(id);
  }

  @Delete(':placementId')
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove the placement that a job found' })
  @ApiParam({ name: 'placementId', format: 'uuid' })
  @ApiNoContentResponse({ description: 'Removed.' })
  @ApiProblems('placement-not-found')
  remove(@IdParam('placementId', 'placement-not-found') id: string): Promise<void> {
    return this.placements.remove(id);
  }
}
