import type {
  HotplugOp,
  MachineConfig,
  MachineOp,
  MachinePicture,
  MachinePolicy,
  ZonePicture,
} from '../machine';
import { DEFAULT_POLICY, alloc, lab, nodeBase } from './lab';
import { referenceMachine } from './index';

const BASE = nodeBase(0);

/** Two nodes of four blocks each; 1 ns for each page looked at, 1000 for each page moved. */
function twoNodes(): MachineConfig {
  const compaction = { compactScanNs: 1, migrateNs: 1000, firstCompactCheckNs: 512_000_000 };
  return { ...lab([4096, 4096], 20), compaction };
}

const blocks = { node: 0, count: 1 };
const offline = (block: number, over: Partial<typeof blocks> = {}): HotplugOp => {
  return { op: 'offline', ...blocks, block, ...over };
};
const online = (
  block: number,
  over: Partial<typeof blocks & { op: 'online_kernel' | 'online_movable'; memmap: true }> = {},
): HotplugOp => ({ op: 'online', ...blocks, block, memmap: false, ...over });

function zones({ zones: all }: MachinePicture): [ZonePicture, ZonePicture] {
  return [all[0] as ZonePicture, all[1] as ZonePicture];
}

describe('memory hotplug in the reference', () => {
  it('moves what stands in the block to the other node, lowest page first', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(alloc('anon', 100));
    const before = machine.picture();
    expect(machine.run(offline(0))).toEqual({ done: 1024 });
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
    expect(machine.run(offline(0))).toEqual({ done: 1024 });
    const [zone, other] = zones(machine.picture());
    expect(zone).toMatchObject({ startPfn: BASE + 1024, spanned: 3072, managed: 3072, free: 3072 });
    expect(zone.lists[10]?.[1]).toEqual([1024, 2048, 3072].map((page) => BASE + page));
    // High was 18 on both: sqrt((3072 - 18 + 4096 - 18) * 4 * 16) is 675 KiB, 168 pages, shared by what is managed.
    expect([zone.min, other.min]).toEqual([72, 96]);
  });

  it('leaves a hole where memory goes from the middle', () => {
    const machine = referenceMachine(twoNodes());
    expect(machine.run(offline(1))).toEqual({ done: 1024 });
    expect(zones(machine.picture())[0]).toMatchObject({
      startPfn: BASE,
      spanned: 4096,
      managed: 3072,
    });
    // The end goes too: the span ends where memory does.
    expect(machine.run(offline(2, { count: 2 }))).toEqual({ done: 2048 });
    expect(zones(machine.picture())[0]).toMatchObject({
      startPfn: BASE,
      spanned: 1024,
      managed: 1024,
    });
  });

  it('refuses where the kernel holds a page', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(alloc('kernel', 1, { owner: 2 }));
    const free = (): number[] => zones(machine.picture()).map((zone) => zone.free);
    const before = free();
    expect(machine.run(offline(0))).toEqual({ done: 0 });
    expect(machine.run(offline(0, { count: 4 }))).toEqual({ done: 0 });
    expect(free()).toEqual(before);
    machine.verify();
  });

  it('takes the last memory of a zone, and with it the node out of every list', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(alloc('anon', 100));
    expect(machine.run(offline(0, { count: 4 }))).toEqual({ done: 4096 });
    machine.verify();
    const picture = machine.picture();
    expect(picture.zones.map(({ node }) => node)).toEqual([1]);
    expect(picture.nodes[0]).toMatchObject({ kswapdNextNs: Infinity, kcompactdNextNs: Infinity });
    // All that the machine has lies on node 1: nothing is asked of node 0 any more, by policy either.
    expect(machine.run(alloc('anon', 10, { owner: 2 }))).toEqual({ done: 10 });
    const policy: MachinePolicy = { mode: 'bind', nodes: [0] };
    expect(machine.run(alloc('anon', 10, { owner: 3, policy }))).toEqual({ done: 0 });
    expect(machine.run(offline(0, { node: 1, count: 4 }))).toEqual({ done: 0 });
  });

  it('begins anew with the zone where memory comes back to it', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(offline(0, { count: 4 }));
    const before = machine.picture();
    expect(machine.run(online(2))).toEqual({ done: 1024 });
    machine.verify();
    const picture = machine.picture();
    const [zone] = zones(picture);
    expect(zone).toMatchObject({ startPfn: BASE + 2048, spanned: 1024, present: 1024, free: 1024 });
    // The zone had no high mark, the other 189: sqrt((1024 + 4096 - 189) * 4 * 16) is 561 KiB, 140 pages.
    expect(before.zones[0]?.high).toBe(189);
    expect(zones(picture).map(({ min }) => min)).toEqual([28, 112]);
    // Its kswapd looks around and naps.
    expect(picture.nodes[0]).toMatchObject({ kswapdState: 'napping', kswapdFailures: 0 });
    expect(picture.nodes[0]?.kswapdNextNs).toBe(picture.timeNs + 100_000_000);
  });

  it('brings memory to the zone that is named', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(offline(1, { count: 2 }));
    expect(machine.run(online(1, { op: 'online_movable' }))).toEqual({ done: 1024 });
    // Now it lies in both spans, which is ordinary memory then.
    expect(machine.run(online(2))).toEqual({ done: 1024 });
    machine.verify();
    const all = machine.picture().zones;
    expect(
      all.map(({ node, index, startPfn, spanned, managed }) => [
        node,
        index,
        startPfn,
        spanned,
        managed,
      ]),
    ).toEqual([
      [0, 2, BASE, 4096, 3072],
      [0, 3, BASE + 1024, 1024, 1024],
      [1, 2, nodeBase(1), 4096, 4096],
    ]);
    // Where the zone has no memory nothing is said of pageblocks.
    expect(all[0]?.pageblockTypes).toEqual([1, 1, 255, 255, 1, 1, 1, 1]);
    // (1024 pages) / 32
    expect(all[0]?.protection).toEqual([0, 0, 0, 32]);
  });

  it('has new memory hold its own memmap', () => {
    const config = twoNodes();
    config.nodes[0]!.hotplug = { startPfn: BASE, blocks: 6 };
    const machine = referenceMachine(config);
    expect(machine.run(offline(4))).toEqual({ done: 0 });
    expect(machine.run(online(4, { memmap: true }))).toEqual({ done: 1024 });
    machine.verify();
    const [zone] = zones(machine.picture());
    expect(zone).toMatchObject({ spanned: 5120, present: 5120, managed: 4608, free: 4608 });
    expect(zone.pageblockTypes).toEqual([1, 1, 1, 1, 1, 1, 1, 1, 0, 1]);
    expect(zone.lists[9]?.[1]).toEqual([BASE + 4096 + 512]);
    // It comes and goes alone.
    expect(machine.run(offline(3, { count: 2 }))).toEqual({ done: 0 });
    expect(machine.run(offline(4))).toEqual({ done: 1024 });
    expect(zones(machine.picture())[0]).toMatchObject({
      spanned: 4096,
      present: 4096,
      managed: 4096,
    });
  });

  const task = { cpu: 0, policy: DEFAULT_POLICY, mems: null };
  const pool = (count: number, node: number): MachineOp => {
    return { op: 'hugepages', count, node, policy: task.policy };
  };
  const map = (pages: number, reserve = false): MachineOp => {
    return { op: 'mapHuge', mapping: 0, ...task, pages, reserve };
  };
  const touch = (count: number): MachineOp => {
    return { op: 'touchHuge', mapping: 0, ...task, from: 0, count };
  };

  it('moves huge pages in use to free ones of the pool, and has the pool lose what they left', () => {
    const machine = referenceMachine(twoNodes());
    [pool(2, 0), pool(1, 1), map(2), touch(2)].forEach((op) => machine.run(op));
    const before = machine.picture();
    const [first, second] = before.hugetlb.mappings[0]!.frames as [number, number];
    expect([first, second]).toEqual([BASE + 512, BASE]);
    const [spare] = before.hugetlb.nodes[1]!.free as [number];
    expect(machine.run(offline(0))).toEqual({ done: 1024 });
    machine.verify();
    const { hugetlb, vmstat, timeNs } = machine.picture();
    // The lower one goes first, to the only page that the pool can spare; the other needs a fresh one.
    expect(hugetlb.mappings[0]?.frames[1]).toBe(spare);
    expect(hugetlb.mappings[0]?.frames[0]).toBeGreaterThan(nodeBase(1) - 1);
    expect(hugetlb.nodes).toEqual([
      { total: 0, surplus: 0, free: [] },
      { total: 2, surplus: 0, free: [] },
    ]);
    // Three were asked for; the freed one was dissolved.
    expect(hugetlb.max).toBe(2);
    expect(vmstat).toMatchObject({ pgmigrate_success: 1024, htlb_buddy_alloc_success: 4 });
    // Two looks, two moves, one page of the pool made.
    expect(timeNs - before.timeNs).toBe(2 * 1024 + 1024 * 1000 + 4000);
  });

  it('takes surplus along with a huge page that is replaced', () => {
    const machine = referenceMachine(twoNodes());
    const overcommit: MachineOp = { op: 'overcommit', count: 1 };
    [overcommit, map(1), touch(1)].forEach((op) => machine.run(op));
    expect(machine.picture().hugetlb.nodes[0]).toEqual({ total: 1, surplus: 1, free: [] });
    expect(machine.run(offline(0))).toEqual({ done: 1024 });
    expect(machine.picture().hugetlb.nodes).toEqual([
      { total: 0, surplus: 0, free: [] },
      { total: 1, surplus: 1, free: [] },
    ]);
  });

  it('keeps free huge pages that were promised', () => {
    const machine = referenceMachine(twoNodes());
    [pool(2, 0), map(1, true)].forEach((op) => machine.run(op));
    expect(machine.run(offline(0))).toEqual({ done: 0 });
    machine.verify();
    const { nodes, max, reserved } = machine.picture().hugetlb;
    expect([nodes[0]?.total, max, reserved]).toEqual([1, 1, 1]);
  });

  it('gives isolated pageblocks back as movable ones, whatever they were', () => {
    const machine = referenceMachine(twoNodes());
    // 1024 kernel pages make a whole block unmovable, one more the next; of that one nothing is left.
    machine.run(alloc('kernel', 1025, { owner: 2 }));
    machine.run({ op: 'free', owner: 2, cpu: 0, from: 0, count: 1024, every: 1, keep: 0 });
    expect(zones(machine.picture())[0].pageblockTypes).toEqual([0, 0, 0, 0, 1, 1, 1, 1]);
    // The first pageblock, the last and the second are isolated, then the third is refused.
    expect(machine.run(offline(0, { count: 2 }))).toEqual({ done: 0 });
    const { pageblockTypes } = zones(machine.picture())[0];
    expect(pageblockTypes.slice(0, 4)).toEqual([1, 1, 0, 1]);
  });

  it('brings a block back to the tail of the free list', () => {
    const machine = referenceMachine(twoNodes());
    machine.run(offline(0));
    expect(machine.run(online(1))).toEqual({ done: 0 });
    expect(machine.run(online(0))).toEqual({ done: 1024 });
    machine.verify();
    const picture = machine.picture();
    const [zone] = zones(picture);
    expect(zone).toMatchObject({ startPfn: BASE, spanned: 4096, managed: 4096, free: 4096 });
    expect(zone.lists[10]?.[1]).toEqual([1024, 2048, 3072, 0].map((page) => BASE + page));
    expect(picture.vmstat).toMatchObject({ pgfree: 1024 });
  });
});
