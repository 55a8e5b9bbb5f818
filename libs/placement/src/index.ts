export * from './types';
export { PLACEMENT_ERROR_CODES, PlacementInputError, type PlacementErrorCode } from './errors';
export { MAX_CELLS } from './check-shapes';
export { pageTablePages } from './guest-memory';
export { lowerBound, type LowerBound } from './lower-bound';
export { pack } from './pack';
export {
  hostCapacity,
  type CapacityOptions,
  type NodeCapacity,
  type ZoneCapacity,
} from './host-shape';
