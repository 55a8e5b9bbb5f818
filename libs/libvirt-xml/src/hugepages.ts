/** Which size of huge page a guest cell lies on, as libvirt picks it. */
import type { DomainView } from './types';

/** What a kernel takes for a huge page where its command line names no `default_hugepagesz`. */
export const DEFAULT_HUGEPAGE_KIB = 2048;

/** Sizes that x86-64 has hugetlbfs mounts for. */
const MOUNTABLE_KIB = [2048, 1_048_576] as const;

/**
 * The `<page>` that names the cell, else the one without a nodeset (qemuBuildMemoryBackendProps).
 * @param cell guest cell; 0 for a guest without cells
 * @param defaultKib size where the document names none
 * @returns size in KiB, or null for plain memory
 */
export function hugepageKibOf(
  { memoryBacking }: Pick<DomainView, 'memoryBacking'>,
  cell: number,
  defaultKib = DEFAULT_HUGEPAGE_KIB,
): number | null {
  const pages = memoryBacking.hugepages;
  const page =
    pages?.find(({ nodeset }) => nodeset?.includes(cell)) ??
    pages?.find(({ nodeset }) => nodeset === null);
  return page === undefined ? null : (page.sizeKib ?? defaultKib);
}

/** The size as the simulator has pools of; undefined for one that no x86-64 kernel has. */
export function mountableKib(sizeKib: number): 2048 | 1_048_576 | undefined {
  return MOUNTABLE_KIB.find((size) => size === sizeKib);
}
