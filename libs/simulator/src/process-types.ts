/** What starting a process takes, as a replay is given it. */

/** Blocks of the kernel's own and of a process image. */
export interface ProcessPageCounts {
  /** Single pages that cannot be moved: task structures, stacks, page tables. */
  unmovablePages: number;
  /** Blocks of two such pages. */
  unmovablePairs: number;
  /** Pages copied, stack and heap. */
  movablePages: number;
}

/** What starting a process takes besides the memory that a step names; all of it is given back at its end. */
export interface ProcessPages {
  /** Taken by the process that starts it, on the host's first CPU without a policy. */
  parent: ProcessPageCounts;
  /** Taken by itself, on its CPU under its task policy. */
  own: ProcessPageCounts;
}
