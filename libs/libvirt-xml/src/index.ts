export * from './types';
export { ASSUMPTION_CODES, PROBLEM_CODES, WARNING_CODES } from './codes';
export type { AssumptionCode, ProblemCode, WarningCode } from './codes';
export { formatSet, parseSet } from './bitmap';
export { LIMITS } from './limits';
export { textOf, textOfStream } from './bytes';
export { parseDomain, parseDomains } from './domain';
export { placeOfElement } from './place-of';
export { parseCapabilities } from './capabilities';
export {
  DISK_CACHE_PERCENT,
  QEMU_OVERHEAD_PAGES,
  placementFor,
  runtimePlacement,
} from './runtime-placement';
export { DEFAULT_HUGEPAGE_KIB, hugepageKibOf } from './hugepages';
export { checkStart } from './start-check';
export type { StartHost } from './start-check';
export { patchDomain } from './patch-domain';
export { patchNumatune } from './patch-numatune';
export { unifiedDiff } from './unified-diff';
export { unpinnedVcpus } from './vcpu-nodes';
