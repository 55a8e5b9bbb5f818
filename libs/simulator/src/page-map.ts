/** Which pages of a mapping exist, by 2 MiB block: counts; the runs on the LRU lists hold the addresses. */
import { PAGES_PER_HUGE } from './constants';
import type { Run } from './lru-run';
import type { MemoryGroup } from './memcg';
import type { KernelBlock } from './page-alloc';
import type { SwapRequest } from './swap-write';

/** Pages per 512-page block; grows on demand. */
export class BlockCounts {
  private counts = new Uint16Array(0);
  total = 0;

  get(block: number): number {
    return this.counts[block] ?? 0;
  }

  set(block: number, pages: number): void {
    this.reserve(block + 1);
    this.total += pages - this.counts[block]!;
    this.counts[block] = pages;
  }

  get bytes(): number {
    return this.counts.byteLength;
  }

  get blocks(): number {
    return this.counts.length;
  }

  /**
   * Adds (or, negative, removes) pages spread evenly over [offset, offset + span), keeping each block
   * within 0..512. What does not fit there goes to the nearest blocks after, then before.
   * @returns pages that found no place at all
   */
  spread(offset: number, span: number, pages: number): number {
    const first = Math.floor(offset / PAGES_PER_HUGE);
    const last = Math.floor((offset + Math.max(span, 1) - 1) / PAGES_PER_HUGE);
    this.reserve(last + 1);
    let left = pages;
    let seen = 0;
    for (let block = first; block <= last; block += 1) {
      const until = Math.min((block + 1) * PAGES_PER_HUGE, offset + span) - offset;
      const due = Math.trunc((pages * until) / Math.max(span, 1)) - seen;
      seen += due;
      left -= this.add(block, due);
    }
    for (let block = last; left !== 0 && block < this.counts.length; block += 1) {
      left -= this.add(block, left);
    }
    for (let block = last; left !== 0 && block >= 0; block -= 1) left -= this.add(block, left);
    return left;
  }

  private add(block: number, pages: number): number {
    const before = this.counts[block]!;
    const after = Math.min(Math.max(before + pages, 0), PAGES_PER_HUGE);
    this.counts[block] = after;
    this.total += after - before;
    return after - before;
  }

  private reserve(blocks: number): void {
    if (blocks <= this.counts.length) return;
    const grown = new Uint16Array(
      Math.max(blocks, Math.min(this.counts.length * 2, blocks + 4096)),
    );
    grown.set(this.counts);
    this.counts = grown;
  }
}

/** What is left of an evicted page (a workingset shadow): where, at what age, and at whose level of reclaim. */
export interface Shadow {
  nodePosition: number;
  age: number;
  workingset: boolean;
  /** The memory cgroup whose limit it was evicted for. */
  group?: MemoryGroup;
}

/** Memory of one owner: a guest's region, a cached file, or what the host used before the replay. */
export interface Mapping {
  kind: 'anon' | 'file';
  name: string;
  /** The guest that dies with it; undefined for cache and host memory. */
  guest?: string;
  /** The memory cgroup of that guest, which all its pages are charged to; a file's are charged to whom reads them. */
  group?: MemoryGroup;
  /** Resident and swapped pages; undefined for memory whose offsets are unknown. */
  present?: BlockCounts;
  /** Pages on swap, by block. */
  swapped?: BlockCounts;
  /** Age of the last eviction per block (workingset shadow). */
  evicted?: Map<number, Shadow>;
  /** Written pages that still carry a buffer head, and the slabs of these, oldest first; files only. */
  bufferHeads?: { pages: number; slabs: KernelBlock[] };
  /** Its resident pages: every run of it that stands on an LRU list. */
  runs: Set<Run>;
  /** Those of its runs that are under writeback. */
  writing: Set<Run>;
  /** Frames of pages that were written to swap and not freed yet (swap cache). */
  swapCache?: Mapping;
  /** Set on a swap cache: whose pages it holds. */
  swapCacheOf?: Mapping;
  /** Set on the part of a swap cache that a request is writing. */
  writtenBy?: SwapRequest;
  pagesByNode: number[];
  hugePages: number;
  swapPages: number;
  shmem: boolean;
  /** Somebody holds its pages: reclaim cannot free them. */
  held?: boolean;
}

export function newMapping(
  kind: Mapping['kind'],
  name: string,
  nodes: number,
  tracked: boolean,
  guest?: string,
): Mapping {
  return {
    kind,
    name,
    guest,
    group: undefined,
    present: tracked ? new BlockCounts() : undefined,
    swapped: tracked && kind === 'anon' ? new BlockCounts() : undefined,
    evicted: tracked ? new Map() : undefined,
    bufferHeads: undefined,
    runs: new Set(),
    writing: new Set(),
    swapCache: undefined,
    swapCacheOf: undefined,
    writtenBy: undefined,
    pagesByNode: new Array<number>(nodes).fill(0),
    hugePages: 0,
    swapPages: 0,
    shmem: false,
    held: undefined,
  };
}
