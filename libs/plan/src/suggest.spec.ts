import { editDistance, knownHint, nearest } from './suggest';

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

it('hints at what is near, or else lists what there is', () => {
  expect(knownHint('nodee', ['node', 'zone'])).toBe('did you mean node?');
  expect(knownHint('colour', ['node', 'zone'])).toBe('there are node, zone');
  expect(knownHint('colour', [])).toBe('there are none');
  const many = Array.from({ length: 41 }, (_, i) => `field${i}`);
  expect(knownHint('colour', many)).toMatch(/field39, \.\.\.$/);
});
