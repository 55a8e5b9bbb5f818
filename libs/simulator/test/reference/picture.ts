import { ABSENT } from '../machine';
import type { MachinePicture, NodePicture, ZonePicture } from '../machine';
import type { Tape } from '../tape';
import { hugePagesOf, hugetlbPicture } from './hugetlb-picture';
import { ISOLATE, PAGEBLOCK_PAGES, endPfnOf, pfnOf, zoneOf } from './state';
import type { Node, System, Zone } from './state';

/** Lists that somebody is served from; between operations no pageblock is isolated. */
function served(types: readonly number[]): readonly number[] {
  return types.slice(0, ISOLATE);
}

function frames(system: System, list: number): number[] {
  return system.lists.toArray(list).map((page) => pfnOf(system, page));
}

type ZoneCounts = Omit<ZonePicture, 'lists' | 'pageblockTypes' | 'skip' | 'pcps'>;

function zoneCounts(zone: Zone): ZoneCounts {
  return {
    node: zone.node.id,
    index: zone.index,
    startPfn: zone.startPfn,
    spanned: zone.spanned,
    present: zone.present,
    managed: zone.managed,
    free: zone.free,
    boost: zone.boost,
    min: zone.min,
    low: zone.low,
    high: zone.high,
    protection: [...zone.protection],
    reservedHighatomic: zone.reservedHighatomic,
    compaction: {
      cachedMigratePfn: [...zone.compaction.cachedMigratePfn],
      cachedFreePfn: zone.compaction.cachedFreePfn,
      initMigratePfn: zone.compaction.initMigratePfn,
      initFreePfn: zone.compaction.initFreePfn,
      blockskipFlush: zone.compaction.blockskipFlush,
      considered: zone.compaction.considered,
      deferShift: zone.compaction.deferShift,
      orderFailed: zone.compaction.orderFailed,
    },
  };
}

/** Of what is known of each pageblock, that of those within the zone's span; ABSENT where it has no memory. */
function ofPageblocks(zone: Zone, values: Uint8Array): Uint8Array {
  const firstBlock = Math.floor((zone.startPfn - zone.basePfn) / PAGEBLOCK_PAGES);
  const lastPfn = endPfnOf(zone) - 1;
  const endBlock = Math.floor((lastPfn - zone.basePfn) / PAGEBLOCK_PAGES) + 1;
  const online = zone.online.subarray(firstBlock, endBlock);
  return values.slice(firstBlock, endBlock).map((value, i) => (online[i] === 1 ? value : ABSENT));
}

function zonePicture(system: System, zone: Zone): ZonePicture {
  return {
    ...zoneCounts(zone),
    lists: zone.freeLists.map((types) => served(types).map((list) => frames(system, list))),
    pageblockTypes: [...ofPageblocks(zone, zone.pageblockTypes)],
    skip: [...ofPageblocks(zone, zone.compaction.skip)],
    pcps: zone.pcps.map((pcp) => ({
      count: pcp.count,
      freeFactor: pcp.freeFactor,
      lists: pcp.lists.map((list) => frames(system, list)),
    })),
  };
}

function nodeCounts(node: Node): Omit<NodePicture, 'lru'> {
  return {
    numastat: [...node.numastat],
    nonresidentAge: node.nonresidentAge,
    anonCost: node.anonCost,
    fileCost: node.fileCost,
    kswapdState: node.kswapd.state,
    kswapdNextNs: node.kswapd.nextNs,
    kswapdFailures: node.kswapd.failures,
    kcompactdNextNs: node.kcompactd.nextNs,
    kcompactdOrder: node.kcompactd.maxOrder,
    kcompactdClass: node.kcompactd.highestZone,
  };
}

/** The whole state, as both implementations show it. */
export function pictureOf(system: System): MachinePicture {
  const flags: MachinePicture['flags'] = [];
  for (let page = 0; page < system.pages.flags.length; page++) {
    const bits = system.pages.flags[page] ?? 0;
    if (bits !== 0 && system.pages.lru[page] !== -1) {
      flags.push([pfnOf(system, page), bits]);
    }
  }
  flags.sort((a, b) => a[0] - b[0]);
  return {
    timeNs: system.timeNs,
    swapFreePages: system.swapFree,
    vmstat: Object.fromEntries(system.vmstat),
    zones: system.zones.map((zone) => zonePicture(system, zone)),
    nodes: system.nodes.map((node) => ({
      lru: node.lru.map((list) => frames(system, list)),
      ...nodeCounts(node),
    })),
    hugetlb: hugetlbPicture(system),
    owners: [...system.owners]
      .sort((a, b) => a[0] - b[0])
      .map(([owner, { pages }]) => ({
        owner,
        frames: pages.map((page) => (page < 0 ? page : pfnOf(system, page))),
      })),
    flags,
  };
}

/** Writes a list with its length, from head to tail. */
function tapeList(system: System, list: number, tape: Tape): void {
  const length = tape.reserve(1, 0);
  const { lists } = system;
  for (let page = lists.first(list); page !== -1; page = lists.after(list, page)) {
    tape.add(pfnOf(system, page));
  }
  tape.set(length, tape.length - length - 1);
}

/** Writes an LRU list with its length, from tail to head, each page with its flags. */
function tapeLru(system: System, list: number, tape: Tape): void {
  const length = tape.reserve(1, 0);
  const { lists } = system;
  for (let page = lists.last(list); page !== -1; page = lists.before(list, page)) {
    tape.add(pfnOf(system, page));
    tape.add(system.pages.flags[page] ?? 0);
  }
  tape.set(length, (tape.length - length - 1) / 2);
}

/** Writes what pictureOf() shows, as tapePicture() would. */
export function tapeState(system: System, tape: Tape): void {
  tape.add(system.timeNs);
  tape.add(system.swapFree);
  tape.addCounters(system.vmstat);
  system.nodes.forEach((node) => tape.addNode(nodeCounts(node)));
  system.zones.forEach((zone) => tape.addZone(zoneCounts(zone)));
  tape.addHugetlb(hugetlbPicture(system));
  for (const zone of system.zones) {
    zone.freeLists.forEach((types) =>
      served(types).forEach((list) => tapeList(system, list, tape)),
    );
    for (const values of [zone.pageblockTypes, zone.compaction.skip]) {
      const blocks = ofPageblocks(zone, values);
      tape.add(blocks.length);
      blocks.forEach((value) => tape.add(value));
    }
    for (const pcp of zone.pcps) {
      tape.add(pcp.count);
      tape.add(pcp.freeFactor);
      pcp.lists.forEach((list) => tapeList(system, list, tape));
    }
  }
  for (const node of system.nodes) {
    node.lru.forEach((list) => tapeLru(system, list, tape));
  }
  const owners = [...system.owners].filter(([, { pages }]) => pages.length > 0);
  for (const [id, { pages }] of owners.sort((a, b) => a[0] - b[0])) {
    tape.add(id);
    tape.add(pages.length);
    for (const page of pages) {
      tape.add(page < 0 ? page : pfnOf(system, page));
    }
  }
}

/**
 * Counts everything again: every page is on one list or with one owner, and every count fits its list.
 * @throws Error that names what does not fit
 */
export function verify(system: System): void {
  const seen = new Set<number>();
  const see = (page: number, pages: number, where: string): void => {
    for (let i = page; i < page + pages; i++) {
      if (seen.has(i)) {
        throw new Error(`page ${pfnOf(system, i)} is found twice, the second time ${where}`);
      }
      seen.add(i);
    }
  };
  const expect = (what: string, found: number, right: number): void => {
    if (found !== right) {
      throw new Error(`${what} is ${found}, but should be ${right}`);
    }
  };
  for (const zone of system.zones) {
    let free = 0;
    zone.freeLists.forEach((types, order) =>
      types.forEach((list) =>
        system.lists.toArray(list).forEach((page) => {
          see(page, 1 << order, `free at order ${order}`);
          expect(
            `order of free page ${pfnOf(system, page)}`,
            system.pages.freeOrder[page] ?? -1,
            order,
          );
          free += 1 << order;
        }),
      ),
    );
    expect(`free of node ${zone.node.id} zone ${zone.index}`, zone.free, free);
    zone.pcps.forEach((pcp, cpu) => {
      let pages = 0;
      pcp.lists.forEach((list, pindex) =>
        system.lists.toArray(list).forEach((page) => {
          const order = pindex >= 12 ? 9 : Math.floor(pindex / 3);
          see(page, 1 << order, `on the pcp of CPU position ${cpu}`);
          pages += 1 << order;
        }),
      );
      expect(`count of CPU position ${cpu}`, pcp.count, pages);
    });
  }
  for (const { pages, orders, swapCache } of system.owners.values()) {
    pages.forEach((page, i) => page >= 0 && see(page, 1 << (orders[i] ?? 0), 'with an owner'));
    swapCache.forEach((page) => see(page, 1, 'as swap cache'));
  }
  hugePagesOf(system).forEach((page) => see(page, 512, 'in the pool of huge pages'));
  for (const pages of system.isolatedFree) {
    pages.forEach((page) => see(page, 1, 'isolated by a free scanner'));
  }
  for (const node of system.nodes) {
    node.lru.forEach((list, i) => {
      const pages = system.lists.toArray(list);
      expect(`LRU list ${i} of node ${node.id}`, node.lruPages[i] ?? 0, pages.length);
      pages.forEach((page) => expect('LRU list of a page', system.pages.lru[page] ?? -1, i));
      expect(
        'pages of other nodes',
        pages.filter((p) => zoneOf(system, p).node !== node).length,
        0,
      );
    });
  }
  const managed = system.zones.reduce((total, zone) => total + zone.managed, 0);
  expect('number of pages', seen.size, managed);
}
