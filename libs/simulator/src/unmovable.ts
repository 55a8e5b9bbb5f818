/** Kernel memory that a process holds and nobody can move: pages in pipes. */
import { MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE } from './buddy';
import { PAGES_PER_HUGE } from './constants';
import {
  allocKernelBlocks,
  freeKernelBlocks,
  kernelContext,
  type KernelCaller,
} from './kernel-block';
import {
  passTime,
  type KernelState,
  type Pipe,
  type PipeHolder,
  type PipeSlab,
} from './kernel-state';
import { endProcess, startProcess } from './process-pages';
import { slabShape } from './slab';
import { cpusOf } from './task-cpu';
import type { ReplayStep } from './types';
import type { NodeState } from './zone';

/** Bytes of one slot of a pipe. @kernel include/linux/pipe_fs_i.h struct pipe_buffer */
const SLOT_BYTES = 40;
/** Slots that a pipe has at first. @kernel include/linux/pipe_fs_i.h PIPE_DEF_BUFFERS */
const DEFAULT_SLOTS = 16;
/** Largest object that has a kmalloc() cache; larger ones are pages of their own. */
const KMALLOC_CACHE_BYTES = 8192;
const PAGE_BYTES = 4096;

/** Objects that each pipe needs besides its slots. */
const PIPE_OBJECTS: readonly { perPipe: number; bytes: number; reclaimable: boolean }[] = [
  // inode_cache, filp (two ends), dentry, kmalloc-192 for struct pipe_inode_info
  { perPipe: 1, bytes: 640, reclaimable: true },
  { perPipe: 2, bytes: 256, reclaimable: false },
  { perPipe: 1, bytes: 192, reclaimable: true },
  { perPipe: 1, bytes: 192, reclaimable: false },
];

type UnmovableStep = Extract<ReplayStep, { op: 'unmovable' }>;
type FreeStep = Extract<ReplayStep, { op: 'free' }>;

/** Slots of a pipe that shall hold so many pages. @kernel fs/pipe.c round_pipe_size() */
export function pipeSlots(pagesPerPipe: number): number {
  return Math.max(2 ** Math.ceil(Math.log2(Math.max(pagesPerPipe, 1))), DEFAULT_SLOTS);
}

/**
 * Blocks that the slots of all pipes take.
 * @param cpus CPUs that are present
 * @kernel fs/pipe.c pipe_resize_ring()
 */
export function ringBlocks(
  pipes: number,
  slots: number,
  cpus: number,
): { order: number; count: number } {
  const bytes = 2 ** Math.ceil(Math.log2(slots * SLOT_BYTES));
  if (bytes > KMALLOC_CACHE_BYTES) {
    return { order: Math.log2(bytes / PAGE_BYTES), count: pipes };
  }
  const { order, objects } = slabShape(bytes, cpus);
  return { order, count: Math.ceil(pipes / objects) };
}

/**
 * A process opens pipes and writes pages to them in turn, so that neighbouring pages belong to different
 * pipes. All of it is Unmovable memory under the task's policy.
 * @kernel fs/pipe.c pipe_write(): GFP_HIGHUSER | __GFP_ACCOUNT, without __GFP_MOVABLE
 * @differs partly used slabs of the host are not filled first
 */
export function unmovableStep(
  k: KernelState,
  step: UnmovableStep,
  tick: (fraction: number) => void,
): { status: 'ok' | 'killed'; pagesDone: number } {
  k.current = { name: step.name, guest: undefined, killed: false };
  const startNs = k.timeNs;
  const cpu = cpusOf(k, [step.cpuNode], 0, step.processPages !== undefined)[0]!;
  const caller: KernelCaller = {
    cpu,
    policy: step.policy,
    ...(step.cpusetMems && { cpusetList: step.cpusetMems }),
  };
  const holder: PipeHolder = {
    cpu,
    pipes: Array.from({ length: step.pipes }, (): Pipe => ({ pages: [] })),
    processPages: startProcess(k, step.processPages, caller),
    slabs: openPipes(k, step, caller),
  };
  k.pipeHolders.set(step.name, holder);
  const done = writePipes(k, step, holder, caller, tick);
  const { ratePagesPerSecond: rate } = step;
  const dueNs = rate ? startNs + (done / rate) * 1e9 : 0;
  if (dueNs > k.timeNs) passTime(k, dueNs - k.timeNs, false);
  return { status: done < step.pages ? 'killed' : 'ok', pagesDone: done };
}

function openPipes(k: KernelState, step: UnmovableStep, caller: KernelCaller): PipeSlab[] {
  const slabs: PipeSlab[] = [];
  const take = (order: number, count: number, reclaimable: boolean): void => {
    const type = reclaimable ? MIGRATE_RECLAIMABLE : MIGRATE_UNMOVABLE;
    for (const block of allocKernelBlocks(k, kernelContext(k, caller, { order, type }), count)) {
      countSlab(block.zone.node, reclaimable, 1 << order);
      slabs.push({ ...block, reclaimable });
    }
  };
  const cpus = k.cpus.length;
  for (const { perPipe, bytes, reclaimable } of PIPE_OBJECTS) {
    const { order, objects } = slabShape(bytes, cpus);
    take(order, Math.ceil((step.pipes * perPipe) / objects), reclaimable);
  }
  const slots = pipeSlots(Math.ceil(step.pages / step.pipes));
  const { order, count } = ringBlocks(step.pipes, slots, cpus);
  take(order, count, false);
  return slabs;
}

function countSlab(node: NodeState, reclaimable: boolean, pages: number): void {
  if (reclaimable) node.slabReclaimable += pages;
  else node.slabUnreclaimable += pages;
}

function writePipes(
  k: KernelState,
  step: UnmovableStep,
  { pipes }: PipeHolder,
  caller: KernelCaller,
  tick: (fraction: number) => void,
): number {
  const ac = kernelContext(k, caller, {
    costNs: k.hardware.faultNs,
    remoteCostNs: k.hardware.remoteFaultNs,
    hardwall: true,
  });
  for (let done = 0; done < step.pages;) {
    const wanted = Math.min(PAGES_PER_HUGE, step.pages - done);
    const blocks = allocKernelBlocks(k, ac, wanted);
    blocks.forEach((block, i) => pipes[(done + i) % pipes.length]!.pages.push(block));
    done += blocks.length;
    tick(done / step.pages);
    if (blocks.length < wanted) return done;
  }
  return step.pages;
}

/**
 * Reads pipes empty, one after the other: those whose index within a group of `stepPages` is `keepPages`
 * or more, or all of them. Each pipe keeps the first page it gives up for its next write.
 * @returns pages freed
 * @kernel fs/pipe.c anon_pipe_buf_release()
 */
export function drainPipes(
  k: KernelState,
  holder: PipeHolder,
  { stepPages, keepPages }: FreeStep,
): number {
  let freed = 0;
  holder.pipes.forEach((pipe, i) => {
    if (stepPages > 0 && i % stepPages < keepPages) return;
    freed += emptyPipe(k, holder, pipe);
  });
  passTime(k, freed * k.hardware.freeNs, false);
  return freed;
}

function emptyPipe(k: KernelState, { cpu }: PipeHolder, pipe: Pipe): number {
  const spare = pipe.spare ?? pipe.pages.shift();
  if (spare) pipe.spare = spare;
  const freed = pipe.pages.length;
  freeKernelBlocks(k, pipe.pages, cpu);
  pipe.pages = [];
  return freed;
}

/**
 * The process ends: its pipes are closed in the order in which they were opened.
 * @returns false when no process of this name holds pipes
 * @kernel fs/pipe.c free_pipe_info()
 */
export function exitPipeHolder(k: KernelState, name: string): boolean {
  const holder = k.pipeHolders.get(name);
  if (!holder) return false;
  k.pipeHolders.delete(name);
  let freed = 0;
  for (const pipe of holder.pipes) {
    freed += emptyPipe(k, holder, pipe);
    if (pipe.spare) freeKernelBlocks(k, [pipe.spare], holder.cpu);
  }
  for (const { zone, order, reclaimable } of holder.slabs) {
    countSlab(zone.node, reclaimable, -(1 << order));
  }
  freeKernelBlocks(k, holder.slabs, holder.cpu);
  endProcess(k, holder.processPages, holder.cpu);
  passTime(k, freed * k.hardware.freeNs, false);
  return true;
}
