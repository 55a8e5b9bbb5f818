import { Body, Controller, Delete, Get, HttpCode, Post, Req, Res } from '@nestjs/common';
import {
  ApiAcceptedResponse,
  ApiBody,
  ApiCreatedResponse,
  ApiHeader,
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
import { prefersAsync } from '../http/prefer';
import { JobAnswers } from '../jobs/job-answers';
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
  @ApiHeader({
    name: 'Prefer',
    required: false,
    description:
      '`respond-async`: answer with a job. `wait=N`: wait for the job up to N seconds (at most 60).',
    schema: { type: 'string', example: 'respond-async, wait=30' },
  })
  @ApiOkResponse({ type: GateVerdictDto })
  @ApiAcceptedResponse({ type: JobDto, description: 'A job; Location is its address.' })
  @ApiCreatedResponse({ type: GateVerdictDto, description: 'The job ended within `wait`.' })
  @ApiProblems(
    'malformed-json',
    'validation-failed',
    'host-not-found',
    'body-too-large',
    'unsupported-media-type',
    'job-final',
    'idempotency-key-in-use',
    'idempotency-key-reused',
    'plan-not-judgeable',
    'replay-failed',
    'queue-full',
    'time-limit',
  )
  async check(
    @Body() body: CheckPlanDto,
    @Req() request: Request,
    @Res({ passthrough: true }) response: Response,
  ): Promise<GateVerdict | JobDto> {
    const isLarge = (body.hosts?.length ?? 0) > HOSTS_AT_ONCE;
    if (isLarge || prefersAsync(request.headers.prefer)) {
      const job = await this.plans.submit(body);
      return this.answers.answer(job, request, response, (id) => this.plans.verdict(id));
    }
    const left = new AbortController();
    response.once('close', () => {
      left.abort();
    });
    return this.plans.check(body, left.signal);
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
