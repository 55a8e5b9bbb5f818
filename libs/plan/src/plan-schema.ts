/** Holds a plan, as YAML or JSON gave it, against the published schema, before anything else reads it. */
import Ajv, { type ErrorObject } from 'ajv';
import type { PlanProblem } from './plan-request';
import { pointerPart } from './plan-document';
import schema from './schemas/packing-plan.schema.json';
import { knownHint } from './suggest';

/** The JSON Schema (draft 7) of a plan file. */
export const PLAN_SCHEMA: Readonly<Record<string, unknown>> = schema;

const MAX_PROBLEMS = 50;
/** A combination fails because one of its parts does, and the parts are named. */
const COMBINED = new Set(['anyOf', 'allOf', 'oneOf']);

const ajv = new Ajv({ allErrors: true, verbose: true, strict: false });
const validate = ajv.compile(schema);

function shown(value: unknown): string {
  const text = JSON.stringify(value) ?? 'nothing';
  return text.length > 60 ? `${text.slice(0, 57)}...` : text;
}

function problemOf(error: ErrorObject): PlanProblem {
  const { keyword, instancePath, message = '', data } = error;
  const params = error.params as Record<string, unknown>;
  if (keyword === 'additionalProperties') {
    const name = String(params.additionalProperty);
    const known = Object.keys((error.parentSchema?.properties as object | undefined) ?? {});
    const hint = knownHint(name, known);
    const path = `${instancePath}/${pointerPart(name)}`;
    return { code: 'unknown-field', path, message: `There is no field ${shown(name)}: ${hint}` };
  }
  const values = keyword === 'enum' ? ` ${(params.allowedValues as unknown[]).join(', ')}` : '';
  const wanted = `${message}${values}`;
  const code = 'invalid-field';
  return { code, path: instancePath, message: wanted, found: shown(data) };
}

/** Parts that mean the same in a plan file and in a request over HTTP. */
export type PlanPart = 'policies' | 'waivers' | 'flavours' | 'assignments' | 'events';

/** What is wrong with one part of a plan, with pointers that begin at the part. */
export function planPartProblems(part: PlanPart, value: unknown): PlanProblem[] {
  const check = ajv.getSchema(`packing-plan.json#/properties/${part}`);
  if (check === undefined) throw new Error(`The schema of a plan has no ${part}.`);
  if (check(value) === true) return [];
  const errors = (check.errors ?? []).filter(({ keyword }) => !COMBINED.has(keyword));
  return errors.slice(0, MAX_PROBLEMS).map(problemOf);
}

/** Host and domains, or hosts and guests: said once and not as what each half lacks. */
function shapeProblems(plan: object): PlanProblem[] {
  const has = (name: string): boolean => Object.hasOwn(plan, name);
  const one = has('host') || has('domains');
  const several = has('hosts') || has('guests');
  const whole = (a: string, b: string): boolean => has(a) && has(b);
  if (one !== several && (whole('host', 'domains') || whole('hosts', 'guests'))) return [];
  const message = 'A plan has host and domains, or hosts and guests.';
  const found = Object.keys(plan).slice(0, 12).join(', ') || 'nothing';
  return [{ code: 'plan-shape', path: '', message, found }];
}

/**
 * What keeps a value from being a plan file; files that it names are not looked at.
 * @param isPart it includes other files or is included: hosts and guests may be there and not here
 * @returns at most 50 problems, each with its JSON pointer
 */
export function planSchemaProblems(plan: unknown, isPart = false): PlanProblem[] {
  if (typeof plan !== 'object' || plan === null || Array.isArray(plan)) {
    const message = 'A plan is a mapping with host and domains, or with hosts and guests.';
    return [{ code: 'malformed-plan', path: '', message, found: shown(plan) }];
  }
  if (validate(plan) === true) return [];
  const errors = (validate.errors ?? []).filter(
    ({ keyword, schemaPath }) => !COMBINED.has(keyword) && !schemaPath.startsWith('#/anyOf'),
  );
  const found = errors.slice(0, MAX_PROBLEMS).map(problemOf);
  return [...(isPart ? [] : shapeProblems(plan)), ...found].slice(0, MAX_PROBLEMS);
}
