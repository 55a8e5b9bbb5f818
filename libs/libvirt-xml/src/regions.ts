/** Guest RAM as regions: one per guest cell, each with the policy that QEMU sets on it. */
import type { MemoryPolicy, RegionSpec } from '@zonewise/simulator';
import { Assumptions } from './assumptions';
import { nodesText, sameSet } from './bitmap';
import { hugepageKibOf, mountableKib } from './hugepages';
import type { DomainView, HostPlacement, NumatuneMode, PartlyPinned } from './types';
import { cpuNodesOf, unpinnedVcpus, type MemoryChoice } from './vcpu-nodes';

export const PAGE_KIB = 4;

const NO_PINS: DomainView['cputune'] = { vcpupin: [], emulatorpin: null, iothreadpin: [] };

export interface PlacementContext {
  view: DomainView;
  host: HostPlacement;
  assumptions: Assumptions;
  /** Nodes of automatic placement, or null. */
  advised: number[] | null;
}

/** Guest RAM of one cell, or of a memory device with a policy of its own. */
interface Ram {
  cell: number;
  /** The guest cell it belongs to: the cell itself, or that of the device. */
  owner: number;
  memoryKib: number;
  vcpus: number[];
  /** null: nothing is said, the default policy. */
  mode: NumatuneMode | null;
  nodes: number[];
  memAccess: 'shared' | 'private' | null;
}

/**
 * Cells in order, then memory devices whose nodemask differs from their cell's policy, numbered behind
 * the cells. Devices with their cell's policy are simply more of that cell.
 */
export function ramOf(context: PlacementContext): Ram[] {
  const { view } = context;
  const ram = cellRam(context);
  const cellCount = ram.length;
  view.memoryDevices.forEach((device, index) => {
    const memoryKib = countedKib(device, context.assumptions);
    const target = ram.find(({ cell }) => cell === (device.node ?? 0)) ?? ram[0];
    if (memoryKib === 0 || target === undefined) return;
    const { nodemask } = device;
    if (nodemask === null || (target.mode !== null && sameSet(nodemask, target.nodes))) {
      target.memoryKib += memoryKib;
      return;
    }
    const cell = cellCount + index;
    // A nodemask without a mode binds: the mode comes from the cell's numatune, strict by default.
    ram.push({ ...target, cell, memoryKib, mode: target.mode ?? 'strict', nodes: nodemask });
    context.assumptions.add(
      'memory-device-region',
      `The ${device.model} device ${index} in cell ${target.cell} has nodes of its own and counts as region ${cell}.`,
    );
  });
  return ram;
}

function cellRam({ view, advised }: PlacementContext): Ram[] {
  const everyVcpu = Array.from({ length: view.vcpu.current }, (_, id) => id);
  const devicesKib = view.memoryDevices.reduce((sum, { sizeKib }) => sum + sizeKib, 0);
  const memoryKib = Math.max(view.memoryKib - devicesKib, 0);
  const whole = { id: 0, cpus: everyVcpu, memoryKib, memAccess: null };
  const cells = view.cells.length > 0 ? view.cells : [whole];
  return cells.map((cell) => {
    const online = cell.cpus.filter((cpu) => cpu < view.vcpu.current);
    return {
      cell: cell.id,
      owner: cell.id,
      memoryKib: cell.memoryKib,
      // A cell without CPUs of its own is touched by whichever vCPU uses it.
      vcpus: online.length > 0 ? online : everyVcpu,
      memAccess: cell.memAccess,
      ...policyOfCell(view, cell.id, advised),
    };
  });
}

function countedKib(device: DomainView['memoryDevices'][number], assumptions: Assumptions): number {
  if (device.model === 'dimm') return device.sizeKib;
  if (device.model === 'virtio-mem') return device.requestedKib ?? 0;
  assumptions.add(
    'memory-device-not-counted',
    `The ${device.model} device of ${device.sizeKib} KiB is backed by a file or by reserved memory and is not counted as guest RAM.`,
  );
  return 0;
}

function policyOfCell(
  view: DomainView,
  cell: number,
  advised: number[] | null,
): Pick<Ram, 'mode' | 'nodes'> {
  const memnode = view.numatune.memnodes.find(({ cellid }) => cellid === cell);
  if (memnode !== undefined) return { mode: memnode.mode, nodes: memnode.nodeset };
  const { memory } = view.numatune;
  if (memory === null) return { mode: null, nodes: [] };
  return { mode: memory.mode, nodes: memory.nodeset ?? advised ?? [] };
}

/** The region that the kernel sees for one piece of guest RAM; sizes in pages of 4 KiB. */
export function regionOf(ram: Ram, context: PlacementContext): RegionSpec {
  const { view, host, assumptions, advised } = context;
  const policy = policyOf(ram, context);
  const cpusetMems = cpusetOf(ram, context);
  const automatic = view.vcpu.placement === 'auto' ? advised : null;
  const choice = choiceOf(ram, view);
  const cpuNodes = cpuNodesOf(view, host, ram.vcpus, automatic, choice, assumptions);
  const hugetlb = hugetlbOf(ram, context, () => emulatorNodesOf(ram, context));
  return {
    cell: ram.cell,
    sizePages: Math.ceil(ram.memoryKib / PAGE_KIB),
    policy,
    policyScope: 'mbind',
    cpuNodes,
    ...(cpusetMems === null ? {} : { cpusetMems }),
    thp: thpOf(ram, context, hugetlb !== undefined),
    ...(hugetlb === undefined ? {} : { hugetlb }),
    pinned: pinnedOf(view, assumptions),
  };
}

/** Where pinned and unpinned vCPUs run; undefined where all of them are pinned, or none. */
export function partlyPinnedOf(ram: Ram[], context: PlacementContext): PartlyPinned | undefined {
  const { view, host } = context;
  const unpinned = unpinnedVcpus(view);
  if (unpinned.length === 0 || unpinned.length === view.vcpu.current) return undefined;
  const cells = ram.map((part) => {
    const choice = choiceOf(part, view);
    const running = (vcpus: number[]): { vcpus: number; nodes: number[] } => ({
      vcpus: vcpus.length,
      nodes: cpuNodesOf(view, host, vcpus, null, choice, new Assumptions()),
    });
    return {
      cell: part.cell,
      pinned: running(part.vcpus.filter((id) => !unpinned.includes(id))),
      unpinned: running(part.vcpus.filter((id) => unpinned.includes(id))),
    };
  });
  return { unpinnedVcpus: unpinned.length, cells };
}

function choiceOf({ mode, nodes }: Ram, view: DomainView): MemoryChoice {
  const strict = view.numatune.memory?.mode === 'strict' && view.cells.length <= 1;
  const near = mode !== null && mode !== 'interleave' && (mode !== 'preferred' || nodes.length < 2);
  return { nodes, near, affinity: strict ? nodes : null };
}

/** Nodes whose CPUs QEMU's own threads run on: those that populate huge pages, and that write what a migration brings. */
export function emulatorNodesOf(ram: Ram, { view, host, advised }: PlacementContext): number[] {
  const cpuset = view.cputune.emulatorpin ?? view.vcpu.cpuset;
  const emulator = { ...view, vcpu: { ...view.vcpu, cpuset }, cputune: NO_PINS };
  const automatic = view.vcpu.placement === 'auto' ? advised : null;
  return cpuNodesOf(emulator, host, [0], automatic, choiceOf(ram, view), new Assumptions());
}

/** numatune mode -> the policy that QEMU's memory backend sets with mbind(). */
function policyOf(ram: Ram, { view, assumptions }: PlacementContext): MemoryPolicy {
  const { mode, nodes, cell } = ram;
  const ofCells = view.cells.length > 0;
  if (mode === null || mode === 'restrictive') {
    if (mode === null) {
      const message = `No numatune${ofCells ? ` for cell ${cell}` : ''}: the default policy, memory of the touching CPU's node first.`;
      assumptions.add('default-policy', message);
    }
    return { mode: 'default', nodes: [] };
  }
  assumptions.add(
    'memory-backend-policy',
    `${ofCells ? `Cell ${cell}: ` : ''}${mode} on ${nodesText(nodes)} is set by QEMU's memory backend (mbind), as QEMU 5.0 and later do for every machine type.`,
  );
  if (mode === 'strict') return { mode: 'bind', nodes };
  if (mode === 'interleave') return { mode: 'interleave', nodes };
  return { mode: nodes.length > 1 ? 'preferred_many' : 'preferred', nodes };
}

/**
 * cpuset.mems of the vCPU threads: with strict the union of all nodes of numatune, with restrictive the
 * nodes of the thread's own cell. Both need `<memory>`; a memnode alone sets no cpuset.
 */
function cpusetOf(ram: Ram, { view, assumptions, advised }: PlacementContext): number[] | null {
  const { memory, memnodes } = view.numatune;
  if (ram.mode === 'restrictive') return said(ram.nodes, 'restrictive', assumptions);
  if (memory?.mode !== 'strict') return null;
  const union = new Set([...(memory.nodeset ?? advised ?? [])]);
  memnodes.forEach(({ nodeset }) => nodeset.forEach((node) => union.add(node)));
  return said(
    [...union].sort((a, b) => a - b),
    'strict',
    assumptions,
  );
}

function said(nodes: number[], mode: NumatuneMode, assumptions: Assumptions): number[] {
  const message = `${mode} also limits the threads by cpuset.mems to ${nodesText(nodes)}, taking the cpuset cgroup as available.`;
  assumptions.add('cpuset-mems', message);
  return nodes;
}

/**
 * Huge pages are mapped without MAP_NORESERVE and preallocated by the emulator's threads before the vCPUs run:
 * a mapping that cannot be reserved, and a page that the policy's nodes do not have, fail the start.
 * @param populating nodes whose CPUs the emulator runs on
 */
function hugetlbOf(
  ram: Ram,
  { view, assumptions }: PlacementContext,
  populating: () => number[],
): RegionSpec['hugetlb'] {
  const size = hugepageKibOf(view, ram.owner);
  const sizeKib = size === null ? undefined : mountableKib(size);
  if (sizeKib === undefined) return undefined;
  const cpuNodes = populating();
  const whose = view.cells.length > 0 ? `Cell ${ram.cell}` : 'Guest RAM';
  assumptions.add(
    'hugepages-pool',
    `${whose} (${ram.memoryKib} KiB) comes out of the pools of huge pages of ${sizeKib} KiB: QEMU reserves all of them and touches them at start, from CPUs of ${nodesText(cpuNodes)}; where a pool has too few, it does not start.`,
  );
  return { sizeKib, reserve: true, cpuNodes };
}

/**
 * QEMU advises its RAM with MADV_HUGEPAGE. On shared memory that has no effect while the host keeps
 * /sys/kernel/mm/transparent_hugepage/shmem_enabled at its default `never`.
 */
function thpOf(
  ram: Ram,
  { view, assumptions }: PlacementContext,
  pooled: boolean,
): RegionSpec['thp'] {
  if (pooled) return 'nohuge';
  const { source, access } = view.memoryBacking;
  if (source === 'memfd') {
    assumptions.add(
      'shmem-without-thp',
      'Guest RAM is a memfd, which is shared memory: no transparent huge pages with the default shmem_enabled=never. It is counted as anonymous memory.',
    );
    return 'nohuge';
  }
  if (source === 'file' || (ram.memAccess ?? access) === 'shared') {
    assumptions.add(
      'file-backed-ram',
      "Guest RAM is a file in libvirt's memory backing directory: no transparent huge pages. It is counted as anonymous memory, as if the directory were a tmpfs.",
    );
    return 'nohuge';
  }
  const message = 'QEMU advises guest RAM for transparent huge pages (MADV_HUGEPAGE).';
  assumptions.add('thp-madvised', message);
  return 'huge';
}

function pinnedOf(view: DomainView, assumptions: Assumptions): boolean {
  const why = view.hasVfioHostdev ? 'an assigned device' : '<locked/>';
  const pinned = view.hasVfioHostdev || view.memoryBacking.locked;
  if (pinned) {
    const message = `Guest RAM is pinned by ${why}: it is touched at start and never reclaimed or moved.`;
    assumptions.add('memory-pinned', message);
  }
  return pinned;
}
