import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { DomainView, NumatuneMode, RuntimePlacement, XmlProblem } from '@zonewise/libvirt-xml';
import {
  Domain,
  DOMAIN_STATES,
  DomainState,
  RESIDENCY_SOURCES,
  ResidencySource,
  StoredResidency,
} from '../database/entities/domain.entity';
import { NoteDto } from '../docs/note.dto';
import { PageDto } from '../http/cursor';

const MODES = ['strict', 'preferred', 'interleave', 'restrictive'];

class VcpuDto {
  @ApiProperty() count: number;
  @ApiProperty() current: number;
  @ApiProperty({ enum: ['static', 'auto'] }) placement: 'static' | 'auto';
  @ApiProperty({ type: [Number], nullable: true }) cpuset: number[] | null;
}

class NumatuneMemoryDto {
  @ApiProperty({ enum: MODES }) mode: NumatuneMode;
  @ApiProperty({ enum: ['static', 'auto'] }) placement: 'static' | 'auto';
  @ApiProperty({ type: [Number], nullable: true }) nodeset: number[] | null;
}

class MemnodeDto {
  @ApiProperty() cellid: number;
  @ApiProperty({ enum: MODES }) mode: NumatuneMode;
  @ApiProperty({ type: [Number] }) nodeset: number[];
}

class NumatuneDto {
  @ApiProperty({ type: NumatuneMemoryDto, nullable: true }) memory: NumatuneMemoryDto | null;
  @ApiProperty({ type: [MemnodeDto] }) memnodes: MemnodeDto[];
}

/** Whether a domain could be started on a host. */
export class StartDto {
  @ApiProperty() possible: boolean;
  @ApiProperty({
    type: 'array',
    items: { type: 'object' },
    description: 'Why not: `code`, `path`, `message`, `line`, `column`, `expected`, `found`.',
  })
  problems: XmlProblem[];
}

/** What a domain document says about memory placement. */
export class DomainViewDto {
  @ApiProperty({ example: 'db1' }) name: string;
  @ApiPropertyOptional() uuid?: string;
  @ApiProperty() memoryKib: number;
  @ApiProperty() currentMemoryKib: number;
  @ApiProperty({ type: Number, nullable: true }) maxMemoryKib: number | null;
  @ApiProperty({ type: VcpuDto }) vcpu: VcpuDto;
  @ApiProperty({ type: NumatuneDto }) numatune: NumatuneDto;

  @ApiProperty({ type: 'object', additionalProperties: true, description: 'vCPU and thread pins.' })
  cputune: DomainView['cputune'];

  @ApiProperty({ type: 'array', items: { type: 'object' }, description: 'Guest NUMA cells.' })
  cells: DomainView['cells'];

  @ApiProperty({ type: 'object', additionalProperties: true })
  memoryBacking: DomainView['memoryBacking'];

  @ApiProperty({ type: 'array', items: { type: 'object' } })
  memoryDevices: DomainView['memoryDevices'];

  @ApiProperty({ type: 'array', items: { type: 'object' } })
  disks: DomainView['disks'];

  @ApiProperty({ type: Number, nullable: true }) memorySlots: number | null;

  @ApiProperty({ type: 'array', items: { type: 'object' }, description: 'Single vCPUs.' })
  vcpus: DomainView['vcpus'];

  @ApiProperty({ type: [Number], description: 'Ids of the I/O threads.' }) iothreads: number[];

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'Latencies (ns) and bandwidths (KiB/s) between guest cells.',
  })
  interconnects: DomainView['interconnects'];

  @ApiProperty({ type: 'object', additionalProperties: true, nullable: true })
  memballoon: DomainView['memballoon'];

  @ApiProperty({ description: 'VFIO devices pin all guest memory.' }) hasVfioHostdev: boolean;

  @ApiProperty({ type: 'array', items: { type: 'object' } })
  warnings: DomainView['warnings'];

  @ApiPropertyOptional({ type: StartDto, description: 'Only where a host was named.' })
  start?: StartDto;
}

/** Several documents in one upload. */
export class DomainViewsDto {
  @ApiProperty({ type: [DomainViewDto] }) domains: DomainViewDto[];
}

class ResidencyEntryDto implements StoredResidency {
  @ApiProperty() nodeId: number;
  @ApiProperty({ description: 'Base pages of 4 KiB.' }) pages: number;
  @ApiProperty({ description: 'Huge pages of 2 MiB, contained in `pages`.' }) hugePages: number;
  @ApiPropertyOptional() cell?: number;
}

/** A domain as lists show it. */
export class DomainItemDto {
  @ApiProperty({ format: 'uuid' }) id: string;
  @ApiProperty({ format: 'uuid' }) hostId: string;
  @ApiProperty({ example: 'db1' }) name: string;
  @ApiProperty({ enum: DOMAIN_STATES }) state: DomainState;
  @ApiProperty() memoryKib: number;
  @ApiProperty({ type: NumatuneDto }) numatune: NumatuneDto;
  @ApiProperty({ enum: RESIDENCY_SOURCES, nullable: true, type: String })
  residencySource: ResidencySource | null;
  @ApiProperty({ description: 'Counts the changes; the ETag is this number in quotes.' })
  version: number;
  @ApiProperty({ format: 'date-time' }) createdAt: string;
  @ApiProperty({ format: 'date-time' }) updatedAt: string;

  constructor(domain: Domain) {
    const { id, hostId, name, state, residencySource, version, createdAt, updatedAt } = domain;
    const { memoryKib, numatune } = domain.view;
    Object.assign(this, { id, hostId, name, state, memoryKib, numatune, residencySource });
    Object.assign(this, { version, createdAt, updatedAt });
  }
}

export class DomainPageDto extends PageDto {
  @ApiProperty({ type: [DomainItemDto] }) items: DomainItemDto[];
}

/** A domain with its view, its memory and what it becomes on its host. */
export class DomainDto extends DomainItemDto {
  @ApiProperty({ type: DomainViewDto }) view: DomainViewDto;

  @ApiProperty({
    type: [ResidencyEntryDto],
    nullable: true,
    description: 'Guest memory of a running domain per host node; null for a planned one.',
  })
  residency: ResidencyEntryDto[] | null;

  @ApiProperty({ type: [NoteDto] }) residencyNotes: NoteDto[];
  @ApiProperty() swapPages: number;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description:
      'What the domain becomes at run time: the kernel policy of each region, the nodes whose CPUs touch it, and the assumptions made.',
  })
  placement: RuntimePlacement;

  constructor(domain: Domain, placement: RuntimePlacement) {
    super(domain);
    const { residency, residencyNotes, swapPages } = domain;
    const view = publicView(domain.view);
    Object.assign(this, { view, residency, residencyNotes, swapPages, placement });
  }
}

/** Positions are the library's own memory of the document, not part of the view. */
export function publicView({ positions: _positions, ...view }: DomainView): DomainViewDto {
  return view;
}
