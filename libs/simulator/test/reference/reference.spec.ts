import type { MachinePicture, ZonePicture } from '../machine';
import { alloc, free, lab, nodeBase } from './lab';
import { referenceMachine } from './index';

const BASE = nodeBase(0);

function zone(picture: MachinePicture, position = 0): ZonePicture {
  return picture.zones[position] as ZonePicture;
}

/** Offsets from the first pfn of node 0 on one free list. */
function offsets(picture: MachinePicture, order: number, type: number): number[] {
  return (zone(picture).lists[order]?.[type] ?? []).map((frame) => frame - BASE);
}

describe('the buddy lists of the reference', () => {
  it('begin with the largest aligned blocks, ascending', () => {
    const config = lab([4096], 64);
    Object.assign(config.nodes[0]?.zones[0] ?? {}, { startPfn: BASE + 1000, pages: 3000 });
    const picture = referenceMachine(config).picture();
    expect(offsets(picture, 3, 1)).toEqual([1000]);
    expect(offsets(picture, 4, 1)).toEqual([1008]);
    expect(offsets(picture, 10, 1)).toEqual([1024, 2048]);
    // 3072..3999 = 512 + 256 + 128 + 32
    expect(offsets(picture, 9, 1)).toEqual([3072]);
    expect(offsets(picture, 8, 1)).toEqual([3584]);
    expect(offsets(picture, 7, 1)).toEqual([3840]);
    expect(offsets(picture, 5, 1)).toEqual([3968]);
    expect(zone(picture).free).toBe(3000);
    // From the block with page 1000 to the one with page 3999.
    expect(zone(picture).pageblockTypes).toHaveLength(7);
  });

  it('split the head block, give out its lower end and keep the upper halves', () => {
    const machine = referenceMachine(lab([4096], 64));
    machine.run(alloc('kernel', 1, { order: 4 }));
    const picture = machine.picture();
    expect(picture.owners).toEqual([{ owner: 1, frames: [BASE] }]);
    for (const order of [4, 5, 6, 7, 8, 9]) {
      expect(offsets(picture, order, 0)).toEqual([1 << order]);
    }
    expect(offsets(picture, 10, 1)).toEqual([1024, 2048, 3072]);
    // The stolen block of 1024 pages takes both its pageblocks along.
    expect(zone(picture).pageblockTypes).toEqual([0, 0, 1, 1, 1, 1, 1, 1]);
    expect(zone(picture).boost).toBe(0);
  });

  it('merge a freed block up to order 10, on the list of its pageblock', () => {
    const machine = referenceMachine(lab([4096], 64));
    machine.run(alloc('kernel', 1, { order: 4 }));
    expect(machine.run(free(0, 1))).toEqual({ done: 1 });
    expect(offsets(machine.picture(), 10, 0)).toEqual([0]);
    expect(machine.picture().vmstat).toMatchObject({ pgalloc_normal: 16, pgfree: 16 });
  });

  it('put a block to the tail when the next larger buddy is free', () => {
    const machine = referenceMachine(lab([4096], 64));
    // 64 blocks of 16 pages are the first 1024 pages, and the next come from the second 1024.
    machine.run(alloc('kernel', 66, { order: 4 }));
    // Block 4 (pages 64..79) alone, then 2 and 3 (32..63, merged to order 5), then 6 (96..111).
    machine.run(free(4, 1));
    expect(offsets(machine.picture(), 4, 0)).toEqual([64]);
    machine.run(free(2, 2));
    expect(offsets(machine.picture(), 5, 0)).toEqual([32, 1024 + 32]);
    machine.run(free(6, 1));
    expect(offsets(machine.picture(), 4, 0)).toEqual([96, 64]);
    // Block 1: its buddy 0 is in use; merged they would meet the free 32..63: tail.
    machine.run(free(1, 1));
    expect(offsets(machine.picture(), 4, 0)).toEqual([96, 64, 16]);
  });
});

describe('stealing from other types', () => {
  /**
   * All of a 4096-page zone is taken by movable pages, of which the first `freed` are freed again from the
   * pageblock at 512, behind the back of the pcp: they are drained.
   */
  function fullZone(freed: number): ReturnType<typeof referenceMachine> {
    const config = lab([4096], 0, { watermark_boost_factor: 15000 });
    const machine = referenceMachine(config);
    machine.run(alloc('anon', 4000));
    machine.run(alloc('kernel', 90, { owner: 2, order: 0 }));
    machine.run(free(512, freed));
    machine.run({ op: 'drain' });
    return machine;
  }

  it('retypes a pageblock of which half is free', () => {
    const machine = fullZone(256);
    machine.run(alloc('kernel', 1, { owner: 3, order: 4 }));
    const picture = machine.picture();
    expect(zone(picture).pageblockTypes[1]).toBe(0);
    // What was 256 pages as one block of order 8 is now on the Unmovable lists.
    expect(offsets(picture, 7, 0)).toEqual([512 + 128]);
    expect(picture.owners[2]?.frames).toEqual([BASE + 512]);
    // high = 0 + 2 * 4 = 8, so the boost may reach max(512, 12).
    expect(zone(picture).boost).toBe(512);
  });

  it('leaves the type to a pageblock of which less than half is free or alike', () => {
    const machine = fullZone(255);
    machine.run(alloc('kernel', 1, { owner: 3, order: 4 }));
    const picture = machine.picture();
    expect(zone(picture).pageblockTypes[1]).toBe(1);
    // 255 pages from 512 on are blocks of 128, 64, 32, 16, ...: the one of 16 at 512 + 224 fits best.
    expect(picture.owners[2]?.frames).toEqual([BASE + 736]);
    expect(offsets(picture, 7, 0)).toEqual([512]);
  });

  it('lets movable requests take the smallest block when all are below order 4', () => {
    const machine = referenceMachine(lab([4096], 0));
    machine.run(alloc('kernel', 4096));
    machine.run(free(16, 8));
    machine.run(free(520, 4));
    machine.run({ op: 'drain' });
    machine.run(alloc('anon', 1, { owner: 3 }));
    const picture = machine.picture();
    expect(picture.owners[1]?.frames).toEqual([BASE + 520]);
    expect(offsets(picture, 3, 0)).toEqual([16]);
    expect(offsets(picture, 1, 1)).toEqual([522]);
    expect(zone(picture).pageblockTypes).toEqual([0, 0, 0, 0, 0, 0, 0, 0]);
  });

  it('reserves a pageblock for an atomic block that had to use its rights', () => {
    const machine = referenceMachine(lab([4096], 1024));
    // low = 1024 + 256: the fast path leaves 1280 pages, the slow path of atomic requests goes on.
    machine.run(alloc('kernel', 4096 - 1280));
    expect(zone(machine.picture()).free).toBe(1280);
    machine.run(alloc('atomic', 1, { owner: 2, order: 1 }));
    const picture = machine.picture();
    expect(zone(picture).reservedHighatomic).toBe(512);
    expect(zone(picture).pageblockTypes.filter((type) => type === 3)).toHaveLength(1);
  });
});

describe('the per-CPU lists', () => {
  // 256 Ki pages: batch 63, low = 1024 + 262, so that high = 1286.
  const large = lab([1 << 18], 1024);

  it('are refilled by a batch of which the first page is used', () => {
    const machine = referenceMachine(large);
    machine.run(alloc('anon', 2));
    const picture = machine.picture();
    expect(zone(picture)).toMatchObject({ min: 1024, low: 1286, high: 1548, free: (1 << 18) - 63 });
    expect(zone(picture).pcps[0]?.lists[1]).toEqual(
      Array.from({ length: 61 }, (_, i) => BASE + 2 + i),
    );
    expect(picture.owners[0]?.frames).toEqual([BASE, BASE + 1]);
  });

  it('hold back 31 blocks of order 1 after the first one', () => {
    const machine = referenceMachine(large);
    machine.run(alloc('kernel', 1, { order: 1 }));
    // 63 >> 1 = 31 blocks are fetched, one is used.
    expect(zone(machine.picture()).pcps[0]).toMatchObject({ count: 60, freeFactor: 0 });
  });

  it('give back the oldest pages, twice as many each time', () => {
    const machine = referenceMachine(large);
    machine.run(alloc('anon', 63 * 40));
    machine.run(free(0, 1285));
    expect(zone(machine.picture()).pcps[0]).toMatchObject({ count: 1285, freeFactor: 0 });
    const before = zone(machine.picture()).free;
    machine.run(free(1285, 1));
    expect(zone(machine.picture()).free).toBe(before + 63);
    expect(zone(machine.picture()).pcps[0]).toMatchObject({ count: 1286 - 63, freeFactor: 1 });
    // The 63 oldest, pages 0..62, are free in the zone; page 63 is the next to go.
    expect(zone(machine.picture()).pcps[0]?.lists[1]?.at(-1)).toBe(BASE + 63);
    machine.run(free(1286, 63));
    expect(zone(machine.picture()).free).toBe(before + 63 + 126);
    expect(zone(machine.picture()).pcps[0]).toMatchObject({ freeFactor: 2 });
  });

  it('leave pages stranded when the zone sinks below its marks', () => {
    const machine = referenceMachine(large);
    const { done } = machine.run(alloc('kernel', 1 << 18));
    const { free: left, pcps } = zone(machine.picture());
    // low: (262144 - 1286 - 1) div 63 + 1 = 4141 refills leave 1261, below low and above min: the slow path
    // refills (1261 - 1024 - 1) div 63 + 1 = 4 times more, until 1009 are free and only one page is given.
    expect(left).toBe((1 << 18) - 4145 * 63);
    expect(left).toBe(1009);
    expect(pcps[0]?.count).toBe(62);
    expect(done).toBe(4144 * 63 + 1);
  });
});
