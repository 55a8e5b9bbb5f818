import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PLACEMENT_ERROR_CODES } from './errors';

test('errors.md lists exactly the codes that exist', () => {
  const text = readFileSync(join(__dirname, '..', 'errors.md'), 'utf8');
  const listed = [...text.matchAll(/^\| `([a-z-]+)`/gm)].map((match) => match[1]);
  expect(listed).toEqual([...PLACEMENT_ERROR_CODES]);
});
