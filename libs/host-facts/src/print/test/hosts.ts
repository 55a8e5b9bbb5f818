/** States for the printers' tests, made from a host model. */
import type { HostModel, HostNode, HostSysctls, HostZone, ZoneName } from '@zonewise/simulator';
import type { PrintableNode, PrintableSnapshot, PrintableZone } from '../printed-state';

/** The moment at which the host model was taken, complete: nothing has to be derived. */
export function snapshotOf(host: HostModel): PrintableSnapshot {
  return {
    timeNs: 0,
    nodes: host.nodes.map(nodeOf),
    guests: [],
    vmstat: {},
    sysctl: host.sysctl,
    swapTotalPages: host.swap.totalPages,
    swapUsedPages: host.swap.totalPages - host.swap.freePages,
    rates: { pgscank: 0, pgscand: 0, pgsteal: 0, pgfault: 0 },
  };
}

function nodeOf(node: HostNode): PrintableNode {
  return { ...node, kswapdFailures: 0, anonTransparentHugepages: 0, zones: node.zones.map(zoneOf) };
}

function zoneOf(zone: HostZone): PrintableZone {
  const [pageset] = zone.pagesets;
  return {
    ...zone,
    minPages: zone.minPages - zone.boostPages,
    lowPages: zone.lowPages - zone.boostPages,
    highPages: zone.highPages - zone.boostPages,
    pcpPages: zone.pagesets.reduce((sum, { countPages }) => sum + countPages, 0),
    pcpHighPages: pageset?.highPages ?? 0,
    pcpBatchPages: pageset?.batchPages ?? 0,
    reservedHighatomicPages: 0,
    freeBlocksByType: zone.freeBlocksByType ?? { Movable: zone.freeBlocks },
    pageblocksByType: zone.pageblocksByType ?? {},
    lru: zone.lru ?? NO_LRU,
  };
}

const NO_LRU = {
  inactiveAnonPages: 0,
  activeAnonPages: 0,
  inactiveFilePages: 0,
  activeFilePages: 0,
  unevictablePages: 0,
};

/** A zone of 128 MiB, all of it free in blocks of order 10. */
export function smallZone(name: ZoneName, over: Partial<HostZone> = {}): HostZone {
  const freePages = over.freePages ?? 32768;
  const freeBlocks = [freePages % 1024, 0, 0, 0, 0, 0, 0, 0, 0, 0, Math.floor(freePages / 1024)];
  return {
    name,
    startPfn: 1_048_576,
    spannedPages: 32768,
    presentPages: 32768,
    managedPages: 32768,
    freePages,
    boostPages: 0,
    minPages: 100,
    lowPages: 132,
    highPages: 164,
    protectionPages: [0, 0, 0, 0, 0],
    freeBlocks,
    freeBlocksByType: { Movable: freeBlocks },
    pagesets: [{ cpu: 0, countPages: 0, highPages: 66, batchPages: 8 }],
    lru: NO_LRU,
    ...over,
  };
}

export function smallNode(
  nodeId: number,
  zones: HostZone[],
  over: Partial<HostNode> = {},
): HostNode {
  return {
    nodeId,
    cpus: zones.length > 0 ? [nodeId] : [],
    zones,
    lru: NO_LRU,
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
    ...over,
  };
}

const SYSCTL: HostSysctls = {
  min_free_kbytes: 800,
  watermark_scale_factor: 10,
  watermark_boost_factor: 15000,
  lowmem_reserve_ratio: [256, 256, 32, 0],
  zone_reclaim_mode: 0,
  min_unmapped_ratio: 1,
  min_slab_ratio: 5,
  swappiness: 60,
  percpu_pagelist_high_fraction: 0,
  dirty_ratio: 20,
  dirty_background_ratio: 10,
  dirty_writeback_centisecs: 500,
};

export function smallHost(nodes: HostNode[]): HostModel {
  return {
    kernelProfile: '6.1.y',
    kernelRelease: '6.1.0-test',
    nodes,
    distances: nodes.map((_, i) => nodes.map((__, j) => (i === j ? 10 : 20))),
    sysctl: SYSCTL,
    thp: { enabled: 'madvise', defrag: 'madvise' },
    swap: { totalPages: 0, freePages: 0 },
  };
}
