/** Runs of LRU pages with equal state: what they are, how they are cut, and which join. */
import { PAGES_PER_HUGE } from './constants';
import type { Lru } from './lru';
import type { Mapping } from './page-map';
import { MAX_PLACES, Places } from './places';
import type { Zone } from './zone';

/**
 * Pages that one look of reclaim treats alike, oldest first. Place i is its owner's page `offset + i * stride`
 * (a negative stride only in a swap cache) and, unless `places` says otherwise, holds a page at `frame + i * step`.
 * Huge runs hold whole 2 MiB pages; there `step` moves by blocks.
 */
export interface Run {
  owner: Mapping;
  zone: Zone;
  pages: number;
  /** First page (of a huge run: first page of the first block), relative to the zone's base. */
  frame: number;
  step: 1 | -1;
  offset: number;
  stride: number;
  /** Scattered runs only: places without a page, or frames that do not follow each other. */
  places: Places | undefined;
  /** Mapped by a process. */
  mapped: boolean;
  /** Page-table young bit. */
  young: boolean;
  /** PG_referenced. */
  referenced: boolean;
  /** Was active before (PG_workingset). */
  workingset: boolean;
  dirty: boolean;
  /** PG_writeback: on its way to its file; dirty again if it was written to meanwhile. */
  writeback: boolean;
  /** PG_reclaim: reclaim met it dirty; when its write ends it goes to the tail. */
  reclaim: boolean;
  /** PG_swapcache while mapped: it was read back and not written since, and keeps its slot. */
  swapCached: boolean;
  /** Transparent huge pages: `pages` is a multiple of 512 and leaves the list in whole ones; never scattered. */
  huge: boolean;
  /** The list it stands on, and its neighbours there. */
  list: Lru | undefined;
  newer: Run | undefined;
  older: Run | undefined;
}

/**
 * A run with all marks clear that is not scattered. Arguments one by one, fields always in this order: runs are
 * made all the time, and reading objects of many shapes, as newRun() does, takes several times as long.
 */
export function plainRun(
  owner: Mapping,
  zone: Zone,
  pages: number,
  frame: number,
  step: 1 | -1,
  offset: number,
  stride = 1,
): Run {
  return {
    owner,
    zone,
    pages,
    frame,
    step,
    offset,
    stride,
    places: undefined,
    mapped: false,
    young: false,
    referenced: false,
    workingset: false,
    dirty: false,
    writeback: false,
    reclaim: false,
    swapCached: false,
    huge: false,
    list: undefined,
    newer: undefined,
    older: undefined,
  };
}

/** What a run needs to be made; marks that are not given are clear, and it is not scattered. */
export function newRun(
  values: Pick<Run, 'owner' | 'zone' | 'pages' | 'frame' | 'offset'> & Partial<Run>,
): Run {
  const { owner, zone, pages, frame, step = 1, offset, stride = 1 } = values;
  const run = plainRun(owner, zone, pages, frame, step, offset, stride);
  run.mapped = values.mapped ?? false;
  run.young = values.young ?? false;
  run.referenced = values.referenced ?? false;
  run.workingset = values.workingset ?? false;
  run.dirty = values.dirty ?? false;
  run.writeback = values.writeback ?? false;
  run.reclaim = values.reclaim ?? false;
  run.swapCached = values.swapCached ?? false;
  run.huge = values.huge ?? false;
  return run;
}

/** Pages with the owner and marks of a run, on no list. */
function likeRun(run: Run, pages: number, frame: number, step: 1 | -1, offset: number): Run {
  const made = plainRun(run.owner, run.zone, pages, frame, step, offset, run.stride);
  made.mapped = run.mapped;
  made.young = run.young;
  made.referenced = run.referenced;
  made.workingset = run.workingset;
  made.dirty = run.dirty;
  made.writeback = run.writeback;
  made.reclaim = run.reclaim;
  made.swapCached = run.swapCached;
  made.huge = run.huge;
  return made;
}

/** Places of a run, those without a page included. */
export function placesOf(run: Run): number {
  return run.places ? run.places.span : run.pages;
}

/** Owner's pages from the first to the last of a run, gaps included. */
export function spanOf(run: Run): number {
  return placesOf(run) * run.stride;
}

/** First place of a run whose owner's page is at or behind an offset; 0 to its number of places. */
export function placeAt(run: Run, offset: number): number {
  return Math.min(Math.max(Math.ceil((offset - run.offset) / run.stride), 0), placesOf(run));
}

/** Pages of a run whose owner's offset lies in [from, to). */
export function pagesBetween(run: Run, from: number, to: number): number {
  const [first, end] = [placeAt(run, from), placeAt(run, to)];
  return run.places ? run.places.count(first, end) : Math.max(end - first, 0);
}

/**
 * Frame of the page in a run's place. Where frames descend the way to the first is -0, which would make a boxed floating
 * point number of the frame, and of whatever is reckoned from it: hence the operator.
 */
export function frameAt(run: Run, place: number): number {
  if (run.places?.listed) return run.places.frameAt(place);
  if (!run.huge) return (run.frame + run.step * place) | 0;
  const block = Math.floor(place / PAGES_PER_HUGE);
  return (run.frame + run.step * block * PAGES_PER_HUGE + (place % PAGES_PER_HUGE)) | 0;
}

/** First place at or behind one that holds a page; the number of places where none does. */
export function nextHeld(run: Run, place: number): number {
  return run.places ? run.places.next(place) : place;
}

/** End of the piece that begins with a held place: pages whose frames follow each other in one direction. */
export function pieceEnd(run: Run, place: number): number {
  return run.places ? run.places.pieceEnd(place) : run.pages;
}

/** Direction of the frames of the piece [place, end). */
export function pieceStep(run: Run, place: number, end: number): 1 | -1 {
  if (!run.places?.listed) return run.step;
  return end - place > 1 && frameAt(run, place + 1) < frameAt(run, place) ? -1 : 1;
}

/** A copy of pages of one piece of a run that stands on no list and is not scattered. */
export function partOf(run: Run, from: number, pages: number): Run {
  const step = pieceStep(run, from, from + pages);
  return likeRun(run, pages, frameAt(run, from), step, run.offset + from * run.stride);
}

/** The pieces of a run, none of them scattered, oldest first; the run itself where it is not. */
export function piecesOf(run: Run): Run[] {
  if (!run.places) return [run];
  const pieces: Run[] = [];
  run.places.eachPiece((place, end) => pieces.push(partOf(run, place, end - place)));
  return pieces;
}

/** A copy of the pages in places [from, to) that stands on no list; undefined where they hold none. */
export function sliceOf(run: Run, from: number, to: number): Run | undefined {
  if (!run.places) return to > from ? partOf(run, from, to - from) : undefined;
  const copy = run.places.copy(from, to);
  return copy && runWith(run, copy.places, copy.first);
}

/** A run like another one, with places that begin at one of its. */
function runWith(run: Run, places: Places, first: number): Run {
  const pages = places.count(0, places.span);
  const frame = frameAt(run, first);
  const made = likeRun(run, pages, frame, run.step, run.offset + first * run.stride);
  made.places = places;
  settle(made);
  return made;
}

/** Drops a run's places where it is in one piece. */
function settle(run: Run): void {
  const { places } = run;
  if (!places || places.span !== run.pages) return;
  if (places.listed && (run.pages >= SHORT || places.pieceEnd(0) < run.pages)) return;
  run.step = pieceStep(run, 0, run.pages);
  run.places = undefined;
}

/** Makes a run end before a place. */
export function truncate(run: Run, end: number): void {
  if (!run.places) {
    run.pages = end;
    return;
  }
  run.places.empty(end, run.places.span);
  run.pages = run.places.count(0, run.places.span);
  settle(run);
}

/** Takes places [from, to) with `pages` pages out of a run that keeps others. */
export function hollow(run: Run, from: number, to: number, pages: number): void {
  if (from === 0 && !run.places) {
    run.frame = frameAt(run, to);
    run.offset += to * run.stride;
    run.pages -= pages;
    return;
  }
  run.places ??= Places.filled(run.pages);
  giveUpFront(run, run.places.empty(from, to));
  run.pages -= pages;
  settle(run);
}

function giveUpFront(run: Run, places: number): void {
  if (places === 0) return;
  run.offset += places * run.stride;
  // The listed frames begin with the first place that is left already.
  run.frame = run.places?.listed ? run.places.frameAt(0) : (run.frame + run.step * places) | 0;
}

/**
 * Takes the pages of a scattered run out of it whose owner's offset lies in [from, to) and is picked.
 * @returns a run with them that stands on no list, undefined when there are none; the run may have none left
 */
export function extract(
  run: Run,
  from: number,
  to: number,
  picks: (offset: number) => boolean,
): Run | undefined {
  const { offset, stride, places } = run;
  const split = places!.split(placeAt(run, from), placeAt(run, to), (place) =>
    picks(offset + place * stride),
  );
  if (!split) return undefined;
  const frame = split.places.listed
    ? split.places.frameAt(0)
    : (run.frame + run.step * split.first) | 0;
  const taken = likeRun(run, split.pages, frame, run.step, offset + split.first * stride);
  taken.places = split.places;
  settle(taken);
  run.pages -= taken.pages;
  if (run.pages > 0) {
    giveUpFront(run, split.gone);
    settle(run);
  }
  return taken;
}

function alike(a: Run, b: Run): boolean {
  return (
    a.owner === b.owner &&
    a.zone === b.zone &&
    a.mapped === b.mapped &&
    a.young === b.young &&
    a.referenced === b.referenced &&
    a.workingset === b.workingset &&
    a.dirty === b.dirty &&
    a.writeback === b.writeback &&
    a.reclaim === b.reclaim &&
    a.swapCached === b.swapCached &&
    a.huge === b.huge
  );
}

/** Widest distance between neighbours of one run, in the owner's pages: that of interleaving over so many nodes. */
const MAX_STRIDE = 64;
/** Runs below this size share a scattered one: as many bytes as a run of its own would take are enough for its places. */
const SHORT = 32;
/** Places without a page between two pages, at most: 8 bytes of bits. */
const MAX_GAP = 64;
/** The same where each place takes the bytes of its frame. */
const MAX_LISTED_GAP = 3;

/** Appends `run` to `newest` where it goes on in both address spaces, or where both are too short to stand alone. */
export function join(newest: Run, run: Run): boolean {
  if (!alike(newest, run)) return false;
  if (newest.huge) {
    if (newest.step !== run.step || frameAt(newest, newest.pages) !== run.frame) return false;
    if (newest.offset + newest.pages !== run.offset) return false;
    newest.pages += run.pages;
    return true;
  }
  if (run.places) return false;
  return (!newest.places && joinInLine(newest, run)) || joinScattered(newest, run);
}

function joinInLine(newest: Run, run: Run): boolean {
  const step = run.frame - frameAt(newest, newest.pages - 1);
  const stride = run.offset - (newest.offset + (newest.pages - 1) * newest.stride);
  if ((step !== 1 && step !== -1) || stride < 1 || stride > MAX_STRIDE) return false;
  const fits = (part: Run): boolean =>
    part.pages === 1 || (part.step === step && part.stride === stride);
  if (!fits(newest) || !fits(run)) return false;
  newest.step = step;
  newest.stride = stride;
  newest.pages += run.pages;
  return true;
}

function joinScattered(newest: Run, run: Run): boolean {
  if (run.pages >= SHORT || (!newest.places && newest.pages >= SHORT)) return false;
  const stride = commonStride(newest, run);
  const place = (run.offset - newest.offset) / stride;
  const gap = place - placesOf(newest);
  if (stride < 1 || stride > MAX_STRIDE || !Number.isInteger(place)) return false;
  if (gap < 0 || gap > MAX_GAP || place + run.pages > MAX_PLACES) return false;
  if (!newest.places?.listed) {
    const step = commonStep(newest, run);
    if (step !== 0 && run.frame - newest.frame === step * place) {
      newest.places ??= Places.filled(newest.pages);
      newest.step = step;
      newest.places.append(gap, run.pages);
    } else {
      if (placesOf(newest) >= SHORT || gap > MAX_LISTED_GAP) return false;
      newest.places ??= Places.filled(newest.pages);
      newest.places.list(newest.frame, newest.step);
      newest.places.appendListed(gap, run.pages, run.frame, run.step);
    }
  } else {
    if (gap > MAX_LISTED_GAP || endsInLine(newest, run)) return false;
    newest.places.appendListed(gap, run.pages, run.frame, run.step);
  }
  newest.stride = stride;
  newest.pages += run.pages;
  return true;
}

/** Distance of neighbours in both runs; 0 where they differ. A single page fits both. */
function commonStride(newest: Run, run: Run): number {
  if (newest.pages > 1) return run.pages > 1 && run.stride !== newest.stride ? 0 : newest.stride;
  if (run.pages > 1) return run.stride;
  const distance = run.offset - newest.offset;
  return Math.abs(run.frame - newest.frame) === distance ? 1 : distance;
}

/** Direction of both runs; 0 where they differ. A single page fits both. */
function commonStep(newest: Run, run: Run): 1 | -1 | 0 {
  if (newest.pages > 1) return run.pages > 1 && run.step !== newest.step ? 0 : newest.step;
  if (run.pages > 1) return run.step;
  return run.frame > newest.frame ? 1 : -1;
}

/** Does a run with listed frames end in so long a piece, which `run` goes on with, that both should stand alone? */
function endsInLine(newest: Run, run: Run): boolean {
  const last = placesOf(newest) - 1;
  const step = run.frame - frameAt(newest, last);
  if ((step !== 1 && step !== -1) || last < SHORT / 2) return false;
  const from = last - SHORT / 2;
  return nextHeld(newest, from) === from && pieceEnd(newest, from) > last;
}

/** Turns the page order of a run that is not scattered around; the blocks of a huge run keep theirs inside. */
export function reverse(run: Run): void {
  if (run.huge) {
    run.frame = frameAt(run, run.pages - PAGES_PER_HUGE);
  } else {
    run.frame = frameAt(run, run.pages - 1);
    run.offset += (run.pages - 1) * run.stride;
    run.stride = -run.stride;
  }
  run.step = run.step === 1 ? -1 : 1;
}
