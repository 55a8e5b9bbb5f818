import { guestStep, twoNodes } from '../test/host';
import { gatherBatches } from './mmu-gather';
import { replay } from './replay';
import type { ReplayStep } from './types';

describe('pages of pointers of an unmap', () => {
  it.each([
    [7, 0],
    [8, 1],
    [517, 1],
    [518, 2],
    [9188, 19],
    [1_000_000, 19],
  ])('%i pages take %i', (pointers, batches) => {
    expect(gatherBatches(pointers)).toBe(batches);
  });

  /** Allocations that freeing 1024 pages of a guest causes, call by call. */
  const allocations = (stepPages: number, keepPages: number): number => {
    const free: ReplayStep = {
      op: 'free',
      name: 'g',
      cell: 0,
      offsetPages: 0,
      pages: 1024,
      stepPages,
      keepPages,
    };
    const result = replay({
      host: twoNodes(),
      runningGuests: [],
      steps: [guestStep('g', 2048, { mode: 'default', nodes: [] }), free],
      seed: 1,
      verify: true,
    });
    const [before, after] = result.steps.map(({ snapshot }) => snapshot.vmstat);
    expect(result.steps[1]!.pagesDone).toBe(
      stepPages === 0 ? 1024 : (1024 / stepPages) * (stepPages - keepPages),
    );
    expect(after!.pgfree! - (before!.pgfree ?? 0)).toBe(
      result.steps[1]!.pagesDone + after!.numa_hit! - before!.numa_hit!,
    );
    return after!.numa_hit! - before!.numa_hit!;
  };

  it('are taken once per call and given back', () => {
    // One call of 1024 pages: 1 + floor(1016 / 510) = 2.
    expect(allocations(0, 0)).toBe(2);
    // 64 calls of 8 pages each.
    expect(allocations(16, 8)).toBe(64);
    // 64 calls of 7 pages each fit into the structure itself.
    expect(allocations(16, 9)).toBe(0);
  });
});
