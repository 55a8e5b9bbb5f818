import { applyDecorators } from '@nestjs/common';
import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayMinSize,
  ArrayUnique,
  IsArray,
  IsBoolean,
  IsIn,
  IsInt,
  IsNumber,
  IsString,
  Length,
  Max,
  Min,
} from 'class-validator';
import type { HotplugDemand } from '@zonewise/advisor';
import {
  hardwareProfiles,
  HOTPLUG_ACTIONS,
  MAX_REPLAY_PAGES,
  PAGES_PER_MIB,
} from '@zonewise/simulator';
import { MAX_DOMAINS } from '@zonewise/plan';
import { Nested, NestedList } from '../http/field-decorators';
import { IsRecordOf } from './record-of';
import { WhenGiven } from './when-given';

const MAX_NODE_ID = 1023;
export const MAX_NODES = 1024;
/** 64 TiB: what a replay takes. */
const MAX_MIB = MAX_REPLAY_PAGES / PAGES_PER_MIB;
const INT_MAX = 2 ** 31 - 1;
const MODES = ['strict', 'preferred', 'interleave', 'restrictive', 'none'] as const;

function modeMessage({ value }: { value: unknown }): string {
  const known = `must be one of ${MODES.join(', ')}`;
  return typeof value === 'string' && /^weighted[-_ ]interleave$/i.test(value)
    ? `${known}: weighted interleave came with Linux 6.9, and replays follow 6.1.y`
    : known;
}

export class NumatuneOverrideDto {
  @ApiProperty({ enum: MODES, description: '`none`: a domain without numatune.' })
  @IsIn(MODES, { message: modeMessage })
  mode: (typeof MODES)[number];

  @ApiProperty({ type: [Number], example: [0], description: 'Host nodes; empty for `none`.' })
  @IsArray()
  @ArrayMaxSize(MAX_NODES)
  @ArrayUnique()
  @IsInt({ each: true })
  @Min(0, { each: true })
  @Max(MAX_NODE_ID, { each: true })
  nodeset: number[];
}

export class GuestDemandDto {
  @ApiPropertyOptional({ minimum: 0, maximum: 100 })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(100)
  touchPercent?: number;

  @ApiPropertyOptional({ minimum: 0, description: 'Page cache that its disks fill.' })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(MAX_MIB)
  diskCacheMib?: number;
}

export class BackgroundCacheDto {
  @ApiProperty({ example: 0 })
  @IsInt()
  @Min(0)
  @Max(MAX_NODE_ID)
  node: number;

  @ApiProperty({ example: 3000 })
  @IsNumber()
  @Min(0)
  @Max(MAX_MIB)
  mib: number;

  @ApiPropertyOptional({ enum: ['read', 'write'], default: 'read' })
  @WhenGiven()
  @IsIn(['read', 'write'])
  access?: 'read' | 'write';
}

/** A write to `nr_hugepages` of a node. */
export class HugepagesDto {
  @ApiProperty({ example: 0 })
  @IsInt()
  @Min(0)
  @Max(MAX_NODE_ID)
  node: number;

  @ApiPropertyOptional({ enum: [2048, 1048576], default: 2048 })
  @WhenGiven()
  @IsIn([2048, 1048576])
  sizeKib?: 2048 | 1048576;

  @ApiProperty({ example: 512, description: 'Huge pages that the pool shall have.' })
  @IsInt()
  @Min(0)
  @Max(2 ** 24)
  count: number;
}

const HOTPLUG_MOMENTS = ['start', 'end'] as const;

/** Memory blocks of a node that go online or offline. */
export class HotplugDto {
  @ApiProperty({ enum: HOTPLUG_ACTIONS, description: 'What is written to the `state` of each.' })
  @IsIn(HOTPLUG_ACTIONS)
  action: HotplugDemand['action'];

  @ApiProperty({ example: 0 })
  @IsInt()
  @Min(0)
  @Max(MAX_NODE_ID)
  node: number;

  @ApiProperty({ example: 6144, description: 'Physical address; a multiple of a block.' })
  @IsInt()
  @Min(0)
  @Max(MAX_MIB)
  startMib: number;

  @ApiProperty({ example: 1024, description: 'A multiple of a block.' })
  @IsInt()
  @Min(0)
  @Max(MAX_MIB)
  mib: number;

  @ApiPropertyOptional({ default: 128, description: 'A power of two up to 2048.' })
  @WhenGiven()
  @IsInt()
  @Min(128)
  @Max(2048)
  blockMib?: number;

  @ApiPropertyOptional({
    enum: HOTPLUG_MOMENTS,
    default: 'end',
    description: 'Before the domains start, or after the last one did.',
  })
  @WhenGiven()
  @IsIn(HOTPLUG_MOMENTS)
  at?: (typeof HOTPLUG_MOMENTS)[number];

  @ApiPropertyOptional({ default: false, description: 'New blocks hold their own memmap.' })
  @WhenGiven()
  @IsBoolean()
  memmapOnMemory?: boolean;

  @ApiPropertyOptional({
    default: 60,
    description: 'How long each block may take to go offline, virtual time.',
  })
  @WhenGiven()
  @IsNumber()
  @Min(1)
  @Max(86_400)
  timeoutSeconds?: number;
}

/** How the guests demand memory. What is absent has a default, printed with the result. */
export class DemandDto {
  @ApiPropertyOptional({ minimum: 0, maximum: 100, default: 100 })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(100)
  touchPercent?: number;

  @ApiPropertyOptional({ minimum: 1, description: 'Default: the hardware profile at full speed.' })
  @WhenGiven()
  @IsNumber()
  @Min(1)
  @Max(MAX_MIB)
  rateMibPerSecond?: number;

  @ApiPropertyOptional({
    type: [String],
    example: ['web1', 'web2', 'job1'],
    description: 'Planned domains in the order in which they start. Default: the order of storing.',
  })
  @WhenGiven()
  @IsArray()
  @ArrayMaxSize(MAX_DOMAINS)
  @ArrayUnique()
  @IsString({ each: true })
  @Length(1, 255, { each: true })
  startOrder?: string[];

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { $ref: '#/components/schemas/GuestDemandDto' },
    example: { web1: { touchPercent: 80 } },
    description: 'By domain name.',
  })
  @WhenGiven()
  @IsRecordOf(GuestDemandDto, MAX_DOMAINS)
  guests?: Record<string, GuestDemandDto>;

  @WhenGiven()
  @NestedList(() => BackgroundCacheDto, MAX_NODES, {
    required: false,
    description: 'Page cache read in before the domains start.',
  })
  backgroundCache?: BackgroundCacheDto[];

  @WhenGiven()
  @NestedList(() => HugepagesDto, MAX_NODES, {
    required: false,
    description: 'Pools of huge pages that are written before the domains start.',
  })
  hugepages?: HugepagesDto[];

  @WhenGiven()
  @NestedList(() => HotplugDto, MAX_NODES, {
    required: false,
    description: 'Memory that comes or goes. Each block has its event with the outcome.',
  })
  hotplug?: HotplugDto[];
}

const sysctl = (minimum: number, maximum: number) =>
  applyDecorators(
    ApiPropertyOptional({ minimum, maximum, type: 'integer' }),
    WhenGiven(),
    IsInt(),
    Min(minimum),
    Max(maximum),
  );

/** vm sysctls to replay under instead of the host's own; limits are the kernel's (6.1). */
export class SysctlOverridesDto {
  @sysctl(0, INT_MAX) min_free_kbytes?: number;
  @sysctl(1, 3000) watermark_scale_factor?: number;
  @sysctl(0, INT_MAX) watermark_boost_factor?: number;
  @sysctl(0, 7) zone_reclaim_mode?: number;
  @sysctl(0, 100) min_unmapped_ratio?: number;
  @sysctl(0, 100) min_slab_ratio?: number;
  @sysctl(0, 200) swappiness?: number;
  @sysctl(0, INT_MAX) percpu_pagelist_high_fraction?: number;
  @sysctl(0, 100) dirty_ratio?: number;
  @sysctl(0, 100) dirty_background_ratio?: number;
  @sysctl(0, INT_MAX) dirty_writeback_centisecs?: number;
  @sysctl(0, 100) compaction_proactiveness?: number;
  @sysctl(0, 1) compact_unevictable_allowed?: number;
  @sysctl(0, 1000) extfrag_threshold?: number;

  @ApiPropertyOptional({
    type: [Number],
    example: [256, 256, 32, 0],
    description: 'One entry per zone: DMA, DMA32, Normal, Movable.',
  })
  @WhenGiven()
  @IsArray()
  @ArrayMinSize(4)
  @ArrayMaxSize(5)
  @IsInt({ each: true })
  @Min(0, { each: true })
  @Max(INT_MAX, { each: true })
  lowmem_reserve_ratio?: number[];
}

/** What every replay may be told, whoever asks for it. */
export class ReplayOptionsDto {
  @WhenGiven()
  @Nested(() => DemandDto, { required: false })
  demand?: DemandDto;

  @ApiPropertyOptional({
    minimum: 0,
    maximum: INT_MAX,
    default: 1,
    description: 'Same input and seed, same result, on every machine.',
  })
  @WhenGiven()
  @IsInt()
  @Min(0)
  @Max(INT_MAX)
  seed?: number;

  @ApiPropertyOptional({ enum: Object.keys(hardwareProfiles), default: 'generic-2s' })
  @WhenGiven()
  @IsIn(Object.keys(hardwareProfiles))
  profile?: string;
}

/** Options that replace settings of the host and the domains. */
export class ReplayOverridesDto extends ReplayOptionsDto {
  @WhenGiven()
  @Nested(() => SysctlOverridesDto, { required: false, example: { zone_reclaim_mode: 1 } })
  sysctl?: SysctlOverridesDto;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { $ref: '#/components/schemas/NumatuneOverrideDto' },
    example: { web1: { mode: 'strict', nodeset: [0] } },
    description: 'By domain name.',
  })
  @WhenGiven()
  @IsRecordOf(NumatuneOverrideDto, MAX_DOMAINS)
  numatune?: Record<string, NumatuneOverrideDto>;
}

/** Which of the host's stored domains take part. */
export const StoredDomains = () =>
  applyDecorators(
    ApiPropertyOptional({
      type: [String],
      example: ['db1', 'web1'],
      description: 'Names of stored domains. Default: all of the host.',
    }),
    WhenGiven(),
    IsArray(),
    ArrayMaxSize(MAX_DOMAINS),
    ArrayUnique(),
    IsString({ each: true }),
    Length(1, 255, { each: true }),
  );
