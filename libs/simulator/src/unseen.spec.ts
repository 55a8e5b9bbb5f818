import { cacheStep, twoNodes } from '../test/host';
import { replay } from './replay';
import type { UnseenState } from './types';

const run = (unseen?: Partial<UnseenState>) =>
  replay({
    host: twoNodes(),
    runningGuests: [],
    steps: [cacheStep(25600, 0)],
    seed: 1,
    verify: true,
    ...(unseen && { unseen }),
  });
const slabPages = (unseen?: Partial<UnseenState>): number => {
  const { initial, steps } = run(unseen);
  const [before, after] = [initial, steps[0]!.snapshot].map(({ nodes }) =>
    nodes.reduce((sum, node) => sum + node.slabReclaimablePages, 0),
  );
  return after! - before!;
};

describe('what a host does not print', () => {
  it('is taken in the middle by default', () => {
    expect(
      run({ listShare: 0.5, kernelShare: 0.5, slabShare: 0.5, intervalShare: 0 }).stateHash,
    ).toBe(run().stateHash);
  });

  it('decides how many slabs a file takes', () => {
    // 408 tree nodes, 14 to a slab of two pages: an empty slab in use saves one, a full one none.
    expect([0, 0.5, 1].map((slabShare) => slabPages({ slabShare }))).toEqual([58, 58, 60]);
  });

  it('is a share', () => {
    for (const share of [-0.1, 1.1, Number.NaN]) {
      expect(() => run({ intervalShare: share })).toThrow('unseen.intervalShare');
    }
  });
});
