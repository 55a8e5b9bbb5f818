/** Turns of an interleave policy, many at once where nothing but refills happens. */
import { allocZones } from './alloc-zones';
import { MIGRATE_MOVABLE } from './buddy';
import type { KernelState } from './kernel-state';
import { pagesBeforeKswapd } from './kswapd';
import { allocInterleaved, interleaveNodes, turnContext, type PolicyContext } from './mempolicy';
import { reclaimsNode } from './node-reclaim';
import type { AllocContext, Segment } from './page-alloc';
import { orderToPindex } from './pcp';
import type { PcpRun } from './pcp-list';
import { neededPages, zoneWatermarkOk } from './watermark';
import type { Zone } from './zone';

/** Requests of some turns of every round: those with these places in it, ascending. */
export interface Turns {
  /** Turn with which the first round begins. */
  first: number;
  /** Turns of a round. */
  length: number;
  places: readonly number[];
}

/**
 * Requests of an interleave policy, one turn after the other. Where nothing but refills happens the turns are taken
 * many at once, zone by zone: zones do not touch each other, and one that serves several nodes' turns hands out its pages
 * in the same order whoever asks.
 * @param turn the first request's turn
 * @param place takes a segment: its pages belong to these turns, from the `done`th of them on; false ends it
 * @returns requests served
 * @kernel mm/mempolicy.c offset_il_node(), interleave_nodes()
 */
export function allocTurns(
  k: KernelState,
  pc: PolicyContext,
  turn: number,
  want: number,
  place: (segment: Segment, turns: Turns, done: number) => boolean,
): number {
  const nodes = interleaveNodes(k, pc);
  const { length } = nodes;
  let done = 0;
  while (done < want) {
    const at = turn + done;
    const quiet = quietRounds(k, pc, at);
    const rounds = Math.min(Math.floor((want - done) / length), quiet.rounds);
    if (rounds > 1) {
      const ended = allocRounds(k, pc, { at, rounds, placesOf: quiet.placesOf }, place);
      if (ended) return done;
      done += rounds * length;
      continue;
    }
    // What a look finds seldom changes within a round.
    const until = Math.min(done + length, want);
    for (; done < until; done += 1) {
      const first = turn + done;
      const segment = allocInterleaved(k, pc, nodes[first % length]!, 1);
      if (!segment || !place(segment, { first, length, places: ONE_PLACE }, 0)) return done;
    }
  }
  return done;
}

const ONE_PLACE: readonly number[] = [0];

/** @returns whether `place` ended it */
function allocRounds(
  k: KernelState,
  pc: PolicyContext,
  { at, rounds, placesOf }: QuietRounds & { at: number },
  place: (segment: Segment, turns: Turns, done: number) => boolean,
): boolean {
  const nodes = interleaveNodes(k, pc);
  const { length } = nodes;
  for (const places of placesOf.values()) {
    const turns: Turns = { first: at, length, places };
    let done = 0;
    for (const i of places) {
      for (let left = rounds; left > 0;) {
        const segment = allocInterleaved(k, pc, nodes[(at + i) % length]!, left)!;
        if (!place(segment, turns, done)) return true;
        done += segment.pages;
        left -= segment.pages;
      }
    }
  }
  return false;
}

/** Rounds of turns that can be taken at once. */
interface QuietRounds {
  rounds: number;
  /** The places in a round of those turns that a zone serves. */
  placesOf: ReadonlyMap<Zone, readonly number[]>;
}

const NO_ROUNDS: QuietRounds = { rounds: 0, placesOf: new Map() };

/**
 * Rounds that the nodes' zones can serve from the CPU's lists and by whole refills, before any kswapd acts.
 * @param at turn with which the first round begins
 */
function quietRounds(k: KernelState, pc: PolicyContext, at: number): QuietRounds {
  const nodes = interleaveNodes(k, pc);
  const { length } = nodes;
  const costNs = pc.costNs + pc.remoteCostNs + k.hardware.freshPageNs;
  let rounds = Math.floor(pagesBeforeKswapd(k, costNs) / length);
  if (rounds === 0) return NO_ROUNDS;
  const placesOf = new Map<Zone, number[]>();
  for (let i = 0; i < length; i += 1) {
    const zone = servingZone(k, turnContext(k, pc, nodes[(at + i) % length]!));
    if (!zone) return NO_ROUNDS;
    const places = placesOf.get(zone);
    if (places) places.push(i);
    else placesOf.set(zone, [i]);
  }
  for (const [zone, { length: turns }] of placesOf) {
    rounds = Math.min(rounds, Math.floor(quietPages(zone, pc.cpu) / turns));
  }
  return { rounds, placesOf };
}

/** The zone that the fast path takes from; undefined where it would have to reclaim one first, or there is none. */
function servingZone(k: KernelState, ac: AllocContext): Zone | undefined {
  const { allowed, preferred } = allocZones(k, ac);
  for (const zone of allowed) {
    if (zoneWatermarkOk(zone, zone.low)) return zone;
    if (reclaimsNode(k, preferred!.node, zone.node, ac.cpu)) return undefined;
  }
  return undefined;
}

/** Pages that a zone above its low mark has for a CPU without stealing or falling below the mark. */
function quietPages(zone: Zone, cpu: number): number {
  const list = zone.pcps[cpu]!.lists[orderToPindex(0, MIGRATE_MOVABLE)]!;
  const room = zone.buddy.freePages - neededPages(zone, zone.low);
  const own = zone.buddy.freePagesByType[MIGRATE_MOVABLE]!;
  return list.count + zone.pcpRule.foreseenPages(zone, Math.min(room - 1, own));
}

/**
 * Pages of a segment whose frames and turns are at equal distances each.
 * @param done the segment's first page belongs to the `done`th of these turns
 * @param take gets the first page's place in its run (`at`), pages, the first one's turn, and how far apart their turns are
 */
export function eachTurnPiece(
  segment: Segment,
  { first, length, places }: Turns,
  done: number,
  take: (run: PcpRun, at: number, pages: number, turn: number, stride: number) => void,
): void {
  const turns = places.length;
  const isEven = turns === 1 || turns === length;
  let page = done;
  for (const run of segment.runs) {
    for (let at = 0; at < run.count;) {
      const place = page % turns;
      const turn = first + Math.floor(page / turns) * length + places[place]!;
      const left = run.count - at;
      const pages = isEven ? left : adjacent(places, place, left);
      take(run, at, pages, turn, turns === 1 ? length : 1);
      at += pages;
      page += pages;
    }
  }
}

/** How many of a round's places follow each other from one on, at most so many. */
function adjacent(places: readonly number[], from: number, most: number): number {
  let count = 1;
  while (count < most && places[from + count] === places[from]! + count) count += 1;
  return count;
}
