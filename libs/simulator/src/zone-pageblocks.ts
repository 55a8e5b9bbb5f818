import { MAX_BLOCK_PAGES, MIGRATE_MOVABLE, NR_MIGRATE_TYPES } from './buddy';
import { HUGE_ORDER, PAGES_PER_HUGE } from './constants';
import {
  at,
  LENDERS,
  MAX_PAGE_ORDER,
  pageblocksFor,
  row,
  sum,
  type Edge,
  type Geometry,
} from './zone-room';

/** Kernel-held types first: their pageblocks lie at the start of the zone, where boot left the kernel. */
export const TYPES_BY_ADDRESS = [0, 2, 3, 1];

/** What each pageblock of a zone is for; blocks of order >= 9 stand on their lists, smaller ones have regions to go to. */
export interface PageblockPlan {
  /** Migrate type by pageblock, from the layout's base to the end of the part that is laid out. */
  types: Uint8Array;
  /** Frames of free blocks by order * 4 + type. */
  lists: number[][];
  /** open[type][order]: frames of regions of 2^order pages that may hold free blocks of smaller orders only. */
  open: number[][][];
  /** lone[type][order]: frames of regions whose buddy is outside, so that they may be a free block of their own order. */
  lone: number[][][];
  /** Frames of whole pageblocks without free pages; LRU pages take them from the end. */
  area: number[];
  /** The same above all free blocks, for locked pages; they take them from the end as well. */
  top: number[];
  /** So many of them, the first ones, stand for pages that the allocator was never given. */
  reserved: number;
  /** Those of these that make up the kernel's image, from its first frame on. */
  image: { frame: number; pageblocks: number };
  /** First frame of those at the end of what is laid out. */
  reservedFrom: number;
}

/** A zone as boot leaves it. */
export interface BootOrder {
  /** LRU base pages that are locked. */
  lockedPages: number;
}

/** What shall lie above all free blocks, and other pages on LRU and per-CPU lists, which need room below them. */
export interface AboveFree {
  lockedPages: number;
  otherPages: number;
}

/** Frames by role, all of whole pageblocks. */
interface Roles {
  /** Free blocks of order 10. */
  biggest: number[];
  /** Free blocks of order 9. */
  huge: number[];
  /** As boot leaves a zone, for small free blocks of Movable: beside its free blocks of order 9, then below these. */
  movable: number[];
  /** The rest: first those beside a free block of order 9, then those alone at an end of the zone, then the others ascending. */
  notFree: number[];
  /** At the end of the zone, for locked pages. */
  top: number[];
}

const pageblockOf = (frame: number): number => Math.floor(frame / PAGES_PER_HUGE);

/**
 * Gives every pageblock a type and a role. Slots of two pageblocks ascend from those without free blocks of order >= 9 to those
 * with one of order 9 and one of order 10. Small free blocks get the pageblocks beside free blocks of order 9 first: kernel pages
 * between them keep both from merging.
 *
 * @param free free blocks as counts[order][type] that `usable` has room for
 * @param counted pageblocks by type; undefined: what holds no other type's free block is Movable
 * @param boot where the zone shall look as boot leaves it; see layOutZone()
 */
export function planPageblocks(
  free: readonly number[][],
  usable: Geometry,
  counted: readonly number[] | undefined,
  boot: AboveFree | undefined,
  notes: string[],
): PageblockPlan {
  const plan = emptyPlan(usable);
  const biggest = row(free, MAX_PAGE_ORDER);
  const huge = row(free, HUGE_ORDER);
  const whole = biggest.map((blocks, type) => 2 * blocks + at(huge, type));
  const mixed = whole.map((_, type) => pageblocksFor(free, type));
  const supply = supplyOf(
    counted,
    Math.ceil(usable.end / PAGES_PER_HUGE) - pageblockOf(usable.start),
    whole.map((need, type) => need + at(mixed, type)),
    notes,
  );
  const unclaimed = claimCutPageblocks(free, usable, whole, mixed, supply, plan);
  const roles = rolesOf(free, usable, mixed, boot);
  // If each type by itself needs more pageblocks than there are, small blocks of different types share some.
  const room = roles.movable.length + roles.notFree.length;
  for (let over = sum(mixed) - room; over > 0; over--) {
    const most = mixed.indexOf(Math.max(...mixed));
    mixed[most] = at(mixed, most) - 1;
  }
  const stock = new TypeStock(
    supply,
    whole.map((need, type) => need + at(mixed, type)),
    counted !== undefined,
  );
  const label = (frame: number, type: number): number => (plan.types[pageblockOf(frame)] = type);

  let nextBiggest = 0;
  let nextHuge = 0;
  let nextMixed = 0;
  let nextMovable = 0;
  const mixedFrame = (type: number): number => {
    const own = type === MIGRATE_MOVABLE || nextMixed === roles.notFree.length;
    return own && nextMovable < roles.movable.length
      ? at(roles.movable, nextMovable++)
      : at(roles.notFree, nextMixed++);
  };
  for (const type of TYPES_BY_ADDRESS) {
    for (let block = at(biggest, type); block > 0; block--) {
      const frame = at(roles.biggest, nextBiggest++);
      plan.lists[MAX_PAGE_ORDER * NR_MIGRATE_TYPES + type]?.push(frame);
      label(frame, stock.drawFor(type));
      label(frame + PAGES_PER_HUGE, stock.drawFor(type));
    }
    for (let block = at(huge, type); block > 0; block--) {
      const frame = at(roles.huge, nextHuge++);
      plan.lists[HUGE_ORDER * NR_MIGRATE_TYPES + type]?.push(frame);
      label(frame, stock.drawFor(type));
    }
    for (let block = at(mixed, type); block > 0; block--) {
      const frame = mixedFrame(type);
      plan.open[label(frame, stock.drawFor(type))]?.[HUGE_ORDER]?.push(frame);
    }
  }
  for (const pageblock of unclaimed) plan.types[pageblock] = stock.drawRest();
  for (const { frame, order } of cutEdges(usable)) {
    plan.lone[at(plan.types, pageblockOf(frame))]?.[order]?.push(frame);
  }
  plan.area = roles.movable.slice(nextMovable).concat(roles.notFree.slice(nextMixed));
  plan.top = roles.top;
  for (const frame of plan.top) label(frame, stock.drawRest());
  for (const frame of plan.area) label(frame, stock.drawRest());
  return plan;
}

function emptyPlan(usable: Geometry): PageblockPlan {
  const regions = (): number[][][] =>
    Array.from({ length: NR_MIGRATE_TYPES }, () =>
      Array.from({ length: MAX_PAGE_ORDER }, () => []),
    );
  return {
    types: new Uint8Array(Math.ceil(usable.end / PAGES_PER_HUGE)).fill(MIGRATE_MOVABLE),
    lists: Array.from({ length: (MAX_PAGE_ORDER + 1) * NR_MIGRATE_TYPES }, () => []),
    open: regions(),
    lone: regions(),
    area: [],
    top: [],
    reserved: 0,
    image: { frame: usable.firstSlot * MAX_BLOCK_PAGES, pageblocks: 0 },
    reservedFrom: usable.end,
  };
}

/** @param mixed pageblocks that small free blocks of each type want */
function rolesOf(
  free: readonly number[][],
  usable: Geometry,
  mixed: readonly number[],
  boot: AboveFree | undefined,
): Roles {
  const nrHuge = sum(row(free, HUGE_ORDER));
  const nrBiggest = sum(row(free, MAX_PAGE_ORDER));
  const inUse = usable.slots - nrBiggest;
  const shared = Math.min(inUse, nrHuge);
  const ofMovable = boot ? Math.min(at(row(free, HUGE_ORDER), MIGRATE_MOVABLE), shared) : 0;
  const wanted = boot ? Math.max(at(mixed, MIGRATE_MOVABLE) - ofMovable, 0) : 0;
  const below = Math.min(Math.ceil(wanted / 2), inUse - shared);
  const others = Math.ceil((boot?.otherPages ?? 0) / PAGES_PER_HUGE);
  const spare = Math.floor((2 * inUse - shared - sum(mixed) - others) / 2);
  const top = Math.max(
    Math.min(Math.ceil((boot?.lockedPages ?? 0) / MAX_BLOCK_PAGES), spare, inUse - shared - below),
    0,
  );
  const slots = inUse - top;
  const frames = (from: number, to: number): number[] => {
    const found: number[] = [];
    for (let slot = from; slot < to; slot++) {
      found.push((usable.firstSlot + slot) * MAX_BLOCK_PAGES);
    }
    return found;
  };
  const pairs = (slotFrames: readonly number[]): number[] => {
    const found: number[] = [];
    for (const frame of slotFrames) found.push(frame, frame + PAGES_PER_HUGE);
    return found;
  };
  const lowest = slots - shared - below;
  const besideKernel = frames(lowest, slots - ofMovable - below);
  const besideMovable = frames(slots - ofMovable, slots);
  const alone = usable.edges.filter((edge) => edge.order === HUGE_ORDER).map((edge) => edge.frame);
  const aloneFree = alone.splice(alone.length - (nrHuge - shared));
  const beside = [...besideKernel, ...besideMovable];
  return {
    biggest: frames(slots, slots + nrBiggest),
    huge: beside.map((frame) => frame + PAGES_PER_HUGE).concat(aloneFree),
    movable: besideMovable.concat(pairs(frames(slots - ofMovable - below, slots - ofMovable))),
    notFree: besideKernel.concat(alone, pairs(frames(0, lowest))),
    top: pairs(frames(slots + nrBiggest, usable.slots)),
  };
}

/** Pageblocks of each type in the part that is laid out; what the texts do not count is Movable. */
function supplyOf(
  counted: readonly number[] | undefined,
  pageblocks: number,
  wanted: readonly number[],
  notes: string[],
): number[] {
  const supply = [...(counted ?? wanted)];
  if (counted === undefined) supply[MIGRATE_MOVABLE] = 0;
  let excess = sum(supply) - pageblocks;
  if (counted !== undefined && excess > 0) {
    notes.push(`${excess} of ${sum(supply)} pageblocks lie outside the span of ${pageblocks}`);
  }
  if (excess < 0) supply[MIGRATE_MOVABLE] = at(supply, MIGRATE_MOVABLE) - excess;
  for (const type of LENDERS) {
    const dropped = Math.min(at(supply, type), Math.max(0, excess));
    supply[type] = at(supply, type) - dropped;
    excess -= dropped;
  }
  return supply;
}

/** Parts of pageblocks that an end of the zone cuts. */
const cutEdges = (usable: Geometry): Edge[] =>
  usable.edges.filter((edge) => edge.order < HUGE_ORDER);

/**
 * Gives a pageblock that an end of the zone cuts to the first type whose small blocks need fewer whole pageblocks (`mixed`) then.
 * @returns the pageblocks that help no type
 */
function claimCutPageblocks(
  free: readonly number[][],
  usable: Geometry,
  whole: readonly number[],
  mixed: number[],
  supply: number[],
  plan: PageblockPlan,
): number[] {
  const edges = cutEdges(usable);
  const claimed: Edge[][] = whole.map(() => []);
  const pageblocks = [...new Set(edges.map((edge) => pageblockOf(edge.frame)))];
  return pageblocks.filter((pageblock) => {
    const here = edges.filter((edge) => pageblockOf(edge.frame) === pageblock);
    for (const type of TYPES_BY_ADDRESS) {
      const held = row(claimed, type).concat(here);
      const need = pageblocksFor(free, type, held);
      if (at(supply, type) <= at(whole, type) || need >= at(mixed, type)) continue;
      claimed[type] = held;
      mixed[type] = need;
      supply[type] = at(supply, type) - 1;
      plan.types[pageblock] = type;
      return false;
    }
    return true;
  });
}

/** Pageblock types still to be given out: those that the free blocks of each type want, and the others. */
class TypeStock {
  private readonly own: number[];
  private readonly others: number[];

  /** @param counted false: pageblocks that no free block wants are Movable */
  constructor(supply: readonly number[], wanted: readonly number[], counted: boolean) {
    this.own = supply.map((pageblocks, type) => Math.min(pageblocks, at(wanted, type)));
    this.others = supply.map((pageblocks, type) => pageblocks - at(this.own, type));
    if (!counted) {
      const all = sum(this.others);
      this.others.fill(0);
      this.others[MIGRATE_MOVABLE] = all;
    }
  }

  /** Type of a pageblock for free blocks on lists of `type`: the same, or one lent by a type that has more than it wants. */
  drawFor(type: number): number {
    return at(this.own, type) > 0 ? draw(this.own, [type]) : draw(this.others, LENDERS);
  }

  /** Type of a pageblock without free blocks of its own, the kernel's types first. */
  drawRest(): number {
    return draw(this.others, TYPES_BY_ADDRESS);
  }
}

function draw(stock: number[], order: readonly number[]): number {
  const type = order.find((candidate) => at(stock, candidate) > 0) ?? MIGRATE_MOVABLE;
  stock[type] = at(stock, type) - 1;
  return type;
}
