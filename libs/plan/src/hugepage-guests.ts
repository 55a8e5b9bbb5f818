/** Guests whose memory comes out of pools of huge pages: whether the pools have it, in the order in which they start. */
import { parseDomain, type DomainView } from '@zonewise/libvirt-xml';
import type { HostModel } from '@zonewise/simulator';
import type { HostPlan } from './plan-document';

const DEFAULT_SIZE_KIB = 2048;

/** Huge pages that a guest takes when it starts. */
export interface HugepageNeed {
  sizeKib: number;
  pages: number;
  /** Nodes that the memory is bound to; null: it may come from any. */
  nodes: number[] | null;
}

/** Free huge pages by `node size`. */
type Pools = Map<string, number>;

/** What each cell of a guest takes out of the pools. */
export function hugepageNeeds({
  memoryBacking,
  cells,
  memoryKib,
  numatune,
}: DomainView): HugepageNeed[] {
  const pages = memoryBacking.hugepages;
  if (pages === null) return [];
  const parts = cells.length > 0 ? cells : [{ id: 0, memoryKib }];
  return parts.flatMap(({ id, memoryKib: kib }): HugepageNeed[] => {
    const page =
      pages.find(({ nodeset }) => nodeset?.includes(id)) ??
      pages.find(({ nodeset }) => nodeset === null) ??
      (pages.length === 0 ? { sizeKib: null } : undefined);
    if (page === undefined) return [];
    const sizeKib = page.sizeKib ?? DEFAULT_SIZE_KIB;
    const own = numatune.memnodes.find(({ cellid }) => cellid === id) ?? numatune.memory;
    const nodes = own?.mode === 'strict' && own.nodeset !== null ? own.nodeset : null;
    return [{ sizeKib, pages: Math.ceil(kib / sizeKib), nodes }];
  });
}

/** Pools as they are when the first guest starts: the host's own, or what the plan's writes obtained. */
function poolsOf(
  model: HostModel,
  obtained: { node: number; sizeKib: number; pages: number }[],
): Pools {
  const pools: Pools = new Map();
  for (const { nodeId, hugepages } of model.nodes) {
    for (const { sizeKib, freePages } of hugepages) pools.set(`${nodeId} ${sizeKib}`, freePages);
  }
  for (const { node, sizeKib, pages } of obtained) {
    const pool = model.nodes
      .find(({ nodeId }) => nodeId === node)
      ?.hugepages.find((each) => each.sizeKib === sizeKib);
    const used = (pool?.totalPages ?? 0) - (pool?.freePages ?? 0);
    pools.set(`${node} ${sizeKib}`, Math.max(0, pages - used));
  }
  return pools;
}

/** Takes what is there; @returns huge pages that are missing */
function take(pools: Pools, { sizeKib, pages, nodes }: HugepageNeed, allNodes: number[]): number {
  let missing = pages;
  for (const node of nodes ?? allNodes) {
    const key = `${node} ${sizeKib}`;
    const free = pools.get(key) ?? 0;
    const taken = Math.min(free, missing);
    pools.set(key, free - taken);
    missing -= taken;
  }
  return missing;
}

/**
 * Planned guests that do not find their huge pages: QEMU maps and touches all of them when it starts, and a
 * bound mapping takes none from other nodes.
 * @kernel mm/hugetlb.c hugetlb_reserve_pages(), dequeue_huge_page_vma()
 * @differs a mapping without a binding takes nodes in their order, not the nearest first
 * @param obtained sizes of the pools that the plan writes, as the replay obtained them
 */
export function hugepageShortfalls(
  { plan }: HostPlan,
  model: HostModel,
  obtained: { node: number; sizeKib: number; pages: number }[],
): { guest: string; message: string }[] {
  const pools = poolsOf(model, obtained);
  const allNodes = model.nodes.map(({ nodeId }) => nodeId);
  const order = plan.demand?.startOrder ?? [];
  const rank = (name: string): number =>
    order.includes(name) ? order.indexOf(name) : order.length;
  const views = plan.domains
    .filter(({ state }) => state !== 'running')
    .flatMap(({ xml }) => {
      const parsed = parseDomain(xml);
      return parsed.ok ? [parsed.value] : [];
    })
    .sort((a, b) => rank(a.name) - rank(b.name));
  return views.flatMap((view) =>
    hugepageNeeds(view).flatMap((need) => {
      const missing = take(pools, need, allNodes);
      if (missing === 0) return [];
      const where = need.nodes === null ? 'all nodes' : `node ${need.nodes.join(',')}`;
      const message =
        `${view.name} does not start: it needs ${need.pages} huge pages of ${need.sizeKib} KiB from ` +
        `${where}, and ${need.pages - missing} are left there.`;
      return [{ guest: view.name, message }];
    }),
  );
}
