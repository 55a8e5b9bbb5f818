import { existsSync, readFileSync, readdirSync } from 'node:fs';
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

describe('docs/errors.md', () => {
  const root = join(__dirname, '..', '..', '..');
  const index = readFileSync(join(root, 'docs', 'errors.md'), 'utf8');

  it.each([
    ['Problems', PROBLEM_CODES],
    ['Warnings', WARNING_CODES],
    ['Assumptions', ASSUMPTION_CODES],
  ] as const)('lists the codes of %s', (title, codes) => {
    const text = index.split(/^## /m).find((part) => part.startsWith(title)) ?? '';
    const named = [...text.matchAll(/`([a-z-]+)`[,.]/g)].map((match) => match[1] ?? '');
    expect(named.sort()).toEqual([...codes].sort());
  });

  it('names the list of every package that has one', () => {
    const packages = ['apps', 'libs'].flatMap((folder) =>
      readdirSync(join(root, folder)).map((name) => `${folder}/${name}`),
    );
    const lists = packages.filter((name) => existsSync(join(root, name, 'errors.md')));
    const linked = [...index.matchAll(/\]\(\.\.\/([^)]*)\/errors\.md\)/g)].map(([, name]) => name);
    expect(linked.sort()).toEqual(lists.sort());
  });
});
