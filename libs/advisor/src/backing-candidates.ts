/**
 * Huge pages as candidates: guests on pools, guests off pools, pools cut or enlarged, transparent huge pages. What
 * counting shows to be of no use is left out, by a bound with a name.
 */
import { PAGES_PER_HUGE } from '@zonewise/simulator';
import type { RegionSpec, ThpDefrag } from '@zonewise/simulator';
import { roomPages, wantedPages } from './bounds';
import { withChange } from './change';
import { placedGuest } from './compile';
import { allowedNodes, mayMove } from './constraints';
import type { ResolvedDemand } from './demand';
import type { Change, Evaluated } from './evaluator';
import { formatCount, formatMib } from './format';
import { cpuNodes, nearestFirst } from './host-nodes';
import type { Judge } from './objective';
import { scoreOf, stallBudgetNs } from './objective';
import { ownValue } from './own-value';
import { guestCpuNodes, isBound, isPinned } from './placement';
import type { PoolNeed } from './pools';
import { basePages, enlarged, isPooled, poolNeeds, reduced } from './pools';
import type { AdviceRequest, BackingValue, HugepageDemand } from './types';

const PAGES_PER_GIB_PAGE = 262144;
const NODES_MAX = 2;
/** The most that guests grow under variations that count as likely (variation.ts). */
const GROWTH_RESERVED_PERCENT = 20;

/** Changes to replay, and what was left out by which bound. */
export interface Proposed {
  changes: Change[];
  /** Only where guests still do not start: with a pool on another node, or off the pool that they were meant for. */
  lastResort?: Change[];
  pruned: { bound: string; count: number; message: string }[];
}

interface Context {
  request: AdviceRequest;
  demand: ResolvedDemand;
  judge: Judge;
}

/** Everything about huge pages that may better a configuration. */
export function hugepageChanges(context: Context, best: Evaluated): Proposed {
  const { request, demand } = context;
  const { outcome } = best.candidate;
  const pools = poolNeeds(withChange(request, best.change));
  const more = enlarged(pools);
  const less = reduced(pools);
  const with_ = (hugepages: HugepageDemand[]): Change => ({
    ...best.change,
    hugepages: merged(best.change.hugepages ?? [], hugepages),
  });
  const changes: Change[] = [];
  if (more.length > 0) {
    changes.push(with_(more), with_(enlarged(pools.map((pool) => withReserve(pool)))));
  }
  if (more.length > 0 && less.length > 0) changes.push(with_([...less, ...more]));
  const wants = needsMemory(context, best);
  if (less.length > 0 && wants) changes.push(with_(less));
  const pruned: Proposed['pruned'] = [];
  if (less.length > 0 && !wants) {
    const message =
      'Pools with idle pages were not made smaller: nobody is killed, nothing is swapped and no memory is remote for want of them.';
    pruned.push({ bound: 'pool-idle-harmless', count: 1, message });
  }
  const failed = demand.planned.filter(
    ({ spec }) =>
      outcome.failedStarts.includes(spec.guest.name) &&
      mayMove(request, spec) &&
      isPooled(placedGuest(request, spec.guest.name)),
  );
  const onto = ontoPools(context, best);
  return {
    changes: [...changes, ...onto.changes],
    ...(failed.length > 0 && {
      lastResort: [
        ...failed.flatMap((planned) => elsewhere(request, best.change, planned)),
        backed(best.change, failed, 'thp'),
        backed(unbound(best.change, failed), failed, 'thp'),
      ],
    }),
    pruned: [...pruned, ...onto.pruned],
  };
}

/** A guest and its pool on the nearest other nodes that have room for it; pinned vCPUs stay where they are, or go along. */
function elsewhere(request: AdviceRequest, change: Change, planned: Planned): Change[] {
  const { host } = request;
  const { name } = planned.spec.guest;
  const guest = placedGuest(withChange(request, change), name);
  const home = guest.regions.flatMap((region) => region.policy.nodes);
  const others = allowedNodes(request).filter(
    (node) => !home.includes(node) && roomPages(host, node) >= wantedPages(planned),
  );
  const from = guestCpuNodes(guest)[0] ?? home[0] ?? 0;
  return nearestFirst(host, from, others)
    .slice(0, NODES_MAX)
    .flatMap((node) => {
      const numatune = { ...change.numatune, [name]: { mode: 'strict' as const, nodeset: [node] } };
      const moved: Change = { ...change, numatune };
      const follows = isPinned(planned.spec, host) && cpuNodes(host).includes(node);
      const pinning = { ...change.pinning, [name]: { nodes: [node] } };
      return [moved, ...(follows ? [{ ...moved, pinning }] : [])];
    })
    .map((moved) => {
      const needs = poolNeeds(withChange(request, moved)).map((pool) => withReserve(pool));
      return { ...moved, hugepages: merged(change.hugepages ?? [], enlarged(needs)) };
    });
}

/** The guests free to fall back to other nodes. */
function unbound(change: Change, guests: Planned[]): Change {
  const settings = guests.flatMap(({ spec }) => {
    const { mode, nodeset } = ownValue(change.numatune, spec.guest.name) ?? spec.numatune;
    return isBound(mode)
      ? [[spec.guest.name, { mode: 'preferred' as const, nodeset }] as const]
      : [];
  });
  return { ...change, numatune: { ...change.numatune, ...Object.fromEntries(settings) } };
}

/** A pool that is too small, with room for guests that grow as much as the likely variations let them. */
function withReserve(pool: PoolNeed): PoolNeed {
  if (pool.short === 0) return pool;
  return { ...pool, short: pool.short + Math.ceil((pool.wanted * GROWTH_RESERVED_PERCENT) / 100) };
}

type Planned = ResolvedDemand['planned'][number];

/**
 * Guests put on pools: memory there is never swapped nor waited for, and is taken from everybody else. It helps where a
 * replay swaps, kills or makes guests wait, and only where the nodes have room for the pools.
 */
function ontoPools(context: Context, best: Evaluated): Proposed {
  const { request, demand } = context;
  const changed = withChange(request, best.change);
  const movable = demand.planned.filter(
    ({ spec }) =>
      mayMove(request, spec) &&
      placedGuest(changed, spec.guest.name).regions.every(
        ({ hugetlb, sizePages }) => !hugetlb && sizePages % PAGES_PER_HUGE === 0,
      ),
  );
  if (movable.length === 0) return { changes: [], pruned: [] };
  const troubled = movable.filter(({ spec }) => isTroubled(best, spec.guest.name));
  const some = troubled.length > 0 && troubled.length < movable.length;
  const sets: { guests: Planned[]; size: 2048 | 1048576 }[] = [
    { guests: movable, size: 2048 },
    ...(some ? [{ guests: troubled, size: 2048 as const }] : []),
    // A miniature has no pages of 1 GiB.
    ...(best.candidate.scale === undefined && movable.every(hasWholeGib)
      ? [{ guests: movable, size: 1048576 as const }]
      : []),
  ];
  if (!suffersFromReclaim(context, best)) {
    const message =
      'Under a configuration that kills nobody, swaps nothing and lets no guest wait beyond the budget, guests were not put on pools of huge pages as well: that is all that pools spare.';
    return { changes: [], pruned: [{ bound: 'pool-spares-nothing', count: sets.length, message }] };
  }
  const proposed: Proposed = { changes: [], pruned: [] };
  for (const { guests, size } of sets) {
    const change = backed(best.change, guests, size);
    const wanted = poolNeeds(withChange(request, change));
    const pools = enlarged(wanted);
    const tight = pools.find((pool) => shortOf(request, pool) > 0);
    if (tight) {
      const message =
        `Pools of huge pages that no node can give were not replayed; the first: ${formatCount(tight.count)} pages of ` +
        `${tight.sizeKib} KiB on node ${tight.node}, ${formatMib(shortOf(request, tight))} beyond its free memory, page cache and reclaimable slab.`;
      const known = proposed.pruned.find(({ bound }) => bound === 'pool-room');
      if (known) known.count += 1;
      else proposed.pruned.push({ bound: 'pool-room', count: 1, message });
      continue;
    }
    const reserved = enlarged(wanted.map((pool) => withReserve(pool)));
    const sizes = reserved.some((pool) => shortOf(request, pool) > 0) ? [pools] : [reserved, pools];
    for (const some of sizes) {
      proposed.changes.push({ ...change, hugepages: merged(change.hugepages ?? [], some) });
    }
  }
  return proposed;
}

/** Pages that a node has not got for a pool of this size. */
function shortOf({ host }: AdviceRequest, { node, count, sizeKib = 2048 }: HugepageDemand): number {
  const found = host.nodes.find(({ nodeId }) => nodeId === node)?.hugepages;
  const have = found?.find((pool) => pool.sizeKib === sizeKib)?.totalPages ?? 0;
  return (count - have) * basePages(sizeKib) - roomPages(host, node);
}

function backed(change: Change, guests: Planned[], value: BackingValue): Change {
  const backing = Object.fromEntries(guests.map(({ spec }) => [spec.guest.name, value]));
  return { ...change, backing: { ...change.backing, ...backing } };
}

function merged(own: HugepageDemand[], changed: HugepageDemand[]): HugepageDemand[] {
  const replaced = (pool: HugepageDemand): boolean =>
    changed.some((other) => other.node === pool.node && other.sizeKib === pool.sizeKib);
  return [...own.filter((pool) => !replaced(pool)), ...changed];
}

const hasWholeGib = ({ spec }: Planned): boolean =>
  spec.guest.regions.every(({ sizePages }) => sizePages % PAGES_PER_GIB_PAGE === 0);

function isTroubled({ candidate }: Evaluated, name: string): boolean {
  const guest = candidate.outcome.guests.find((one) => one.name === name);
  if (!guest) return false;
  return guest.oomKilled || guest.swapPages > 0 || guest.stallNs > stallBudgetNs(guest.memoryPages);
}

/** Whether a figure is bad that reclaim of guest memory makes bad, and that comes before remote memory. */
function suffersFromReclaim({ judge }: Context, { candidate }: Evaluated): boolean {
  const score = scoreOf(candidate.outcome);
  const first = judge.order.slice(0, judge.order.indexOf('remote'));
  return first.some(
    (objective) => objective !== 'room' && score[objective] > judge.tolerance[objective],
  );
}

function needsMemory(context: Context, best: Evaluated): boolean {
  const { tolerance } = context.judge;
  const { remote, headroom, kills } = scoreOf(best.candidate.outcome);
  const short = remote > tolerance.remote || headroom > tolerance.headroom || kills > 0;
  return short || suffersFromReclaim(context, best);
}

/**
 * Files of transparent huge pages under which faults reclaim and compact less by themselves, as far as guests have such pages
 * at all; those that leave most of them first. Such a fault is also the only one that takes a huge page of another node
 * rather than base pages of its own.
 * @kernel mm/huge_memory.c vma_thp_gfp_mask(); mm/mempolicy.c vma_alloc_folio()
 */
export function thpChanges(
  request: AdviceRequest,
  demand: ResolvedDemand,
  change: Change,
): Change[] {
  const { enabled, defrag } = { ...request.host.thp, ...request.thp, ...change.thp };
  if (enabled === 'never') return [];
  const changed = withChange(request, change);
  const regions = demand.planned.flatMap(
    ({ spec }) => placedGuest(changed, spec.guest.name).regions,
  );
  const advised = regions.some((region) => !region.hugetlb && region.thp === 'huge');
  const others = enabled === 'always' && regions.some((region) => isUnadvised(region));
  const waits = [...(advised ? ['huge' as const] : []), ...(others ? ['none' as const] : [])];
  if (!waits.some((kind) => isDirect(defrag, kind))) return [];
  const calmer = (['defer+madvise', 'madvise', 'defer', 'never'] as const).filter(
    (value) =>
      value !== defrag &&
      waits.every((kind) => !isDirect(value, kind) || isDirect(defrag, kind)) &&
      waits.some((kind) => !isDirect(value, kind) && isDirect(defrag, kind)),
  );
  return [
    ...calmer.map((value) => ({ ...change, thp: { ...change.thp, defrag: value } })),
    { ...change, thp: { ...change.thp, enabled: 'never' as const } },
  ];
}

const isUnadvised = ({ hugetlb, thp }: RegionSpec): boolean => !hugetlb && thp === 'none';

/** Whether a fault of a region with this advice reclaims and compacts by itself for a huge page. */
function isDirect(defrag: ThpDefrag, advice: 'huge' | 'none'): boolean {
  if (defrag === 'always') return true;
  return advice === 'huge' && (defrag === 'madvise' || defrag === 'defer+madvise');
}
