import * as fc from 'fast-check';
import { IndexSet } from './index-set';

function members(set: IndexSet): number[] {
  const found: number[] = [];
  set.forEach((start, end) => {
    for (let index = start; index < end; index += 1) found.push(index);
  });
  return found;
}

describe('the indices that an owner has pages at', () => {
  it('keeps the first ones of every group and counts what went', () => {
    const set = new IndexSet();
    set.append(10);
    expect(set.remove({ from: 1, to: 8, every: 3, keep: 1 })).toBe(4);
    expect(members(set)).toEqual([0, 1, 4, 7, 8, 9]);
    set.append(2);
    expect(members(set)).toEqual([0, 1, 4, 7, 8, 9, 10, 11]);
  });

  it('agrees with one mark per index', () => {
    const step = fc.record({
      append: fc.nat(20),
      from: fc.nat(60),
      length: fc.nat(60),
      every: fc.integer({ min: 1, max: 5 }),
      keep: fc.nat(6),
    });
    fc.assert(
      fc.property(fc.array(step, { maxLength: 12 }), (steps) => {
        const set = new IndexSet();
        const marks: boolean[] = [];
        for (const { append, from, length, every, keep } of steps) {
          set.append(append);
          for (let i = 0; i < append; i += 1) marks.push(true);
          let removed = 0;
          for (let i = from; i < Math.min(from + length, marks.length); i += 1) {
            if (!marks[i] || (i - from) % every < keep) continue;
            marks[i] = false;
            removed += 1;
          }
          expect(set.remove({ from, to: from + length, every, keep })).toBe(removed);
        }
        expect(members(set)).toEqual(marks.flatMap((mark, index) => (mark ? [index] : [])));
      }),
    );
  });
});
