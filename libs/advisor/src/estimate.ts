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
import { ownValue } from './own-value';
import { Count, type Draws, type Estimate } from './page-count';
import { cachePolicy, guestCpuNodes } from './placement';
import type { AdviceRequest, Change } from './types';

type Planned = ResolvedDemand['planned'][number];

export class Estimator {
  private readonly position: Map<number, number>;
  private readonly zonelists: number[][];
  private readonly managed: number[];
  private readonly freeAboveLow: number[];
  private readonly cache: number[];
  private readonly draws = new Map<Planned, Map<string, Draws>>();

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

  /** What a planned guest takes under a change; counted once for every setting of it. */
  drawsOf(planned: Planned, change: Change): Draws {
    const { name } = planned.spec.guest;
    const { numatune, pinning, backing, diskCache } = change;
    const key = JSON.stringify(
      [numatune, pinning, backing, diskCache].map((part) => part && pick<unknown>(part, name)),
    );
    const known = this.draws.get(planned) ?? new Map<string, Draws>();
    const draws = known.get(key) ?? this.countDraws(planned, change);
    this.draws.set(planned, known.set(key, draws));
    return draws;
  }

  private countDraws(planned: Planned, change: Change): Draws {
    const { name } = planned.spec.guest;
    const own: Change = {
      sysctl: {},
      numatune: pick(change.numatune, name),
      ...(change.pinning && { pinning: pick(change.pinning, name) }),
      ...(change.backing && { backing: pick(change.backing, name) }),
    };
    const guest = placedGuest(withChange(this.request, own), name);
    const uncached = ownValue(change.diskCache, name) === 'none';
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
    const count = this.count(sysctl);
    for (const draws of guests) count.take(draws);
    return count.estimate();
  }

  /** A count under kernel settings, nobody placed yet. */
  count(sysctl: Partial<HostSysctls>): Count {
    const { host } = this.request;
    const settings = { ...host.sysctl, ...this.request.sysctl, ...sysctl };
    return new Count(
      this.managed,
      this.freeAboveLow,
      this.cache,
      host.swap.freePages,
      (settings.zone_reclaim_mode & 7) !== 0,
      this.managed.map((pages) => (pages * settings.min_unmapped_ratio) / 100),
    );
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
  const value = ownValue(record, name);
  return value === undefined ? {} : { [name]: value };
}
