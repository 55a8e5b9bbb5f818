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
export { extfragIndex } from './fragmentation-index';
export { pcpBatch, pcpHigh } from './pcp';
export { buildZonelists, type ZonelistNode } from './zonelist';
export { hardwareProfiles, type HardwareProfile } from './hardware-profile';
export { validateHostModel } from './validate-host';
export { replay } from './replay';
