/** Slab behind the page cache: the tree that finds a file's pages, and the buffer heads of written ones. */
import { MIGRATE_RECLAIMABLE } from './buddy';
import { BUFFER_HEADS_PER_SLAB, freeBlock } from './free-run';
import { allocKernelBlock, kernelContext, type KernelCaller } from './kernel-block';
import type { CachedFile, KernelState } from './kernel-state';
import type { Mapping } from './page-map';

/** Entries of one tree node. @kernel include/linux/xarray.h XA_CHUNK_SIZE */
const TREE_FANOUT = 64;
/** Tree nodes of 576 bytes that fit into a slab of two pages. @kernel lib/radix-tree.c radix_tree_init() */
const TREE_NODES_PER_SLAB = 14;
const TREE_SLAB_ORDER = 1;

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
 * @differs the tree is that of a file cached from its start; the last, partly used slab is not counted
 */
export function growTree(
  k: KernelState,
  file: CachedFile,
  newPages: number,
  caller: KernelCaller,
): void {
  file.treePages = (file.treePages ?? 0) + newPages;
  const wanted = Math.floor(treeNodes(file.treePages) / TREE_NODES_PER_SLAB);
  const slabs = (file.treeSlabs ??= []);
  if (slabs.length >= wanted) return;
  const ac = kernelContext(k, caller, { type: MIGRATE_RECLAIMABLE, order: TREE_SLAB_ORDER });
  while (slabs.length < wanted) {
    const slab = allocKernelBlock(k, ac);
    if (!slab) return;
    slab.zone.node.slabReclaimable += 2 ** slab.order;
    slabs.push(slab);
  }
}

/** The tree goes when no page and no shadow of the file is left. */
export function dropTree(k: KernelState, file: CachedFile, cpu: number): void {
  for (const { zone, frame, order } of file.treeSlabs ?? []) {
    zone.node.slabReclaimable -= 2 ** order;
    freeBlock(k, zone, cpu, frame, order);
  }
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
