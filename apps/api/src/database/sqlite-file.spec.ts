import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { SettingsError } from '../config/settings';
import { ensureSqliteFile } from './sqlite-file';

describe('ensureSqliteFile', () => {
  let folder: string;
  beforeEach(() => (folder = mkdtempSync(join(tmpdir(), 'zonewise-file-'))));
  afterEach(() => rmSync(folder, { recursive: true, force: true }));
  const refusal = (path: string): string => {
    try {
      ensureSqliteFile({ kind: 'sqlite', path });
    } catch (error) {
      if (error instanceof SettingsError) return error.message;
      throw error;
    }
    return '';
  };

  it('makes the folders that are missing', () => {
    expect(refusal(join(folder, 'a/b/c.sqlite'))).toBe('');
    expect(existsSync(join(folder, 'a/b/c.sqlite'))).toBe(true);
    expect(refusal(join(folder, 'a/b/c.sqlite'))).toBe('');
    expect(refusal(':memory:')).toBe('');
  });

  it('says what would be right where no file can be', () => {
    writeFileSync(join(folder, 'file'), '');
    for (const path of [folder, join(folder, 'file/x.sqlite')]) {
      expect(refusal(path)).toMatch(
        /^DATABASE_URL must be sqlite:PATH .*; found "sqlite:.*\(.+\)$/,
      );
    }
  });

  (existsSync('/proc/self') ? it : it.skip)('does not hang on a folder of /proc', () => {
    expect(refusal('/proc/zonewise/x.sqlite')).toMatch(/^DATABASE_URL must be .*ENOENT/);
  });
});
