/** The contract of memory hotplug, beside types.ts. */

/**
 * Writes to the `state` of memory blocks, one after the other, ascending. Blocks that the host does not have are added
 * first.
 */
export interface HotplugSpec {
  /** `online_kernel`, `online_movable`: to an ordinary zone, to zone Movable; `online`: as the kernel chooses. */
  action: 'online' | 'online_kernel' | 'online_movable' | 'offline';
  nodeId: number;
  /** First pfn and number of pages; multiples of a block. */
  startPfn: number;
  pages: number;
  /** Size of a memory block (`block_size_bytes`): a power of two from 128 MiB to 2 GiB. Absent: 128 MiB. */
  blockPages?: number;
  /** Blocks that are added hold their own memmap (from 5.13 on). Absent: it is taken from the node's memory. */
  memmapOnMemory?: boolean;
  /** `offline`: how long the writer of each block waits, virtual time. Absent: 60 seconds. */
  timeoutSeconds?: number;
}
