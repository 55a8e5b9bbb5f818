/** Guests by what the packer sees of them: those that are alike to it share a kind. */
import type { GuestShape, HostShape, HugepageShape } from './types';

/** Dimensions of every amount; behind them the pools of huge pages, by size. */
export const MEMORY = 0;
export const VCPUS = 1;
const PAGE_KIB = 4;
const NO_KEYS: readonly number[] = [];

/** Guests that are alike to the packer share a kind: needs, keys, groups and exclusions. */
export interface GuestKind {
  cells: number;
  /** `cells` times `dims` amounts. */
  need: Float64Array;
  /** Sum over the cells. */
  total: Float64Array;
  /** Memory of all cells in base pages, on huge pages or not. */
  memoryPages: number;
  /** Largest cell, by amount. */
  largest: Float64Array;
  /** Whether cell i needs the same as cell i - 1. */
  sameAsBefore: boolean[];
  antiAffinity: readonly number[];
  /** By group number; null: all. */
  groups: ReadonlySet<number> | null;
  /** By host position. */
  notOn: ReadonlySet<number> | null;
  /** In the order of the request. */
  guests: number[];
}

/** Texts by number, in the order in which they were seen. */
export class Numbers {
  private readonly seen = new Map<string, number>();

  of(text: string): number {
    const known = this.seen.get(text);
    if (known !== undefined) return known;
    this.seen.set(text, this.seen.size);
    return this.seen.size - 1;
  }
}

/**
 * @param poolSizes dimension 2 + i is the pool of `poolSizes[i]`
 * @param keys numbers of anti-affinity keys
 * @param groups numbers of host groups
 * @returns the kinds, and the kind of each guest
 */
export function guestKinds(
  guests: readonly GuestShape[],
  hosts: readonly HostShape[],
  poolSizes: readonly number[],
  keys: Numbers,
  groups: Numbers,
): [GuestKind[], Int32Array] {
  const dims = 2 + poolSizes.length;
  const kinds: GuestKind[] = [];
  const byText = new Map<string, number>();
  const hostAt = new Map(hosts.map(({ id }, h) => [id, h]));
  const kindOf = Int32Array.from(guests, (guest, g) => {
    const { cells, antiAffinity = [], hostGroups, notOn = [] } = guest;
    const text = JSON.stringify([
      cells.map(({ memoryPages, vcpus, hugepages }) => [memoryPages, vcpus, hugepages ?? 0]),
      ...[antiAffinity, hostGroups ?? 0, notOn],
    ]);
    const known = byText.get(text);
    if (known !== undefined) {
      kinds[known]?.guests.push(g);
      return known;
    }
    const need = new Float64Array(cells.length * dims);
    const total = new Float64Array(dims);
    const largest = new Float64Array(dims);
    cells.forEach(({ memoryPages, vcpus, hugepages }, c) => {
      need[c * dims + MEMORY] = memoryPages;
      need[c * dims + VCPUS] = vcpus;
      if (hugepages) need[c * dims + 2 + poolSizes.indexOf(hugepages.sizeKib)] = hugepages.pages;
      for (let d = 0; d < dims; d += 1) {
        const amount = need[c * dims + d] ?? 0;
        total[d] = (total[d] ?? 0) + amount;
        largest[d] = Math.max(largest[d] ?? 0, amount);
      }
    });
    const memoryPages = cells.reduce(
      (sum, cell) => sum + cell.memoryPages + hugetlbPages(cell.hugepages),
      0,
    );
    const alike = (c: number): boolean =>
      c > 0 && total.every((_, d) => need[c * dims + d] === need[(c - 1) * dims + d]);
    const banned = notOn.flatMap((id) => hostAt.get(id) ?? []);
    kinds.push({
      cells: cells.length,
      ...{ need, total, memoryPages, largest },
      sameAsBefore: cells.map((_, c) => alike(c)),
      antiAffinity: antiAffinity.length === 0 ? NO_KEYS : antiAffinity.map((key) => keys.of(key)),
      groups: hostGroups === undefined ? null : new Set(hostGroups.map((name) => groups.of(name))),
      notOn: banned.length === 0 ? null : new Set(banned),
      guests: [g],
    });
    byText.set(text, kinds.length - 1);
    return kinds.length - 1;
  });
  return [kinds, kindOf];
}

function hugetlbPages(pool: HugepageShape | undefined): number {
  return pool === undefined ? 0 : (pool.pages * pool.sizeKib) / PAGE_KIB;
}
