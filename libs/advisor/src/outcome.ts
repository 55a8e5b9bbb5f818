import type { NodeSnapshot, ReplayResult, Snapshot } from '@zonewise/simulator';
import { effectiveNumatune, placedGuest } from './compile';
import { resolveDemand } from './demand';
import { stoppedGuests } from './events';
import { distanceBetween } from './host-nodes';
import { guestMemoryPages } from './placement';
import type { HostModel, Outcome, SimulationRequest } from './types';

type GuestOutcome = Outcome['guests'][number];

/**
 * Condenses a replay to what a person compares.
 *
 * A page is remote when it lies on a node outside its region's `cpuNodes`; shares are weighted by pages
 * (resident guest RAM, without QEMU's overhead). `cacheLostPages` compares the clean page cache of every
 * node before the first guest and the pools with the end, and counts only nodes that lost some.
 *
 * @differs cache that the guests' own disks read in hides an equal loss of older cache on that node
 */
export function condense(request: SimulationRequest, result: ReplayResult): Outcome {
  const final = lastSnapshot(result);
  const oomKills = result.steps.flatMap((step) =>
    step.events.flatMap((event) => (event.type === 'oom_kill' ? [event.victim] : [])),
  );
  const guests = request.guests.map((spec) =>
    guestOutcome(request, spec.guest.name, final, oomKills),
  );
  const nodes = final.nodes.map((node) => ({
    nodeId: node.nodeId,
    managedPages: node.zones.reduce((sum, zone) => sum + zone.managedPages, 0),
    freePages: node.zones.reduce((sum, zone) => sum + zone.freePages + zone.pcpPages, 0),
    fileCachePages: fileCachePages(node),
    anonPages: node.anonPages,
  }));
  const residentPages = guests.reduce((sum, guest) => sum + guest.residentPages, 0);
  return {
    guests: guests.map((guest) => guest.outcome),
    nodes,
    oomKills,
    failedStarts: failedStarts(request, result, oomKills),
    remoteShare: share(
      guests.reduce((sum, guest) => sum + guest.remotePages, 0),
      residentPages,
    ),
    remoteCost: share(
      guests.reduce((sum, guest) => sum + guest.outcome.remoteCost * guest.residentPages, 0),
      residentPages,
    ),
    headroomShare: headroomShare(nodes),
    stallNs: result.totals.stallNs,
    directReclaimedPages: result.totals.directReclaimedPages,
    nodeReclaimedPages: result.totals.nodeReclaimedPages,
    kswapdReclaimedPages: result.totals.kswapdReclaimedPages,
    swappedOutPages: result.totals.swappedOutPages,
    cacheLostPages: cacheLost(beforeGuests(result), final),
    stateHash: result.stateHash,
  };
}

/** Whether the replay ended because guests had waited too long. */
export function isStalled({ steps }: ReplayResult): boolean {
  return steps.at(-1)?.status === 'stalled';
}

/** Pages of the page cache that reclaim can take: file pages on the LRU lists. */
export function fileCachePages(node: NodeSnapshot): number {
  return node.lru.activeFilePages + node.lru.inactiveFilePages;
}

/** Page cache over all nodes before the first guest, and before the pools of huge pages. */
export function cacheBefore(result: ReplayResult): number {
  return beforeGuests(result).nodes.reduce((sum, node) => sum + fileCachePages(node), 0);
}

/**
 * Planned guests whose start ended without an OOM kill, or never came because the replay stalled; guest steps are in start
 * order.
 */
function failedStarts(
  request: SimulationRequest,
  result: ReplayResult,
  oomKills: string[],
): string[] {
  const starts = result.steps.filter((step) => step.op === 'guest');
  const stalled = isStalled(result);
  return resolveDemand(request).planned.flatMap(({ spec: { guest } }, i) => {
    const start = starts[i];
    const failed = start === undefined ? stalled : start.status !== 'ok';
    return failed && !oomKills.includes(guest.name) ? [guest.name] : [];
  });
}

function headroomShare(nodes: Outcome['nodes']): number {
  const shares = nodes
    .filter((node) => node.managedPages > 0)
    .map((node) => (node.freePages + node.fileCachePages) / node.managedPages);
  return Math.min(1, ...shares);
}

/** Sum over a region's pages of how much further than local they are from its CPU nodes. */
function regionCost(
  host: HostModel,
  cpuNodes: number[],
  pagesByNode: { nodeId: number; pages: number }[],
): number {
  return pagesByNode.reduce((sum, { nodeId, pages }) => {
    const extra = cpuNodes.map(
      (cpu) =>
        distanceBetween(host, cpu, nodeId) / Math.max(1, distanceBetween(host, cpu, cpu)) - 1,
    );
    return (
      sum +
      pages *
        share(
          extra.reduce((a, b) => a + b, 0),
          extra.length,
        )
    );
  }, 0);
}

function guestOutcome(
  request: SimulationRequest,
  name: string,
  final: Snapshot,
  oomKills: string[],
): { outcome: GuestOutcome; remotePages: number; residentPages: number } {
  const spec = request.guests.find((guest) => guest.guest.name === name);
  const process = placedGuest(request, name);
  const seen = final.guests.find((guest) => guest.name === name);
  let remotePages = 0;
  let residentPages = 0;
  let cost = 0;
  for (const region of seen?.regions ?? []) {
    const local = process.regions.find((r) => r.cell === region.cell)?.cpuNodes ?? [];
    cost += regionCost(request.host, local, region.pagesByNode);
    for (const { nodeId, pages } of region.pagesByNode) {
      residentPages += pages;
      if (!local.includes(nodeId)) remotePages += pages;
    }
  }
  const { mode, nodeset } = effectiveNumatune(request, name);
  return {
    remotePages,
    residentPages,
    outcome: {
      name,
      state: spec?.state ?? 'planned',
      mode,
      nodeset,
      memoryPages: guestMemoryPages(process),
      pagesByNode: seen?.pagesByNode ?? [],
      remoteShare: share(remotePages, residentPages),
      remoteCost: share(cost, residentPages),
      oomKilled:
        oomKills.includes(name) ||
        (seen?.alive === false && !stoppedGuests(request.demand).has(name)),
      stallNs: seen?.stallNs ?? 0,
      swapPages: seen?.swapPages ?? 0,
    },
  };
}

function lastSnapshot(result: ReplayResult): Snapshot {
  return result.steps.at(-1)?.snapshot ?? result.initial;
}

/** Before the first guest, and before the pools of huge pages that are made for guests and take page cache like them. */
function beforeGuests(result: ReplayResult): Snapshot {
  const first = result.steps.findIndex(({ op }) => op === 'guest' || op === 'hugepages');
  if (first < 0) return result.initial;
  return result.steps[first - 1]?.snapshot ?? result.initial;
}

function cacheLost(before: Snapshot, after: Snapshot): number {
  return before.nodes.reduce((sum, node) => {
    const now = after.nodes.find((other) => other.nodeId === node.nodeId);
    return sum + Math.max(0, cleanPages(node) - (now ? cleanPages(now) : 0));
  }, 0);
}

function cleanPages(node: NodeSnapshot): number {
  return Math.max(0, fileCachePages(node) - node.dirtyPages - node.writebackPages);
}

function share(part: number, whole: number): number {
  return whole > 0 ? part / whole : 0;
}
