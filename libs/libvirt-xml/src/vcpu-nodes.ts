/** Which host nodes' CPUs run the vCPUs that touch a guest cell: first touch places memory from there. */
import { formatSet, nodesText } from './bitmap';
import type { Assumptions } from './assumptions';
import type { DomainView, HostPlacement } from './types';

/** What the memory side has decided, as far as it moves CPUs. */
export interface MemoryChoice {
  /** Nodes that the cell's policy or cpuset names; null without any. */
  nodes: number[] | null;
  /** Memory is pulled towards these nodes by policy, so that threads are taken to run there when unpinned. */
  near: boolean;
  /** Nodes whose CPUs are QEMU's starting affinity (strict, at most one cell), or null. */
  affinity: number[] | null;
}

/**
 * Ids of the online vCPUs that nothing holds: without a `<vcpupin>`, a vCPU has the domain's `<vcpu cpuset>`, with automatic
 * placement numad's nodes, and else all CPUs of the host (libvirt qemuProcessSetupPid).
 */
export function unpinnedVcpus({ vcpu, cputune }: DomainView): number[] {
  if (vcpu.cpuset !== null || vcpu.placement === 'auto') return [];
  const pinned = new Set(cputune.vcpupin.map((pin) => pin.vcpu));
  return Array.from({ length: vcpu.current }, (_, id) => id).filter((id) => !pinned.has(id));
}

/** `the vCPUs`, `3 of the 4 vCPUs`: those that nothing pins. */
function unpinnedText(view: DomainView): string {
  const { length } = unpinnedVcpus(view);
  const { current } = view.vcpu;
  return length === 0 || length === current ? 'the vCPUs' : `${length} of the ${current} vCPUs`;
}

/**
 * Nodes whose CPUs touch a cell, ascending: pins first, then `<vcpu cpuset>`, then numad's nodes, then
 * what libvirt sets without pins, then a stated rule.
 * @param vcpus ids of the cell's vCPUs
 * @param advised nodes of automatic placement, or null
 */
export function cpuNodesOf(
  view: DomainView,
  host: HostPlacement,
  vcpus: number[],
  advised: number[] | null,
  memory: MemoryChoice,
  assumptions: Assumptions,
): number[] {
  const withCpus = host.nodes.filter(({ cpus }) => cpus.length > 0).map(({ nodeId }) => nodeId);
  if (withCpus.length === 0) {
    assumptions.add(
      'host-cpus-unknown',
      'The host names no CPUs; each cell is touched from every node.',
    );
    return host.nodes.map(({ nodeId }) => nodeId).sort((a, b) => a - b);
  }
  const nodes = new Set<number>();
  for (const vcpu of vcpus) {
    const pin = view.cputune.vcpupin.find((at) => at.vcpu === vcpu)?.cpuset ?? null;
    const cpuset = pin ?? view.vcpu.cpuset;
    const found =
      cpuset === null ? null : nodesOfCpus(host, cpuset, assumptions, pin !== null ? vcpu : null);
    const places = found ?? unpinned(view, withCpus, advised, memory, assumptions);
    places.forEach((node) => nodes.add(node));
  }
  return [...nodes].sort((a, b) => a - b);
}

function nodesOfCpus(
  host: HostPlacement,
  cpuset: number[],
  assumptions: Assumptions,
  vcpu: number | null,
): number[] {
  const wanted = new Set(cpuset);
  const nodes = host.nodes.filter(({ cpus }) => cpus.some((cpu) => wanted.has(cpu)));
  const present = new Set(host.nodes.flatMap(({ cpus }) => cpus));
  const missing = cpuset.filter((cpu) => !present.has(cpu));
  if (missing.length > 0) {
    const who = vcpu === null ? 'The vCPUs' : `vCPU ${vcpu}`;
    const message = `${who} may also use CPUs ${formatSet(missing)}, which the host lacks; the kernel ignores them.`;
    assumptions.add('pinned-cpus-missing', message);
  }
  return nodes.map(({ nodeId }) => nodeId);
}

function unpinned(
  view: DomainView,
  withCpus: number[],
  advised: number[] | null,
  memory: MemoryChoice,
  assumptions: Assumptions,
): number[] {
  const only = (nodes: number[] | null): number[] =>
    (nodes ?? []).filter((node) => withCpus.includes(node));
  const automatic = only(advised);
  if (automatic.length > 0) return automatic;
  const affinity = only(memory.affinity);
  if (affinity.length > 0) {
    assumptions.add(
      'strict-affinity',
      `Unpinned and strict with at most one guest cell: libvirt starts QEMU on the CPUs of ${nodesText(affinity)}.`,
    );
    return affinity;
  }
  const near = memory.near ? only(memory.nodes) : [];
  if (near.length > 0) {
    assumptions.add(
      'unpinned-near-memory',
      `Nothing pins ${unpinnedText(view)}; they are taken to run on the CPUs of ${nodesText(near)}, where their memory should be. Pin them to be sure.`,
    );
    return near;
  }
  assumptions.add(
    'unpinned-everywhere',
    `Nothing pins ${unpinnedText(view)}; they are taken to touch memory from ${nodesText(withCpus)} in turn, so none of it there counts as remote.`,
  );
  return withCpus;
}
