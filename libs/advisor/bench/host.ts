/** Builds host models of any size with the marks, reserves and lists that a kernel of that size has. */
import {
  PAGES_PER_HUGE,
  PAGES_PER_MIB,
  architectures,
  kernelProfiles,
  zoneReserves,
  type HostModel,
  type HostNode,
  type HostSysctls,
  type HostZone,
  type HugepagePool,
  type ReserveZone,
  type ThpSettings,
} from '@zonewise/simulator';

export interface NodeShape {
  memoryMib: number;
  cpus: number;
  /** Page cache, a third of it active, and which share of it is dirty or mapped. */
  fileMib: number;
  dirtyPercent?: number;
  mappedPercent?: number;
  /** Anonymous memory of running guests and others. */
  anonMib?: number;
  slabReclaimableMib?: number;
  /** Unreclaimable slab, page tables, kernel stacks. */
  kernelMib?: number;
  hugepages?: HugepagePool[];
}

export interface HostShape {
  nodes: NodeShape[];
  /** SLIT distances by position. */
  distances: number[][];
  thp: ThpSettings;
  swapMib: number;
  sysctl: Partial<HostSysctls>;
}

const PROFILE = '6.1.y';
/** Order of the largest free block. */
const MAX_ORDER = 10;
const DMA_START_PFN = 1;
const DMA_PAGES = 3840;
/** x86-64 with 2 GiB of memory below the hole for devices. */
const DMA32_END_PFN = 2 ** 19;
const DMA32_START_PFN = 4096;
const NORMAL_START_PFN = 2 ** 20;
/** Memory map: 64 of 4096 bytes are not handed to the page allocator. */
const MEMMAP_SHARE = 64 / 4096;

type ZoneSize = ReserveZone & { startPfn: number };

/** Every node's zones: node 0 has DMA and DMA32 besides Normal, as on a PC server. */
function zonesOf(shape: HostShape): ZoneSize[] {
  let startPfn = NORMAL_START_PFN;
  return shape.nodes.flatMap(({ memoryMib }, nodeId) => {
    let left = memoryMib * PAGES_PER_MIB;
    const zones: ZoneSize[] = [];
    const add = (zone: 'DMA' | 'DMA32' | 'Normal', from: number, presentPages: number): void => {
      const managedPages = Math.floor(presentPages * (1 - MEMMAP_SHARE));
      zones.push({ nodeId, zone, startPfn: from, presentPages, managedPages });
      left -= presentPages;
    };
    if (nodeId === 0 && left > 2 * DMA32_END_PFN) {
      add('DMA', DMA_START_PFN, DMA_PAGES);
      add('DMA32', DMA32_START_PFN, DMA32_END_PFN - DMA32_START_PFN);
    }
    if (left > 0) {
      const pages = left - (left % PAGES_PER_HUGE);
      add('Normal', startPfn, pages);
      // The next node begins on a multiple of 128 MiB, as sections do.
      startPfn += Math.ceil(pages / 2 ** 15) * 2 ** 15;
    }
    return zones;
  });
}

function usedPages(node: NodeShape): number {
  const pools = (node.hugepages ?? []).reduce(
    (sum, { sizeKib, totalPages }) => sum + (totalPages * sizeKib) / 1024,
    0,
  );
  const mib =
    node.fileMib +
    (node.anonMib ?? 0) +
    (node.slabReclaimableMib ?? 0) +
    (node.kernelMib ?? 0) +
    pools;
  return Math.round(mib * PAGES_PER_MIB);
}

/** Free memory lies in blocks of the largest order, but for what does not fill one. */
function freeBlocks(freePages: number): number[] {
  const blocks = new Array<number>(MAX_ORDER + 1).fill(0);
  let left = freePages;
  for (let order = MAX_ORDER; order >= 0; order -= 1) {
    blocks[order] = Math.floor(left / 2 ** order);
    left %= 2 ** order;
  }
  return blocks;
}

/**
 * @throws RangeError where a node's use is more than it has
 * @differs memory in use is taken from Normal first: DMA and DMA32 are free as long as it lasts
 */
export function buildHost(shape: HostShape): HostModel {
  const architecture = architectures['x86-64'];
  const profile = kernelProfiles[PROFILE];
  const sizes = zonesOf(shape);
  const cpusByNode = new Map(shape.nodes.map(({ cpus }, nodeId) => [nodeId, cpus]));
  const thpEnabled = shape.thp.enabled !== 'never';
  const given = shape.sysctl;
  const reserves = zoneReserves(
    { architecture, zones: sizes, cpusByNode, thpEnabled },
    {
      ...(given.min_free_kbytes === undefined ? {} : { minFreeKbytes: given.min_free_kbytes }),
      ...(given.watermark_scale_factor === undefined
        ? {}
        : { watermarkScaleFactor: given.watermark_scale_factor }),
    },
    profile,
  );
  let nextCpu = 0;
  const nodes = shape.nodes.map((node, nodeId): HostNode => {
    const cpus = Array.from({ length: node.cpus }, () => nextCpu++);
    let used = usedPages(node);
    const own = reserves.zones.flatMap((zone, i) =>
      zone.nodeId === nodeId ? [{ ...zone, startPfn: sizes[i]?.startPfn ?? 0 }] : [],
    );
    const zones = [...own]
      .reverse()
      .map((zone): HostZone => {
        const taken = Math.min(used, zone.managedPages);
        used -= taken;
        return {
          name: zone.zone as HostZone['name'],
          startPfn: zone.startPfn,
          spannedPages: zone.presentPages,
          presentPages: zone.presentPages,
          managedPages: zone.managedPages,
          freePages: zone.managedPages - taken,
          boostPages: 0,
          minPages: zone.minPages,
          lowPages: zone.lowPages,
          highPages: zone.highPages,
          protectionPages: zone.protectionPages,
          freeBlocks: freeBlocks(zone.managedPages - taken),
          pagesets: cpus.map((cpu) => ({
            cpu,
            countPages: 0,
            highPages: zone.pcpHighPages,
            batchPages: zone.pcpBatchPages,
          })),
        };
      })
      .reverse();
    if (used > 0) throw new RangeError(`node ${nodeId} lacks ${used} pages for what it holds`);
    return { nodeId, cpus, zones, ...contents(node) };
  });
  return {
    kernelProfile: PROFILE,
    nodes,
    distances: shape.distances,
    sysctl: {
      min_free_kbytes: reserves.computedMinFreeKbytes,
      ...profile.defaultSysctls,
      ...given,
    },
    thp: shape.thp,
    swap: { totalPages: shape.swapMib * PAGES_PER_MIB, freePages: shape.swapMib * PAGES_PER_MIB },
  };
}

function contents(node: NodeShape): Omit<HostNode, 'nodeId' | 'cpus' | 'zones'> {
  const pages = (mib: number): number => Math.round(mib * PAGES_PER_MIB);
  const file = pages(node.fileMib);
  const active = Math.floor(file / 3);
  const anon = pages(node.anonMib ?? 0);
  return {
    lru: {
      inactiveAnonPages: Math.floor(anon / 4),
      activeAnonPages: anon - Math.floor(anon / 4),
      inactiveFilePages: file - active,
      activeFilePages: active,
      unevictablePages: 0,
    },
    filePages: file,
    mappedPages: Math.floor((file * (node.mappedPercent ?? 2)) / 100),
    shmemPages: 0,
    anonPages: anon,
    dirtyPages: Math.floor((file * (node.dirtyPercent ?? 0)) / 100),
    writebackPages: 0,
    slabReclaimablePages: pages(node.slabReclaimableMib ?? 0),
    slabUnreclaimablePages: pages(node.kernelMib ?? 0),
    hugepages: node.hugepages ?? [],
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
