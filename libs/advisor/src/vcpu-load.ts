/** vCPUs per CPU of a node: pinning brings memory and vCPUs together, and must not crowd a node's CPUs for it. */
import { placedGuest, unpinnedGuest } from './compile';
import { formatList } from './format';
import { nodesText } from './host-nodes';
import { guestCpuNodes, partsByCell } from './placement';
import type { AdviceRequest, GuestSpec, HostModel, SimulationRequest } from './types';

/**
 * vCPUs per CPU up to which KVM hosts guests whose load is under 100 %.
 * @source Red Hat Enterprise Linux 7, Virtualization Deployment and Administration Guide, section 7.3 "Overcommitting
 *   Virtualized CPUs": five vCPUs to one CPU, and no guest with more vCPUs than it has CPUs
 */
export const VCPU_OVERCOMMIT_MAX = 5;
/** Shares of a vCPU are sums of fractions. */
const ROUNDING = 1e-9;

/** What the CPUs of a node carry, and how much a change may bring there. */
export interface NodeLoad {
  nodeId: number;
  cpus: number;
  vcpus: number;
  limitVcpus: number;
}

/** vCPUs of each node's CPUs, by position in `host.nodes`; a vCPU that may run on several nodes counts there by their CPUs. */
export function vcpuShares(request: SimulationRequest, spec: GuestSpec): number[] {
  const { host } = request;
  const { regions } = unpinnedGuest(request, spec);
  const pins = partsByCell(spec);
  const shares = host.nodes.map(() => 0);
  const add = (nodes: number[], vcpus: number): void =>
    spread(host, nodes, vcpus).forEach((share, i) => (shares[i] = (shares[i] ?? 0) + share));
  // Regions are cells and the devices of cells: each cell has its own vCPUs, about as many as the others.
  const each = (spec.vcpus ?? 0) / regions.length;
  for (const { cell, cpuNodes } of regions) {
    const { pinned, unpinned } = pins.get(cell) ?? {};
    const held = pinned && unpinned ? pinned.vcpus / (pinned.vcpus + unpinned.vcpus) : 0;
    if (pinned) add(pinned.nodes, each * held);
    add(cpuNodes, each * (1 - held));
  }
  return shares;
}

/** vCPUs over these nodes by their CPUs, by position in `host.nodes`. */
function spread(host: HostModel, nodes: number[], vcpus: number): number[] {
  const cpus = host.nodes.map((node) => (nodes.includes(node.nodeId) ? node.cpus.length : 0));
  const all = cpus.reduce((sum, count) => sum + count, 0);
  return cpus.map((count) => (all === 0 ? 0 : (vcpus * count) / all));
}

/** vCPUs that nodes may carry, told from the setting as it is. */
export class VcpuLimits {
  private readonly today: number[];
  /** Most vCPUs by position in `host.nodes`. */
  readonly vcpusMax: number[];
  private readonly needed: boolean;

  constructor(private readonly request: AdviceRequest) {
    const { host, guests, options } = request;
    this.needed = guests.some(({ vcpus }) => vcpus !== undefined);
    this.today = this.needed ? this.loadOf(request) : host.nodes.map(() => 0);
    const cpus = host.nodes.reduce((sum, node) => sum + node.cpus.length, 0);
    const vcpus = this.today.reduce((sum, count) => sum + count, 0);
    const planned = guests.filter(({ state }) => state === 'planned');
    const largest = Math.max(0, ...planned.map((spec) => spec.vcpus ?? 0));
    const given = options?.constraints?.vcpuOvercommitMax;
    this.vcpusMax = host.nodes.map((node, i) => {
      const own = node.cpus.length;
      const even = (vcpus * own) / Math.max(1, cpus) + largest;
      const crowded = vcpus > cpus ? Math.min(even, own * VCPU_OVERCOMMIT_MAX) : own;
      return Math.max(this.today[i] ?? 0, given === undefined ? crowded : own * given);
    });
  }

  /** vCPUs beyond what the nodes may carry, over all of them. */
  beyond(vcpus: number[]): number {
    return vcpus.reduce((sum, count, i) => {
      const over = count - (this.vcpusMax[i] ?? 0);
      return over > ROUNDING ? sum + over : sum;
    }, 0);
  }

  /** The setting as it is, node by node; empty where no guest tells how many vCPUs it has. */
  get nodes(): NodeLoad[] {
    if (!this.needed) return [];
    return this.request.host.nodes.flatMap(({ nodeId, cpus }, i) =>
      cpus.length === 0
        ? []
        : [
            {
              ...{ nodeId, cpus: cpus.length, vcpus: this.today[i] ?? 0 },
              limitVcpus: this.vcpusMax[i] ?? 0,
            },
          ],
    );
  }

  /** Why a request's CPUs would be crowded, against the setting as it is; undefined where they are not. */
  violation(changed: SimulationRequest): string | undefined {
    if (!this.needed) return undefined;
    const squeezed = changed.guests.find((spec) => this.isSqueezed(changed, spec));
    if (squeezed) {
      const nodes = guestCpuNodes(placedGuest(changed, squeezed.guest.name));
      return (
        `${squeezed.guest.name} has ${squeezed.vcpus ?? 0} vCPUs and ${nodesText(nodes)} ` +
        `${this.cpusOf(nodes)} CPUs: it would have fewer CPUs than vCPUs.`
      );
    }
    const load = this.loadOf(changed);
    const at = load.findIndex((vcpus, i) => vcpus - (this.vcpusMax[i] ?? 0) > ROUNDING);
    const node = this.request.host.nodes[at];
    if (node === undefined) return undefined;
    return (
      `${rounded(load[at] ?? 0)} vCPUs would run on the ${node.cpus.length} CPUs of node ${node.nodeId}, ` +
      `and at most ${rounded(this.vcpusMax[at] ?? 0)} may (${rounded(this.today[at] ?? 0)} as it is).`
    );
  }

  /** A guest that gets fewer CPUs than vCPUs, and fewer than it has today. */
  private isSqueezed(changed: SimulationRequest, { guest, vcpus = 0 }: GuestSpec): boolean {
    const then = this.cpusOf(guestCpuNodes(placedGuest(changed, guest.name)));
    return then < vcpus && then < this.cpusOf(guestCpuNodes(placedGuest(this.request, guest.name)));
  }

  private cpusOf(nodes: number[]): number {
    return this.request.host.nodes
      .filter(({ nodeId }) => nodes.includes(nodeId))
      .reduce((sum, { cpus }) => sum + cpus.length, 0);
  }

  private loadOf(request: SimulationRequest): number[] {
    const { host, guests } = request;
    const load = host.nodes.map(() => 0);
    for (const spec of guests) {
      if (spec.vcpus === undefined) continue;
      vcpuShares(request, spec).forEach((share, i) => (load[i] = (load[i] ?? 0) + share));
    }
    return load;
  }
}

/** What pinning was measured by, where guests tell their vCPUs. */
export function vcpuNotes(request: AdviceRequest): { code: string; message: string }[] {
  const nodes = new VcpuLimits(request).nodes;
  if (nodes.length === 0) return [];
  const unknown = request.guests.filter(({ vcpus }) => vcpus === undefined);
  const given = request.options?.constraints?.vcpuOvercommitMax;
  const rule =
    given === undefined
      ? `a node's CPUs may carry one vCPU each, or, where there are more vCPUs than CPUs, their even share and the largest guest on top, up to ${VCPU_OVERCOMMIT_MAX} each`
      : `a node's CPUs may carry ${given} vCPUs each`;
  const loads = nodes.map(
    ({ nodeId, cpus, vcpus, limitVcpus }) =>
      `node ${nodeId} ${rounded(vcpus)} vCPUs on ${cpus} CPUs (at most ${rounded(limitVcpus)})`,
  );
  const left =
    unknown.length === 0
      ? ''
      : ` Not counted, as their vCPUs are not known: ${formatList(unknown.map(({ guest }) => guest.name))}.`;
  const message =
    `No change brings vCPUs onto CPUs that are crowded: ${rule}, or what they carry as it is. ` +
    `As it is: ${formatList(loads)}.${left}`;
  return [{ code: 'vcpu-load', message }];
}

const rounded = (vcpus: number): string => String(Math.round(vcpus * 100) / 100);
