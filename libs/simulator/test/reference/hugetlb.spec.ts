import type { HugetlbPicture, MachineOp, MachinePolicy } from '../machine';
import { alloc, DEFAULT_POLICY, lab, nodeBase } from './lab';
import { referenceMachine } from './index';
import type { ReferenceMachine } from './index';

const task = { cpu: 0, policy: DEFAULT_POLICY, mems: null };

const pool = (count: number, node: number | null = null): MachineOp => {
  return { op: 'hugepages', count, node, policy: DEFAULT_POLICY };
};
const map = (mapping: number, pages: number, reserve = true): MachineOp => {
  return { op: 'mapHuge', mapping, ...task, pages, reserve };
};
const touch = (mapping: number, from: number, count: number): MachineOp => {
  return { op: 'touchHuge', mapping, ...task, from, count };
};

function machineOf(sizes: number[]): ReferenceMachine {
  return referenceMachine(lab(sizes, 20));
}

/** Total, free and surplus pages of each node. */
function counts({ nodes }: HugetlbPicture): number[][] {
  return nodes.map(({ total, free, surplus }) => [total, free.length, surplus]);
}

/** Runs operations, and shows what the last one answered and what each node's pool has then. */
function run(machine: ReferenceMachine, ...ops: MachineOp[]): [number, number[][]] {
  const answers = ops.map((op) => machine.run(op).done);
  machine.verify();
  return [answers.at(-1)!, counts(machine.picture().hugetlb)];
}

describe('the pool of huge pages of the reference', () => {
  it('grows in turns that go on where they ended, and fills as far as memory goes', () => {
    const machine = machineOf([4096, 2048]);
    expect(run(machine, pool(3))).toEqual([
      3,
      [
        [2, 2, 0],
        [1, 1, 0],
      ],
    ]);
    // The first of the lowest block of 1024 pages, then what is left of it, freed last.
    const base = nodeBase(0);
    expect(machine.picture().hugetlb.nodes[0]!.free).toEqual([base + 512, base]);
    expect(machine.picture().hugetlb.nextToAlloc).toBe(1);
    // 4096 and 2048 pages are 8 and 4 huge ones, of which the marks keep one each.
    expect(run(machine, pool(100))).toEqual([
      10,
      [
        [7, 7, 0],
        [3, 3, 0],
      ],
    ]);
    expect(machine.picture().vmstat).toMatchObject({ htlb_buddy_alloc_success: 10 });
  });

  it('of a node takes and gives on that node alone', () => {
    const machine = machineOf([4096, 4096]);
    expect(run(machine, pool(4), pool(3, 1))[1]).toEqual([
      [2, 2, 0],
      [3, 3, 0],
    ]);
    expect(run(machine, pool(0, 0))).toEqual([
      0,
      [
        [0, 0, 0],
        [3, 3, 0],
      ],
    ]);
  });

  it('follows the policy of the task that writes', () => {
    const policy: MachinePolicy = { mode: 'bind', nodes: [1] };
    const write: MachineOp = { op: 'hugepages', count: 3, node: null, policy };
    expect(run(machineOf([4096, 4096]), write)[1]).toEqual([
      [0, 0, 0],
      [3, 3, 0],
    ]);
  });

  it('keeps what is used and promised when it shrinks, as surplus that goes with its user', () => {
    const machine = machineOf([8192]);
    const [, shrunk] = run(machine, pool(6), map(0, 4), touch(0, 0, 1), pool(1));
    expect(shrunk).toEqual([[4, 3, 3]]);
    const [freed, ended] = run(machine, { op: 'unmapHuge', mapping: 0, cpu: 0 });
    // The used page leaves as surplus; of two more surplus pages both were promised and are free.
    expect([freed, ended]).toEqual([1, [[1, 1, 0]]]);
  });

  it('holds promised pages back from others', () => {
    const machine = machineOf([8192]);
    const [done] = run(machine, pool(4), map(0, 3), map(1, 2, false), touch(1, 0, 2));
    expect(done).toBe(1);
    expect(run(machine, touch(0, 0, 3))[0]).toBe(3);
  });

  it('has no promise for a page that was given back', () => {
    const machine = machineOf([8192]);
    const zap: MachineOp = { op: 'zapHuge', mapping: 0, cpu: 0, from: 0, count: 1 };
    const other = [map(1, 1, false), touch(1, 0, 1)];
    const [done] = run(machine, pool(2), map(0, 2), touch(0, 0, 1), zap, ...other, touch(0, 0, 1));
    expect(done).toBe(0);
    expect(run(machine, touch(0, 1, 1))[0]).toBe(1);
  });

  it('is exceeded as far as overcommit allows', () => {
    const machine = machineOf([8192]);
    const more: MachineOp = { op: 'overcommit', count: 2 };
    expect(run(machine, pool(1), more, map(0, 4))).toEqual([0, [[1, 1, 0]]]);
    expect(run(machine, map(0, 3))).toEqual([1, [[3, 3, 2]]]);
    expect(run(machine, { op: 'unmapHuge', mapping: 0, cpu: 0 })[1]).toEqual([[1, 1, 0]]);
  });

  it('grows into page cache, which lies in order, and not into memory that nobody can take', () => {
    const cache = machineOf([4096]);
    cache.run(alloc('file', 4000));
    expect(run(cache, pool(2))[0]).toBe(2);
    expect(cache.picture().vmstat.pgsteal_kswapd).toBeGreaterThanOrEqual(1024);
    const anon = machineOf([4096]);
    anon.run(alloc('anon', 4000));
    // Without compaction a request for 512 pages in a row asks once.
    expect(run(anon, pool(2))[0]).toBe(0);
    expect(anon.picture().vmstat.htlb_buddy_alloc_fail).toBe(1);
  });
});
