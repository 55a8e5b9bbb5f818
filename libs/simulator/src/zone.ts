/** State of nodes and zones, and the two ways pages enter and leave a zone's free memory. */
import { PAGES_PER_HUGE } from './constants';
import type { Lru } from './lru';
import { freeToPcp, type Pcp } from './pcp';
import type { Numastat, ZoneName } from './types';

/**
 * A populated zone. Free memory is a count; `hugeFree` of it lies in free blocks of order >= 9.
 * managed = free + pcp + LRU pages + kernelPages + otherPages at every moment (see verify.ts).
 */
export interface Zone {
  node: NodeState;
  name: ZoneName;
  index: number;
  managed: number;
  present: number;
  free: number;
  hugeFree: number;
  /** Freed pages that have not yet filled a 2 MiB block. */
  mergingPages: number;
  boost: number;
  min: number;
  low: number;
  high: number;
  protection: number[];
  pcpBatch: number;
  pcpHigh: number;
  /** One list per CPU of the host, by CPU position. */
  pcps: Pcp[];
  /** Pages per LRU list, by list index (see lru.ts). */
  lruPages: number[];
  /** Page tables and slab that the replay itself allocated. */
  kernelPages: number;
  /** Pages in use that no list of the model holds: constant over a replay. */
  otherPages: number;
  /** kswapd works on the node: pcp lists are kept short. */
  reclaimActive: boolean;
}

/** The node's background reclaimer as an actor in virtual time. */
export interface KswapdTask {
  state: 'asleep' | 'napping' | 'running';
  /** When it acts next; Infinity while it sleeps. */
  nextNs: number;
  /** The balancing that is under way; each step is one batch, its value the batch's cost in ns. */
  run?: Generator<number, number>;
}

export interface NodeState {
  id: number;
  /** Array position, used for masks and distances. */
  position: number;
  cpus: number[];
  zones: Zone[];
  lists: Lru[];
  filePages: number;
  mappedPages: number;
  shmemPages: number;
  anonPages: number;
  dirtyPages: number;
  writebackPages: number;
  slabReclaimable: number;
  hugeAnonPages: number;
  numastat: Numastat;
  minUnmappedPages: number;
  minSlabPages: number;
  nonresidentAge: number;
  anonCost: number;
  fileCost: number;
  kswapdFailures: number;
  kswapd: KswapdTask;
  /** Refault activations seen at the last snapshot (`lruvec->refaults`), anon and file. */
  refaults: [number, number];
  refaultsSeen: [number, number];
}

/** Takes pages off the buddy lists, small blocks before 2 MiB ones. */
export function takeFree(zone: Zone, pages: number): void {
  const small = zone.free - zone.hugeFree;
  if (pages > small) {
    zone.hugeFree -= Math.ceil((pages - small) / PAGES_PER_HUGE) * PAGES_PER_HUGE;
  }
  zone.free -= pages;
}

/** Takes one 2 MiB block off the buddy lists. */
export function takeHuge(zone: Zone): void {
  zone.hugeFree -= PAGES_PER_HUGE;
  zone.free -= PAGES_PER_HUGE;
}

/**
 * Gives pages back to the buddy lists.
 * @param contiguous the pages left their owner in address order, so that whole blocks re-form
 * @differs merging is by count: 512 contiguously freed pages make one block
 */
export function giveFree(zone: Zone, pages: number, contiguous: boolean): void {
  zone.free += pages;
  if (!contiguous) return;
  zone.mergingPages += pages;
  const blocks = Math.floor(zone.mergingPages / PAGES_PER_HUGE);
  zone.mergingPages -= blocks * PAGES_PER_HUGE;
  const fitting = Math.floor(zone.free / PAGES_PER_HUGE) * PAGES_PER_HUGE;
  zone.hugeFree = Math.min(zone.hugeFree + blocks * PAGES_PER_HUGE, fitting);
}

/** Frees order-0 pages through a CPU's list, as reclaim and exit do. */
export function freePages(zone: Zone, cpu: number, pages: number, contiguous = true): void {
  const high = zone.reclaimActive ? Math.min(zone.pcpBatch * 4, zone.pcpHigh) : zone.pcpHigh;
  const drained = freeToPcp(zone.pcps[cpu]!, pages, high, zone.pcpBatch);
  if (drained > 0) giveFree(zone, drained, contiguous);
}

/** Empties every CPU's list of the zone (drain_all_pages). */
export function drainPcps(zone: Zone): void {
  for (const pcp of zone.pcps) {
    if (pcp.pages > 0) giveFree(zone, pcp.pages, true);
    if (pcp.hugePages > 0) {
      zone.free += pcp.hugePages;
      zone.hugeFree += pcp.hugePages;
    }
    pcp.pages = 0;
    pcp.hugePages = 0;
  }
}

export function pcpPages(zone: Zone): number {
  return zone.pcps.reduce((sum, pcp) => sum + pcp.pages + pcp.hugePages, 0);
}
