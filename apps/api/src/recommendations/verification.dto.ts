import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import { TOLERANCE_PERCENT } from '@zonewise/advisor';
import type { Compared, VerificationResult, VerificationVerdict } from '@zonewise/advisor';
import { MAX_DOMAINS } from '@zonewise/plan';
import type { ResidencyTexts } from '@zonewise/plan';
import { Type } from 'class-transformer';
import { IsIn, IsNumber, IsString, Max, MaxLength, Min } from 'class-validator';
import type { HostSource } from '../database/entities/host-description';
import { InspectHostDto } from '../hosts/host-requests.dto';
import { HostSourceDto } from '../hosts/host-responses.dto';
import { PageDto } from '../http/cursor';
import { etagOf } from '../http/etag';
import { IsRecordOf } from '../work/record-of';
import { WhenGiven } from '../work/when-given';
import type { RecommendationState } from './recommendation.entity';
import { Verification } from './verification.entity';

const MAX_TEXT = 16 * 1024 * 1024;
const VERDICTS = ['AGREES', 'DIFFERS', 'NOT_APPLIED', 'INCOMPLETE'] as const;

/** Where a running guest's memory is now, as its process's files say. */
export class GuestTextsDto implements ResidencyTexts {
  @ApiPropertyOptional({ description: '/proc/PID/numa_maps of the QEMU process.' })
  @WhenGiven()
  @IsString()
  @MaxLength(MAX_TEXT)
  numaMaps?: string;

  @ApiPropertyOptional({ description: 'Output of `numastat -p PID`, instead of numaMaps.' })
  @WhenGiven()
  @IsString()
  @MaxLength(MAX_TEXT)
  numastat?: string;

  @ApiPropertyOptional({ description: '/proc/PID/smaps_rollup.' })
  @WhenGiven()
  @IsString()
  @MaxLength(MAX_TEXT)
  smapsRollup?: string;

  @ApiPropertyOptional({
    description:
      'Output of `virsh dumpxml NAME`: the document that libvirt runs the guest from. Without it the settings of the advice for the guest are not compared.',
  })
  @WhenGiven()
  @IsString()
  @MaxLength(MAX_TEXT)
  xml?: string;
}

/** What the host prints after the change: the texts of `POST /v1/hosts/import`, or an archive of the collector. */
export class VerifyDto extends InspectHostDto {
  @ApiPropertyOptional({
    type: 'object',
    additionalProperties: { $ref: '#/components/schemas/GuestTextsDto' },
    description: 'Running guests by name; an archive has its own.',
  })
  @WhenGiven()
  @IsRecordOf(GuestTextsDto, MAX_DOMAINS)
  guests?: Record<string, GuestTextsDto>;
}

export class VerifyQuery {
  @ApiPropertyOptional({
    enum: ['true', 'false'],
    default: 'false',
    description:
      'Move a CLAIMED recommendation to SUCCEEDED when prediction and reality agree, to FAILED when they differ. Needs If-Match.',
  })
  @WhenGiven()
  @IsIn(['true', 'false'])
  conclude?: 'true' | 'false';

  @ApiPropertyOptional({
    minimum: 0,
    maximum: 100,
    default: TOLERANCE_PERCENT,
    description: "Of a node's managed memory, or of a guest's memory for its pages.",
  })
  @WhenGiven()
  @Type(() => Number)
  @IsNumber({ allowNaN: false, allowInfinity: false })
  @Min(0)
  @Max(100)
  tolerancePercent?: number;
}

class ComparedDto implements Compared {
  @ApiProperty({ example: 24160 }) predictedPages: number;
  @ApiProperty({ example: 24518 }) foundPages: number;
  @ApiProperty({ example: 358, description: 'Found minus predicted.' }) differencePages: number;
  @ApiProperty({ example: 20126 }) tolerancePages: number;
  @ApiProperty() agrees: boolean;
}

class ComparedNodeDto {
  @ApiProperty() nodeId: number;
  @ApiProperty({ type: ComparedDto }) free: Compared;
  @ApiProperty({ type: ComparedDto }) fileCache: Compared;
  @ApiProperty({ type: ComparedDto }) anon: Compared;
}

class ComparedGuestNodeDto extends ComparedDto {
  @ApiProperty() nodeId: number;
}

class ComparedGuestDto {
  @ApiProperty({ example: 'web1' }) name: string;
  @ApiProperty({ type: [ComparedGuestNodeDto] }) nodes: ComparedGuestNodeDto[];
  @ApiProperty() agrees: boolean;
}

class ComparedSettingDto {
  @ApiProperty({ example: 'vm.zone_reclaim_mode' }) name: string;
  @ApiProperty({ example: '1' }) advised: string;
  @ApiProperty({ example: '0' }) found: string;
  @ApiProperty() applied: boolean;
}

class NotComparedDto {
  @ApiProperty({ example: 'guest web1' }) what: string;
  @ApiProperty() why: string;
}

class ToleranceDto {
  @ApiProperty() percent: number;
  @ApiProperty() minPages: number;
  @ApiProperty() rule: string;
}

export class VerificationSummaryDto {
  @ApiProperty({ format: 'uuid' }) id: string;
  @ApiProperty({ format: 'uuid' }) recommendationId: string;
  @ApiProperty({
    enum: VERDICTS,
    description:
      '`NOT_APPLIED`: a setting of the advice is not in force. `INCOMPLETE`: a predicted node or guest was not gathered, or nothing that was gathered says whether a setting is in force.',
  })
  verdict: VerificationVerdict;
  @ApiProperty() summary: string;
  @ApiProperty({
    type: String,
    nullable: true,
    enum: ['SUCCEEDED', 'FAILED'],
    description: 'The state that it moved the recommendation to.',
  })
  concludedState: RecommendationState | null;
  @ApiProperty({ format: 'date-time' }) createdAt: string;
}

export class VerificationDto extends VerificationSummaryDto {
  @ApiProperty({ type: [ComparedNodeDto] }) nodes: VerificationResult['nodes'];
  @ApiProperty({ type: [ComparedGuestDto] }) guests: VerificationResult['guests'];
  @ApiProperty({ type: [ComparedSettingDto] }) settings: VerificationResult['settings'];
  @ApiProperty({ type: [NotComparedDto] }) notCompared: VerificationResult['notCompared'];
  @ApiProperty({ type: ToleranceDto }) tolerance: VerificationResult['tolerance'];
  @ApiProperty({ type: [HostSourceDto] }) sources: HostSource[];
}

export class VerificationPageDto extends PageDto {
  @ApiProperty({ type: [VerificationSummaryDto] }) items: VerificationSummaryDto[];
}

export function verificationSummary(stored: Verification): VerificationSummaryDto {
  const { id, recommendationId, verdict, result, concludedState, createdAt } = stored;
  return { id, recommendationId, verdict, summary: result.summary, concludedState, createdAt };
}

export function verificationDto(stored: Verification): VerificationDto {
  const { nodes, guests, settings, notCompared, tolerance } = stored.result;
  const facts = { nodes, guests, settings, notCompared, tolerance };
  return { ...verificationSummary(stored), ...facts, sources: stored.sources };
}

/** A stored verification, with the recommendation's version afterwards. */
export interface Verified {
  verification: Verification;
  version: number;
}

/** The answer (201) of a request that stored a verification; the ETag is the recommendation's. Headers in lower case. */
export function verificationCreated({ verification, version }: Verified) {
  const { id, recommendationId } = verification;
  const location = `/v1/recommendations/${recommendationId}/verifications/${id}`;
  const headers = { location, etag: etagOf(version) };
  return { status: 201, headers, body: verificationDto(verification) };
}
