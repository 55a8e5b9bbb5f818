/**
 * From a domain document and the host it runs on to the guest that a replay is given. Pure: no Nest, no
 * database, so that the command line builds the same guests as the service.
 */
import type { GuestSpec, PlacementMode } from '@zonewise/advisor';
import { runtimePlacement, unpinnedVcpus } from '@zonewise/libvirt-xml';
import type { DomainView, HostPlacement, ParseOutcome } from '@zonewise/libvirt-xml';
import { PAGES_PER_HUGE } from '@zonewise/simulator';
import type { GuestProcess, HostModel, RunningGuest } from '@zonewise/simulator';

export type DomainState = 'planned' | 'running';
export type ResidencySource = 'numa_maps' | 'numastat' | 'estimated';

/** Resident guest memory of one node; `hugePages` of 2 MiB are contained in `pages`. */
export interface NodeResidency {
  nodeId: number;
  pages: number;
  hugePages: number;
  /** libvirt cell, where the source tells it; otherwise assigned by `assignResidency`. */
  cell?: number;
}

/** What is known of a domain besides its document. */
export interface DomainUse {
  state: DomainState;
  /** Needed for `running`. */
  residency?: NodeResidency[];
  residencySource?: ResidencySource;
  swapPages?: number;
}

type Assumption = { code: string; message: string };

/** Nodes that have memory, and each node's CPUs: what numatune semantics ask of a host. */
export function hostPlacement(host: HostModel): HostPlacement {
  return {
    memoryNodes: host.nodes
      .filter((node) => node.zones.some((zone) => zone.managedPages > 0))
      .map((node) => node.nodeId),
    nodes: host.nodes.map(({ nodeId, cpus }) => ({ nodeId, cpus })),
  };
}

/**
 * numatune of the document as one mode and nodeset, for display and comparison: the mode of `<memory>`, else
 * of the first `<memnode>`, and the nodes of all of them together; automatic placement counts as all nodes
 * with memory.
 */
export function configuredNumatune(
  view: DomainView,
  memoryNodes: number[],
): { mode: PlacementMode; nodeset: number[] } {
  const { memory, memnodes } = view.numatune;
  const mode = memory?.mode ?? memnodes[0]?.mode;
  if (mode === undefined) return { mode: 'none', nodeset: [] };
  const whole = memory === null ? [] : (memory.nodeset ?? memoryNodes);
  const nodes = new Set([...whole, ...memnodes.flatMap((memnode) => memnode.nodeset)]);
  return { mode, nodeset: [...nodes].sort((a, b) => a - b) };
}

/**
 * Gives each region of a running guest its resident pages. Sources that know only nodes are assigned in
 * two passes: first every region takes from the nodes of its own policy, then what is left goes to the
 * regions in order. Pages beyond the guest's memory belong to the QEMU process and are left out.
 *
 * @returns the residency per region and the pages that found no room
 */
export function assignResidency(
  guest: GuestProcess,
  residency: NodeResidency[],
): { assigned: RunningGuest['residency']; excessPages: number } {
  const rest = residency.map((entry) => ({ ...entry }));
  const room = new Map(guest.regions.map((region) => [region.cell, region.sizePages]));
  const assigned: RunningGuest['residency'] = [];

  const take = (cell: number, from: (typeof rest)[number]): void => {
    const pages = Math.min(from.pages, room.get(cell) ?? 0);
    if (pages <= 0) return;
    const hugePages = Math.min(from.hugePages, Math.floor(pages / PAGES_PER_HUGE));
    from.pages -= pages;
    from.hugePages -= hugePages;
    room.set(cell, (room.get(cell) ?? 0) - pages);
    const same = assigned.find((entry) => entry.cell === cell && entry.nodeId === from.nodeId);
    if (same === undefined) assigned.push({ cell, nodeId: from.nodeId, pages, hugePages });
    else {
      same.pages += pages;
      same.hugePages += hugePages;
    }
  };

  const known = rest.filter((entry) => entry.cell !== undefined);
  for (const entry of known) take(entry.cell ?? 0, entry);
  for (const region of guest.regions) {
    for (const entry of rest) {
      if (region.policy.nodes.includes(entry.nodeId)) take(region.cell, entry);
    }
  }
  for (const region of guest.regions) for (const entry of rest) take(region.cell, entry);
  return { assigned, excessPages: rest.reduce((sum, entry) => sum + entry.pages, 0) };
}

function runningSpec(
  guest: GuestProcess,
  use: DomainUse,
): { guest: RunningGuest; assumptions: Assumption[] } {
  const { assigned, excessPages } = assignResidency(guest, use.residency ?? []);
  const assumptions: Assumption[] = [];
  if (excessPages > 0) {
    assumptions.push({
      code: 'residency-beyond-guest-memory',
      message: `${excessPages} resident pages beyond the guest's memory are counted as the QEMU process and not as guest memory.`,
    });
  }
  return { guest: { ...guest, residency: assigned, swapPages: use.swapPages ?? 0 }, assumptions };
}

/** Whether numatune can name the region: a guest cell, or all of the RAM of a guest without cells. */
function isGuestCell(view: DomainView, cell: number): boolean {
  return view.cells.length === 0 ? cell === 0 : view.cells.some(({ id }) => id === cell);
}

/**
 * The guest that a replay is given for a domain.
 *
 * @returns problems (with line and column of the nodeset) when the host lacks a node that the domain names
 */
export function buildGuestSpec(
  view: DomainView,
  host: HostModel,
  use: DomainUse,
): ParseOutcome<GuestSpec> {
  const placementHost = hostPlacement(host);
  const placement = runtimePlacement(view, placementHost);
  if (!placement.ok) return placement;
  const { guest, diskCachePages, emulatorNodes, partlyPinned, assumptions } = placement.value;
  const common = {
    numatune: configuredNumatune(view, placementHost.memoryNodes),
    diskCachePages,
    emulatorNodes,
    vcpus: view.vcpu.current,
    cpusPinned: unpinnedVcpus(view).length === 0,
    ...(partlyPinned && { partlyPinned }),
    ownNodesCells: guest.regions.map(({ cell }) => cell).filter((cell) => !isGuestCell(view, cell)),
  };
  if (use.state === 'planned') {
    return { ok: true, value: { ...common, assumptions, state: 'planned', guest } };
  }
  const running = runningSpec(guest, use);
  return {
    ok: true,
    value: {
      ...common,
      assumptions: [...assumptions, ...running.assumptions],
      state: 'running',
      guest: running.guest,
      residencySource: use.residencySource ?? 'estimated',
    },
  };
}
