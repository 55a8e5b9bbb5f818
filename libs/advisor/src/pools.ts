/** Pools of huge pages against the guests that live on them: what each node's pool is short of, and what nobody needs. */
import { PAGE_KIB } from '@zonewise/simulator';
import type { GuestProcess, HostModel, RegionSpec } from '@zonewise/simulator';
import { placedGuest } from './compile';
import type { Trace } from './evidence/trace';
import { formatCount, formatMib } from './format';
import { memoryNodes, nearestFirst } from './host-nodes';
import { DEFAULT_HUGEPAGE_KIB } from './hugepages';
import type { Note } from './placement';
import type { HugepageDemand, Outcome, SimulationRequest } from './types';

/** One node's pool of one size, counted in huge pages. */
export interface PoolNeed {
  node: number;
  sizeKib: 2048 | 1048576;
  /** What the pool has when the guests start: the host's own, or what the demand writes. */
  total: number;
  /** Promised to guests that are planned, or run and have not touched all of theirs yet. */
  wanted: number;
  /** Huge pages that are missing for the guests that want theirs here. */
  short: number;
  /** Huge pages that neither a running nor a planned guest takes. */
  idle: number;
}

/** What a write to a node's pool asked for and what the file said afterwards, in huge pages. */
export type ObtainedPool = Trace['pools'][number];

/** Base pages of a huge page. */
export const basePages = (sizeKib: number): number => sizeKib / PAGE_KIB;

/** Nodes from which a region's memory may come, in the order in which they are asked. */
export function poolNodes(host: HostModel, { policy, cpuNodes, cpusetMems }: RegionSpec): number[] {
  const allowed = memoryNodes(host).filter((node) => cpusetMems?.includes(node) ?? true);
  const from = policy.nodes[0] ?? cpuNodes[0] ?? allowed[0] ?? 0;
  const near = nearestFirst(host, from, allowed);
  const named = near.filter((node) => policy.nodes.includes(node));
  if (policy.mode === 'bind') return named;
  const own = named.length > 0 ? named : near.filter((node) => cpuNodes.includes(node));
  return [...own, ...near.filter((node) => !own.includes(node))];
}

/**
 * The pools of a request, by counting: each region takes from the nodes of its policy in turn what is free there. What
 * nobody has left is missing on the first of them.
 * @param obtained what writes to the pools left in a replay; without it they leave what the demand asks for
 */
export function poolNeeds(request: SimulationRequest, obtained: ObtainedPool[] = []): PoolNeed[] {
  const pools = new Map<string, PoolNeed & { free: number }>();
  const at = (node: number, sizeKib: 2048 | 1048576): PoolNeed & { free: number } => {
    const key = `${node} ${sizeKib}`;
    const known = pools.get(key) ?? { node, sizeKib, ...poolNow(request, node, sizeKib, obtained) };
    pools.set(key, known);
    return known;
  };
  for (const { nodeId, hugepages } of request.host.nodes) {
    for (const { sizeKib } of hugepages) if (isSize(sizeKib)) at(nodeId, sizeKib);
  }
  for (const { node, sizeKib = DEFAULT_HUGEPAGE_KIB } of request.demand.hugepages ?? []) {
    at(node, sizeKib);
  }
  for (const spec of request.guests) {
    const guest = placedGuest(request, spec.guest.name);
    for (const region of guest.regions) {
      if (!region.hugetlb || !isSize(region.hugetlb.sizeKib)) continue;
      const { sizeKib } = region.hugetlb;
      const touched = spec.state === 'running' ? residentPages(spec.guest, region.cell) : 0;
      let left = Math.ceil((region.sizePages - touched) / basePages(sizeKib));
      const nodes = poolNodes(request.host, region);
      for (const node of nodes) {
        const pool = at(node, sizeKib);
        const taken = Math.max(0, Math.min(left, pool.free));
        pool.free -= taken;
        pool.wanted += taken;
        left -= taken;
      }
      if (left <= 0 || nodes[0] === undefined) continue;
      const first = at(nodes[0], sizeKib);
      first.short += left;
      first.wanted += left;
    }
  }
  return [...pools.values()]
    .map(({ free, ...pool }) => ({ ...pool, idle: free }))
    .sort((a, b) => a.node - b.node || a.sizeKib - b.sizeKib);
}

function residentPages(
  { residency }: { residency: { cell: number; pages: number }[] },
  cell: number,
): number {
  return residency.reduce((sum, entry) => sum + (entry.cell === cell ? entry.pages : 0), 0);
}

const isSize = (sizeKib: number): sizeKib is 2048 | 1048576 =>
  sizeKib === 2048 || sizeKib === 1048576;

function poolNow(
  { host, demand }: SimulationRequest,
  nodeId: number,
  sizeKib: number,
  obtained: ObtainedPool[],
): { total: number; free: number; wanted: number; short: number; idle: number } {
  const found = host.nodes
    .find((node) => node.nodeId === nodeId)
    ?.hugepages.find((pool) => pool.sizeKib === sizeKib);
  const asked = (demand.hugepages ?? []).findLast(
    (pool) => pool.node === nodeId && (pool.sizeKib ?? DEFAULT_HUGEPAGE_KIB) === sizeKib,
  );
  const used = (found?.totalPages ?? 0) - (found?.freePages ?? 0);
  const replayed = obtained.findLast((pool) => pool.nodeId === nodeId && pool.sizeKib === sizeKib);
  const written = replayed?.obtained ?? asked?.count;
  const total = Math.max(used, written ?? found?.totalPages ?? 0);
  return { total, free: total - used, wanted: 0, short: 0, idle: 0 };
}

/** Pools that are too small brought to what the guests need. */
export function enlarged(pools: PoolNeed[]): HugepageDemand[] {
  return pools
    .filter(({ short }) => short > 0)
    .map(({ node, sizeKib, total, short }) => ({ node, sizeKib, count: total + short }));
}

/** Pools with pages that no guest needs, without them. */
export function reduced(pools: PoolNeed[]): HugepageDemand[] {
  return pools
    .filter(({ idle }) => idle > 0)
    .map(({ node, sizeKib, total, idle }) => ({ node, sizeKib, count: total - idle }));
}

/** That a write to a pool obtained less than it asked for; undefined where it did not. */
export function notObtainedText(pool: ObtainedPool): string | undefined {
  const { nodeId, sizeKib, asked, obtained } = pool;
  if (obtained >= asked) return undefined;
  const why =
    sizeKib === DEFAULT_HUGEPAGE_KIB
      ? 'it has no more free blocks of that size, and neither reclaim nor compaction makes one'
      : 'it has no other range of that size that can be emptied';
  return (
    `Node ${nodeId} is to have ${formatCount(asked)} huge pages of ${sizeKib} KiB and gets ` +
    `${formatCount(obtained)} in the replay: ${why}.`
  );
}

/** What the replay of a configuration shows of pools that were not obtained in full. */
export interface NotObtained {
  /** One per pool. */
  sentences: string[];
  /** Guests on huge pages that have memory away from their vCPUs, and would have more of it where they want it. */
  guests: string[];
}

/**
 * @param request with the configuration's change
 * @param obtained what the writes to the pools left in its replay
 */
export function notObtained(
  request: SimulationRequest,
  { guests }: Outcome,
  obtained: ObtainedPool[],
): NotObtained {
  const sentences = obtained.flatMap((pool) => notObtainedText(pool) ?? []);
  if (sentences.length === 0) return { sentences, guests: [] };
  const asked = poolNeeds(request);
  const missed = poolNeeds(request, obtained).filter((pool, i) => taken(pool) < taken(asked[i]));
  const wants = ({ hugetlb, ...region }: RegionSpec): boolean =>
    missed.some(
      ({ node, sizeKib }) =>
        hugetlb?.sizeKib === sizeKib && poolNodes(request.host, region)[0] === node,
    );
  const away = guests.filter(
    ({ name, remoteShare }) => remoteShare > 0 && placedGuest(request, name).regions.some(wants),
  );
  return { sentences, guests: away.map(({ name }) => name) };
}

/** Huge pages that guests get from a pool, by counting. */
const taken = (pool: PoolNeed | undefined): number => (pool ? pool.wanted - pool.short : 0);

/**
 * What counting the pools against the guests tells, also where nothing is changed for it.
 * @param obtained what the writes to the pools left in the replay of the request
 */
export function poolNotes(request: SimulationRequest, obtained: ObtainedPool[] = []): Note[] {
  const notes = obtained.flatMap((pool): Note[] => {
    const message = notObtainedText(pool);
    return message === undefined ? [] : [{ code: 'hugepage-pool-not-obtained', message }];
  });
  const counted = poolNeeds(request, obtained).flatMap((pool): Note[] => {
    const { node, sizeKib, total, short, idle } = pool;
    const name = `The pool of ${sizeKib} KiB pages of node ${node} (${formatCount(total)} pages)`;
    if (short > 0) {
      const message = `${name} is ${formatCount(short)} pages short of what its guests want: a guest that finds none does not start, or gets SIGBUS.`;
      return [{ code: 'hugepage-pool-short', message }];
    }
    if (idle === 0) return [];
    const message =
      `${name} has ${formatCount(idle)} idle pages (${formatMib(idle * basePages(sizeKib))}) that no guest of this request takes: ` +
      'neither page cache nor other guests can have them.';
    return [{ code: 'hugepage-pool-idle', message }];
  });
  return [...notes, ...counted];
}

/** Whether any of a guest's memory comes out of a pool. */
export const isPooled = ({ regions }: GuestProcess): boolean =>
  regions.some(({ hugetlb }) => hugetlb !== undefined);
