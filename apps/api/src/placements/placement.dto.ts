import { ApiPropertyOptional } from '@nestjs/swagger';
import {
  ArrayMaxSize,
  ArrayNotEmpty,
  IsArray,
  IsIn,
  IsInt,
  IsNumber,
  IsString,
  Length,
  Max,
  MaxLength,
  Min,
  ValidateBy,
} from 'class-validator';
import { OBJECTIVES, type Objective } from '@zonewise/placement';
import { MAX_DOMAINS, MAX_PLACED_GUESTS, MAX_PLACED_HOSTS, type Flavour } from '@zonewise/plan';
import { hardwareProfiles, MAX_REPLAY_PAGES, PAGES_PER_MIB } from '@zonewise/simulator';
import { MAX_CPUS, MAX_NODES, Nested, NestedList } from '../http/field-decorators';
import { PlanDomainDto, PlanHostDto, PlanLimitsDto } from '../packing-plans/packing-plan.dto';
import { PartOfPlan } from '../packing-plans/plan-part';
import { BackgroundCacheDto, HugepagesDto, SysctlOverridesDto } from '../work/replay-options.dto';
import { WhenGiven } from '../work/when-given';

const MAX_TEXT = 16 * 1024 * 1024;
const MAX_MIB = 2 ** 30;
const MAX_GROUPS = 100;
const MAX_LISTS = 1000;
const INT_MAX = 2 ** 31 - 1;

const GroupName = (target: object, name: string): void => {
  IsString()(target, name);
  Length(1, 255)(target, name);
};

export class ReservedDto {
  @ApiPropertyOptional({ minimum: 0, description: 'MiB of each node that guests do not get.' })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(MAX_MIB)
  memoryMib?: number;

  @ApiPropertyOptional({ minimum: 0, description: 'CPUs of each node that guests do not get.' })
  @WhenGiven()
  @IsInt()
  @Min(0)
  @Max(MAX_CPUS)
  cpus?: number;
}

/** A host by exactly one of hostId, model and facts. */
export class PlacementHostDto extends PlanHostDto {
  @ApiPropertyOptional({
    example: 'kvm1',
    description: 'How answers call it. Default: the name of the stored host.',
  })
  @WhenGiven()
  @GroupName
  name?: string;

  @WhenGiven()
  @NestedList(() => PlanDomainDto, MAX_DOMAINS, {
    required: false,
    description:
      'Its guests, running or about to start. Default for a stored host: its domains; else none.',
  })
  domains?: PlanDomainDto[];

  @ApiPropertyOptional({
    example: 'rack-a',
    description: 'Aggregate, zone or rack: what hostGroups of a guest names.',
  })
  @WhenGiven()
  @GroupName
  group?: string;

  @WhenGiven()
  @Nested(() => ReservedDto, { required: false })
  reserved?: ReservedDto;

  @ApiPropertyOptional({
    minimum: 0,
    default: 0,
    description: 'Page cache that each node keeps; the rest of its clean cache may be taken, MiB.',
  })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(MAX_MIB)
  pageCacheMib?: number;

  @WhenGiven()
  @Nested(() => SysctlOverridesDto, { required: false, description: "Over the host's own." })
  sysctl?: SysctlOverridesDto;

  @WhenGiven()
  @NestedList(() => BackgroundCacheDto, MAX_NODES, {
    required: false,
    description: 'Page cache that is read (or written) before the new guests start.',
  })
  backgroundCache?: BackgroundCacheDto[];

  @WhenGiven()
  @NestedList(() => HugepagesDto, MAX_NODES, {
    required: false,
    description: 'Pools of huge pages that are written before the new guests start.',
  })
  hugepages?: HugepagesDto[];
}

/** A guest by exactly one of xml and flavour. */
export class PlacementGuestDto {
  @ApiPropertyOptional({ example: 'web1', description: 'Needed with a flavour.' })
  @WhenGiven()
  @GroupName
  name?: string;

  @ApiPropertyOptional({
    description: 'libvirt domain XML. Its numatune and CPU pins are what the answer replaces.',
  })
  @WhenGiven()
  @IsString({ message: 'must be a text' })
  @MaxLength(MAX_TEXT, { message: `must have at most ${MAX_TEXT} characters` })
  xml?: string;

  @ApiPropertyOptional({ example: 'small', description: 'Key of `flavours`.' })
  @WhenGiven()
  @GroupName
  flavour?: string;

  @ApiPropertyOptional({
    minimum: 1,
    maximum: MAX_PLACED_GUESTS,
    description: 'NAME-1, NAME-2, ...',
  })
  @WhenGiven()
  @IsInt()
  @Min(1)
  @Max(MAX_PLACED_GUESTS)
  count?: number;

  @ApiPropertyOptional({
    type: [String],
    example: ['rack-a'],
    description: 'Groups whose hosts may take it. Default: every host.',
  })
  @WhenGiven()
  @IsArray()
  @ArrayMaxSize(MAX_GROUPS)
  @IsString({ each: true })
  @Length(1, 255, { each: true })
  hostGroups?: string[];
}

export class PlacementDemandDto {
  @ApiPropertyOptional({ minimum: 0, maximum: 100, default: 100 })
  @WhenGiven()
  @IsNumber()
  @Min(0)
  @Max(100)
  touchPercent?: number;

  @ApiPropertyOptional({ minimum: 1, description: 'Default: as fast as the hardware profile.' })
  @WhenGiven()
  @IsNumber()
  @Min(1)
  @Max(MAX_REPLAY_PAGES / PAGES_PER_MIB)
  rateMibPerSecond?: number;
}

const isNameList = (list: unknown): boolean =>
  Array.isArray(list) &&
  list.length <= MAX_PLACED_GUESTS &&
  list.every((name) => typeof name === 'string' && name.length >= 1 && name.length <= 255);

export class CreatePlacementDto {
  @NestedList(() => PlacementHostDto, MAX_PLACED_HOSTS)
  @ArrayNotEmpty({ message: 'must name at least one host' })
  hosts: PlacementHostDto[];

  @WhenGiven()
  @NestedList(() => PlacementGuestDto, MAX_PLACED_GUESTS, {
    required: false,
    description: 'Guests to place. May be left out where a host is emptied.',
  })
  guests?: PlacementGuestDto[];

  @PartOfPlan('flavours', { small: { memoryMib: 512, vcpus: 1 } })
  flavours?: Record<string, Flavour>;

  @ApiPropertyOptional({
    enum: OBJECTIVES,
    default: 'density',
    description:
      '`density`: as few hosts as can be. `locality`: cells of a guest on near nodes. `spread`: on the hosts with the most left.',
  })
  @WhenGiven()
  @IsIn(OBJECTIVES)
  objective?: Objective;

  @ApiPropertyOptional({
    type: 'array',
    items: { type: 'array', items: { type: 'string' } },
    example: [['db1', 'db2']],
    description: 'Guests, there or to place, of which no two are on one host.',
  })
  @WhenGiven()
  @ValidateBy({
    name: 'nameLists',
    validator: {
      validate: (lists) =>
        Array.isArray(lists) && lists.length <= MAX_LISTS && lists.every(isNameList),
      defaultMessage: () => `must be a list of at most ${MAX_LISTS} lists of guest names`,
    },
  })
  antiAffinity?: string[][];

  @ApiPropertyOptional({
    example: 'kvm1',
    description:
      'What if: name or hostId of the host that is emptied; its guests are placed on the others.',
  })
  @WhenGiven()
  @GroupName
  evacuate?: string;

  @ApiPropertyOptional({ minimum: 1, maximum: 128, default: 4, description: 'vCPUs per CPU.' })
  @WhenGiven()
  @IsNumber()
  @Min(1)
  @Max(128)
  cpuAllocationRatio?: number;

  @WhenGiven()
  @Nested(() => PlacementDemandDto, { required: false })
  demand?: PlacementDemandDto;

  @WhenGiven()
  @Nested(() => PlanLimitsDto, {
    required: false,
    description:
      "What every host's replay has to keep, besides that nobody is killed and every guest starts.",
  })
  limits?: PlanLimitsDto;

  @ApiPropertyOptional({ minimum: 0, maximum: INT_MAX, default: 1 })
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
