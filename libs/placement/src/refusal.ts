/** Why a guest has no host: what the host that comes nearest lacks. */
import type { Fleet } from './fleet';
import { MEMORY, VCPUS, type GuestKind } from './guest-kinds';
import type { Refusal } from './types';

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

/** @returns the reason of every host, those that lack least first and those that may not take it last; at most so many */
export function refusalsByHost(fleet: Fleet, kind: GuestKind, most: number): Refusal[] {
  const found = fleet.hosts.map(({ id }, h) => {
    if (!fleet.allows(h, kind)) {
      return { share: Infinity, refusal: { ...blockedBy(fleet, h, kind), host: id } };
    }
    const lack = hostLack(fleet, h, kind);
    return { share: lack.share, refusal: lackAsRefusal(fleet, h, lack, kind) };
  });
  return found
    .sort((a, b) => (a.share === b.share ? 0 : a.share - b.share))
    .slice(0, most)
    .map(({ refusal }) => refusal);
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
