import { Pruned, pruneRest } from './rounds';

test.each([
  [1_048_576, 'Of 1,048,576 placements and host settings all but 1,000 were ranked'],
  [7.56856208514459e23, 'Of more than 10^23 placements and host settings all but 1,000 were'],
  [1e16, 'Of more than 10^15 placements and host settings all but 1,000 were ranked'],
  [Infinity, 'Placements and host settings are too many to count; they were ranked'],
])('a space of %d configurations is told in few digits', (size, message) => {
  const pruned = new Pruned();
  pruneRest(pruned, { guests: [], host: [], size }, 1000);
  expect(pruned.list).toMatchObject([
    {
      bound: 'page-count',
      count: Math.min(size - 1000, Number.MAX_SAFE_INTEGER),
      message: expect.stringContaining(message),
    },
  ]);
});
