import type { FactProblem } from './types';

/** Every code a FactProblem can carry. Each is explained in errors.md. */
export const FACT_CODES = [
  'empty-text',
  'text-too-large',
  'line-too-long',
  'limit-exceeded',
  'unexpected-line',
  'not-a-number',
  'out-of-range',
  'missing-field',
  'truncated',
  'duplicate',
  'impossible-value',
  'unsupported-zone',
  'unsupported-page-size',
  'bad-node-key',
  'bad-cpu-list',
  'bad-distances',
  'bad-thp-line',
  'no-numa',
  'no-memory-facts',
  'no-memory',
  'no-report',
  'command-failed',
  'invalid-model',
] as const;
export type FactCode = (typeof FACT_CODES)[number];

/** What a parser answers: the facts, or every problem that was found (at most {@link MAX_PROBLEMS}). */
export type Parsed<T> = { ok: true; value: T } | { ok: false; problems: FactProblem[] };

/** After this many problems a text is given up: the rest would repeat the first ones. */
export const MAX_PROBLEMS = 50;

/** A problem as a parser reports it; the source's name becomes `path`. */
export interface ProblemDetail {
  code: FactCode;
  message: string;
  line?: number;
  expected?: string;
  found?: string;
  /** Replaces the source name where a place inside the source has a name of its own. */
  path?: string;
}

const FOUND_LENGTH = 120;

/** Cuts what was found to a length that fits a message; hostile lines can be very long. */
export function excerpt(text: string): string {
  return text.length <= FOUND_LENGTH ? text : `${text.slice(0, FOUND_LENGTH)}...`;
}

/** Collects the problems of one source text. */
export class ProblemList {
  readonly problems: FactProblem[] = [];

  constructor(readonly source: string) {}

  /** True when nothing more should be read: enough problems were collected. */
  get full(): boolean {
    return this.problems.length >= MAX_PROBLEMS;
  }

  add(detail: ProblemDetail): void {
    if (this.full) return;
    const { path, found, line, ...rest } = detail;
    const place = line === undefined ? this.source : `${this.source} line ${line}`;
    this.problems.push({
      ...rest,
      path: path ?? this.source,
      message: `${place}: ${detail.message}`,
      ...(line === undefined ? {} : { line }),
      ...(found === undefined ? {} : { found: excerpt(found) }),
    });
  }

  outcome<T>(value: T): Parsed<T> {
    return this.problems.length > 0 ? { ok: false, problems: this.problems } : { ok: true, value };
  }
}
