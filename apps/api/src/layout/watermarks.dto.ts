import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { ArrayMinSize, IsBoolean, IsIn, Matches } from 'class-validator';
import { ARCHITECTURE_NAMES, KERNEL_NAMES } from '@zonewise/simulator';
import type {
  AllocationKind,
  ArchitectureName,
  ArchitectureZone,
  CheckResult,
  CheckStep,
  KernelName,
  ReserveSettings,
  ZoneReclaimDefault,
} from '@zonewise/simulator';
import {
  DistanceMatrix,
  MAX_CPUS,
  MAX_NODES,
  Nested,
  NestedList,
  Whole,
  WholeList,
} from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';
import { LayoutNoteDto, ZONES } from './memory-model.dto';
import type { Note } from './memory-model-view';
import type {
  GivenRequest,
  GivenZone,
  PrintedZone,
  WatermarkRow,
  WatermarksView,
  ZoneChecks,
} from './watermarks-view';

const INT_MAX = 2 ** 31 - 1;
const KINDS: AllocationKind[] = ['normal', 'high', 'atomic'];
const SETTINGS_FROM = ['host', 'kernel'] as const;
const ORDERS = 11;
const KERNEL_DOC = {
  type: String,
  example: '3.10',
  description: `One of ${KERNEL_NAMES.join(', ')}, or a release of one of them such as \`4.18.0-553.el8_10.x86_64\`.`,
};
const RELEASE = /^\d{1,3}\.[\x21-\x7e]{1,126}$/;
const RELEASE_MESSAGE = 'must be a kernel version or release';

export class WatermarksQuery {
  @ApiPropertyOptional({
    ...KERNEL_DOC,
    description: `${KERNEL_DOC.description} Default: the profile nearest to the host's own release.`,
  })
  @WhenGiven()
  @Matches(RELEASE, { message: RELEASE_MESSAGE })
  kernel?: string;

  @ApiPropertyOptional({
    enum: SETTINGS_FROM,
    description:
      'Whose min_free_kbytes, watermark_scale_factor and lowmem_reserve_ratio: those of the host (default), or what the kernel would boot with on it.',
  })
  @WhenGiven()
  @IsIn(SETTINGS_FROM, { message: `must be one of ${SETTINGS_FROM.join(', ')}` })
  settings?: (typeof SETTINGS_FROM)[number];
}

class PrintedZoneDto implements PrintedZone {
  @WhenGiven() @Whole() freePages?: number;

  @WhenGiven()
  @WholeList({ maxItems: ORDERS, description: 'Free blocks by order 0..10.' })
  freeBlocks?: number[];

  @WhenGiven()
  @Whole({ description: 'Part of the free pages in the HighAtomic reserve.' })
  highatomicPages?: number;

  @WhenGiven() @Whole({ description: 'As printed; else computed.' }) minPages?: number;
  @WhenGiven() @Whole({ description: 'As printed; else computed.' }) lowPages?: number;
  @WhenGiven() @Whole({ description: 'As printed; else computed.' }) highPages?: number;

  @WhenGiven()
  @WholeList({ maxItems: 6, description: 'lowmem_reserve as printed; else computed.' })
  protectionPages?: number[];
}

export class GivenZoneDto extends PrintedZoneDto {
  @WhenGiven() @Whole({ max: MAX_NODES - 1, description: 'Default 0.' }) nodeId?: number;

  @ApiProperty({ enum: ZONES })
  @IsIn(ZONES, { message: `must be one of ${ZONES.join(', ')}` })
  zone: ArchitectureZone;

  @Whole() presentPages: number;

  @WhenGiven()
  @Whole({ description: 'Default: all present pages. Kernels before 3.10 do not ask for it.' })
  managedPages?: number;
}

export class NodeCpuCountDto {
  @Whole({ max: MAX_NODES - 1 }) nodeId: number;
  @Whole({ max: MAX_CPUS }) cpus: number;
}

export class GivenRequestDto implements GivenRequest {
  @Whole({ max: ORDERS - 1 }) order: number;

  @ApiProperty({ enum: ZONES, description: 'The highest zone that may serve it.' })
  @IsIn(ZONES, { message: `must be one of ${ZONES.join(', ')}` })
  zone: ArchitectureZone;

  @ApiProperty({
    enum: KINDS,
    description: '`normal` may wait; `high` is __GFP_HIGH alone; `atomic` is GFP_ATOMIC.',
  })
  @IsIn(KINDS, { message: `must be one of ${KINDS.join(', ')}` })
  kind: AllocationKind;
}

class DistancesDto {
  @WholeList({ max: MAX_NODES - 1, maxItems: MAX_NODES }) nodeIds: number[];

  @DistanceMatrix()
  matrix: number[][];
}

export class ComputeWatermarksDto {
  @ApiProperty(KERNEL_DOC)
  @Matches(RELEASE, { message: RELEASE_MESSAGE })
  kernel: string;

  @ApiPropertyOptional({ enum: ARCHITECTURE_NAMES, description: 'Default `x86-64`.' })
  @WhenGiven()
  @IsIn(ARCHITECTURE_NAMES, { message: `must be one of ${ARCHITECTURE_NAMES.join(', ')}` })
  architecture?: ArchitectureName;

  @NestedList(() => GivenZoneDto, MAX_NODES * 4)
  @ArrayMinSize(1, { message: 'must have at least one zone' })
  zones: GivenZoneDto[];

  @WhenGiven()
  @NestedList(() => NodeCpuCountDto, MAX_NODES, { required: false })
  cpus?: NodeCpuCountDto[];

  @ApiPropertyOptional({ description: 'khugepaged runs and asks for more min_free_kbytes.' })
  @WhenGiven()
  @IsBoolean({ message: 'must be true or false' })
  thpEnabled?: boolean;

  @WhenGiven()
  @Whole({ max: INT_MAX, description: 'Default: what the kernel computes.' })
  minFreeKbytes?: number;

  @WhenGiven()
  @Whole({ min: 1, max: 3000, description: 'Not used by kernels before 4.6, which have none.' })
  watermarkScaleFactor?: number;

  @WhenGiven()
  @WholeList({ max: INT_MAX, maxItems: 6, description: 'By zone, lowest first.' })
  lowmemReserveRatio?: number[];

  @WhenGiven()
  @Whole({ max: INT_MAX, description: 'vm.percpu_pagelist_high_fraction; used from 5.14 on.' })
  percpuPagelistHighFraction?: number;

  @WhenGiven()
  @Nested(() => DistancesDto, { required: false })
  distances?: DistancesDto;

  @WhenGiven()
  @Nested(() => GivenRequestDto, {
    required: false,
    description: 'A request whose watermark check is asked for, with the free pages of the zones.',
  })
  request?: GivenRequestDto;
}

class KernelProfileRefDto {
  @ApiProperty({ enum: KERNEL_NAMES }) kernel: KernelName;
  @ApiProperty({ description: 'True for the kernel that replays follow.' }) validated: boolean;
}

class ReserveSettingsDto implements Required<ReserveSettings> {
  @ApiProperty() minFreeKbytes: number;
  @ApiProperty({ description: '0 where the kernel has no such setting.' })
  watermarkScaleFactor: number;
  @ApiProperty({ type: [Number] }) lowmemReserveRatio: number[];
  @ApiProperty() percpuPagelistHighFraction: number;
}

class CheckStepDto implements CheckStep {
  @ApiProperty({ description: 'Blocks below this order were taken off.' }) order: number;
  @ApiProperty() freePages: number;
  @ApiProperty() markPages: number;
  @ApiProperty() reservePages: number;
  @ApiProperty({ description: 'Free pages must be more than this.' }) neededPages: number;
  @ApiProperty() passes: boolean;
}

export class CheckResultDto implements CheckResult {
  @ApiProperty() allowed: boolean;
  @ApiProperty({ type: String, nullable: true, enum: ['free-pages', 'larger-blocks'] })
  refusedBy: CheckResult['refusedBy'];
  @ApiProperty({ description: 'Pages short at the comparison that refused.' })
  missingPages: number;
  @ApiProperty({ type: [CheckStepDto] }) steps: CheckStep[];
  @ApiProperty({
    type: [String],
    example: ['free pages: 95007 not above 75 + 94940 = 95015: refused'],
  })
  explanation: string[];
}

class ZoneChecksDto implements ZoneChecks {
  @ApiProperty({ description: "False for zones above the request's." }) eligible: boolean;
  @ApiProperty({ type: CheckResultDto, nullable: true, description: 'The first attempt.' })
  low: CheckResult | null;
  @ApiProperty({ type: CheckResultDto, nullable: true, description: 'The slow path.' })
  min: CheckResult | null;
}

class WatermarkRowDto implements WatermarkRow {
  @ApiProperty() nodeId: number;
  @ApiProperty({ enum: ZONES }) zone: ArchitectureZone;
  @ApiProperty() presentPages: number;
  @ApiProperty() managedPages: number;
  @ApiProperty() minPages: number;
  @ApiProperty() lowPages: number;
  @ApiProperty() highPages: number;
  @ApiProperty({ type: [Number] }) protectionPages: number[];
  @ApiProperty() totalReservePages: number;
  @ApiProperty() pcpBatchPages: number;
  @ApiProperty() pcpHighPages: number;
  @ApiProperty({ type: PrintedZoneDto, nullable: true, description: 'Marks without boost.' })
  printed: GivenZone | PrintedZone | null;
  @ApiProperty({ type: ZoneChecksDto, nullable: true }) checks: ZoneChecks | null;
}

class TooFarDto {
  @ApiProperty() nodeId: number;
  @ApiProperty({ type: [Number] }) tooFar: number[];
}

export class ZoneReclaimDto implements ZoneReclaimDefault {
  @ApiProperty({ description: 'What zone_reclaim_mode starts as.' }) mode: 0 | 1;
  @ApiProperty({ example: 30 }) reclaimDistance: number;
  @ApiProperty({
    type: [TooFarDto],
    description: 'Nodes whose cache is never dropped for this one, whatever the mode.',
  })
  excluded: TooFarDto[];
}

export class WatermarksViewDto implements WatermarksView {
  @ApiProperty({ type: KernelProfileRefDto }) profile: WatermarksView['profile'];
  @ApiProperty({ enum: ARCHITECTURE_NAMES }) architecture: ArchitectureName;
  @ApiProperty({ type: ReserveSettingsDto }) settings: Required<ReserveSettings>;
  @ApiProperty({ enum: [...SETTINGS_FROM, 'request'] })
  settingsFrom: WatermarksView['settingsFrom'];
  @ApiProperty({ description: 'What the kernel computes here, whatever is in force, KiB.' })
  computedMinFreeKbytes: number;
  @ApiProperty({ type: [WatermarkRowDto] }) zones: WatermarkRow[];
  @ApiProperty({ type: ZoneReclaimDto, nullable: true }) zoneReclaim: ZoneReclaimDefault | null;
  @ApiProperty({ type: [LayoutNoteDto] }) caveats: Note[];
}

export class KernelProfileDto {
  @ApiProperty({ enum: KERNEL_NAMES }) name: KernelName;
  @ApiProperty({ description: 'Replays follow it; of the others only formulas are known.' })
  validated: boolean;
  @ApiProperty({ type: [String], description: 'What it does otherwise than replays.' })
  departures: string[];
  @ApiProperty() minFreeKbytesCap: number;
  @ApiProperty({ description: '0: there is no such setting.' }) watermarkScaleFactorMax: number;
  @ApiProperty() swappinessMax: number;
  @ApiProperty({ enum: ['present', 'managed'] }) pageBasis: string;
  @ApiProperty({ enum: ['per-order', 'any-block', 'reserve-rights'] }) watermarkCheck: string;
  @ApiProperty({ enum: ['six-batches', 'low-mark', 'tuned'] }) pcpHigh: string;
  @ApiProperty() zoneReclaimByDistance: boolean;
  @ApiProperty() reclaimDistance: number;
  @ApiProperty({ type: 'object', additionalProperties: true, example: { swappiness: 60 } })
  defaultSysctls: object;
}

export class KernelProfilesDto {
  @ApiProperty({ type: [KernelProfileDto] }) items: KernelProfileDto[];
}
