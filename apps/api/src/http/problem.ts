import { HttpException } from '@nestjs/common';
import { PROBLEM_CODES, ProblemCode } from './problem-codes';

/** One thing that is wrong with a request. Lines and columns are 1-based. */
export interface ProblemError {
  code: string;
  /** JSON path (`model.nodes[0].cpus`), XML path (`/domain/numatune`) or source (`zoneinfo`). */
  path: string;
  message: string;
  line?: number;
  column?: number;
  expected?: string;
  found?: string;
}

/** RFC 9457 problem details, with a stable code. */
export interface Problem {
  type: string;
  title: string;
  status: number;
  detail: string;
  instance?: string;
  code: ProblemCode;
  path?: string;
  line?: number;
  column?: number;
  expected?: string;
  found?: string;
  errors?: ProblemError[];
}

export interface ProblemDetails {
  path?: string;
  /** All of them; the first one's place is repeated at the top. */
  errors?: ProblemError[];
  /** Response headers, e.g. Retry-After. */
  headers?: Record<string, string>;
}

/** The most errors that an answer lists: a hostile document can hold a million. */
const MAX_ERRORS = 100;

/**
 * An answer that is not the one asked for, as problem+json. Status and title follow from the code.
 * @example throw new ProblemException('host-not-found', `No host has the id ${id}.`, { path: 'hostId' });
 */
export class ProblemException extends HttpException {
  readonly code: ProblemCode;
  readonly headers: Record<string, string>;

  constructor(code: ProblemCode, detail: string, details: ProblemDetails = {}) {
    const problem = problemOf(code, detail, details);
    super(problem, problem.status);
    this.message = detail;
    this.code = code;
    this.headers = details.headers ?? {};
  }

  get problem(): Problem {
    return this.getResponse() as Problem;
  }
}

/** The problem as plain data, for places that store it instead of answering it. */
export function problemOf(
  code: ProblemCode,
  detail: string,
  { path, errors }: Omit<ProblemDetails, 'headers'> = {},
): Problem {
  const [status, title] = PROBLEM_CODES[code];
  const first = errors?.[0];
  const place = path ?? first?.path;
  return {
    type: `urn:zonewise:problem:${code}`,
    title,
    status,
    detail,
    code,
    ...(place === undefined ? {} : { path: place }),
    ...(first === undefined ? {} : positionOf(first)),
    ...(errors === undefined ? {} : { errors: errors.slice(0, MAX_ERRORS) }),
  };
}

function positionOf({ line, column, expected, found }: ProblemError) {
  return {
    ...(line === undefined ? {} : { line }),
    ...(column === undefined ? {} : { column }),
    ...(expected === undefined ? {} : { expected }),
    ...(found === undefined ? {} : { found }),
  };
}
