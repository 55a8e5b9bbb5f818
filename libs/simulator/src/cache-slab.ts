/** Slab behind the page cache: the trees that find pages of files and of swap, and the buffer heads of written ones. */
import { MIGRATE_RECLAIMABLE } from './buddy';
import { BUFFER_HEADS_PER_SLAB, freeBlock } from './free-run';
import { allocKernelBlock, kernelContext, localCaller, type KernelCaller } from './kernel-block';
import type { CachedFile, KernelState } from './kernel-state';
import { unchargeObjects } from './memcg';
import { chargeObjects } from './memcg-charge';
import type { KernelBlock } from './page-alloc';
import type { Mapping } from './page-map';
import { slabShape } from './slab';

/** Entries of one tree node. @kernel include/linux/xarray.h XA_CHUNK_SIZE */
const TREE_FANOUT = 64;
/** 576 bytes and, because nodes are made ready once for all, a free pointer. @kernel lib/radix-tree.c radix_tree_init() */
const TREE_NODE_BYTES = 584;

/** Kept beside each object that is charged: whom to. @kernel mm/slab.h obj_full_size() */
const CHARGED_OBJECT_BYTES = 8;

/** Nodes of the tree of a file whose first `pages` pages were cached. */
export function treeNodes(pages: number): number {
  let nodes = 0;
  for (let entries = pages; entries > 1;) {
    entries = Math.ceil(entries / TREE_FANOUT);
    nodes += entries;
  }
  return nodes;
}

/**
 * Lets a file's tree grow with its pages.
 * @param newPages pages that the file did not have before; those that reclaim took left their nodes behind
 * @kernel mm/filemap.c __filemap_add_folio(), lib/xarray.c xas_alloc()
 * @differs the tree is that of a file cached from its start, and finds the CPU's slab half used
 */
export function growTree(
  k: KernelState,
  file: CachedFile,
  newPages: number,
  caller: KernelCaller,
): void {
  const nodesBefore = treeNodes(file.treePages ?? 0);
  file.treePages = (file.treePages ?? 0) + newPages;
  const nodes = treeNodes(file.treePages);
  chargeSlab(k, file, caller, (nodes - nodesBefore) * (TREE_NODE_BYTES + CHARGED_OBJECT_BYTES));
  const { order, objects } = slabShape(TREE_NODE_BYTES, k.cpus.length);
  const wanted = Math.ceil((nodes - objects * (1 - k.unseen.slabShare)) / objects);
  const slabs = (file.treeSlabs ??= []);
  if (slabs.length >= wanted) return;
  const ac = kernelContext(k, caller, { type: MIGRATE_RECLAIMABLE, order });
  while (slabs.length < wanted) {
    const slab = allocKernelBlock(k, ac);
    if (!slab) return;
    slab.zone.node.slabReclaimable += 1 << slab.order;
    slabs.push(slab);
  }
}

/** Slots that one tree of the swap cache covers. @kernel include/linux/swap.h SWAP_ADDRESS_SPACE_PAGES */
const SWAP_SPACE_SLOTS = 2 ** 14;

/** Slabs of the swap cache's trees, and how many of their objects are taken. */
export interface SwapTree {
  slabs: KernelBlock[];
  nodes: number;
  /** Nodes that the slabs have room for; undefined until the first slot is used. */
  room?: number;
}

/**
 * Lets the trees of the swap cache grow with the slots that were ever used: a slot that is free of its page keeps a shadow.
 * The task that reclaims asks, and cannot wait.
 * @param cpu position of its CPU
 * @kernel mm/swap_state.c add_to_swap_cache(), lib/xarray.c xas_alloc()
 * @differs the nodes of slots that are given back stay until swapoff
 */
export function growSwapTree(k: KernelState, cpu: number): void {
  const tree = k.swapTree;
  const slots = k.totals.swappedOutPages;
  const full = Math.floor(slots / SWAP_SPACE_SLOTS);
  tree.nodes = full * treeNodes(SWAP_SPACE_SLOTS) + treeNodes(slots % SWAP_SPACE_SLOTS);
  const { order, objects } = slabShape(TREE_NODE_BYTES, k.cpus.length);
  tree.room ??= Math.floor(objects * (1 - k.unseen.slabShare));
  while (tree.room < tree.nodes) {
    const slab = takeSlab(k, cpu, order) ?? takeSlab(k, cpu, 0);
    if (!slab) return;
    slab.zone.node.slabReclaimable += 1 << slab.order;
    tree.slabs.push(slab);
    tree.room += slab.order === order ? objects : Math.floor(4096 / TREE_NODE_BYTES);
  }
}

/** @kernel mm/slub.c allocate_slab(): a smaller one where the usual order is not to be had */
function takeSlab(k: KernelState, cpu: number, order: number): KernelBlock | undefined {
  const asked = { type: MIGRATE_RECLAIMABLE, order, directReclaim: false, reclaiming: true };
  return allocKernelBlock(k, kernelContext(k, localCaller(cpu), asked));
}

/** The swap cache is no more. */
export function dropSwapTree(k: KernelState): void {
  for (const { zone, frame, order } of k.swapTree.slabs) {
    zone.node.slabReclaimable -= 1 << order;
    freeBlock(k, zone, 0, frame, order);
  }
  k.swapTree = { slabs: [], nodes: 0 };
}

/** Objects are charged to the group of the task that needs them, and stay charged to it. */
function chargeSlab(k: KernelState, file: CachedFile, caller: KernelCaller, bytes: number): void {
  const { group } = caller;
  if (!group || bytes === 0 || !chargeObjects(k, caller, bytes)) return;
  file.chargedBytes ??= new Map();
  file.chargedBytes.set(group, (file.chargedBytes.get(group) ?? 0) + bytes);
}

/** The tree goes when no page and no shadow of the file is left. */
export function dropTree(k: KernelState, file: CachedFile, cpu: number): void {
  for (const { zone, frame, order } of file.treeSlabs ?? []) {
    zone.node.slabReclaimable -= 1 << order;
    freeBlock(k, zone, cpu, frame, order);
  }
  for (const [group, bytes] of file.chargedBytes ?? []) unchargeObjects(k, group, cpu, bytes);
  delete file.chargedBytes;
  file.treeSlabs = [];
  file.treePages = 0;
}

/** Written pages get a buffer head each. @kernel fs/buffer.c create_empty_buffers() */
export function growBufferHeads(
  k: KernelState,
  mapping: Mapping,
  pages: number,
  caller: KernelCaller,
): void {
  const heads = (mapping.bufferHeads ??= { pages: 0, slabs: [] });
  heads.pages += pages;
  const wanted = Math.ceil(heads.pages / BUFFER_HEADS_PER_SLAB);
  if (heads.slabs.length >= wanted) return;
  const ac = kernelContext(k, caller, { type: MIGRATE_RECLAIMABLE });
  while (heads.slabs.length < wanted) {
    const slab = allocKernelBlock(k, ac);
    if (!slab) return;
    slab.zone.node.slabReclaimable += 1;
    heads.slabs.push(slab);
  }
}
