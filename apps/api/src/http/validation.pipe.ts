import { ValidationPipe } from '@nestjs/common';
import { fieldProblems } from './field-problems';
import { type ProblemError, ProblemException } from './problem';

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
    // By the target's class a misspelt field finds its neighbours; no answer shows it.
    validationError: { target: true, value: true },
    exceptionFactory: (problems) => {
      const errors: ProblemError[] = [];
      for (const problem of fieldProblems(problems)) {
        errors.push({ ...problem, path: problem.path.replace(/^\./, '') });
        if (errors.length === MAX_LISTED) break;
      }
      const first = errors[0];
      const end = first?.message.endsWith('?') === true ? '' : '.';
      return new ProblemException(
        'validation-failed',
        first === undefined ? 'The request is not valid.' : `${first.path}: ${first.message}${end}`,
        { errors },
      );
    },
  });
}
