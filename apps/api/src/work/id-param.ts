import { Param, PipeTransform } from '@nestjs/common';
import { isUUID } from 'class-validator';
import { ProblemException } from '../http/problem';
import type { ProblemCode } from '../http/problem-codes';

/** An id in an address. What is no UUID is the id of nothing: 404, the database is not asked. */
export function IdParam(name: string, notFound: ProblemCode): ParameterDecorator {
  const pipe: PipeTransform<string, string> = {
    transform: (value) => {
      if (isUUID(value)) return value;
      const found = JSON.stringify(value.slice(0, 80));
      throw new ProblemException(notFound, `There is nothing with the id ${found}.`, {
        path: name,
      });
    },
  };
  return Param(name, pipe);
}
