/** A request's flags as the kernel prints them (%pGg). */
import { ZONE_DMA, ZONE_DMA32, ZONE_MOVABLE, ZONE_NORMAL } from './constants';

/** Bits of a request's flags. @kernel include/linux/gfp_types.h */
const GFP_BITS = {
  __GFP_DMA: 0x1,
  __GFP_HIGHMEM: 0x2,
  __GFP_DMA32: 0x4,
  __GFP_MOVABLE: 0x8,
  __GFP_RECLAIMABLE: 0x10,
  __GFP_HIGH: 0x20,
  __GFP_IO: 0x40,
  __GFP_FS: 0x80,
  __GFP_ZERO: 0x100,
  __GFP_ATOMIC: 0x200,
  __GFP_DIRECT_RECLAIM: 0x400,
  __GFP_KSWAPD_RECLAIM: 0x800,
  __GFP_WRITE: 0x1000,
  __GFP_NOWARN: 0x2000,
  __GFP_RETRY_MAYFAIL: 0x4000,
  __GFP_NOFAIL: 0x8000,
  __GFP_NORETRY: 0x10000,
  __GFP_MEMALLOC: 0x20000,
  __GFP_COMP: 0x40000,
  __GFP_NOMEMALLOC: 0x80000,
  __GFP_HARDWALL: 0x100000,
  __GFP_THISNODE: 0x200000,
  __GFP_ACCOUNT: 0x400000,
} as const;
type GfpBit = keyof typeof GFP_BITS;

const bits = (...names: GfpBit[]): number => names.reduce((mask, name) => mask | GFP_BITS[name], 0);

const RECLAIM = bits('__GFP_DIRECT_RECLAIM', '__GFP_KSWAPD_RECLAIM');
const NOIO = RECLAIM;
const NOFS = NOIO | GFP_BITS.__GFP_IO;
const KERNEL = NOFS | GFP_BITS.__GFP_FS;
const USER = KERNEL | GFP_BITS.__GFP_HARDWALL;
const HIGHUSER = USER | GFP_BITS.__GFP_HIGHMEM;
const HIGHUSER_MOVABLE = HIGHUSER | GFP_BITS.__GFP_MOVABLE;
const TRANSHUGE_LIGHT =
  (HIGHUSER_MOVABLE | bits('__GFP_COMP', '__GFP_NOMEMALLOC', '__GFP_NOWARN')) & ~RECLAIM;

/** What the fault of an anonymous page asks for: 0x140dca. @kernel mm/memory.c do_anonymous_page() */
export const GFP_ANON_FAULT = HIGHUSER_MOVABLE | bits('__GFP_COMP', '__GFP_ZERO');

/** What reading a file's page asks for: 0x140cca. @kernel mm/filemap.c filemap_alloc_folio() */
export const GFP_PAGE_CACHE = HIGHUSER_MOVABLE | GFP_BITS.__GFP_COMP;
/** Added where the page is written. */
export const GFP_WRITE = GFP_BITS.__GFP_WRITE;
/** Nodes of a file's page tree: slab that can be reclaimed. @kernel lib/xarray.c xas_nomem() */
export const GFP_TREE_NODE = KERNEL | bits('__GFP_RECLAIMABLE', '__GFP_COMP');
/** A process's page tables: 0x400dc0. @kernel include/asm-generic/pgalloc.h GFP_PGTABLE_USER */
export const GFP_KERNEL = KERNEL;
export const GFP_PAGE_TABLE = KERNEL | bits('__GFP_ACCOUNT', '__GFP_ZERO');

/** Names in the order in which the kernel looks for them: sets before their parts. */
const GFP_NAMES: readonly (readonly [name: string, mask: number])[] = [
  ['GFP_TRANSHUGE', TRANSHUGE_LIGHT | GFP_BITS.__GFP_DIRECT_RECLAIM],
  ['GFP_TRANSHUGE_LIGHT', TRANSHUGE_LIGHT],
  ['GFP_HIGHUSER_MOVABLE', HIGHUSER_MOVABLE],
  ['GFP_HIGHUSER', HIGHUSER],
  ['GFP_USER', USER],
  ['GFP_KERNEL_ACCOUNT', KERNEL | GFP_BITS.__GFP_ACCOUNT],
  ['GFP_KERNEL', KERNEL],
  ['GFP_NOFS', NOFS],
  ['GFP_ATOMIC', bits('__GFP_HIGH', '__GFP_ATOMIC', '__GFP_KSWAPD_RECLAIM')],
  ['GFP_NOIO', NOIO],
  ['GFP_NOWAIT', GFP_BITS.__GFP_KSWAPD_RECLAIM],
  ['GFP_DMA', GFP_BITS.__GFP_DMA],
  ['__GFP_HIGHMEM', GFP_BITS.__GFP_HIGHMEM],
  ['GFP_DMA32', GFP_BITS.__GFP_DMA32],
  ...(
    [
      ...['__GFP_HIGH', '__GFP_ATOMIC', '__GFP_IO', '__GFP_FS', '__GFP_NOWARN'],
      ...['__GFP_RETRY_MAYFAIL', '__GFP_NOFAIL', '__GFP_NORETRY', '__GFP_COMP', '__GFP_ZERO'],
      ...['__GFP_NOMEMALLOC', '__GFP_MEMALLOC', '__GFP_HARDWALL', '__GFP_THISNODE'],
      ...['__GFP_RECLAIMABLE', '__GFP_MOVABLE', '__GFP_ACCOUNT', '__GFP_WRITE'],
    ] as GfpBit[]
  ).map((name) => [name, GFP_BITS[name]] as const),
  ['__GFP_RECLAIM', RECLAIM],
  ['__GFP_DIRECT_RECLAIM', GFP_BITS.__GFP_DIRECT_RECLAIM],
];

/**
 * A request's flags by name: `GFP_HIGHUSER_MOVABLE|__GFP_COMP|__GFP_ZERO`. Bits without a name stand as a
 * number at the end; no bits at all are an empty text.
 * @kernel lib/vsprintf.c format_flags(), include/trace/events/mmflags.h
 */
export function gfpMaskText(gfpMask: number): string {
  let left = gfpMask;
  const names: string[] = [];
  for (const [name, mask] of GFP_NAMES) {
    if ((left & mask) !== mask) continue;
    names.push(name);
    left &= ~mask;
  }
  if (left !== 0) names.push(`0x${left.toString(16)}`);
  return names.join('|');
}

/** Index of the highest zone that a request may have. @kernel include/linux/gfp.h gfp_zone() */
export function gfpZone(gfpMask: number): number {
  if (gfpMask & GFP_BITS.__GFP_DMA) return ZONE_DMA;
  if (gfpMask & GFP_BITS.__GFP_DMA32) return ZONE_DMA32;
  const movable = bits('__GFP_MOVABLE', '__GFP_HIGHMEM');
  return (gfpMask & movable) === movable ? ZONE_MOVABLE : ZONE_NORMAL;
}
