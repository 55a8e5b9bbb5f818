import { applyDecorators, Type } from '@nestjs/common';
import { ApiAcceptedResponse, ApiCreatedResponse, ApiHeader } from '@nestjs/swagger';
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
