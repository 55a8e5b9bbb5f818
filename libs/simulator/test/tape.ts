/**
 * A machine's whole state as a row of numbers. Two machines of one configuration are in the same state exactly
 * if their tapes are equal, which is far quicker to see than comparing two pictures.
 */
import type { HugetlbPicture, MachinePicture, NodePicture, ZonePicture } from './machine';

/** Numbers for the names of counters, the same for every tape of a process. */
const counterNumbers = new Map<string, number>();

function counterNumber(name: string): number {
  let number = counterNumbers.get(name);
  if (number === undefined) {
    number = counterNumbers.size;
    counterNumbers.set(name, number);
  }
  return number;
}

/** kswapd's states as they stand on a tape. */
const KSWAPD_STATES = ['asleep', 'napping', 'running'] as const;

export class Tape {
  private words = new Float64Array(1 << 12);
  /** Numbers written. */
  length = 0;

  clear(): void {
    this.length = 0;
  }

  add(value: number): void {
    if (this.length === this.words.length) this.grow(this.length + 1);
    this.words[this.length++] = value;
  }

  addAll(values: readonly number[]): void {
    for (const value of values) this.add(value);
  }

  /** Makes room for `count` numbers, each `value` until it is set. @returns the place of the first */
  reserve(count: number, value: number): number {
    const start = this.length;
    if (start + count > this.words.length) this.grow(start + count);
    this.words.fill(value, start, start + count);
    this.length = start + count;
    return start;
  }

  /** Writes to a place that was reserved. */
  set(place: number, value: number): void {
    this.words[place] = value;
  }

  at(place: number): number {
    return this.words[place]!;
  }

  /** Counters by name; those that are 0 count as absent. */
  addCounters(counters: Iterable<readonly [name: string, count: number]>): void {
    const counts: number[] = [];
    for (const [name, count] of counters) {
      if (count !== 0) counts[counterNumber(name)] = count;
    }
    // Counters without an entry are holes, which read as absent.
    this.add(counts.length);
    for (let i = 0; i < counts.length; i += 1) this.add(counts[i] ?? 0);
  }

  /** What a node counts, without its lists. */
  addNode(node: Omit<NodePicture, 'lru'>): void {
    this.addAll(node.numastat);
    this.add(node.nonresidentAge);
    this.add(node.anonCost);
    this.add(node.fileCost);
    this.add(KSWAPD_STATES.indexOf(node.kswapdState));
    this.add(node.kswapdNextNs);
    this.add(node.kswapdFailures);
    this.add(node.kcompactdNextNs);
    this.add(node.kcompactdOrder);
    this.add(node.kcompactdClass);
  }

  /** What a zone counts, without its lists. */
  addZone(zone: Omit<ZonePicture, 'lists' | 'pageblockTypes' | 'skip' | 'pcps'>): void {
    this.add(zone.node);
    this.add(zone.index);
    this.addAll([zone.startPfn, zone.spanned, zone.present, zone.managed]);
    this.add(zone.free);
    this.add(zone.boost);
    this.add(zone.min);
    this.add(zone.low);
    this.add(zone.high);
    this.addAll(zone.protection);
    this.add(zone.reservedHighatomic);
    const { compaction } = zone;
    this.addAll(compaction.cachedMigratePfn);
    this.add(compaction.cachedFreePfn);
    this.add(compaction.initMigratePfn);
    this.add(compaction.initFreePfn);
    this.add(compaction.blockskipFlush ? 1 : 0);
    this.add(compaction.considered);
    this.add(compaction.deferShift);
    this.add(compaction.orderFailed);
  }

  /** The pool of huge pages and its mappings. */
  addHugetlb(pool: HugetlbPicture): void {
    this.addAll([pool.reserved, pool.overcommit, pool.max, pool.nextToAlloc, pool.nextToFree]);
    for (const { total, surplus, free } of pool.nodes) {
      this.addAll([total, surplus, free.length]);
      this.addAll(free);
    }
    this.add(pool.mappings.length);
    for (const { mapping, reserved, frames } of pool.mappings) {
      this.addAll([mapping, reserved, frames.length]);
      this.addAll(frames);
    }
  }

  equals(other: Tape): boolean {
    return this.length === other.length && this.bytes().equals(other.bytes());
  }

  /** A 32-bit hash of the numbers up to a place, going on from `hash`. FNV-1a over 32-bit words. */
  hash(hash: number, end = this.length): number {
    const words = new Uint32Array(this.words.buffer, 0, 2 * end);
    let next = hash;
    for (const word of words) next = Math.imul(next ^ word, 0x01000193);
    return next >>> 0;
  }

  private bytes(): Buffer {
    return Buffer.from(this.words.buffer, 0, 8 * this.length);
  }

  private grow(least: number): void {
    const larger = new Float64Array(Math.max(2 * this.words.length, least));
    larger.set(this.words);
    this.words = larger;
  }
}

/**
 * A picture on tape: every number of it, in the order that both machines keep when they write theirs. Each
 * LRU list goes from its tail to its head, each page with its bits; owners ascend, those without an index are
 * left out.
 */
export function tapePicture(picture: MachinePicture, tape: Tape): void {
  tape.add(picture.timeNs);
  tape.add(picture.swapFreePages);
  tape.addCounters(Object.entries(picture.vmstat));
  picture.nodes.forEach((node) => tape.addNode(node));
  picture.zones.forEach((zone) => tape.addZone(zone));
  tape.addHugetlb(picture.hugetlb);
  for (const zone of picture.zones) {
    for (const list of zone.lists.flat()) addList(tape, list);
    addList(tape, zone.pageblockTypes);
    addList(tape, zone.skip);
    for (const pcp of zone.pcps) {
      tape.add(pcp.count);
      tape.add(pcp.freeFactor);
      for (const list of pcp.lists) addList(tape, list);
    }
  }
  const bits = new Map(picture.flags);
  for (const list of picture.nodes.flatMap((node) => node.lru)) {
    tape.add(list.length);
    for (let i = list.length - 1; i >= 0; i -= 1) {
      tape.add(list[i]!);
      tape.add(bits.get(list[i]!) ?? 0);
    }
  }
  const owners = picture.owners.filter(({ frames }) => frames.length > 0);
  for (const { owner, frames } of owners.sort((a, b) => a.owner - b.owner)) {
    tape.add(owner);
    addList(tape, frames);
  }
}

function addList(tape: Tape, values: readonly number[]): void {
  tape.add(values.length);
  tape.addAll(values);
}
