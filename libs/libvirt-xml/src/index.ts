export * from './types';
export { ASSUMPTION_CODES, PROBLEM_CODES, WARNING_CODES } from './codes';
export type { AssumptionCode, ProblemCode, WarningCode } from './codes';
export { formatSet, parseSet } from './bitmap';
export { LIMITS } from './document';
export { parseDomain } from './domain';
export { parseCapabilities } from './capabilities';
export {
  DISK_CACHE_PERCENT,
  QEMU_OVERHEAD_PAGES,
  placementFor,
  runtimePlacement,
} from './runtime-placement';
export { patchNumatune } from './patch-numatune';
export { unifiedDiff } from './unified-diff';
