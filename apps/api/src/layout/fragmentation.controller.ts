import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiTags } from '@nestjs/swagger';
import { ApiProblems } from '../docs/api-problems';
import { HostsService } from '../hosts/hosts.service';
import { IdParam } from '../work/id-param';
import { FragmentationDto, fragmentationOf } from './fragmentation.dto';

@ApiTags('layout')
@Controller('v1/hosts')
export class FragmentationController {
  constructor(private readonly hosts: HostsService) {}

  @Get(':hostId/fragmentation')
  @ApiParam({ name: 'hostId', format: 'uuid' })
  @ApiOperation({
    summary: 'How scattered the free memory of a host is',
    description: 'extfrag_index and unusable_index of each zone and order, as debugfs shows them.',
  })
  @ApiOkResponse({ type: FragmentationDto })
  @ApiProblems('host-not-found')
  async get(@IdParam('hostId', 'host-not-found') hostId: string): Promise<FragmentationDto> {
    return fragmentationOf((await this.hosts.get(hostId)).model);
  }
}
