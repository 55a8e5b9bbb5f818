import { twoNodes } from '../test/host';
import { replay } from './replay';
import type { KernelProfileName, ReplayStep } from './types';

/** Node 1's min mark after each step. */
function minMarks(kernelProfile: KernelProfileName, steps: ReplayStep[]): number[] {
  const result = replay({
    host: { ...twoNodes(), kernelProfile, thp: { enabled: 'never', defrag: 'madvise' } },
    runningGuests: [],
    steps,
    seed: 1,
  });
  return result.steps.map(({ snapshot }) => snapshot.nodes[1]!.zones.at(-1)!.minPages);
}

describe('switching huge pages', () => {
  const onAndOff: ReplayStep[] = [
    { op: 'thp', enabled: 'always' },
    { op: 'thp', enabled: 'never' },
  ];

  it('raises marks when khugepaged starts and takes that back when it stops', () => {
    const [on, off] = minMarks('6.1.y', onAndOff);
    expect(on).toBeGreaterThan(2 * off!);
  });

  it('leaves them raised under 5.10', () => {
    const [on, off] = minMarks('5.10', onAndOff);
    expect([on, off]).toEqual([minMarks('6.1.y', onAndOff)[0], on]);
  });

  it('never lowers what the user set higher', () => {
    for (const kernel of ['5.10', '6.1.y', '6.12'] as const) {
      const [set, on] = minMarks(kernel, [
        { op: 'sysctl', name: 'min_free_kbytes', value: 200000 },
        { op: 'thp', enabled: 'always' },
      ]);
      expect(on).toBe(set);
    }
  });
});
