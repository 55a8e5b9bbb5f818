/**
 * Where pages would go by counting only: no marks but the low one, no lists, no time. It ranks configurations so that
 * few need a replay; nothing is ever recommended on its word.
 */
import { buildZonelists } from '@zonewise/simulator';
import type { GuestProcess, HostNode, HostSysctls, RegionSpec } from '@zonewise/simulator';
import { placedGuest } from './compile';
import { withChange } from './change';
import type { ResolvedDemand } from './demand';
import { cpuNodes, distanceBetween, managedPages, nearestFirst } from './host-nodes';
import { cachePolicy, guestCpuNodes } from './placement';
import type { AdviceRequest, Change } from './types';

type Planned = ResolvedDemand['planned'][number];

/** Pages that are taken from nodes in an order; positions are those of `host.nodes`. */
interface Draw {
  pages: number;
  from: number[];
  /** Position of the node whose CPUs take them; only that one is reclaimed from by zone_reclaim_mode. */
  local: number;
  /** Page cache and not guest memory. */
  cache: boolean;
  /** Per position: how much further than local it is from the region's CPUs on average. */
  cost: number[];
}

/** What a guest takes, in order. */
export type Draws = Draw[];

/** Figures by counting, each the smaller the better, in the order in which they decide. */
export interface Estimate {
  /** vCPUs beyond what the CPUs of nodes may carry; only a packing counts them. */
  crowded?: number;
  kills: number;
  swap: number;
  remoteCost: number;
  /** Share of the fullest node that guests take. */
  fullest: number;
  /** Sum of squares of the nodes' shares: tells even from uneven where the fullest node is the same. */
  spread: number;
  /** Pages of the page cache that guests take. */
  reclaimed: number;
  /** Pages that the first node of their order had no free page for. */
  missed: number;
}

export class Estimator {
  private readonly position: Map<number, number>;
  private readonly zonelists: number[][];
  private readonly managed: number[];
  private readonly freeAboveLow: number[];
  private readonly cache: number[];

  constructor(
    private readonly request: AdviceRequest,
    demand: ResolvedDemand,
  ) {
    const { nodes, distances } = request.host;
    this.position = new Map(nodes.map(({ nodeId }, i) => [nodeId, i]));
    this.managed = nodes.map(managedPages);
    const lists = buildZonelists(
      nodes.map((node, i) => ({
        nodeId: node.nodeId,
        hasCpus: node.cpus.length > 0,
        hasMemory: (this.managed[i] ?? 0) > 0,
      })),
      distances,
    );
    const order = new Map(lists.map((list) => [list.nodeId, list.order]));
    this.zonelists = nodes.map(({ nodeId }) =>
      this.positions(order.get(nodeId) ?? []).filter((i) => (this.managed[i] ?? 0) > 0),
    );
    this.freeAboveLow = nodes.map(freePagesAboveLow);
    this.cache = nodes.map(({ lru, slabReclaimablePages, heldFilePages = 0 }) =>
      Math.max(
        0,
        lru.activeFilePages + lru.inactiveFilePages - heldFilePages + slabReclaimablePages,
      ),
    );
    for (const { node, pages } of demand.backgroundCache) {
      const i = this.position.get(node) ?? 0;
      const taken = Math.min(pages, this.freeAboveLow[i] ?? 0);
      this.freeAboveLow[i] = (this.freeAboveLow[i] ?? 0) - taken;
      this.cache[i] = (this.cache[i] ?? 0) + taken;
    }
  }

  /** What a planned guest takes under a change. */
  drawsOf(planned: Planned, change: Change): Draws {
    const { name } = planned.spec.guest;
    const own: Change = {
      sysctl: {},
      numatune: pick(change.numatune, name),
      ...(change.pinning && { pinning: pick(change.pinning, name) }),
      ...(change.backing && { backing: pick(change.backing, name) }),
    };
    const guest = placedGuest(withChange(this.request, own), name);
    const uncached = change.diskCache?.[name] === 'none';
    const draws = guest.regions.flatMap((region, i) =>
      // Huge pages of a pool are not free memory: the pool took them before.
      region.hugetlb ? [] : this.regionDraws(region, planned.touchPages[i] ?? 0),
    );
    const first = guest.regions[0];
    if (first) draws.unshift(...this.regionDraws(first, guest.overheadPages));
    return uncached ? draws : [...draws, ...this.cacheDraws(guest, planned.diskCachePages)];
  }

  /** Counts the guests' pages in their order under kernel settings. */
  estimate(guests: Draws[], sysctl: Partial<HostSysctls>): Estimate {
    const settings = { ...this.request.host.sysctl, ...this.request.sysctl, ...sysctl };
    const state = {
      free: [...this.freeAboveLow],
      cache: [...this.cache],
      swap: this.request.host.swap.freePages,
      reclaimsLocal: (settings.zone_reclaim_mode & 7) !== 0,
      unmapped: this.managed.map((pages) => (pages * settings.min_unmapped_ratio) / 100),
    };
    const sum = { kills: 0, swap: 0, cost: 0, pages: 0, reclaimed: 0, missed: 0 };
    for (const draws of guests) this.take(draws, state, sum);
    const shares = this.managed.map((pages, i) =>
      pages > 0 ? 1 - ((state.free[i] ?? 0) + (state.cache[i] ?? 0)) / pages : 0,
    );
    return {
      kills: sum.kills,
      swap: sum.swap,
      remoteCost: sum.pages > 0 ? sum.cost / sum.pages : 0,
      fullest: Math.max(0, ...shares),
      spread: shares.reduce((total, share) => total + share * share, 0),
      reclaimed: sum.reclaimed,
      missed: sum.missed,
    };
  }

  private take(draws: Draws, state: State, sum: Sum): void {
    for (const draw of draws) {
      const left = this.fill(draw, state, sum);
      if (left <= 0) continue;
      if (draw.cache) continue;
      const swapped = Math.min(left, state.swap);
      state.swap -= swapped;
      sum.swap += swapped;
      if (swapped < left) {
        sum.kills += 1;
        return;
      }
    }
  }

  /** @returns pages that found no place */
  private fill(draw: Draw, state: State, sum: Sum): number {
    let left = draw.pages;
    const put = (node: number, from: number[], most: number): void => {
      const pages = Math.max(0, Math.min(left, most));
      if (pages === 0) return;
      from[node] = (from[node] ?? 0) - pages;
      left -= pages;
      if (draw.cache) {
        state.cache[node] = (state.cache[node] ?? 0) + pages;
        return;
      }
      sum.pages += pages;
      if (from === state.cache) sum.reclaimed += pages;
      sum.cost += pages * (draw.cost[node] ?? 0);
    };
    sum.missed += Math.max(0, left - (state.free[draw.from[0] ?? 0] ?? 0));
    for (const node of draw.from) {
      put(node, state.free, state.free[node] ?? 0);
      if (left > 0 && state.reclaimsLocal && node === draw.local && !draw.cache) {
        put(node, state.cache, (state.cache[node] ?? 0) - (state.unmapped[node] ?? 0));
      }
      if (left === 0) return 0;
    }
    if (draw.cache) return 0;
    // Every node is at its low mark: kswapd works on all of them, and what it frees is taken where it comes.
    const all = draw.from.reduce((pages, node) => pages + (state.cache[node] ?? 0), 0);
    if (all === 0) return left;
    const wanted = Math.min(left, all);
    for (const node of draw.from) put(node, state.cache, ((state.cache[node] ?? 0) / all) * wanted);
    return left < 1 ? 0 : left;
  }

  private positions(nodes: number[]): number[] {
    return nodes.flatMap((node) => this.position.get(node) ?? []);
  }

  private regionDraws(region: RegionSpec, pages: number): Draws {
    if (pages === 0) return [];
    const cpus = this.positions(region.cpuNodes);
    const { host } = this.request;
    const cost = host.nodes.map(({ nodeId }) => {
      const extra = region.cpuNodes.map(
        (cpu) => distanceBetween(host, cpu, nodeId) / distanceBetween(host, cpu, cpu) - 1,
      );
      return extra.reduce((a, b) => a + b, 0) / Math.max(1, extra.length);
    });
    return cpus.flatMap((local) => {
      const orders = this.orders(region, local);
      const share = pages / cpus.length / orders.length;
      return orders.map((from) => ({ pages: share, from, local, cache: false, cost }));
    });
  }

  /** Node orders that a CPU's requests follow, each for the same share of the pages. */
  private orders(
    { policy, cpusetMems }: Pick<RegionSpec, 'policy' | 'cpusetMems'>,
    local: number,
  ): number[][] {
    const limit = cpusetMems ? new Set(this.positions(cpusetMems)) : undefined;
    const named = this.positions(policy.nodes);
    const listOf = (node: number): number[] =>
      (this.zonelists[node] ?? []).filter((i) => !limit || limit.has(i));
    const own = listOf(local);
    switch (policy.mode) {
      case 'bind':
        return [own.filter((node) => named.includes(node))];
      case 'preferred':
        return [listOf(named[0] ?? local)];
      case 'preferred_many':
        return [
          [
            ...own.filter((node) => named.includes(node)),
            ...own.filter((node) => !named.includes(node)),
          ],
        ];
      case 'interleave':
        return named.length > 0 ? named.map(listOf) : [own];
      case 'default':
        return [own];
    }
  }

  private cacheDraws(guest: GuestProcess, pages: number): Draws {
    const readers = this.positions(guestCpuNodes(guest));
    if (pages === 0 || readers.length === 0) return [];
    const how = cachePolicy(guest);
    return readers.flatMap((local) => {
      const orders = this.orders(how, local);
      const share = pages / readers.length / orders.length;
      return orders.map((from) => ({ pages: share, from, local, cache: true, cost: [] }));
    });
  }

  /** The nearest nodes around one that together have room for these pages; all nodes when none do. */
  groupFor(from: number, pages: number, nodes: number[]): number[] {
    const group: number[] = [];
    let room = 0;
    for (const node of nearestFirst(this.request.host, from, nodes)) {
      const i = this.position.get(node) ?? 0;
      group.push(node);
      room += (this.freeAboveLow[i] ?? 0) + (this.cache[i] ?? 0);
      if (room >= pages) break;
    }
    const withCpus = cpuNodes(this.request.host);
    return group.some((node) => withCpus.includes(node)) ? group.sort((a, b) => a - b) : nodes;
  }
}

interface State {
  free: number[];
  cache: number[];
  swap: number;
  reclaimsLocal: boolean;
  unmapped: number[];
}
interface Sum {
  kills: number;
  swap: number;
  cost: number;
  pages: number;
  reclaimed: number;
  missed: number;
}

/** Which of two estimates is better: negative for `a`; a thousandth of a distance or share is no difference. */
export function compareEstimates(a: Estimate, b: Estimate): number {
  const crowded = (a.crowded ?? 0) - (b.crowded ?? 0);
  if (Math.abs(crowded) > 1e-6) return crowded;
  if (a.kills !== b.kills) return a.kills - b.kills;
  if (Math.abs(a.swap - b.swap) > 256) return a.swap - b.swap;
  if (Math.abs(a.remoteCost - b.remoteCost) > 1e-4) return a.remoteCost - b.remoteCost;
  if (Math.abs(a.fullest - b.fullest) > 1e-3) return a.fullest - b.fullest;
  return Math.abs(a.spread - b.spread) > 1e-3 ? a.spread - b.spread : 0;
}

function freePagesAboveLow(node: HostNode): number {
  return node.zones.reduce((sum, zone) => {
    // The reserve that a zone keeps for requests that could also be served by a higher zone.
    const reserve = Math.max(0, zone.protectionPages[2] ?? 0);
    return (
      sum + Math.max(0, zone.freePages - zone.lowPages - (zone.name === 'Normal' ? 0 : reserve))
    );
  }, 0);
}

function pick<T>(record: Record<string, T>, name: string): Record<string, T> {
  const value = Object.hasOwn(record, name) ? record[name] : undefined;
  return value === undefined ? {} : { [name]: value };
}
