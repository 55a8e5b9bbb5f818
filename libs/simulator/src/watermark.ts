/**
 * Reserves and watermarks: min_free_kbytes, the marks of each zone, lowmem_reserve and the check
 * that every allocation passes. Pure formulas; pages unless a name says otherwise.
 */
import {
  MAX_NR_ZONES,
  PAGE_KIB,
  PAGES_PER_HUGE,
  SWAP_CLUSTER_MAX,
  ZONE_MOVABLE,
  ZONE_NORMAL,
} from './constants';
import { MIGRATE_HIGHATOMIC } from './buddy';
import { kernelProfiles, type KernelProfile } from './profile';

/** The kernel's `mult_frac(x, n, d)`: x * n / d without overflow, truncating twice. */
export function multFrac(x: number, n: number, d: number): number {
  return Math.floor(x / d) * n + Math.floor(((x % d) * n) / d);
}

function intSqrt(x: number): number {
  let root = Math.floor(Math.sqrt(x));
  while (root * root > x) root -= 1;
  while ((root + 1) * (root + 1) <= x) root += 1;
  return root;
}

/** What the formulas need of a zone; `zoneIndex` is DMA 0, DMA32 1, Normal 2, Movable 3. */
export interface ZoneSize {
  zoneIndex: number;
  managedPages: number;
  /** HighMem of 32-bit kernels, whatever its index: no lowmem, and a min mark of its own. */
  highmem?: boolean;
}

/** Does the zone count as lowmem for min_free_kbytes? */
const isLowmem = (zone: ZoneSize): boolean =>
  zone.zoneIndex <= ZONE_NORMAL && zone.highmem !== true;

export interface MinFreeInput {
  /** Every populated zone of the host. `highPages` is the stored high mark (0 at boot). */
  zones: (ZoneSize & { highPages: number })[];
  /** khugepaged runs: transparent_hugepage/enabled is `always` or `madvise`. */
  thpEnabled: boolean;
  /** A value that the user wrote to vm.min_free_kbytes, or -1. It survives unless the computed one is larger. */
  userMinFreeKbytes: number;
  /** The value in force; kept where the user's is not below the computed one. */
  currentMinFreeKbytes: number;
}

/** Pages that `nr_free_buffer_pages` counts: managed above the high mark, zones up to Normal. */
function freeBufferPages(zones: MinFreeInput['zones']): number {
  let pages = 0;
  for (const zone of zones) {
    if (isLowmem(zone)) pages += Math.max(zone.managedPages - zone.highPages, 0);
  }
  return pages;
}

/**
 * min_free_kbytes as the kernel recomputes it, KiB.
 * @kernel mm/page_alloc.c calculate_min_free_kbytes(), mm/khugepaged.c set_recommended_min_free_kbytes()
 */
export function minFreeKbytes(
  input: MinFreeInput,
  profile: KernelProfile = kernelProfiles['6.1.y'],
): number {
  const lowmemPages = freeBufferPages(input.zones);
  const computed = intSqrt(lowmemPages * PAGE_KIB * 16);
  let minFree = input.currentMinFreeKbytes;
  if (computed > input.userMinFreeKbytes) {
    minFree = Math.min(Math.max(computed, profile.minFreeKbytesFloor), profile.minFreeKbytesCap);
  }
  if (!input.thpEnabled) return minFree;
  const populated = input.zones.filter(
    (zone) => (profile.khugepagedCountsAllZones || isLowmem(zone)) && zone.managedPages > 0,
  ).length;
  const pageblocks = PAGES_PER_HUGE * populated * 2 + PAGES_PER_HUGE * populated * 9;
  const recommended = Math.min(pageblocks, Math.floor(lowmemPages / 20)) * PAGE_KIB;
  return Math.max(minFree, recommended);
}

/** Most that a zone with a capped min mark keeps, pages. */
const MAX_CAPPED_MIN = 128;

export interface Watermarks {
  minPages: number;
  lowPages: number;
  highPages: number;
}

/**
 * Marks of every zone, in the order given, without boost.
 * @kernel mm/page_alloc.c __setup_per_zone_wmarks()
 */
export function setupPerZoneWmarks(
  zones: ZoneSize[],
  minFreeKib: number,
  watermarkScaleFactor: number,
  profile: KernelProfile = kernelProfiles['6.1.y'],
): Watermarks[] {
  const minFreePages = Math.floor(minFreeKib / PAGE_KIB);
  const capped = (zone: ZoneSize): boolean =>
    zone.highmem === true || (profile.capsMovable && zone.zoneIndex === ZONE_MOVABLE);
  const lowmemPages = zones.reduce((sum, zone) => sum + (capped(zone) ? 0 : zone.managedPages), 0);
  return zones.map((zone) => {
    const { managedPages } = zone;
    // 64-bit product in the kernel; BigInt keeps it exact for hosts of many TiB.
    const product = BigInt(minFreePages) * BigInt(managedPages);
    const share = lowmemPages === 0 ? 0 : Number(product / BigInt(lowmemPages));
    // Requests with rights below min seldom need such pages, so that little is kept; the way to low and high is not cut.
    const minPages = capped(zone)
      ? Math.min(Math.max(Math.floor(managedPages / 1024), SWAP_CLUSTER_MAX), MAX_CAPPED_MIN)
      : share;
    const gap = Math.max(
      Math.floor(share / 4),
      multFrac(managedPages, watermarkScaleFactor, 10000),
    );
    const aboveMin = profile.highMark === 'half' ? Math.floor(share / 2) : 2 * gap;
    return { minPages, lowPages: minPages + gap, highPages: minPages + aboveMin };
  });
}

/**
 * `protection` of each zone of one node: result[i][j] is what zone i keeps from requests of class j.
 * @param zones populated zones of the node, ascending
 * @kernel mm/page_alloc.c setup_per_zone_lowmem_reserve()
 */
export function lowmemReserve(zones: ZoneSize[], lowmemReserveRatio: number[]): number[][] {
  return zones.map((zone) => {
    const ratio = lowmemReserveRatio[zone.zoneIndex] ?? 0;
    const protection: number[] = [];
    let higherPages = 0;
    for (let index = 0; index < MAX_NR_ZONES; index += 1) {
      if (index > zone.zoneIndex) {
        higherPages += zones.find((other) => other.zoneIndex === index)?.managedPages ?? 0;
      }
      const reserved = index > zone.zoneIndex && ratio > 0 && zone.managedPages > 0;
      protection.push(reserved ? Math.floor(higherPages / ratio) : 0);
    }
    return protection;
  });
}

/** Rights and habits of a request besides its mark (`ALLOC_*`). */
export const ALLOC_KSWAPD = 1;
export const ALLOC_NOFRAGMENT = 2;
export const ALLOC_HIGHATOMIC = 4;
export const ALLOC_MIN_RESERVE = 8;
export const ALLOC_NON_BLOCK = 16;
/** Any of these lets a request count on the HighAtomic reserve. */
const ALLOC_RESERVES = ALLOC_NON_BLOCK | ALLOC_MIN_RESERVE | ALLOC_HIGHATOMIC;

/** A zone's numbers that the watermark check reads. */
export interface WatermarkZone {
  boost: number;
  protection: number[];
  reservedHighatomic: number;
  /** Where the mark leaves out the reserve's free pages only (6.10). */
  blockRule?: { markCountsFreeReserve: boolean };
  /** How far NR_FREE_PAGES runs ahead of the free lists. */
  freeDrift?: number;
  buddy: {
    freePages: number;
    freePagesByType?: readonly number[];
    /** A free block of at least this order on an ordinary list, or with the right on the reserve's. */
    hasBlock(order: number, highatomic: boolean): boolean;
  };
}

/** What a request asks of the check. */
export interface WatermarkRequest {
  order: number;
  /** Zone index of the request's class: 2 Normal, 3 Movable. */
  classIndex: number;
  flags: number;
}

/** An order-0 user page without special rights. */
export const USER_PAGE: WatermarkRequest = { order: 0, classIndex: ZONE_MOVABLE, flags: 0 };

/**
 * Free pages that a request must leave untouched: the mark with boost, less what its rights take off,
 * plus the protection of its class and the HighAtomic reserve it may not count on.
 * The check is strict: `free - (2^order - 1) > needed`.
 */
export function neededPages(
  zone: WatermarkZone,
  mark: number,
  request: WatermarkRequest = USER_PAGE,
): number {
  const { flags } = request;
  let min = mark + zone.boost;
  let reserved = zone.blockRule?.markCountsFreeReserve
    ? zone.buddy.freePagesByType![MIGRATE_HIGHATOMIC]!
    : zone.reservedHighatomic;
  if ((flags & ALLOC_RESERVES) !== 0) {
    reserved = 0;
    if ((flags & ALLOC_MIN_RESERVE) !== 0) {
      min -= Math.floor(min / 2);
      if ((flags & ALLOC_NON_BLOCK) !== 0) min -= Math.floor(min / 4);
    }
  }
  return min + (zone.protection[request.classIndex] ?? 0) + reserved;
}

/**
 * @param freePages pages to count as free, the zone's own by default
 * @kernel mm/page_alloc.c __zone_watermark_ok()
 */
export function zoneWatermarkOk(
  zone: WatermarkZone,
  mark: number,
  request: WatermarkRequest = USER_PAGE,
  freePages = zone.buddy.freePages + (zone.freeDrift ?? 0),
): boolean {
  const { order, flags } = request;
  if (freePages - ((1 << order) - 1) <= neededPages(zone, mark, request)) return false;
  return order === 0 || zone.buddy.hasBlock(order, (flags & ALLOC_HIGHATOMIC) !== 0);
}

/**
 * The check with the exact count of free pages where the CPUs together could hide that a mark was passed.
 * @kernel mm/page_alloc.c zone_watermark_ok_safe()
 */
export function zoneWatermarkOkSafe(
  zone: WatermarkZone & { percpuDriftMark: number },
  mark: number,
  request: WatermarkRequest = USER_PAGE,
): boolean {
  const counted = zone.buddy.freePages + (zone.freeDrift ?? 0);
  const exact = counted < zone.percpuDriftMark;
  return zoneWatermarkOk(zone, mark, request, exact ? zone.buddy.freePages : counted);
}

/**
 * The check as the allocator makes it.
 * @param urgent GFP_ATOMIC at the min mark, where a single page may ignore the boost
 * @kernel mm/page_alloc.c zone_watermark_fast()
 */
export function zoneWatermarkFast(
  zone: WatermarkZone,
  mark: number,
  request: WatermarkRequest,
  urgent: boolean,
): boolean {
  if (zoneWatermarkOk(zone, mark, request)) return true;
  if (!urgent || request.order > 0 || zone.boost === 0) return false;
  return zoneWatermarkOk(zone, mark - zone.boost, request);
}
