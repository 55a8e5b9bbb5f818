import * as fc from 'fast-check';
import { LineIndex } from './position';

describe('LineIndex', () => {
  it('counts lines and characters as an editor does', () => {
    const unit = fc.constantFrom('a', 'é', '😀', '\n', '\r\n', '\r', 'x');
    fc.assert(
      fc.property(fc.array(unit, { maxLength: 40 }), fc.nat(40), (units, count) => {
        const source = units.join('');
        const prefix = units.slice(0, count).join('');
        // A CR and an LF that stand beside each other by chance are one line end, so no cut between them.
        fc.pre(!(prefix.endsWith('\r') && source[prefix.length] === '\n'));
        const lines = prefix.split(/\r\n|\n|\r/);
        const column = [...(lines[lines.length - 1] ?? '')].length + 1;
        expect(new LineIndex(source).at(prefix.length)).toEqual({ line: lines.length, column });
      }),
    );
  });
});
