/** A request's flags as a kernel log has them: what they let the request do. */
import { kernelProfileOf, type AllocationKind } from '@zonewise/simulator';

/** Highest zone that may serve a request, by its name. */
export type ZoneClass = 'DMA' | 'DMA32' | 'Normal' | 'HighMem' | 'Movable';

export interface LoggedGfp {
  /** As printed, without the names: `0x140dca`. */
  mask: string;
  /** Single flags, `__GFP_` left off; empty when the kernel's numbering is not known. */
  flags: string[];
  zoneClass: ZoneClass;
  /** What its rights take off the min mark; see checkWatermark(). */
  kind: AllocationKind;
  /** May sleep: reclaim and compaction on its own account. */
  canWait: boolean;
  movable: boolean;
  /** In words: who asks so. */
  context: string;
}

/** Bits before 4.4. @kernel include/linux/gfp.h of 2.6.32 to 4.3 */
const BITS_BEFORE_4_4 = [
  ...['DMA', 'HIGHMEM', 'DMA32', 'MOVABLE', 'WAIT', 'HIGH', 'IO', 'FS', 'COLD', 'NOWARN'],
  ...['REPEAT', 'NOFAIL', 'NORETRY', 'MEMALLOC', 'COMP', 'ZERO', 'NOMEMALLOC', 'HARDWALL'],
  ...['THISNODE', 'RECLAIMABLE'],
];

/** Bits since 5.3, in the order of their numbers. @kernel include/linux/gfp_types.h of 6.1 */
const BITS_SINCE_5_3 = [
  ...['DMA', 'HIGHMEM', 'DMA32', 'MOVABLE', 'RECLAIMABLE', 'HIGH', 'IO', 'FS', 'ZERO', 'ATOMIC'],
  ...['DIRECT_RECLAIM', 'KSWAPD_RECLAIM', 'WRITE', 'NOWARN', 'RETRY_MAYFAIL', 'NOFAIL'],
  ...['NORETRY', 'MEMALLOC', 'COMP', 'NOMEMALLOC', 'HARDWALL', 'THISNODE', 'ACCOUNT'],
];

const RECLAIM = ['DIRECT_RECLAIM', 'KSWAPD_RECLAIM'];
const KERNEL = [...RECLAIM, 'IO', 'FS'];
const HIGHUSER = [...KERNEL, 'HARDWALL', 'HIGHMEM'];
const TRANSHUGE_LIGHT = [
  ...['IO', 'FS', 'HARDWALL', 'HIGHMEM', 'MOVABLE'],
  ...['COMP', 'NOMEMALLOC', 'NOWARN'],
];
/** Sets that the kernel names as one. @kernel include/trace/events/mmflags.h */
const SETS: Readonly<Record<string, readonly string[]>> = {
  GFP_TRANSHUGE: [...TRANSHUGE_LIGHT, 'DIRECT_RECLAIM'],
  GFP_TRANSHUGE_LIGHT: TRANSHUGE_LIGHT,
  GFP_HIGHUSER_MOVABLE: [...HIGHUSER, 'MOVABLE'],
  GFP_HIGHUSER: HIGHUSER,
  GFP_USER: [...KERNEL, 'HARDWALL'],
  GFP_TEMPORARY: [...KERNEL, 'RECLAIMABLE'],
  GFP_KERNEL_ACCOUNT: [...KERNEL, 'ACCOUNT'],
  GFP_KERNEL: KERNEL,
  GFP_NOFS: [...RECLAIM, 'IO'],
  GFP_NOIO: RECLAIM,
  GFP_ATOMIC: ['HIGH', 'ATOMIC', 'KSWAPD_RECLAIM'],
  GFP_NOWAIT: ['KSWAPD_RECLAIM'],
  GFP_DMA: ['DMA'],
  GFP_DMA32: ['DMA32'],
  __GFP_RECLAIM: RECLAIM,
};

/**
 * @param mask number as printed, with or without 0x
 * @param names what follows it in brackets since 4.6, or undefined
 * @param release the kernel's, for a number without names
 */
export function decodeGfp(
  mask: string,
  names: string | undefined,
  release: string | undefined,
): LoggedGfp {
  const bits = parseInt(mask, 16);
  const flags = new Set(names === undefined ? byNumber(bits, release) : byName(names));
  // Before 4.4 one flag stood for all waiting, and kswapd was woken anyway.
  if (flags.delete('WAIT')) RECLAIM.forEach((flag) => flags.add(flag));
  const canWait = flags.has('DIRECT_RECLAIM');
  const kind = !flags.has('HIGH') ? 'normal' : canWait ? 'high' : 'atomic';
  const movable = flags.has('MOVABLE');
  return {
    mask: mask.startsWith('0x') ? mask : `0x${mask}`,
    flags: [...flags].sort(),
    zoneClass: classOf(flags),
    kind,
    canWait,
    movable,
    context: contextOf(flags, canWait),
  };
}

function byNumber(bits: number, release: string | undefined): string[] {
  const profile = release === undefined ? undefined : kernelProfileOf(release)?.profile;
  if (profile === undefined) return [];
  // 4.4 to 5.2 numbered them in several ways, but printed names from 4.6 on.
  const old = profile.watermarkCheck === 'per-order';
  const order = old ? BITS_BEFORE_4_4 : BITS_SINCE_5_3;
  return order.filter((_, bit) => (bits & (1 << bit)) !== 0);
}

function byName(names: string): string[] {
  return names
    .split('|')
    .flatMap((name) =>
      Object.hasOwn(SETS, name) ? (SETS[name] ?? []) : [name.replace(/^__GFP_/, '')],
    );
}

/** @kernel include/linux/gfp.h gfp_zone() */
function classOf(flags: ReadonlySet<string>): ZoneClass {
  if (flags.has('DMA')) return 'DMA';
  if (flags.has('DMA32')) return 'DMA32';
  if (!flags.has('HIGHMEM')) return 'Normal';
  return flags.has('MOVABLE') ? 'Movable' : 'HighMem';
}

function contextOf(flags: ReadonlySet<string>, canWait: boolean): string {
  if (flags.size === 0) return 'the flags of this kernel are not known';
  if (!canWait && flags.has('HIGH')) {
    return 'atomic: an interrupt, or code that holds a lock, which cannot wait and may use part of the reserve';
  }
  if (!canWait) return 'cannot wait, and has a way on without the memory';
  if (flags.has('HIGHMEM') && flags.has('MOVABLE')) {
    return "a process's own memory or page cache, which can wait and can be moved later";
  }
  if (!flags.has('FS') || !flags.has('IO')) {
    return 'kernel code inside a file system or block device: can wait, but reclaim may not enter these again';
  }
  return 'kernel memory for a task that can wait';
}
