import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsOptional, Matches } from 'class-validator';
import type {
  Change,
  Difference,
  GuestDrift,
  GuestMoment,
  HostDrift,
  NodeDrift,
  Provenance,
  SettingDrift,
  ZoneDrift,
} from '@zonewise/host-facts';
import type { HostSnapshot } from '../database/entities/host-snapshot.entity';
import type { HostSource, HostSummary } from '../database/entities/host-description';
import { PageDto } from '../http/cursor';
import { HostModelDto } from './host-model.dto';
import {
  CaveatDto,
  DifferenceDto,
  HostSourceDto,
  HostSummaryDto,
  ProvenanceDto,
} from './host-responses.dto';
import type { Comparison } from './snapshots.service';

const NUMBER = /^[1-9]\d{0,8}$/;
const NUMBER_MESSAGE = 'must be the number of a snapshot';

export class CompareQuery {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, description: 'Absent: the one before `to`.' })
  @IsOptional()
  @Matches(NUMBER, { message: NUMBER_MESSAGE })
  from?: string;

  @ApiPropertyOptional({ type: 'integer', minimum: 1, description: 'Absent: the latest one.' })
  @IsOptional()
  @Matches(NUMBER, { message: NUMBER_MESSAGE })
  to?: string;
}

class GuestPagesDto {
  @ApiProperty() nodeId: number;
  @ApiProperty() pages: number;
}

class GuestMomentDto implements GuestMoment {
  @ApiProperty({ example: 'db1' }) name: string;
  @ApiProperty({ type: [GuestPagesDto], nullable: true, description: 'null: it was not running.' })
  residency: GuestMoment['residency'];
}

/** A snapshot as lists show it. */
export class SnapshotItemDto {
  @ApiProperty({ example: 1, description: 'Counts within the host.' }) number: number;
  @ApiProperty({ format: 'date-time' }) createdAt: string;
  @ApiProperty({ type: HostSummaryDto }) summary: HostSummary;
  @ApiProperty({ type: [HostSourceDto] }) sources: HostSource[];
  @ApiProperty({ type: [GuestMomentDto], description: 'Domains of the host at that moment.' })
  guests: GuestMoment[];

  constructor({ number, createdAt, summary, sources, guests }: HostSnapshot) {
    Object.assign(this, { number, createdAt, summary, sources, guests });
  }
}

export class SnapshotPageDto extends PageDto {
  @ApiProperty({ type: [SnapshotItemDto] }) items: SnapshotItemDto[];
}

export class SnapshotDto extends SnapshotItemDto {
  @ApiProperty({ type: HostModelDto }) model: HostSnapshot['model'];
  @ApiProperty({ type: [ProvenanceDto] }) provenance: Provenance[];
  @ApiProperty({ type: [DifferenceDto] }) differences: Difference[];
  @ApiProperty({ type: [CaveatDto] }) caveats: CaveatDto[];

  constructor(snapshot: HostSnapshot) {
    super(snapshot);
    const { model, provenance, differences, caveats } = snapshot;
    Object.assign(this, { model, provenance, differences, caveats });
  }
}

class CountChangeDto implements Change {
  @ApiProperty() from: number;
  @ApiProperty() to: number;
}

class ListChangeDto implements Change<number[]> {
  @ApiProperty({ type: [Number] }) from: number[];
  @ApiProperty({ type: [Number] }) to: number[];
}

class PoolPagesDto {
  @ApiProperty({ example: 2048 }) sizeKib: number;
  @ApiProperty() totalPages: number;
  @ApiProperty() freePages: number;
}

class PoolsChangeDto {
  @ApiProperty({ type: [PoolPagesDto] }) from: PoolPagesDto[];
  @ApiProperty({ type: [PoolPagesDto] }) to: PoolPagesDto[];
}

const Pages = (description?: string) => ApiProperty({ type: CountChangeDto, description });

class NodeDriftDto implements NodeDrift {
  @ApiProperty() nodeId: number;
  @Pages() managedPages: Change;
  @Pages() freePages: Change;
  @Pages('Page cache.') filePages: Change;
  @Pages() anonPages: Change;
  @Pages() slabPages: Change;
  @ApiProperty({ type: PoolsChangeDto }) hugepages: NodeDrift['hugepages'];
}

class ZoneDriftDto implements ZoneDrift {
  @ApiProperty() nodeId: number;
  @ApiProperty({ enum: ['DMA', 'DMA32', 'Normal', 'Movable'] }) zone: ZoneDrift['zone'];
  @Pages() managedPages: Change;
  @Pages() freePages: Change;
  @Pages('With the boost.') minPages: Change;
  @Pages('With the boost.') lowPages: Change;
  @Pages('With the boost.') highPages: Change;
  @Pages() boostPages: Change;
  @ApiProperty({ type: ListChangeDto }) protectionPages: Change<number[]>;
  @Pages('-1: no block is free.') largestFreeOrder: Change;
  @Pages('For blocks of 2 MiB, as debugfs shows it.') extfragIndex: Change;
  @Pages('For blocks of 2 MiB, as debugfs shows it.') unusableIndex: Change;
}

class SettingDriftDto implements SettingDrift {
  @ApiProperty({ example: 'sysctl.swappiness' }) name: string;
  @ApiProperty({ example: '60' }) from: string;
  @ApiProperty({ example: '10' }) to: string;
}

class GuestChangeDto {
  @ApiProperty({ type: [GuestPagesDto], nullable: true }) from: GuestPagesDto[] | null;
  @ApiProperty({ type: [GuestPagesDto], nullable: true }) to: GuestPagesDto[] | null;
}

class GuestDriftDto implements GuestDrift {
  @ApiProperty({ example: 'db1' }) name: string;
  @ApiProperty({ type: GuestChangeDto }) pagesByNode: GuestDrift['pagesByNode'];
}

/** What drifted. Nodes, zones, settings and guests that are the same in both are left out. */
export class ComparisonDto implements HostDrift {
  @ApiProperty({ type: SnapshotItemDto }) from: SnapshotItemDto;
  @ApiProperty({ type: SnapshotItemDto }) to: SnapshotItemDto;
  @ApiProperty({ type: [Number] }) addedNodes: number[];
  @ApiProperty({ type: [Number] }) removedNodes: number[];
  @ApiProperty({ type: [NodeDriftDto] }) nodes: NodeDrift[];
  @ApiProperty({ type: [ZoneDriftDto] }) zones: ZoneDrift[];
  @ApiProperty({ type: [SettingDriftDto] }) settings: SettingDrift[];
  @ApiProperty({ type: [GuestDriftDto] }) guests: GuestDrift[];

  constructor({ from, to, ...drift }: Comparison) {
    const [earlier, later] = [new SnapshotItemDto(from), new SnapshotItemDto(to)];
    Object.assign(this, { from: earlier, to: later, ...drift });
  }
}
