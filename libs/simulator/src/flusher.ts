/** The flusher: who writes dirty page cache back, when, and in which order. */
import { countVm, type KernelState } from './kernel-state';
import { LRU_ACTIVE_FILE, LRU_INACTIVE_FILE, type Run } from './lru';
import type { MemoryGroup } from './memcg';
import { groupHoldsBack, groupsOverBackground } from './memcg-dirty';
import type { Mapping } from './page-map';
import type { NodeState } from './zone';
import {
  dirtyLimits,
  dirtyPages,
  endWriteback,
  markDirty,
  offsetAfter,
  pagesOf,
  startWriteback,
  writebackPages,
  type DirtyFile,
  type WritebackTotals,
} from './writeback';

/** Age at which the periodic run takes a file: dirty_expire_centisecs as the kernel boots. */
const DIRTY_EXPIRE_NS = 30_000_000_000;
const NS_PER_CENTISECOND = 10_000_000;
/** MIN_WRITEBACK_PAGES: what a file's turn is rounded to. */
const MIN_WRITEBACK_PAGES = 1024;
/** Writes end together that the device does in this time, but at least those of MIN_WRITEBACK_PAGES. */
const PIECE_SECONDS = 0.01;
/** MAX_PAUSE: a writer sleeps at most this long before it looks again. */
const MAX_PAUSE_NS = 200_000_000;

/** Why the flusher writes (`enum wb_reason`). */
type Reason = 'vmscan' | 'periodic' | 'background';

/** The thread that writes dirty cache back, an actor in virtual time. */
export interface Flusher {
  /** `waiting` for the periodic look, or `writing`. */
  state: 'asleep' | 'waiting' | 'writing';
  /** When it acts next; Infinity while it sleeps. */
  nextNs: number;
  /** Files with dirty pages, the one that was dirtied first first. */
  files: Map<Mapping, DirtyFile>;
  /** Somebody asked for everything to be written (WB_start_all). */
  startAll: boolean;
  /** Last periodic look (`last_old_flush`). */
  lastPeriodicNs: number;
  totals: WritebackTotals;
  /** By node position: pages under writeback at the start that no file of the model holds (swap). */
  otherWritebackPages: number[];
  /** The writing that is under way; each step's value is how long it takes, in ns. */
  run?: Generator<number, void>;
}

export function sleepingFlusher(): Flusher {
  return {
    state: 'asleep',
    nextNs: Infinity,
    files: new Map(),
    startAll: false,
    lastPeriodicNs: -Infinity,
    totals: { startPages: 0, dirtiedPages: 0, writtenPages: 0 },
    otherWritebackPages: [],
    run: undefined,
  };
}

/**
 * Takes over the dirty cache and the writes under way that the host begins with.
 * @differs how long they have been dirty is not known: their age counts from the start of the replay
 */
export function startFlusher(k: KernelState): void {
  const { flusher } = k;
  for (const mapping of k.hostMappings) {
    let pages = 0;
    for (const run of mapping.runs) if (isDirtyFile(run)) pages += run.pages;
    if (pages > 0) fileOf(k, mapping).dirtyPages = pages;
  }
  flusher.otherWritebackPages = k.nodes.map((node) => node.writebackPages - markWriting(node));
  flusher.totals.startPages = dirtyPages(k) + modelledWritebackPages(k);
  if (k.hostMappings.some((mapping) => mapping.writing.size > 0)) startRun(k, k.timeNs);
}

function isDirtyFile(run: Run): boolean {
  return run.dirty && run.owner.kind === 'file';
}

/** Pages under writeback that stand on lists. */
export function modelledWritebackPages(k: KernelState): number {
  return k.flusher.otherWritebackPages.reduce((sum, pages) => sum - pages, writebackPages(k));
}

/** Marks as many clean cache pages of a node, newest first, as it says to be writing. @returns pages marked */
function markWriting(node: NodeState): number {
  let left = node.writebackPages;
  // Of the host's own cache: groups have none before the first step.
  for (const list of [node.lists[LRU_INACTIVE_FILE]!, node.lists[LRU_ACTIVE_FILE]!]) {
    for (const run of left > 0 ? list.runs().reverse() : []) {
      if (left === 0) break;
      if (run.dirty || run.mapped || run.owner.kind !== 'file') continue;
      const part = list.isolateNewest(run, left);
      part.writeback = true;
      part.owner.writing.add(part);
      left -= part.pages;
    }
  }
  return node.writebackPages - left;
}

function fileOf(k: KernelState, mapping: Mapping): DirtyFile {
  const { flusher } = k;
  let file = flusher.files.get(mapping);
  if (!file) {
    file = { mapping, dirtyPages: 0, dirtiedNs: k.timeNs, index: 0, queued: false };
    flusher.files.set(mapping, file);
    if (flusher.state === 'asleep') rest(k, k.timeNs);
  }
  return file;
}

/** New dirty pages of a file. @kernel mm/page-writeback.c folio_account_dirtied(), fs/fs-writeback.c __mark_inode_dirty() */
export function noteDirtied(k: KernelState, mapping: Mapping, pages: number): void {
  if (pages === 0) return;
  fileOf(k, mapping).dirtyPages += pages;
  k.flusher.totals.dirtiedPages += pages;
  countVm(k, 'nr_dirtied', pages);
}

/** A process writes to pages of a file that are cached already. */
export function dirtyCached(k: KernelState, mapping: Mapping, from: number, to: number): void {
  noteDirtied(k, mapping, markDirty(k, mapping, from, to));
}

/**
 * Asks for dirty pages to be written: all of them, or until they are below the background threshold.
 * @kernel fs/fs-writeback.c wakeup_flusher_threads(), wb_start_background_writeback()
 */
export function wakeFlusher(k: KernelState, all: boolean): void {
  const { flusher } = k;
  if (flusher.files.size === 0) return;
  if (all) flusher.startAll = true;
  if (flusher.state !== 'writing') startRun(k, k.timeNs);
}

function startRun(k: KernelState, atNs: number): void {
  k.flusher.state = 'writing';
  k.flusher.run = flush(k);
  schedule(k, atNs, k.hardware.flusherLatencyNs, 1);
}

/** Sleeps until the next periodic look, if there will be one. @kernel fs/fs-writeback.c wb_wakeup_delayed() */
function rest(k: KernelState, nowNs: number): void {
  const { flusher } = k;
  const intervalNs = k.sysctl.dirty_writeback_centisecs * NS_PER_CENTISECOND;
  const waits = intervalNs > 0 && flusher.files.size > 0;
  flusher.state = waits ? 'waiting' : 'asleep';
  flusher.nextNs = waits ? nowNs + intervalNs : Infinity;
  flusher.run = undefined;
}

/**
 * The flusher is busy for `ns`. Where the allocating task has the node's only CPU all take equal turns, so
 * that this part of the time is lost to the task.
 * @param workers threads at work: the flusher, and once pages are under way the one that ends their writes
 * @differs on nodes with more CPUs they always find one to themselves
 */
function schedule(k: KernelState, atNs: number, ns: number, workers: number): void {
  k.flusher.nextNs = atNs + ns;
  if (k.cpus[k.allocatorCpu]?.node.cpus.length === 1) k.timeNs += (ns * workers) / (workers + 1);
}

/** Lets the flusher catch up with virtual time. */
export function advanceFlusher(k: KernelState): void {
  while (k.flusher.nextNs <= k.timeNs) flusherTurn(k);
}

/** What the flusher does at its next moment. */
export function flusherTurn(k: KernelState): void {
  const { flusher } = k;
  const nowNs = flusher.nextNs;
  if (flusher.state === 'waiting') return startRun(k, nowNs);
  const step = flusher.run!.next();
  if (step.done) rest(k, nowNs);
  else schedule(k, nowNs, step.value, 2);
}

/** Time passes without allocations until the flusher has done what it was woken for, for `mostNs` at most. */
export function finishWriting(k: KernelState, mostNs: number): void {
  const { flusher } = k;
  const untilNs = k.timeNs + mostNs;
  while (flusher.state === 'writing' && flusher.nextNs <= untilNs) {
    k.timeNs = Math.max(k.timeNs, flusher.nextNs);
    flusherTurn(k);
  }
}

/**
 * Everything that there is to do at one wake-up; yields how long each piece takes.
 * @kernel fs/fs-writeback.c wb_do_writeback()
 */
function* flush(k: KernelState): Generator<number, void> {
  for (const mapping of k.hostMappings) yield* finishRange(k, mapping, 0, Infinity);
  for (let reason = nextReason(k); reason; reason = nextReason(k)) {
    yield* writeFiles(k, reason);
    if (reason === 'vmscan') k.flusher.startAll = false;
  }
}

/** @kernel fs/fs-writeback.c wb_check_start_all(), wb_check_old_data_flush(), wb_check_background_flush() */
function nextReason(k: KernelState): Reason | undefined {
  const { flusher, sysctl } = k;
  if (flusher.files.size === 0) {
    flusher.startAll = false;
    return undefined;
  }
  if (flusher.startAll) return 'vmscan';
  const intervalNs = sysctl.dirty_writeback_centisecs * NS_PER_CENTISECOND;
  if (intervalNs > 0 && flusher.nextNs >= flusher.lastPeriodicNs + intervalNs) {
    flusher.lastPeriodicNs = flusher.nextNs;
    return 'periodic';
  }
  return overBackground(k) ? 'background' : undefined;
}

/**
 * More dirty pages than the background threshold allows?
 * @kernel mm/page-writeback.c wb_over_bg_thresh()
 * @differs no share of the threshold per device
 */
function overBackground(k: KernelState): boolean {
  return dirtyPages(k) > dirtyLimits(k).backgroundPages || groupsOverBackground(k);
}

/**
 * Writes files in turn, a chunk of each, until the reason is gone.
 * @kernel fs/fs-writeback.c wb_writeback(), queue_io(), writeback_sb_inodes()
 */
function* writeFiles(k: KernelState, reason: Reason): Generator<number, void> {
  const startNs = k.flusher.nextNs;
  let left = reason === 'background' ? Infinity : dirtyPages(k);
  for (;;) {
    const round = dueFiles(k, reason, startNs);
    if (round.length === 0) return;
    for (const file of round) file.queued = true;
    for (const file of round) {
      if (left <= 0 || (reason === 'background' && !overBackground(k))) return;
      const chunk = Math.min(chunkPages(k), left);
      left -= yield* writeChunk(k, file, chunk);
    }
  }
}

/** Files that were begun come first, then those that are old enough, oldest first. */
function dueFiles(k: KernelState, reason: Reason, startNs: number): DirtyFile[] {
  const files = [...k.flusher.files.values()];
  const newestNs = reason === 'periodic' ? startNs - DIRTY_EXPIRE_NS : startNs;
  return [
    ...files.filter((file) => file.queued),
    ...files.filter((file) => !file.queued && file.dirtiedNs <= newestNs),
  ];
}

/**
 * Pages of one file before the next has its turn: what the device writes in half a second, but no more than
 * an eighth of the dirty threshold.
 * @kernel fs/fs-writeback.c writeback_chunk_size()
 * @differs the device's speed is known from the start, the kernel estimates it
 */
function chunkPages(k: KernelState): number {
  const pages = Math.min(k.hardware.writebackPagesPerSecond / 2, dirtyLimits(k).threshPages / 8);
  return Math.floor(pages / MIN_WRITEBACK_PAGES + 1) * MIN_WRITEBACK_PAGES;
}

/** @returns pages that were put under writeback, all of them written when it ends */
function* writeChunk(k: KernelState, file: DirtyFile, pages: number): Generator<number, number> {
  const before = file.dirtyPages;
  const { from, to } = startWriteback(k, file, pages);
  const taken = before - file.dirtyPages;
  if (file.dirtyPages === 0) k.flusher.files.delete(file.mapping);
  yield* finishRange(k, file.mapping, from, to);
  return taken;
}

/** The device writes what is under writeback in a range of a file, piece by piece. */
function* finishRange(
  k: KernelState,
  mapping: Mapping,
  from: number,
  to: number,
): Generator<number, void> {
  const rate = k.hardware.writebackPagesPerSecond;
  const piece = Math.max(Math.floor(rate * PIECE_SECONDS), MIN_WRITEBACK_PAGES);
  let at = from;
  while (pagesOf(mapping.writing, at, to) > 0) {
    const until = Math.min(offsetAfter([...mapping.writing], at, piece), to);
    const pages = pagesOf(mapping.writing, at, until);
    yield (pages / rate) * 1e9;
    k.flusher.totals.writtenPages += endWriteback(k, mapping, at, until);
    at = until;
  }
}

function holdsBack(k: KernelState, group: MemoryGroup | undefined): boolean {
  const { backgroundPages, threshPages } = dirtyLimits(k);
  const freerunPages = Math.floor((threshPages + backgroundPages) / 2);
  return dirtyPages(k) + writebackPages(k) > freerunPages || groupHoldsBack(k, group);
}

/**
 * A task that has dirtied pages wakes the flusher above the background threshold, and sleeps while there is
 * too much dirty cache half-way from there to the dirty threshold.
 * @kernel mm/page-writeback.c balance_dirty_pages()
 * @differs the writer goes on at the flusher's pace; the kernel steers it smoothly to the middle between
 * that point and the threshold
 * @param group that it runs in, which has thresholds of its own
 */
export function balanceDirtyPages(k: KernelState, group?: MemoryGroup): void {
  const { flusher } = k;
  const pauseEndNs = k.timeNs + MAX_PAUSE_NS;
  for (;;) {
    if (overBackground(k)) wakeFlusher(k, false);
    if (!holdsBack(k, group) || flusher.state !== 'writing') return;
    if (flusher.nextNs > pauseEndNs) {
      k.timeNs = Math.max(k.timeNs, pauseEndNs);
      return;
    }
    k.timeNs = Math.max(k.timeNs, flusher.nextNs);
    flusherTurn(k);
  }
}
