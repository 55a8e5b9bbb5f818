import { Body, Controller, HttpCode, Post } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiTags } from '@nestjs/swagger';
import { diagnose, parseKernelLog, withHostEvidence } from '@zonewise/host-facts';
import { ApiProblems } from '../docs/api-problems';
import { HostsService } from '../hosts/hosts.service';
import { ProblemException } from '../http/problem';
import { DiagnosesDto, DiagnoseDto } from './diagnosis.dto';
import { failedAllocationLog } from './diagnosis-examples';

@ApiTags('diagnoses')
@Controller('v1/diagnoses')
export class DiagnosesController {
  constructor(private readonly hosts: HostsService) {}

  @Post()
  @HttpCode(200)
  @ApiOperation({
    summary: 'Why an allocation failed or a process was killed, from the kernel log',
    description:
      'For every report: the request, each zone asked again with the watermark check of its kernel and every number compared, why reclaim did not help, who was killed and why, and what to change. Nothing is stored.',
  })
  @ApiBody({ type: DiagnoseDto, examples: { failedAllocation: failedAllocationLog } })
  @ApiOkResponse({ type: DiagnosesDto })
  @ApiProblems(
    'malformed-json',
    'validation-failed',
    'body-too-large',
    'unsupported-media-type',
    'host-not-found',
    'invalid-facts',
  )
  async create(@Body() { log, hostId }: DiagnoseDto): Promise<DiagnosesDto> {
    const model = hostId === undefined ? undefined : (await this.hosts.get(hostId)).model;
    const parsed = parseKernelLog(log, 'log', model?.kernelRelease);
    if (parsed.ok) {
      const items = parsed.value.map(diagnose);
      if (model === undefined) return { items };
      return { items: items.map((item) => withHostEvidence(item, model)) };
    }
    const [first] = parsed.problems;
    throw new ProblemException('invalid-facts', first?.message ?? 'The log cannot be read.', {
      errors: parsed.problems,
    });
  }
}
