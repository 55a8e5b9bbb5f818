/** Hosts of the bench as a kernel would describe them: zones, marks and reserves by the kernel's own formulas. */
import {
  kernelProfiles,
  lowmemReserve,
  minFreeKbytes,
  setupPerZoneWmarks,
  type HostModel,
  type HostNode,
} from '@zonewise/simulator';

export const PAGES_PER_GIB = 262_144;
const DMA32 = 1;
const NORMAL = 2;
/** DMA32 of the first node, as on machines whose firmware leaves 2 GiB below 4 GiB. */
const DMA32_PAGES = 2 * PAGES_PER_GIB;
const DMA32_START = 2 ** 12;
const NORMAL_START = 2 ** 20;
const PAGES_PER_2MIB = 512;
const BLOCK_PAGES = 1024;

export interface HostType {
  nodes: number;
  /** CPUs of a node. */
  cpus: number;
  /** Memory of a node. */
  gib: number;
}

/** What is in use on a node when the bench begins. */
export interface NodeUse {
  anonPages: number;
  /** 2 MiB pages of the pool, all free. */
  hugePages: number;
}

/** A host of this type; `use` by node. */
export function hostModel({ nodes, cpus, gib }: HostType, use: readonly NodeUse[]): HostModel {
  const profile = kernelProfiles['6.1.y'];
  const ratio = profile.defaultSysctls.lowmem_reserve_ratio;
  const zonesOf = (node: number): { zoneIndex: number; managedPages: number }[] => {
    const all = gib * PAGES_PER_GIB;
    if (node > 0) return [{ zoneIndex: NORMAL, managedPages: all }];
    return [
      { zoneIndex: DMA32, managedPages: DMA32_PAGES },
      { zoneIndex: NORMAL, managedPages: all - DMA32_PAGES },
    ];
  };
  const sizes = Array.from({ length: nodes }, (_, node) => zonesOf(node));
  const flat = sizes.flat();
  const minFree = minFreeKbytes({
    zones: flat.map((zone) => ({ ...zone, highPages: 0 })),
    thpEnabled: true,
    userMinFreeKbytes: -1,
    currentMinFreeKbytes: 0,
  });
  const marks = setupPerZoneWmarks(flat, minFree, profile.defaultSysctls.watermark_scale_factor);
  let zone = 0;
  let startPfn = NORMAL_START;
  const built = sizes.map((zones, nodeId): HostNode => {
    const { anonPages, hugePages } = use[nodeId] ?? { anonPages: 0, hugePages: 0 };
    const protection = lowmemReserve(zones, ratio);
    const hugetlbPages = hugePages * PAGES_PER_2MIB;
    const hostZones = zones.map(({ zoneIndex, managedPages }, i) => {
      const normal = zoneIndex === NORMAL;
      const freePages = normal ? managedPages - anonPages - hugetlbPages : managedPages;
      const start = normal ? startPfn : DMA32_START;
      const mark = marks[zone + i]!;
      return {
        name: normal ? ('Normal' as const) : ('DMA32' as const),
        startPfn: start,
        spannedPages: managedPages,
        presentPages: managedPages,
        managedPages,
        freePages,
        boostPages: 0,
        ...mark,
        protectionPages: protection[i]!,
        freeBlocks: [
          freePages % BLOCK_PAGES,
          ...new Array<number>(9).fill(0),
          Math.floor(freePages / BLOCK_PAGES),
        ],
        pagesets: [],
      };
    });
    zone += zones.length;
    startPfn += gib * PAGES_PER_GIB;
    return {
      nodeId,
      cpus: Array.from({ length: cpus }, (_, i) => nodeId * cpus + i),
      zones: hostZones,
      lru: {
        inactiveAnonPages: anonPages,
        activeAnonPages: 0,
        inactiveFilePages: 0,
        activeFilePages: 0,
        unevictablePages: 0,
      },
      ...{ filePages: 0, mappedPages: 0, shmemPages: 0, anonPages },
      ...{ dirtyPages: 0, writebackPages: 0, slabReclaimablePages: 0, slabUnreclaimablePages: 0 },
      hugepages:
        hugePages === 0 ? [] : [{ sizeKib: 2048, totalPages: hugePages, freePages: hugePages }],
      numastat: {
        numaHit: 0,
        numaMiss: 0,
        numaForeign: 0,
        interleaveHit: 0,
        localNode: 0,
        otherNode: 0,
      },
    };
  });
  return {
    kernelProfile: '6.1.y',
    nodes: built,
    distances: built.map((_, i) => built.map((__, j) => (i === j ? 10 : 21))),
    sysctl: { min_free_kbytes: minFree, ...profile.defaultSysctls },
    thp: { enabled: 'madvise', defrag: 'madvise' },
    swap: { totalPages: 0, freePages: 0 },
  };
}
