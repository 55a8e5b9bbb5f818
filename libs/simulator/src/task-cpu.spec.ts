import { guestStep, makeHost } from '../test/host';
import { addGuest, buildKernel } from './kernel';
import type { KernelState } from './kernel-state';
import { cpusOf, spreadOverCpus } from './task-cpu';
import type { ReplayStep } from './types';

/** CPUs 0 to 2 on node 0, CPU 3 on node 1, CPUs 4 and 5 on node 2. */
function kernel(): KernelState {
  const zones = [{ name: 'Normal' as const, pages: 8192 }];
  const host = makeHost([3, 1, 2].map((cpus) => ({ cpus, zones })));
  return buildKernel({ host, runningGuests: [], steps: [], seed: 1 });
}

describe('CPUs of a process', () => {
  it.each<[string, number[], boolean, number[]]>([
    ['that was there take a node’s in turn', [0], false, [0, 1, 2, 0]],
    ['that the first process starts leave it its CPU', [0], true, [1, 2, 1, 2]],
    ['are those of the node where it has only one', [1], true, [3, 3, 3, 3]],
    ['are all of another node’s', [2], true, [4, 5, 4, 5]],
  ])('%s', (_, nodes, forked, expected) => {
    const k = kernel();
    expect(expected.map((__, turn) => cpusOf(k, nodes, turn, forked))).toEqual(
      expected.map((cpu) => [cpu]),
    );
  });

  it('spread over a node where several would share one, and stay there', () => {
    const k = kernel();
    const guests = ['a', 'b', 'c', 'd'].map((name) => {
      const step = guestStep(name, 1, { mode: 'default', nodes: [] });
      const { guest } = step as Extract<ReplayStep, { op: 'guest' }>;
      const none = { unmovablePages: 0, unmovablePairs: 0, movablePages: 0 };
      return addGuest(k, { ...guest, processPages: { parent: none, own: none } });
    });
    const cpus = () => guests.map((guest) => guest.cpuPositions[0]![0]);
    const all = () => guests.map((guest) => ({ guest, index: 0 }));
    expect(cpus()).toEqual([1, 2, 1, 2]);
    // The third finds CPU 0 idle, the fourth none.
    expect(spreadOverCpus(k, all())).toEqual([1, 2, 0]);
    expect(cpus()).toEqual([1, 2, 0, 2]);
    expect(spreadOverCpus(k, all().slice(2))).toEqual([0, 2]);
    expect(cpus()).toEqual([1, 2, 0, 2]);
  });
});
