import { Body, Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import {
  ApiBody,
  ApiNoContentResponse,
  ApiOkResponse,
  ApiOperation,
  ApiParam,
  ApiTags,
} from '@nestjs/swagger';
import type { GateVerdict } from '@zonewise/plan';
import type { Request, Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { exampleFile, exampleTexts } from '../docs/examples';
import { JobAnswers } from '../jobs/job-answers';
import { ApiMayMakeJob } from '../jobs/job-docs';
import { JobDto } from '../jobs/job.dto';
import { IdParam } from '../work/id-param';
import { CheckPlanDto } from './packing-plan.dto';
import { PackingPlansService } from './packing-plans.service';
import { GateVerdictDto } from './plan-verdict.dto';

/** Plans of more hosts are judged by a job. */
const HOSTS_AT_ONCE = 16;

/** A plan made of the recorded example host and domain; without the files there is no example. */
function examples(): Record<string, { summary: string; value: object }> {
  const xml = exampleFile('web1.xml');
  const facts = exampleTexts();
  if (xml === undefined || Object.keys(facts).length === 0) return {};
  const value = { host: { facts }, domains: [{ xml }], limits: { maxRemoteShare: 0.1 } };
  return { recordedHost: { summary: 'One more guest on the recorded two-node host', value } };
}

@ApiTags('packing-plans')
@Controller('v1/packing-plans')
export class PackingPlansController {
  constructor(
    private readonly plans: PackingPlansService,
    private readonly answers: JobAnswers,
  ) {}

  @Post('check')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Judge a packing plan',
    description: `The same verdict as \`zonewise gate\`: each host of the plan is replayed as it stands and held against its policies and limits. A plan that fails is an answer (200 with verdict \`fail\`); one that cannot be judged is a problem (422). A plan of more than ${HOSTS_AT_ONCE} hosts, or one that is asked for with \`Prefer: respond-async\`, becomes a job (202).`,
  })
  @ApiBody({ type: CheckPlanDto, examples: examples() })
  @ApiMayMakeJob(GateVerdictDto, 'plan-not-judgeable')
  check(
    @Body() body: CheckPlanDto,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<GateVerdict | JobDto> {
    return this.answers.answerOrSubmit(request, response, {
      isLarge: (body.hosts?.length ?? 0) > HOSTS_AT_ONCE,
      now: (signal) => this.plans.check(body, signal),
      submit: () => this.plans.submit(body),
      read: (id) => this.plans.verdict(id),
    });
  }

  @Get('verdicts/:verdictId')
  @ApiOperation({ summary: 'The verdict of a job' })
  @ApiParam({ name: 'verdictId', format: 'uuid' })
  @ApiOkResponse({ type: GateVerdictDto })
  @ApiProblems('verdict-not-found')
  verdict(@IdParam('verdictId', 'verdict-not-found') id: string): Promise<GateVerdict> {
    return this.plans.verdict(id);
  }

  @Delete('verdicts/:verdictId')
  @HttpCode(204)
  @ApiOperation({ summary: 'Remove the verdict of a job' })
  @ApiParam({ name: 'verdictId', format: 'uuid' })
  @ApiNoContentResponse({ description: 'Removed.' })
  @ApiProblems('verdict-not-found')
  removeVerdict(@IdParam('verdictId', 'verdict-not-found') id: string): Promise<void> {
    return this.plans.removeVerdict(id);
  }
}
