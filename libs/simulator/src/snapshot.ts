/** The state in the kernel's words, as results carry it. */
import { countVm, type GuestState, type KernelState } from './kernel-state';
import type { GuestSnapshot, LruPages, NodeSnapshot, Snapshot } from './types';
import { pcpPages, type NodeState } from './zone';

function lruOf(node: NodeState): LruPages {
  const pages = (list: number): number => node.lists[list]!.pages;
  return {
    inactiveAnonPages: pages(0),
    activeAnonPages: pages(1),
    inactiveFilePages: pages(2),
    activeFilePages: pages(3),
    unevictablePages: pages(4),
  };
}

function nodeSnapshot(node: NodeState): NodeSnapshot {
  return {
    nodeId: node.id,
    zones: node.zones.map((zone) => ({
      name: zone.name,
      freePages: zone.free,
      pcpPages: pcpPages(zone),
      hugeFreePages: zone.hugeFree,
      boostPages: zone.boost,
      minPages: zone.min,
      lowPages: zone.low,
      highPages: zone.high,
      managedPages: zone.managed,
      protectionPages: [...zone.protection],
      pcpHighPages: zone.pcpHigh,
      pcpBatchPages: zone.pcpBatch,
    })),
    lru: lruOf(node),
    filePages: node.filePages,
    anonPages: node.anonPages,
    mappedPages: node.mappedPages,
    dirtyPages: node.dirtyPages,
    writebackPages: node.writebackPages,
    slabReclaimablePages: node.slabReclaimable,
    anonTransparentHugepages: node.hugeAnonPages / 512,
    numastat: { ...node.numastat },
  };
}

function guestSnapshot(k: KernelState, guest: GuestState): GuestSnapshot {
  const perNode = (pages: number[]): { nodeId: number; pages: number }[] =>
    k.nodes.map((node, i) => ({ nodeId: node.id, pages: pages[i]! }));
  const sum = k.nodes.map((_, i) =>
    guest.mappings.reduce((total, mapping) => total + mapping.pagesByNode[i]!, 0),
  );
  return {
    name: guest.spec.name,
    alive: guest.alive,
    pagesByNode: perNode(sum),
    regions: guest.mappings.map((mapping, i) => ({
      cell: guest.spec.regions[i]!.cell,
      pagesByNode: perNode(mapping.pagesByNode),
    })),
    hugePages: guest.mappings.reduce((total, mapping) => total + mapping.hugePages, 0) / 512,
    swapPages: guest.mappings.reduce((total, mapping) => total + mapping.swapPages, 0),
    stallNs: guest.stallNs,
  };
}

/** What rates are measured against: the snapshot before the step. */
export function takeSnapshot(k: KernelState, before?: Snapshot): Snapshot {
  countVm(k, 'pgfault', 0);
  const seconds = before ? (k.timeNs - before.timeNs) / 1e9 : 0;
  const rate = (...names: string[]): number => {
    if (!before || seconds <= 0) return 0;
    let delta = 0;
    for (const name of names) delta += (k.vmstat[name] ?? 0) - (before.vmstat[name] ?? 0);
    return delta / seconds;
  };
  return {
    timeNs: k.timeNs,
    nodes: k.nodes.map(nodeSnapshot),
    guests: [...k.guests.values()].map((guest) => guestSnapshot(k, guest)),
    vmstat: { ...k.vmstat },
    sysctl: structuredClone(k.sysctl),
    swapUsedPages: k.swap.totalPages - k.swap.freePages,
    rates: {
      pgscank: rate('pgscan_kswapd'),
      pgscand: rate('pgscan_direct'),
      pgsteal: rate('pgsteal_kswapd', 'pgsteal_direct'),
      pgfault: rate('pgfault'),
    },
  };
}
