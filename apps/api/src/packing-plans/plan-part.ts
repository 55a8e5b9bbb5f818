import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { PLAN_SCHEMA, planPartProblems, type PlanPart } from '@zonewise/plan';
import { registerDecorator } from 'class-validator';
import { WhenGiven } from '../work/when-given';

function firstProblem(part: PlanPart, value: unknown): string | undefined {
  const [problem] = planPartProblems(part, value);
  return problem && `${problem.path}: ${problem.message}`;
}

/** Where the part has to be there, and may have only so many entries. */
interface Needed {
  maxEntries: number;
}

function entriesProblem(value: unknown, { maxEntries }: Needed): string | undefined {
  const entries = typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
  return entries >= 1 && entries <= maxEntries ? undefined : `must have 1 to ${maxEntries} entries`;
}

function MatchesPart(part: PlanPart, needed?: Needed): PropertyDecorator {
  const problem = (value: unknown): string | undefined =>
    firstProblem(part, value) ?? (needed === undefined ? undefined : entriesProblem(value, needed));
  return (target, propertyName) => {
    registerDecorator({
      name: 'planPart',
      target: target.constructor,
      propertyName: String(propertyName),
      validator: {
        validate: (value: unknown) => problem(value) === undefined,
        defaultMessage: (given) => problem(given?.value) ?? '',
      },
    });
  };
}

/** A part of a plan that is the same in a plan file: the schema of plan files decides. */
export function PartOfPlan(part: PlanPart, example: unknown, needed?: Needed): PropertyDecorator {
  const { properties } = PLAN_SCHEMA as { properties: Record<string, { description?: string }> };
  const isList = part === 'waivers' || part === 'events';
  const api: ApiPropertyOptions = isList
    ? { type: 'array', items: { type: 'object', additionalProperties: true } }
    : { type: 'object', additionalProperties: true };
  const description = `${properties[part]?.description ?? ''} As in /schemas/packing-plan.json.`;
  return applyDecorators(
    ApiProperty({
      ...api,
      description: description.trim(),
      example,
      required: needed !== undefined,
    } as ApiPropertyOptions),
    ...(needed === undefined ? [WhenGiven()] : []),
    MatchesPart(part, needed),
  );
}
