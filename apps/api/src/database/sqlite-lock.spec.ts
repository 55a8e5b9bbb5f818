import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { DataSource } from 'typeorm';
import { SettingsError } from '../config/settings';
import { lockPathOf, SqliteLock } from './sqlite-lock';

describe('SqliteLock', () => {
  let folder: string;
  let file: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'zonewise-lock-'));
    file = join(folder, 'a.sqlite');
    writeFileSync(file, '');
  });
  afterEach(() => rmSync(folder, { recursive: true, force: true }));

  const lockOf = (path: string): SqliteLock =>
    new SqliteLock(
      new DataSource({ type: 'sqlite', database: lockPathOf(path), busyTimeout: 1 }),
      path,
    );

  it('is held by one at a time, and says by whom', async () => {
    const first = lockOf(file);
    await first.take();
    const refused = lockOf(file).take();
    await expect(refused).rejects.toBeInstanceOf(SettingsError);
    await expect(refused).rejects.toThrow(
      new RegExp(`found "sqlite:${file}", which is served by process ${process.pid} on .+: end`),
    );
    await first.release();
    const second = lockOf(file);
    await second.take();
    await expect(first.take()).rejects.toThrow('no other process serves');
    await second.release();
  });

  it('is the same by whatever name the file is found, and another for another file', async () => {
    const link = join(folder, 'link.sqlite');
    symlinkSync(file, link);
    expect(lockPathOf(link)).toBe(lockPathOf(file));
    expect(lockPathOf(join(folder, 'x', '..', 'a.sqlite'))).toBe(lockPathOf(file));
    const [first, other] = [lockOf(file), lockOf(join(folder, 'b.sqlite'))];
    await first.take();
    await other.take();
    await expect(lockOf(link).take()).rejects.toThrow('no other process serves');
    await Promise.all([first.release(), other.release()]);
  });

  it('fails with its own reason where it cannot be written', async () => {
    const lock = lockOf(join(folder, 'b.sqlite'));
    writeFileSync(join(folder, 'b.sqlite-lock'), 'This is no database. '.repeat(99));
    await expect(lock.take()).rejects.toThrow(/not a database/);
    await lock.release();
  });
});
