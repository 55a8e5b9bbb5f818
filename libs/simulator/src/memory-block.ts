/** Memory blocks: what a write to their `state` does, and where the memmap of new ones lies. */
import { MIGRATE_UNMOVABLE, PAGEBLOCK_ORDER } from './buddy';
import { ZONE_NORMAL } from './constants';
import { allocKernelBlocks, freeKernelBlocks } from './kernel-block';
import type { KernelState, MemoryBlock } from './kernel-state';
import {
  offlinePages,
  onlinePages,
  zoneForPfnRange,
  zoneIntersects,
  type OfflineOutcome,
} from './memory-hotplug';
import { allocContext, type KernelBlock } from './page-alloc';
import type { ReplayEvent } from './replay-events';
import type { HotplugSpec } from './types';
import { isOnlineBlock, type NodeState, type Zone } from './zone';

/** Pages of a section of x86-64, the least that comes or goes. @kernel arch/x86 SECTION_SIZE_BITS 27 */
export const SECTION_PAGES = 32768;
/** Pages that one page of `struct page`s (64 bytes each) describes. */
const PAGES_PER_MEMMAP_PAGE = 64;
/** What can be written to a memory block's `state`. */
export const HOTPLUG_ACTIONS: readonly HotplugSpec['action'][] = [
  'online',
  'online_kernel',
  'online_movable',
  'offline',
];
const DEFAULT_TIMEOUT_SECONDS = 60;

type BlockEvent = Extract<ReplayEvent, { type: 'memory_block' }>;
type Told = Pick<BlockEvent, 'outcome'> & Partial<BlockEvent>;

/** Pfns of one block. */
interface Block {
  node: NodeState;
  startPfn: number;
  endPfn: number;
}

const ERRORS: Record<string, BlockEvent['error']> = {
  'failure to isolate range': 'EBUSY',
  'failure to dissolve huge pages': 'EBUSY',
  'signal backoff': 'EINTR',
};

/**
 * Brings the blocks of a range online, or takes them offline, one after the other.
 * @returns pages of the blocks that changed, and whether one of them was refused
 * @kernel drivers/base/memory.c state_store(), memory_block_online(), memory_block_offline()
 * @differs page tables of the direct map and the blocks' own objects take no memory
 */
export function hotplugStep(
  k: KernelState,
  step: HotplugSpec,
): { status: 'ok' | 'refused'; pagesDone: number } {
  k.current = { name: 'hotplug', guest: undefined, killed: false };
  const node = k.nodes.find(({ id }) => id === step.nodeId)!;
  const blockPages = step.blockPages ?? SECTION_PAGES;
  let pagesDone = 0;
  let refused = false;
  for (let at = step.startPfn; at < step.startPfn + step.pages; at += blockPages) {
    const block = { node, startPfn: at, endPfn: at + blockPages };
    const told = step.action === 'offline' ? offline(k, step, block) : online(k, step, block);
    k.events.push({
      type: 'memory_block',
      timeNs: k.timeNs,
      nodeId: node.id,
      startPfn: at,
      pages: blockPages,
      movedPages: 0,
      dissolvedHugepages: 0,
      ...told,
    });
    if (told.outcome === 'refused') refused = true;
    else if (told.outcome !== 'unchanged') pagesDone += blockPages;
  }
  return { status: refused ? 'refused' : 'ok', pagesDone };
}

function refuse(error: BlockEvent['error'], reason: string): Told {
  return { outcome: 'refused', reason, ...(error && { error }) };
}

/** Pageblocks of a block that are online in a zone. */
function onlinePageblocks(zone: Zone, { startPfn, endPfn }: Block): number {
  if (!zoneIntersects(zone, startPfn, endPfn)) return 0;
  const { basePfn } = zone.buddy;
  const from = Math.max(startPfn, zone.startPfn) - basePfn;
  const to = Math.min(endPfn, zone.startPfn + zone.spanned) - basePfn;
  let online = 0;
  for (let at = from >>> PAGEBLOCK_ORDER; at < Math.ceil(to / 512); at += 1) {
    if (isOnlineBlock(zone, at)) online += 1;
  }
  return online;
}

function pageblocksOf({ startPfn, endPfn }: Block): number {
  return (endPfn - startPfn) >>> PAGEBLOCK_ORDER;
}

function online(k: KernelState, step: HotplugSpec, block: Block): Told {
  const { node, startPfn, endPfn } = block;
  const holders = k.zones.filter((zone) => onlinePageblocks(zone, block) > 0);
  if (holders.length > 0) {
    const [zone] = holders;
    const whole = onlinePageblocks(zone!, block) === pageblocksOf(block);
    if (whole && zone!.node === node) return { outcome: 'unchanged', zone: zone!.name };
    return refuse('EEXIST', 'memory exists');
  }
  const state = k.memoryBlocks.get(startPfn) ?? addMemory(k, step, block);
  if (!state) return refuse('ENOMEM', 'no memory for the memmap');
  k.memoryBlocks.set(startPfn, state);
  const action = step.action === 'offline' ? 'online' : step.action;
  const candidates = [...node.zones, ...k.emptyZones.filter((zone) => zone.node === node)];
  const zone = zoneForPfnRange(candidates, action, startPfn, endPfn)!;
  const { basePfn } = zone.buddy;
  const { selfHostedPages } = state;
  const from = startPfn + selfHostedPages - basePfn;
  onlinePages(k, { zone, from, to: endPfn - basePfn, cpu: 0 }, selfHostedPages);
  return { outcome: 'onlined', zone: zone.name };
}

/**
 * The memmap of new memory: in huge pages of its node, or of another, else in single pages.
 * @returns undefined when there is none
 * @kernel mm/memory_hotplug.c add_memory_resource(), arch/x86/mm/init_64.c vmemmap_populate_hugepages()
 */
function addMemory(k: KernelState, step: HotplugSpec, block: Block): MemoryBlock | undefined {
  const pages = (block.endPfn - block.startPfn) / PAGES_PER_MEMMAP_PAGE;
  if (step.memmapOnMemory) return { memmap: [], selfHostedPages: pages };
  const memmap: KernelBlock[] = [];
  for (let left = pages; left > 0; left -= 1 << PAGEBLOCK_ORDER) {
    const taken = takeMemmap(k, block.node);
    memmap.push(...taken);
    if (taken.length > 0) continue;
    freeKernelBlocks(k, memmap, 0);
    return undefined;
  }
  return { memmap, selfHostedPages: 0 };
}

/** One section's. @kernel mm/sparse-vmemmap.c vmemmap_alloc_block(), vmemmap_populate_basepages() */
function takeMemmap(k: KernelState, node: NodeState): KernelBlock[] {
  for (const order of [PAGEBLOCK_ORDER, 0]) {
    const ac = allocContext({
      cpu: 0,
      preferred: node,
      order,
      type: MIGRATE_UNMOVABLE,
      classIndex: ZONE_NORMAL,
      hardwall: false,
      retryMayFail: true,
    });
    const wanted = 1 << (PAGEBLOCK_ORDER - order);
    const blocks = allocKernelBlocks(k, ac, wanted);
    if (blocks.length === wanted) return blocks;
    freeKernelBlocks(k, blocks, 0);
  }
  return [];
}

function offline(k: KernelState, step: HotplugSpec, block: Block): Told {
  const { node, startPfn, endPfn } = block;
  const zones = node.zones.filter((zone) => onlinePageblocks(zone, block) > 0);
  const [zone] = zones;
  if (!zone) {
    if (k.memoryBlocks.has(startPfn)) return { outcome: 'unchanged' };
    return refuse('EINVAL', 'no memory');
  }
  if (zones.length > 1) return refuse('EINVAL', 'multizone range');
  const whole = onlinePageblocks(zone, block) === pageblocksOf(block);
  const inside = zone.startPfn <= startPfn && endPfn <= zone.startPfn + zone.spanned;
  if (!whole || !inside) return { ...refuse('EINVAL', 'memory holes'), zone: zone.name };
  const state = k.memoryBlocks.get(startPfn) ?? { memmap: [], selfHostedPages: 0 };
  const { basePfn } = zone.buddy;
  const from = startPfn + state.selfHostedPages - basePfn;
  const range = { zone, from, to: endPfn - basePfn, cpu: 0 };
  const waitNs = (step.timeoutSeconds ?? DEFAULT_TIMEOUT_SECONDS) * 1e9;
  const outcome = offlinePages(k, range, state.selfHostedPages, waitNs);
  if (outcome.reason === undefined) k.memoryBlocks.set(startPfn, state);
  return { zone: zone.name, ...tell(outcome, basePfn) };
}

function tell(outcome: OfflineOutcome, basePfn: number): Told {
  const { reason, frame, movedPages, dissolvedHugepages } = outcome;
  if (reason === undefined) return { outcome: 'offlined', movedPages, dissolvedHugepages };
  return {
    ...refuse(ERRORS[reason], reason),
    ...(frame !== undefined && { pfn: basePfn + frame }),
    movedPages,
    dissolvedHugepages,
  };
}
