import type { HostModel, RegionSpec } from '@zonewise/simulator';
import { wantedPages } from '../bounds';
import { managedPages, memoryNodes } from '../host-nodes';
import type { RuleInput } from './rule';

/**
 * Memory of each node as a scheduler's books have it: what the node has without its pools of huge pages, less the
 * sizes of the guests that were put there, whatever they touch and whatever else the node holds.
 */
export class NodeAccounts {
  private readonly booked = new Map<number, number>();
  private readonly poolsTaken = new Map<string, number>();

  constructor(
    private readonly host: HostModel,
    guests: RuleInput['guests'],
  ) {
    for (const spec of guests) {
      if (spec.state !== 'running') continue;
      for (const region of spec.guest.regions) {
        const own = spec.guest.residency.filter(({ cell }) => cell === region.cell);
        const most = [...own].sort((a, b) => b.pages - a.pages || a.nodeId - b.nodeId)[0];
        if (most) this.book(most.nodeId, region);
      }
    }
  }

  get nodes(): number[] {
    return memoryNodes(this.host);
  }

  /** Pages that the node can give to guests at all. */
  capacityPages(nodeId: number): number {
    const node = this.host.nodes.find((each) => each.nodeId === nodeId);
    if (!node) return 0;
    const pools = node.hugepages.reduce(
      (sum, { sizeKib, totalPages }) => sum + (totalPages * sizeKib) / 4,
      0,
    );
    return managedPages(node) - pools;
  }

  bookedPages(nodeId: number): number {
    return this.booked.get(nodeId) ?? 0;
  }

  /** Pages of the node, or of its pool where the region lies on huge pages, that nobody was promised. */
  leftPages(nodeId: number, { hugetlb }: Pick<RegionSpec, 'hugetlb'> = {}): number {
    if (hugetlb === undefined) return this.capacityPages(nodeId) - this.bookedPages(nodeId);
    const pool = this.host.nodes
      .find((each) => each.nodeId === nodeId)
      ?.hugepages.find(({ sizeKib }) => sizeKib === hugetlb.sizeKib);
    const free = ((pool?.freePages ?? 0) * hugetlb.sizeKib) / 4;
    return free - (this.poolsTaken.get(poolKey(nodeId, hugetlb.sizeKib)) ?? 0);
  }

  book(nodeId: number, { hugetlb, sizePages }: Pick<RegionSpec, 'hugetlb' | 'sizePages'>): void {
    if (hugetlb === undefined) {
      this.booked.set(nodeId, this.bookedPages(nodeId) + sizePages);
      return;
    }
    const key = poolKey(nodeId, hugetlb.sizeKib);
    this.poolsTaken.set(key, (this.poolsTaken.get(key) ?? 0) + sizePages);
  }

  bookGuest(nodeId: number, { spec }: RuleInput['planned'][number]): void {
    for (const region of spec.guest.regions) this.book(nodeId, region);
  }

  /** The node with the most memory left, the lowest number of equals. */
  emptiest(candidates = this.nodes): number | undefined {
    return [...candidates].sort((a, b) => this.leftPages(b) - this.leftPages(a) || a - b)[0];
  }
}

function poolKey(nodeId: number, sizeKib: number): string {
  return `${nodeId} ${sizeKib}`;
}

/**
 * Memory of each node as its counters show it while the planned guests start one after the other: free pages and
 * idle page cache, less what the guests that started before have touched.
 */
export class MeasuredMemory {
  private readonly free = new Map<number, number>();

  constructor(host: HostModel) {
    for (const node of host.nodes) {
      const freePages = node.zones.reduce((sum, zone) => sum + zone.freePages, 0);
      this.free.set(node.nodeId, freePages + node.lru.inactiveFilePages);
    }
  }

  pages(nodeId: number): number {
    return this.free.get(nodeId) ?? 0;
  }

  /** A guest that got its memory on these nodes, from the first as far as it goes. */
  take(nodes: number[], guest: RuleInput['planned'][number]): void {
    let left = wantedPages(guest);
    for (const node of nodes) {
      const taken = Math.min(left, this.pages(node));
      this.free.set(node, this.pages(node) - taken);
      left -= taken;
    }
  }
}
