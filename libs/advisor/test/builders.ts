import {
  kernelProfiles,
  type GuestProcess,
  type HostModel,
  type HostNode,
  type RegionSpec,
} from '@zonewise/simulator';
import type { GuestSpec, NumatuneSetting } from '../src/types';

export const MIB = 256;

export interface NodeShape {
  /** Memory of the node in MiB. */
  mib: number;
  /** Clean page cache in MiB. */
  cacheMib?: number;
  /** Anonymous memory of running guests in MiB. */
  anonMib?: number;
  cpus?: number[];
}

/**
 * A host of one Normal zone per node with marks by the kernel's formula for min_free_kbytes 4 MiB per node:
 * low and high one quarter of min (or watermark_scale_factor 10) further. CPU lists are empty.
 */
export function host(shapes: NodeShape[], sysctl: Partial<HostModel['sysctl']> = {}): HostModel {
  let startPfn = 1 << 20;
  const nodes = shapes.map((shape, nodeId) => {
    const built = node(nodeId, shape, startPfn);
    startPfn += shape.mib * MIB;
    return built;
  });
  return {
    kernelProfile: '6.1.y',
    nodes,
    distances: nodes.map((_, i) => nodes.map((__, j) => (i === j ? 10 : 21))),
    sysctl: {
      min_free_kbytes: nodes.length * 4096,
      ...kernelProfiles['6.1.y'].defaultSysctls,
      watermark_boost_factor: 0,
      ...sysctl,
    },
    thp: { enabled: 'never', defrag: 'madvise' },
    swap: { totalPages: 0, freePages: 0 },
  };
}

function node(nodeId: number, shape: NodeShape, startPfn: number): HostNode {
  const managedPages = shape.mib * MIB;
  const cachePages = (shape.cacheMib ?? 0) * MIB;
  const anonPages = (shape.anonMib ?? 0) * MIB;
  const freePages = managedPages - cachePages - anonPages;
  const gap = Math.max(256, Math.floor(managedPages / 1000));
  return {
    nodeId,
    cpus: shape.cpus ?? [nodeId * 2, nodeId * 2 + 1],
    zones: [
      {
        name: 'Normal',
        startPfn,
        spannedPages: managedPages,
        presentPages: managedPages,
        managedPages,
        freePages,
        boostPages: 0,
        minPages: 1024,
        lowPages: 1024 + gap,
        highPages: 1024 + 2 * gap,
        protectionPages: [0, 0, 0, 0],
        freeBlocks: [freePages % 1024, 0, 0, 0, 0, 0, 0, 0, 0, 0, Math.floor(freePages / 1024)],
        pagesets: [],
      },
    ],
    lru: {
      inactiveAnonPages: anonPages,
      activeAnonPages: 0,
      inactiveFilePages: cachePages,
      activeFilePages: 0,
      unevictablePages: 0,
    },
    filePages: cachePages,
    mappedPages: 0,
    shmemPages: 0,
    anonPages,
    dirtyPages: 0,
    writebackPages: 0,
    slabReclaimablePages: 0,
    slabUnreclaimablePages: 0,
    hugepages: [],
    numastat: {
      numaHit: 0,
      numaMiss: 0,
      numaForeign: 0,
      interleaveHit: 0,
      localNode: 0,
      otherNode: 0,
    },
  };
}

export function region(mib: number, nodeId: number, over: Partial<RegionSpec> = {}): RegionSpec {
  return {
    cell: 0,
    sizePages: mib * MIB,
    policy: { mode: 'preferred', nodes: [nodeId] },
    policyScope: 'mbind',
    cpuNodes: [nodeId],
    thp: 'nohuge',
    pinned: false,
    ...over,
  };
}

export function process(name: string, regions: RegionSpec[]): GuestProcess {
  return { name, regions, oomScoreAdj: 0, overheadPages: 0 };
}

/** A planned guest, preferred on its node and with its CPUs pinned there. */
export function planned(
  name: string,
  mib: number,
  nodeId: number,
  over: { numatune?: NumatuneSetting; region?: Partial<RegionSpec>; diskCachePages?: number } = {},
): GuestSpec {
  return {
    state: 'planned',
    guest: process(name, [region(mib, nodeId, over.region)]),
    numatune: over.numatune ?? { mode: 'preferred', nodeset: [nodeId] },
    diskCachePages: over.diskCachePages ?? 0,
    cpusPinned: true,
    assumptions: [],
  };
}

/** A running guest with CPUs on `nodeId` and its pages where `residency` says (MiB by node). */
export function running(
  name: string,
  mib: number,
  nodeId: number,
  residency: Record<number, number>,
): GuestSpec {
  return {
    state: 'running',
    residencySource: 'numa_maps',
    guest: {
      ...process(name, [region(mib, nodeId)]),
      residency: Object.entries(residency).map(([id, residentMib]) => ({
        cell: 0,
        nodeId: Number(id),
        pages: residentMib * MIB,
        hugePages: 0,
      })),
      swapPages: 0,
    },
    numatune: { mode: 'preferred', nodeset: [nodeId] },
    diskCachePages: 0,
    cpusPinned: true,
    assumptions: [],
  };
}
