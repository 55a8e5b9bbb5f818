/** docs/ADVICE.md shows what `zonewise advise` prints; `npm run readme` renews it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { scratch } from '../test/scratch';
import { packageRoot } from '../version';
import { advisePlan, type AdviseOptions } from './replay-plan';

const its = scratch();
const root = packageRoot();
const document = readFileSync(join(root, 'docs', 'ADVICE.md'), 'utf8');
const BLOCK = /<!-- advise (.*?) -->\s*```text\n([^]*?)```\s*<!-- \/advise -->/g;
const blocks = [...document.matchAll(BLOCK)].map(([, words = '', text = '']) => ({ words, text }));

it('has three worked cases', () => {
  expect(blocks).toHaveLength(3);
});

it.each(blocks)('prints what the document shows for $words', ({ words, text }) => {
  const [plan = '', ...flags] = words.split(' ');
  const options: AdviseOptions = {};
  for (let i = 0; i < flags.length; i += 2) {
    const value = flags[i + 1] ?? '';
    if (flags[i] === '--output') options.output = value;
    else if (flags[i] === '--root') options.root = join(root, value);
    else throw new Error(`unknown flag ${flags[i]}`);
  }
  expect(advisePlan(join(root, plan), options)).toBe(0);
  expect(its.stdout.trimEnd()).toBe(text.trimEnd());
});
