/** How scattered the free memory of each zone is. */
import { ApiProperty } from '@nestjs/swagger';
import { extfragIndex, unusableIndex } from '@zonewise/simulator';
import type { HostModel, ZoneName } from '@zonewise/simulator';

const ORDERS = Array.from({ length: 11 }, (_, order) => order);

export class ZoneFragmentationDto {
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

export class FragmentationDto {
  @ApiProperty({ type: [ZoneFragmentationDto] }) zones: ZoneFragmentationDto[];
}

export function fragmentationOf(model: HostModel): FragmentationDto {
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
