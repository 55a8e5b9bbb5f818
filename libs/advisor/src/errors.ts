/** Codes of bad input; the closed set is listed in libs/advisor/errors.md. */
export const ADVISOR_ERROR_CODES = [
  'contradictory-constraints',
  'duplicate-guest',
  'duplicate-start',
  'empty-nodeset',
  'invalid-demand',
  'invalid-limit',
  'invalid-options',
  'invalid-sysctl',
  'kernel-not-modelled',
  'no-guests',
  'no-memory-node',
  'no-nodes',
  'too-many-guests',
  'unknown-guest',
  'unknown-mode',
  'unknown-node',
  'unknown-sysctl',
] as const;
export type AdvisorErrorCode = (typeof ADVISOR_ERROR_CODES)[number];

/**
 * A request that cannot be replayed as it stands. `path` is a JSON pointer into the request
 * (`/demand/guests/web1/touchPercent`), `message` says what was found and what would be right.
 */
export class AdvisorInputError extends Error {
  constructor(
    readonly code: AdvisorErrorCode,
    readonly path: string,
    message: string,
  ) {
    super(message);
    this.name = 'AdvisorInputError';
  }
}
