/** Memory that the kernel takes for itself: which node it asks, and with which rights. */
import { policyNodemask } from './alloc-zones';
import { MIGRATE_UNMOVABLE } from './buddy';
import { ZONE_NORMAL } from './constants';
import { freeBlock } from './free-run';
import type { GuestState, KernelState } from './kernel-state';
import type { MemoryGroup } from './memcg';
import { nodeById } from './mempolicy';
import { allocContext, allocPages, type AllocContext, type KernelBlock } from './page-alloc';
import type { MemoryPolicy } from './types';

/** The task that needs kernel memory. */
export interface KernelCaller {
  /** CPU position. */
  cpu: number;
  /** Its task policy; without one memory comes from the CPU's node. */
  policy?: MemoryPolicy;
  cpusetList?: number[];
  guest?: GuestState;
  /** The memory cgroup that its kernel memory is charged to. */
  group?: MemoryGroup;
}

/** The CPU's own node, no policy: how a task without one asks. */
export function localCaller(cpu: number): KernelCaller {
  return { cpu };
}

/** A guest's process: the policy of its regions is its own only where it was set for the whole task. */
export function guestCaller(guest: GuestState, cpu: number): KernelCaller {
  const region = guest.spec.regions[0]!;
  const { policy, cpusetMems } = region;
  return {
    cpu,
    guest,
    ...(region.policyScope === 'task' && { policy }),
    ...(cpusetMems && { cpusetList: cpusetMems }),
    ...(guest.group && { group: guest.group }),
  };
}

/**
 * The request of a task for kernel memory under its policy.
 * @kernel mm/mempolicy.c alloc_pages(): the task's policy holds for kernel memory of a process too
 * @differs a task that interleaves is served from its CPU's node
 */
export function kernelContext(
  k: KernelState,
  caller: KernelCaller,
  values: Partial<AllocContext> = {},
): AllocContext {
  const { cpu, policy, cpusetList, guest } = caller;
  const first = policy?.mode === 'preferred' ? policy.nodes[0] : undefined;
  return allocContext({
    cpu,
    preferred: first === undefined ? k.cpus[cpu]!.node : nodeById(k, first),
    nodemask: policy ? policyNodemask(k, policy, cpusetList, ZONE_NORMAL) : null,
    cpusetMems: cpusetList ? new Set(cpusetList) : null,
    type: MIGRATE_UNMOVABLE,
    classIndex: ZONE_NORMAL,
    hardwall: false,
    guest,
    ...values,
  });
}

/**
 * Takes one block for the kernel.
 * @returns undefined when there is none: the replay goes on without it
 */
export function allocKernelBlock(k: KernelState, ac: AllocContext): KernelBlock | undefined {
  const segment = allocPages(k, ac, 1);
  if (!segment) return undefined;
  segment.zone.kernelPages += segment.pages;
  return { zone: segment.zone, frame: segment.runs[0]!.frame, order: ac.order };
}

/** Takes up to `count` blocks in the order of the requests; fewer when one of them fails. */
export function allocKernelBlocks(k: KernelState, ac: AllocContext, count: number): KernelBlock[] {
  const blocks: KernelBlock[] = [];
  while (blocks.length < count) {
    const segment = allocPages(k, ac, count - blocks.length);
    if (!segment) break;
    segment.zone.kernelPages += segment.pages;
    for (const run of segment.runs) {
      for (let i = 0; i < run.count; i += 1) {
        const frame = run.frame + ((run.step * i) << ac.order);
        blocks.push({ zone: segment.zone, frame, order: ac.order });
      }
    }
  }
  return blocks;
}

/** Gives blocks back through a CPU's lists, in the order given. */
export function freeKernelBlocks(
  k: KernelState,
  blocks: readonly KernelBlock[],
  cpu: number,
): void {
  for (const { zone, frame, order } of blocks) freeBlock(k, zone, cpu, frame, order);
}
