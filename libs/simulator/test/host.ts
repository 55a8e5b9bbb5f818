/** Small hosts for tests: marks, reserves and per-CPU sizes by the kernel's own formulas. */
import {
  kernelProfiles,
  lowmemReserve,
  pcpBatch,
  pcpHigh,
  setupPerZoneWmarks,
  type HostModel,
  type HostNode,
  type HostZone,
  type MemoryPolicy,
  type RegionSpec,
  type ReplayStep,
  type ZoneName,
} from '../src';

export interface NodeShape {
  cpus: number;
  zones: { name: ZoneName; pages: number }[];
}

const ZONE_INDEX: Record<ZoneName, number> = { DMA: 0, DMA32: 1, Normal: 2, Movable: 3 };

/** A host with everything free but what the kernel holds (`usedShare` of each zone). */
export function makeHost(
  shapes: NodeShape[],
  options: { minFreeKib?: number; distance?: number; usedShare?: number } = {},
): HostModel {
  const { minFreeKib = 4096, distance = 20, usedShare = 0.02 } = options;
  const flat = shapes.flatMap((shape) => shape.zones);
  const onlineCpus = shapes.reduce((sum, shape) => sum + shape.cpus, 0);
  const marks = setupPerZoneWmarks(
    flat.map((zone) => ({ zoneIndex: ZONE_INDEX[zone.name], managedPages: zone.pages })),
    minFreeKib,
    10,
  );
  let cpu = 0;
  let at = 0;
  const nodes = shapes.map((shape, nodeId): HostNode => {
    const cpus = Array.from({ length: shape.cpus }, () => cpu++);
    const reserve = lowmemReserve(
      shape.zones.map((zone) => ({ zoneIndex: ZONE_INDEX[zone.name], managedPages: zone.pages })),
      [256, 256, 32, 0, 0],
    );
    let nextPfn = 0;
    const zones = shape.zones.map((zone, i): HostZone => {
      const pfn = nextPfn;
      nextPfn += zone.pages;
      const mark = marks[at++]!;
      const batchPages = pcpBatch(zone.pages);
      const highPages = pcpHigh({
        managedPages: zone.pages,
        lowPages: mark.lowPages,
        batchPages,
        nodeCpus: shape.cpus,
        onlineCpus,
        percpuPagelistHighFraction: 0,
      });
      const freePages = Math.floor(zone.pages * (1 - usedShare));
      return {
        name: zone.name,
        startPfn: pfn,
        spannedPages: zone.pages,
        presentPages: zone.pages,
        managedPages: zone.pages,
        freePages,
        boostPages: 0,
        ...mark,
        protectionPages: reserve[i]!,
        freeBlocks: [freePages % 1024, 0, 0, 0, 0, 0, 0, 0, 0, 0, Math.floor(freePages / 1024)],
        pagesets: Array.from({ length: onlineCpus }, (_, id) => ({
          cpu: id,
          countPages: 0,
          highPages,
          batchPages,
        })),
      };
    });
    return emptyNode(nodeId, cpus, zones);
  });
  return {
    kernelProfile: '6.1.y',
    nodes,
    distances: shapes.map((_, i) => shapes.map((__, j) => (i === j ? 10 : distance))),
    sysctl: {
      min_free_kbytes: minFreeKib,
      ...kernelProfiles['6.1.y'].defaultSysctls,
      dirty_writeback_centisecs: 0,
    },
    thp: { enabled: 'never', defrag: 'madvise' },
    swap: { totalPages: 0, freePages: 0 },
  };
}

/** A node on which nothing is in use but what its zones say. */
export function emptyNode(nodeId: number, cpus: number[], zones: HostZone[]): HostNode {
  return {
    nodeId,
    cpus,
    zones,
    lru: {
      inactiveAnonPages: 0,
      activeAnonPages: 0,
      inactiveFilePages: 0,
      activeFilePages: 0,
      unevictablePages: 0,
    },
    filePages: 0,
    mappedPages: 0,
    shmemPages: 0,
    anonPages: 0,
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

/** Two nodes of 128 MiB with one CPU each, Normal zones only. */
export function twoNodes(): HostModel {
  const zones: NodeShape['zones'] = [{ name: 'Normal', pages: 32768 }];
  return makeHost([
    { cpus: 1, zones },
    { cpus: 1, zones },
  ]);
}

export function region(
  sizePages: number,
  policy: MemoryPolicy,
  over: Partial<RegionSpec> = {},
): RegionSpec {
  return {
    cell: 0,
    sizePages,
    policy,
    policyScope: 'mbind',
    cpuNodes: [0],
    thp: 'none',
    pinned: false,
    ...over,
  };
}

/** A guest that touches all of its memory at start. */
export function guestStep(
  name: string,
  sizePages: number,
  policy: MemoryPolicy,
  over: Partial<RegionSpec> = {},
): ReplayStep {
  return {
    op: 'guest',
    guest: {
      name,
      regions: [region(sizePages, policy, over)],
      oomScoreAdj: 0,
      overheadPages: 0,
    },
    touchPages: [sizePages],
  };
}

export function cacheStep(
  pages: number,
  node: number,
  over: Partial<Extract<ReplayStep, { op: 'cache' }>> = {},
): ReplayStep {
  return {
    op: 'cache',
    file: 'f',
    offsetPages: 0,
    pages,
    cpuNode: node,
    policy: { mode: 'bind', nodes: [node] },
    access: 'read',
    passes: 1,
    ...over,
  };
}
