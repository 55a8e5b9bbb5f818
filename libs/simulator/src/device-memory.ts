/** ZONE_DEVICE: memory of a device that has `struct page`s but is never handed to the page allocator. */
import type { Architecture } from './architecture';
import type { MemoryModelName, MemoryRange } from './memory-model';
import { pagesPerSection } from './memory-model';

/** Bytes of a subsection are 2^SUBSECTION_SHIFT: the smallest piece that a virtual memmap takes. */
const SUBSECTION_SHIFT = 21;

/** A device's memory, and where its `struct page`s are put: in ordinary memory or in the device itself (`vmem_altmap`). */
export interface DeviceRange extends MemoryRange {
  memmapOn: 'memory' | 'device';
}

export interface DeviceZone {
  nodeId: number;
  zone: 'Device';
  startPfn: number;
  spannedPages: number;
  /** Always 0: device pages are in neither count, and no mark or reserve follows from them. */
  presentPages: 0;
  managedPages: 0;
  memmapBytes: number;
  memmapOn: DeviceRange['memmapOn'];
  /** Frames left to the device's user. */
  usablePages: number;
}

/** Frames to which a device's range must be aligned at both ends. @kernel mm/memory_hotplug.c check_pfn_span() */
export function deviceAlignmentPages(model: MemoryModelName, architecture: Architecture): number {
  return model === 'sparsemem-vmemmap'
    ? 2 ** (SUBSECTION_SHIFT - architecture.pageShift)
    : pagesPerSection(architecture);
}

/**
 * A device's range as zone Device of its node.
 * @returns undefined where an end is not aligned as the model asks
 * @kernel mm/memremap.c pagemap_range(), mm/memory_hotplug.c move_pfn_range_to_zone()
 */
export function deviceZone(
  range: DeviceRange,
  model: MemoryModelName,
  architecture: Architecture,
): DeviceZone | undefined {
  const unit = deviceAlignmentPages(model, architecture);
  if (range.pages === 0 || range.startPfn % unit !== 0 || range.pages % unit !== 0) {
    return undefined;
  }
  const memmapBytes = range.pages * architecture.structPageBytes;
  const memmapPages = Math.ceil(memmapBytes / 2 ** architecture.pageShift);
  return {
    nodeId: range.nodeId,
    zone: 'Device',
    startPfn: range.startPfn,
    spannedPages: range.pages,
    presentPages: 0,
    managedPages: 0,
    memmapBytes,
    memmapOn: range.memmapOn,
    usablePages: range.pages - (range.memmapOn === 'device' ? memmapPages : 0),
  };
}
