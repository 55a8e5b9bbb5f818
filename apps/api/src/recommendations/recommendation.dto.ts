import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { RecommendationContent } from '@zonewise/advisor';
import { IsIn, IsUUID } from 'class-validator';
import { PageDto, PageQuery } from '../http/cursor';
import { etagOf } from '../http/etag';
import { MapOf } from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';
import { ResultBasisDto } from '../simulations/simulation.dto';
import { ReplayOptionsDto, StoredDomains } from '../work/replay-options.dto';
import type { AdviceFile } from '../work/tasks';
import {
  Recommendation,
  RECOMMENDATION_STATES,
  RecommendationState,
} from './recommendation.entity';

const MAX_METADATA = 32;

export class CreateRecommendationDto extends ReplayOptionsDto {
  @StoredDomains()
  domains?: string[];
}

export class RecommendationQuery extends PageQuery {
  @ApiPropertyOptional({ enum: RECOMMENDATION_STATES })
  @WhenGiven()
  @IsIn(RECOMMENDATION_STATES)
  state?: RecommendationState;

  @ApiPropertyOptional({ format: 'uuid', description: 'Only those that exclude each other.' })
  @WhenGiven()
  @IsUUID()
  xorGroupId?: string;
}

const metadata = {
  type: 'object' as const,
  additionalProperties: { type: 'string' as const },
  example: { ticket: 'OPS-1234' },
};

export class ChangeStateDto {
  @ApiProperty({
    enum: RECOMMENDATION_STATES,
    description:
      'ACTIVE to CLAIMED or DISMISSED; CLAIMED to SUCCEEDED or FAILED; DISMISSED to ACTIVE.',
  })
  @IsIn(RECOMMENDATION_STATES)
  state: RecommendationState;

  @ApiPropertyOptional({ ...metadata, description: 'Notes; replaces the earlier ones.' })
  @WhenGiven()
  @MapOf({
    key: /^[\w.-]{1,64}$/,
    maxEntries: MAX_METADATA,
    value: (value) => typeof value === 'string' && value.length <= 1000,
    message: `stateMetadata has at most ${MAX_METADATA} names with texts of at most 1000 characters`,
  })
  stateMetadata?: Record<string, string>;
}

export class StateInfoDto {
  @ApiProperty({ enum: RECOMMENDATION_STATES })
  state: RecommendationState;

  @ApiProperty(metadata)
  stateMetadata: Record<string, string>;
}

export class AdviceFileDto {
  @ApiProperty({ example: 'web1.xml' })
  name: string;

  @ApiProperty({ example: 'application/xml' })
  mediaType: string;

  @ApiProperty({ enum: ['apply', 'diff', 'rollback'] })
  purpose: AdviceFile['purpose'];

  @ApiPropertyOptional({ example: 'web1', description: 'Absent for files of the host.' })
  domain?: string;

  @ApiProperty({ example: 10240 })
  bytes: number;

  @ApiProperty({
    example: '/v1/recommendations/4b3c0a52-6f2e-4d29-9d0e-0e2a6e1f6a11/files/web1.xml',
  })
  url: string;
}

export class AdviceFilesDto {
  @ApiProperty({ type: [AdviceFileDto] })
  items: AdviceFileDto[];
}

export class PrimaryImpactDto {
  @ApiProperty({ enum: ['RELIABILITY', 'PERFORMANCE'] })
  category: RecommendationContent['primaryImpact']['category'];

  @ApiProperty()
  description: string;
}

export class RecommendationSummaryDto {
  @ApiProperty({ format: 'uuid' })
  id: string;

  @ApiProperty({ example: 'hosts/1f0c/recommendations/4b3c' })
  name: string;

  @ApiProperty({ format: 'uuid' })
  hostId: string;

  @ApiProperty({ format: 'uuid' })
  jobId: string;

  @ApiProperty({ enum: ['NUMA_MEMORY_PLACEMENT'] })
  recommenderSubtype: RecommendationContent['recommenderSubtype'];

  @ApiProperty({
    enum: ['OPTIMIZED', 'REMOTE_MEMORY', 'OOM_RISK', 'RECLAIM_STALLS', 'DOES_NOT_FIT'],
    description: '`OPTIMIZED`: leave it as it is.',
  })
  finding: RecommendationContent['finding'];

  @ApiProperty()
  description: string;

  @ApiProperty({ enum: ['P1', 'P2', 'P3', 'P4'] })
  priority: RecommendationContent['priority'];

  @ApiProperty({ type: PrimaryImpactDto })
  primaryImpact: PrimaryImpactDto;

  @ApiProperty({ type: StateInfoDto })
  stateInfo: StateInfoDto;

  @ApiProperty({
    type: String,
    format: 'uuid',
    nullable: true,
    description:
      'Recommendations of one group exclude each other: of them one can be claimed. null: it excludes nothing.',
  })
  xorGroupId: string | null;

  @ApiProperty({ example: '"1"', description: 'For If-Match.' })
  etag: string;

  @ApiProperty({ format: 'date-time', description: 'When it was computed.' })
  lastRefreshTime: string;

  @ApiProperty({ type: ResultBasisDto })
  basis: ResultBasisDto;

  @ApiProperty({ type: [AdviceFileDto] })
  files: AdviceFileDto[];
}

export class RecommendationDto extends RecommendationSummaryDto {
  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'Ordered groups of operations; each operation with its reason in one sentence.',
    example: {
      operationGroups: [
        {
          description: 'numatune of the guests, before they start',
          operations: [
            {
              action: 'replace',
              resourceType: 'domain',
              resource: 'web1',
              path: '/domain/numatune',
              value: { mode: 'strict', nodeset: [0] },
              previousValue: { mode: 'preferred', nodeset: [0] },
              reason: '...',
              requiresRestart: false,
            },
          ],
        },
      ],
    },
  })
  content: RecommendationContent['content'];

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description: 'What no setting can move without a restart or a migration.',
    example: [],
  })
  immovable: RecommendationContent['immovable'];

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description:
      'The replays: baseline, advised, alternatives with why not, margin, caveats and assumptions.',
    example: { seed: 1, replays: 24, margin: { flipsAtPercent: null, testedPercent: 50 } },
  })
  evidence: RecommendationContent['evidence'];
}

export class RecommendationPageDto extends PageDto {
  @ApiProperty({ type: [RecommendationSummaryDto] })
  items: RecommendationSummaryDto[];
}

export function filesDto({ id, files }: Recommendation): AdviceFileDto[] {
  return files.map(({ name, mediaType, purpose, domain, text }) => ({
    name,
    mediaType,
    purpose,
    ...(domain === undefined ? {} : { domain }),
    bytes: Buffer.byteLength(text),
    url: `/v1/recommendations/${id}/files/${encodeURIComponent(name)}`,
  }));
}

export function recommendationSummary(stored: Recommendation): RecommendationSummaryDto {
  const { id, name, hostId, jobId, state, stateMetadata, xorGroupId, lastRefreshTime, basis } =
    stored;
  const { recommenderSubtype, finding, description, priority, primaryImpact } = stored.content;
  return {
    ...{ id, name, hostId, jobId },
    ...{ recommenderSubtype, finding, description, priority, primaryImpact },
    stateInfo: { state, stateMetadata },
    xorGroupId,
    etag: etagOf(stored.version),
    lastRefreshTime,
    basis,
    files: filesDto(stored),
  };
}

export function recommendationDto(stored: Recommendation): RecommendationDto {
  const { content, immovable, evidence } = stored.content;
  return { ...recommendationSummary(stored), content, immovable, evidence };
}
