import { noteOtherStarts, spreadOf } from './other-starts';
import type { ScoredCase, ScoredObservable } from './score';

const row = (simulated: number, inside: boolean): ScoredObservable => ({
  ...{ step: 3, key: 'extfrag.0.DMA32.order9', kind: 'levels', counts: true },
  ...{ min: 0.7, median: 0.75, max: 0.8, simulated, inside },
});
const scored = (one: ScoredObservable): ScoredCase => ({
  id: 'A01',
  observables: [one],
  tallies: {},
});

/** A miss at 0.9 beside what replays from other start states predict. */
function noted(predicted: readonly number[], inside = false): ScoredObservable {
  const miss = row(0.9, false);
  let turn = 0;
  noteOtherStarts(scored(miss), () => {
    const value = predicted[turn % predicted.length]!;
    turn += 1;
    return scored(row(value, inside && value < 0.9));
  });
  expect(turn).toBe(12);
  return miss;
}

describe('replays from other start states', () => {
  it('show a miss to be open where one of them is right', () => {
    expect(noted([0.95, 0.78], true)).toMatchObject({ replays: [0.78, 0.95], undetermined: true });
  });

  it('show it to be open where they lie on both sides of the kernel', () => {
    expect(noted([0.95, 0.6])).toMatchObject({ replays: [0.6, 0.95], undetermined: true });
  });

  it('show nothing where all of them lie on one side', () => {
    const miss = noted([0.95, 0.85]);
    expect(miss.replays).toEqual([0.85, 0.95]);
    expect(miss.undetermined).toBeUndefined();
  });

  it('do not count a zone with large blocks as a low index', () => {
    expect(noted([-1, 0.85]).undetermined).toBeUndefined();
    expect(spreadOf([-1, null, 'ok'])).toBeNull();
  });

  it('are not asked for a case without misses', () => {
    noteOtherStarts(scored(row(0.75, true)), () => {
      throw new Error('replayed');
    });
  });
});
