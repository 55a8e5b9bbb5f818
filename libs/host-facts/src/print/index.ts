export { carriedCounts } from './carried';
export { printedState } from './build-state';
export type {
  CarriedCounts,
  PrintableNode,
  PrintableSnapshot,
  PrintableZone,
  PrintedState,
  PrintInput,
} from './printed-state';
export { printBuddyinfo, printPagetypeinfo } from './free-lists';
export { printMeminfo, printNodeMeminfo } from './meminfo';
export { printNodeNumastat, printNumastat, printNumastatMeminfo } from './numastat';
export {
  printExtfragIndex,
  printFallbackOrder,
  printNodeStates,
  printUnusableIndex,
  printZoneRanges,
} from './topology';
export { printMemmap, printSections } from './memory-map';
export { printSarB, type PagingMoment } from './sar';
export { printNodeVmstat, printVmstat } from './vmstat';
export { printZoneinfo } from './zoneinfo';
export {
  isStateFile,
  printStateFile,
  STATE_FILES,
  type PrintedReplay,
  type StateFile,
} from './state-files';
