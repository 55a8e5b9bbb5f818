/** Zones as a kernel makes them at boot from the memory ranges of its nodes. */
import type { Architecture, ArchitectureZone } from './architecture';
import { calcMemmapPages, type MemoryRange } from './memory-model';

export interface PhysicalZone {
  nodeId: number;
  zone: ArchitectureZone;
  startPfn: number;
  /** From the first frame to the last, holes included. */
  spannedPages: number;
  presentPages: number;
  /** Present less the zone's share of the memmap; the kernel image and other early reservations are not known here. */
  managedAtMostPages: number;
}

/**
 * The populated zones of every node: what its range and the bands of the architecture have in common.
 * @kernel mm/page_alloc.c zone_spanned_pages_in_node(), zone_absent_pages_in_node(), free_area_init_core()
 * @differs no Movable zone: only kernelcore=, movablecore= or movable_node would make one at boot
 */
export function physicalZones(ranges: MemoryRange[], architecture: Architecture): PhysicalZone[] {
  const ids = [...new Set(ranges.map(({ nodeId }) => nodeId))].sort((a, b) => a - b);
  return ids.flatMap((id) => nodeZones(id, ranges, architecture));
}

function nodeZones(
  nodeId: number,
  ranges: MemoryRange[],
  architecture: Architecture,
): PhysicalZone[] {
  const own = ranges.filter((range) => range.nodeId === nodeId && range.pages > 0);
  const nodeStart = Math.min(...own.map(({ startPfn }) => startPfn));
  const nodeEnd = Math.max(...own.map(({ startPfn, pages }) => startPfn + pages));
  const zones: PhysicalZone[] = [];
  let low = 0;
  for (const { name, endPfn } of architecture.zones) {
    const startPfn = Math.max(nodeStart, low);
    const end = Math.min(nodeEnd, endPfn);
    low = Math.max(low, endPfn);
    const presentPages = own.reduce(
      (sum, range) =>
        sum +
        Math.max(
          Math.min(range.startPfn + range.pages, end) - Math.max(range.startPfn, startPfn),
          0,
        ),
      0,
    );
    if (end <= startPfn || presentPages === 0) continue;
    const spannedPages = end - startPfn;
    // The memmap lies in memory that the kernel has mapped, so that HighMem pays nothing itself.
    const memmapPages =
      name === 'HighMem' ? 0 : calcMemmapPages(spannedPages, presentPages, architecture);
    zones.push({
      nodeId,
      zone: name,
      startPfn,
      spannedPages,
      presentPages,
      managedAtMostPages: Math.max(presentPages - memmapPages, 0),
    });
  }
  return zones;
}
