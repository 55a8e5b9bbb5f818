/** Which pool of huge pages keeps a guest from starting, and by how much. */
import type { GuestProcess, RegionSpec, Snapshot } from '@zonewise/simulator';
import { formatCount } from './format';
import { nodesText } from './host-nodes';

export interface PoolShortfall {
  sizeKib: number;
  /** Huge pages that are missing. */
  pages: number;
  /** Node, where the pages may come from a single one. */
  node?: number;
  message: string;
}

/** Nodes that a region's huge pages come from; the reservation is within the cpuset, the touch within the policy too. */
function nodesOf({ policy, cpusetMems }: RegionSpec, all: number[]): number[] {
  const bound = policy.mode === 'bind' ? policy.nodes : all;
  return bound.filter((node) => cpusetMems?.includes(node) ?? true);
}

/**
 * @param before the host as the guest's start found it
 * @returns null where the pools had enough for every region
 * @kernel mm/hugetlb.c hugetlb_acct_memory(), alloc_huge_page()
 */
export function poolShortfall(guest: GuestProcess, before: Snapshot): PoolShortfall | null {
  const all = before.nodes.map(({ nodeId }) => nodeId);
  const free = new Map<string, number>(
    before.nodes.flatMap(({ nodeId, hugepages }) =>
      hugepages.map(({ sizeKib, freePages }) => [`${nodeId} ${sizeKib}`, freePages] as const),
    ),
  );
  for (const region of guest.regions) {
    if (region.hugetlb === undefined) continue;
    const { sizeKib } = region.hugetlb;
    const nodes = nodesOf(region, all);
    const wanted = Math.ceil((region.sizePages * 4) / sizeKib);
    const left = nodes.reduce((sum, node) => sum + (free.get(`${node} ${sizeKib}`) ?? 0), 0);
    let missing = wanted;
    for (const node of nodes) {
      const key = `${node} ${sizeKib}`;
      const taken = Math.min(free.get(key) ?? 0, missing);
      free.set(key, (free.get(key) ?? 0) - taken);
      missing -= taken;
    }
    if (missing === 0) continue;
    const [only] = nodes;
    const message =
      `it needs ${formatCount(wanted)} huge pages of ${sizeKib} KiB from ` +
      `${nodes.length === all.length ? 'all nodes' : nodesText(nodes)}, and ${formatCount(left)} are free there.`;
    return {
      ...{ sizeKib, pages: missing, message },
      ...(nodes.length === 1 && only !== undefined ? { node: only } : {}),
    };
  }
  return null;
}
