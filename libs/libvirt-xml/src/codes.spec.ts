import { readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ASSUMPTION_CODES, PROBLEM_CODES, WARNING_CODES } from './codes';

const listed = readFileSync(join(__dirname, '..', 'errors.md'), 'utf8');
const section = (title: string): string[] => {
  const text = listed.split(/^## /m).find((part) => part.startsWith(title)) ?? '';
  return [...text.matchAll(/^\| `([a-z-]+)` \|/gm)].map((match) => match[1] ?? '');
};
const sources = readdirSync(__dirname)
  .filter((name) => name.endsWith('.ts') && !/spec|codes/.test(name))
  .map((name) => readFileSync(join(__dirname, name), 'utf8'))
  .join('\n');

describe('codes', () => {
  it.each([
    ['Problems', PROBLEM_CODES],
    ['Warnings', WARNING_CODES],
    ['Assumptions', ASSUMPTION_CODES],
  ] as const)('%s are those of errors.md, and each one is used', (title, codes) => {
    expect([...section(title)].sort()).toEqual([...codes].sort());
    expect(codes.filter((code) => !sources.includes(`'${code}'`))).toEqual([]);
  });
});
