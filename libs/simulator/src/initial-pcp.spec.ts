import { twoNodes } from '../test/host';
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE } from './buddy';
import { typeShares } from './initial-pcp';
import { buildKernel } from './kernel';
import { passTime, type KernelState } from './kernel-state';
import { orderToPindex } from './pcp';
import type { Pcp } from './pcp-rule';
import type { HostModel } from './types';
import { verify } from './verify';
import { refreshVmstat, updateVmstat } from './vmstat-work';

/** Two nodes, the first with three Unmovable pageblocks; each CPU holds `held` pages of both. */
const hostWithLists = (held: number): HostModel => {
  const host = twoNodes();
  for (const node of host.nodes) {
    for (const zone of node.zones) {
      for (const pageset of zone.pagesets) pageset.countPages = held;
    }
  }
  const zone = host.nodes[0]!.zones[0]!;
  zone.freePages = 30720;
  zone.freeBlocks = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 30];
  zone.pageblocksByType = { Unmovable: 3, Movable: 61, Reclaimable: 0 };
  return host;
};
const build = (host: HostModel): KernelState =>
  buildKernel({ host, runningGuests: [], steps: [], seed: 1 });

describe('types of cached pages', () => {
  it('follow what is in use and whose pageblocks there are', () => {
    // Three quarters of the used pages are the kernel's, two thirds of its pageblocks Unmovable.
    expect(
      typeShares(400, { lruPages: 1000, kernelPages: 3000, heldPages: 400 }, [2, 50, 1, 0]),
    ).toEqual([200, 100, 100]);
  });

  it('may be less or more of the kernel’s than in proportion', () => {
    const used = { lruPages: 1000, kernelPages: 3000, heldPages: 400 };
    const types = [0, 0.25, 0.5, 1].map((share) => typeShares(400, used, [2, 50, 1, 0], share));
    // None, 150 of 300, 300, and 600, which the lists do not hold.
    expect(types).toEqual([
      [0, 400, 0],
      [100, 250, 50],
      [200, 100, 100],
      [267, 0, 133],
    ]);
  });

  it('are Movable where the lists hold more than the kernel has in use: boot handed them over', () => {
    const used = { lruPages: 0, kernelPages: 64, heldPages: 1024 };
    expect(typeShares(512, used, [2, 50, 0, 0])).toEqual([0, 512, 0]);
  });

  it('are Movable where the kernel has no pageblock, or no page', () => {
    expect(
      typeShares(400, { lruPages: 0, kernelPages: 3000, heldPages: 400 }, [0, 53, 0, 0]),
    ).toEqual([0, 400, 0]);
    expect(typeShares(400, { lruPages: 1, kernelPages: 0, heldPages: 400 }, [2, 50, 1, 0])).toEqual(
      [0, 400, 0],
    );
  });
});

describe('lists of a host at the start', () => {
  it('hold as many pages as the host says, what refills left and single pages, from pageblocks of their types', () => {
    const k = build(hostWithLists(100));
    verify(k, 0);
    const zone = k.zones[0]!;
    expect(zone.pcps.map(({ pages }) => pages)).toEqual([100, 100]);
    const counts = zone.pcps.map((pcp) =>
      [0, 1, 2, 3].map((order) => pcp.lists[orderToPindex(order, MIGRATE_UNMOVABLE)]!.count),
    );
    const half = zone.pcpBatch >> 1;
    expect(half).toBe(3);
    // Half a batch of 7 pages leaves a block of two and none larger; the CPU of the node has as many Movable pages.
    expect(counts).toEqual([
      [100 - 2 - half, 1, 0, 0],
      [98, 1, 0, 0],
    ]);
    for (const pcp of zone.pcps) {
      for (const frame of pcp.lists[orderToPindex(0, MIGRATE_UNMOVABLE)]!.frames()) {
        expect(zone.buddy.typeOf(frame)).toBe(MIGRATE_UNMOVABLE);
        expect(zone.buddy.orderAt(frame)).toBeLessThan(0);
      }
    }
    expect(k.zones[1]!.pcps[0]!.lists[orderToPindex(0, MIGRATE_MOVABLE)]!.count).toBe(100);
  });

  it('have their Movable pages in Movable pageblocks, while these have room', () => {
    const host = hostWithLists(400);
    const zone = host.nodes[0]!.zones[0]!;
    // Of four pageblocks that are not free, the last is Movable.
    zone.freePages = 30720;
    zone.pageblocksByType = { Unmovable: 3, Movable: 61, Reclaimable: 0 };
    const k = build(host);
    const frames = k.zones[0]!.pcps.flatMap((pcp) =>
      pcp.lists[orderToPindex(0, MIGRATE_MOVABLE)]!.frames(),
    );
    expect(frames.length).toBeGreaterThan(0);
    expect(frames.map((frame) => k.zones[0]!.buddy.typeOf(frame))).toEqual(
      frames.map(() => MIGRATE_MOVABLE),
    );
  });

  it('hold half a batch in blocks of every order that slabs have, in one piece', () => {
    const host = hostWithLists(300);
    const small = host.nodes[0]!.zones[0]!;
    small.pageblocksByType = { Unmovable: 2, Movable: 60, Reclaimable: 2 };
    small.freePages = 28672;
    small.freeBlocks = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 28];
    for (const pageset of host.nodes[0]!.zones[0]!.pagesets) pageset.batchPages = 63;
    const k = build(host);
    verify(k, 0);
    const zone = k.zones[0]!;
    const list = (order: number, type: number) => zone.pcps[1]!.lists[orderToPindex(order, type)]!;
    expect([1, 2, 3].map((order) => list(order, MIGRATE_UNMOVABLE).count)).toEqual([15, 7, 3]);
    expect([1, 2, 3].map((order) => list(order, MIGRATE_RECLAIMABLE).count)).toEqual([15, 7, 0]);
    const frames = list(1, MIGRATE_RECLAIMABLE).frames();
    expect(frames).toEqual(frames.map((_, i) => frames[0]! + 2 * i));
    expect(frames[0]! % 2).toBe(0);
    expect(zone.buddy.typeOf(frames[0]!)).toBe(MIGRATE_RECLAIMABLE);
    expect(zone.pcps.map((pcp) => pcp.pages)).toEqual([300, 300]);
  });
});

describe('the statistics work', () => {
  const looks = (k: KernelState, pcp: Pcp, times: number): number[] =>
    Array.from({ length: times }, () => {
      refreshVmstat(k);
      return pcp.pages;
    });

  it("gives a batch of another node's pages back every three looks, as what it gives back is a change too", () => {
    const host = hostWithLists(100);
    // The CPU with most pages is taken to have been at work.
    host.nodes[0]!.zones[0]!.pagesets[1]!.countPages = 101;
    const k = build(host);
    const zone = k.zones[0]!;
    expect(zone.pcpBatch).toBe(7);
    const free = zone.buddy.freePages;
    // The first of three looks was made when the state was read.
    expect(looks(k, zone.pcps[1]!, 7)).toEqual([101, 94, 94, 94, 87, 87, 87]);
    expect(zone.pcps[0]!.pages).toBe(100);
    expect(zone.buddy.freePages - free).toBe(14);
    expect(zone.buddy.freePagesByType[MIGRATE_UNMOVABLE]).toBe(14);
    verify(k, 1);
  });

  it('does so under 6.12 too, whose lists each count as looked at before', () => {
    const k = build({ ...hostWithLists(100), kernelProfile: '6.12' });
    expect(looks(k, k.zones[0]!.pcps[1]!, 7)).toEqual([93, 93, 93, 86, 86, 86, 79]);
  });

  it('stops after a batch that the threshold hands over without rest', () => {
    const k = build(hostWithLists(100));
    const zone = k.zones[0]!;
    const pcp = zone.pcps[1]!;
    pcp.expire = 2;
    // Six pages are handed over at once, so that seven leave one and six leave none.
    zone.statThreshold = 5;
    zone.pcpBatch = 6;
    expect(looks(k, pcp, 8)).toEqual([100, 94, 94, 94, 94, 94, 94, 94]);
  });

  it('waits for three looks after LRU pages came or went', () => {
    const k = build(hostWithLists(100));
    const pcp = k.zones[0]!.pcps[1]!;
    pcp.counted = true;
    expect(looks(k, pcp, 3)).toEqual([100, 100, 93]);
  });

  it('leaves the lists of a CPU alone that rests', () => {
    const k = build(hostWithLists(100));
    const pcp = k.zones[0]!.pcps[1]!;
    expect(looks(k, pcp, 5)).toEqual([100, 100, 100, 100, 100]);
  });

  it('looks once a second while there is something to hand over, and once more', () => {
    const k = build(hostWithLists(100));
    const pcp = k.zones[0]!.pcps[1]!;
    pcp.counted = true;
    const seen = [0.9, 0.2, 0.7, 0.3, 5].map((seconds) => {
      passTime(k, seconds * 1e9, false);
      updateVmstat(k);
      return pcp.expire;
    });
    // Seconds pass at 1.1 and 2.1; the CPU rests from then on, one look before it would give pages up.
    expect(seen).toEqual([0, 2, 2, 1, 1]);
    expect(pcp.pages).toBe(100);
    refreshVmstat(k);
    expect(pcp.pages).toBe(93);
  });
});
