import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import type { PlanVerdict } from '@zonewise/advisor';
import {
  ArrayNotEmpty,
  IsIn,
  IsNumber,
  IsString,
  IsUUID,
  Length,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { Nested, NestedList } from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';
import { HostModelDto } from '../hosts/host-model.dto';
import { InspectHostDto } from '../hosts/host-requests.dto';
import { NoteDto } from '../simulations/simulation.dto';
import { MAX_DOMAINS } from '@zonewise/plan';
import { ReplayOverridesDto } from '../work/replay-options.dto';

/** Longest document or text, in characters. */
const MAX_TEXT = 16 * 1024 * 1024;

/** Exactly one of the three. */
export class PlanHostDto {
  @ApiPropertyOptional({ format: 'uuid', description: 'A stored host.' })
  @WhenGiven()
  @IsUUID()
  hostId?: string;

  @WhenGiven()
  @Nested(() => HostModelDto, { required: false })
  model?: HostModelDto;

  @WhenGiven()
  @Nested(() => InspectHostDto, { required: false, description: 'What the host printed.' })
  facts?: InspectHostDto;
}

const Text = (target: object, name: string): void => {
  IsString({ message: 'must be a text' })(target, name);
  MaxLength(MAX_TEXT, { message: `must have at most ${MAX_TEXT} characters` })(target, name);
};

export class PlanDomainDto {
  @ApiPropertyOptional({ example: 'web1', description: 'Must equal the name in the document.' })
  @WhenGiven()
  @IsString()
  @Length(1, 255)
  name?: string;

  @ApiProperty({ description: 'libvirt domain XML.' })
  @Text
  xml: string;

  @ApiPropertyOptional({ enum: ['planned', 'running'], default: 'planned' })
  @WhenGiven()
  @IsIn(['planned', 'running'])
  state?: 'planned' | 'running';

  @ApiPropertyOptional({ description: '/proc/PID/numa_maps of a running domain.' })
  @WhenGiven()
  @Text
  numaMaps?: string;

  @ApiPropertyOptional({ description: '`numastat -p PID` of a running domain.' })
  @WhenGiven()
  @Text
  numastat?: string;

  @ApiPropertyOptional({ description: '/proc/PID/smaps_rollup of a running domain.' })
  @WhenGiven()
  @Text
  smapsRollup?: string;
}

export class PlanLimitsDto {
  @ApiPropertyOptional({ minimum: 0, maximum: 1, description: 'Of any guest. Default: no limit.' })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(1)
  maxRemoteShare?: number;

  @ApiPropertyOptional({ minimum: 0, description: 'Of any guest. Default: no limit.' })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  maxStallMs?: number;

  @ApiPropertyOptional({ minimum: 0, description: 'Of any guest. Default: no limit.' })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  maxSwapMib?: number;
}

export class CheckPlanDto extends ReplayOverridesDto {
  @Nested(() => PlanHostDto)
  host: PlanHostDto;

  @NestedList(() => PlanDomainDto, MAX_DOMAINS)
  @ArrayNotEmpty({ message: 'must name at least one domain' })
  domains: PlanDomainDto[];

  @WhenGiven()
  @Nested(() => PlanLimitsDto, { required: false })
  limits?: PlanLimitsDto;
}

export class PlanViolationDto {
  @ApiProperty({ enum: ['oom-kill', 'failed-start', 'remote-share', 'stall', 'swap'] })
  code: PlanVerdict['violations'][number]['code'];

  @ApiProperty({ example: 'web2' })
  guest: string;

  @ApiProperty({ example: 0.83 })
  found: number;

  @ApiProperty({ example: 0.1 })
  limit: number;

  @ApiProperty()
  message: string;
}

export class PlanVerdictDto implements PlanVerdict {
  @ApiProperty({ enum: ['pass', 'fail'] })
  verdict: PlanVerdict['verdict'];

  @ApiProperty({ type: [PlanViolationDto] })
  violations: PlanViolationDto[];

  @ApiProperty({
    type: 'object',
    additionalProperties: true,
    description: 'The replay condensed, as in a simulation.',
    example: { oomKills: [], remoteShare: 0, stallNs: 0 },
  })
  outcome: PlanVerdict['outcome'];

  @ApiProperty({ type: 'object', additionalProperties: true, example: { touchPercent: 100 } })
  demand: PlanVerdict['demand'];

  @ApiProperty({ example: 1 })
  seed: number;

  @ApiProperty({ type: [NoteDto] })
  caveats: NoteDto[];

  @ApiProperty({ type: [NoteDto] })
  assumptions: NoteDto[];
}
