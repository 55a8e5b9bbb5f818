import { Body, Controller, Get, HttpCode, Post, Query } from '@nestjs/common';
import { ApiBody, ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { architectures, deviceAlignmentPages, deviceZone } from '@zonewise/simulator';
import { ApiProblems } from '../docs/api-problems';
import { HostsService } from '../hosts/hosts.service';
import { ProblemException } from '../http/problem';
import { IdParam } from '../work/id-param';
import { ComputeMemoryModelDto, MemoryModelQuery, MemoryModelViewDto } from './memory-model.dto';
import { hostMemoryModelView, memoryModelView, type MemoryModelView } from './memory-model-view';

const GIB = 2 ** 18;
const examples = {
  holes: {
    summary: 'Two nodes, holes below 4 GiB and up to 1 TiB, on x86-64',
    value: {
      model: 'sparsemem',
      ranges: [
        { nodeId: 0, startPfn: 0, pages: 3 * GIB },
        { nodeId: 0, startPfn: 4 * GIB, pages: 2 * GIB },
        { nodeId: 1, startPfn: 1024 * GIB, pages: 2 * GIB },
      ],
      cpus: [
        { nodeId: 0, cpus: [0, 1] },
        { nodeId: 1, cpus: [] },
      ],
      pfns: [4 * GIB],
    },
  },
  highmem: {
    summary: 'A 32-bit machine with 4 GiB: 896 MiB mapped, the rest HighMem',
    value: {
      model: 'flatmem',
      architecture: 'i386-pae',
      ranges: [{ nodeId: 0, startPfn: 0, pages: 4 * GIB }],
    },
  },
};

@ApiTags('layout')
@Controller('v1')
export class MemoryModelController {
  constructor(private readonly hosts: HostsService) {}

  @Get('hosts/:hostId/memory-model')
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiOperation({
    summary: "A host's memory under a memory model",
    description:
      'Sections of each node, what `struct page`s cost with the holes, node states, and frames converted to their `struct page` and back.',
  })
  @ApiOkResponse({ type: MemoryModelViewDto })
  @ApiProblems('validation-failed', 'host-not-found')
  async ofHost(
    @IdParam('hostId', 'host-not-found') hostId: string,
    @Query() { model, pfn }: MemoryModelQuery,
  ): Promise<MemoryModelView> {
    const host = await this.hosts.get(hostId);
    const pfns = pfn === undefined ? [] : pfn.split(',').map(Number);
    return hostMemoryModelView(host.model, model ?? 'sparsemem-vmemmap', pfns);
  }

  @Post('memory-models/compute')
  @HttpCode(200)
  @ApiOperation({
    summary: 'Memory ranges under a memory model',
    description: 'The same for ranges as firmware announces them, of any architecture known.',
  })
  @ApiBody({ type: ComputeMemoryModelDto, examples })
  @ApiOkResponse({ type: MemoryModelViewDto })
  @ApiProblems('malformed-json', 'validation-failed', 'body-too-large', 'unsupported-media-type')
  compute(@Body() body: ComputeMemoryModelDto): MemoryModelView {
    const { model, ranges, cpus = [], devices = [], possibleNodes = [], pfns = [] } = body;
    refuseOverlap(body);
    refuseUnaligned(body);
    const architecture = body.architecture ?? 'x86-64';
    const layout = { architecture, ranges, devices, cpus, possibleNodes };
    return { ...memoryModelView(layout, model, pfns), caveats: [] };
  }
}

function refuse(path: string, message: string): never {
  const errors = [{ code: 'invalid-field', path, message }];
  throw new ProblemException('validation-failed', `${path}: ${message}.`, { errors });
}

/** A frame belongs to one range: memory of one node, or one device. */
function refuseOverlap({ ranges, devices = [] }: ComputeMemoryModelDto): void {
  const all = [
    ...ranges.map((range, i) => ({ ...range, path: `ranges[${i}]` })),
    ...devices.map((range, i) => ({ ...range, path: `devices[${i}]` })),
  ].sort((a, b) => a.startPfn - b.startPfn);
  all.forEach((range, i) => {
    const before = all[i - 1];
    if (before !== undefined && before.startPfn + before.pages > range.startPfn) {
      refuse(range.path, `overlaps ${before.path}`);
    }
  });
}

function refuseUnaligned(body: ComputeMemoryModelDto): void {
  const architecture = architectures[body.architecture ?? 'x86-64'];
  const unit = deviceAlignmentPages(body.model, architecture);
  body.devices?.forEach((range, i) => {
    if (deviceZone(range, body.model, architecture) === undefined) {
      refuse(`devices[${i}]`, `must begin and end at multiples of ${unit} frames`);
    }
  });
}
