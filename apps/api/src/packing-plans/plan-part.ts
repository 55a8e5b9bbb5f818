import { applyDecorators } from '@nestjs/common';
import { ApiProperty, type ApiPropertyOptions } from '@nestjs/swagger';
import { PLAN_SCHEMA, planPartProblems, type PlanPart } from '@zonewise/plan';
import { HoldsInside, pathOfPointer } from '../http/field-problems';
import { WhenGiven } from '../work/when-given';

/** Where the part has to be there, and may have only so many entries. */
interface Needed {
  maxEntries: number;
}

function entriesProblem(value: unknown, { maxEntries }: Needed): string | undefined {
  const entries = typeof value === 'object' && value !== null ? Object.keys(value).length : 0;
  return entries >= 1 && entries <= maxEntries ? undefined : `must have 1 to ${maxEntries} entries`;
}

const MatchesPart = (part: PlanPart, needed?: Needed): PropertyDecorator =>
  HoldsInside('planPart', (value) => {
    const problems = planPartProblems(part, value).map(({ code, path, message, found }) => ({
      code: code === 'unknown-field' ? ('unknown-field' as const) : ('invalid-field' as const),
      path: pathOfPointer(path),
      message,
      ...(found === undefined ? {} : { found }),
    }));
    const entries = needed && problems.length === 0 ? entriesProblem(value, needed) : undefined;
    if (entries === undefined) return problems;
    return [{ code: 'invalid-field' as const, path: '', message: entries }];
  });

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
