import { applyDecorators, Type } from '@nestjs/common';
import { ApiAcceptedResponse, ApiCreatedResponse, ApiHeader, ApiOkResponse } from '@nestjs/swagger';
import { ApiProblems } from '../docs/api-problems';
import type { ProblemCode } from '../http/problem-codes';
import { JobDto } from './job.dto';

const location = (description: string) => ({
  Location: { description, schema: { type: 'string' as const } },
});

/** Documents a POST that makes a job, with the problems that it has besides. */
export function ApiMakesJob(
  result: Type,
  what: string,
  ...problems: ProblemCode[]
): MethodDecorator {
  return applyDecorators(
    ApiHeader({
      name: 'Prefer',
      required: false,
      description: '`wait=N`: answer with the result if it is there within N seconds (at most 60).',
      schema: { type: 'string', example: 'wait=30' },
    }),
    ApiHeader({
      name: 'Idempotency-Key',
      required: false,
      description: 'A repetition with the same key and body gets the same answer for 24 hours.',
      schema: { type: 'string', maxLength: 255 },
    }),
    ApiAcceptedResponse({
      type: JobDto,
      description: 'Accepted: the job is stored and will be run, after a crash too.',
      headers: {
        ...location('The job.'),
        'Retry-After': { description: 'Seconds.', schema: { type: 'integer' } },
      },
    }),
    ApiCreatedResponse({
      type: result,
      description: `Done within the time that \`Prefer\` allows: ${what}.`,
      headers: location('The result.'),
    }),
    ApiProblems(
      'malformed-json',
      'validation-failed',
      'host-not-found',
      'domain-not-found',
      'job-final',
      'idempotency-key-in-use',
      'body-too-large',
      'unsupported-media-type',
      'unknown-host-node',
      'invalid-simulation-request',
      'idempotency-key-reused',
      'replay-failed',
      'queue-full',
      'time-limit',
      ...problems,
    ),
  );
}

const PREFER_ASYNC = {
  name: 'Prefer',
  required: false,
  description:
    '`respond-async`: answer with a job. `wait=N`: wait for the job up to N seconds (at most 60).',
  schema: { type: 'string' as const, example: 'respond-async, wait=30' },
};

/** A route that answers at once where the work is small, and with a job where it is large or the caller asks for one. */
export function ApiMayMakeJob(result: Type, ...problems: ProblemCode[]): MethodDecorator {
  return applyDecorators(
    ApiHeader(PREFER_ASYNC),
    ApiOkResponse({ type: result }),
    ApiAcceptedResponse({ type: JobDto, description: 'A job; Location is its address.' }),
    ApiCreatedResponse({ type: result, description: 'The job ended within `wait`.' }),
    ApiProblems(
      'malformed-json',
      'validation-failed',
      'host-not-found',
      'body-too-large',
      'unsupported-media-type',
      'job-final',
      'idempotency-key-in-use',
      'idempotency-key-reused',
      'replay-failed',
      'queue-full',
      'time-limit',
      ...problems,
    ),
  );
}
