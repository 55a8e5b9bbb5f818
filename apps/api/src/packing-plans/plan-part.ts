import { applyDecorators } from '@nestjs/common';
import { ApiPropertyOptional, type ApiPropertyOptions } from '@nestjs/swagger';
import { PLAN_SCHEMA, planPartProblems, type PlanPart } from '@zonewise/plan';
import { registerDecorator } from 'class-validator';
import { WhenGiven } from '../work/when-given';

function firstProblem(part: PlanPart, value: unknown): string | undefined {
  const [problem] = planPartProblems(part, value);
  return problem && `${problem.path}: ${problem.message}`;
}

function MatchesPart(part: PlanPart): PropertyDecorator {
  return (target, propertyName) => {
    registerDecorator({
      name: 'planPart',
      target: target.constructor,
      propertyName: String(propertyName),
      validator: {
        validate: (value: unknown) => firstProblem(part, value) === undefined,
        defaultMessage: (given) => firstProblem(part, given?.value) ?? '',
      },
    });
  };
}

/** A part of a plan that is the same in a plan file: the schema of plan files decides. */
export function PartOfPlan(part: PlanPart, example: unknown): PropertyDecorator {
  const { properties } = PLAN_SCHEMA as { properties: Record<string, { description?: string }> };
  const isList = part === 'waivers';
  const api: ApiPropertyOptions = isList
    ? { type: 'array', items: { type: 'object', additionalProperties: true } }
    : { type: 'object', additionalProperties: true };
  const description = `${properties[part]?.description ?? ''} As in /schemas/packing-plan.json.`;
  return applyDecorators(
    ApiPropertyOptional({ ...api, description: description.trim(), example }),
    WhenGiven(),
    MatchesPart(part),
  );
}
