import * as fc from 'fast-check';
import { formatSet, parseSet } from './bitmap';

describe('node and CPU sets', () => {
  it.each([
    ['0-3,^1', [0, 2, 3]],
    ['^1,0-2', [0, 1, 2]],
    ['0,', [0]],
    [' 0 , 1 ', [0, 1]],
    ['0 - 1', [0, 1]],
    ['1,1', [1]],
    ['16383', [16383]],
    ['0,^0', []],
  ])('reads %j', (text, value) => {
    expect(parseSet(text)).toEqual({ ok: true, value });
  });

  it.each(['', '  ', ',', '0,,1', '0-', '-1', '1-0', '0x1', '+1', 'a', '^0-1', '16384', '1 2'])(
    'refuses %j',
    (text) => {
      expect(parseSet(text).ok).toBe(false);
    },
  );

  it('reads back whatever it writes', () => {
    const ids = fc.uniqueArray(fc.nat(16383), { minLength: 1, maxLength: 50 });
    fc.assert(
      fc.property(ids, (set) => {
        const value = [...set].sort((a, b) => a - b);
        expect(parseSet(formatSet(set))).toEqual({ ok: true, value });
      }),
    );
  });
});
