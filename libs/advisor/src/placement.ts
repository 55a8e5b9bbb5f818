import type { GuestProcess, HostModel, MemoryPolicy, RegionSpec } from '@zonewise/simulator';
import { cpuNodes, memoryNodes, nodesText, nodeUnion, sameNodes } from './host-nodes';
import type { BackingValue, GuestSpec, NumatuneValue, PinningValue, PlacementMode } from './types';

export interface Note {
  code: string;
  message: string;
}

/** Nodes whose CPUs touch any region of the guest, ascending. */
export function guestCpuNodes(guest: GuestProcess): number[] {
  return nodeUnion(...guest.regions.map((region) => region.cpuNodes));
}

/** Memory of the guest over all regions, in pages, without the process's overhead. */
export function guestMemoryPages(guest: GuestProcess): number {
  return guest.regions.reduce((sum, region) => sum + region.sizePages, 0);
}

/** Regions whose nodes numatune decides: all but memory devices with a nodemask of their own. */
export function tunedRegions(spec: GuestSpec): RegionSpec[] {
  const own = new Set(spec.ownNodesCells ?? []);
  return spec.guest.regions.filter((region) => !own.has(region.cell));
}

/**
 * Nodes where the guest's memory belongs today: its numatune nodeset with the nodes of its regions'
 * policies, else the nodes of its CPUs as far as they have memory, else every node with memory.
 */
export function homeNodes(spec: GuestSpec, host: HostModel): number[] {
  const withMemory = memoryNodes(host);
  const sets = [
    nodeUnion(spec.numatune.nodeset, ...tunedRegions(spec).map((region) => region.policy.nodes)),
    guestCpuNodes(spec.guest),
  ];
  for (const set of sets) {
    const usable = nodeUnion(set).filter((node) => withMemory.includes(node));
    if (usable.length > 0) return usable;
  }
  return withMemory;
}

/**
 * Whether vCPUs stay on their nodes when numatune changes. Without an explicit answer, a guest whose
 * CPUs are already limited to some of the host's CPU nodes counts as pinned.
 */
export function isPinned(spec: GuestSpec, host: HostModel): boolean {
  if (spec.cpusPinned !== undefined) return spec.cpusPinned;
  return guestCpuNodes(spec.guest).length < cpuNodes(host).length;
}

/**
 * The guest as libvirt would start it with another numatune (QEMU driver: qemuBuildMemoryBackendProps,
 * qemuProcessSetupPid, qemuProcessInitCpuAffinity).
 *
 * - strict: backends policy=bind, cpuset.mems = union of all nodes
 * - preferred: policy=preferred (one node) or preferred-many
 * - interleave: policy=interleave
 * - restrictive: default policy, cpuset.mems of each cell's own nodes only
 * - none: default policy, no limit
 *
 * Cells that `memnodes` name get those nodes. Of the others a guest with one policy per cell keeps each cell's
 * own nodes as far as the new nodeset holds them: the mode changes on every memnode, as the written document does.
 */
export function applyPlacement(
  spec: GuestSpec,
  setting: NumatuneValue,
  host: HostModel,
): { guest: GuestProcess; notes: Note[] } {
  const memnodes = new Map((setting.memnodes ?? []).map((memnode) => [memnode.cellid, memnode]));
  const nodeset = nodeUnion(setting.nodeset, ...[...memnodes.values()].map((own) => own.nodeset));
  const notes: Note[] = [];
  const pinned = isPinned(spec, host);
  const pins = partsByCell(spec);
  const isHeld = ({ cell }: RegionSpec): boolean => pinned || pins.get(cell)?.unpinned.vcpus === 0;
  const tuned = tunedRegions(spec);
  const nodes = nodesByRegion(tuned, nodeset);
  const regions = spec.guest.regions.map((region) => {
    const position = tuned.indexOf(region);
    if (position < 0) return region;
    const memnode = memnodes.get(region.cell);
    const own = memnode ? nodeUnion(memnode.nodeset) : (nodes[position] ?? nodeset);
    const placed = { mode: memnode?.mode ?? setting.mode, nodeset: own };
    const movedCpus = isHeld(region) ? undefined : affinity(placed, host);
    return placeRegion(region, placed, { nodeset, nodes: own, movedCpus });
  });
  const moves = ({ cpuNodes: now }: RegionSpec, i: number): boolean =>
    !sameNodes(now, spec.guest.regions[i]?.cpuNodes ?? []);
  if (regions.some(moves)) {
    const moving = regions.filter((region) => !isHeld(region));
    const cpus = nodeUnion(...moving.map((region) => region.cpuNodes));
    notes.push({
      code: 'cpu-affinity-follows-numatune',
      message:
        `${unpinnedName(spec)} is not pinned: with ${settingText(setting.mode, nodeset)} ` +
        `its CPUs are taken to be those of ${nodesText(cpus)}` +
        (setting.mode === 'strict' ? ' (libvirt starts QEMU with that affinity).' : '.'),
    });
  }
  return { guest: { ...spec.guest, regions }, notes };
}

function settingText(mode: PlacementMode, nodeset: number[]): string {
  return mode === 'none' ? 'no numatune' : `${mode} on ${nodesText(nodeset)}`;
}

/** The guest's name, with how many of its vCPUs nothing pins where that is not all of them: `a (3 of its 4 vCPUs)`. */
export function unpinnedName({ guest: { name }, partlyPinned, vcpus }: GuestSpec): string {
  if (partlyPinned === undefined) return name;
  const all = vcpus === undefined ? '' : ` of its ${vcpus}`;
  return `${name} (${partlyPinned.unpinnedVcpus}${all} vCPUs)`;
}

type CellPins = NonNullable<GuestSpec['partlyPinned']>['cells'][number];

/** Where pinned and unpinned vCPUs of each cell run; empty where all of a guest's vCPUs are pinned, or none. */
export function partsByCell({ partlyPinned }: GuestSpec): Map<number, CellPins> {
  return new Map(partlyPinned?.cells.map((pins) => [pins.cell, pins]));
}

/** The guest where its unpinned vCPUs run; a cell that has none stays with its pinned ones. */
export function withoutVcpupin(spec: GuestSpec): GuestSpec {
  return onCpus(spec, ({ pinned, unpinned }) => (unpinned.vcpus > 0 ? unpinned : pinned).nodes);
}

/** @param guest where the unpinned vCPUs of `spec` run; the pinned ones are where its document has them */
export function withVcpupin(spec: GuestSpec, guest: GuestProcess): GuestProcess {
  return onCpus({ ...spec, guest } as GuestSpec, ({ pinned, unpinned }, { cpuNodes: nodes }) =>
    unpinned.vcpus > 0 ? nodeUnion(pinned.nodes, nodes) : pinned.nodes,
  ).guest;
}

function onCpus<T extends GuestSpec>(
  spec: T,
  nodesOf: (pins: CellPins, region: RegionSpec) => number[],
): T {
  if (spec.partlyPinned === undefined) return spec;
  const pins = partsByCell(spec);
  const regions = spec.guest.regions.map((region) => {
    const own = pins.get(region.cell);
    return own === undefined ? region : { ...region, cpuNodes: nodesOf(own, region) };
  });
  return { ...spec, guest: { ...spec.guest, regions } };
}

/** The guest with its vCPUs pinned to the CPUs of these nodes, each cell's to its own where it has some. */
export function applyPinning(guest: GuestProcess, { nodes, cells }: PinningValue): GuestProcess {
  const own = new Map((cells ?? []).map((cell) => [cell.cellid, nodeUnion(cell.nodes)]));
  const regions = guest.regions.map((region) => ({
    ...region,
    cpuNodes: own.get(region.cell) ?? nodeUnion(nodes),
  }));
  return { ...guest, regions };
}

/**
 * The guest with its memory on other pages. QEMU reserves huge pages of a pool when it maps them: a pool that is too
 * small fails the start at once.
 */
export function applyBacking(guest: GuestProcess, backing: BackingValue): GuestProcess {
  const regions = guest.regions.map((region): RegionSpec => {
    const rest = { ...region };
    delete rest.hugetlb;
    if (backing === 'base') return { ...rest, thp: 'nohuge' };
    if (backing === 'thp') return { ...rest, thp: 'huge' };
    return { ...rest, thp: 'nohuge', hugetlb: { sizeKib: backing, reserve: true } };
  });
  return { ...guest, regions };
}

/** The nodes of each region under a new nodeset: its own where cells differ, else the whole nodeset. */
export function nodesByRegion(regions: RegionSpec[], nodeset: number[]): number[][] {
  const perCell = hasCellNodes(regions);
  return regions.map((region) => {
    const own = perCell ? nodeUnion(region.policy.nodes).filter((n) => nodeset.includes(n)) : [];
    return own.length > 0 ? own : nodeset;
  });
}

/** Whether the guest's cells have nodes of their own today (memnode). */
export function hasCellNodes(regions: RegionSpec[]): boolean {
  return new Set(regions.map((region) => nodeUnion(region.policy.nodes).join(','))).size > 1;
}

function placeRegion(
  region: RegionSpec,
  setting: NumatuneValue,
  where: { nodeset: number[]; nodes: number[]; movedCpus: number[] | undefined },
): RegionSpec {
  const limit = { strict: where.nodeset, restrictive: where.nodes }[setting.mode as string];
  const rest = { ...region };
  delete rest.cpusetMems;
  return {
    ...rest,
    policy: policyOf(setting, where.nodes),
    policyScope: setting.mode === 'restrictive' || setting.mode === 'none' ? 'task' : 'mbind',
    cpuNodes: where.movedCpus ?? region.cpuNodes,
    ...(limit ? { cpusetMems: limit } : {}),
  };
}

/** Whether guests find memory on their nodes alone: these two modes have no fallback, the others do. */
export function isBound(mode: PlacementMode): boolean {
  return mode === 'strict' || mode === 'restrictive';
}

function policyOf(setting: NumatuneValue, nodes: number[]): MemoryPolicy {
  switch (setting.mode) {
    case 'strict':
      return { mode: 'bind', nodes };
    case 'preferred':
      return { mode: nodes.length > 1 ? 'preferred_many' : 'preferred', nodes };
    case 'interleave':
      return { mode: 'interleave', nodes };
    case 'restrictive':
    case 'none':
      return { mode: 'default', nodes: [] };
  }
}

/** Nodes whose CPUs an unpinned guest runs on under a setting: those that its memory is drawn to, else all. */
function affinity(setting: NumatuneValue, host: HostModel): number[] {
  const all = cpuNodes(host);
  const ofNodes = nodeUnion(setting.nodeset).filter((node) => all.includes(node));
  const follows =
    isBound(setting.mode) || (setting.mode === 'preferred' && setting.nodeset.length === 1);
  return follows && ofNodes.length > 0 ? ofNodes : all;
}

/**
 * Policy under which the guest's process fills the page cache: libvirt sets preferred and interleave for
 * the whole process before exec, while strict and restrictive limit it by cpuset.mems only.
 */
export function cachePolicy(guest: GuestProcess): { policy: MemoryPolicy; cpusetMems?: number[] } {
  const region = guest.regions[0];
  if (!region) return { policy: { mode: 'default', nodes: [] } };
  const processWide = region.policyScope === 'task' || region.policy.mode !== 'bind';
  return {
    policy: processWide ? region.policy : { mode: 'default', nodes: [] },
    ...(region.cpusetMems ? { cpusetMems: region.cpusetMems } : {}),
  };
}
