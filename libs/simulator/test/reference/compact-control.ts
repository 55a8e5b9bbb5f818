import type { MigrateType } from '../machine';
import type { AllocFlags } from './fallback';
import {
  MOVABLE,
  PAGEBLOCK_ORDER,
  PAGEBLOCK_PAGES,
  endPfnOf,
  pageAt,
  pageblockType,
} from './state';
import type { System, Zone } from './state';

export const COMPACT_CLUSTER_MAX = 32;

/** Of increasing patience. */
export type MigrateMode = 'async' | 'sync-light' | 'sync';

/**
 * As the kernel numbers them: the highest of several zones counts.
 * @kernel include/linux/compaction.h enum compact_result
 */
export const COMPACT_SKIPPED = 1;
export const COMPACT_DEFERRED = 2;
export const COMPACT_CONTINUE = 4;
export const COMPACT_COMPLETE = 5;
export const COMPACT_PARTIAL_SKIPPED = 6;
export const COMPACT_CONTENDED = 7;
export const COMPACT_SUCCESS = 8;

/** One task that compacts, for one zone after the other. @kernel mm/internal.h struct compact_control */
export interface CompactControl {
  zone: Zone;
  /** -1: as much as there is to compact. */
  order: number;
  mode: MigrateMode;
  type: MigrateType;
  classIndex: number;
  flags: AllocFlags;
  /** Position of the CPU whose lists take freed pages. */
  cpu: number;
  /** For a request that waits for it. */
  direct: boolean;
  proactive: boolean;
  wholeZone: boolean;
  ignoreSkipHint: boolean;
  ignoreBlockSuitable: boolean;
  /** Free pages taken off the lists, the next to be used last. */
  freepages: number[];
  nrFreepages: number;
  /** Pages taken off the LRU lists, the next to be moved last. */
  migratepages: number[];
  /** The LRU list that each of them was on. */
  lists: Map<number, number>;
  /** How many there were when moving them began. */
  nrMigratepages: number;
  freePfn: number;
  migratePfn: number;
  /** Lowest pfn that a fast search for a source met; 0: none yet, Infinity: not to be used again. */
  fastStartPfn: number;
  fastSearchFail: number;
  searchOrder: number;
  rescan: boolean;
  totalMigrateScanned: number;
  totalFreeScanned: number;
  /** Pages moved. */
  migrated: number;
}

type Task = Pick<CompactControl, 'order' | 'mode' | 'flags' | 'cpu'> & Partial<CompactControl>;

/** A task that begins; its zone is set before each is compacted. */
export function compactControl(zone: Zone, task: Task): CompactControl {
  return {
    zone,
    type: 0,
    classIndex: 0,
    direct: false,
    proactive: false,
    wholeZone: false,
    ignoreSkipHint: false,
    ignoreBlockSuitable: false,
    freepages: [],
    nrFreepages: 0,
    migratepages: [],
    lists: new Map(),
    nrMigratepages: 0,
    freePfn: 0,
    migratePfn: 0,
    fastStartPfn: 0,
    fastSearchFail: 0,
    searchOrder: Math.max(task.order, 0),
    rescan: false,
    totalMigrateScanned: 0,
    totalFreeScanned: 0,
    migrated: 0,
    ...task,
  };
}

/** @kernel mm/compaction.c block_start_pfn() */
export function blockStart(pfn: number, order: number): number {
  return pfn - (pfn % 2 ** order);
}

/** @kernel mm/compaction.c block_end_pfn() */
export function blockEnd(pfn: number, order: number): number {
  return blockStart(pfn, order) + 2 ** order;
}

export function pageblockStart(pfn: number): number {
  return blockStart(pfn, PAGEBLOCK_ORDER);
}

export function pageblockEnd(pfn: number): number {
  return blockEnd(pfn, PAGEBLOCK_ORDER);
}

export function isPageblockAligned(pfn: number): boolean {
  return pfn % PAGEBLOCK_PAGES === 0;
}

/** The last pageblock of a zone. */
export function lastPageblock(zone: Zone): number {
  return pageblockStart(endPfnOf(zone) - 1);
}

function skipIndex(zone: Zone, pfn: number): number {
  return (pfn - zone.basePfn) >> PAGEBLOCK_ORDER;
}

export function hasSkip(zone: Zone, pfn: number): boolean {
  return zone.compaction.skip[skipIndex(zone, pfn)] === 1;
}

export function setSkip(zone: Zone, pfn: number): void {
  zone.compaction.skip[skipIndex(zone, pfn)] = 1;
}

export function clearSkip(zone: Zone, pfn: number): void {
  zone.compaction.skip[skipIndex(zone, pfn)] = 0;
}

/** @kernel mm/compaction.c isolation_suitable() */
export function isIsolationSuitable(cc: CompactControl, pfn: number): boolean {
  return cc.ignoreSkipHint || !hasSkip(cc.zone, pfn);
}

export function isMovableBlock(zone: Zone, pfn: number): boolean {
  return pageblockType(zone, pageAt(zone, pfn)) === MOVABLE;
}

/** A huge page fills the pageblock. @kernel mm/compaction.c pageblock_skip_persistent() */
export function isSkipPersistent(system: System, zone: Zone, pfn: number): boolean {
  const start = Math.max(pageblockStart(pfn), zone.startPfn);
  return system.pages.huge[pageAt(zone, start)] === 1;
}

/** @kernel mm/compaction.c compact_scanners_met() */
export function scannersMet(cc: CompactControl): boolean {
  return pageblockStart(cc.freePfn) <= pageblockStart(cc.migratePfn);
}

/** Entries of a list that a fast search looks at. @kernel mm/compaction.c freelist_scan_limit() */
export function freelistScanLimit(cc: CompactControl): number {
  return (COMPACT_CLUSTER_MAX >> Math.min(cc.fastSearchFail, 31)) + 1;
}
