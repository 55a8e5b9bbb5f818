/** Writing to swap: pages gather behind a plug, leave as requests to the device, and are written a moment later. */
import { PAGES_PER_HUGE } from './constants';
import { countVm, type KernelState } from './kernel-state';
import { accountRun, LRU_INACTIVE_ANON, partOf, piecesOf, type Run } from './lru';
import { lruvecOf } from './lruvec';
import { newMapping, type Mapping } from './page-map';

/** Slots that a CPU takes from the swap area at once. @kernel include/linux/swap_slots.h SWAP_SLOTS_CACHE_SIZE */
const SLOTS_PER_REFILL = 64;
/** Requests behind one plug, and pages of the newest of them, at which all leave. @kernel block/blk-mq.c blk_add_rq_to_plug() */
const PLUG_REQUESTS = 32;
const PLUG_FLUSH_PAGES = 32;

/** Neighbouring slots that are written together. */
export interface SwapRequest {
  pages: number;
  /** Slot behind its last page. */
  endSlot: number;
  /** When the device is done; Infinity behind the plug. */
  doneNs: number;
  /** What it writes, in order. */
  pieces: Run[];
  /** The swap cache of each owner that has pages in it. */
  caches: Mapping[];
}

/** Requests that one pass of reclaim has gathered (`struct blk_plug`). */
export interface SwapPlug {
  requests: SwapRequest[];
}

/** Slots handed out, and requests at the device. */
export interface SwapWrites {
  nextSlot: number;
  /** By CPU: slots it has taken and not used. */
  slots: Map<number, { slot: number; left: number }>;
  /** Behind a plug or at the device, in order of their first page. */
  requests: SwapRequest[];
  /** No request is over before then. */
  firstDoneNs: number;
}

export function noSwapWrites(): SwapWrites {
  return { nextSlot: 1, slots: new Map(), requests: [], firstDoneNs: Infinity };
}

/**
 * The next slots of a CPU, at most `pages` in one piece.
 * @kernel mm/swap_slots.c folio_alloc_swap()
 * @differs free slots lie in one piece, and none that was given back is used again
 */
function takeSlots(
  writes: SwapWrites,
  cpu: number,
  pages: number,
): { slot: number; count: number } {
  let cache = writes.slots.get(cpu);
  if (!cache) writes.slots.set(cpu, (cache = { slot: 0, left: 0 }));
  if (cache.left === 0) {
    cache.slot = writes.nextSlot;
    cache.left = SLOTS_PER_REFILL;
    writes.nextSlot += SLOTS_PER_REFILL;
  }
  const { slot } = cache;
  const count = Math.min(cache.left, pages);
  cache.slot += count;
  cache.left -= count;
  return { slot, count };
}

/**
 * Puts the pages of a run behind the plug.
 * @param run swap cache that stands on no list; its owner is the swap cache of a process
 * @param cpu whose slots it gets
 * @param timeNs when its page `index` is handed over
 * @returns the same pages, by request
 * @kernel mm/page_io.c __swap_writepage(), block/blk-merge.c blk_attempt_plug_merge(), block/blk-mq.c blk_add_rq_to_plug()
 */
export function submitWrite(
  k: KernelState,
  plug: SwapPlug,
  run: Run,
  cpu: number,
  timeNs: (index: number) => number,
): Run[] {
  const parts: Run[] = [];
  for (let at = 0; at < run.pages;) {
    const { slot, count } = run.huge
      ? { slot: -1, count: PAGES_PER_HUGE }
      : takeSlots(k.swapWrites, cpu, run.pages - at);
    for (let done = 0; done < count;) {
      const request = requestFor(k, plug, slot + done, () => timeNs(at));
      const room = run.huge ? count : k.hardware.swapRequestPages - request.pages;
      const pages = Math.min(room, count - done);
      const part = partOf(run, at, pages);
      part.owner = cacheOf(k, request, run.owner);
      request.pages += pages;
      request.endSlot = slot + done + pages;
      request.pieces.push(partOf(part, 0, pages));
      parts.push(part);
      done += pages;
      at += pages;
    }
  }
  return parts;
}

/** The newest request, if the slot follows it; else a new one, before which a full plug is emptied. */
function requestFor(
  k: KernelState,
  plug: SwapPlug,
  slot: number,
  timeNs: () => number,
): SwapRequest {
  const { requests } = plug;
  const newest = requests[requests.length - 1];
  const grows = newest?.endSlot === slot && newest.pages < k.hardware.swapRequestPages;
  if (newest && grows && newest.doneNs === Infinity) return newest;
  if (newest && (requests.length >= PLUG_REQUESTS || newest.pages >= PLUG_FLUSH_PAGES)) {
    flushPlug(k, plug, timeNs());
  }
  const request: SwapRequest = {
    pages: 0,
    endSlot: slot,
    doneNs: Infinity,
    pieces: [],
    caches: [],
  };
  plug.requests.push(request);
  k.swapWrites.requests.push(request);
  return request;
}

function cacheOf(k: KernelState, request: SwapRequest, cache: Mapping): Mapping {
  let own = request.caches.find(({ swapCacheOf }) => swapCacheOf === cache.swapCacheOf);
  if (!own) {
    own = newMapping('anon', cache.name, k.nodes.length, false, cache.guest);
    if (cache.swapCacheOf) own.swapCacheOf = cache.swapCacheOf;
    own.writtenBy = request;
    request.caches.push(own);
  }
  return own;
}

/** Hands everything behind a plug to the device. @kernel block/blk-core.c blk_finish_plug() */
export function flushPlug(k: KernelState, plug: SwapPlug, nowNs: number): void {
  const { swapWriteNs, swapWritePageNs } = k.hardware;
  for (const request of plug.requests) {
    if (request.doneNs !== Infinity) continue;
    request.doneNs = nowNs + swapWriteNs + request.pages * swapWritePageNs;
    k.swapWrites.firstDoneNs = Math.min(k.swapWrites.firstDoneNs, request.doneNs);
  }
  if (plug.requests.length > 0) plug.requests = [];
}

/**
 * Ends the writes that are over by `nowNs`: their pages are clean, and those on a list come next.
 * @kernel mm/page_io.c end_swap_bio_write(), mm/swap.c folio_rotate_reclaimable()
 */
export function endWrites(k: KernelState, nowNs: number): void {
  const writes = k.swapWrites;
  if (writes.firstDoneNs > nowNs) return;
  // In place: a few of many requests end each time.
  const { requests } = writes;
  const over: SwapRequest[] = [];
  let kept = 0;
  let firstDoneNs = Infinity;
  for (const request of requests) {
    if (request.doneNs <= nowNs) {
      over.push(request);
      continue;
    }
    requests[kept] = request;
    kept += 1;
    firstDoneNs = Math.min(firstDoneNs, request.doneNs);
  }
  requests.length = kept;
  writes.firstDoneNs = firstDoneNs;
  over.sort((a, b) => a.doneNs - b.doneNs);
  for (const request of over) endRequest(k, request);
}

/** Ends all writes of an owner at once, whose pages are about to go. @differs the kernel lets the device finish them */
export function endWritesOf(k: KernelState, owner: Mapping): void {
  const { requests } = k.swapWrites;
  if (requests.length === 0) return;
  const holds = ({ caches }: SwapRequest): boolean =>
    caches.some(({ swapCacheOf }) => swapCacheOf === owner);
  const over = requests.filter(holds);
  k.swapWrites.requests = requests.filter((request) => !holds(request));
  for (const request of over) endRequest(k, request);
}

function endRequest(k: KernelState, request: SwapRequest): void {
  request.doneNs = -Infinity;
  const runs = request.caches.flatMap((cache) => [...cache.runs]);
  for (const run of runs) run.list!.remove(run);
  // Pages that came to one scattered run may have others of the request between them.
  const pieces = runs
    .flatMap((run) => piecesOf(run))
    .map((run) => ({ run, position: positionIn(request, run) }))
    .sort((a, b) => a.position - b.position);
  for (const { run } of pieces) {
    settleWritten(run);
    countVm(k, 'pgrotated', run.pages);
    const { group } = run.owner.swapCacheOf!;
    lruvecOf(run.zone.node, group).lists[LRU_INACTIVE_ANON]!.pushOldest(run);
  }
}

/** Which page of a request a run begins with. */
function positionIn(request: SwapRequest, { zone, frame }: Run): number {
  let before = 0;
  for (const piece of request.pieces) {
    const unit = piece.huge ? PAGES_PER_HUGE : 1;
    const index = (frame - piece.frame) / piece.step;
    if (piece.zone === zone && index % unit === 0 && index >= 0 && index < piece.pages) {
      return before + index;
    }
    before += piece.pages;
  }
  return before;
}

/** A run of a request that is over belongs to its owner's swap cache again. */
export function settleWritten(run: Run): void {
  const request = run.owner.writtenBy;
  if (!request || request.doneNs !== -Infinity) return;
  accountRun(run, -1);
  run.owner = run.owner.swapCacheOf!.swapCache!;
  run.writeback = false;
  run.reclaim = false;
  accountRun(run, 1);
}
