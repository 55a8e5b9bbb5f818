/** What a kernel says of the memory map: its size at boot, and the blocks of sections that sysfs lists. */
import {
  architectures,
  calcMemmapPages,
  kernelProfiles,
  nodeSections,
  type HostModel,
  type HostZone,
} from '@zonewise/simulator';
import { textOf } from './layout';

const X86_64 = architectures['x86-64'];

/**
 * Pages of each node and zone, and those that a zone's memory map takes, as a boot log has them (at debug level
 * since 5.8).
 * @kernel mm/page_alloc.c calculate_node_totalpages(), free_area_init_core(), zone_pcp_init()
 * @differs `DMA zone: 21 pages reserved`, of what firmware keeps below 16 MiB, is left out
 */
export function printMemmap({ nodes, kernelProfile }: HostModel): string {
  const baseBatchPages = kernelProfiles[kernelProfile].pcpBatchBasePages;
  return textOf(
    nodes.flatMap(({ nodeId, zones }) => [
      `On node ${nodeId} totalpages: ${zones.reduce((sum, zone) => sum + zone.presentPages, 0)}`,
      ...zones.flatMap((zone) => {
        const { name, presentPages } = zone;
        const memmapPages = memmapPagesOf(zone);
        const batch = zoneBatchsize(presentPages - memmapPages, baseBatchPages);
        return [
          `  ${name} zone: ${memmapPages} pages used for memmap`,
          `  ${name} zone: ${presentPages} pages, LIFO batch:${batch}`,
        ];
      }),
    ]),
  );
}

export function memmapPagesOf({ spannedPages, presentPages }: HostZone): number {
  return calcMemmapPages(spannedPages, presentPages, X86_64);
}

/**
 * As it is printed; lists take at least 1.
 * @kernel mm/page_alloc.c zone_batchsize()
 */
function zoneBatchsize(managedPages: number, basePages: number): number {
  const share = Math.floor(Math.min(Math.floor(managedPages / 1024), basePages) / 4);
  const batch = Math.max(share, 1);
  return 2 ** Math.floor(Math.log2(batch + Math.floor(batch / 2))) - 1;
}

const SECTION_BYTES = 2 ** X86_64.sectionSizeBits;
/** From this much memory on a host that is no guest itself has blocks of 2 GiB. */
const LARGE_HOST_BYTES = 2 ** 36;
const LARGE_BLOCK_BYTES = 2 ** 31;

/** Bytes of a memory block of sysfs. @kernel arch/x86/mm/init_64.c probe_memory_block_size() */
export function memoryBlockBytes({ nodes }: HostModel): number {
  const ends = nodes.flatMap(({ zones }) =>
    zones.map(({ startPfn, spannedPages }) => startPfn + spannedPages),
  );
  const endBytes = Math.max(...ends, 0) * 2 ** X86_64.pageShift;
  return endBytes < LARGE_HOST_BYTES ? SECTION_BYTES : LARGE_BLOCK_BYTES;
}

/** Numbers of the memory blocks of each node. */
export function memoryBlocks(host: HostModel): { nodeId: number; blocks: number[] }[] {
  const perBlock = memoryBlockBytes(host) / SECTION_BYTES;
  const ranges = host.nodes.flatMap(({ nodeId, zones }) =>
    zones.map(({ startPfn, presentPages }) => ({ nodeId, startPfn, pages: presentPages })),
  );
  return nodeSections(ranges, X86_64).map(({ nodeId, runs }) => ({
    nodeId,
    blocks: [
      ...new Set(
        runs.flatMap(({ first, last }) =>
          Array.from({ length: last - first + 1 }, (_, i) => Math.floor((first + i) / perBlock)),
        ),
      ),
    ],
  }));
}

/**
 * Sections as sysfs lists them: the size of a block in hexadecimal, and the blocks under each node,
 * /sys/devices/system/memory/block_size_bytes and /sys/devices/system/node/nodeN/memoryM.
 * @kernel drivers/base/memory.c block_size_bytes_show(), drivers/base/node.c register_memory_blocks_under_node()
 */
export function printSections(host: HostModel): string {
  return textOf([
    `block_size_bytes:${memoryBlockBytes(host).toString(16)}`,
    ...memoryBlocks(host).flatMap(({ nodeId, blocks }) =>
      blocks.map((block) => `node${nodeId}/memory${block}`),
    ),
  ]);
}
