import { applyDecorators } from '@nestjs/common';
import { ApiExtraModels, ApiResponse, getSchemaPath } from '@nestjs/swagger';
import { PROBLEM_CODES, ProblemCode } from '../http/problem-codes';
import { ProblemDto } from './problem.dto';

/** Documents the problems that a handler answers, one response per status with an example per code. */
export function ApiProblems(...codes: ProblemCode[]): MethodDecorator & ClassDecorator {
  const byStatus = new Map<number, ProblemCode[]>();
  for (const code of codes) {
    const [status] = PROBLEM_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  return applyDecorators(
    ApiExtraModels(ProblemDto),
    ...[...byStatus].map(([status, sameStatus]) =>
      ApiResponse({
        status,
        description: sameStatus
          .map((code) => `\`${code}\`: ${PROBLEM_CODES[code][1]}.`)
          .join('\n\n'),
        content: {
          'application/problem+json': {
            schema: { $ref: getSchemaPath(ProblemDto) },
            examples: Object.fromEntries(
              sameStatus.map((code) => [code, { value: exampleOf(code) }]),
            ),
          },
        },
      }),
    ),
  );
}

function exampleOf(code: ProblemCode) {
  const [status, title] = PROBLEM_CODES[code];
  return { type: `urn:zonewise:problem:${code}`, title, status, code, detail: `${title}.` };
}
