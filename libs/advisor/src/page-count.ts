/** Pages counted onto nodes, guest after guest: what an estimate (estimate.ts) is made of. */

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

/**
 * The state of a count. Packings make hundreds of thousands of them: numbers in place, nothing allocated by guest.
 */
export class Count {
  private readonly free: Float64Array;
  private readonly cache: Float64Array;
  private kills = 0;
  private swapped = 0;
  private cost = 0;
  private pages = 0;
  private reclaimed = 0;
  private missed = 0;

  constructor(
    private readonly managed: readonly number[],
    free: ArrayLike<number>,
    cache: ArrayLike<number>,
    private swap: number,
    private readonly reclaimsLocal: boolean,
    /** Per position: pages that zone_reclaim_mode leaves in the page cache (min_unmapped_ratio). */
    private readonly unmapped: readonly number[],
  ) {
    this.free = Float64Array.from(free);
    this.cache = Float64Array.from(cache);
  }

  copy(): Count {
    const { managed, free, cache, swap, reclaimsLocal, unmapped } = this;
    return new Count(managed, free, cache, swap, reclaimsLocal, unmapped).become(this);
  }

  /** Takes over the state of a count of the same host and settings. */
  become(other: Count): this {
    this.free.set(other.free);
    this.cache.set(other.cache);
    this.swap = other.swap;
    this.kills = other.kills;
    this.swapped = other.swapped;
    this.cost = other.cost;
    this.pages = other.pages;
    this.reclaimed = other.reclaimed;
    this.missed = other.missed;
    return this;
  }

  /** A guest's pages; what finds no place is swapped, or kills it. */
  take(draws: Draws): void {
    for (const draw of draws) {
      const left = this.fill(draw);
      if (left <= 0 || draw.cache) continue;
      const swapped = Math.min(left, this.swap);
      this.swap -= swapped;
      this.swapped += swapped;
      if (swapped < left) {
        this.kills += 1;
        return;
      }
    }
  }

  estimate(): Estimate {
    let fullest = 0;
    let spread = 0;
    this.managed.forEach((pages, i) => {
      const share = pages > 0 ? 1 - ((this.free[i] ?? 0) + (this.cache[i] ?? 0)) / pages : 0;
      fullest = Math.max(fullest, share);
      spread += share * share;
    });
    const remoteCost = this.pages > 0 ? this.cost / this.pages : 0;
    const { kills, swapped: swap, reclaimed, missed } = this;
    return { kills, swap, remoteCost, fullest, spread, reclaimed, missed };
  }

  /** @returns pages that found no place */
  private fill(draw: Draw): number {
    const { from, local } = draw;
    let left = draw.pages;
    this.missed += Math.max(0, left - (this.free[from[0] ?? 0] ?? 0));
    for (const node of from) {
      left -= this.put(draw, node, Math.min(left, this.free[node] ?? 0), false);
      if (left > 0 && this.reclaimsLocal && node === local && !draw.cache) {
        const takeable = (this.cache[node] ?? 0) - (this.unmapped[node] ?? 0);
        left -= this.put(draw, node, Math.min(left, takeable), true);
      }
      if (left === 0) return 0;
    }
    if (draw.cache) return 0;
    // Every node is at its low mark: kswapd works on all of them, and what it frees is taken where it comes.
    let all = 0;
    for (const node of from) all += this.cache[node] ?? 0;
    if (all === 0) return left;
    const wanted = Math.min(left, all);
    for (const node of from) {
      const share = ((this.cache[node] ?? 0) / all) * wanted;
      left -= this.put(draw, node, Math.min(left, share), true);
    }
    return left < 1 ? 0 : left;
  }

  /** @returns pages that were put there */
  private put(draw: Draw, node: number, wanted: number, reclaims: boolean): number {
    const pages = Math.max(0, wanted);
    if (!(pages > 0)) return 0;
    const source = reclaims ? this.cache : this.free;
    source[node] = (source[node] ?? 0) - pages;
    if (draw.cache) {
      this.cache[node] = (this.cache[node] ?? 0) + pages;
      return pages;
    }
    this.pages += pages;
    if (reclaims) this.reclaimed += pages;
    this.cost += pages * (draw.cost[node] ?? 0);
    return pages;
  }
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
