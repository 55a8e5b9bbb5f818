/**
 * Makes a packing better by moving single guests, within a bound of fits that are tried: guests without a host
 * get one where another can leave, and the least used hosts are emptied.
 */
import type { Fleet } from './fleet';
import { VCPUS, type GuestKind } from './guest-kinds';
import { byScarcity, scarcity } from './greedy';
import { ByFreeMemory } from './host-index';

/** Hosts that fail to be emptied one after the other before the search gives up. */
const FAILURES_MAX = 24;
/** Hosts that are asked to let a guest go for one that has no host. */
const HOSTS_ASKED = 48;

interface Move {
  guest: number;
  from: number;
  nodes: Int32Array;
}

/** Moves of one attempt, so that it can be taken back. */
class Attempt {
  private readonly moves: Move[] = [];

  constructor(
    private readonly fleet: Fleet,
    private readonly index: ByFreeMemory,
    private readonly budget: { left: number },
  ) {}

  lift(guest: number): void {
    const { fleet, index } = this;
    const from = fleet.hostOf[guest] as number;
    const start = fleet.cellStart[guest] as number;
    this.moves.push({ guest, from, nodes: fleet.nodeOf.slice(start, fleet.cellStart[guest + 1]) });
    fleet.remove(guest);
    index.update(from);
  }

  /** Says that a guest without a host is about to get one. */
  begin(guest: number): void {
    this.moves.push({ guest, from: -1, nodes: new Int32Array(0) });
  }

  put(guest: number, h: number, nodes: Int32Array): void {
    this.fleet.place(guest, h, nodes);
    this.index.update(h);
  }

  /** Puts the guest where it leaves least, on a host that may be used. */
  putSomewhere(guest: number, usable: (h: number) => boolean): boolean {
    const found = this.index.find(this.fleet.kind(guest), 'tight', 'tight', (h) => {
      this.budget.left -= 1;
      return this.budget.left > 0 && usable(h);
    });
    if (found === null) return false;
    this.put(guest, found.host, found.nodes);
    return true;
  }

  undo(): void {
    const { fleet, index } = this;
    for (const { guest } of this.moves) {
      const now = fleet.hostOf[guest] as number;
      if (now < 0) continue;
      fleet.remove(guest);
      index.update(now);
    }
    // A guest that was moved twice was first where its first move says.
    for (const { guest, from, nodes } of this.moves) {
      if (from < 0 || (fleet.hostOf[guest] as number) >= 0) continue;
      fleet.place(guest, from, nodes);
      index.update(from);
    }
  }
}

/**
 * Empties hosts, those with the least on them first, as long as their guests find room on others in use:
 * directly, or where one smaller guest moves on.
 * @returns hosts that were emptied
 */
export function emptyHosts(fleet: Fleet, workMax: number): number {
  const index = new ByFreeMemory(fleet);
  const budget = { left: workMax };
  const weights = scarcity(fleet);
  const sizeOf = (g: number): number => weigh(fleet.kind(g), weights);
  const load = (h: number): number =>
    (fleet.guestsOn[h] as number[]).reduce((sum, g) => sum + sizeOf(g), 0);
  const candidates = fleet.hosts
    .map(({ occupied }, h) => ({ h, occupied, load: load(h) }))
    .filter(({ h, occupied }) => !occupied && (fleet.guestsOn[h] as number[]).length > 0)
    .sort((a, b) => a.load - b.load || a.h - b.h);
  let emptied = 0;
  let failures = 0;
  for (const { h } of candidates) {
    if (budget.left <= 0 || failures >= FAILURES_MAX) break;
    const inUse = (other: number): boolean =>
      other !== h &&
      (fleet.hosts[other]?.occupied === true || (fleet.guestsOn[other] as number[]).length > 0);
    const attempt = new Attempt(fleet, index, budget);
    const guests = [...(fleet.guestsOn[h] as number[])].sort(
      (a, b) => sizeOf(b) - sizeOf(a) || a - b,
    );
    for (const guest of guests) attempt.lift(guest);
    const moved = guests.every(
      (guest) =>
        attempt.putSomewhere(guest, inUse) ||
        exchange(fleet, attempt, guest, inUse, sizeOf, budget),
    );
    if (moved) {
      emptied += 1;
      failures = 0;
    } else {
      attempt.undo();
      failures += 1;
    }
  }
  return emptied;
}

function weigh({ total }: GuestKind, weights: Float64Array): number {
  return total.reduce((sum, amount, d) => sum + amount * (weights[d] as number), 0);
}

/** Places a guest on a host that a smaller one leaves for another host. */
function exchange(
  fleet: Fleet,
  attempt: Attempt,
  guest: number,
  usable: (h: number) => boolean,
  sizeOf: (g: number) => number,
  budget: { left: number },
): boolean {
  const kind = fleet.kind(guest);
  const size = sizeOf(guest);
  let asked = 0;
  // Hosts that nearly take it: by the vCPUs and memory that they have as a whole.
  for (let h = 0; h < fleet.hosts.length && asked < HOSTS_ASKED && budget.left > 0; h += 1) {
    if (!usable(h) || !fleet.allows(h, kind) || !nearly(fleet, h, kind)) continue;
    asked += 1;
    const tried = new Set<number>();
    for (const other of [...(fleet.guestsOn[h] as number[])].sort(
      (a, b) => sizeOf(a) - sizeOf(b) || a - b,
    )) {
      const otherKind = fleet.kindOf[other] as number;
      if (sizeOf(other) >= size || tried.has(otherKind)) continue;
      tried.add(otherKind);
      budget.left -= 1;
      attempt.lift(other);
      const nodes = fleet.fit(h, kind, 'tight');
      if (nodes !== null) {
        attempt.put(guest, h, nodes.slice(0, kind.cells));
        if (attempt.putSomewhere(other, (to) => to !== h && usable(to))) return true;
        fleet.remove(guest);
      }
      back(fleet, attempt, other, h);
    }
  }
  return false;
}

/** A guest back to the host that it has just left; it fits, for nothing else came. */
function back(fleet: Fleet, attempt: Attempt, guest: number, h: number): void {
  const kind = fleet.kind(guest);
  const nodes = fleet.fit(h, kind, 'tight');
  if (nodes !== null) attempt.put(guest, h, nodes.slice(0, kind.cells));
}

/** Whether a host lacks at most what one guest of half the size would leave. */
function nearly(fleet: Fleet, h: number, kind: GuestKind): boolean {
  const { nodeStart, dims, free } = fleet;
  let vcpus = 0;
  for (let node = nodeStart[h] as number; node < (nodeStart[h + 1] as number); node += 1) {
    vcpus += free[node * dims + VCPUS] as number;
  }
  return (
    2 * vcpus >= (kind.total[VCPUS] as number) &&
    2 * fleet.freeMemory(h) >= (kind.total[0] as number)
  );
}

/**
 * Gives guests without a host one, where another guest can leave for it.
 * @returns guests that were placed
 */
export function placeRefused(fleet: Fleet, workMax: number): number {
  const index = new ByFreeMemory(fleet);
  const budget = { left: workMax };
  const weights = scarcity(fleet);
  const sizeOf = (g: number): number => weigh(fleet.kind(g), weights);
  let placed = 0;
  for (const guest of byScarcity(fleet)) {
    if (budget.left <= 0) break;
    if ((fleet.hostOf[guest] as number) >= 0) continue;
    const attempt = new Attempt(fleet, index, budget);
    attempt.begin(guest);
    const anywhere = (): boolean => true;
    if (
      attempt.putSomewhere(guest, anywhere) ||
      exchange(fleet, attempt, guest, anywhere, sizeOf, budget)
    ) {
      placed += 1;
    } else attempt.undo();
  }
  return placed;
}
