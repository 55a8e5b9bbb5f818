import { Controller, Get } from '@nestjs/common';
import { ApiOkResponse, ApiOperation, ApiParam, ApiProperty, ApiTags } from '@nestjs/swagger';
import { extfragIndex, unusableIndex } from '@zonewise/simulator';
import type { HostModel, ZoneName } from '@zonewise/simulator';
import { ApiProblems } from '../docs/api-problems';
import { HostsService } from '../hosts/hosts.service';
import { IdParam } from '../work/id-param';

const ORDERS = Array.from({ length: 11 }, (_, order) => order);

class ZoneFragmentationDto {
  @ApiProperty() nodeId: number;
  @ApiProperty({ enum: ['DMA', 'DMA32', 'Normal', 'Movable'] }) zone: ZoneName;
  @ApiProperty({ type: [Number], description: 'Free blocks by order 0..10.' }) freeBlocks: number[];
  @ApiProperty({
    type: [Number],
    description:
      'By order: -1 where a block is free; else towards 0 where memory is short and towards 1 where it is scattered.',
  })
  extfragIndex: number[];
  @ApiProperty({
    type: [Number],
    description: 'By order: share of the free pages in blocks that are too small.',
  })
  unusableIndex: number[];
}

class FragmentationDto {
  @ApiProperty({ type: [ZoneFragmentationDto] }) zones: ZoneFragmentationDto[];
}

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

function fragmentationOf(model: HostModel): FragmentationDto {
  return {
    zones: model.nodes.flatMap(({ nodeId, zones }) =>
      zones.map(({ name, freeBlocks }) => ({
        nodeId,
        zone: name,
        freeBlocks,
        extfragIndex: ORDERS.map((order) => extfragIndex(freeBlocks, order)),
        unusableIndex: ORDERS.map((order) => unusableIndex(freeBlocks, order)),
      })),
    ),
  };
}
