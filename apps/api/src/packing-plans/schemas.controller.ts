import { Controller, Get, Header } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { PLAN_SCHEMA, VERDICT_SCHEMA } from '@zonewise/plan';

@ApiTags('packing-plans')
@Controller('schemas')
export class SchemasController {
  @Get('packing-plan.json')
  @Header('content-type', 'application/schema+json')
  @ApiOperation({
    summary: 'JSON Schema of a plan file',
    description: 'Draft 7, for editors and for checks before the gate. The gate itself uses it.',
  })
  @ApiOkResponse({
    description: 'The schema.',
    content: { 'application/schema+json': { schema: { type: 'object' } } },
  })
  packingPlan(): Readonly<Record<string, unknown>> {
    return PLAN_SCHEMA;
  }

  @Get('gate-verdict.json')
  @Header('content-type', 'application/schema+json')
  @ApiOperation({
    summary: "JSON Schema of a plan's verdict",
    description:
      'Draft 7. What `zonewise gate --output json` writes, and what a check of a packing plan answers.',
  })
  @ApiOkResponse({
    description: 'The schema.',
    content: { 'application/schema+json': { schema: { type: 'object' } } },
  })
  gateVerdict(): Readonly<Record<string, unknown>> {
    return VERDICT_SCHEMA;
  }
}
