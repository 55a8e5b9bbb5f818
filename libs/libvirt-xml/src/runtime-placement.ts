/** What a domain becomes at run time: the process that the kernel sees. */
import { Assumptions } from './assumptions';
import { formatSet, nodesText } from './bitmap';
import { checkHost } from './host-check';
import type {
  DomainView,
  HostPlacement,
  NumatuneMode,
  ParseOutcome,
  RuntimePlacement,
  XmlProblem,
} from './types';
import { mountableKib } from './hugepages';
import { emulatorNodesOf, PAGE_KIB, partlyPinnedOf, ramOf, regionOf } from './regions';
import type { PlacementContext } from './regions';

/**
 * Anonymous memory of QEMU itself beside guest RAM, 16 MiB: heap, thread stacks and device state of a
 * KVM guest with a few virtio devices. An estimate, not a measurement, kept small so that it does not
 * decide a verdict; many vCPUs, graphics or storage libraries in the process need more.
 */
export const QEMU_OVERHEAD_PAGES = 4096;

/** Share of guest memory that disks going through the host page cache are taken to fill there. */
export const DISK_CACHE_PERCENT = 25;

const FOREIGN_TYPES = ['xen', 'lxc', 'uml', 'openvz', 'vmware', 'hyperv', 'vbox', 'phyp'];
const FOREIGN = new Set([...FOREIGN_TYPES, 'parallels', 'bhyve', 'vz']);

/**
 * Turns a domain into the process that the kernel will see on a host: regions with memory policy,
 * cpuset limit, touching nodes and THP advice (qemuBuildMemoryBackendProps, qemuProcessHook,
 * qemuProcessSetupPid, qemuProcessInitCpuAffinity).
 *
 * @returns the guest (pages of 4 KiB) with the rules used, or the nodesets and CPU sets that the host
 * cannot satisfy, with line and column in the document
 * @differs guest RAM on shared memory is counted as anonymous memory without THP
 */
export function runtimePlacement(
  view: DomainView,
  host: HostPlacement,
): ParseOutcome<RuntimePlacement> {
  const problems = checkHost(view, host);
  if (view.type !== undefined && FOREIGN.has(view.type)) {
    problems.push({
      code: 'not-a-qemu-domain',
      path: '/domain/@type',
      message: `memory of a ${view.type} domain is not placed as a QEMU guest's is`,
      line: 1,
      column: 1,
      expected: 'kvm or qemu',
      found: view.type,
    });
  }
  problems.push(...hugepageProblems(view));
  if (problems.length > 0) return { ok: false, problems };
  const assumptions = new Assumptions();
  const advised = adviseAuto(view, host, assumptions);
  const context: PlacementContext = { view, host, assumptions, advised };
  const ram = ramOf(context);
  const regions = ram.map((part) => regionOf(part, context));
  const emulatorNodes = ram[0] === undefined ? [] : emulatorNodesOf(ram[0], context);
  const partlyPinned = partlyPinnedOf(ram, context);
  sayBalloon(view, assumptions);
  assumptions.add(
    'qemu-overhead',
    `QEMU itself is counted with ${QEMU_OVERHEAD_PAGES} pages beside guest RAM (an estimate of its heap, stacks and device state).`,
  );
  const guest = {
    name: view.name,
    regions,
    oomScoreAdj: 0,
    overheadPages: QEMU_OVERHEAD_PAGES,
  };
  const diskCachePages = diskCache(view, assumptions);
  const value = { guest, diskCachePages, emulatorNodes, assumptions: assumptions.list() };
  return { ok: true, value: { ...value, ...(partlyPinned && { partlyPinned }) } };
}

/** libvirt finds no hugetlbfs mount of other sizes. */
function hugepageProblems(view: DomainView): XmlProblem[] {
  const path = '/domain/memoryBacking/hugepages';
  const place = view.positions?.[path] ?? { line: 1, column: 1 };
  return (view.memoryBacking.hugepages ?? []).flatMap(({ sizeKib }) =>
    sizeKib === null || mountableKib(sizeKib) !== undefined
      ? []
      : [
          {
            code: 'hugepages-unavailable',
            message: `an x86-64 host has no huge pages of ${sizeKib} KiB`,
            ...{ path, ...place, expected: '2048 or 1048576 KiB', found: `${sizeKib} KiB` },
          },
        ],
  );
}

/**
 * The same domain with its memory policy replaced for all cells, as an advisor tries it: the nodeset is
 * static and every memnode is gone.
 */
export function placementFor(
  view: DomainView,
  host: HostPlacement,
  override: { mode: NumatuneMode; nodeset: number[] },
): ParseOutcome<RuntimePlacement> {
  const nodeset = [...new Set(override.nodeset)].sort((a, b) => a - b);
  if (nodeset.length === 0) {
    const message = 'the nodeset of the override names no node';
    const place = { path: '/domain/numatune/memory/@nodeset', line: 1, column: 1 };
    const expected = 'at least one node';
    return { ok: false, problems: [{ code: 'invalid-change', message, ...place, expected }] };
  }
  const memory = { mode: override.mode, placement: 'static' as const, nodeset };
  return runtimePlacement({ ...view, numatune: { memory, memnodes: [] } }, host);
}

function adviseAuto(
  view: DomainView,
  host: HostPlacement,
  assumptions: Assumptions,
): number[] | null {
  const automatic = view.numatune.memory?.placement === 'auto' || view.vcpu.placement === 'auto';
  if (!automatic) return null;
  if (view.numadNodeset !== undefined) {
    const nodes = view.numadNodeset.filter((node) => host.memoryNodes.includes(node));
    const message = `numad advised ${nodesText(nodes)} when the domain was started; the domain is replayed there.`;
    assumptions.add('numad-advice-recorded', message);
    return nodes;
  }
  const nodes = [...host.memoryNodes].sort((a, b) => a - b);
  assumptions.add(
    'numad-advice-unknown',
    `Automatic placement asks numad at start; until then all nodes with memory (${formatSet(nodes)}) are assumed. Name a nodeset to be exact.`,
  );
  return nodes;
}

/** A balloon gives memory back only once the guest's driver has inflated it, so boot may touch all. */
function sayBalloon(view: DomainView, assumptions: Assumptions): void {
  if (view.currentMemoryKib >= view.memoryKib) return;
  assumptions.add(
    'balloon-counted-in-full',
    `currentMemory is ${view.currentMemoryKib} KiB of ${view.memoryKib} KiB; the guest is counted with all of it, because it may touch everything before the balloon inflates.`,
  );
}

function diskCache(view: DomainView, assumptions: Assumptions): number {
  const cached = view.disks.filter((disk) => disk.usesHostPageCache).map((disk) => disk.target);
  if (cached.length === 0) {
    if (view.disks.length > 0) {
      assumptions.add('disk-cache-bypassed', 'No disk goes through the host page cache.');
    }
    return 0;
  }
  const pages = Math.floor((view.memoryKib / PAGE_KIB) * (DISK_CACHE_PERCENT / 100));
  const shown = cached.slice(0, 8).join(', ');
  assumptions.add(
    'disk-cache-share',
    `Disks ${shown} go through the host page cache (cache none and directsync would not); they are taken to fill ${pages} pages of it, ${DISK_CACHE_PERCENT} % of guest memory in total.`,
  );
  return pages;
}
