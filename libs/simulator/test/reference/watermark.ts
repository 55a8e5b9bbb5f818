import type { MigrateType } from '../machine';
import { freeList } from './buddy';
import type { AllocFlags } from './fallback';
import { HIGHATOMIC, MAX_ORDER, sum } from './state';
import type { System, Zone } from './state';

/** Largest power of two that is not above the value. */
function rounddownPowOfTwo(value: number): number {
  let power = 1;
  while (power * 2 <= value) {
    power *= 2;
  }
  return power;
}

/** @kernel mm/page_alloc.c zone_batchsize(), zone_highsize() */
function setPcpSizes(system: System, zone: Zone): void {
  const quarter = Math.max(Math.floor(Math.min(zone.managed >> 10, 256) / 4), 1);
  zone.pcpBatch = Math.max(rounddownPowOfTwo(quarter + Math.floor(quarter / 2)) - 1, 1);
  const cpus = zone.node.cpus.length > 0 ? zone.node.cpus.length : system.cpus.length;
  zone.pcpHigh = Math.max(Math.floor(zone.low / cpus), zone.pcpBatch * 4);
}

/**
 * Computes every zone's marks from min_free_kbytes and watermark_scale_factor; boosts are forgotten.
 * @kernel mm/page_alloc.c setup_per_zone_wmarks()
 */
export function setupPerZoneWmarks(system: System): void {
  const minPages = Math.floor(system.sysctl.min_free_kbytes / 4);
  const scale = system.sysctl.watermark_scale_factor;
  const allPages = sum(system.zones, (zone) => zone.managed);
  // A zone that has lost its memory has no marks either.
  for (const zone of system.allZones) {
    const share = Math.floor((minPages * zone.managed) / allPages);
    const whole = Math.floor(zone.managed / 10000) * scale;
    const rest = Math.floor(((zone.managed % 10000) * scale) / 10000);
    const distance = Math.max(share >> 2, whole + rest);
    zone.boost = 0;
    zone.min = share;
    zone.low = zone.min + distance;
    zone.high = zone.low + distance;
    setPcpSizes(system, zone);
  }
}

/** @kernel mm/page_alloc.c setup_per_zone_lowmem_reserve() */
export function setupLowmemReserve(system: System): void {
  for (const zone of system.zones) {
    const ratio = system.sysctl.lowmem_reserve_ratio[zone.index] ?? 0;
    zone.protection = [0, 1, 2, 3].map((classIndex) => {
      const above = zone.node.zones.filter((z) => z.index > zone.index && z.index <= classIndex);
      return ratio < 1 ? 0 : Math.floor(sum(above, (z) => z.managed) / ratio);
    });
  }
}

/** @kernel mm/page_alloc.c setup_min_unmapped_ratio() */
export function setupMinUnmapped(system: System): void {
  for (const node of system.nodes) {
    node.minUnmapped = sum(node.zones, (zone) =>
      Math.floor((zone.managed * system.sysctl.min_unmapped_ratio) / 100),
    );
  }
}

/** A mark as everybody compares with it: with the boost. */
export function wmarkPages(zone: Zone, mark: 'min' | 'low' | 'high'): number {
  return zone[mark] + zone.boost;
}

export const NO_RIGHTS: AllocFlags = {
  mark: 'min',
  kswapd: false,
  noFragment: false,
  minReserve: false,
  nonBlock: false,
  highatomic: false,
};

/**
 * May a request of this order take a block and leave the zone above the mark?
 * @kernel mm/page_alloc.c __zone_watermark_ok()
 * @param freePages counted as free; not always what the zone has
 */
export function isWatermarkOk(
  system: System,
  zone: Zone,
  order: number,
  mark: number,
  classIndex: number,
  flags: AllocFlags,
  freePages: number,
): boolean {
  let usable = freePages - ((1 << order) - 1);
  if (!flags.nonBlock && !flags.minReserve && !flags.highatomic) {
    usable -= zone.reservedHighatomic;
  }
  let least = mark;
  if (flags.minReserve) {
    least -= Math.floor(least / 2);
    if (flags.nonBlock) {
      least -= Math.floor(least / 4);
    }
  }
  if (system.mutation !== 'protection ignored') {
    least += zone.protection[classIndex] ?? 0;
  }
  if (usable < least || (usable === least && system.mutation !== 'watermark passes at the mark')) {
    return false;
  }
  if (order === 0) {
    return true;
  }
  const types: readonly MigrateType[] = flags.highatomic ? [0, 1, 2, HIGHATOMIC] : [0, 1, 2];
  for (let o = order; o < MAX_ORDER; o++) {
    if (types.some((type) => !system.lists.isEmpty(freeList(zone, o, type)))) {
      return true;
    }
  }
  return false;
}
