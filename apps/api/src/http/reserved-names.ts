import { pathBelow } from './field-problems';
import { type ProblemError, ProblemException } from './problem';

/**
 * Names that every object has, and `prototype`. Validation takes such a field for a known one, and what builds the
 * request's object leaves it out: what it says would be ignored.
 */
const RESERVED: ReadonlySet<string> = new Set([
  ...Object.getOwnPropertyNames(Object.prototype),
  'prototype',
]);

/** A hostile body can have a million of them. */
const MAX_LISTED = 100;

export const isReservedName = (name: string): boolean => RESERVED.has(name);

/** @throws ProblemException validation-failed when a key of the parsed body or query is a reserved name, however deep */
export function refuseReservedNames(parsed: unknown): void {
  const errors: ProblemError[] = [];
  for (const path of reservedPaths(parsed, [])) {
    const message = 'is not read as a field or a name here';
    errors.push({ code: 'unknown-field', path, message });
    if (errors.length === MAX_LISTED) break;
  }
  const [first] = errors;
  if (first === undefined) return;
  throw new ProblemException('validation-failed', `${first.path}: ${first.message}.`, { errors });
}

/** @param keys of what is looked into, from the top; a path is only made where one is asked for */
function* reservedPaths(value: unknown, keys: string[]): Generator<string, void> {
  if (typeof value !== 'object' || value === null) return;
  for (const key of Object.keys(value)) {
    keys.push(key);
    if (isReservedName(key) && !Array.isArray(value)) {
      yield keys.reduce(pathBelow, '').replace(/^\./, '');
    }
    yield* reservedPaths((value as Record<string, unknown>)[key], keys);
    keys.pop();
  }
}
