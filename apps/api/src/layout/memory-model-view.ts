import {
  architectures,
  deviceZone,
  isUma,
  MEMORY_MODELS,
  memmapCost,
  nodeSections,
  nodeStates,
  pageArrays,
  pagesPerSection,
  pageToPfn,
  pfnToPage,
  physicalZones,
} from '@zonewise/simulator';
import type {
  ArchitectureName,
  DeviceRange,
  DeviceZone,
  HostModel,
  HostZone,
  MemmapCost,
  MemoryModelName,
  MemoryRange,
  NodeSections,
  NodeStates,
  PagePlace,
  PhysicalZone,
  StateNode,
} from '@zonewise/simulator';

export interface Note {
  code: string;
  message: string;
}

/** A frame and where its `struct page` is; `place` is null where the model has none for it. */
export interface FrameConversion {
  pfn: number;
  section: number;
  place: PagePlace | null;
  /** The frame that the place leads back to: the same one. */
  backToPfn: number | null;
}

export interface MemoryModelView {
  model: MemoryModelName;
  architecture: ArchitectureName;
  pageBytes: number;
  sectionBytes: number;
  pagesPerSection: number;
  structPageBytes: number;
  /** One node: the kernel needs no node masks. */
  uma: boolean;
  nodeStates: NodeStates;
  zones: PhysicalZone[];
  devices: DeviceZone[];
  sections: NodeSections[];
  /** Under the model asked for. */
  cost: MemmapCost;
  /** The same memory under each model. */
  comparison: MemmapCost[];
  frames: FrameConversion[];
  caveats: Note[];
}

export interface MemoryLayout {
  architecture: ArchitectureName;
  ranges: MemoryRange[];
  devices: DeviceRange[];
  /** CPUs by node; nodes with neither memory nor CPUs are not there. */
  cpus: { nodeId: number; cpus: number[] }[];
  /** Nodes that could come online. */
  possibleNodes: number[];
}

/**
 * What a memory model makes of a layout.
 * @param devices must be aligned as the model asks; see deviceZone()
 */
export function memoryModelView(
  layout: MemoryLayout,
  model: MemoryModelName,
  pfns: number[],
): Omit<MemoryModelView, 'caveats'> {
  const architecture = architectures[layout.architecture];
  const { ranges } = layout;
  const zones = physicalZones(ranges, architecture);
  const devices = layout.devices.flatMap((range) => deviceZone(range, model, architecture) ?? []);
  const nodes = stateNodes(layout, zones);
  const arrays = pageArrays(model, ranges, architecture);
  const section = pagesPerSection(architecture);
  return {
    model,
    architecture: layout.architecture,
    pageBytes: 2 ** architecture.pageShift,
    sectionBytes: 2 ** architecture.sectionSizeBits,
    pagesPerSection: section,
    structPageBytes: architecture.structPageBytes,
    uma: isUma(nodes),
    nodeStates: nodeStates(nodes, layout.possibleNodes),
    zones,
    devices,
    sections: nodeSections(ranges, architecture),
    cost: memmapCost(model, ranges, architecture),
    comparison: MEMORY_MODELS.map((each) => memmapCost(each, ranges, architecture)),
    frames: pfns.map((pfn) => {
      const place = pfnToPage(pfn, model, arrays, architecture) ?? null;
      return {
        pfn,
        section: Math.floor(pfn / section),
        place,
        backToPfn: place === null ? null : (pageToPfn(place, arrays) ?? null),
      };
    }),
  };
}

function stateNodes(layout: MemoryLayout, zones: PhysicalZone[]): StateNode[] {
  const ids = new Set([...layout.cpus, ...zones, ...layout.devices].map(({ nodeId }) => nodeId));
  return [...ids].map((nodeId) => ({
    nodeId,
    cpus: layout.cpus.find((node) => node.nodeId === nodeId)?.cpus ?? [],
    zones: zones
      .filter((zone) => zone.nodeId === nodeId)
      .map(({ zone, presentPages }) => ({ name: zone, presentPages })),
  }));
}

/** A stored host's layout, as far as its zone table tells it. */
export function layoutOf(model: HostModel): MemoryLayout {
  return {
    architecture: 'x86-64',
    ranges: model.nodes.flatMap(({ nodeId, zones }) =>
      zones
        .filter(({ presentPages }) => presentPages > 0)
        .map(({ startPfn, presentPages: pages }) => ({ nodeId, startPfn, pages })),
    ),
    devices: [],
    cpus: model.nodes.map(({ nodeId, cpus }) => ({ nodeId, cpus })),
    possibleNodes: [],
  };
}

/** A stored host's own zones: Movable and what the kernel counted are known, unlike in a layout of ranges. */
export function hostMemoryModelView(
  model: HostModel,
  memoryModel: MemoryModelName,
  pfns: number[],
): MemoryModelView {
  const view = memoryModelView(layoutOf(model), memoryModel, pfns);
  const zones = model.nodes.flatMap(({ nodeId, zones: own }) =>
    own.map((zone) => ({
      nodeId,
      zone: zone.name,
      startPfn: zone.startPfn,
      spannedPages: zone.spannedPages,
      presentPages: zone.presentPages,
      managedAtMostPages: zone.managedPages,
    })),
  );
  const states = nodeStates(
    model.nodes.map(({ nodeId, cpus, zones: own }) => ({ nodeId, cpus, zones: own })),
  );
  return { ...view, zones, nodeStates: states, caveats: holeCaveats(model) };
}

function holeCaveats(model: HostModel): Note[] {
  const holed = model.nodes.flatMap(({ nodeId, zones }) =>
    zones
      .filter((zone: HostZone) => zone.spannedPages > zone.presentPages)
      .map(
        (zone) =>
          `node ${nodeId} ${zone.name} (${zone.spannedPages - zone.presentPages} of ${zone.spannedPages} frames)`,
      ),
  );
  if (holed.length === 0) return [];
  return [
    {
      code: 'holes-assumed',
      message: `zone tables tell how many frames are missing, not which: the holes of ${holed.join(', ')} are taken to lie at the zone's end. POST /v1/memory-models/compute takes exact ranges`,
    },
  ];
}
