/** What each step does to the state. */
import { PAGES_PER_HUGE } from './constants';
import { touchOverhead, touchRange } from './fault';
import { dropTree } from './cache-slab';
import { callerOf, openFile, readFile, setMapped, type CacheAccess } from './filemap';
import { finishWriting } from './flusher';
import { freeRun } from './free-run';
import { exitGuest, zapOffsets } from './guest-exit';
import {
  caveat,
  countVm,
  passTime,
  type CachedFile,
  type GuestState,
  type KernelState,
} from './kernel-state';
import { zapHugetlb, type HugetlbMapping } from './hugetlb-fault';
import { writeHugepages, writeOvercommit, type PoolChange } from './hugetlb-pool';
import { allocKernelBlocks, guestCaller, kernelContext, type KernelCaller } from './kernel-block';
import { compactNode } from './kcompactd';
import { advanceKhugepaged } from './khugepaged';
import { advanceKcompactd, advanceKswapd, finishKswapd } from './kswapd';
import { piecesOf } from './lru';
import { lruvecsOf } from './lruvec';
import { addGroup, groupNamed, uncharge } from './memcg';
import { writeLimits } from './memcg-charge';
import { freeSwap, freeSwapCache } from './swap';
import { swapOff, swapOn } from './swap-area';
import { hotplugStep } from './memory-block';
import type { KernelBlock } from './page-alloc';
import { endWrites } from './swap-write';
import { endProcess, startProcess } from './process-pages';
import { writeSysctl, writeThp } from './sysctl';
import { cpusOf } from './task-cpu';
import type { ReplayStep } from './types';
import { drainPipes, exitPipeHolder, unmovableStep } from './unmovable';
import {
  enter,
  findRegion,
  guestStep,
  NO_SUCH_GUEST,
  pace,
  targetOf,
  touchManyStep,
  touchStep,
  type StepOutcome,
  type Tick,
} from './touch-steps';
import { updateVmstat } from './vmstat-work';

/** A settle step waits at most this long, and wants that much rest. */
const SETTLE_NS = 8_000_000_000;
const REST_NS = 400_000_000;
const OK: StepOutcome = { status: 'ok', pagesDone: 0 };

export function runStep(k: KernelState, step: ReplayStep, tick: Tick): StepOutcome {
  const startNs = k.timeNs;
  const outcome = doStep(k, step, tick);
  advanceKcompactd(k);
  advanceKhugepaged(k, startNs);
  endWrites(k, k.timeNs);
  updateVmstat(k);
  return outcome;
}

function doStep(k: KernelState, step: ReplayStep, tick: Tick): StepOutcome {
  switch (step.op) {
    case 'sysctl':
      writeSysctl(k, step.name, step.value);
      return OK;
    case 'thp':
      writeThp(k, step.enabled, step.defrag);
      return OK;
    case 'cache':
      return cacheStep(k, step, tick);
    case 'guest':
      return guestStep(k, step, tick);
    case 'unmovable':
      return unmovableStep(k, step, tick);
    case 'touch':
      return touchStep(k, step, tick);
    case 'touch_many':
      return touchManyStep(k, step, tick);
    case 'free':
      return freeStep(k, step);
    case 'cgroup':
      return cgroupStep(k, step);
    case 'kill':
      return killStep(k, step.name);
    case 'settle':
      return settleStep(k);
    case 'drop_caches':
      return dropCaches(k);
    case 'compact':
      return compactStep(k, step.nodeId);
    case 'hotplug':
      return hotplugStep(k, step);
    case 'swapon':
      enter(k, 'swapon');
      return swapOn(k, step.pages) ? OK : { status: 'enomem', pagesDone: 0 };
    case 'swapoff':
      return swapoffStep(k);
    case 'hugepages':
      return poolStep(k, writeHugepages(k, step));
    case 'overcommit_hugepages':
      return poolStep(k, writeOvercommit(k, step));
    case 'snapshot':
      return OK;
    case 'unmodelled':
      caveat(
        k,
        `unmodelled-${step.was.toLowerCase().replace(/[^a-z0-9]+/g, '-')}`,
        `step ${step.was} is not modelled: the replay goes on as if it had not been there`,
      );
      return { status: 'unmodelled', pagesDone: 0 };
  }
}

function cgroupStep(k: KernelState, step: Extract<ReplayStep, { op: 'cgroup' }>): StepOutcome {
  enter(k, `limits of ${step.name}`);
  writeLimits(k, k.groups.get(step.name) ?? addGroup(k, step.name), step);
  return OK;
}

type CacheStep = Extract<ReplayStep, { op: 'cache' }>;

function cacheStep(k: KernelState, step: CacheStep, tick: Tick): StepOutcome {
  const startNs = k.timeNs;
  enter(k, step.name ?? `reader of ${step.file}`);
  const file = openFile(k, step.file);
  const cpu = cpusOf(k, [step.cpuNode], 0, step.processPages !== undefined)[0]!;
  const group = groupNamed(k, step.cgroup);
  const mems = step.cpusetMems ?? group?.cpusetMems;
  const access: CacheAccess = {
    write: step.access === 'write',
    pc: {
      policy: step.policy,
      cpu,
      cpusetMems: mems ? new Set(mems) : null,
      cpusetList: mems,
      guest: undefined,
      group,
      write: step.access === 'write',
      cache: true,
      costNs: 0,
      remoteCostNs: 0,
      made: undefined,
    },
  };
  const processPages = startProcess(k, step.processPages, callerOf(access.pc));
  const done = readPasses(k, step, file, access, tick);
  if (step.access === 'mapped') {
    processPages.push(...mapTables(k, done, callerOf(access.pc)));
    setMapped(file, true);
    if (step.name !== undefined) file.mapper = step.name;
  }
  if (file.mapper !== undefined && file.mapper === step.name) file.mapperPages = processPages;
  else endProcess(k, processPages, cpu);
  if (k.current.killed || done < passesOf(step) * step.pages)
    return { status: 'killed', pagesDone: done };
  pace(k, startNs, done, step.ratePagesPerSecond);
  return { status: 'ok', pagesDone: done };
}

/** A file is read once at least. */
function passesOf({ passes }: CacheStep): number {
  return Math.max(passes, 1);
}

/** Page tables of a mapped file, one page for each 2 MiB; the process gives them back when it ends. */
function mapTables(k: KernelState, pages: number, caller: KernelCaller): KernelBlock[] {
  return allocKernelBlocks(k, kernelContext(k, caller), Math.ceil(pages / PAGES_PER_HUGE));
}

/** @returns pages looked at; fewer than asked when the reader was killed */
function readPasses(
  k: KernelState,
  step: CacheStep,
  file: CachedFile,
  access: CacheAccess,
  tick: Tick,
): number {
  const chunk = 256 * PAGES_PER_HUGE;
  const total = step.pages * passesOf(step);
  let done = 0;
  for (let pass = 0; pass < passesOf(step); pass += 1) {
    for (let at = 0; at < step.pages; at += chunk) {
      const length = Math.min(chunk, step.pages - at);
      const got = readFile(k, file, step.offsetPages + at, length, access);
      done += got;
      tick(done / total);
      if (got < length) return done;
    }
  }
  return done;
}

/** A call whose start is not aligned fails, as the kernel answers it with EINVAL. @kernel mm/madvise.c madvise_dontneed_free_valid_vma() */
function freeHugetlb(
  k: KernelState,
  mapping: HugetlbMapping,
  { offsetPages, pages, stepPages, keepPages }: Extract<ReplayStep, { op: 'free' }>,
  cpu: number,
): number {
  const group = stepPages === 0 ? pages : stepPages;
  let freed = 0;
  for (let at = offsetPages; at < offsetPages + pages; at += group) {
    const from = stepPages === 0 ? at : at + keepPages;
    if (from % mapping.h.basePages === 0) freed += zapHugetlb(k, mapping, from, at + group, cpu);
  }
  return freed;
}

/** @kernel MADV_DONTNEED @differs a huge page is freed whole or stays whole */
function freeStep(k: KernelState, step: Extract<ReplayStep, { op: 'free' }>): StepOutcome {
  const holder = k.pipeHolders.get(step.name);
  if (holder) return { status: 'ok', pagesDone: drainPipes(k, holder, step) };
  const target = findRegion(k, step.name, step.cell);
  if (!target) return NO_SUCH_GUEST;
  const { mapping, guest } = target;
  const cpu = guest.cpuPositions[target.index]![0]!;
  const { offsetPages: from, stepPages, keepPages } = step;
  const huge = guest.hugetlb[target.index];
  if (huge) return { status: 'ok', pagesDone: freeHugetlb(k, huge, step, cpu) };
  const pattern = { from, to: from + step.pages, stepPages, keepPages };
  const freed = zapOffsets(k, mapping, pattern, guestCaller(guest, cpu));
  passTime(k, freed * k.hardware.freeNs, false);
  return { status: 'ok', pagesDone: freed };
}

function killStep(k: KernelState, name: string): StepOutcome {
  for (const file of k.files.values()) {
    if (file.mapper !== name) continue;
    setMapped(file, false);
    endProcess(k, file.mapperPages ?? [], 0);
    delete file.mapper;
    delete file.mapperPages;
    return OK;
  }
  if (exitPipeHolder(k, name)) return OK;
  const guest = k.guests.get(name);
  if (!guest?.alive) return NO_SUCH_GUEST;
  enter(k, name, guest);
  exitGuest(k, guest);
  return OK;
}

/** Time passes until every kswapd has been at rest for a while and the flusher has done what it was woken for. */
function settleStep(k: KernelState): StepOutcome {
  enter(k, 'settle');
  const untilNs = k.timeNs + SETTLE_NS;
  do {
    finishKswapd(k, untilNs - k.timeNs);
    finishWriting(k, untilNs - k.timeNs);
    passTime(k, REST_NS, false);
    advanceKswapd(k);
  } while (k.timeNs < untilNs && k.nodes.some(({ kswapd }) => kswapd.state === 'running'));
  return OK;
}

/** Somebody writes to /proc/sys/vm/compact_memory, or to a node's `compact`, from the host's first CPU. */
function compactStep(k: KernelState, nodeId: number | undefined): StepOutcome {
  enter(k, 'compact');
  for (const node of k.nodes) {
    if (nodeId === undefined || node.id === nodeId) passTime(k, compactNode(k, node, 0), false);
  }
  return OK;
}

function poolStep(k: KernelState, { obtained }: PoolChange): StepOutcome {
  enter(k, 'hugepages');
  return { status: 'ok', pagesDone: 0, obtained };
}

function dropCaches(k: KernelState): StepOutcome {
  enter(k, 'drop_caches');
  let freed = 0;
  for (const node of k.nodes) {
    for (const list of lruvecsOf(node).flatMap(({ lists }) => [lists[2]!, lists[3]!])) {
      for (const run of list.runs()) {
        if (run.mapped || run.dirty || run.writeback || run.owner.held) continue;
        list.remove(run);
        for (const { offset, pages, stride } of piecesOf(run)) {
          run.owner.present?.spread(offset, pages * stride, -pages);
        }
        freed += run.pages;
        uncharge(list.group, run.pages);
        freeRun(k, run, 0);
      }
    }
  }
  for (const file of k.files.values()) {
    if (file.mapping.present!.total === 0) dropTree(k, file, 0);
  }
  return { status: 'ok', pagesDone: freed };
}

/** The process's own pages come back where a fresh touch would put them. */
function swapInOverhead(k: KernelState, guest: GuestState): number {
  const { overhead } = guest;
  const pages = overhead.swapPages;
  overhead.present!.spread(0, guest.spec.overheadPages, -pages);
  overhead.swapped!.spread(0, guest.spec.overheadPages, -pages);
  freeSwap(k, overhead, pages);
  countVm(k, 'pswpin', pages);
  passTime(k, pages * k.hardware.swapInNs, false);
  touchOverhead(k, guest, pages);
  return pages;
}

/** Everything on swap is read back where its owner's policy puts it. */
function swapoffStep(k: KernelState): StepOutcome {
  let done = 0;
  for (const guest of k.guests.values()) {
    if (!guest.alive) continue;
    enter(k, guest.spec.name, guest);
    for (let i = 0; i < guest.mappings.length && guest.alive; i += 1) {
      const target = targetOf(guest, i);
      const { swapped, present } = target.mapping;
      for (let block = 0; block < swapped!.blocks && guest.alive; block += 1) {
        if (swapped!.get(block) === 0) continue;
        done += touchRange(k, target, block * PAGES_PER_HUGE, present!.get(block));
      }
    }
    if (guest.alive) done += swapInOverhead(k, guest);
  }
  const stuck = [...k.guests.values()].some((guest) =>
    [...guest.mappings, guest.overhead].some((mapping) => mapping.swapPages > 0),
  );
  for (const guest of k.guests.values()) {
    for (const { runs } of [...guest.mappings, guest.overhead]) {
      for (const run of runs) freeSwapCache(k, run);
    }
  }
  if (!stuck) swapOff(k);
  return { status: 'ok', pagesDone: done };
}
