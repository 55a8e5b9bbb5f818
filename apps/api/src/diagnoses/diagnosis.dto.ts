import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { IsString, IsUUID, MaxLength } from 'class-validator';
import type { Diagnosis } from '@zonewise/host-facts';
import type { CheckResult } from '@zonewise/simulator';
import { CheckResultDto } from '../layout/watermarks.dto';
import { WhenGiven } from '../work/when-given';

const MAX_LOG_LENGTH = 16 * 1024 * 1024;

export class DiagnoseDto {
  @ApiProperty({
    description:
      'Kernel log with at least one report, as dmesg, journalctl -k or a syslog file has it. Other lines are passed over.',
    maxLength: MAX_LOG_LENGTH,
  })
  @IsString({ message: 'must be a text' })
  @MaxLength(MAX_LOG_LENGTH, { message: `must have at most ${MAX_LOG_LENGTH} characters` })
  log: string;

  @ApiPropertyOptional({
    format: 'uuid',
    description:
      'A stored host: its kernel counts where the log does not name one, and advice names its settings and what another value would do.',
  })
  @WhenGiven()
  @IsUUID(undefined, { message: 'must be the id of a host' })
  hostId?: string;
}

class DiagnosedRequestDto {
  @ApiProperty() order: number;
  @ApiProperty({ description: '2^order.' }) pages: number;
  @ApiProperty({ example: '0x20' }) mask: string;
  @ApiProperty({ type: [String], description: 'Single flags without `__GFP_`.', example: ['HIGH'] })
  flags: string[];
  @ApiProperty({ enum: ['DMA', 'DMA32', 'Normal', 'HighMem', 'Movable'] }) zoneClass: string;
  @ApiProperty({ description: 'Index into `lowmem_reserve[]`.' }) classIndex: number;
  @ApiProperty({ enum: ['normal', 'high', 'atomic'] }) kind: string;
  @ApiProperty() canWait: boolean;
  @ApiProperty() movable: boolean;
  @ApiProperty({ description: 'Who asks so, in words.' }) context: string;
}

class DiagnosedKernelDto {
  @ApiProperty({ type: String, nullable: true }) release: string | null;
  @ApiProperty({ description: 'Profile whose watermark check was applied.' }) checkedAs: string;
  @ApiProperty({
    type: String,
    nullable: true,
    description: 'What the check rests on where the kernel has no profile of its own.',
  })
  note: string | null;
}

class DiagnosedZoneDto {
  @ApiProperty() nodeId: number;
  @ApiProperty({ example: 'Normal' }) zone: string;
  @ApiProperty() freePages: number;
  @ApiProperty() filePages: number;
  @ApiProperty() anonPages: number;
  @ApiProperty() highPages: number;
  @ApiProperty({
    type: String,
    nullable: true,
    enum: ['above-class', 'not-in-nodemask', 'not-in-cpuset'],
    description: 'Why it was not asked at all.',
  })
  ineligible: Diagnosis['zones'][number]['ineligible'];
  @ApiProperty({ description: "Reserve against the request's class." }) reservePages: number;
  @ApiProperty({ type: CheckResultDto, nullable: true, description: 'The first attempt.' })
  low: CheckResult | null;
  @ApiProperty({ type: CheckResultDto, nullable: true, description: 'The slow path.' })
  min: CheckResult | null;
}

class DiagnosedNodeDto {
  @ApiProperty() nodeId: number;
  @ApiProperty({ description: 'Policy and cpuset let the request go there.' }) allowed: boolean;
  @ApiProperty() freePages: number;
  @ApiProperty() filePages: number;
  @ApiProperty({ description: 'Free pages above the high marks of its zones.' }) sparePages: number;
}

class ReasonDto {
  @ApiProperty({
    enum: [
      ...['may-not-wait', 'no-swap', 'swap-full', 'cache-gone', 'cache-left'],
      ...['fragmented', 'passes-now', 'memcg-full'],
    ],
  })
  code: Diagnosis['reasons'][number]['code'];
  @ApiProperty() message: string;
}

class RankedTaskDto {
  @ApiProperty() pid: number;
  @ApiProperty() name: string;
  @ApiProperty({
    description: 'Pages in memory, swap and page tables, and what oom_score_adj adds.',
  })
  points: number;
}

class VictimDto {
  @ApiProperty() pid: number;
  @ApiProperty() name: string;
  @ApiProperty({ type: Number, nullable: true, description: '1: most points in the table.' })
  rank: number | null;
  @ApiProperty({ type: [RankedTaskDto] }) ranking: RankedTaskDto[];
  @ApiProperty() explanation: string;
}

class LogAdviceDto {
  @ApiProperty({
    enum: [
      ...['widen-nodes', 'raise-group-limit', 'add-swap', 'raise-min-free'],
      ...['larger-blocks', 'fewer-guests'],
    ],
  })
  code: Diagnosis['advice'][number]['code'];
  @ApiProperty() message: string;
  @ApiProperty({
    type: 'object',
    additionalProperties: { type: 'number' },
    description: 'Counts of the report, and of the host where it is known, that speak for it.',
    example: { missingPages: 9 },
  })
  evidence: Record<string, number>;
}

export class DiagnosisDto implements Diagnosis {
  @ApiProperty({ enum: ['allocation-failure', 'oom'] }) kind: Diagnosis['kind'];
  @ApiProperty({ description: 'Line of the log that the report begins with.' }) line: number;
  @ApiProperty({ description: 'Task that asked.' }) task: string;
  @ApiProperty({ type: DiagnosedRequestDto }) request: Diagnosis['request'];
  @ApiProperty({ type: DiagnosedKernelDto }) kernel: Diagnosis['kernel'];
  @ApiProperty({ type: String, nullable: true, example: 'CONSTRAINT_MEMORY_POLICY' })
  constraint: string | null;
  @ApiProperty({ type: [Number], nullable: true, description: 'null: all nodes.' })
  allowedNodes: number[] | null;
  @ApiProperty({ type: [DiagnosedZoneDto] }) zones: Diagnosis['zones'];
  @ApiProperty({ type: [DiagnosedNodeDto] }) nodes: Diagnosis['nodes'];
  @ApiProperty({ description: 'Free pages on nodes that the report leaves out.' })
  unlistedFreePages: number;
  @ApiProperty({ type: [Number], description: 'Nodes of which every zone asked refused.' })
  exhaustedNodes: number[];
  @ApiProperty({ type: [ReasonDto], description: 'Why reclaim or compaction did not help.' })
  reasons: Diagnosis['reasons'];
  @ApiProperty({ type: VictimDto, nullable: true }) victim: Diagnosis['victim'];
  @ApiProperty({ type: [LogAdviceDto] }) advice: Diagnosis['advice'];
}

export class DiagnosesDto {
  @ApiProperty({ type: [DiagnosisDto], description: 'One per report, in the order of the log.' })
  items: DiagnosisDto[];
}
