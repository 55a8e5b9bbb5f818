import { ValidationError, ValidationPipe } from '@nestjs/common';
import { ProblemError, ProblemException } from './problem';

/** A hostile body can be wrong in a million places. */
const MAX_LISTED = 100;

/** class-validator on every DTO; unknown fields are refused, so that a misspelt one is noticed. */
export function createValidationPipe(): ValidationPipe {
  return new ValidationPipe({
    transform: true,
    whitelist: true,
    forbidNonWhitelisted: true,
    forbidUnknownValues: true,
    stopAtFirstError: true,
    validationError: { target: false, value: true },
    exceptionFactory: (problems) => {
      const errors = flatten(problems, '').slice(0, MAX_LISTED);
      const first = errors[0];
      return new ProblemException(
        'validation-failed',
        first === undefined ? 'The request is not valid.' : `${first.path}: ${first.message}.`,
        { errors },
      );
    },
  });
}

function flatten(problems: ValidationError[], parent: string): ProblemError[] {
  return problems.flatMap((problem) => {
    const path = pathOf(parent, problem.property);
    const own = Object.entries(problem.constraints ?? {}).map(([rule, message]) => ({
      code: rule === 'whitelistValidation' ? 'unknown-field' : 'invalid-field',
      path,
      message: rule === 'whitelistValidation' ? 'is not a field of this request' : message,
      ...foundOf(problem.value),
    }));
    return [...own, ...flatten(problem.children ?? [], path)];
  });
}

function pathOf(parent: string, property: string): string {
  if (/^\d+$/.test(property)) return `${parent}[${property}]`;
  return parent === '' ? property : `${parent}.${property}`;
}

function foundOf(value: unknown): { found?: string } {
  if (value === undefined) return { found: 'nothing' };
  if (value === null || typeof value === 'number' || typeof value === 'boolean') {
    return { found: String(value) };
  }
  if (typeof value === 'string') return { found: JSON.stringify(value.slice(0, 80)) };
  return {};
}
