/** The kernel's thread that makes huge pages of base pages, a few each time it wakes. */
import { PAGEBLOCK_ORDER } from './buddy';
import { HUGE_ORDER, PAGES_PER_HUGE, RECLAIM_DISTANCE } from './constants';
import { policyContext } from './fault';
import { freeOffsets } from './guest-exit';
import { countVm, type GuestState, type KernelState } from './kernel-state';
import { accountRun, lruList, newRun, type Run } from './lru';
import { pagesBetween, spanOf } from './lru-run';
import { lruvecOf } from './lruvec';
import { chargeHuge, freeUnused } from './memcg-charge';
import { allocContext, allocPages } from './page-alloc';
import type { Mapping } from './page-map';
import { thpMode } from './thp';
import type { KhugepagedSettings } from './types';

/** What a kernel boots with. @kernel mm/khugepaged.c khugepaged_init() */
const BOOT_SETTINGS: KhugepagedSettings = {
  scanSleepMs: 10_000,
  allocSleepMs: 60_000,
  pagesToScan: 8 * PAGES_PER_HUGE,
  maxPtesNone: PAGES_PER_HUGE - 1,
};
const NS_PER_MS = 1_000_000;
/** It runs on the first CPU. */
const CPU = 0;

/** khugepaged as an actor in virtual time, and where it goes on (`khugepaged_scan`). */
export interface KhugepagedTask {
  /** When it acts next; Infinity while nobody may have huge pages. */
  nextNs: number;
  /** The guest that it looks at next, by name; undefined: the first. */
  guest?: string;
  region: number;
  /** 2 MiB of the region. */
  block: number;
  fullScans: number;
  pagesCollapsed: number;
}

export function waitingKhugepaged(): KhugepagedTask {
  return {
    nextNs: Infinity,
    guest: undefined,
    region: 0,
    block: 0,
    fullScans: 0,
    pagesCollapsed: 0,
  };
}

function settingsOf({ thp }: KernelState): KhugepagedSettings {
  return thp.khugepaged ?? BOOT_SETTINGS;
}

/** Regions of a guest that it looks at, by number. */
function eligibleRegions(k: KernelState, guest: GuestState): number[] {
  return guest.spec.regions.flatMap((region, i) => {
    const huge = !region.hugetlb && thpMode(k, region.thp).eligible;
    const mapping = guest.mappings[i];
    return huge && mapping?.present && !mapping.shmem ? [i] : [];
  });
}

/** Guests with such memory, in the order in which they came. */
function mmList(k: KernelState): GuestState[] {
  return [...k.guests.values()].filter(
    (guest) => guest.alive && eligibleRegions(k, guest).length > 0,
  );
}

/**
 * Lets khugepaged catch up with virtual time.
 * @param startNs when the guests came that it did not know yet
 * @kernel mm/khugepaged.c khugepaged(), khugepaged_wait_work()
 * @differs it acts between steps, which wait for none of what it does
 */
export function advanceKhugepaged(k: KernelState, startNs: number): void {
  const task = k.khugepaged;
  if (mmList(k).length === 0) {
    task.nextNs = Infinity;
    return;
  }
  // A millisecond at least: without any sleep its scans would take all the time there is.
  const sleepNs = Math.max(settingsOf(k).scanSleepMs, 1) * NS_PER_MS;
  // The first guest wakes it, before it has touched anything.
  if (task.nextNs === Infinity) task.nextNs = startNs + sleepNs;
  while (task.nextNs <= k.timeNs) {
    const { timeNs, current } = k;
    k.current = { name: 'khugepaged', guest: undefined, killed: false };
    task.nextNs += doScan(k) + sleepNs;
    k.current = current;
    k.timeNs = timeNs;
  }
}

/**
 * Looks at as much as one wake-up allows, and rests once when there is no huge page to be had.
 * @returns how long it rested, ns
 * @kernel mm/khugepaged.c khugepaged_do_scan(), khugepaged_alloc_sleep()
 */
function doScan(k: KernelState): number {
  const { pagesToScan, allocSleepMs } = settingsOf(k);
  let progress = 0;
  let tries = 2;
  let passedHead = k.khugepaged.guest === undefined ? 1 : 0;
  while (progress < pagesToScan) {
    const place = nextPlace(k);
    if (!place) {
      // The end of the list: its start is gone on with once.
      passedHead += 1;
      k.khugepaged.fullScans += 1;
      if (passedHead > 1) break;
      continue;
    }
    const { guest, region, block } = place;
    progress += PAGES_PER_HUGE;
    if (collapseBlock(k, guest, region, block)) continue;
    tries -= 1;
    if (tries === 0) break;
  }
  return tries < 2 ? allocSleepMs * NS_PER_MS : 0;
}

/** The next 2 MiB to look at; undefined behind the last. @kernel mm/khugepaged.c khugepaged_scan_mm_slot() */
function nextPlace(
  k: KernelState,
): { guest: GuestState; region: number; block: number } | undefined {
  const task = k.khugepaged;
  const guests = mmList(k);
  let at = guests.findIndex(({ spec }) => spec.name === task.guest);
  if (at < 0) {
    at = 0;
    Object.assign(task, { region: 0, block: 0 });
  }
  for (; at < guests.length; at += 1) {
    const guest = guests[at]!;
    for (const region of eligibleRegions(k, guest)) {
      if (region < task.region) continue;
      const block = region === task.region ? task.block : 0;
      const blocks = Math.floor(guest.spec.regions[region]!.sizePages / PAGES_PER_HUGE);
      if (block >= blocks) continue;
      Object.assign(task, { guest: guest.spec.name, region, block: block + 1 });
      return { guest, region, block };
    }
    Object.assign(task, { region: 0, block: 0 });
  }
  task.guest = undefined;
  return undefined;
}

/** Pages of a mapping within a block, by node position; undefined where it has to stay as it is. */
function nodeLoad(k: KernelState, mapping: Mapping, block: number): number[] | undefined {
  const from = block * PAGES_PER_HUGE;
  const to = from + PAGES_PER_HUGE;
  const runs = [...mapping.runs].filter(
    (run) => run.offset < to && run.offset + spanOf(run) > from,
  );
  if (runs.some((run) => run.huge || run.stride < 0)) return undefined;
  const load = k.nodes.map(() => 0);
  for (const run of runs) load[run.zone.node.position]! += pagesBetween(run, from, to);
  const used = runs.some((run) => run.young || run.referenced);
  const present = load.reduce((sum, pages) => sum + pages, 0);
  const holes = PAGES_PER_HUGE - present;
  return used && present > 0 && holes <= settingsOf(k).maxPtesNone ? load : undefined;
}

/** May pages of one process on these nodes be put together? @kernel mm/khugepaged.c hpage_collapse_scan_abort() */
function tooFarApart(k: KernelState, load: readonly number[]): boolean {
  if ((k.sysctl.zone_reclaim_mode & 7) === 0) return false;
  const nodes = load.flatMap((pages, position) => (pages > 0 ? [position] : []));
  return nodes.some((a) => nodes.some((b) => k.distances[a]![b]! > RECLAIM_DISTANCE));
}

/**
 * Puts the pages of one 2 MiB together on the node that has most of them; holes become memory.
 * @returns false when there was no huge page to be had
 * @kernel mm/khugepaged.c hpage_collapse_scan_pmd(), hpage_collapse_find_target_node(), collapse_huge_page()
 * @differs 2 MiB with a page on swap and memory that is locked stay as they are; the nodes are chosen as by 6.1 under all profiles
 */
function collapseBlock(k: KernelState, guest: GuestState, region: number, block: number): boolean {
  const spec = guest.spec.regions[region]!;
  const mapping = guest.mappings[region]!;
  if (spec.pinned || (mapping.swapped?.get(block) ?? 0) > 0) return true;
  const load = nodeLoad(k, mapping, block);
  if (!load || tooFarApart(k, load)) return true;
  const most = Math.max(...load);
  const targets = k.nodes.filter(({ position }) => load[position] === most);
  const ac = allocContext({
    cpu: CPU,
    preferred: targets[0]!,
    nodemask: new Set(targets.map(({ id }) => id)),
    order: HUGE_ORDER,
    wakeKswapd: false,
    noMemalloc: true,
  });
  const segment = allocPages(k, ac, 1);
  if (!segment) {
    countVm(k, 'thp_collapse_alloc_failed');
    return false;
  }
  countVm(k, 'thp_collapse_alloc');
  if (!chargeHuge(k, policyContext(k, guest, spec, CPU), PAGES_PER_HUGE, 'full')) {
    freeUnused(k, segment, CPU, PAGEBLOCK_ORDER);
    return true;
  }
  const from = block * PAGES_PER_HUGE;
  freeOffsets(k, mapping, { from, to: from + PAGES_PER_HUGE }, CPU);
  mapping.present!.set(block, PAGES_PER_HUGE);
  const { zone } = segment;
  const frame = segment.runs[0]!.frame;
  const run: Run = newRun({ owner: mapping, zone, pages: PAGES_PER_HUGE, frame, offset: from });
  Object.assign(run, { huge: true, mapped: true, young: true, dirty: true });
  accountRun(run, 1);
  lruList(lruvecOf(zone.node, mapping.group), run, false).push(run);
  k.khugepaged.pagesCollapsed += 1;
  return true;
}
