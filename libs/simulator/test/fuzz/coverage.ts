import type { MachineOp, MachinePicture } from '../machine';

/** How often the mechanisms were at work; a fuzz run that never reclaims tests no reclaim. */
export interface Coverage {
  operations: number;
  requests: number;
  refusals: number;
  spills: number;
  retypedPageblocks: number;
  boosts: number;
  highatomicReserved: number;
  highatomicUnreserved: number;
  directReclaims: number;
  nodeReclaims: number;
  kswapdRuns: number;
  kswapdHopeless: number;
  swappedOut: number;
  swapFull: number;
}

export function noCoverage(): Coverage {
  return {
    operations: 0,
    requests: 0,
    refusals: 0,
    spills: 0,
    retypedPageblocks: 0,
    boosts: 0,
    highatomicReserved: 0,
    highatomicUnreserved: 0,
    directReclaims: 0,
    nodeReclaims: 0,
    kswapdRuns: 0,
    kswapdHopeless: 0,
    swappedOut: 0,
    swapFull: 0,
  };
}

function added(before: MachinePicture, after: MachinePicture, ...counters: string[]): number {
  return counters.reduce(
    (total, name) => total + (after.vmstat[name] ?? 0) - (before.vmstat[name] ?? 0),
    0,
  );
}

/** Adds what one operation did, seen by the pictures before and after it. */
export function cover(
  coverage: Coverage,
  op: MachineOp,
  done: number,
  before: MachinePicture,
  after: MachinePicture,
): void {
  coverage.operations++;
  if (op.op === 'alloc') {
    coverage.requests += done;
    coverage.refusals += done < op.count ? 1 : 0;
  }
  coverage.spills += added(before, after, 'numa_miss');
  const stalls = added(before, after, 'allocstall_normal', 'allocstall_movable');
  coverage.directReclaims += stalls;
  if (stalls === 0 && added(before, after, 'pgscan_direct') > 0) {
    coverage.nodeReclaims++;
  }
  coverage.kswapdRuns += added(before, after, 'pageoutrun');
  coverage.swappedOut += added(before, after, 'pswpout');
  coverage.swapFull += before.swapFreePages > 0 && after.swapFreePages === 0 ? 1 : 0;
  after.zones.forEach((zone, i) => {
    const was = before.zones[i] ?? zone;
    coverage.boosts += zone.boost > was.boost ? 1 : 0;
    coverage.highatomicReserved += zone.reservedHighatomic > was.reservedHighatomic ? 1 : 0;
    coverage.highatomicUnreserved += zone.reservedHighatomic < was.reservedHighatomic ? 1 : 0;
    coverage.retypedPageblocks += zone.pageblockTypes.filter(
      (type, block) => type !== was.pageblockTypes[block],
    ).length;
  });
  after.nodes.forEach((node, i) => {
    const was = before.nodes[i] ?? node;
    coverage.kswapdHopeless += node.kswapdFailures >= 16 && was.kswapdFailures < 16 ? 1 : 0;
  });
}

export function coverageText(coverage: Coverage): string {
  return Object.entries(coverage)
    .map(([name, times]) => `${name} ${times}`)
    .join(', ');
}
