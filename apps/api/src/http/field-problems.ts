import {
  getMetadataStorage,
  registerDecorator,
  type ValidationError,
  type ValidationOptions,
} from 'class-validator';
import { knownHint } from '@zonewise/plan';
import type { ProblemError } from './problem';

/** One thing that is wrong inside of a field; `path` begins below the field (`.small`, `[3].cpu`), '' is the field. */
type InnerProblem = Pick<ProblemError, 'path' | 'message' | 'found'> & {
  code: 'unknown-field' | 'invalid-field';
};

/** In reading order; nothing when the value is as it should be. Read only as far as somebody asks. */
type ProblemsInside = (value: unknown) => Iterable<InnerProblem>;

interface RuleContext {
  problems?: ProblemsInside;
}

const firstOf = <T>(items: Iterable<T>): T | undefined => {
  for (const item of items) return item;
  return undefined;
};

/** A rule that looks inside of its field and names each wrong place by the path that it has in the request. */
export function HoldsInside(name: string, problems: ProblemsInside): PropertyDecorator {
  const context: RuleContext = { problems };
  const options: ValidationOptions = { context };
  return (target, propertyName) => {
    registerDecorator({
      name,
      target: target.constructor,
      propertyName: String(propertyName),
      options,
      validator: {
        validate: (value: unknown) => firstOf(problems(value)) === undefined,
        defaultMessage: (given) => {
          const first = firstOf(problems(given?.value));
          if (first === undefined) return '';
          return first.path === '' ? first.message : `${first.path.slice(1)}: ${first.message}`;
        },
      },
    });
  };
}

/** The JSON path of a property or entry below `parent`. */
export function pathBelow(parent: string, property: string): string {
  return /^\d+$/.test(property) ? `${parent}[${property}]` : `${parent}.${property}`;
}

/** The JSON path of what a JSON pointer names. */
export const pathOfPointer = (pointer: string): string =>
  pointer
    .split('/')
    .slice(1)
    .map((part) => part.replaceAll('~1', '/').replaceAll('~0', '~'))
    .reduce(pathBelow, '');

/** What a misspelt name probably meant, or what there is. */
export const unknownField = (name: string, known: readonly string[]): string =>
  `is not a field here: ${knownHint(name, known)}`;

/**
 * What class-validator found, flat and in its order. A hostile body is wrong in a million places, so they are
 * made one by one.
 * @param errors with their targets, by whose class the known fields are told
 * @param parent path of what was validated, '' for a whole request; paths then begin with a dot or bracket
 */
export function* fieldProblems(errors: ValidationError[], parent = ''): Generator<InnerProblem> {
  for (const error of errors) {
    const { property, constraints = {}, children = [] } = error as Partial<ValidationError>;
    // A body that is no object at all has no property.
    const path = property === undefined ? parent : pathBelow(parent, property);
    for (const [rule, message] of Object.entries(constraints)) {
      yield* ofRule(error, rule, message, path);
    }
    yield* fieldProblems(children, path);
  }
}

function* ofRule(
  { property, target, value, contexts }: ValidationError,
  rule: string,
  message: string,
  path: string,
): Generator<InnerProblem> {
  if (rule === 'whitelistValidation') {
    const text = unknownField(property, fieldsOf(target));
    yield { code: 'unknown-field', path, message: text, ...foundOf(value) };
    return;
  }
  const { problems } = (contexts?.[rule] ?? {}) as RuleContext;
  if (problems === undefined) yield { code: 'invalid-field', path, message, ...foundOf(value) };
  else for (const inner of problems(value)) yield { ...inner, path: path + inner.path };
}

/** Fields that a request's class declares. */
function fieldsOf(target: object | undefined): string[] {
  if (target === undefined) return [];
  const rules = getMetadataStorage().getTargetValidationMetadatas(
    target.constructor,
    '',
    false,
    false,
  );
  return [...new Set(rules.map(({ propertyName }) => propertyName))];
}

/** A value as a problem shows it: short ones only. */
export function foundOf(value: unknown): { found?: string } {
  if (value === undefined) return { found: 'nothing' };
  if (value === null || typeof value === 'number' || typeof value === 'boolean') {
    return { found: String(value) };
  }
  if (typeof value === 'string') return { found: JSON.stringify(value.slice(0, 80)) };
  return {};
}
