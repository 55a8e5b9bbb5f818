import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import request from 'supertest';
import { createTestApp } from './support/app';

const ROOT = join(__dirname, '..');
const SIMULATOR = 'libs/simulator/src';

/** Rows of the tables that name files, routes and tests. */
const rows = readFileSync(join(ROOT, 'docs/MECHANISMS.md'), 'utf8')
  .split('\n')
  .filter((line) => line.startsWith('| ') && line.includes('.ts`'))
  .map((line) => line.split('|').map((cell) => cell.trim()))
  .map(([, mechanism = '', file = '', seen = '', heldBy = '']) => ({
    mechanism,
    files: inTicks(file),
    routes: inTicks(seen),
    tests: inTicks(heldBy),
  }));

function inTicks(cell: string): string[] {
  return [...cell.matchAll(/`([^`]+)`/g)].map(([, text = '']) => text);
}

const pathOf = (file: string): string => (file.includes('/') ? file : `${SIMULATOR}/${file}`);

describe('docs/MECHANISMS.md', () => {
  it('names files and tests that exist', () => {
    expect(rows.length).toBeGreaterThan(25);
    for (const { mechanism, files, tests } of rows) {
      expect([mechanism, files.length > 0, tests.length > 0]).toEqual([mechanism, true, true]);
      const missing = [...files, ...tests].filter((file) => !existsSync(join(ROOT, pathOf(file))));
      expect([mechanism, missing]).toEqual([mechanism, []]);
      expect([mechanism, tests.filter((file) => !file.endsWith('.spec.ts'))]).toEqual([
        mechanism,
        [],
      ]);
    }
  });

  it('names routes that exist', async () => {
    const testApp = await createTestApp();
    const { body } = await request(testApp.server).get('/openapi.json').expect(200);
    await testApp.close();
    const paths = body.paths as Record<string, Record<string, unknown>>;
    for (const { mechanism, routes } of rows) {
      const missing = routes.filter((route) => {
        const [method = '', path = ''] = route.split(' ');
        return paths[path]?.[method.toLowerCase()] === undefined;
      });
      expect([mechanism, missing]).toEqual([mechanism, []]);
    }
  });
});
