import fc from 'fast-check';
import { jsonDepthExceeds } from './body-parsers';
import { decodeCursor, encodeCursor } from './cursor';
import { etagOf, isNotModified, requireIfMatch } from './etag';
import { waitSecondsOf } from './prefer';
import { ProblemException, problemOf } from './problem';

const codeOf = (work: () => unknown): string => {
  try {
    work();
  } catch (error) {
    if (error instanceof ProblemException) return error.code;
    throw error;
  }
  return 'nothing was thrown';
};

describe('If-Match', () => {
  it.each([undefined, '"3"', '"2", "3"', '*'])('accepts %s for version 3', (header) => {
    expect(() => requireIfMatch(header, 3)).not.toThrow();
  });
  it.each(['"2"', '3', 'W/"3"', '', '"33"'])('refuses %s for version 3', (header) => {
    expect(codeOf(() => requireIfMatch(header, 3))).toBe('stale-etag');
  });
});

describe('If-None-Match', () => {
  it.each(['"3"', 'W/"3"', '"1", "3"', '*'])('%s is not modified at version 3', (header) => {
    expect(isNotModified(header, 3)).toBe(true);
  });
  it.each([undefined, '"2"', '3', ''])('%s is modified at version 3', (header) => {
    expect(isNotModified(header, 3)).toBe(false);
  });
  it('is written with quotes', () => expect(etagOf(12)).toBe('"12"'));
});

describe('Prefer', () => {
  it.each<[string | string[] | undefined, number]>([
    ['wait=10', 10],
    ['respond-async, wait=5', 5],
    [['respond-async', 'Wait = "7"; x=1'], 7],
    ['wait=100000', 60],
    ['wait=soon', 0],
    ['wait=-1', 0],
    ['', 0],
    [undefined, 0],
  ])('%j waits %d seconds', (header, seconds) => expect(waitSecondsOf(header)).toBe(seconds));
});

describe('cursors', () => {
  it('give back the position that they were made of', () => {
    const key = fc.stringMatching(/^[\x20-\x7e]{1,64}$/);
    fc.assert(
      fc.property(key, key, (createdAt, id) => {
        expect(decodeCursor(encodeCursor({ createdAt, id }))).toEqual({ createdAt, id });
      }),
    );
  });
  it('of anybody else are refused, whatever they hold', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.base64String()), (cursor) => {
        expect(codeOf(() => decodeCursor(cursor))).toBe('invalid-cursor');
      }),
    );
  });
});

describe('JSON depth', () => {
  const depthOf = (value: unknown): number =>
    typeof value === 'object' && value !== null
      ? 1 + Math.max(0, ...Object.values(value).map(depthOf))
      : 0;

  it('is what JSON.parse would build, whatever the strings hold', () => {
    fc.assert(
      fc.property(fc.jsonValue({ maxDepth: 6 }), (value) => {
        const json = Buffer.from(JSON.stringify(value));
        const depth = depthOf(value);
        expect(jsonDepthExceeds(json, depth)).toBe(false);
        if (depth > 0) expect(jsonDepthExceeds(json, depth - 1)).toBe(true);
      }),
    );
  });
});

describe('problems', () => {
  it('repeat the place of the first error at the top and list at most 100', () => {
    const error = { code: 'x', path: '/domain', message: 'm', line: 2, column: 7, expected: 'e' };
    const problem = problemOf('invalid-domain', 'detail', {
      errors: Array<typeof error>(250).fill(error),
    });
    expect(problem).toMatchObject({
      status: 422,
      path: '/domain',
      line: 2,
      column: 7,
      expected: 'e',
    });
    expect(problem.errors).toHaveLength(100);
  });
});
