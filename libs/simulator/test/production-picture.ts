/** The simulator's whole state page by page, from its runs: as a picture, and on tape. */
import { MAX_ORDER, NR_MIGRATE_TYPES, PAGEBLOCK_ORDER } from '../src/buddy';
import { hstateOf } from '../src/hugetlb';
import type { HugetlbMapping } from '../src/hugetlb-fault';
import { compactState, NOWHERE } from '../src/compact-control';
import type { KernelState } from '../src/kernel-state';
import { frameAt, piecesOf, type Run } from '../src/lru';
import type { Mapping } from '../src/page-map';
import { isOnlineBlock, type NodeState, type Zone } from '../src/zone';
import type { IndexSet } from './index-set';
import { ABSENT } from './machine';
import type {
  CompactionPicture,
  HugetlbPicture,
  MachinePicture,
  NodePicture,
  ZonePicture,
} from './machine';
import type { Tape } from './tape';

/** A block of a `kernel` or `atomic` request. */
export interface Block {
  zone: Zone;
  frame: number;
  order: number;
}

/** A mapping of huge pages, and how many it may have. */
export interface HugeOwner {
  mapping: HugetlbMapping;
  pages: number;
}

/** What a machine's operations have made, by number. */
export interface Holders {
  owners: ReadonlyMap<number, Owner>;
  huge: ReadonlyMap<number, HugeOwner>;
}

export interface Owner {
  /** Memory on the LRU; undefined for kernel blocks. */
  mapping?: Mapping;
  /** Blocks of kernel requests by index; undefined where they were freed. */
  blocks: (Block | undefined)[];
  /** Indices of user pages that were given out and not freed by an operation, on swap or not. */
  live: IndexSet;
}

/** Pages of an owner that was freed or reclaimed, and of one whose content is only on swap. */
const GONE = -1;
const SWAPPED = -2;

type ZoneCounts = Omit<ZonePicture, 'lists' | 'pageblockTypes' | 'skip' | 'pcps'>;

function zoneCounts(zone: Zone): ZoneCounts {
  return {
    node: zone.node.id,
    index: zone.index as ZonePicture['index'],
    startPfn: zone.startPfn,
    spanned: zone.spanned,
    present: zone.present,
    managed: zone.managed,
    free: zone.buddy.freePages,
    boost: zone.boost,
    min: zone.min,
    low: zone.low,
    high: zone.high,
    protection: zone.protection.slice(0, 4),
    reservedHighatomic: zone.reservedHighatomic,
    compaction: compactionCounts(zone),
  };
}

function compactionCounts(zone: Zone): CompactionPicture {
  const state = compactState(zone);
  const pfn = (frame: number): number => (frame === NOWHERE ? 0 : frame + zone.buddy.basePfn);
  return {
    cachedMigratePfn: state.cachedMigrate.map(pfn),
    cachedFreePfn: pfn(state.cachedFree),
    initMigratePfn: pfn(state.initMigrate),
    initFreePfn: pfn(state.initFree),
    blockskipFlush: state.blockskipFlush,
    considered: state.considered,
    deferShift: state.deferShift,
    orderFailed: state.orderFailed,
  };
}

function nodeCounts(node: NodeState): Omit<NodePicture, 'lru'> {
  const { numaHit, numaMiss, numaForeign, interleaveHit, localNode, otherNode } = node.numastat;
  return {
    numastat: [numaHit, numaMiss, numaForeign, interleaveHit, localNode, otherNode],
    nonresidentAge: node.nonresidentAge,
    anonCost: node.anonCost,
    fileCost: node.fileCost,
    kswapdState: node.kswapd.state,
    kswapdNextNs: node.kswapd.nextNs,
    kswapdFailures: node.kswapdFailures,
    kcompactdNextNs: node.kcompactd.nextNs,
    kcompactdOrder: node.kcompactd.order,
    kcompactdClass: node.kcompactd.classIndex,
  };
}

/** PG_referenced, young, workingset, swap cache, as a picture's flags. */
function markBits(run: Run): number {
  return (
    (run.referenced ? 1 : 0) |
    (run.young ? 2 : 0) |
    (run.workingset ? 4 : 0) |
    (run.owner.swapCacheOf ? 8 : 0) |
    (run.writeback ? 16 : 0)
  );
}

function pfnAt(run: Run, index: number): number {
  return frameAt(run, index) + run.zone.buddy.basePfn;
}

/** Of what is known of each pageblock, that from the one of the zone's first page on; ABSENT where the zone has no memory. */
function ofPageblocks(zone: Zone, values: Uint8Array): number[] {
  const { firstFrame, frames } = zone.buddy;
  const first = firstFrame >> PAGEBLOCK_ORDER;
  const known = [...values.subarray(first, ((frames - 1) >> PAGEBLOCK_ORDER) + 1)];
  return known.map((value, i) => (isOnlineBlock(zone, first + i) ? value : ABSENT));
}

/** Indices that an owner gave out, freed or not. */
export function indicesOf(owner: Owner): number {
  return owner.mapping ? owner.live.end : owner.blocks.length;
}

/** Calls `put` for each index of an owner that is not gone, with its frame or SWAPPED. */
function eachFrame(owner: Owner, put: (index: number, frame: number) => void): void {
  owner.blocks.forEach((block, index) => {
    if (block) put(index, block.frame + block.zone.buddy.basePfn);
  });
  if (owner.mapping?.kind === 'anon') {
    owner.live.forEach((start, end) => {
      for (let index = start; index < end; index += 1) put(index, SWAPPED);
    });
  }
  for (const run of [...(owner.mapping?.runs ?? [])].flatMap(piecesOf)) {
    for (let i = 0; i < run.pages; i += 1) put(run.offset + i * run.stride, pfnAt(run, i));
  }
}

function hugetlbPicture(k: KernelState, huge: Holders['huge']): HugetlbPicture {
  const h = hstateOf(k, 2048)!;
  const pfn = ({ zone, frame }: { zone?: Zone; frame: number }): number =>
    frame + zone!.buddy.basePfn;
  return {
    reserved: h.reservedPages,
    overcommit: h.overcommitPages,
    max: h.maxPages,
    nextToAlloc: h.nextToAlloc,
    nextToFree: h.nextToFree,
    nodes: h.nodes.map(({ totalPages: total, surplusPages: surplus, free }) => {
      return { total, surplus, free: free.map(pfn).reverse() };
    }),
    mappings: [...huge]
      .sort(([a], [b]) => a - b)
      .map(([number, { mapping, pages }]) => {
        const frames = new Array<number>(pages).fill(GONE);
        for (const [index, page] of mapping.pages) frames[index] = pfn(page);
        return { mapping: number, reserved: mapping.reservedPages, frames };
      }),
  };
}

export function pictureOf(k: KernelState, { owners, huge }: Holders): MachinePicture {
  const flags: MachinePicture['flags'] = [];
  const nodes = k.nodes.map((node): NodePicture => {
    const lru = node.lists.map((list) => {
      const frames: number[] = [];
      for (const run of list.runs().flatMap(piecesOf)) {
        const bits = markBits(run);
        for (let i = 0; i < run.pages; i += 1) {
          const pfn = pfnAt(run, i);
          frames.push(pfn);
          if (bits !== 0) flags.push([pfn, bits]);
        }
      }
      return frames.reverse();
    });
    return { lru, ...nodeCounts(node) };
  });
  return {
    timeNs: k.timeNs,
    swapFreePages: k.swap.freePages,
    vmstat: Object.fromEntries([...k.vmstat].filter(([, count]) => count !== 0)),
    zones: k.zones.map(zonePicture),
    nodes,
    hugetlb: hugetlbPicture(k, huge),
    owners: [...owners].map(([id, owner]) => {
      const frames = new Array<number>(indicesOf(owner)).fill(GONE);
      eachFrame(owner, (index, frame) => {
        frames[index] = frame;
      });
      return { owner: id, frames };
    }),
    flags: flags.sort((a, b) => a[0] - b[0]),
  };
}

function zonePicture(zone: Zone): ZonePicture {
  const { buddy } = zone;
  const pfn = (frame: number): number => frame + buddy.basePfn;
  return {
    ...zoneCounts(zone),
    lists: Array.from({ length: MAX_ORDER }, (_, order) =>
      Array.from({ length: NR_MIGRATE_TYPES }, (__, type) => buddy.list(order, type).map(pfn)),
    ),
    pageblockTypes: ofPageblocks(zone, zone.buddy.types),
    skip: ofPageblocks(zone, compactState(zone).skip),
    pcps: zone.pcps.map((pcp) => ({
      count: pcp.pages,
      freeFactor: pcp.freeFactor,
      lists: pcp.lists.map((list) => list.frames().map(pfn)),
    })),
  };
}

/** Writes what pictureOf() shows, as tapePicture() would. */
export function tapeState(k: KernelState, { owners, huge }: Holders, tape: Tape): void {
  tape.add(k.timeNs);
  tape.add(k.swap.freePages);
  tape.addCounters(k.vmstat);
  for (const node of k.nodes) tape.addNode(nodeCounts(node));
  for (const zone of k.zones) tape.addZone(zoneCounts(zone));
  tape.addHugetlb(hugetlbPicture(k, huge));
  for (const zone of k.zones) tapeZone(zone, tape);
  for (const node of k.nodes) {
    for (const list of node.lists) {
      tape.add(list.pages);
      for (const run of list.runs().flatMap(piecesOf)) tapeRun(run, tape);
    }
  }
  for (const id of [...owners.keys()].sort((a, b) => a - b)) tapeOwner(id, owners.get(id)!, tape);
}

function tapeZone(zone: Zone, tape: Tape): void {
  const { buddy } = zone;
  for (let order = 0; order < MAX_ORDER; order += 1) {
    for (let type = 0; type < NR_MIGRATE_TYPES; type += 1) {
      tapeFrames(buddy.list(order, type), buddy.basePfn, tape);
    }
  }
  tapeFrames(ofPageblocks(zone, zone.buddy.types), 0, tape);
  tapeFrames(ofPageblocks(zone, compactState(zone).skip), 0, tape);
  for (const pcp of zone.pcps) {
    tape.add(pcp.pages);
    tape.add(pcp.freeFactor);
    for (const list of pcp.lists) tapeFrames(list.frames(), buddy.basePfn, tape);
  }
}

function tapeFrames(frames: readonly number[], basePfn: number, tape: Tape): void {
  tape.add(frames.length);
  for (const frame of frames) tape.add(frame + basePfn);
}

function tapeRun(run: Run, tape: Tape): void {
  const bits = markBits(run);
  for (let i = 0; i < run.pages; i += 1) {
    tape.add(pfnAt(run, i));
    tape.add(bits);
  }
}

function tapeOwner(id: number, owner: Owner, tape: Tape): void {
  const indices = indicesOf(owner);
  if (indices === 0) return;
  tape.add(id);
  tape.add(indices);
  const start = tape.reserve(indices, GONE);
  eachFrame(owner, (index, frame) => tape.set(start + index, frame));
}
