/** What a hostile document may cost; a real domain has a few hundred elements at depth 8 or so. */
export const LIMITS = {
  documentBytes: 16 * 1024 * 1024,
  depth: 64,
  elements: 200_000,
  attributesPerElement: 256,
  problems: 100,
  /** Ids in all node and CPU sets together. */
  setIds: 2_000_000,
  cells: 1024,
} as const;
