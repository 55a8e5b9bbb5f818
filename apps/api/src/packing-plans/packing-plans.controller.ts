import { Body, Controller, HttpCode, Post, Res } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import type { GateVerdict } from '@zonewise/plan';
import type { Response } from 'express';
import { ApiProblems } from '../docs/api-problems';
import { exampleFile, exampleTexts } from '../docs/examples';
import { CheckPlanDto } from './packing-plan.dto';
import { PackingPlansService } from './packing-plans.service';
import { GateVerdictDto } from './plan-verdict.dto';

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
  constructor(private readonly plans: PackingPlansService) {}

  @Post('check')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Judge a packing plan',
    description:
      'The same verdict as `zonewise gate`: each host of the plan is replayed as it stands and held against its policies and limits. A plan that fails is an answer (200 with verdict `fail`); one that cannot be judged is a problem (422).',
  })
  @ApiBody({ type: CheckPlanDto, examples: examples() })
  @ApiOkResponse({ type: GateVerdictDto })
  @ApiProblems(
    'malformed-json',
    'validation-failed',
    'host-not-found',
    'body-too-large',
    'unsupported-media-type',
    'plan-not-judgeable',
    'replay-failed',
    'queue-full',
    'time-limit',
  )
  check(
    @Body() body: CheckPlanDto,
    @Res({ passthrough: true }) response: Response,
  ): Promise<GateVerdict> {
    const left = new AbortController();
    response.once('close', () => {
      left.abort();
    });
    return this.plans.check(body, left.signal);
  }
}
