/**
 * Reserves and watermarks: min_free_kbytes, the marks of each zone, lowmem_reserve and the check
 * that every allocation passes. Pure formulas; pages unless a name says otherwise.
 */
import { PAGE_KIB, PAGES_PER_HUGE, ZONE_MOVABLE, ZONE_NORMAL, MAX_NR_ZONES } from './constants';
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
}

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
    if (zone.zoneIndex <= ZONE_NORMAL && zone.managedPages > zone.highPages) {
      pages += zone.managedPages - zone.highPages;
    }
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
    (zone) => zone.zoneIndex <= ZONE_NORMAL && zone.managedPages > 0,
  ).length;
  const pageblocks = PAGES_PER_HUGE * populated * 2 + PAGES_PER_HUGE * populated * 9;
  const recommended = Math.min(pageblocks, Math.floor(lowmemPages / 20)) * PAGE_KIB;
  return Math.max(minFree, recommended);
}

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
): Watermarks[] {
  const minFreePages = Math.floor(minFreeKib / PAGE_KIB);
  const lowmemPages = zones.reduce((sum, zone) => sum + zone.managedPages, 0);
  return zones.map(({ managedPages }) => {
    // 64-bit product in the kernel; BigInt keeps it exact for hosts of many TiB.
    const product = BigInt(minFreePages) * BigInt(managedPages);
    const minPages = lowmemPages === 0 ? 0 : Number(product / BigInt(lowmemPages));
    const gap = Math.max(
      Math.floor(minPages / 4),
      multFrac(managedPages, watermarkScaleFactor, 10000),
    );
    return { minPages, lowPages: minPages + gap, highPages: minPages + 2 * gap };
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

/** A zone's numbers that the watermark check reads. */
export interface WatermarkZone {
  free: number;
  boost: number;
  protection: number[];
  /** Free blocks of order >= 9, for the order-9 check. */
  hugeFree: number;
}

/**
 * Free pages that a request must leave untouched: stored mark + boost + protection of its class.
 * The check is strict: `free - (2^order - 1) > needed`.
 */
export function neededPages(zone: WatermarkZone, mark: number, classIndex = ZONE_MOVABLE): number {
  return mark + zone.boost + (zone.protection[classIndex] ?? 0);
}

/** @kernel mm/page_alloc.c __zone_watermark_ok() @differs orders other than 0 and 9 are not asked for */
export function zoneWatermarkOk(
  zone: WatermarkZone,
  order: number,
  mark: number,
  classIndex = ZONE_MOVABLE,
): boolean {
  const free = zone.free - (2 ** order - 1);
  if (free <= neededPages(zone, mark, classIndex)) return false;
  return order === 0 || zone.hugeFree >= 2 ** order;
}
