/** From documents and host models to the packer's shapes, and from a packed guest back to its document. */
import type { NumatuneValue } from '@zonewise/advisor';
import { hugepageKibOf, type DomainView } from '@zonewise/libvirt-xml';
import {
  hostCapacity,
  pageTablePages,
  type CellShape,
  type GuestShape,
  type HostShape,
  type NodeCapacity,
} from '@zonewise/placement';
import { PAGE_KIB, PAGES_PER_MIB, type HostModel } from '@zonewise/simulator';
import type { ReadGuest, ReadHost, ReadPlacement, Resident } from './placement-document';

/** QEMU itself, as a planned guest's process is counted; on the node of the first cell. */
const OVERHEAD_PAGES = 4096;

/** A host as the packer sees it, with what its figures come from. */
export interface ShapedHost {
  read: ReadHost;
  capacity: NodeCapacity[];
  shape: HostShape;
}

/** Guest memory and vCPUs by cell; a guest without cells is one. */
interface Part {
  /** Cell id, or 0. */
  cell: number;
  memoryKib: number;
  vcpus: number;
}

function partsOf({ cells, memoryKib, vcpu, memoryDevices }: DomainView): Part[] {
  const parts =
    cells.length === 0
      ? [{ cell: 0, memoryKib, vcpus: vcpu.count }]
      : cells.map(({ id, cpus, memoryKib: kib }) => ({
          cell: id,
          memoryKib: kib,
          vcpus: cpus.length,
        }));
  for (const { node, sizeKib, requestedKib, model } of memoryDevices) {
    // Files of their own hold the memory of the others.
    if (model !== 'dimm' && model !== 'virtio-mem') continue;
    const part = parts.find(({ cell }) => cell === node) ?? parts[0];
    if (part !== undefined) part.memoryKib += requestedKib ?? sizeKib;
  }
  return parts;
}

function cellsOf(view: DomainView): CellShape[] {
  return partsOf(view).map(({ cell, memoryKib, vcpus }, i): CellShape => {
    const sizeKib = hugepageKibOf(view, cell);
    const overhead = i === 0 ? OVERHEAD_PAGES : 0;
    if (sizeKib === null) {
      const pages = Math.ceil(memoryKib / PAGE_KIB);
      return { memoryPages: pages + pageTablePages(pages) + overhead, vcpus };
    }
    return {
      memoryPages: overhead,
      vcpus,
      hugepages: { sizeKib, pages: Math.ceil(memoryKib / sizeKib) },
    };
  });
}

/** A guest without cells in equal parts: what `interleave` over so many nodes makes of it. */
function split(cell: CellShape, parts: number): CellShape[] {
  return Array.from({ length: parts }, (_, i): CellShape => {
    const share = (amount: number): number =>
      Math.floor(amount / parts) + (i < amount % parts ? 1 : 0);
    const hugepages = cell.hugepages && { ...cell.hugepages, pages: share(cell.hugepages.pages) };
    const memoryPages = share(cell.memoryPages);
    return { memoryPages, vcpus: share(cell.vcpus), ...(hugepages ? { hugepages } : {}) };
  });
}

function nodeTakes(node: HostShape['nodes'][number], cell: CellShape): boolean {
  const { hugepages } = cell;
  if (cell.memoryPages > node.memoryPages || cell.vcpus > node.vcpus) return false;
  if (hugepages === undefined) return true;
  const pool = node.hugepages.find(({ sizeKib }) => sizeKib === hugepages.sizeKib);
  return (pool?.pages ?? 0) >= hugepages.pages;
}

/**
 * Cells as they are packed. A guest without cells that is larger than every node is spread over the fewest
 * nodes that can hold equal parts of it on some host; what can never be is left whole, for the packer to refuse.
 */
function packedCells(view: DomainView, hosts: ShapedHost[]): CellShape[] {
  const whole = cellsOf(view);
  const [only] = whole;
  if (view.cells.length > 0 || only === undefined) return whole;
  const widest = hosts.reduce((most, { shape }) => Math.max(most, shape.nodes.length), 1);
  for (let parts = 1; parts <= widest; parts += 1) {
    const cells = split(only, parts);
    // The first part is the largest in everything.
    const largest = cells[0] ?? only;
    const takes = ({ shape }: ShapedHost): boolean =>
      shape.nodes.filter((node) => nodeTakes(node, largest)).length >= parts;
    if (hosts.some(takes)) return cells;
  }
  return whole;
}

/** Guests as they are packed; those of a kind are looked at once. */
export function guestShapes(
  guests: ReadGuest[],
  keys: ReadPlacement['keys'],
  hosts: ShapedHost[],
): Map<string, GuestShape> {
  const byKind = new Map<string, CellShape[]>();
  return new Map(
    guests.map(({ name, view, kind, hostGroups }) => {
      const cells = byKind.get(kind) ?? packedCells(view, hosts);
      byKind.set(kind, cells);
      const own = keys.get(name);
      return [
        name,
        {
          name,
          cells,
          ...(own === undefined ? {} : { antiAffinity: own }),
          ...(hostGroups === undefined ? {} : { hostGroups }),
        },
      ];
    }),
  );
}

/** Host CPUs that a vCPU may use; null: all. */
function cpusOfVcpu({ cputune, vcpu }: DomainView, index: number): number[] | null {
  return cputune.vcpupin.find((pin) => pin.vcpu === index)?.cpuset ?? vcpu.cpuset;
}

/** Takes the vCPUs of a guest off the nodes: where they are pinned, else where most CPUs are left. */
function takeVcpus(nodes: NodeCapacity[], model: HostModel, view: DomainView): void {
  for (let index = 0; index < view.vcpu.current; index += 1) {
    const allowed = cpusOfVcpu(view, index);
    let best: NodeCapacity | undefined;
    nodes.forEach((node, n) => {
      const cpus = model.nodes[n]?.cpus ?? [];
      if (cpus.length === 0 || (allowed !== null && !cpus.some((cpu) => allowed.includes(cpu))))
        return;
      if (best === undefined || node.vcpus > best.vcpus) best = node;
    });
    if (best !== undefined) best.vcpus = Math.max(0, best.vcpus - 1);
  }
}

/** Takes the memory of guests that are there but not started yet: nobody else has counted it. */
function takePlanned(nodes: NodeCapacity[], { spec }: Resident): void {
  if (spec.state !== 'planned') return;
  const take = (allowed: number[], pages: number): void => {
    let left = pages;
    for (const node of nodes) {
      if (allowed.length > 0 && !allowed.includes(node.nodeId)) continue;
      const taken = Math.min(left, node.memoryPages);
      node.memoryPages -= taken;
      left -= taken;
    }
  };
  spec.guest.regions.forEach(({ policy, cpuNodes, sizePages, hugetlb }, i) => {
    const allowed = policy.nodes.length > 0 ? policy.nodes : cpuNodes;
    const overhead = i === 0 ? spec.guest.overheadPages : 0;
    take(allowed, hugetlb ? overhead : sizePages + overhead);
    if (!hugetlb) return;
    let left = Math.ceil((sizePages * PAGE_KIB) / hugetlb.sizeKib);
    for (const node of nodes) {
      if (allowed.length > 0 && !allowed.includes(node.nodeId)) continue;
      const pool = node.hugepages.find(({ sizeKib }) => sizeKib === hugetlb.sizeKib);
      const taken = Math.min(left, pool?.pages ?? 0);
      if (pool !== undefined) pool.pages -= taken;
      left -= taken;
    }
  });
}

/**
 * What a host can give to more guests.
 * @param model the host as the new guests find it, where the request changes it before
 */
export function shapeHost(
  read: ReadHost,
  cpuAllocationRatio: number,
  keys: ReadPlacement['keys'],
  model = read.model,
): ShapedHost {
  const { source, residents, name } = read;
  const { reserved = {}, pageCacheMib = 0, group } = source;
  const capacity = hostCapacity(model, {
    cpuAllocationRatio,
    pageCachePages: Math.ceil(pageCacheMib * PAGES_PER_MIB),
    reservedPages: Math.ceil((reserved.memoryMib ?? 0) * PAGES_PER_MIB),
    reservedCpus: reserved.cpus ?? 0,
  });
  const left = capacity.map((node) => ({
    ...node,
    hugepages: node.hugepages.map((pool) => ({ ...pool })),
  }));
  for (const resident of residents) {
    takeVcpus(left, model, resident.view);
    takePlanned(left, resident);
  }
  const antiAffinity = residents.flatMap(({ view }) => keys.get(view.name) ?? []);
  const shape: HostShape = {
    id: name,
    nodes: left.map(({ nodeId, memoryPages, vcpus, hugepages }) => ({
      ...{ nodeId, memoryPages, vcpus, hugepages },
    })),
    distances: model.distances,
    occupied: residents.length > 0,
    ...(group === undefined ? {} : { group }),
    ...(antiAffinity.length === 0 ? {} : { antiAffinity }),
  };
  return { read, capacity, shape };
}

/** Where a guest goes on its host, in libvirt's terms. */
export interface GuestSetting {
  numatune: NumatuneValue;
  hostNodes: number[];
  pinning: { vcpus: { vcpu: number; cpuset: number[] }[]; emulator: number[] };
}

/**
 * @param nodes host node of each packed cell
 * @returns strict per cell; a guest without cells is bound to its node, or interleaved over several
 */
export function settingOf(view: DomainView, nodes: number[], model: HostModel): GuestSetting {
  const hostNodes = [...new Set(nodes)].sort((a, b) => a - b);
  const cpusOf = (wanted: number[]): number[] =>
    model.nodes
      .flatMap(({ nodeId, cpus }) => (wanted.includes(nodeId) ? cpus : []))
      .sort((a, b) => a - b);
  const all = cpusOf(hostNodes);
  const vcpus = Array.from({ length: view.vcpu.count }, (_, vcpu) => {
    const cell = view.cells.findIndex(({ cpus }) => cpus.includes(vcpu));
    const node = nodes[cell];
    return { vcpu, cpuset: cell < 0 || node === undefined ? all : cpusOf([node]) };
  });
  const isSpread = view.cells.length === 0 && hostNodes.length > 1;
  const memnodes = view.cells.map(({ id }, i) => ({
    cellid: id,
    mode: 'strict' as const,
    nodeset: [nodes[i] ?? hostNodes[0] ?? 0],
  }));
  return {
    numatune: {
      mode: isSpread ? 'interleave' : 'strict',
      nodeset: hostNodes,
      ...(memnodes.length === 0 ? {} : { memnodes }),
    },
    hostNodes,
    pinning: { vcpus, emulator: all },
  };
}

/** The document with the setting in it, as the replay starts it. */
export function placedView(view: DomainView, { numatune, pinning }: GuestSetting): DomainView {
  const mode = numatune.mode === 'interleave' ? ('interleave' as const) : ('strict' as const);
  const nodeOfCell = new Map(numatune.memnodes?.map(({ cellid, nodeset }) => [cellid, nodeset]));
  return {
    ...view,
    vcpu: { ...view.vcpu, placement: 'static', cpuset: pinning.emulator },
    cputune: {
      vcpupin: pinning.vcpus.map(({ vcpu, cpuset }) => ({ vcpu, cpuset })),
      emulatorpin: pinning.emulator,
      iothreadpin: [],
    },
    numatune: {
      memory: { mode, placement: 'static', nodeset: numatune.nodeset },
      memnodes: [...nodeOfCell].map(([cellid, nodeset]) => ({ cellid, mode, nodeset })),
    },
    memoryDevices: view.memoryDevices.map((device) => ({
      ...device,
      nodemask:
        device.nodemask === null ? null : (nodeOfCell.get(device.node ?? 0) ?? numatune.nodeset),
    })),
  };
}
