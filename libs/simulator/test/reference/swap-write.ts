import { addToLru, hasFlag, removeFromLru, setFlag, testClearFlag } from './lru';
import type { ScanControl } from './scan-count';
import { INACTIVE_ANON, PG_WRITEBACK, count } from './state';
import type { SwapRequest, System } from './state';

/** SWAP_SLOTS_CACHE_SIZE */
const SLOTS = 64;
/** BLK_MAX_REQUEST_COUNT, and BLK_PLUG_FLUSH_SIZE in pages. */
const PLUG_MAX = 32;

/** @kernel mm/swap_slots.c folio_alloc_swap(); slots are never scarce in one place, and never used again */
function takeSlot(system: System, cpu: number): number {
  const writes = system.swapWrites;
  const row = system.mutation === 'slots of all CPUs from one row' ? 0 : cpu;
  let cache = writes.slots.get(row);
  if (cache === undefined || cache.left === 0) {
    cache = { slot: writes.nextSlot, left: SLOTS };
    writes.slots.set(row, cache);
    writes.nextSlot += SLOTS;
  }
  cache.left--;
  return cache.slot++;
}

/**
 * A page joins the newest request behind the plug if its slot is the next one and the request has room; a
 * new request empties a plug first that holds many, or whose newest is large.
 * @kernel block/blk-merge.c blk_attempt_plug_merge(), block/blk-mq.c blk_add_rq_to_plug()
 */
export function submitPage(system: System, sc: ScanControl, page: number, nowNs: number): void {
  setFlag(system, page, PG_WRITEBACK);
  const slot = takeSlot(system, sc.cpu);
  let newest = sc.plug[sc.plug.length - 1];
  const fits =
    newest !== undefined &&
    !newest.ended &&
    newest.endSlot === slot &&
    newest.pages.length < system.config.costs.swapRequestPages;
  if (newest === undefined || !fits) {
    if (newest !== undefined && (sc.plug.length >= PLUG_MAX || newest.pages.length >= PLUG_MAX)) {
      flushPlug(system, sc, nowNs);
    }
    newest = { pages: [], endSlot: slot, doneNs: Infinity, ended: false };
    sc.plug.push(newest);
    system.swapWrites.requests.push(newest);
  }
  newest.pages.push(page);
  newest.endSlot = slot + 1;
}

/** @kernel block/blk-core.c blk_finish_plug() */
export function flushPlug(system: System, sc: ScanControl, nowNs: number): void {
  const { swapWriteNs, swapWritePageNs } = system.config.costs;
  for (const request of sc.plug) {
    request.doneNs = nowNs + swapWriteNs + request.pages.length * swapWritePageNs;
  }
  sc.plug = [];
}

/** @kernel mm/page_io.c end_swap_bio_write(), mm/swap.c folio_rotate_reclaimable() */
function endRequest(system: System, request: SwapRequest): void {
  request.ended = true;
  const { requests } = system.swapWrites;
  requests.splice(requests.indexOf(request), 1);
  for (const page of request.pages) {
    testClearFlag(system, page, PG_WRITEBACK);
    if ((system.pages.lru[page] ?? -1) >= 0) {
      removeFromLru(system, page);
      const stays = system.mutation === 'written page stays where it is';
      addToLru(system, page, INACTIVE_ANON, stays ? 'head' : 'tail');
      count(system, 'pgrotated');
    }
  }
}

/** The device is done with what was due by now. */
export function endWrites(system: System, nowNs: number): void {
  const due = system.swapWrites.requests.filter((request) => request.doneNs <= nowNs);
  due.sort((a, b) => a.doneNs - b.doneNs);
  due.forEach((request) => endRequest(system, request));
}

/** Nobody waits for writes of an owner whose pages go: they end at once. */
export function endWritesOf(system: System, owner: number): void {
  system.swapWrites.requests
    .filter(({ pages }) => pages.some((page) => system.pages.owner[page] === owner))
    .forEach((request) => endRequest(system, request));
}

export function isUnderWriteback(system: System, page: number): boolean {
  return hasFlag(system, page, PG_WRITEBACK);
}
