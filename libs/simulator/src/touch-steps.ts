/** The steps in which guests touch their memory: they start, and touch on, alone or several at the same time. */
import { PAGES_PER_HUGE } from './constants';
import { touchOverhead, touchRange, type TouchTarget } from './fault';
import { exitGuest } from './guest-exit';
import { mapHugetlb, populatingCpus } from './hugetlb-fault';
import { addGuest } from './kernel';
import { caveat, isStalled, passTime, type GuestState, type KernelState } from './kernel-state';
import { guestCaller } from './kernel-block';
import { spanOf } from './lru';
import { startProcess } from './process-pages';
import { freeSwapCache } from './swap';
import { spreadOverCpus } from './task-cpu';
import type { ReplayStep, StepResult } from './types';

/** Pages a guest touches before the next one of a `touch_many` has its turn. */
const TURN_PAGES = 64;

/** Called now and then inside a long step with the share of it that is done. */
export type Tick = (fraction: number) => void;

export interface StepOutcome {
  status: StepResult['status'];
  pagesDone: number;
  obtained?: number;
}

/** Names the process whose step begins. */
export function enter(k: KernelState, name: string, guest?: GuestState): void {
  k.current = { name, guest, killed: false };
}

/** Slows a step down to the rate asked for. */
export function pace(
  k: KernelState,
  startNs: number,
  pages: number,
  rate: number | undefined,
): void {
  if (!rate) return;
  const due = startNs + (pages / rate) * 1e9;
  if (due > k.timeNs) passTime(k, due - k.timeNs, false);
}

/** A guest's process starts and touches its memory, region by region. */
export function guestStep(
  k: KernelState,
  step: Extract<ReplayStep, { op: 'guest' }>,
  tick: Tick,
): StepOutcome {
  const guest = addGuest(k, step.guest);
  enter(k, step.guest.name, guest);
  const caller = guestCaller(guest, guest.cpuPositions[0]![0]!);
  guest.processPages = startProcess(k, step.guest.processPages, caller);
  for (const [i, region] of guest.spec.regions.entries()) {
    if (!region.hugetlb) continue;
    guest.hugetlb[i] = mapHugetlb(k, region, populatingCpus(k, guest, i)[0]!);
    if (guest.hugetlb[i]) continue;
    exitGuest(k, guest);
    return { status: 'enomem', pagesDone: 0 };
  }
  if (!touchOverhead(k, guest, guest.spec.overheadPages)) return cutShort(k, guest, 0);
  const total = step.touchPages.reduce((sum, pages) => sum + pages, 0);
  let done = 0;
  for (let i = 0; i < guest.mappings.length; i += 1) {
    const wanted = step.touchPages[i] ?? 0;
    const got = touchInTurns(
      k,
      startTarget(k, guest, i),
      0,
      wanted,
      step.ratePagesPerSecond,
      (part) => tick((done + part) / Math.max(total, 1)),
    );
    done += got;
    if (got < wanted || !guest.alive) return cutShort(k, guest, done);
  }
  return { status: 'ok', pagesDone: done };
}

/**
 * A touch that ended before all was touched. A guest that lives then has got no page and nobody could be killed for
 * it, which ends it as well: it would never go on.
 * @kernel mm/oom_kill.c out_of_memory(): a host without a process to kill panics
 * @differs the guest that asked is gone instead of the host
 */
function cutShort(k: KernelState, guest: GuestState, pagesDone: number): StepOutcome {
  if (guest.sigbus) return { status: 'sigbus', pagesDone };
  if (isStalled(k)) return { status: 'stalled', pagesDone };
  if (guest.alive) {
    caveat(
      k,
      'no-process-to-kill',
      `no page was left for ${guest.spec.name}, and no process that may be killed for it: the host's kernel panics or the guest hangs; the replay goes on without the guest`,
    );
    exitGuest(k, guest);
  }
  return { status: 'killed', pagesDone };
}

export function targetOf(guest: GuestState, index: number): TouchTarget {
  const region = guest.spec.regions[index]!;
  return { guest, region, mapping: guest.mappings[index]!, index };
}

/** What a guest's start touches: huge pages are populated by threads of their own. */
function startTarget(k: KernelState, guest: GuestState, index: number): TouchTarget {
  const target = targetOf(guest, index);
  return guest.hugetlb[index] ? { ...target, cpus: populatingCpus(k, guest, index) } : target;
}

/** Touches in pieces, so that progress is reported and a cancelled replay ends soon. */
function touchInTurns(
  k: KernelState,
  target: TouchTarget,
  offset: number,
  pages: number,
  rate: number | undefined,
  tick: (done: number) => void,
): number {
  const piece = rate ? TURN_PAGES : 256 * PAGES_PER_HUGE;
  const startNs = k.timeNs;
  let done = 0;
  while (done < pages) {
    const length = Math.min(piece, pages - done);
    const got = touchRange(k, target, offset + done, length);
    done += got;
    pace(k, startNs, done, rate);
    tick(done);
    if (got < length || !target.guest.alive) break;
  }
  return done;
}

export function findRegion(k: KernelState, name: string, cell: number): TouchTarget | undefined {
  const guest = k.guests.get(name);
  if (!guest?.alive) return undefined;
  const index = guest.spec.regions.findIndex((region) => region.cell === cell);
  return index < 0 ? undefined : targetOf(guest, index);
}

export const NO_SUCH_GUEST: StepOutcome = { status: 'no_such_guest', pagesDone: 0 };

export function touchStep(
  k: KernelState,
  step: Extract<ReplayStep, { op: 'touch' }>,
  tick: Tick,
): StepOutcome {
  const target = findRegion(k, step.name, step.cell);
  if (!target) return NO_SUCH_GUEST;
  enter(k, step.name, target.guest);
  target.readOnly = step.access === 'read';
  markYoung(k, target, step.offsetPages, step.pages);
  const done = touchInTurns(
    k,
    target,
    step.offsetPages,
    step.pages,
    step.ratePagesPerSecond,
    (part) => tick(part / Math.max(step.pages, 1)),
  );
  if (done < step.pages || !target.guest.alive) return cutShort(k, target.guest, done);
  return { status: 'ok', pagesDone: done };
}

/** Resident pages of the range are looked at again: their young bits are set; those written to need no slot. */
function markYoung(k: KernelState, target: TouchTarget, offset: number, pages: number): void {
  for (const run of [...target.mapping.runs]) {
    const keeps = target.readOnly === true || !run.swapCached;
    if (run.young && keeps) continue;
    if (run.offset >= offset + pages || run.offset + spanOf(run) <= offset) continue;
    const part = run.list!.isolatePart(run, offset, offset + pages);
    if (!part) continue;
    part.young = true;
    if (!keeps) freeSwapCache(k, part);
  }
}

/** `killed` where one of the guests got less than its touch asked for, `no_such_guest` where one was never there. */
export function touchManyStep(
  k: KernelState,
  step: Extract<ReplayStep, { op: 'touch_many' }>,
  tick: Tick,
): StepOutcome {
  const startNs = k.timeNs;
  const left = step.touches.map((touch) => ({ ...touch, done: 0 }));
  const total = step.touches.reduce((sum, touch) => sum + touch.pages, 0);
  let done = 0;
  let active = true;
  let status: StepOutcome['status'] = step.touches.every(({ name, cell }) =>
    findRegion(k, name, cell),
  )
    ? 'ok'
    : 'no_such_guest';
  k.busyCpus = spreadOverCpus(
    k,
    step.touches.flatMap(({ name, cell }) => findRegion(k, name, cell) ?? []),
  );
  while (active && !isStalled(k)) {
    active = false;
    for (const touch of left) {
      const target = findRegion(k, touch.name, touch.cell);
      const length = Math.min(TURN_PAGES, touch.pages - touch.done);
      if (!target || length <= 0) continue;
      active = true;
      enter(k, touch.name, target.guest);
      const got = touchRange(k, target, touch.offsetPages + touch.done, length);
      touch.done += got;
      done += got;
      if (got < length) status = cutShort(k, target.guest, done).status;
    }
    if (done % (TURN_PAGES * 256) < TURN_PAGES) tick(done / Math.max(total, 1));
  }
  k.busyCpus = [];
  pace(k, startNs, done, step.ratePagesPerSecond);
  // Another one's touch may have killed a guest between two of its turns.
  if (status === 'ok' && done < total) status = 'killed';
  return { status, pagesDone: done };
}
