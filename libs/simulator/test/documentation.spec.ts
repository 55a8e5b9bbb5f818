import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

const SOURCES = join(__dirname, '../src');
const text = readFileSync(join(__dirname, '../../../docs/SIMULATOR.md'), 'utf8');
const [rooms, departures] = text.split('### Where a mechanism departs');

const files = readdirSync(SOURCES).filter(
  (name) => !name.endsWith('.spec.ts') && !['index.ts', 'types.ts', 'constants.ts'].includes(name),
);

/** Files named in the first column of a text's tables. */
function named(section: string): string[] {
  const rows = section.split('\n').filter((line) => line.startsWith('| `'));
  return rows.flatMap((line) => line.split('|')[1]!.match(/[\w-]+\.ts/g) ?? []);
}

describe('docs/SIMULATOR.md', () => {
  it('has a line for each file, and none for files that are gone', () => {
    expect(named(rooms!).sort()).toEqual([...files].sort());
  });

  it('says for each file that departs from the kernel how it does', () => {
    const departing = files.filter((name) =>
      readFileSync(join(SOURCES, name), 'utf8').includes('@differs'),
    );
    expect([...new Set(named(departures!))].sort()).toEqual(departing.sort());
  });
});
