export * from './types';
export { PAGE_KIB, PAGES_PER_HUGE, PAGES_PER_MIB, pagesToMib } from './constants';
export {
  InvariantError,
  ReplayCancelled,
  SIMULATOR_ERROR_CODES,
  SimulatorInputError,
  type SimulatorErrorCode,
  type SimulatorProblem,
} from './errors';
export { kernelProfiles, type KernelProfile } from './profile';
export {
  lowmemReserve,
  minFreeKbytes,
  neededPages,
  setupPerZoneWmarks,
  zoneWatermarkOk,
  type MinFreeInput,
  type Watermarks,
  type WatermarkZone,
  type ZoneSize,
} from './watermark';
export { extfragIndex, unusableIndex } from './fragmentation-index';
export { pcpBatch, pcpHigh } from './pcp';
export { buildZonelists, type ZonelistNode } from './zonelist';
export { hardwareProfiles, type HardwareProfile } from './hardware-profile';
export { validateHostModel } from './validate-host';
export { MAX_REPLAY_PAGES } from './validate-input';
export { replay } from './replay';
export { KERNEL_NAMES, kernelProfileOf, type KernelMatch } from './profile';
export { departuresOf, isReplayedKernel, replayProfileFor } from './replayed-kernel';
export {
  ARCHITECTURE_NAMES,
  architectures,
  type Architecture,
  type ArchitectureName,
  type ArchitectureZone,
} from './architecture';
export {
  calcMemmapPages,
  MEMORY_MODELS,
  memmapCost,
  nodeSections,
  pageArrays,
  pagesPerSection,
  pageToPfn,
  pfnToPage,
  pfnToSection,
  type MemmapCost,
  type MemoryModelName,
  type MemoryRange,
  type NodeSections,
  type PageArrays,
  type PagePlace,
} from './memory-model';
export {
  deviceAlignmentPages,
  deviceZone,
  type DeviceRange,
  type DeviceZone,
} from './device-memory';
export { physicalZones, type PhysicalZone } from './physical-zones';
export { HOTPLUG_ACTIONS, SECTION_PAGES } from './memory-block';
export { isUma, nodeStates, type NodeStates, type StateNode } from './node-states';
export {
  checkWatermark,
  type AllocationKind,
  type CheckedRequest,
  type CheckedZone,
  type CheckResult,
  type CheckStep,
} from './watermark-check';
export {
  defaultLowmemReserveRatio,
  zoneReclaimDefault,
  zoneReserves,
  type HostReserves,
  type ReserveSettings,
  type ReserveZone,
  type ZoneReclaimDefault,
  type ZoneReserve,
} from './zone-reserves';
