import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsIn, IsString, Matches } from 'class-validator';
import { ZONE_NAMES } from '@zonewise/simulator';
import type {
  HostModel,
  HostNode,
  HostPageset,
  HostSysctls,
  HostZone,
  KernelProfileName,
  KhugepagedSettings,
  LruPages,
  MigrateTypeName,
  Numastat,
  ThpDefrag,
  ThpEnabled,
  ZoneName,
} from '@zonewise/simulator';
import {
  isWholes,
  DistanceMatrix,
  ListOfRecords,
  MapOf,
  MAX_CPUS,
  MAX_NODES,
  MAX_PAGES,
  Nested,
  NestedList,
  Whole,
  WholeList,
} from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';

const ORDERS = 11;
const MIGRATE_TYPE = /^(Unmovable|Movable|Reclaimable|HighAtomic|CMA|Isolate)$/;
const CPU = { max: MAX_CPUS - 1 };

export class LruPagesDto implements LruPages {
  @Whole() inactiveAnonPages: number;
  @Whole() activeAnonPages: number;
  @Whole() inactiveFilePages: number;
  @Whole() activeFilePages: number;
  @Whole() unevictablePages: number;
}

/** Documentation of a pageset; {@link PAGESET_FIELDS} is what checks it. */
export class HostPagesetDto implements HostPageset {
  @Whole(CPU) cpu: number;
  @Whole() countPages: number;
  @Whole() highPages: number;
  @Whole() batchPages: number;
}

const PAGESET_FIELDS: Record<keyof HostPageset, number> = {
  cpu: CPU.max,
  countPages: MAX_PAGES,
  highPages: MAX_PAGES,
  batchPages: MAX_PAGES,
};

export class HostZoneDto implements HostZone {
  @ApiProperty({ enum: ZONE_NAMES })
  @IsIn(ZONE_NAMES)
  name: ZoneName;

  @Whole() startPfn: number;
  @Whole() spannedPages: number;
  @Whole() presentPages: number;
  @Whole() managedPages: number;
  @Whole() freePages: number;
  @Whole() boostPages: number;
  @Whole({ description: 'Mark as /proc/zoneinfo prints it: with the boost.' }) minPages: number;
  @Whole({ description: 'Mark as /proc/zoneinfo prints it: with the boost.' }) lowPages: number;
  @Whole({ description: 'Mark as /proc/zoneinfo prints it: with the boost.' }) highPages: number;

  @WholeList({ maxItems: 5, description: 'lowmem reserve by class: DMA, DMA32, Normal, Movable.' })
  protectionPages: number[];

  @WholeList({ maxItems: ORDERS, description: 'Free blocks by order 0..10 (/proc/buddyinfo).' })
  freeBlocks: number[];

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'array', items: { type: 'integer' } },
    description: 'Free blocks by order per migrate type (/proc/pagetypeinfo).',
  })
  @WhenGiven()
  @MapOf({
    key: MIGRATE_TYPE,
    maxEntries: 6,
    value: (value) => isWholes(value, { max: MAX_PAGES, maxItems: ORDERS }),
    message: 'must map migrate types to lists of free blocks by order 0..10',
  })
  freeBlocksByType?: Partial<Record<MigrateTypeName, number[]>>;

  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { type: 'integer' },
    description: 'Pageblocks of 2 MiB per migrate type (/proc/pagetypeinfo).',
  })
  @WhenGiven()
  @MapOf({
    key: MIGRATE_TYPE,
    maxEntries: 6,
    value: (value) => isWholes([value], { max: MAX_PAGES, maxItems: 1 }),
    message: 'must map migrate types to numbers of pageblocks',
  })
  pageblocksByType?: Partial<Record<MigrateTypeName, number>>;

  // One per CPU and zone, so by far the most objects of a model: decorators on each would take seconds.
  @ApiProperty({ type: [HostPagesetDto], maxItems: MAX_CPUS })
  @ListOfRecords({ fields: PAGESET_FIELDS, maxItems: MAX_CPUS })
  pagesets: HostPageset[];

  @WhenGiven()
  @Nested(() => LruPagesDto, { required: false })
  lru?: LruPagesDto;
}

export class HostHugepagesDto {
  @Whole({ min: 1 }) sizeKib: number;
  @Whole() totalPages: number;
  @Whole() freePages: number;
  @WhenGiven()
  @Whole({ required: false })
  surplusPages?: number;
}

export class NumastatDto implements Numastat {
  @Whole() numaHit: number;
  @Whole() numaMiss: number;
  @Whole() numaForeign: number;
  @Whole() interleaveHit: number;
  @Whole() localNode: number;
  @Whole() otherNode: number;
}

export class HostNodeDto implements HostNode {
  @Whole({ max: MAX_NODES - 1 }) nodeId: number;
  @WholeList({ ...CPU, maxItems: MAX_CPUS }) cpus: number[];
  @NestedList(() => HostZoneDto, ZONE_NAMES.length) zones: HostZoneDto[];
  @Nested(() => LruPagesDto) lru: LruPagesDto;
  @Whole() filePages: number;
  @WhenGiven()
  @Whole({ required: false })
  heldFilePages?: number;
  @Whole() mappedPages: number;
  @Whole() shmemPages: number;
  @Whole() anonPages: number;
  @Whole() dirtyPages: number;
  @Whole() writebackPages: number;
  @Whole() slabReclaimablePages: number;
  @Whole() slabUnreclaimablePages: number;
  @NestedList(() => HostHugepagesDto, 16) hugepages: HostHugepagesDto[];
  @Nested(() => NumastatDto) numastat: NumastatDto;
}

/** vm.* settings in the kernel's names and units. */
export class HostSysctlsDto implements HostSysctls {
  @Whole({ max: 2 ** 31 - 1 }) min_free_kbytes: number;
  @Whole({ min: 1, max: 3000 }) watermark_scale_factor: number;
  @Whole({ max: 2 ** 31 - 1 }) watermark_boost_factor: number;
  @WholeList({ max: 2 ** 31 - 1, maxItems: 5 }) lowmem_reserve_ratio: number[];
  @Whole({ max: 7 }) zone_reclaim_mode: number;
  @Whole({ max: 100 }) min_unmapped_ratio: number;
  @Whole({ max: 100 }) min_slab_ratio: number;
  @Whole({ max: 200 }) swappiness: number;
  @Whole({ max: 2 ** 31 - 1 }) percpu_pagelist_high_fraction: number;
  @Whole({ max: 100 }) dirty_ratio: number;
  @Whole({ max: 100 }) dirty_background_ratio: number;
  @Whole({ max: 2 ** 31 - 1 }) dirty_writeback_centisecs: number;
  @WhenGiven()
  @Whole({ max: 100, required: false })
  compaction_proactiveness?: number;
  @WhenGiven()
  @Whole({ max: 1, required: false })
  compact_unevictable_allowed?: number;
  @WhenGiven()
  @Whole({ max: 1000, required: false })
  extfrag_threshold?: number;
}

const THP_ENABLED: ThpEnabled[] = ['always', 'madvise', 'never'];
const THP_DEFRAG: ThpDefrag[] = ['always', 'defer', 'defer+madvise', 'madvise', 'never'];
const KERNEL_PROFILES: KernelProfileName[] = ['5.10', '6.1.y', '6.12'];

/** khugepaged's files, in the kernel's units. */
export class KhugepagedDto implements KhugepagedSettings {
  @Whole({ min: 1, max: 2 ** 32 - 1 }) scanSleepMs: number;
  @Whole({ max: 2 ** 32 - 1 }) allocSleepMs: number;
  @Whole({ min: 1, max: 2 ** 32 - 1 }) pagesToScan: number;
  @Whole({ max: 511 }) maxPtesNone: number;
}

export class ThpDto {
  @ApiProperty({ enum: THP_ENABLED })
  @IsIn(THP_ENABLED)
  enabled: ThpEnabled;

  @ApiProperty({ enum: THP_DEFRAG })
  @IsIn(THP_DEFRAG)
  defrag: ThpDefrag;

  @WhenGiven()
  @Nested(() => KhugepagedDto, { required: false })
  khugepaged?: KhugepagedDto;
}

export class SwapDto {
  @Whole() totalPages: number;
  @Whole() freePages: number;
}

/** A host as a replay starts from it. Pages are base pages of 4 KiB. */
export class HostModelDto implements HostModel {
  @ApiProperty({ enum: KERNEL_PROFILES })
  @IsIn(KERNEL_PROFILES)
  kernelProfile: KernelProfileName;

  @ApiPropertyOptional({ example: '6.1.0-44-amd64', description: '`uname -r`.' })
  @WhenGiven()
  @IsString()
  @Matches(/^[\x20-\x7e]{1,128}$/, { message: 'must be 1 to 128 printable characters' })
  kernelRelease?: string;

  @NestedList(() => HostNodeDto, MAX_NODES)
  nodes: HostNodeDto[];

  @DistanceMatrix('distances[i][j]: SLIT distance from nodes[i] to nodes[j].')
  distances: number[][];

  @Nested(() => HostSysctlsDto) sysctl: HostSysctlsDto;
  @Nested(() => ThpDto) thp: ThpDto;
  @Nested(() => SwapDto) swap: SwapDto;
}
