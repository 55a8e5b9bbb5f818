/** Guests of the generated problems. */
import { PAGES_PER_HUGE, PAGES_PER_MIB, type RegionSpec } from '@zonewise/simulator';
import type { GuestSpec, PlacementMode } from '../src/types';
import type { Random } from './random';

export interface GuestShape {
  name: string;
  memoryMib: number;
  /** Guest NUMA cells, one region each; the second one's home is the next node. */
  cells: number;
  /** Node of its CPUs where they are pinned, and of its numatune where that names one. */
  home: number;
  pinned: boolean;
  mode: PlacementMode;
  thp: RegionSpec['thp'];
  diskCacheMib: number;
  /** Its memory lies in pools of 2 MiB pages. */
  hugetlb?: boolean;
  /** It runs already, with so many MiB on each node. */
  runningOn?: Map<number, number>;
}

/** Memory of QEMU itself. */
const OVERHEAD_MIB = 64;
const PAGES_PER_HUGE_MIB = 2;

/** Splits memory into guests of one to four parts, in whole 2 MiB; none where there is no memory. */
export function splitMemory(memoryMib: number, count: number, random: Random): number[] {
  if (memoryMib < count * PAGES_PER_HUGE_MIB) return [];
  const weights = Array.from({ length: count }, () => random.between(1, 4));
  const sum = weights.reduce((a, b) => a + b, 0);
  return weights.map((weight) => {
    const exact = (memoryMib * weight) / sum;
    return Math.max(
      PAGES_PER_HUGE_MIB,
      Math.floor(exact / PAGES_PER_HUGE_MIB) * PAGES_PER_HUGE_MIB,
    );
  });
}

/** The nodes that the guest's document names for each cell. */
function cellNodes(shape: GuestShape, cpuNodes: number[], memoryNodes: number): number[][] {
  return Array.from({ length: shape.cells }, (_, cell): number[] => {
    if (shape.mode === 'none') return [];
    if (shape.mode === 'interleave') return Array.from({ length: memoryNodes }, (__, node) => node);
    const at = cpuNodes.indexOf(shape.home);
    return [cpuNodes[(at + cell) % cpuNodes.length] ?? shape.home];
  });
}

const POLICY = {
  strict: 'bind',
  preferred: 'preferred',
  interleave: 'interleave',
  restrictive: 'default',
  none: 'default',
} as const;

function regionsOf(shape: GuestShape, cpuNodes: number[], memoryNodes: number): RegionSpec[] {
  const nodes = cellNodes(shape, cpuNodes, memoryNodes);
  const all = [...new Set(nodes.flat())].sort((a, b) => a - b);
  const cellMib = Math.floor(shape.memoryMib / shape.cells / PAGES_PER_HUGE_MIB);
  return nodes.map((own, cell): RegionSpec => {
    const at = cpuNodes.indexOf(shape.home);
    const pinnedTo = [cpuNodes[(at + cell) % cpuNodes.length] ?? shape.home];
    // libvirt starts QEMU of a strict guest on the CPUs of its nodes.
    const followed = shape.mode === 'strict' ? own : cpuNodes;
    return {
      cell,
      sizePages: cellMib * PAGES_PER_HUGE,
      policy: { mode: POLICY[shape.mode], nodes: own },
      policyScope: shape.mode === 'none' ? 'task' : 'mbind',
      cpuNodes: shape.pinned ? pinnedTo : followed,
      ...(shape.mode === 'strict' && { cpusetMems: all }),
      thp: shape.hugetlb === true ? 'nohuge' : shape.thp,
      ...(shape.hugetlb === true && { hugetlb: { sizeKib: 2048, reserve: true } }),
      pinned: false,
    };
  });
}

export function guestOf(shape: GuestShape, cpuNodes: number[], memoryNodes: number): GuestSpec {
  const regions = regionsOf(shape, cpuNodes, memoryNodes);
  const process = {
    name: shape.name,
    regions,
    oomScoreAdj: 0,
    overheadPages: OVERHEAD_MIB * PAGES_PER_MIB,
  };
  const common = {
    numatune: {
      mode: shape.mode,
      nodeset: [...new Set(regions.flatMap(({ policy }) => policy.nodes))].sort((a, b) => a - b),
    },
    diskCachePages: shape.diskCacheMib * PAGES_PER_MIB,
    cpusPinned: shape.pinned,
    assumptions: [],
  };
  if (shape.runningOn === undefined) return { state: 'planned', guest: process, ...common };
  return {
    state: 'running',
    residencySource: 'numa_maps',
    guest: {
      ...process,
      overheadPages: 0,
      residency: [...shape.runningOn]
        .filter(([, mib]) => mib > 0)
        .map(([nodeId, mib]) => ({
          cell: 0,
          nodeId,
          pages: Math.min(mib * PAGES_PER_MIB, regions[0]?.sizePages ?? 0),
          hugePages: 0,
        })),
      swapPages: 0,
    },
    ...common,
  };
}
