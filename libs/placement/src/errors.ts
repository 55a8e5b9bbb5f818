/** Codes of requests that cannot be packed; the closed set is explained in errors.md. */
export const PLACEMENT_ERROR_CODES = [
  'duplicate-guest',
  'duplicate-host',
  'duplicate-node',
  'invalid-amount',
  'no-cells',
  'too-many-cells',
] as const;
export type PlacementErrorCode = (typeof PLACEMENT_ERROR_CODES)[number];

/** A request that says what cannot be. */
export class PlacementInputError extends Error {
  constructor(
    readonly code: PlacementErrorCode,
    /** JSON pointer into the request. */
    readonly path: string,
    message: string,
  ) {
    super(message);
  }
}
