/** What a zone remembers of compaction from run to run, and what one run works with. */
import { PAGEBLOCK_ORDER, PAGEBLOCK_PAGES } from './buddy';
import type { IsolatedFree } from './isolated-free';
import type { LruFrames } from './lru-frames';
import type { Isolated } from './migrate';
import { isOnlineBlock, type Zone } from './zone';

/** Pages that are isolated before they are moved. */
export const COMPACT_CLUSTER_MAX = 32;
/** A failed compaction is left out at most 2^6 times. */
export const COMPACT_MAX_DEFER_SHIFT = 6;

/** Of increasing patience: async gives up a block at its first failure. */
export type MigrateMode = 'async' | 'sync-light' | 'sync';

/**
 * How a compaction ended, least first, as the best of several zones counts. `complete`: the whole zone was
 * scanned; `partial`: the scanners met, but did not start at the edges; `contended`: no free page was to be had.
 */
export const COMPACT_RESULTS = [
  'skipped',
  'deferred',
  'continue',
  'complete',
  'partial',
  'contended',
  'success',
] as const;
export type CompactResult = (typeof COMPACT_RESULTS)[number];

/**
 * A position that was never set lies outside of every zone. Not infinite: frames next to such a number would be kept as
 * boxed floating point numbers, and with them each page that they lead to.
 */
export const NOWHERE = -(1 << 30);
/** A fast search's lowest frame that is not to be used again. */
export const USED_UP = -1;

/** Frames count from the zone's base. */
export interface CompactState {
  /** Where the migration scanner goes on: async, sync. */
  cachedMigrate: [number, number];
  cachedFree: number;
  /** Where the scanners start once the pageblocks to skip were cleared. */
  initMigrate: number;
  initFree: number;
  /** Scanners met in a direct compaction: kswapd clears the skip bits before it sleeps. */
  blockskipFlush: boolean;
  /** By pageblock: 1 where nothing could be isolated lately. */
  skip: Uint8Array;
  considered: number;
  deferShift: number;
  orderFailed: number;
}

/** The zone's memory of compaction. */
export function compactState(zone: Zone): CompactState {
  zone.compaction ??= {
    cachedMigrate: [NOWHERE, NOWHERE],
    cachedFree: NOWHERE,
    initMigrate: NOWHERE,
    initFree: NOWHERE,
    blockskipFlush: false,
    skip: new Uint8Array(zone.buddy.pageblocks),
    considered: 0,
    deferShift: 0,
    orderFailed: 0,
  };
  return zone.compaction;
}

/** One compaction of one zone (`struct compact_control`). */
export interface CompactControl {
  zone: Zone;
  state: CompactState;
  /** Order of the block wanted; -1 to compact all there is. */
  order: number;
  mode: MigrateMode;
  /** Migrate type of the request. */
  type: number;
  classIndex: number;
  /** Rights of the request (`ALLOC_*`). */
  flags: number;
  /** CPU position whose lists take freed pages. */
  cpu: number;
  /** For a request that waits. */
  direct: boolean;
  proactive: boolean;
  wholeZone: boolean;
  ignoreSkipHint: boolean;
  ignoreBlockSuitable: boolean;
  /** Next frames of the two scanners. */
  migrate: number;
  free: number;
  /** Fast search of the free lists: order to begin with, failures in a row, lowest frame found. */
  searchOrder: number;
  fastSearchFail: number;
  /** Undefined: none yet; or USED_UP. */
  fastStart: number | undefined;
  /** The pageblock is scanned again: all of it is isolated at once. */
  rescan: boolean;
  /** Pages off their lists, ascending. */
  isolated: Isolated[];
  /** Pages on `isolated` when it was handed over. */
  nrIsolated: number;
  /** Free pages off the lists. */
  freePages: IsolatedFree;
  /** Rules of 6.4 to 6.9: pageblocks are finished, and free blocks stay whole. */
  finishes: boolean;
  migrateScanned: number;
  freeScanned: number;
  migrated: number;
  lru: LruFrames;
}

/** First frame of the pageblock of a frame. */
export function pageblockStart(frame: number): number {
  return Math.floor(frame / PAGEBLOCK_PAGES) * PAGEBLOCK_PAGES;
}

/** First frame behind the pageblock of a frame. */
export function pageblockEnd(frame: number): number {
  return pageblockStart(frame) + PAGEBLOCK_PAGES;
}

/** First frame behind the aligned block of an order that holds a frame. */
export function blockEnd(frame: number, order: number): number {
  return (Math.floor(frame / (1 << order)) + 1) * (1 << order);
}

/** Does a pageblock hold memory of the zone? @kernel mm/page_alloc.c pageblock_pfn_to_page() */
export function isPageblockOfZone(zone: Zone, start: number): boolean {
  const block = start >>> PAGEBLOCK_ORDER;
  return start >= 0 && isOnlineBlock(zone, block) && start < zone.buddy.frames;
}

/** The free scanner has come to the migration scanner's pageblock. @kernel mm/compaction.c compact_scanners_met() */
export function scannersMet(cc: CompactControl): boolean {
  return Math.floor(cc.free / PAGEBLOCK_PAGES) <= Math.floor(cc.migrate / PAGEBLOCK_PAGES);
}

/** @kernel mm/compaction.c isolation_suitable() */
export function isolationSuitable(cc: CompactControl, frame: number): boolean {
  return cc.ignoreSkipHint || cc.state.skip[frame >>> PAGEBLOCK_ORDER] === 0;
}

/** How many list entries a fast search looks at: fewer after each failure. @kernel mm/compaction.c freelist_scan_limit() */
export function freelistScanLimit(cc: CompactControl): number {
  return (COMPACT_CLUSTER_MAX >> Math.min(cc.fastSearchFail, 31)) + 1;
}
