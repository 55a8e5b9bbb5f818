import type { MachineConfig, MachinePicture } from '../machine';
import { boot } from './boot';
import { referenceMachine } from './index';
import { alloc, lab } from './lab';

/** The node of each page of the first owner, as a string of digits. */
function nodesOfPages(picture: MachinePicture): string {
  return (picture.owners[0]?.frames ?? []).map((frame) => (frame >> 20) - 1).join('');
}

function fallbackOrders(config: MachineConfig): number[][] {
  return boot(config, null).nodes.map((node) => node.fallback.map((other) => other.id));
}

describe('the order of nodes', () => {
  it('turns the first choice round between nodes at the same distance', () => {
    // From 0: 1 and 2 tie at 21, the lower id wins. From 1: node 0 costs one more for its lower id. From 2:
    // 0 and 1 both do, and 1 was somebody's first choice already.
    expect(fallbackOrders(lab([1024, 1024, 1024], 20))).toEqual([
      [0, 1, 2],
      [1, 2, 0],
      [2, 0, 1],
    ]);
  });

  it('prefers a node without CPUs, and leaves out nodes without memory', () => {
    const config = lab([1024, 1024, 1024], 20);
    Object.assign(config.nodes[2] ?? {}, { cpus: [] });
    expect(fallbackOrders(config)[0]).toEqual([0, 2, 1]);
    Object.assign(config.nodes[1] ?? {}, { zones: [] });
    expect(fallbackOrders(config)[0]).toEqual([0, 2]);
    expect(fallbackOrders(config)[1]).toEqual([1, 2, 0]);
  });
});

describe('policies', () => {
  // Three nodes of 1024 pages: min 20, low 25; nothing can be reclaimed from kernel pages.
  const config = lab([1024, 1024, 1024], 60);

  it('interleave by the index of the page, and count what the target served', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('anon', 5, { policy: { mode: 'interleave', nodes: [0, 2] } }));
    machine.run(alloc('anon', 2, { policy: { mode: 'interleave', nodes: [0, 2] } }));
    expect(nodesOfPages(machine.picture())).toBe('0202020');
    expect(machine.picture().vmstat).toMatchObject({ numa_interleave: 7, numa_hit: 7 });
    // Within a cpuset only its nodes take turns: index 7 of one node is that node.
    machine.run(alloc('anon', 2, { policy: { mode: 'interleave', nodes: [0, 2] }, mems: [1, 2] }));
    expect(nodesOfPages(machine.picture())).toBe('020202022');
  });

  it('count a page as hit where the policy wanted it, even far away', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('anon', 3, { policy: { mode: 'bind', nodes: [2] } }));
    expect(machine.picture().nodes[2]?.numastat).toEqual([3, 0, 0, 0, 0, 3]);
    expect(machine.picture().timeNs).toBe(3 * 1500);
  });

  it('count a spilled page as miss where it came to, and as foreign where it was wanted', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('kernel', 1000));
    // 1024 pages down to low = 20 + 5: 999 are local, the next comes from node 1.
    expect(machine.picture().nodes[0]?.numastat).toEqual([999, 0, 1, 0, 999, 0]);
    expect(machine.picture().nodes[1]?.numastat).toEqual([0, 1, 0, 0, 0, 1]);
  });

  it('bind starts with the node nearest to the CPU', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('anon', 1, { cpu: 1, policy: { mode: 'bind', nodes: [0, 2] } }));
    // From node 1 the order is 1, 2, 0.
    expect(nodesOfPages(machine.picture())).toBe('2');
  });

  it('preferred_many takes its nodes down to min before it looks elsewhere', () => {
    const machine = referenceMachine(config);
    machine.run(alloc('kernel', 1010, { policy: { mode: 'preferred_many', nodes: [1] } }));
    // 1024 - 20 pages of node 1; the second pass begins at the CPU's node.
    expect(nodesOfPages(machine.picture())).toBe('1'.repeat(1004) + '0'.repeat(6));
  });

  it('lets atomic requests leave the cpuset, and dip into the reserve, in the slow path', () => {
    const machine = referenceMachine(config);
    const mems = [1];
    machine.run(alloc('kernel', 999, { mems }));
    machine.run(alloc('atomic', 1, { owner: 2, mems }));
    expect(machine.picture().owners[1]?.frames.map((frame) => (frame >> 20) - 1)).toEqual([0]);
    machine.run(alloc('atomic', 2000, { owner: 2, policy: { mode: 'bind', nodes: [1] } }));
    // min 20: half of it, less a quarter of the rest: 20 - 10 - 2 = 8 must stay.
    expect(machine.picture().zones[1]?.free).toBe(8);
  });
});

describe('lowmem_reserve', () => {
  it('keeps lower zones from requests that could use higher ones', () => {
    const config = lab([1024], 24);
    config.nodes[0]?.zones.unshift({ index: 1, startPfn: 4096, pages: 1024 });
    const machine = referenceMachine({
      ...config,
      sysctl: { ...config.sysctl, lowmem_reserve_ratio: [256, 8, 32, 0] },
    });
    expect(machine.picture().zones[0]?.protection).toEqual([0, 0, 128, 128]);
    machine.run(alloc('kernel', 2000));
    // min 12: Normal may sink to 12, DMA32 to 12 + 1024 / 8.
    expect(machine.picture().zones.map((zone) => zone.free)).toEqual([140, 12]);
  });
});
