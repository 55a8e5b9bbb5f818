import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { PLAN_PROBLEM_CODES } from './codes';

const ROOT = join(__dirname, '..', '..', '..');
const FOLDERS = ['libs/plan/src', 'apps/cli/src/gate', 'apps/cli/src/commands'];

/** Where a problem gets its code. */
const PATTERNS = [
  /\bfail\(\s*'([a-z-]+)'/g,
  /\bunknownName\([^,]+, '([a-z-]+)'/g,
  /\bcode(?:: | = )'([a-z-]+)',? (?:path|;)/g,
  /\bcode: '([a-z-]+)',\s+path\b/g,
  /\bconst code = '([a-z-]+)'/g,
];

function codesInUse(): Set<string> {
  const found = new Set<string>();
  for (const folder of FOLDERS) {
    const files = readdirSync(join(ROOT, folder)).filter(
      (name) => name.endsWith('.ts') && !name.endsWith('.spec.ts'),
    );
    for (const name of files) {
      const text = readFileSync(join(ROOT, folder, name), 'utf8');
      for (const pattern of PATTERNS) {
        for (const [, code = ''] of text.matchAll(pattern)) found.add(code);
      }
    }
  }
  return found;
}

it('errors.md lists the codes, each once and in their order', () => {
  const text = readFileSync(join(ROOT, 'libs', 'plan', 'errors.md'), 'utf8');
  const listed = [...text.matchAll(/^\| `([a-z-]+)` \|/gm)].map(([, code]) => code);
  expect(listed).toEqual([...PLAN_PROBLEM_CODES]);
});

it('the code uses these and no others', () => {
  expect([...codesInUse()].sort()).toEqual([...PLAN_PROBLEM_CODES].sort());
});
