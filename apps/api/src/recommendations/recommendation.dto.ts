import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { Impact, RecommendationContent } from '@zonewise/advisor';
import { Type } from 'class-transformer';
import { IsIn, IsObject, IsUUID, ValidateNested } from 'class-validator';
import { PageDto, PageQuery } from '../http/cursor';
import { etagOf } from '../http/etag';
import { MapOf } from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';
import { ResultBasisDto } from '../simulations/simulation.dto';
import { ReplayOptionsDto, StoredDomains } from '../work/replay-options.dto';
import type { AdviceFile } from '../work/tasks';
import { AdviceOptionsDto } from './advice-options.dto';
import {
  Recommendation,
  RECOMMENDATION_STATES,
  RecommendationState,
} from './recommendation.entity';

const MAX_METADATA = 32;

export class CreateRecommendationDto extends ReplayOptionsDto {
  @StoredDomains()
  domains?: string[];

  @ApiPropertyOptional({ type: AdviceOptionsDto })
  @WhenGiven()
  @IsObject()
  @ValidateNested()
  @Type(() => AdviceOptionsDto)
  options?: AdviceOptionsDto;
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

export class ImpactDto implements Impact {
  @ApiProperty({ enum: ['RELIABILITY', 'PERFORMANCE', 'CAPACITY'] })
  category: Impact['category'];

  @ApiProperty({
    enum: [
      ...(['guests-killed', 'swapped-out', 'stall', 'remote-memory'] as const),
      ...(['remote-cost', 'headroom', 'largest-room', 'page-cache-lost'] as const),
    ],
  })
  measure: Impact['measure'];

  @ApiProperty({
    enum: ['guests', 'MiB', 'ms', 'percent', 'ratio'],
    description: '`ratio`: distance to memory over the distance to local memory, minus 1.',
  })
  unit: Impact['unit'];

  @ApiProperty({ example: 56.2 }) before: number;
  @ApiProperty({ example: 0 }) after: number;
  @ApiProperty({ example: 'Remote guest memory: 56.2 % -> 0 %.' }) description: string;
}

export class InsightDto {
  @ApiProperty({
    example: 'hosts/1f0c/snapshots/1',
    description: 'A snapshot of the host, or a cause that the replay of today found.',
  })
  name: string;
  @ApiProperty({ example: 'HOST_SNAPSHOT' }) insightSubtype: string;
  @ApiProperty() description: string;
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
    enum: [
      ...(['OPTIMIZED', 'REMOTE_MEMORY', 'OOM_RISK', 'RECLAIM_STALLS'] as const),
      ...(['LOW_HEADROOM', 'DOES_NOT_FIT'] as const),
    ],
    description: '`OPTIMIZED`: leave it as it is.',
  })
  finding: RecommendationContent['finding'];

  @ApiProperty()
  description: string;

  @ApiProperty({ enum: ['P1', 'P2', 'P3', 'P4'] })
  priority: RecommendationContent['priority'];

  @ApiProperty({
    type: ImpactDto,
    description:
      'The measure that decided, in both replays; where a variation decided, in those under it, which `description` names.',
  })
  primaryImpact: Impact;

  @ApiProperty({ type: [ImpactDto], description: 'The other measures that change.' })
  additionalImpact: Impact[];

  @ApiProperty({ type: [InsightDto] })
  associatedInsights: InsightDto[];

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
    description:
      'Resident memory away from its CPUs, which the advice leaves there, and what moves it all the same.',
    example: [],
  })
  immovable: RecommendationContent['immovable'];

  @ApiProperty({
    type: 'array',
    items: { type: 'object', additionalProperties: true },
    description:
      'The ways to move it all the same (live, migrate-pages, restart): whether each is possible, what it gains in pages, its commands.',
    example: [],
  })
  routes: RecommendationContent['routes'];

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description:
      'The replays: baseline, advised, alternatives with why not and where they came short, time series and causes `before` and `after`, margin, risks, caveats and assumptions.',
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

const INSIGHTS_MAX = 12;

/** What the advice rests on: the snapshot, and what the replay of today's setting found. */
function insightsOf({ name, hostId, basis, content }: Recommendation): InsightDto[] {
  const { snapshot } = basis;
  // Results of earlier releases have no causes.
  const { before } = content.evidence as Partial<RecommendationContent['evidence']>;
  const causes = (before?.causes ?? []).filter(({ code }) => code !== 'all-where-wanted');
  return [
    ...(snapshot === undefined
      ? []
      : [
          {
            name: `hosts/${hostId}/snapshots/${snapshot.number}`,
            insightSubtype: 'HOST_SNAPSHOT',
            description: `The host as it was described at ${snapshot.createdAt}.`,
          },
        ]),
    ...causes.slice(0, INSIGHTS_MAX).map(({ code, text }, i) => ({
      name: `${name}/insights/${i + 1}`,
      insightSubtype: code.toUpperCase().replaceAll('-', '_'),
      description: text,
    })),
  ];
}

export function recommendationSummary(stored: Recommendation): RecommendationSummaryDto {
  const { id, name, hostId, jobId, state, stateMetadata, xorGroupId, lastRefreshTime, basis } =
    stored;
  const { recommenderSubtype, finding, description, priority } = stored.content;
  const { primaryImpact, additionalImpact } = stored.content;
  return {
    ...{ id, name, hostId, jobId },
    ...{ recommenderSubtype, finding, description, priority, primaryImpact, additionalImpact },
    associatedInsights: insightsOf(stored),
    stateInfo: { state, stateMetadata },
    xorGroupId,
    etag: etagOf(stored.version),
    lastRefreshTime,
    basis,
    files: filesDto(stored),
  };
}

export function recommendationDto(stored: Recommendation): RecommendationDto {
  const { content, immovable, routes, evidence } = stored.content;
  return { ...recommendationSummary(stored), content, immovable, routes, evidence };
}
