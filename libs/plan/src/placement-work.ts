/** One placement while it is worked on: packing, replaying what would change, and packing again what that sent back. */
import {
  pack,
  type CellShape,
  type GuestShape,
  type HostShape,
  type RefusedGuest,
} from '@zonewise/placement';
import type { PlanVerdict } from '@zonewise/advisor';
import type { PlacementDocument, ReadGuest, ReadPlacement } from './placement-document';
import { placedOn, PlacementReplays, type HostFailure, type Placed } from './placement-replay';
import { guestShapes, shapeHost, type ShapedHost } from './placement-shape';
import type { Replaying } from './replaying';

const DEFAULT_CPU_RATIO = 4;

/** A host with the guests that it got so far. */
export interface HostState {
  shaped: ShapedHost;
  /** What is left, as the packer is told; replays that fail lower it. */
  left: HostShape['nodes'];
  placed: Placed[];
  verdict: PlanVerdict | null;
}

export class PlacementWork {
  readonly hosts = new Map<string, HostState>();
  readonly failures = new Map<string, HostFailure[]>();
  readonly refusals = new Map<string, RefusedGuest>();
  readonly replays: PlacementReplays;
  private shapes = new Map<string, GuestShape>();
  private pending: ReadGuest[];
  method = '';
  rounds = 0;

  constructor(
    private readonly document: PlacementDocument,
    private readonly read: ReadPlacement,
  ) {
    this.pending = read.guests;
    this.replays = new PlacementReplays(document);
  }

  /** @param roundsMax times that the packer is asked */
  *run(roundsMax: number): Replaying<void> {
    const { hosts, guests, keys } = this.read;
    const models = yield* this.replays.settled(hosts);
    const ratio = this.document.cpuAllocationRatio ?? DEFAULT_CPU_RATIO;
    const shaped = hosts.map((host) => shapeHost(host, ratio, keys, models.get(host.name)));
    for (const each of shaped) {
      const state = { shaped: each, left: each.shape.nodes, placed: [], verdict: null };
      this.hosts.set(each.shape.id, state);
    }
    this.shapes = guestShapes(guests, keys, shaped);
    while (this.pending.length > 0 && this.rounds < roundsMax) {
      this.rounds += 1;
      const changed = this.packPending();
      this.pending = yield* this.verify(changed);
    }
  }

  /** Gives pending guests hosts by adding up; @returns the hosts that got some */
  private packPending(): HostState[] {
    const hosts = [...this.hosts.values()].map(({ shaped, left, placed }): HostShape => {
      const keys = placed.flatMap(({ guest }) => this.read.keys.get(guest.name) ?? []);
      const antiAffinity = [...(shaped.shape.antiAffinity ?? []), ...keys];
      const occupied = shaped.shape.occupied || placed.length > 0;
      return { ...shaped.shape, nodes: left, occupied, antiAffinity };
    });
    const byName = new Map(this.pending.map((guest) => [guest.name, guest]));
    const guests = this.pending.map(({ name }) => {
      const notOn = (this.failures.get(name) ?? []).map(({ host }) => host);
      const shape = this.shapes.get(name)!;
      return notOn.length === 0 ? shape : { ...shape, notOn };
    });
    const { objective = 'density' } = this.document;
    const packing = pack({ hosts, guests, objective });
    if (this.method === '') this.method = packing.method;
    for (const refused of packing.refused) this.refusals.set(refused.guest, refused);
    const changed = new Set<HostState>();
    for (const { guest, host, nodes } of packing.placed) {
      const state = this.hosts.get(host)!;
      state.placed.push(placedOn(byName.get(guest)!, nodes, state.shaped.read));
      this.take(state, guest, nodes, -1);
      changed.add(state);
    }
    return [...changed];
  }

  /**
   * Replays hosts until they hold, sending back one guest of each that does not.
   * @returns guests that were sent back, host by host
   */
  private *verify(changed: HostState[]): Replaying<ReadGuest[]> {
    const back = new Map(changed.map((state) => [state, new Array<ReadGuest>()]));
    let open = changed;
    while (open.length > 0) {
      const asks = open.map((state) => this.replays.ask(state.shaped.read, state.placed));
      yield* this.replays.make(asks);
      open = open.filter((state, i) => {
        const { verdict, failure } = this.replays.check(asks[i]!);
        state.verdict = failure === null ? verdict : null;
        if (failure === null) return false;
        back.get(state)!.push(this.sendBack(state, failure));
        return state.placed.length > 0;
      });
    }
    return [...back.values()].flat();
  }

  private sendBack(state: HostState, failure: HostFailure): ReadGuest {
    const back = state.placed.find(({ guest }) => guest.name === failure.guest)!;
    state.placed = state.placed.filter((each) => each !== back);
    const known = this.failures.get(failure.guest) ?? [];
    this.failures.set(failure.guest, [...known, failure]);
    this.take(state, failure.guest, back.nodes, 1);
    this.lower(state, back, failure);
    return back.guest;
  }

  /** Changes what a host has left by what a guest's cells need. */
  private take(state: HostState, guest: string, nodes: number[], sign: 1 | -1): void {
    const { cells } = this.shapes.get(guest)!;
    state.left = state.left.map((node) => {
      const own = cells.filter((_, c) => nodes[c] === node.nodeId);
      if (own.length === 0) return node;
      const sum = (of: (cell: CellShape) => number): number =>
        own.reduce((all, cell) => all + sign * of(cell), 0);
      return {
        ...node,
        memoryPages: node.memoryPages + sum(({ memoryPages }) => memoryPages),
        vcpus: node.vcpus + sum(({ vcpus }) => vcpus),
        hugepages: node.hugepages.map(({ sizeKib, pages }) => ({
          sizeKib,
          pages:
            pages + sum(({ hugepages }) => (hugepages?.sizeKib === sizeKib ? hugepages.pages : 0)),
        })),
      };
    });
  }

  /** What was too much is not offered again: less than the guest had, by what was missing. */
  private lower(
    state: HostState,
    { guest, nodes }: Placed,
    { shortfallPages = 0, shortfallHugepages = 0, sizeKib }: HostFailure,
  ): void {
    const { cells } = this.shapes.get(guest.name)!;
    const below = (pages: number, missing: number): number =>
      Math.max(0, pages - Math.max(1, Math.ceil(missing)));
    state.left = state.left.map((node) => {
      const cell = cells[nodes.indexOf(node.nodeId)];
      if (cell === undefined) return node;
      if (sizeKib === undefined) {
        const most = below(cell.memoryPages, shortfallPages);
        return { ...node, memoryPages: Math.min(node.memoryPages, most) };
      }
      const most = below(cell.hugepages?.pages ?? 0, shortfallHugepages);
      const hugepages = node.hugepages.map((pool) =>
        pool.sizeKib === sizeKib ? { ...pool, pages: Math.min(pool.pages, most) } : pool,
      );
      return { ...node, hugepages };
    });
  }

  /** Guests that no round has placed, in the order of the request. */
  unplaced(): ReadGuest[] {
    const placed = new Set(
      [...this.hosts.values()].flatMap((state) => state.placed.map(({ guest }) => guest.name)),
    );
    return this.read.guests.filter(({ name }) => !placed.has(name));
  }
}
