import fc from 'fast-check';
import { BlockCounts } from './page-map';

describe('BlockCounts', () => {
  it('spreads pages over the blocks of a range', () => {
    const counts = new BlockCounts();
    expect(counts.spread(256, 512, 512)).toBe(0);
    expect([counts.get(0), counts.get(1), counts.total]).toEqual([256, 256, 512]);
  });

  it('never loses a page and never exceeds a block', () => {
    const change = fc.record({
      offset: fc.integer({ min: 0, max: 4000 }),
      span: fc.integer({ min: 1, max: 3000 }),
      share: fc.double({ min: 0, max: 1, noNaN: true }),
      remove: fc.boolean(),
    });
    fc.assert(
      fc.property(fc.array(change, { maxLength: 30 }), (changes) => {
        const counts = new BlockCounts();
        let expected = 0;
        for (const { offset, span, share, remove } of changes) {
          const pages = Math.floor(span * share) * (remove ? -1 : 1);
          expected += pages - counts.spread(offset, span, pages);
          const blocks = Array.from({ length: counts.blocks }, (_, i) => counts.get(i));
          expect(blocks.every((count) => count >= 0 && count <= 512)).toBe(true);
          expect(blocks.reduce((sum, count) => sum + count, 0)).toBe(counts.total);
          expect(counts.total).toBe(expected);
        }
      }),
    );
  });
});
