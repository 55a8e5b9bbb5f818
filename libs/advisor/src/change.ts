/** Changes of a request: put on top of it, brought into one form, counted, taken apart. */
import type { GuestProcess, HostSysctls } from '@zonewise/simulator';
import { effectiveNumatune, placedGuest } from './compile';
import { resolveDemand } from './demand';
import { nodeUnion, sameNodes } from './host-nodes';
import { DEFAULT_HUGEPAGE_KIB } from './hugepages';
import { ownValue } from './own-value';
import type {
  Change,
  HugepageDemand,
  NumatuneSetting,
  NumatuneValue,
  SimulationRequest,
} from './types';

export const NO_CHANGE: Change = { sysctl: {}, numatune: {} };

/** Parts of a change that have an entry per guest. */
const BY_GUEST = ['numatune', 'pinning', 'backing', 'diskCache'] as const;
type ByGuest = (typeof BY_GUEST)[number];

/** The candidate's settings on top of the request's own. */
export function withChange<T extends SimulationRequest>(request: T, change: Change): T {
  const { hugepages, startOrder, ...settings } = change;
  const merged = { ...request };
  merged.sysctl = { ...request.sysctl, ...settings.sysctl };
  merged.numatune = { ...request.numatune, ...settings.numatune };
  if (settings.pinning) merged.pinning = { ...request.pinning, ...settings.pinning };
  if (settings.backing) merged.backing = { ...request.backing, ...settings.backing };
  if (settings.diskCache) merged.diskCache = { ...request.diskCache, ...settings.diskCache };
  if (settings.thp) merged.thp = { ...request.thp, ...settings.thp };
  if (hugepages === undefined && startOrder === undefined) return merged;
  merged.demand = {
    ...request.demand,
    ...(startOrder && { startOrder }),
    ...(hugepages && { hugepages: mergedPools(request.demand.hugepages ?? [], hugepages) }),
  };
  return merged;
}

/** Writes to pools with those of a change in the place of the demand's own of the same node and size. */
function mergedPools(own: HugepageDemand[], changed: HugepageDemand[]): HugepageDemand[] {
  const key = ({ node, sizeKib }: HugepageDemand): string =>
    `${node} ${sizeKib ?? DEFAULT_HUGEPAGE_KIB}`;
  const keys = new Set(changed.map(key));
  return [...own.filter((pool) => !keys.has(key(pool))), ...changed];
}

/** Number of settings that differ from the request. */
export function changeCount(change: Change): number {
  const guests = BY_GUEST.reduce((sum, part) => sum + Object.keys(change[part] ?? {}).length, 0);
  return (
    Object.keys(change.sysctl).length +
    guests +
    Object.keys(change.thp ?? {}).length +
    (change.hugepages?.length ?? 0) +
    (change.startOrder ? 1 : 0)
  );
}

/**
 * Drops what a change repeats from the request, so that equal configurations have equal changes; guests in
 * the order in which they start, and no empty part but `sysctl` and `numatune`.
 */
export function normalise(request: SimulationRequest, change: Change): Change {
  const current: HostSysctls = { ...request.host.sysctl, ...request.sysctl };
  const sysctl = Object.entries(change.sysctl)
    .filter(([name, value]) => String(current[name as keyof HostSysctls]) !== String(value))
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const order = startOrder(request);
  const rank = new Map(order.map((name, i) => [name, i]));
  const byRank = <T>(record: Record<string, T> | undefined): [string, T][] =>
    Object.entries(record ?? {}).sort(
      ([a], [b]) => (rank.get(a) ?? rank.size) - (rank.get(b) ?? rank.size),
    );
  const part = <K extends ByGuest>(name: K): Change[K] | undefined => {
    const before: Record<string, unknown> = request[name] ?? {};
    const entries = byRank<unknown>(change[name]).filter(
      ([guest, value]) => JSON.stringify(ownValue(before, guest)) !== JSON.stringify(value),
    );
    return entries.length > 0 ? (Object.fromEntries(entries) as Change[K]) : undefined;
  };
  const numatune = byRank(change.numatune).filter(
    ([name, setting]) => !sameSetting(setting, effectiveNumatune(request, name)),
  );
  const pinning = withoutIdlePins(request, Object.fromEntries(numatune), part('pinning'));
  const backing = part('backing');
  const diskCache = part('diskCache');
  const thpBefore = { ...request.host.thp, ...request.thp };
  const thp = Object.entries(change.thp ?? {})
    .filter(([name, value]) => thpBefore[name as 'enabled' | 'defrag'] !== value)
    .sort(([a], [b]) => (a < b ? -1 : 1));
  const pools = (change.hugepages ?? []).filter((pool) => !hasPool(request, pool));
  const reordered =
    change.startOrder !== undefined && change.startOrder.some((name, i) => order[i] !== name);
  return {
    sysctl: Object.fromEntries(sysctl),
    numatune: Object.fromEntries(numatune),
    ...(pinning && { pinning }),
    ...(backing && { backing }),
    ...(diskCache && { diskCache }),
    ...(thp.length > 0 && { thp: Object.fromEntries(thp) }),
    ...(pools.length > 0 && { hugepages: pools }),
    ...(reordered && { startOrder: change.startOrder }),
  };
}

/** Pins that move vCPUs: not those to nodes where the guest's numatune or its document has them anyway. */
function withoutIdlePins(
  request: SimulationRequest,
  numatune: Change['numatune'],
  pinning: Change['pinning'],
): Change['pinning'] {
  const without = { sysctl: {}, numatune };
  const changed = withChange(request, without);
  const kept = Object.entries(pinning ?? {}).filter(([name, pin]) => {
    const unpinned = placedGuest(changed, name);
    const pinned = placedGuest(withChange(request, { ...without, pinning: { [name]: pin } }), name);
    return !sameCpuNodes(unpinned, pinned);
  });
  return kept.length > 0 ? Object.fromEntries(kept) : undefined;
}

function sameCpuNodes(a: GuestProcess, b: GuestProcess): boolean {
  return a.regions.every(({ cpuNodes }, i) => sameNodes(cpuNodes, b.regions[i]?.cpuNodes ?? []));
}

/** Whether the demand writes this very pool, or writes none and the host has it. */
function hasPool({ demand, host }: SimulationRequest, pool: HugepageDemand): boolean {
  const sizeKib = pool.sizeKib ?? DEFAULT_HUGEPAGE_KIB;
  const same = (other: HugepageDemand): boolean =>
    other.node === pool.node && (other.sizeKib ?? DEFAULT_HUGEPAGE_KIB) === sizeKib;
  const written = demand.hugepages?.filter(same).at(-1);
  const now = host.nodes
    .find(({ nodeId }) => nodeId === pool.node)
    ?.hugepages.find((each) => each.sizeKib === sizeKib);
  return (written?.count ?? now?.totalPages ?? 0) === pool.count;
}

/** Requests are never changed, and every configuration of one asks for their order. */
const startOrders = new WeakMap<SimulationRequest, string[]>();

/** Names of the planned guests as they start. */
export function startOrder(request: SimulationRequest): string[] {
  let order = startOrders.get(request);
  if (order === undefined) {
    order = resolveDemand(request).planned.map(({ spec }) => spec.guest.name);
    startOrders.set(request, order);
  }
  return [...order];
}

/** The record without one of its entries. */
export function without<T extends object>(record: T, name: string): T {
  return Object.fromEntries(Object.entries(record).filter(([key]) => key !== name)) as T;
}

export function sameSetting(a: NumatuneValue, b: NumatuneValue): boolean {
  return memnodesKey(a) === memnodesKey(b) && sameOfAll(a, b);
}

/** The same whatever cells have of their own. */
export function sameOfAll(a: NumatuneSetting, b: NumatuneSetting): boolean {
  return a.mode === b.mode && (a.mode === 'none' || sameNodes(a.nodeset, b.nodeset));
}

function memnodesKey({ memnodes }: NumatuneValue): string {
  return (memnodes ?? [])
    .map(({ cellid, mode, nodeset }) => `${cellid} ${mode} ${nodeUnion(nodeset).join(',')}`)
    .sort()
    .join(';');
}

/** The change without one of its settings, for every setting: what each of them is worth. */
export function reductions(change: Change): { dropped: string; change: Change }[] {
  const sysctls = Object.keys(change.sysctl).map((name) => ({
    dropped: `sysctl ${name}`,
    change: { ...change, sysctl: without(change.sysctl, name) },
  }));
  const guests = new Set(BY_GUEST.flatMap((part) => Object.keys(change[part] ?? {})));
  const perGuest = [...guests].map((name) => ({
    dropped: `domain ${name}`,
    change: withoutGuest(change, name),
  }));
  const rest = Object.keys(change.pinning ?? {}).map((name) => ({
    dropped: `pinning ${name}`,
    change: { ...change, pinning: without(change.pinning ?? {}, name) },
  }));
  for (const part of ['thp', 'hugepages', 'startOrder'] as const) {
    if (change[part] !== undefined) {
      rest.push({ dropped: part, change: { pinning: {}, ...without(change, part) } });
    }
  }
  return [...sysctls, ...rest, ...perGuest];
}

/** The change with a guest left as it is. */
export function withoutGuest(change: Change, name: string): Change {
  const copy: Change = { ...change, numatune: without(change.numatune, name) };
  if (change.pinning) copy.pinning = without(change.pinning, name);
  if (change.backing) copy.backing = without(change.backing, name);
  if (change.diskCache) copy.diskCache = without(change.diskCache, name);
  return copy;
}
