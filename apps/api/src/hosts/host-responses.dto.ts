import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { Difference, Provenance } from '@zonewise/host-facts';
import type { HostSource, HostSummary } from '../database/entities/host-description';
import type { Host } from '../database/entities/host.entity';
import { PageDto } from '../http/cursor';
import { ZoneFragmentationDto } from '../layout/fragmentation.dto';
import { MemmapCostDto, NodeSectionsDto, NodeStatesDto } from '../layout/memory-model.dto';
import { ZoneReclaimDto } from '../layout/watermarks.dto';
import { HostModelDto } from './host-model.dto';
import type { HostViews, NodeRow, TopologyNode, ZoneRow } from './host-views';
import { hostViews } from './host-views';

export class HostSummaryDto implements HostSummary {
  @ApiProperty({ type: String, nullable: true, example: '6.1.0-44-amd64' })
  kernelRelease: string | null;
  @ApiProperty({ example: 2 }) nodes: number;
  @ApiProperty({ example: 4 }) cpus: number;
  @ApiProperty({ example: 7889.2 }) memoryMib: number;
  @ApiProperty({ example: 6912.4 }) freeMib: number;
}

/** A host as lists show it. */
export class HostItemDto {
  @ApiProperty({ format: 'uuid' }) id: string;
  @ApiProperty({ example: 'numa-host-1' }) name: string;
  @ApiProperty({ type: String, nullable: true }) description: string | null;
  @ApiProperty({ type: HostSummaryDto }) summary: HostSummary;
  @ApiProperty({ description: 'Counts the changes; the ETag is this number in quotes.' })
  version: number;
  @ApiProperty({ format: 'date-time' }) createdAt: string;
  @ApiProperty({ format: 'date-time' }) updatedAt: string;

  constructor({ id, name, description, summary, version, createdAt, updatedAt }: Host) {
    Object.assign(this, { id, name, description, summary, version, createdAt, updatedAt });
  }
}

export class HostPageDto extends PageDto {
  @ApiProperty({ type: [HostItemDto] }) items: HostItemDto[];
}

export class ProvenanceDto implements Provenance {
  @ApiProperty({ example: 'nodes.0.zones.Normal.freeBlocks' }) path: string;
  @ApiProperty({ example: 'buddyinfo' }) source: string;
  @ApiProperty({ enum: ['read', 'derived', 'default'] }) kind: Provenance['kind'];
  @ApiPropertyOptional() note?: string;
}

class SourceValueDto {
  @ApiProperty({ example: 'zoneinfo' }) source: string;
  @ApiProperty({ oneOf: [{ type: 'number' }, { type: 'string' }] }) value: number | string;
}

export class DifferenceDto implements Difference {
  @ApiProperty() path: string;
  @ApiProperty({ type: SourceValueDto }) taken: SourceValueDto;
  @ApiProperty({ type: SourceValueDto }) other: SourceValueDto;
  @ApiProperty({ description: 'Why the one was taken.' }) rule: string;
}

export class CaveatDto {
  @ApiProperty() code: string;
  @ApiProperty() message: string;
}

export class HostSourceDto implements HostSource {
  @ApiProperty({ example: 'zoneinfo' }) name: string;
  @ApiProperty({ example: 5120 }) bytes: number;
  @ApiProperty() sha256: string;
}

export class HostZoneRowDto implements ZoneRow {
  @ApiProperty() nodeId: number;
  @ApiProperty({ enum: ['DMA', 'DMA32', 'Normal', 'Movable'] }) zone: ZoneRow['zone'];
  @ApiProperty() managedMib: number;
  @ApiProperty() freeMib: number;
  @ApiProperty() managedPages: number;
  @ApiProperty() freePages: number;
  @ApiProperty() minPages: number;
  @ApiProperty() lowPages: number;
  @ApiProperty() highPages: number;
  @ApiProperty({ type: [Number] }) protectionPages: number[];
  @ApiProperty({ description: 'Free pages above the low mark; 0 when below.' })
  aboveLowPages: number;
}

export class FallbackOrderDto {
  @ApiProperty() nodeId: number;
  @ApiProperty({ type: [Number], example: [0, 1] }) order: number[];
}

export class NodeRowDto implements NodeRow {
  @ApiProperty() nodeId: number;
  @ApiProperty({ isArray: true, enum: ['online', 'has_memory', 'has_cpu'] })
  states: NodeRow['states'];
  @ApiProperty({ type: [Number] }) cpus: number[];
  @ApiProperty() memoryMib: number;
  @ApiProperty() freeMib: number;
  @ApiProperty() fileCacheMib: number;
  @ApiProperty() anonMib: number;
}

export class HostViewsDto implements HostViews {
  @ApiProperty({ type: [HostZoneRowDto] }) zones: ZoneRow[];
  @ApiProperty({ type: [FallbackOrderDto], description: '"Fallback order for Node n" per node.' })
  fallbackOrder: FallbackOrderDto[];
  @ApiProperty({ type: [NodeRowDto] }) nodes: NodeRow[];
  @ApiProperty({ type: NodeStatesDto }) nodeStates: HostViews['nodeStates'];
  @ApiProperty({ type: ZoneReclaimDto }) zoneReclaim: HostViews['zoneReclaim'];
  @ApiProperty({ type: [ZoneFragmentationDto] }) fragmentation: ZoneFragmentationDto[];
  @ApiProperty({ type: [NodeSectionsDto] }) sections: HostViews['sections'];
  @ApiProperty({ type: [MemmapCostDto], description: 'Under each memory model.' })
  memmap: HostViews['memmap'];
}

/** A host with everything known of it. */
export class HostDto extends HostItemDto {
  @ApiProperty({ type: HostModelDto }) model: Host['model'];
  @ApiProperty({ type: HostViewsDto }) views: HostViews;
  @ApiProperty({ type: [ProvenanceDto] }) provenance: Provenance[];
  @ApiProperty({ type: [DifferenceDto] }) differences: Difference[];
  @ApiProperty({ type: [CaveatDto] }) caveats: CaveatDto[];
  @ApiProperty({ type: [HostSourceDto] }) sources: HostSource[];

  constructor(host: Host) {
    super(host);
    const { model, provenance, differences, caveats, sources } = host;
    const views = hostViews(model);
    Object.assign(this, { model, views, provenance, differences, caveats, sources });
  }
}

class PoolDto {
  @ApiProperty({ example: 2048 }) sizeKib: number;
  @ApiProperty() count: number;
}

class DistanceDto {
  @ApiProperty() id: number;
  @ApiProperty({ example: 21 }) value: number;
}

export class TopologyNodeDto implements TopologyNode {
  @ApiProperty() id: number;
  @ApiProperty() memoryKib: number;
  @ApiProperty({ type: [Number] }) cpus: number[];
  @ApiProperty({ type: [PoolDto] }) pages: PoolDto[];
  @ApiProperty({ type: [DistanceDto] }) distances: DistanceDto[];
}

class TopologyDto {
  @ApiProperty({ type: [TopologyNodeDto] }) nodes: TopologyNode[];
}

/** What an inspection found; nothing of it is stored. */
export class HostInspectionDto {
  @ApiProperty({
    type: HostModelDto,
    nullable: true,
    description: 'null when only a capabilities document was given.',
  })
  model: Host['model'] | null;

  @ApiProperty({ type: TopologyDto }) topology: TopologyDto;

  @ApiProperty({ type: HostViewsDto, nullable: true }) views: HostViews | null;
  @ApiProperty({ type: [ProvenanceDto] }) provenance: Provenance[];
  @ApiProperty({ type: [DifferenceDto] }) differences: Difference[];
  @ApiProperty({ type: [CaveatDto] }) caveats: CaveatDto[];
}
