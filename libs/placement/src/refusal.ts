/** Why a guest has no host: what the host that comes nearest lacks. */
import type { Fleet } from './fleet';
import { MEMORY, VCPUS, type GuestKind } from './guest-kinds';
import type { Refusal, RefusingHosts } from './types';

interface Lack {
  /** Share of the need that is missing, 0 where all is there. */
  share: number;
  dim: number;
  node: number;
  amount: number;
}

/** What the node that comes nearest to taking the cell lacks most of, of the nodes that are not taken. */
function cellLack(
  fleet: Fleet,
  h: number,
  kind: GuestKind,
  cell: number,
  taken: ReadonlySet<number>,
): Lack {
  const { dims, free, nodeStart } = fleet;
  let best: Lack = { share: Infinity, dim: MEMORY, node: -1, amount: 0 };
  for (let node = nodeStart[h] as number; node < (nodeStart[h + 1] as number); node += 1) {
    if (taken.has(node)) continue;
    let worst: Lack = { share: 0, dim: MEMORY, node, amount: 0 };
    for (let d = 0; d < dims; d += 1) {
      const need = kind.need[cell * dims + d] as number;
      const amount = need - (free[node * dims + d] as number);
      if (amount > 0 && amount / need > worst.share) {
        worst = { share: amount / need, dim: d, node, amount };
      }
    }
    if (worst.share < best.share) best = worst;
  }
  return best;
}

/** The first cell that finds no node, the largest first, each taking one. */
function hostLack(fleet: Fleet, h: number, kind: GuestKind): Lack {
  const size = (cell: number): number => kind.need[cell * fleet.dims + MEMORY] as number;
  const cells = Array.from({ length: kind.cells }, (_, c) => c).sort((a, b) => size(b) - size(a));
  const taken = new Set<number>();
  let last: Lack = { share: 0, dim: MEMORY, node: -1, amount: 0 };
  for (const cell of cells) {
    last = cellLack(fleet, h, kind, cell, taken);
    if (last.share > 0) return last;
    taken.add(last.node);
  }
  return last;
}

/**
 * @returns the reason on the allowed host that lacks the smallest share of what the guest needs, of equal ones
 *   the earlier
 */
export function refusalOf(fleet: Fleet, kind: GuestKind): Refusal {
  let best: { h: number; lack: Lack } | null = null;
  let blocked: Refusal = { code: 'excluded', shortfall: 0 };
  for (let h = 0; h < fleet.hosts.length; h += 1) {
    if (!fleet.allows(h, kind)) {
      const why = blockedBy(fleet, h, kind);
      if (why.code !== 'host-group' || blocked.code === 'excluded') blocked = why;
      continue;
    }
    const lack = hostLack(fleet, h, kind);
    if (best === null || lack.share < best.lack.share) best = { h, lack };
  }
  if (best === null)
    return fleet.hosts.length === 0 ? { code: 'nodes', shortfall: kind.cells } : blocked;
  return lackAsRefusal(fleet, best.h, best.lack, kind);
}

/**
 * The reason of every host, those that lack least first and those that may not take it last, in groups of hosts that
 * lack the same.
 * @param groupsMax what is beyond is together by code
 * @param hostsMax ids that are told; all hosts are counted
 */
export function refusalsByHost(
  fleet: Fleet,
  kind: GuestKind,
  groupsMax: number,
  hostsMax: number,
): RefusingHosts[] {
  const found = fleet.hosts.map(({ id }, h) => {
    if (!fleet.allows(h, kind)) {
      return { share: Infinity, refusal: { ...blockedBy(fleet, h, kind), host: id } };
    }
    const lack = hostLack(fleet, h, kind);
    return { share: lack.share, refusal: { ...lackAsRefusal(fleet, h, lack, kind), host: id } };
  });
  found.sort((a, b) => (a.share === b.share ? 0 : a.share - b.share));
  const groups = new Map<string, RefusingHosts>();
  const rest = new Map<string, RefusingHosts>();
  let told = 0;
  for (const { refusal } of found) {
    const { code, host, node, shortfall, sizeKib } = refusal;
    const key = JSON.stringify([code, node, shortfall, sizeKib]);
    let group = groups.get(key);
    if (group === undefined && groups.size < groupsMax) {
      group = { ...refusal, count: 0, hosts: [] };
      groups.set(key, group);
    } else if (group === undefined) {
      group = together(rest, { code, host, shortfall, ...(sizeKib ? { sizeKib } : {}) });
    }
    group.count += 1;
    if (told < hostsMax) group.hosts.push(host);
    told += 1;
  }
  return [...groups.values(), ...rest.values()];
}

/** The group of all hosts with a code that have no group of their own. */
function together(
  rest: Map<string, RefusingHosts>,
  refusal: Refusal & { host: string },
): RefusingHosts {
  const { code, shortfall, sizeKib } = refusal;
  const key = JSON.stringify([code, sizeKib]);
  const known = rest.get(key) ?? { ...refusal, shortfallMost: shortfall, count: 0, hosts: [] };
  known.shortfallMost = Math.max(known.shortfallMost ?? 0, shortfall);
  known.shortfall = Math.min(known.shortfall, shortfall);
  rest.set(key, known);
  return known;
}

function blockedBy(fleet: Fleet, h: number, kind: GuestKind): Refusal {
  if (kind.groups !== null && !kind.groups.has(fleet.groupOf[h] ?? -1)) {
    return { code: 'host-group', shortfall: 0 };
  }
  const host = fleet.hosts[h]?.id;
  const code = kind.notOn?.has(h) === true ? 'excluded' : 'anti-affinity';
  return { code, ...(host === undefined ? {} : { host }), shortfall: 0 };
}

function lackAsRefusal(fleet: Fleet, h: number, lack: Lack, kind: GuestKind): Refusal {
  const host = fleet.hosts[h];
  const id = host === undefined ? {} : { host: host.id };
  const first = fleet.nodeStart[h] as number;
  const count = (fleet.nodeStart[h + 1] as number) - first;
  if (lack.node < 0 || lack.share <= 0) {
    return { code: 'nodes', ...id, shortfall: Math.max(1, kind.cells - count) };
  }
  const node = host?.nodes[lack.node - first]?.nodeId;
  const place = { ...id, ...(node === undefined ? {} : { node }) };
  if (lack.dim === MEMORY) return { code: 'memory', ...place, shortfall: lack.amount };
  if (lack.dim === VCPUS) return { code: 'vcpus', ...place, shortfall: lack.amount };
  const sizeKib = fleet.poolSizes[lack.dim - 2] ?? 0;
  return { code: 'hugepages', ...place, shortfall: lack.amount, sizeKib };
}
