import { twoNodes } from '../test/host';
import { MIGRATE_MOVABLE, MIGRATE_RECLAIMABLE, MIGRATE_UNMOVABLE } from './buddy';
import { typeShares } from './initial-pcp';
import { buildKernel } from './kernel';
import { passTime, type KernelState } from './kernel-state';
import { orderToPindex, pcpPages } from './pcp';
import type { HostModel } from './types';
import { verify } from './verify';
import { updateVmstat } from './vmstat-work';

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

  it("are the kernel's for no more pages than it still has", () => {
    const used = { lruPages: 0, kernelPages: 64, heldPages: 1024 };
    expect(typeShares(512, used, [2, 50, 0, 0])).toEqual([32, 480, 0]);
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
  it('hold as many pages as the host says, the kernel ones from Unmovable pageblocks', () => {
    const k = build(hostWithLists(100));
    verify(k, 0);
    const zone = k.zones[0]!;
    expect(pcpPages(zone)).toBe(200);
    for (const pcp of zone.pcps) {
      const frames = pcp.lists[orderToPindex(0, MIGRATE_UNMOVABLE)]!.frames();
      expect(frames.length).toBe(100);
      for (const frame of frames) {
        expect(zone.buddy.typeOf(frame)).toBe(MIGRATE_UNMOVABLE);
        expect(zone.buddy.orderAt(frame)).toBeLessThan(0);
      }
    }
    expect(k.zones[1]!.pcps[0]!.lists[orderToPindex(0, MIGRATE_MOVABLE)]!.count).toBe(100);
  });

  it('hold half a refill of slabs for page cache nodes, on the CPUs of the node alone', () => {
    const host = hostWithLists(100);
    host.nodes[0]!.zones[0]!.pageblocksByType = { Unmovable: 1, Movable: 61, Reclaimable: 2 };
    for (const pageset of host.nodes[0]!.zones[0]!.pagesets) pageset.batchPages = 31;
    const k = build(host);
    verify(k, 0);
    const zone = k.zones[0]!;
    expect(zone.pcpBatch).toBe(31);
    const slabs = zone.pcps.map((pcp) => pcp.lists[orderToPindex(1, MIGRATE_RECLAIMABLE)]!);
    // The batch is 31 pages: a refill of order 1 takes 15 blocks, of which seven are found.
    expect(slabs.map(({ count }) => count)).toEqual([7, 0]);
    for (const frame of slabs[0]!.frames()) {
      expect(frame % 2).toBe(0);
      expect(zone.buddy.typeOf(frame)).toBe(MIGRATE_RECLAIMABLE);
    }
    expect(zone.pcps.map((pcp) => pcp.pages)).toEqual([100, 100]);
  });
});

describe('the statistics work', () => {
  it("gives one batch of another node's pages back, and no more until they are used again", () => {
    const k = build(hostWithLists(100));
    const zone = k.zones[0]!;
    const { pcpBatch } = zone;
    const free = zone.buddy.freePages;
    updateVmstat(k);
    expect(zone.pcps.map((pcp) => pcp.pages)).toEqual([100, 100 - pcpBatch]);
    expect(zone.buddy.freePages - free).toBe(pcpBatch);
    expect(zone.buddy.freePagesByType[MIGRATE_UNMOVABLE]).toBe(pcpBatch);
    passTime(k, 10e9, false);
    updateVmstat(k);
    expect(zone.pcps[1]!.pages).toBe(100 - pcpBatch);
    verify(k, 1);
  });

  it('waits for three looks without use', () => {
    const k = build(hostWithLists(100));
    const pcp = k.zones[0]!.pcps[1]!;
    pcp.expire = 0;
    pcp.used = true;
    const seen = [0, 1, 1, 1].map((seconds) => {
      passTime(k, seconds * 1e9, false);
      updateVmstat(k);
      return pcp.pages;
    });
    const { pcpBatch } = k.zones[0]!;
    expect(seen).toEqual([100, 100, 100 - pcpBatch, 100 - pcpBatch]);
  });
});
