import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsNumber, Max, Min } from 'class-validator';
import {
  MAX_HEADROOM_FLAVOURS,
  type Flavour,
  type HeadroomAnswer,
  type HeadroomCount,
  type HeadroomEnd,
} from '@zonewise/plan';
import { Nested } from '../http/field-decorators';
import { PlanLimitsDto } from '../packing-plans/packing-plan.dto';
import { PartOfPlan } from '../packing-plans/plan-part';
import { NoteDto } from '../docs/note.dto';
import { ReplayOverridesDto, StoredDomains } from '../work/replay-options.dto';
import { WhenGiven } from '../work/when-given';

/** 32 PiB. */
const MAX_MIB = 2 ** 35;

export class HeadroomDto extends ReplayOverridesDto {
  @PartOfPlan('flavours', { small: { memoryMib: 512 } }, { maxEntries: MAX_HEADROOM_FLAVOURS })
  flavours: Record<string, Flavour>;

  @ApiPropertyOptional({
    minimum: 0,
    default: 0,
    description: 'Page cache that every node has to keep; where it has less to begin with, that.',
  })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(MAX_MIB)
  pageCacheMib?: number;

  @WhenGiven()
  @Nested(() => PlanLimitsDto, {
    required: false,
    description: 'What ends it besides kills and failed starts.',
  })
  limits?: PlanLimitsDto;

  @StoredDomains() domains?: string[];
}

class HeadroomMarkDto {
  @ApiProperty({ enum: ['min', 'low'] })
  name: 'min' | 'low';

  @ApiProperty({ example: 12805 })
  pages: number;

  @ApiPropertyOptional({ description: 'The lowmem reserve against user memory.' })
  protectionPages?: number;
}

export class HeadroomEndDto implements HeadroomEnd {
  @ApiProperty({
    example: 'failed-start',
    description:
      'Code of a rule; `memory` and `hugepages` by adding up; `page-cache`; `as-is`: the host fails already; `too-many`.',
  })
  code: string;

  @ApiPropertyOptional({ example: 'small #7', description: 'Who suffers.' })
  guest?: string;

  @ApiPropertyOptional({ example: 0 })
  node?: number;

  @ApiPropertyOptional({ example: 'Normal' })
  zone?: string;

  @ApiPropertyOptional({ type: HeadroomMarkDto })
  mark?: HeadroomMarkDto;

  @ApiPropertyOptional({ example: 20480 })
  shortfallPages?: number;

  @ApiProperty()
  message: string;
}

class AddedUpDto {
  @ApiProperty({ example: 6 })
  guests: number;

  @ApiProperty({ type: HeadroomEndDto })
  endedBy: HeadroomEndDto;
}

export class HeadroomCountDto implements HeadroomCount {
  @ApiProperty({
    type: Number,
    nullable: true,
    description: 'Bound to this node; null: as the flavour says, on the whole host.',
  })
  node: number | null;

  @ApiProperty({ example: 6, description: 'By replay.' })
  guests: number;

  @ApiProperty({ type: HeadroomEndDto })
  endedBy: HeadroomEndDto;

  @ApiProperty({ type: AddedUpDto })
  byAddingUp: AddedUpDto;

  @ApiProperty({ example: 3 })
  replays: number;
}

class FlavourHeadroomDto {
  @ApiProperty({ example: 'small' })
  flavour: string;

  @ApiProperty({ example: 512 })
  memoryMib: number;

  @ApiProperty({ type: HeadroomCountDto })
  total: HeadroomCountDto;

  @ApiProperty({ type: [HeadroomCountDto] })
  nodes: HeadroomCountDto[];
}

export class HeadroomAnswerDto implements HeadroomAnswer {
  @ApiProperty({ type: [FlavourHeadroomDto] })
  flavours: FlavourHeadroomDto[];

  @ApiProperty({ example: 0 })
  pageCacheMib: number;

  @ApiProperty({ example: 1 })
  seed: number;

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    example: { kernel: '6.1.y', validated: true, hardware: 'generic-2s' },
  })
  profile: HeadroomAnswer['profile'];

  @ApiProperty({ example: 14 })
  replays: number;

  @ApiProperty({ type: [NoteDto] })
  caveats: NoteDto[];

  @ApiProperty({ type: [NoteDto] })
  assumptions: NoteDto[];
}
