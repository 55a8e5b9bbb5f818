import type { HotplugOp, MachineConfig, MachinePicture, ZonePicture } from '../machine';
import { alloc, lab, nodeBase } from './lab';
import { referenceMachine } from './index';

const BASE = nodeBase(0);

/** Two nodes of four blocks each; 1 ns for each page looked at, 1000 for each page moved. */
function twoNodes(): MachineConfig {
  const compaction = { compactScanNs: 1, migrateNs: 1000, firstCompactCheckNs: 512_000_000 };
  return { ...lab([4096, 4096], 20), compaction };
}

const block = (op: HotplugOp['op'], at: number, count = 1): HotplugOp => ({
  op,
  node: 0,
  zone: 2,
  block: at,
  count,
});

function zones({ zones: all }: MachinePicture): [ZonePicture, ZonePicture] {
  return [all[0] as ZonePicture, all[1] as ZonePicture];
}

describe('memory hotplug in the reference', () => {
  it('moves what stands in the block to the other node, lowest page first', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(alloc('anon', 100));
    const before = machine.picture();
    expect(machine.run(block('offline', 0))).toEqual({ done: 1024 });
    machine.verify();
    const picture = machine.picture();
    const moved = Array.from({ length: 100 }, (_, i) => nodeBase(1) + i);
    expect(picture.owners[0]?.frames).toEqual(moved);
    // The last page that moved stands at the head.
    expect(picture.nodes[1]?.lru[0]).toEqual([...moved].reverse());
    expect(picture.vmstat).toMatchObject({ pgmigrate_success: 100 });
    // A look that finds pages, one that finds none.
    expect(picture.timeNs - before.timeNs).toBe(2 * 1024 + 100 * 1000);
  });

  it('takes the block off the zone and computes the marks anew', () => {
    const machine = referenceMachine(twoNodes());
    expect(machine.run(block('offline', 0))).toEqual({ done: 1024 });
    const [zone, other] = zones(machine.picture());
    expect(zone).toMatchObject({ startPfn: BASE + 1024, spanned: 3072, managed: 3072, free: 3072 });
    expect(zone.lists[10]?.[1]).toEqual([1024, 2048, 3072].map((page) => BASE + page));
    // High was 18 on both: sqrt((3072 - 18 + 4096 - 18) * 4 * 16) is 675 KiB, 168 pages, shared by what is managed.
    expect([zone.min, other.min]).toEqual([72, 96]);
  });

  it('leaves a hole where memory goes from the middle', () => {
    const machine = referenceMachine(twoNodes());
    expect(machine.run(block('offline', 1))).toEqual({ done: 1024 });
    expect(zones(machine.picture())[0]).toMatchObject({
      startPfn: BASE,
      spanned: 4096,
      managed: 3072,
    });
    // The end goes too: the span ends where memory does.
    expect(machine.run(block('offline', 2, 2))).toEqual({ done: 2048 });
    expect(zones(machine.picture())[0]).toMatchObject({
      startPfn: BASE,
      spanned: 1024,
      managed: 1024,
    });
  });

  it('refuses where the kernel holds a page, and keeps the last memory of a zone', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(alloc('kernel', 1, { owner: 2 }));
    const free = (): number[] => zones(machine.picture()).map((zone) => zone.free);
    const before = free();
    expect(machine.run(block('offline', 0))).toEqual({ done: 0 });
    expect(machine.run(block('offline', 0, 4))).toEqual({ done: 0 });
    expect(free()).toEqual(before);
    machine.verify();
  });

  it('gives isolated pageblocks back as movable ones, whatever they were', () => {
    const machine = referenceMachine(twoNodes());
    // 1024 kernel pages make a whole block unmovable, one more the next; of that one nothing is left.
    machine.run(alloc('kernel', 1025, { owner: 2 }));
    machine.run({ op: 'free', owner: 2, cpu: 0, from: 0, count: 1024, every: 1, keep: 0 });
    expect(zones(machine.picture())[0].pageblockTypes).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    // The first pageblock, the last and the second are isolated, then the third is refused.
    expect(machine.run(block('offline', 0, 2))).toEqual({ done: 0 });
    const { pageblockTypes } = zones(machine.picture())[0];
    expect(pageblockTypes.slice(0, 4)).toEqual([1, 1, 0, 1]);
  });

  it('brings a block back to the tail of the free list', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(block('offline', 0));
    expect(machine.run(block('online', 1))).toEqual({ done: 0 });
    expect(machine.run(block('online', 0))).toEqual({ done: 1024 });
    machine.verify();
    const picture = machine.picture();
    const [zone] = zones(picture);
    expect(zone).toMatchObject({ startPfn: BASE, spanned: 4096, managed: 4096, free: 4096 });
    expect(zone.lists[10]?.[1]).toEqual([1024, 2048, 3072, 0].map((page) => BASE + page));
    expect(picture.vmstat).toMatchObject({ pgfree: 1024 });
  });
});
