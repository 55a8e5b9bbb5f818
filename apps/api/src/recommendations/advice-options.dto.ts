import { ApiPropertyOptional } from '@nestjs/swagger';
import { ADVICE_PROFILES, THP_FILES } from '@zonewise/advisor';
import type {
  AdviceBudget,
  AdviceConstraints,
  AdviceOptions,
  AdviceProfile,
  AdviceWeights,
  ThpFile,
} from '@zonewise/advisor';
import { MAX_DOMAINS } from '@zonewise/plan';
import type { SysctlName } from '@zonewise/simulator';
import {
  ArrayMaxSize,
  ArrayUnique,
  IsArray,
  IsIn,
  IsInt,
  IsNumber,
  IsString,
  Length,
  Max,
  Min,
} from 'class-validator';
import { applyDecorators } from '@nestjs/common';
import { Nested } from '../http/field-decorators';
import { WhenGiven } from '../work/when-given';

const INT_MAX = 2 ** 31 - 1;
const MAX_NODE_ID = 1023;
const MAX_WEIGHT = 1e6;
const MAX_PERCENT = 10_000;
const MAX_VCPU_OVERCOMMIT = 1000;
const MAX_REPLAYS = 100_000;
const MAX_WORK = 1e13;
const MAX_SYSCTLS = 64;

const Weight = (description: string) =>
  applyDecorators(
    ApiPropertyOptional({ minimum: 0, maximum: MAX_WEIGHT, description }),
    WhenGiven(),
    IsNumber({ allowNaN: false, allowInfinity: false }),
    Min(0),
    Max(MAX_WEIGHT),
  );

/** Numbers of nodes, each once. */
function NodeNumbers(): PropertyDecorator {
  return applyDecorators(
    WhenGiven(),
    IsArray(),
    ArrayMaxSize(MAX_NODE_ID + 1),
    ArrayUnique(),
    IsInt({ each: true }),
    Min(0, { each: true }),
    Max(MAX_NODE_ID, { each: true }),
  );
}

export class AdviceWeightsDto implements AdviceWeights {
  @Weight('Memory swapped out.') swap?: number;
  @Weight('Waiting for reclaim.') stall?: number;
  @Weight('Memory away from its vCPUs, by distance.') remote?: number;
  @Weight('Room on the fullest node.') headroom?: number;
  @Weight('Page cache lost.') cache?: number;
}

export class AdviceConstraintsDto implements AdviceConstraints {
  @ApiPropertyOptional({
    type: [String],
    example: ['db1'],
    description: 'Guests whose every setting stays as it is.',
  })
  @WhenGiven()
  @IsArray()
  @ArrayMaxSize(MAX_DOMAINS)
  @ArrayUnique()
  @IsString({ each: true })
  @Length(1, 255, { each: true })
  pinnedGuests?: string[];

  @ApiPropertyOptional({
    type: [Number],
    example: [1],
    description:
      "Nodes that no changed nodeset may name, and where advice leaves no more of the planned guests' memory than today's setting.",
  })
  @NodeNumbers()
  forbiddenNodes?: number[];

  @ApiPropertyOptional({
    type: [String],
    example: ['zone_reclaim_mode'],
    description: 'Kernel settings that stay as they are.',
  })
  @WhenGiven()
  @IsArray()
  @ArrayMaxSize(MAX_SYSCTLS)
  @ArrayUnique()
  @IsString({ each: true })
  @Length(1, 64, { each: true })
  fixedSysctls?: SysctlName[];

  @ApiPropertyOptional({
    enum: THP_FILES,
    isArray: true,
    example: ['enabled'],
    description: 'Files of /sys/kernel/mm/transparent_hugepage that stay as they are.',
  })
  @WhenGiven()
  @IsArray()
  @ArrayUnique()
  @IsIn(THP_FILES, { each: true })
  fixedThp?: ThpFile[];

  @ApiPropertyOptional({
    type: [Number],
    example: [0],
    description: 'Nodes whose pools of huge pages stay as large as they are.',
  })
  @NodeNumbers()
  fixedHugepages?: number[];

  @ApiPropertyOptional({
    minimum: 1,
    maximum: MAX_PERCENT,
    description: "Memory of the guests bound to a set of nodes, as a share of those nodes' memory.",
  })
  @WhenGiven()
  @IsNumber({ allowNaN: false, allowInfinity: false })
  @Min(1)
  @Max(MAX_PERCENT)
  maxOvercommitPercent?: number;

  @ApiPropertyOptional({
    minimum: 0.01,
    maximum: MAX_VCPU_OVERCOMMIT,
    example: 2,
    description:
      "vCPUs per CPU of a node that a change may bring there. Default: one, or, where the host has more vCPUs than CPUs, the node's even share and the largest guest on top, up to 5.",
  })
  @WhenGiven()
  @IsNumber({ allowNaN: false, allowInfinity: false })
  @Min(0.01)
  @Max(MAX_VCPU_OVERCOMMIT)
  vcpuOvercommitMax?: number;
}

export class AdviceBudgetDto implements AdviceBudget {
  @ApiPropertyOptional({ type: 'integer', minimum: 1, maximum: MAX_REPLAYS })
  @WhenGiven()
  @IsInt()
  @Min(1)
  @Max(MAX_REPLAYS)
  replaysMax?: number;

  @ApiPropertyOptional({
    type: 'integer',
    minimum: 1,
    maximum: MAX_WORK,
    description:
      'Work of all replays: pages touched plus 40 times the pages reclaimed, and what each replay, step and second of waiting takes.',
  })
  @WhenGiven()
  @IsInt()
  @Min(1)
  @Max(MAX_WORK)
  workMax?: number;
}

/** How the advice is judged, and what it must not touch. */
export class AdviceOptionsDto implements AdviceOptions {
  @ApiPropertyOptional({
    enum: ADVICE_PROFILES,
    default: 'balanced',
    description: 'In which order configurations are compared; see docs/ADVICE.md.',
  })
  @WhenGiven()
  @IsIn(ADVICE_PROFILES)
  profile?: AdviceProfile;

  @WhenGiven()
  @Nested(() => AdviceWeightsDto, {
    required: false,
    description: "Instead of the profile's order behind kills.",
  })
  weights?: AdviceWeightsDto;

  @WhenGiven()
  @Nested(() => AdviceConstraintsDto, { required: false })
  constraints?: AdviceConstraintsDto;

  @ApiPropertyOptional({
    minimum: 0,
    maximum: INT_MAX,
    description: "Of the order in which equals are tried; default the replay's.",
  })
  @WhenGiven()
  @IsInt()
  @Min(0)
  @Max(INT_MAX)
  seed?: number;

  @WhenGiven()
  @Nested(() => AdviceBudgetDto, { required: false })
  budget?: AdviceBudgetDto;
}
