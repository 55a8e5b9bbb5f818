import { ApiProperty, ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayNotEmpty,
  IsIn,
  IsInt,
  IsNumber,
  IsString,
  IsUUID,
  Length,
  Matches,
  Max,
  MaxLength,
  Min,
} from 'class-validator';
import { Nested, NestedList } from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';
import { HostModelDto } from '../hosts/host-model.dto';
import { InspectHostDto } from '../hosts/host-requests.dto';
import {
  MAX_DOMAINS,
  MAX_GUESTS,
  MAX_HOSTS,
  SEVERITIES,
  type Flavour,
  type PlanEvent,
  type Policies,
  type Severity,
  type Waiver,
} from '@zonewise/plan';
import {
  BackgroundCacheDto,
  HugepagesDto,
  MAX_NODES,
  ReplayOverridesDto,
  SysctlOverridesDto,
} from '../work/replay-options.dto';
import { PartOfPlan } from './plan-part';

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

class GuestStateDto {
  @ApiPropertyOptional({ example: 'web1', description: 'Must equal the name in the document.' })
  @WhenGiven()
  @IsString()
  @Length(1, 255)
  name?: string;

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

export class PlanDomainDto extends GuestStateDto {
  @ApiProperty({ description: 'libvirt domain XML.' })
  @Text
  xml: string;
}

/** Exactly one of xml and flavour. */
export class PlanGuestDto extends GuestStateDto {
  @ApiPropertyOptional({ description: 'libvirt domain XML.' })
  @WhenGiven()
  @Text
  xml?: string;

  @ApiPropertyOptional({
    example: 'small',
    description: 'Key of `flavours`; the guest needs a name.',
  })
  @WhenGiven()
  @IsString()
  @Length(1, 255)
  flavour?: string;

  @ApiPropertyOptional({ minimum: 1, maximum: MAX_GUESTS, description: 'NAME-1, NAME-2, ...' })
  @WhenGiven()
  @IsInt()
  @Min(1)
  @Max(MAX_GUESTS)
  count?: number;
}

export class NamedPlanHostDto extends PlanHostDto {
  @ApiProperty({ example: 'kvm1' })
  @IsString()
  @Length(1, 255)
  name: string;

  @WhenGiven()
  @Nested(() => SysctlOverridesDto, { required: false, description: "Over the plan's own." })
  sysctl?: SysctlOverridesDto;

  @WhenGiven()
  @NestedList(() => BackgroundCacheDto, MAX_NODES, {
    required: false,
    description: 'Page cache that is read (or written) before the guests start.',
  })
  backgroundCache?: BackgroundCacheDto[];

  @WhenGiven()
  @NestedList(() => HugepagesDto, MAX_NODES, {
    required: false,
    description: 'Pools of huge pages that are written before the guests start.',
  })
  hugepages?: HugepagesDto[];
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
  @WhenGiven()
  @Nested(() => PlanHostDto, {
    required: false,
    description: 'With `domains`: a plan of one host.',
  })
  host?: PlanHostDto;

  @WhenGiven()
  @NestedList(() => PlanDomainDto, MAX_DOMAINS, { required: false })
  @ArrayNotEmpty({ message: 'must name at least one domain' })
  domains?: PlanDomainDto[];

  @WhenGiven()
  @NestedList(() => NamedPlanHostDto, MAX_HOSTS, {
    required: false,
    description: 'With `guests`: a plan of several hosts.',
  })
  @ArrayNotEmpty({ message: 'must name at least one host' })
  hosts?: NamedPlanHostDto[];

  @WhenGiven()
  @NestedList(() => PlanGuestDto, MAX_GUESTS, { required: false })
  @ArrayNotEmpty({ message: 'must name at least one guest' })
  guests?: PlanGuestDto[];

  @PartOfPlan('flavours', { small: { memoryMib: 512, vcpus: 1 } })
  flavours?: Record<string, Flavour>;

  @PartOfPlan('assignments', { kvm1: ['web1'] })
  assignments?: Record<string, string[]> | 'auto';

  @PartOfPlan('events', [{ at: 'Monday', migrate: 'web1', to: 'kvm2' }])
  events?: PlanEvent[];

  @WhenGiven()
  @Nested(() => PlanLimitsDto, { required: false })
  limits?: PlanLimitsDto;

  @PartOfPlan('policies', { 'remote-share': { maxShare: 0.1 }, margin: { minPercent: 10 } })
  policies?: Policies;

  @PartOfPlan('waivers', [
    { rule: 'ZW004', guest: 'web2', reason: 'Moves next week', expires: '2027-03-31' },
  ])
  waivers?: Waiver[];

  @ApiPropertyOptional({ enum: SEVERITIES, default: 'error' })
  @WhenGiven()
  @IsIn(SEVERITIES)
  failLevel?: Severity;

  @ApiPropertyOptional({
    example: '2026-11-21',
    description: 'Day that waivers are held against. Default: today, UTC.',
  })
  @WhenGiven()
  @Matches(/^\d{4}-\d{2}-\d{2}$/, { message: 'must be a day such as 2027-03-31' })
  today?: string;
}
