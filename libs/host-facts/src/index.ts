export * from './types';
export { FACT_CODES, type FactCode, type Parsed } from './errors';
export { importHost } from './import-host';
export {
  parseNumaMaps,
  parseSmapsRollup,
  type NumaMapping,
  type NumaMaps,
} from './parse/numa-maps';
export { parseNumastatProcess } from './parse/numastat-process';
export {
  collectionOf,
  isCollected,
  type CollectedFile,
  type CollectedGuest,
  type Collection,
} from './collection';
export {
  compareHosts,
  type Change,
  type GuestDrift,
  type GuestMoment,
  type HostDrift,
  type HostMoment,
  type NodeDrift,
  type SettingDrift,
  type ZoneDrift,
} from './drift';
export { hostTextsOf, NODE_TEXT_FILES, nodeFileName, nodeTextOf, TEXT_FILES } from './text-files';
export { diagnose, type Diagnosis } from './log/diagnose';
export { withHostEvidence } from './log/host-advice';
export { hostOfReport, onTopOf } from './log/log-host';
export { lastWithZones } from './log/report-facts';
export { parseKernelLog, type LogReport } from './log/log-report';
export { estimateResidency, RESIDENCY_RULE } from './residency';
export * from './print';
