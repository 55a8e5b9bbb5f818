/** Logs that were damaged on the way: every one is read or refused with problems. */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { FACT_CODES } from '../errors';
import { diagnose } from './diagnose';
import { parseKernelLog } from './log-report';

const folder = join(__dirname, '..', '..', 'test', 'fixtures', 'logs');
const logs = readdirSync(folder).map((name) => readFileSync(join(folder, name), 'utf8'));

/** Cuts, doubles, swaps and overwrites pieces of a text. */
const edit = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
  length: fc.nat(80),
  how: fc.constantFrom('cut', 'double', 'number', 'noise'),
  noise: fc.string({ maxLength: 12 }),
});

describe('damaged kernel logs', () => {
  it('are read or refused, and what is read can be explained', () => {
    let read = 0;
    fc.assert(
      fc.property(
        fc.constantFrom(...logs),
        fc.array(edit, { minLength: 1, maxLength: 6 }),
        (log, edits) => {
          let text = log;
          for (const { at, length, how, noise } of edits) {
            const from = Math.floor(at * text.length);
            const piece = text.slice(from, from + length);
            const instead = {
              cut: '',
              double: piece + piece,
              number: piece.replace(/\d/g, '9'),
              noise,
            }[how];
            text = text.slice(0, from) + instead + text.slice(from + length);
          }
          const parsed = parseKernelLog(text);
          if (!parsed.ok) {
            expect(parsed.problems.length).toBeGreaterThan(0);
            for (const { code } of parsed.problems) expect(FACT_CODES).toContain(code);
            return;
          }
          read += 1;
          for (const report of parsed.value) expect(diagnose(report).line).toBe(report.line);
        },
      ),
      { numRuns: 2000, seed: 6 },
    );
    expect(read).toBeGreaterThan(200);
  });

  it('of megabytes without a line end or with nothing but beginnings stay within their limits', () => {
    const endless = parseKernelLog('x'.repeat(1_000_000));
    expect(endless).toMatchObject({ ok: false, problems: [{ code: 'line-too-long' }] });
    const many = 'a: page allocation failure: order:0, mode:0x20\n'.repeat(5000);
    expect(parseKernelLog(many)).toMatchObject({
      ok: false,
      problems: [{ code: 'limit-exceeded' }],
    });
  });
});
