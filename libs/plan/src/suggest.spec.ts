import { editDistance, nearest } from './suggest';

it.each([
  ['limits', 'limits', 0],
  ['limitz', 'limits', 1],
  ['lmiits', 'limits', 1],
  ['', 'abc', 3],
  ['kitten', 'sitting', 3],
])('from %s to %s are %i edits', (a, b, edits) => {
  expect(editDistance(a, b)).toBe(edits);
  expect(editDistance(b, a)).toBe(edits);
});

it('suggests what is near, and nothing otherwise', () => {
  const known = ['host', 'hosts', 'domains', 'demand'];
  expect(nearest('Domain', known)).toBe('domains');
  expect(nearest('hsot', known)).toBe('host');
  expect(nearest('memory', known)).toBeUndefined();
  expect(nearest('x'.repeat(10_000), known)).toBeUndefined();
});
