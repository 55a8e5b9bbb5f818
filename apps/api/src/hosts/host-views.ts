import { buildZonelists, nodeStates, pagesToMib, zoneReclaimDefault } from '@zonewise/simulator';
import type {
  HostModel,
  HostNode,
  HostZone,
  MemmapCost,
  NodeSections,
  NodeStates,
  ZoneName,
  ZoneReclaimDefault,
} from '@zonewise/simulator';
import type { HostSummary } from '../database/entities/host-description';
import { fragmentationOf, type ZoneFragmentationDto } from '../layout/fragmentation.dto';
import { hostMemoryModelView } from '../layout/memory-model-view';
import { profileOfHost } from '../layout/watermarks-view';

/** One row of the zone table; pages as /proc/zoneinfo counts them, marks with the boost. */
export interface ZoneRow {
  nodeId: number;
  zone: ZoneName;
  managedMib: number;
  freeMib: number;
  managedPages: number;
  freePages: number;
  minPages: number;
  lowPages: number;
  highPages: number;
  protectionPages: number[];
  /** Pages that may be taken before kswapd is woken by requests for this very zone; 0 when below. */
  aboveLowPages: number;
}

/** The kernel's node states, as /sys/devices/system/node prints them, with the node's use. */
export interface NodeRow {
  nodeId: number;
  states: ('online' | 'has_memory' | 'has_cpu')[];
  cpus: number[];
  memoryMib: number;
  freeMib: number;
  fileCacheMib: number;
  anonMib: number;
}

export interface HostViews {
  zones: ZoneRow[];
  /** Zonelist per node, as the kernel prints it at boot ("Fallback order for Node n"). */
  fallbackOrder: { nodeId: number; order: number[] }[];
  nodes: NodeRow[];
  /** Node ids by the kernel's own states. */
  nodeStates: NodeStates;
  /** What zone_reclaim_mode starts as, and which nodes it never reclaims on whose behalf. */
  zoneReclaim: ZoneReclaimDefault;
  fragmentation: ZoneFragmentationDto[];
  /** Sections of each node, and what the `struct page`s cost under each memory model. */
  sections: NodeSections[];
  memmap: MemmapCost[];
}

/** A node as libvirt's capabilities describe it. */
export interface TopologyNode {
  id: number;
  memoryKib: number;
  cpus: number[];
  pages: { sizeKib: number; count: number }[];
  distances: { id: number; value: number }[];
}

const PAGE_KIB = 4;

const sum = (zones: HostZone[], pages: (zone: HostZone) => number): number =>
  zones.reduce((total, zone) => total + pages(zone), 0);
const managed = (node: HostNode): number => sum(node.zones, (zone) => zone.managedPages);
const free = (node: HostNode): number => sum(node.zones, (zone) => zone.freePages);
const mib = (pages: number): number => Math.round(pagesToMib(pages) * 10) / 10;

/** What people look for first in a host, computed from its model and never stored. */
export function hostViews(model: HostModel): HostViews {
  const { sections, comparison } = hostMemoryModelView(model, 'sparsemem-vmemmap', []);
  const nodeIds = model.nodes.map(({ nodeId }) => nodeId);
  return {
    zones: model.nodes.flatMap((node) => node.zones.map((zone) => zoneRow(node.nodeId, zone))),
    fallbackOrder: buildZonelists(
      model.nodes.map((node) => ({
        nodeId: node.nodeId,
        hasCpus: node.cpus.length > 0,
        hasMemory: managed(node) > 0,
      })),
      model.distances,
    ),
    nodes: model.nodes.map(nodeRow),
    nodeStates: nodeStates(model.nodes),
    zoneReclaim: zoneReclaimDefault(nodeIds, model.distances, profileOfHost(model)),
    fragmentation: fragmentationOf(model).zones,
    sections,
    memmap: comparison,
  };
}

function zoneRow(nodeId: number, zone: HostZone): ZoneRow {
  const { name, managedPages, freePages, minPages, lowPages, highPages, protectionPages } = zone;
  return {
    nodeId,
    zone: name,
    managedMib: mib(managedPages),
    freeMib: mib(freePages),
    managedPages,
    freePages,
    minPages,
    lowPages,
    highPages,
    protectionPages,
    aboveLowPages: Math.max(0, freePages - lowPages),
  };
}

function nodeRow(node: HostNode): NodeRow {
  const states: NodeRow['states'] = ['online'];
  if (managed(node) > 0) states.push('has_memory');
  if (node.cpus.length > 0) states.push('has_cpu');
  return {
    nodeId: node.nodeId,
    states,
    cpus: node.cpus,
    memoryMib: mib(managed(node)),
    freeMib: mib(free(node)),
    fileCacheMib: mib(node.filePages),
    anonMib: mib(node.anonPages),
  };
}

export function hostSummary(model: HostModel): HostSummary {
  const total = (pages: (node: HostNode) => number) =>
    model.nodes.reduce((pagesSoFar, node) => pagesSoFar + pages(node), 0);
  return {
    kernelRelease: model.kernelRelease ?? null,
    nodes: model.nodes.length,
    cpus: total((node) => node.cpus.length),
    memoryMib: mib(total(managed)),
    freeMib: mib(total(free)),
  };
}

/** The model's nodes in the shape of a capabilities document, for hosts that came without one. */
export function topologyOf(model: HostModel): TopologyNode[] {
  return model.nodes.map((node, row) => ({
    id: node.nodeId,
    memoryKib: managed(node) * PAGE_KIB,
    cpus: node.cpus,
    pages: [
      { sizeKib: PAGE_KIB, count: managed(node) - hugeKib(node) / PAGE_KIB },
      ...node.hugepages.map(({ sizeKib, totalPages }) => ({ sizeKib, count: totalPages })),
    ],
    distances: model.nodes.map((to, column) => ({
      id: to.nodeId,
      value: model.distances[row]?.[column] ?? 0,
    })),
  }));
}

const hugeKib = (node: HostNode): number =>
  node.hugepages.reduce((kib, pool) => kib + pool.sizeKib * pool.totalPages, 0);
