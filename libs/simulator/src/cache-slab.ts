/** Slab behind the page cache: the tree that finds a file's pages, and the buffer heads of written ones. */
import { MIGRATE_RECLAIMABLE } from './buddy';
import { BUFFER_HEADS_PER_SLAB, freeBlock } from './free-run';
import { allocKernelBlock, kernelContext, type KernelCaller } from './kernel-block';
import type { CachedFile, KernelState } from './kernel-state';
import { unchargeObjects } from './memcg';
import { chargeObjects } from './memcg-charge';
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
    slab.zone.node.slabReclaimable += 2 ** slab.order;
    slabs.push(slab);
  }
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
    zone.node.slabReclaimable -= 2 ** order;
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
